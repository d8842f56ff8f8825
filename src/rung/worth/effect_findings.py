"""What speaks against effects of treatments."""

from __future__ import annotations

from collections.abc import Sequence

from rung.findings import Finding
from rung.messages import listed
from rung.units import format_count
from rung.worth.effect import Effect, Span


def effect_findings(
    found: Sequence[Effect], sizes: Span, alone: Sequence[str], unlike: Sequence[str]
) -> tuple[Finding, ...]:
    """The findings of some effects.

    Args:
        found: The effects.
        sizes: The smallest and largest size of the ladder.
        alone: Treatments that were made once, from one run.
        unlike: Treatments whose control has another size or other tokens, in words.
    """
    findings = []
    low, high = sizes
    beyond = [
        one.treatment for one in found if one.effective_size is not None and not low <= one.effective_size.value <= high
    ]
    if beyond:
        findings.append(
            Finding(
                "outside_ladder",
                f"the effective size of {listed(sorted(set(beyond)), 4)} lies outside the ladder's sizes ({format_count(low)} to "
                f"{format_count(high)}): its law is trusted there without runs.",
            )
        )
    if alone:
        findings.append(
            Finding(
                "single_pair",
                f"{listed(sorted(set(alone)), 4)}: made once, from one run. Chance in the treatment itself is not in the interval: "
                "repeat it from other runs, or with other seeds.",
            )
        )
    if unlike:
        findings.append(
            Finding(
                "unlike_control",
                f"{listed(list(dict.fromkeys(unlike)), 4)}: what that is worth is in the multipliers too, which are over all that the control has.",
            )
        )
    free = [one.treatment for one in found if one.cost is None and "compute" in one.multipliers]
    if free:
        findings.append(
            Finding(
                "no_cost",
                f"{listed(sorted(set(free)), 4)}: no treatment_flops is given, so the multiplier of compute counts the treatment as free.",
            )
        )
    return tuple(findings)
