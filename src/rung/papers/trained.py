"""Training of the ladders that checks need, in memory."""

from __future__ import annotations

import json
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


def finished_runs(slug: str, content: Mapping[str, Any], folder: Path) -> list[Path]:
    """The folders of the runs of a ladder that a check defines, trained one after another in this process."""
    with one_thread():
        from rung.ladder.execution import Launch, execute_all, prepare

        ladder = ladder_of(content, slug, folder / slug)
        folders = prepare(ladder)
        execute_all(folders, Launch(launcher="here", threads=1), ladder.track)
    return [one.path for one in folders]


def write_texts(rung: Rung, folder: Path, most: int) -> tuple[str, str]:
    """The text that a run of a corpus of bytes learns from, and that which is held out, as files of JSON lines with a document each."""
    opened: Any = rung.made_corpus.open(rung.made_family, None)
    written = []
    for name, tokens in (("seen", opened.train), ("held", opened.held)):
        parts = bytes(tokens[:most]).split(b"\0")
        file = folder / f"{name}.jsonl"
        rows = (json.dumps({"text": part.decode("utf-8", "ignore")}) for part in parts if part.strip())
        file.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
        written.append(str(file))
    return written[0], written[1]
