"""Counting."""

import pytest

from rung.errors import RungError
from rung.units import BITS_PER_NAT, flops_6nd, format_count, parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7B", 7e9),
        ("1.4T", 1.4e12),
        ("1e21", 1e21),
        ("  350 M ", 3.5e8),
        ("10_000", 1e4),
        ("-2.5", -2.5),
        (".5", 0.5),
        ("3k", 3e3),
    ],
)
def test_numbers_are_read_as_people_write_them(text, value):
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["", "seven", "7BB", "nan", "inf", "1e999", "7 B B", "0x10"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(RungError, match="is not a number"):
        parse_number(text)


@pytest.mark.parametrize("value", [512, 7e9, 1.4e12, 999.9e6, 1e3])
def test_a_count_reads_back_within_its_three_figures(value):
    assert parse_number(format_count(value)) == pytest.approx(value, rel=5e-3)


def test_conventions():
    assert flops_6nd(70e9, 1.4e12) == 5.88e23
    assert pytest.approx(1.442695, rel=1e-6) == BITS_PER_NAT
