"""The verbs and their help; each verb's function is imported when it is used."""

from __future__ import annotations

from cyclopts import App, Parameter

import rung

VERBS: dict[str, tuple[str, str]] = {
    "fit": ("rung.cli.fit:fit", "Fit a law to a table of runs: which law, how sure."),
    "backtest": (
        "rung.cli.backtest:backtest",
        "Fit on the smaller scale, score on the larger: how wrong a law would have been.",
    ),
    "select": ("rung.cli.select:select", "Rank laws by how well each forecasts the larger scale from the smaller."),
    "forecast": (
        "rung.cli.forecast:forecast",
        "Ask a fit about runs not made: loss, or the size a loss needs.",
    ),
    "allocate": (
        "rung.cli.allocate:allocate",
        "How large a model and how much data, for a budget or a wished loss.",
    ),
    "tune": ("rung.cli.tune:tune", "Learning rate and batch, scored by regret on your own sweeps."),
    "next": ("rung.cli.next:next_", "Which runs to make next, and how much sharper they make what you want to know."),
    "compare": (
        "rung.cli.compare:compare",
        "What one recipe is worth against another, and whether the gain lasts with scale.",
    ),
    "density": ("rung.cli.density:density", "Effective size and capacity density against a reference ladder."),
    "cost": ("rung.cli.cost:cost", "Hours, money, energy and memory of a training."),
    "ladder": ("rung.cli.ladder:app", "Train the rungs of a ladder file: check it, run it, watch it, get its table."),
    "import": (
        "rung.cli.import_:import_",
        "A table of runs from where they are tracked: MLflow, W&B, TensorBoard, trainers' logs.",
    ),
    "reproduce": ("rung.cli.reproduce:reproduce", "The papers: a claim of each, checked here."),
    "laws": ("rung.cli.laws:laws", "The law book: published laws with source, convention and constants."),
}
"""Each verb's function, imported when the verb is used, and its line in the help."""

app = App(
    name="rung",
    version=rung.__version__,
    help="From a table of training runs to a scaling law, a forecast and its uncertainty.",
    help_epilogue="Exit status: 0 done, 1 data or wish cannot be served, 2 usage.\n--debug shows tracebacks.",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    help_formatter="plain",
    default_parameter=Parameter(show_default=False),
)
for _name, (_target, _help) in VERBS.items():
    # A verb of several commands is an app of its own, which says how its help looks.
    app.command(_target, name=_name, help=_help, **({} if _target.endswith(":app") else {"help_formatter": "default"}))
