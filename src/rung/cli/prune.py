"""`rung prune`: a finished model with weights set to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import MACHINES, QUESTION, Json, Output
from rung.cli.output import show
from rung.errors import ModelError

_OWN = {"damp": ("obert", "sparsegpt"), "block": ("obert",), "steps": ("obert",)}
"""Numbers that some methods alone have."""


@Parameter(name="*", group=QUESTION)
@dataclass(frozen=True, kw_only=True)
class PruneOptions:
    """What goes."""

    to: float | None = None
    """The share of the weights in the blocks' matrices that goes, such as 0.5."""
    method: str = "magnitude"
    """magnitude, wanda, sparsegpt or obert; magnitude by default."""
    pattern: str = "unstructured"
    """Which weights go together: unstructured, block4 (neighbours that go together) or 2:4 (kept of neighbours)."""
    scope: str | None = None
    """Where the least are sought: global, layer or row; by default global for magnitude and obert, row for wanda, layer for sparsegpt."""
    calibrate: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)] = ()
    """Text that all methods but magnitude look at: files and folders. Repeatable."""
    windows: int = 128
    """How many windows of it; 128 by default."""
    context: int | None = None
    """Tokens of a window; what the model has by default."""
    damp: float | None = None
    """obert: damping of the Fisher matrix; the best of several by default. sparsegpt: 0.01 by default."""
    block: int = 48
    """obert: weights in a block of the Fisher matrix; 48 by default."""
    steps: int = 4
    """obert: steps in which the share is reached, with gradients anew; 4 by default."""
    seed: int = 0
    """Seed of which windows are taken; 0 by default."""
    recover: str | None = None
    """Tokens of the text on which what stays goes on learning, its zeros held, such as 1M; none by default."""
    stages: int | None = None
    """With --recover: stages in which the share is reached, with an equal part of the learning after each; 1 by default."""
    lr: float | None = None
    """With --recover: height of the learning rate; 1e-4 by default."""
    soft: float | None = None
    """With --recover: share of the objective that learns from the dense model; 0 by default."""


def prune(
    model: Annotated[str, Parameter(name="MODEL")],
    /,
    *,
    options: PruneOptions = PruneOptions(),  # frozen
    device: Annotated[str | None, Parameter(group=MACHINES)] = None,
    output: Output = (),
    json: Json = False,
) -> None:
    """Prune a finished causal language model into a new folder (-o), which appears whole or not at all. Zeros are stored: nothing runs faster by itself.

    Parameters
    ----------
    model
        A folder as Transformers writes it, or a finished run of a ladder.
    device
        cpu, cuda or cuda:1; a GPU where there is one by default.
    """
    from dataclasses import asdict

    from rung.treat import Pruning, prune_model
    from rung.units import parse_number

    if len(output) != 1:
        raise ModelError("name one folder for the pruned model: -o OUT.")
    for name, methods in _OWN.items():
        if options.method not in methods and getattr(options, name) != getattr(PruneOptions, name):
            raise ModelError(f"--{name} belongs to {' and '.join(methods)}, and the method is {options.method}.")
    asked = {**asdict(options), "recover": parse_number(options.recover) if options.recover else 0.0, "device": device}
    show(prune_model(model, output[0], Pruning(**asked)), json=json)
