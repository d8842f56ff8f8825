"""The registry of findings: every code with how severe it is, what it means and what helps."""

from __future__ import annotations

from rung.finding_kind import FindingKind
from rung.model_findings import MODEL_FINDINGS
from rung.skill_findings import SKILL_FINDINGS

FINDINGS: dict[str, FindingKind] = {
    # A table of runs, as it is read.
    "implausible_loss": FindingKind(
        "severe", "A loss is too large for nats per token.", "Convert perplexities: --map 'loss=log(COLUMN)'."
    ),
    "implausible_units": FindingKind(
        "severe",
        "Parameters or tokens seem to be counted in millions or billions.",
        "Multiply the column: --map 'D=tokens*1e9'.",
    ),
    "implausible_flops": FindingKind(
        "severe", "The column flops is far from 6 N D.", "Check the units of flops, params and tokens."
    ),
    "better_column": FindingKind(
        "note", "A held-out loss stands beside the column loss.", "Map the one that is meant: --map loss=COLUMN."
    ),
    "mixed_conventions": FindingKind(
        "warning",
        "flops and params follow different counting conventions: their ratio to 6 N D drifts with size.",
        "Decide which N is meant (with or without embeddings) and map that column.",
    ),
    "mid_run_rows": FindingKind(
        "warning",
        "Rows before the end of a decayed schedule are not finished runs of that length.",
        "Keep the last row of each run: --last.",
    ),
    "unnamed_runs": FindingKind(
        "warning",
        "Rows look like checkpoints of a few runs, but no column names the run.",
        "Name it: --map run=COLUMN.",
    ),
    # Runs imported from a tracker.
    "no_loss": FindingKind("warning", "A run has no loss that can be used, and is left out.", "Name it: --loss NAME."),
    "no_params": FindingKind(
        "warning", "A run, or every run, does not state its number of parameters.", "Name the key: --params NAME."
    ),
    "no_tokens": FindingKind(
        "warning",
        "A run does not say how many tokens it was trained on; what was planned is not what was trained.",
        "Name the key: --tokens NAME; or give the batch: --batch-tokens NUMBER.",
    ),
    "guessed_params": FindingKind(
        "warning",
        "N is a guess: by the shape of the model, or an entry that may mean another.",
        "Name it: --params NAME.",
    ),
    "several_params": FindingKind("warning", "Several entries state different N.", "Name the one: --params NAME."),
    "guessed_tokens": FindingKind(
        "warning",
        "D rests on a guess about the batch or the steps.",
        "Name it: --tokens NAME, or --batch-tokens NUMBER.",
    ),
    "counter_reset": FindingKind("note", "A counter of tokens begins again; D is the sum.", "Compare D with the plan."),
    "guessed_loss": FindingKind("warning", "The loss has an unusual name.", "Name it: --loss NAME."),
    "several_losses": FindingKind("note", "Several held-out losses could be meant.", "Name the one: --loss NAME."),
    "mixed_losses": FindingKind(
        "severe",
        "The column loss mixes training and held-out losses, or units.",
        "Name one that all runs have: --loss NAME.",
    ),
    "several_runs": FindingKind(
        "note",
        "One file holds several runs, told apart by their settings or by where their steps begin again.",
        "Give each run a name of its own in a column run.",
    ),
    "sorted_rows": FindingKind(
        "note", "Rows of a run were not in the order of their steps.", "Check that it is one run."
    ),
    "later_start": FindingKind(
        "warning", "The record of a run begins long after its start.", "Join it with its start."
    ),
    "several_records": FindingKind("note", "Several ranks recorded one run; one is read.", "Give the folder of one."),
    "loss_in_bits": FindingKind(
        "warning",
        "A loss is in bits, since 2 to its power is the perplexity beside it; it is converted.",
        "Log the loss in nats, or name another: --loss NAME.",
    ),
    "summary_row": FindingKind(
        "severe", "A row is called a mean or a sum.", "Leave it out: --where \"run <> 'mean'\"."
    ),
    "long_metrics": FindingKind("note", "Several metrics stood in one column.", "See that the loss is the one meant."),
    "other_steps": FindingKind("note", "Several metrics count steps differently.", "Name the one: --step NAME."),
    "same_name": FindingKind("note", "Runs that share a name are told apart.", "Give each run a name of its own."),
    "restart": FindingKind(
        "note",
        "A run goes back to an earlier step; the branch that was given up is left out.",
        "Look at the run's restarts.",
    ),
    "diverged": FindingKind(
        "warning",
        "A run ended in values that are not finite, or far above its best.",
        "Look at the run; fits leave it out.",
    ),
    "damaged": FindingKind(
        "severe", "A part of the record is damaged or cut.", "Fetch a whole copy, and import again."
    ),
    "not_finite": FindingKind(
        "warning", "Values that are not finite are left out.", "Look at the run: it may diverge."
    ),
    "gap": FindingKind("note", "A run has no values over many steps.", "Look for a part that was not logged."),
    # The search for the optimum.
    "not_converged": FindingKind(
        "severe", "The solver did not converge.", "Fix a coefficient, or choose a simpler law."
    ),
    "few_starts_agree": FindingKind(
        "severe",
        "Fewer than a tenth of the starts reach the best optimum, so a better one may exist.",
        "Compare other seeds (--seed), or fix a coefficient.",
    ),
    # What the runs determine.
    "undetermined": FindingKind(
        "severe",
        "The runs do not determine some coefficients, at the optimum or by the design of the table; they get no interval.",
        "Vary the columns of those terms independently, or fix coefficients.",
    ),
    "trade_off": FindingKind(
        "warning",
        "Two coefficients trade against each other, and one of them is unknown by itself.",
        "Vary the columns of their terms over a wider range, or fix one.",
    ),
    "on_bound": FindingKind(
        "warning",
        "A coefficient went to the end of its range: the runs do not show its term.",
        "Fix it, or use a law without that term.",
    ),
    "saturated": FindingKind("severe", "There are as many coefficients as rows.", "Add runs, or fix coefficients."),
    "exact_data": FindingKind(
        "note", "The law meets every row to rounding: these data were computed.", "Nothing, unless they were measured."
    ),
    "constant_column": FindingKind(
        "warning",
        "A variable has the same value in every row.",
        "Add runs that vary it, or leave it out of the law.",
    ),
    "fixed_proportion": FindingKind(
        "warning",
        "One variable is proportional to a power of another.",
        "Add runs off this proportion; forecasts hold only along it.",
    ),
    "constant_target": FindingKind(
        "severe", "The target has the same value in every row.", "Choose another target, or add runs."
    ),
    "target_in_formula": FindingKind(
        "severe", "The formula predicts the target from itself.", "Take the target out of the formula."
    ),
    "narrow_range": FindingKind(
        "warning", "N, D or C spans less than 4x.", "Add runs that are smaller or larger by 10x."
    ),
    # Single runs and their residuals.
    "influential_runs": FindingKind(
        "warning",
        "A group of rows pulls the law away from the others (Cook's distance).",
        "Check those runs; leave them out with --where.",
    ),
    "outliers": FindingKind(
        "warning",
        "Runs lie more than six robust standard deviations from the law.",
        "Check whether they are under-tuned or broken; leave them out with --where.",
    ),
    "size_off": FindingKind(
        "warning",
        "All runs of one size lie off the line between the neighbouring sizes, by five standard errors.",
        "Check how that size was trained and counted.",
    ),
    "curved_residuals": FindingKind(
        "warning",
        "Residuals still bend along a variable (a score test over six parts of its range, by run).",
        "Compare other laws: rung select.",
    ),
    "lack_of_fit": FindingKind(
        "warning",
        "The law misses configurations by more than repeated runs of one configuration differ (F test).",
        "Compare other laws: rung select.",
    ),
    "objective_sensitive": FindingKind(
        "warning",
        "A coefficient moves by two standard errors or more under another objective.",
        "Look at the largest residuals.",
    ),
    "early_rows": FindingKind(
        "warning",
        "The first tenth of the runs misses the law by far more than the rest.",
        "Leave it out: --drop-tokens auto.",
    ),
    # Resampling and groups.
    "few_runs": FindingKind("warning", "Few runs stand behind the answer.", "Add runs."),
    "one_run": FindingKind(
        "severe",
        "All rows belong to one run, so no interval can be given.",
        "Add runs, or give each its own name in the column run.",
    ),
    "few_runs_in_group": FindingKind(
        "warning", "A group has few runs beyond its own coefficients.", "Add runs to that group."
    ),
    "few_draws": FindingKind("warning", "Too few refits lie beyond the bounds of an interval.", "Raise --draws."),
    "draws_not_converged": FindingKind(
        "warning",
        "More than 5 % of the refits of the bootstrap did not converge.",
        "Fix a coefficient, or choose a simpler law.",
    ),
    # What comes from elsewhere.
    "borrowed": FindingKind(
        "note", "How a forecast depends on a coefficient taken from elsewhere.", "Estimate it from your own runs."
    ),
    "prior": FindingKind("note", "How a forecast depends on a prior.", "Compare the fit without it."),
    "swept_settings": FindingKind(
        "warning",
        "Rows that the law treats alike differ in a setting, such as the learning rate, which the law does not have.",
        "Keep the best of each configuration (--best-of), or use a law that has the setting.",
    ),
    "edge_optimum": FindingKind(
        "warning",
        "The lowest loss of a sweep lies at its edge, so its optimum is beyond and unknown.",
        "Extend the sweep on that side.",
    ),
    "little_gain": FindingKind(
        "warning",
        "The planned runs narrow the intervals of their targets by less than a twentieth.",
        "Allow larger runs, raise the budget, or keep it.",
    ),
    "long_training": FindingKind(
        "warning",
        "A training takes more than a year on the accelerators named.",
        "State how many there are: --accelerators.",
    ),
    "too_few_accelerators": FindingKind(
        "warning",
        "The accelerators named cannot hold the training state together.",
        "State how many there are: --accelerators.",
    ),
    "explains_nothing": FindingKind(
        "severe",
        "At its optimum the law does hardly better than a constant, so its coefficients mean nothing.",
        "Check the formula and the ranges of its coefficients, or take another law.",
    ),
    "single_runs": FindingKind(
        "note",
        "Recipes are compared from one run each at every scale.",
        "Repeat a scale with another seed, so that chance is known.",
    ),
    "many_epochs": FindingKind(
        "warning",
        "An allocation trains so many epochs that one more token is worth less than a third of a new one.",
        "Spend less, find more data, or limit the size with --max-params.",
    ),
    "no_density": FindingKind(
        "warning", "A model of a table has no density.", "Fill in its params and its loss or score, or leave it out."
    ),
    "repeats": FindingKind(
        "note", "The value of repeated tokens comes from a published law.", "Make runs with repeated data."
    ),
    # Forecasts and plans.
    "far_extrapolation": FindingKind(
        "warning", "A forecast lies more than 100x beyond the runs.", "Make larger runs: rung next."
    ),
    "no_interval": FindingKind("warning", "A forecast has no interval.", "Add runs that determine the law there."),
    "at_limit": FindingKind("note", "An allocation lies at a limit that was set.", "Lift the limit to see its price."),
    "mostly_discrepancy": FindingKind(
        "warning",
        "Most of the targets' variance is model discrepancy beyond the largest run.",
        "Only larger runs help.",
    ),
    "target_affordable": FindingKind(
        "note", "The run whose loss is to be known costs less than the budget.", "Make that run."
    ),
    "undetermined_target": FindingKind(
        "warning",
        "The runs at hand leave what a plan is for open by a factor of more than a thousand.",
        "Make the first of the planned runs, and plan again.",
    ),
    "narrow_sweeps": FindingKind(
        "warning",
        "Sweeps lie so near each other in N or D that no trend in it can be fitted.",
        "Add sweeps at other sizes or numbers of tokens.",
    ),
    "mixed_recipe": FindingKind(
        "warning",
        "Runs of one recipe differ in a setting where their scale agrees, so its law is that of a mixture.",
        "Select one value with --where, or compare by that setting.",
    ),
    "outside_range": FindingKind(
        "warning", "A rule is applied outside the range that it was fitted on.", "Compare several rules."
    ),
    "active_params": FindingKind(
        "warning", "Active and total parameters of a mixture of experts lead to different rules.", "Compare both."
    ),
    "few_grids": FindingKind(
        "note", "There are too few grids to fit a rule of learning rate and batch.", "Add sweeps at other sizes."
    ),
    "no_proposal": FindingKind("note", "A rule gives no positive learning rate and batch there.", "Use another rule."),
    "scales_differ": FindingKind(
        "warning",
        "The scales of two recipes do not meet, or end far apart.",
        "Train both over the same range; check that their units agree.",
    ),
    **MODEL_FINDINGS,
    # Skill.
    **SKILL_FINDINGS,
}
"""Every code. A new finding is a line here and a function that returns it."""
