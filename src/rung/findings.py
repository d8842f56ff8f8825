"""Findings: what speaks against a result, or what it rests on. One type, and one registry of all codes.

A result carries its findings as `warnings`; the command prints them on standard error, JSON holds them under
"warnings", and the table of docs/warnings.md is made from the registry in `finding_kinds`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rung.errors import in_python
from rung.finding_kind import FindingKind, Severity
from rung.finding_kinds import FINDINGS

__all__ = ["FINDINGS", "Finding", "FindingKind", "Severity", "most_severe_first"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        code: Its name in FINDINGS, stable for programs.
        text: What was found, where, and what to do about it, in the words of the command; `str` gives it in Python's.
    """

    code: str
    text: str

    @property
    def severity(self) -> Severity:
        """How much the answer suffers; "warning" for a code of another version."""
        return FINDINGS[self.code].severity if self.code in FINDINGS else "warning"

    @property
    def remedy(self) -> str:
        """What helps against findings of this kind; empty for a code of another version."""
        return FINDINGS[self.code].remedy if self.code in FINDINGS else ""

    def __str__(self) -> str:
        return in_python(self.text)

    def to_dict(self) -> dict[str, str]:
        """The finding as plain values."""
        return {"code": self.code, "severity": self.severity, "text": self.text, "remedy": self.remedy}


_ORDER: tuple[Severity, ...] = ("severe", "warning", "note")


def most_severe_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings by falling severity, and in their own order within one."""
    return sorted(findings, key=lambda finding: _ORDER.index(finding.severity))
