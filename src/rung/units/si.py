"""Quantities with their unit and a prefix, as people write them."""

from __future__ import annotations

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
