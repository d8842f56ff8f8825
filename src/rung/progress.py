"""How far long work is: the work says so, and a shell that listens may show it. Without a listener nothing happens."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

Item = TypeVar("Item")
"""What is worked on."""


class Listener(Protocol):
    """Is told how far work is; parts of work may themselves have parts."""

    def begin(self, what: str, total: int) -> None:
        """Work of `total` parts begins."""
        ...

    def advance(self) -> None:
        """A part of the latest work is done."""
        ...

    def end(self) -> None:
        """The latest work has ended."""
        ...


_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Report to a listener while the block runs."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def reported(items: Collection[Item], what: str) -> Iterator[Item]:
    """The items, each reported as a part of the work when the next one is asked for."""
    listener = _LISTENER.get()
    if listener is None:
        yield from items
        return
    listener.begin(what, len(items))
    try:
        for item in items:
            yield item
            listener.advance()
    finally:
        listener.end()
