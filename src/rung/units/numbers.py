"""Numbers as people write them: `70B`, `1.4T`, `1e21`."""

import math
import re
from collections.abc import Callable

from rung.errors import RungError

_SUFFIXES = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12, "P": 1e15}
"""The factor of each suffix."""

_NUMBER = re.compile(r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([KkMmBbGgTtPp]?)\s*")

_VANISHING = 1e-7
"""A bound is shown as 0 below this share of the other bound."""


def parse_number(text: str) -> float:
    """The number that a text such as `70B` stands for.

    >>> parse_number("70B"), parse_number("1.4T"), parse_number("1e21")
    (70000000000.0, 1400000000000.0, 1e+21)

    Raises:
        RungError: The text is not a finite number with an optional suffix K, M, B (or G), T, P.
    """
    match = _NUMBER.fullmatch(text)
    value = float(match[1].replace("_", "")) * _SUFFIXES[match[2].upper()] if match else math.nan
    if not math.isfinite(value):
        raise RungError(f"{text!r} is not a number. Write it like 7e9, 7B, 1.4T or 0.35.")
    return value


def format_count(value: float) -> str:
    """A count to three significant digits, with a suffix.

    >>> format_count(70e9), format_count(1.4e12), format_count(5.88e23), format_count(512)
    ('70B', '1.4T', '5.88e23', '512')
    """
    magnitude = abs(value)
    if math.isfinite(value) and 1 <= magnitude < 0.9995e15:
        for suffix, unit in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3), ("", 1.0)):
            if magnitude >= unit * 0.9995:
                return f"{value / unit:.3g}{suffix}"
    return f"{value:.3g}".replace("e+", "e")


def format_value(value: float | None, digits: int = 5) -> str:
    """A number for a table, to a number of significant digits; a dash where there is no number.

    >>> format_value(1.8172168), format_value(2143.4195), format_value(2143.4195, 3), format_value(8.8e13)
    ('1.8172', '2143.4', '2140', '8.8e13')
    """
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        short = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{short}e{int(exponent)}"
    if abs(value) >= 10**digits:
        return f"{float(f'{value:.{digits}g}'):.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def format_interval(low: float | None, high: float | None, show: Callable[[float], str] = format_value) -> str:
    """An interval in words: "or more" or "or less" where one bound is None, "not determined" where both are.

    A bound that is negligible beside the other is shown as 0.
    """
    if low is None:
        return "not determined" if high is None else f"{show(high)} or less"
    if high is None:
        return f"{show(low)} or more"
    low, high = (0.0 if abs(bound) < _VANISHING * max(abs(low), abs(high)) else bound for bound in (low, high))
    return f"{show(low)} to {show(high)}"


def format_percent(share: float | None, *, signed: bool = False) -> str:
    """A share in percent; a dash where there is no share.

    >>> format_percent(0.0123), format_percent(0.0123, signed=True), format_percent(None)
    ('1.23 %', '+1.23 %', '-')
    """
    return "-" if share is None else f"{100 * share:{'+' if signed else ''}.2f} %"


def format_error(error: float | None, low: float | None, high: float | None) -> str:
    """A standard error, or a dash where it is wider than the interval.

    A few extreme draws cause such an error, and it carries no information.

    >>> format_error(0.0256, 1.777, 1.861), format_error(38800.0, 11.4, 840.4)
    ('0.0256', '-')
    """
    wide = error is not None and low is not None and high is not None and error > high - low
    return format_value(None if wide else error, 3)
