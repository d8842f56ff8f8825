"""`rung skill`: from loss to what a model can do, and which measure can tell."""

from __future__ import annotations

from collections.abc import Callable

from cyclopts import App, Parameter

from rung.cli.skill_compare import compare
from rung.cli.skill_curve import learning_curve
from rung.cli.skill_frontier import frontier
from rung.cli.skill_pass_rate import pass_rate
from rung.cli.skill_predict import predict
from rung.cli.skill_preference import preference
from rung.cli.skill_quality import early, quality
from rung.cli.skill_sample import sample
from rung.cli.skill_subset import subset
from rung.cli.skill_verdict import plateau, verdict

app = App(
    name="skill",
    help="From loss to what a model can do, and which measure can tell.",
    help_epilogue="Examples:\n  rung skill compare a.jsonl b.jsonl\n  rung skill compare scores.csv --control base",
    help_format="plaintext",
    default_parameter=Parameter(show_default=False),
)

_VERBS: dict[Callable[..., None], tuple[str, ...]] = {
    predict: (
        "rung skill predict runs.csv N=7B D=140B --task arc=arc_acc:arc_bpb@0.25",
        "rung skill predict runs.csv --plans plans.csv --tasks tasks.csv -o scores.csv",
        "rung skill predict models.csv N=70B D=2T family=llama-2 --family family --task mmlu@0.25",
    ),
    sample: (
        "rung skill sample runs/small runs/large --problems problems.jsonl -o attempts.csv",
        "rung skill sample runs/small --problems problems.jsonl --until 2 --cap 10000 -o attempts.csv",
    ),
    pass_rate: (
        "rung skill pass-rate attempts.csv N=7B",
        "rung skill pass-rate attempts.csv N=7B --until 2 --figure rates.png",
    ),
    verdict: (
        "rung skill verdict runs.csv --metric acc --metric loss",
        "rung skill verdict runs.csv --metric acc --along C",
    ),
    plateau: (
        "rung skill plateau models.csv --metric acc",
        "rung skill plateau models.csv --metric acc --bins 1B,8B --items 1000",
    ),
    frontier: (
        "rung skill frontier models.csv C=1e24 --metric acc",
        "rung skill frontier models.csv --metric acc --date released",
    ),
    quality: (
        "rung skill quality runs.csv --metric acc --metric bpb",
        "rung skill quality models.csv --metric acc --base base_model",
    ),
    subset: (
        "rung skill subset a.jsonl b.jsonl c.jsonl d.jsonl e.jsonl f.jsonl",
        "rung skill subset scores.csv --items 100 -o items.csv",
    ),
    early: (
        "rung skill early runs.csv --metric acc",
        "rung skill early runs.csv --metric acc --at 0.1",
    ),
    learning_curve: (
        "rung skill learning-curve runs.csv --reach 2.0",
        "rung skill learning-curve runs.csv --by recipe",
    ),
    preference: (
        "rung skill preference pairs.jsonl",
        "rung skill preference pairs.csv --score rm7b --score rm72b --group subset",
    ),
    compare: (
        "rung skill compare a.jsonl b.jsonl",
        "rung skill compare scores.csv --control base --cluster passage",
    ),
}
"""The verbs in the order of the help, each with its examples."""

for _verb, _examples in _VERBS.items():
    app.command(_verb, help_epilogue="Examples:\n  " + "\n  ".join(_examples))
