"""The findings about models and treatments, a part of the registry."""

from __future__ import annotations

from rung.finding_kind import FindingKind

MODEL_FINDINGS: dict[str, FindingKind] = {
    "no_ancestor": FindingKind(
        "warning",
        "The weights of an expert lie far from those of the base it is merged with.",
        "Check which is the base.",
    ),
    "outside_ladder": FindingKind(
        "warning",
        "The effective size of a treated model lies outside the sizes of the ladder.",
        "Add a run of that size to the ladder.",
    ),
    "unlike_control": FindingKind(
        "warning",
        "A treated model and its control differ in size or tokens.",
        "Compare models of one size and training, or read the multipliers as of both changes.",
    ),
    "single_pair": FindingKind(
        "note", "A treated model was made once, from one run.", "Repeat it from other runs, or with other seeds."
    ),
    "no_cost": FindingKind(
        "note",
        "What a treatment cost is not stated, so its multiplier of compute counts it as free.",
        "Fill in the column treatment_flops.",
    ),
    "few_experts": FindingKind(
        "warning",
        "The losses of merges do not show a law in the number of experts.",
        "Add experts, or read the losses of the merges themselves.",
    ),
    "one_document": FindingKind(
        "note",
        "The text that a model is measured on is one document, so its loss has no standard error.",
        "Give several files or JSONL, or cut it: --separator.",
    ),
    "no_text": FindingKind(
        "warning", "A document is no text in UTF-8, or not all of it.", "Convert it, or leave it out."
    ),
    "unused_tensors": FindingKind(
        "warning",
        "A model's files hold tensors that its network has no place for.",
        "Check that the configuration is that of the weights.",
    ),
    "unknown_tokens": FindingKind(
        "warning",
        "A tokenizer cannot spell some of the text, so its bits per byte are too low.",
        "Measure on text that it can spell.",
    ),
    "no_start": FindingKind(
        "note",
        "A model has no token that begins a text, so the first token of each document is not scored.",
        "Compare it by bits per byte.",
    ),
    "other_documents": FindingKind(
        "warning",
        "Models did not score the same bytes of the same documents.",
        "Compare bits per byte with their own errors.",
    ),
    "mixed_dtypes": FindingKind(
        "note",
        "Models that are merged store their numbers in different types.",
        "Convert them first, for another type.",
    ),
}
"""Their codes."""
