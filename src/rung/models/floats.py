"""Numbers as weights are stored, to 32-bit floats and back, without a library that knows bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Floats that are computed with, and their size [bytes]."""

SIZES = {**FLOATS, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}
"""Types that are carried over, and their size [bytes]."""

_PLAIN = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def to_float32(content: bytes | memoryview, dtype: str) -> NDArray[np.float32]:
    """Stored numbers as 32-bit floats (n,)."""
    if dtype == "BF16":
        # A bfloat16 is the upper half of a 32-bit float.
        upper = np.frombuffer(content, "<u2").astype(np.uint32)
        upper <<= 16
        return upper.view(np.float32)
    return np.frombuffer(content, _PLAIN[dtype]).astype(np.float32)


def from_float32(values: NDArray[Any], dtype: str) -> bytes:
    """32-bit floats as they are stored, rounded to the nearest, ties to even."""
    if dtype != "BF16":
        stored: NDArray[Any] = values.astype(_PLAIN[dtype])
        return stored.tobytes()
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits >> 16
    rounded &= 1
    rounded += 0x7FFF
    rounded += bits
    rounded >>= 16
    stored = rounded.astype("<u2")
    # Rounding a number that is none could make it infinite: one stays one.
    none = np.isnan(values)
    if none.any():
        stored[none] = 0x7FC0
    return stored.tobytes()
