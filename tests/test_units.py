"""Counting."""

import math

import pytest

from rung.errors import RungError
from rung.units import BITS_PER_NAT, flops_6nd, format_count, parse_number, read_number, uses_decimal_comma


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


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("50M", 5e7),
        ("1.3B", 1.3e9),
        ("300BT", 3e11),
        ("2 trillion tokens", 2e12),
        ("50,000,000", 5e7),
        ("50.000.000", 5e7),
        ("50 000 000", 5e7),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("3,7", 3.7),
        ("0,125", 0.125),
        ("82.4 %", 0.824),
        ("1e9", 1e9),
        ("-3.5e-2", -0.035),
        ("inf", math.inf),
        ("2024-01-15", None),
        ("1.2.3", None),
        ("abc", None),
        ("12x", None),
        ("", None),
    ],
)
def test_numbers_as_they_stand_in_files(text, number):
    assert read_number(text) == (number if number is None else pytest.approx(number))


@pytest.mark.parametrize(
    ("texts", "decimal"),
    [
        (["3,7"], True),
        (["3,706", "3,70"], True),
        (["0,125"], True),
        (["1.234,5"], True),
        (["1,234.5"], False),
        (["1,234,567"], False),
        (["3.7"], False),
        (["3,706", "4,125"], None),
    ],
)
def test_whether_a_comma_is_decimal(texts, decimal):
    assert uses_decimal_comma(texts) is decimal


def test_an_ambiguous_comma_is_what_the_caller_says():
    assert (read_number("3,706"), read_number("3,706", decimal_comma=True)) == (3706, 3.706)
