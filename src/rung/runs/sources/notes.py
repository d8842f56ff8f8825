"""What is noted while rows are made: by which rule each column of each run was filled, and what a user should know."""

from __future__ import annotations

from dataclasses import dataclass, field

from rung.findings import Finding
from rung.messages import counted, listed

_NAMED = 4
"""Runs that a message names; of more it gives the count."""


@dataclass(slots=True)
class ImportNotes:
    """Notes on columns and values.

    Attributes:
        sources: For each run, the rule that filled each column.
        warnings: Findings on single runs, in the order of the runs.
        shared: Findings that many runs may have in common: the code and the text, with {runs} where they are named, to the runs.
    """

    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    warnings: list[Finding] = field(default_factory=list)
    shared: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def rule(self, run: str, column: str, text: str) -> None:
        """Note the rule that filled a column of a run."""
        self.sources.setdefault(run, {})[column] = text

    def finding(self, code: str, text: str) -> None:
        """Note what was found in one run."""
        self.warnings.append(Finding(code, text))

    def of_runs(self, code: str, text: str, run: str) -> None:
        """Note what was found in a run, in one sentence for all runs of which the same holds; {runs} names them."""
        runs = self.shared.setdefault((code, text), [])
        if run not in runs:
            runs.append(run)

    def findings(self) -> tuple[Finding, ...]:
        """All findings."""
        joined = [Finding(code, text.replace("{runs}", named(runs))) for (code, text), runs in self.shared.items()]
        return (*self.warnings, *joined)

    def mapping(self, columns: list[str]) -> dict[str, str]:
        """For each column, the rules that filled it; where they differ, with the runs of each."""
        found = {}
        for column in columns:
            by_rule: dict[str, list[str]] = {}
            for run, rules in self.sources.items():
                if column in rules:
                    by_rule.setdefault(rules[column], []).append(run)
            if len(by_rule) == 1:
                found[column] = next(iter(by_rule))
            elif by_rule:
                found[column] = "; ".join(f"{rule} ({named(runs)})" for rule, runs in by_rule.items())
        return found


def named(runs: list[str]) -> str:
    """Runs in a sentence: their names, or of many their count and the first ones."""
    if len(runs) <= _NAMED:
        return f"{'run' if len(runs) == 1 else 'runs'} {listed([repr(run) for run in runs])}"
    return f"{counted(len(runs), 'run')}: {', '.join(repr(run) for run in runs[: _NAMED - 1])}, ..."
