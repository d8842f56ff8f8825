"""Standard output on which control characters of names and inputs do nothing."""

from __future__ import annotations

import io
from typing import Any, TextIO

from rung.messages import printable


class Printable(io.TextIOBase):
    """A stream that escapes control characters."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, its control characters escaped."""
        return self._stream.write(printable(text))

    def flush(self) -> None:
        """Pass on what is written."""
        self._stream.flush()

    def fileno(self) -> int:
        """The descriptor of the stream."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
