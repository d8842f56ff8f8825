"""How far long work is: the work says so, and a shell that listens may show it. Without a listener nothing happens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
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


@contextmanager
def working(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Report work of `total` parts while the block runs; it calls what it is given when a part is done."""
    listener = _LISTENER.get()
    if listener is None:
        yield lambda: None
        return
    listener.begin(what, total)
    try:
        yield listener.advance
    finally:
        listener.end()


def reported(items: Collection[Item], what: str) -> Iterator[Item]:
    """The items, each reported as a part of the work when the next one is asked for."""
    with working(what, len(items)) as advance:
        for item in items:
            yield item
            advance()
