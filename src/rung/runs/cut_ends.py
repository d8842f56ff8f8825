"""Files that end within their last number, as while a program still writes them or after a copy that was broken off.

Programs end every line; people often not the last one. The first digits of a number are a number too, so a cut one can only be recognised from
how the numbers above it are written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

_NUMBER = re.compile(r"[-+]?\d+\.?\d*")
"""A number as programs write it into a cell."""

_FEWEST, _FEWEST_ALIKE = 3, 20
"""Numbers above that are needed to suspect the last one, and to be sure of it by their equal decimals."""

_CERTAIN = 3
"""Decimals that are missing against every number above from which a number is surely cut: zeros at an end are rarer."""


class End(Enum):
    """How a last number without an end of its line looks beside those above it."""

    WHOLE = "whole"
    SHORTER = "shorter"
    CUT = "cut"


def end_of(last: str, above: Sequence[str]) -> End:
    """Whether the last number of a file is cut.

    It is cut where it has at least three decimals fewer than every number above, or fewer than twenty or more numbers above that
    all have as many as each other. It is shorter where it has fewer than every number above: zeros at the end may have been left out.
    """
    if len(above) < _FEWEST or not all(_NUMBER.fullmatch(one) for one in (last, *above)):
        return End.WHOLE
    decimals = [len(one.partition(".")[2]) for one in above]
    missing = min(decimals) - len(last.partition(".")[2])
    if missing <= 0:
        return End.WHOLE
    alike = len(decimals) >= _FEWEST_ALIKE and len(set(decimals)) == 1
    return End.CUT if missing >= _CERTAIN or alike else End.SHORTER
