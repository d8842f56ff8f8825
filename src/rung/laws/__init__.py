"""Laws: the formula language, a law's value and exact derivatives, and the law book."""

from rung.laws.book import Entry, find_law, law_book, target_of
from rung.laws.coefficients import Coefficient, Scale
from rung.laws.derivatives import DenseDerivatives, Derivatives, JoinedDerivatives
from rung.laws.law import SYMBOL_OF, SYMBOLS, Law, column_of, symbol_of
from rung.laws.surface import Surface
from rung.laws.syntax import parse_formula
from rung.laws.tape import Tape, compile_tape
from rung.laws.tree import (
    Binary,
    Call,
    Expression,
    Name,
    Negative,
    Number,
    evaluate,
    name_text,
    names,
    signed_terms,
    sums,
    to_text,
    with_symbols,
)
from rung.laws.workspace import Workspace, workspace

__all__ = [
    "SYMBOLS",
    "SYMBOL_OF",
    "Binary",
    "Call",
    "Coefficient",
    "DenseDerivatives",
    "Derivatives",
    "Entry",
    "Expression",
    "JoinedDerivatives",
    "Law",
    "Name",
    "Negative",
    "Number",
    "Scale",
    "Surface",
    "Tape",
    "Workspace",
    "column_of",
    "compile_tape",
    "evaluate",
    "find_law",
    "law_book",
    "name_text",
    "names",
    "parse_formula",
    "signed_terms",
    "sums",
    "symbol_of",
    "target_of",
    "to_text",
    "with_symbols",
    "workspace",
]
