"""Units: numbers as people write them, FLOPs by the 6ND rule, nats and bits."""

from rung.units.numbers import format_count, format_error, format_interval, format_percent, format_value, parse_number
from rung.units.quantities import BITS_PER_NAT, flops_6nd
from rung.units.si import format_bytes, format_energy, format_hours, parse_bytes
from rung.units.written import NOT_FINITE, is_missing, read_number, uses_decimal_comma

__all__ = [
    "BITS_PER_NAT",
    "NOT_FINITE",
    "flops_6nd",
    "format_bytes",
    "format_count",
    "format_energy",
    "format_error",
    "format_hours",
    "format_interval",
    "format_percent",
    "format_value",
    "is_missing",
    "parse_bytes",
    "parse_number",
    "read_number",
    "uses_decimal_comma",
]
