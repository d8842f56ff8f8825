"""What an array is called."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
"""Floating-point numbers. Arrays of two axes or more carry a suffix of one letter for each axis (`theta_BK`)."""

Indices: TypeAlias = NDArray[np.intp]
"""Indices into an axis."""

Mask: TypeAlias = NDArray[np.bool_]
"""Which entries of an axis are meant."""
