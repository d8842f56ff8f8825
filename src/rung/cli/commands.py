"""The commands by name, in the order of the help, and the page that lists them.

That page is what people see first, so it is made without the parser, which takes longer to import than the page to print.
"""

from __future__ import annotations

import shutil
import textwrap
from typing import NamedTuple

DESCRIPTION = "From a table of training runs to a scaling law, a forecast and its uncertainty."

EPILOGUE = """Exit status: 0 done, 1 data or request cannot be served, 2 usage.
--debug shows tracebacks. --install-completion sets up your shell."""


class Command(NamedTuple):
    """A command.

    Attributes:
        target: Its function, as "module:name".
        help: Its line in the help.
        examples: Two examples.
    """

    target: str
    help: str
    examples: tuple[str, str]


COMMANDS: dict[str, Command] = {
    "fit": Command(
        "rung.cli.fit:fit",
        "Fit a law to a table of runs: which law, how sure.",
        ("rung fit runs.csv -o fit.json", 'rung fit runs.csv --law "E + A / N^alpha" --hold-out "params > 1e9"'),
    ),
    "backtest": Command(
        "rung.cli.backtest:backtest",
        "Fit on the smaller scales, score on the larger ones: how wrong a law would have been.",
        ("rung backtest runs.csv", "rung backtest runs.csv --law kaplan-floor --along N"),
    ),
    "select": Command(
        "rung.cli.select:select",
        "Rank laws by how well each forecasts the larger scales from the smaller ones.",
        ("rung select runs.csv -o laws.json", "rung select runs.csv --law chinchilla --law densing-loss"),
    ),
    "forecast": Command(
        "rung.cli.forecast:forecast",
        "Ask a fit about runs not made: the loss, or the size that a loss needs.",
        ("rung forecast fit.json N=70B D=1.4T", "rung forecast fit.json --loss 2.0 --tokens-per-param 20"),
    ),
    "allocate": Command(
        "rung.cli.allocate:allocate",
        "How large a model and how much data, for a budget or a target loss.",
        ("rung allocate fit.json --flops 1e24", 'rung allocate fit.json --loss 2.0 --cost "6*N*D + 2*N*2e12"'),
    ),
    "tune": Command(
        "rung.cli.tune:tune",
        "Learning rate and batch, scored by regret on your own sweeps.",
        ("rung tune N=1B D=20B", "rung tune sweeps.csv N=1B D=20B"),
    ),
    "next": Command(
        "rung.cli.next:next_",
        "Which runs to make next, and how much sharper they make what you want to know.",
        (
            "rung next runs.csv --target N=70B,D=1.4T --flops 1e22",
            "rung next fit.json --decide 1e24 --flops 1e22 -o plan.toml",
        ),
    ),
    "compare": Command(
        "rung.cli.compare:compare",
        "What one recipe is worth against another, and whether the gain lasts with scale.",
        ("rung compare dense.csv sparse.csv", "rung compare runs.csv --by optimizer --names adam,muon"),
    ),
    "density": Command(
        "rung.cli.density:density",
        "Effective size and capacity density against a reference ladder.",
        ("rung density fit.json loss=2.1 N=7B D=1T", "rung density fit.json models.csv --trend"),
    ),
    "cost": Command(
        "rung.cli.cost:cost",
        "Hours, money, energy and memory of a training.",
        ("rung cost N=7B D=2T --hardware h100-sxm --accelerators 64", "rung cost --hardware list"),
    ),
    "ladder": Command(
        "rung.cli.ladder:app",
        "Train the rungs of a ladder file: check it, run it, watch it, get its table.",
        ("rung ladder check ladder.toml", "rung ladder run ladder.toml --workers 2 -o runs.csv"),
    ),
    "worth": Command(
        "rung.cli.worth:worth",
        "What a change of a model is worth: effective size, data and compute, against a ladder.",
        ("rung worth measured.csv --against fit.json", "rung worth measured.csv --against runs.csv --before dense"),
    ),
    "measure": Command(
        "rung.cli.measure:measure",
        "Measure finished models on a text: loss, bits per byte, size, pace; scores on items.",
        ("rung measure model --data text", "rung measure runs/w64 other-model --data text.jsonl -o measured.csv"),
    ),
    "merge": Command(
        "rung.cli.merge:merge",
        "Merge models of one architecture into one: average, task arithmetic, TIES, DARE, SLERP, model stock.",
        ("rung merge a b -o merged", "rung merge base a b --method ties --keep 0.2 -o merged"),
    ),
    "prune": Command(
        "rung.cli.prune:prune",
        "Prune a finished model: by magnitude, Wanda, SparseGPT or the Optimal BERT Surgeon.",
        ("rung prune model --to 0.5 -o pruned", "rung prune model --to 0.7 --method obert --calibrate text -o pruned"),
    ),
    "distil": Command(
        "rung.cli.distil:distil",
        "Keep what teachers think of a text, for students that a ladder trains.",
        (
            "rung distil teacher --data text --context 128 -o taught",
            "rung distil a b --data text --student student.toml -o taught",
        ),
    ),
    "loyalty": Command(
        "rung.cli.loyalty:loyalty",
        "How loyal a student is to its teacher: by labels, probabilities and values.",
        ("rung loyalty teacher.jsonl student.jsonl", "rung loyalty teacher.csv student.csv --base e"),
    ),
    "skill": Command(
        "rung.cli.skill:app",
        "From loss to what a model can do, and which measure can tell.",
        ("rung skill compare a.jsonl b.jsonl", "rung skill compare scores.csv --control base"),
    ),
    "lineage": Command(
        "rung.cli.lineage:lineage",
        "Families of models from a table of parents: likeness, drift of traits, licences.",
        ("rung lineage models.csv", "rung lineage hub:AUTHOR --limit 1000 -o drift.csv"),
    ),
    "import": Command(
        "rung.cli.import_:import_",
        "A table of runs from where they are tracked: MLflow, W&B, TensorBoard, trainers' logs.",
        ("rung import tensorboard:logs -o runs.csv", "rung import mlflow:http://127.0.0.1:5000 --experiment ladder"),
    ),
    "reproduce": Command(
        "rung.cli.reproduce:reproduce",
        "The papers: claims of each, checked here.",
        ("rung reproduce", "rung reproduce hestness mystery -o results"),
    ),
    "papers": Command(
        "rung.cli.papers:app",
        "The papers that Rung is made from, and your own list: import, search, tag, recommend, digest, feed.",
        ("rung papers import page.txt", "rung papers search centroid loss"),
    ),
    "report": Command(
        "rung.cli.report:report",
        "Write a page about runs: the answer in words, and everything that it rests on.",
        ("rung report runs.csv -o page.html", "rung report fit.json N=70B D=1.4T --flops 1e24 -o page.html"),
    ),
    "app": Command(
        "rung.cli.app_:app_",
        "Look at runs, laws, plans, ladders and papers in the browser, on this machine alone.",
        ("rung app", "rung app runs.csv --port 8417"),
    ),
    "laws": Command(
        "rung.cli.laws:laws",
        "The law book: published laws with source, convention and constants.",
        ("rung laws chinchilla", 'rung laws "E + A / N^alpha"'),
    ),
}
"""Each command, in the order of the help."""


def overview() -> str:
    """The page of `rung --help`, as wide as the terminal and at most 100 columns."""
    columns = min(shutil.get_terminal_size().columns, 100)
    wide = max(map(len, COMMANDS))
    lines = [
        textwrap.fill(command.help, columns, initial_indent=f"  {name:{wide}}  ", subsequent_indent=" " * (wide + 4))
        for name, command in COMMANDS.items()
    ]
    return "\n".join(
        [
            "Usage: rung COMMAND",
            "",
            textwrap.fill(DESCRIPTION, columns),
            "",
            "Commands:",
            *lines,
            "",
            f"  {'--help':{wide}}  This page; rung COMMAND --help explains a command.",
            f"  {'--version':{wide}}  The version.",
            "",
            EPILOGUE,
        ]
    )
