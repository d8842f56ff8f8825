"""Counting: human numbers, FLOPs by the 6ND rule, nats and bits."""

from rung.units.numbers import format_count, format_error, format_interval, format_percent, format_value, parse_number
from rung.units.quantities import BITS_PER_NAT, flops_6nd

__all__ = [
    "BITS_PER_NAT",
    "flops_6nd",
    "format_count",
    "format_error",
    "format_interval",
    "format_percent",
    "format_value",
    "parse_number",
]
