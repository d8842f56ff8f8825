"""Rows of one configuration of the law that differ in a setting which the law does not have."""

from __future__ import annotations

from rung.findings import Finding
from rung.fitting.estimate.design import columns_used
from rung.fitting.estimate.setup import Setup
from rung.messages import listed, plural_of
from rung.runs import swept

_LEAST_CELLS = 3
"""Fewest configurations whose rows differ in a setting from which it is named."""

_SCALES = frozenset({"params", "tokens", "unique_tokens", "flops"})
"""Columns that a law should have rather than leave to the best value."""

_MOST_NAMED = 3
"""Most settings that are named."""


def sweep_findings(setup: Setup) -> list[Finding]:
    """The settings, such as a learning rate, that differ where all columns of the law agree; none where none does."""
    design, table = setup.problem.design, setup.table
    if design.runs < design.rows:
        # Checkpoints of different schedules meet at one number of tokens.
        return []
    used = columns_used(setup.problem.law, setup.target)
    found = {
        name: count
        for name, count in swept(table.distinct, [name for name in used if name != setup.target]).items()
        if count >= _LEAST_CELLS
    }
    if not found:
        return []
    names = list(found)[:_MOST_NAMED]
    numeric = [name for name in names if table.frame[name].dtype.is_numeric() and name not in _SCALES]
    remedies = []
    if numeric:
        remedies.append(f"keep the best of each (--best-of {','.join(numeric)})")
    texts = [name for name in names if not table.frame[name].dtype.is_numeric()]
    remedies += [f"let a coefficient depend on it (E[{name}])" for name in texts[:1]]
    remedies.append(f"use a law that has {plural_of(len(names), 'it', 'them')}")
    return [
        Finding(
            "swept_settings",
            f"{plural_of(len(names), 'a setting that the law does not have differs', 'settings that the law does not have differ')} "
            f"between rows that the law treats alike: {listed([f'{name} (in {found[name]} configurations)' for name in names])}. "
            f"Those rows are no repeats: {', or '.join(remedies)}.",
        )
    ]
