"""What all findings of one code have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["severe", "warning", "note"]
"""severe: the answer cannot be relied on; warning: part of it may be wrong; note: what it rests on."""


@dataclass(frozen=True, slots=True)
class FindingKind:
    """What all findings of one code have in common.

    Attributes:
        severity: How much the answer suffers.
        meaning: What the code means, in one sentence.
        remedy: What to do about it.
    """

    severity: Severity
    meaning: str
    remedy: str
