"""The findings about skill, a part of the registry."""

from __future__ import annotations

from rung.finding_kind import FindingKind

SKILL_FINDINGS: dict[str, FindingKind] = {
    "few_clusters": FindingKind(
        "warning",
        "Items come from so few groups that a standard error over groups is hardly known.",
        "Add items of other groups.",
    ),
    "many_looks": FindingKind(
        "warning",
        "The best of several models was chosen on the very items that score it, so its score is too high.",
        "Score the winner on items that did not choose it, or read the corrected score.",
    ),
    "averaged_repeats": FindingKind(
        "note", "An item was scored several times by a model; its scores are averaged.", "Check that repeats are meant."
    ),
    "left_out_items": FindingKind(
        "warning", "Items that not every compared model has scored are left out.", "Score all models on the same items."
    ),
}
"""Their codes."""
