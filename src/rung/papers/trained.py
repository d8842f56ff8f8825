"""Training of the ladders that checks need, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.errors import PapersError
from rung.ladder import Rung, ladder_of

if TYPE_CHECKING:
    from rung.ladder.training import Trainer


def rungs_of(slug: str, content: Mapping[str, Any]) -> tuple[Rung, ...]:
    """The rungs of a ladder that a check defines as plain values."""
    return ladder_of(content, slug, Path(slug)).rungs


def trained(rung: Rung) -> Trainer:
    """Train a rung to its end, on one thread so that the result does not depend on the number of cores.

    Raises:
        PapersError: torch is not installed.
    """
    with one_thread():
        from rung.ladder.training import train

        return train(rung)


@contextmanager
def one_thread() -> Iterator[None]:
    """Restrict torch to one thread.

    Raises:
        PapersError: torch is not installed.
    """
    if find_spec("torch") is None:
        raise PapersError('the check of this paper trains models, which needs torch: pip install "rung[train]".')
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
