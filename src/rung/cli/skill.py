"""`rung skill`: from loss to what a model can do, and which measure can tell."""

from __future__ import annotations

from cyclopts import App, Parameter

from rung.cli.skill_compare import compare
from rung.cli.skill_curve import learning_curve
from rung.cli.skill_frontier import frontier
from rung.cli.skill_pass_rate import pass_rate
from rung.cli.skill_predict import predict
from rung.cli.skill_quality import early, quality
from rung.cli.skill_verdict import plateau, verdict

app = App(
    name="skill",
    help="From loss to what a model can do, and which measure can tell.",
    help_epilogue="Examples:\n  rung skill compare a.jsonl b.jsonl\n  rung skill compare scores.csv --control base",
    help_format="plaintext",
    default_parameter=Parameter(show_default=False),
)

app.command(predict)
app.command(pass_rate)
app.command(verdict)
app.command(plateau)
app.command(frontier)
app.command(quality)
app.command(early)
app.command(learning_curve)
app.command(compare)
