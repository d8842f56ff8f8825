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
    "unpredictable_task": FindingKind(
        "severe",
        "The scores of a task do not rise above chance and noise in these runs.",
        "Use a measure that moves earlier, such as the bits per byte of the right answer, or larger runs.",
    ),
    "no_route": FindingKind(
        "note",
        "One of the ways from scale to score cannot be fitted; the others stand.",
        "Read the reason in the text.",
    ),
    "far_scores": FindingKind(
        "warning", "A score is forecast far beyond the runs.", "Add larger runs before relying on it."
    ),
    "compute_alone": FindingKind(
        "warning",
        "Scores are forecast by a law of compute alone, since the runs have one size, or N and D grow together.",
        "Add runs of another size at the same compute.",
    ),
    "unknown_family": FindingKind(
        "warning",
        "A score is asked about a family that has no model in the table.",
        "Add the family's smallest model: one is enough to tell it from others.",
    ),
    "unused_pairs": FindingKind(
        "note",
        "Numeric columns of both answers are neither named as scores nor known as style.",
        "Name them: --score or --style.",
    ),
    "style_decides": FindingKind(
        "warning",
        "Style alone all but decides which answer is preferred, so little is left to judge a score by.",
        "Add pairs of like style, or name fewer features of style: --style.",
    ),
    "one_pass": FindingKind(
        "note",
        "Sampling ended at the first pass, from which no unbiased pass rate can be computed.",
        "Sample until two passes or more.",
    ),
    "missing_items": FindingKind(
        "note", "Some items were not attempted by models of every size.", "Attempt all items at every size."
    ),
    "growth_changes": FindingKind(
        "warning",
        "Pass rates grow faster or slower than the law that forecasts them.",
        "Read forecasts as bounds, and add a larger model.",
    ),
    "unknown_parents": FindingKind(
        "note", "Parents are named that are no models of the table.", "Add them, or read the lineage without them."
    ),
    "own_parent": FindingKind(
        "warning", "A model names itself as a parent, which is skipped.", "Correct the parent of that model."
    ),
    "licence_conflict": FindingKind(
        "warning",
        "A model states a licence that allows more than that of the model it was made from.",
        "Check both licences before you use it.",
    ),
    "moving_frontier": FindingKind(
        "warning",
        "Later models lie above or below the frontier of earlier ones by more than it allows.",
        "Read the frontier as of its date, or ask along compute in place of size.",
    ),
    "checkpoints_ended": FindingKind(
        "note",
        "Rows are checkpoints of a few runs, and the last of each run is used.",
        "Choose rows yourself: --where.",
    ),
    "left_out_rows": FindingKind(
        "warning", "Rows without a usable number are left out.", "Fill them in, or choose rows: --where."
    ),
    "left_out_items": FindingKind(
        "warning", "Items that not every compared model has scored are left out.", "Score all models on the same items."
    ),
}
"""Their codes."""
