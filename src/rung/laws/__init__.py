"""Laws: the formula language, a law's value and exact derivatives, and the law book."""

from rung.laws.book import Entry, find_law, law_book
from rung.laws.law import SYMBOLS, Law
from rung.laws.surface import Surface
from rung.laws.syntax import parse_formula

__all__ = ["SYMBOLS", "Entry", "Law", "Surface", "find_law", "law_book", "parse_formula"]
