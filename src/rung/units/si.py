"""Quantities with their unit and a prefix, as people write them."""

from __future__ import annotations

import re

from rung.errors import RungError

_BYTES = re.compile(r"\s*(\d+\.?\d*(?:[eE]\+?\d+)?)\s*([kKMGTP]?)(i?)(?:[bB]|[bB]ytes)?\s*")

_PREFIXES = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))


def _scaled(value: float, unit: str) -> str:
    for prefix, size in _PREFIXES:
        if abs(value) >= 0.9995 * size:
            return f"{_three_digits(value / size)} {prefix}{unit}"
    return f"{_three_digits(value)} {unit}"


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):g}"


def format_bytes(value: float) -> str:
    """Bytes to three significant digits.

    >>> format_bytes(1.12e11), format_bytes(8e10), format_bytes(512)
    ('112 GB', '80 GB', '512 B')
    """
    return _scaled(value, "B")


def parse_bytes(text: str) -> float:
    """The bytes that a text stands for.

    >>> parse_bytes("640GB"), parse_bytes("80 G"), parse_bytes("1.5e12"), parse_bytes("2 GiB")
    (640000000000.0, 80000000000.0, 1500000000000.0, 2147483648.0)

    Raises:
        RungError: It stands for none.
    """
    match = _BYTES.fullmatch(text)
    if match is None:
        raise RungError(f"{text!r} is no number of bytes. Write it like 640GB, 80G, 2GiB or 6.4e11.")
    base = 1024.0 if match[3] else 1000.0
    return float(match[1]) * base ** " KMGTP".index((match[2] or " ").upper())


def format_energy(kwh: float) -> str:
    """Energy to three significant digits, from kilowatt-hours.

    >>> format_energy(41287.0), format_energy(3.2), format_energy(2.5e6)
    ('41.3 MWh', '3.2 kWh', '2.5 GWh')
    """
    return _scaled(kwh * 1e3, "Wh")


def format_hours(hours: float) -> str:
    """Hours with a thousands separator; to three significant digits below a thousand.

    >>> format_hours(58982.4), format_hours(12.34)
    ('58,982', '12.3')
    """
    return f"{hours:,.0f}" if hours >= 1000 else _three_digits(hours)
