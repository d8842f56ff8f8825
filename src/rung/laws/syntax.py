"""From text to expression tree, by a small grammar of our own; `eval` is never used.

law      := sum [ "with" clause { "," clause } ]
clause   := NAME "in" "(" bound "," bound ")" | NAME ( ">=" | "<=" | "=" ) bound
bound    := [ "-" ] ( NUMBER | "inf" )
sum      := product { ( "+" | "-" ) product }
product  := signed { ( "*" | "/" ) signed }
signed   := "-" signed | power
power    := atom [ ( "^" | "**" ) signed ]
atom     := NUMBER | FUNCTION "(" sum { "," sum } ")" | NAME [ "[" NAME "]" ] | "(" sum ")"

A name that is not a word, such as "Tokens (B)", is written in double quotes, with each quote inside it doubled. Such a
name can only be a column.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from rung.errors import FormulaError
from rung.laws.tree import FUNCTIONS, RESERVED, WORD, Binary, Call, Expression, Name, Negative, Number
from rung.messages import did_you_mean

MAX_LENGTH = 4000
"""Most characters of a formula."""

MAX_DEPTH = 60
"""Deepest nesting of parentheses and powers, and most minus signs in a row."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    rf"|(?P<name>{WORD})"
    r'|(?P<quoted>"(?:[^"]|"")+")'
    r"|(?P<sign>\*\*|>=|<=|[-+*/^(),\[\]=]))"
)


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Clause:
    """A `with` clause for one coefficient: bounds of its open range, or a fixed value; None where it sets none."""

    name: str
    low: float | None = None
    high: float | None = None
    fixed: float | None = None


def parse_formula(text: str) -> Expression:
    """The tree of a formula.

    Raises:
        FormulaError: The text is not a formula; the message names the column.
    """
    parser = _Parser(text)
    tree = parser.sum()
    parser.expect_end()
    return tree


def parse_law(text: str) -> tuple[Expression, tuple[Clause, ...]]:
    """The tree of a formula and the clauses after `with`."""
    parser = _Parser(text)
    tree = parser.sum()
    clauses: list[Clause] = []
    if parser.accept_word("with"):
        clauses.append(parser.clause())
        while parser.accept(","):
            clauses.append(parser.clause())
    parser.expect_end()
    return tree, tuple(clauses)


def _unquoted(token: _Token) -> str:
    return token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text


class _Parser:
    """A cursor over the tokens of one text; each method reads one rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > MAX_LENGTH:
            raise FormulaError(f"the formula has {len(text):,} characters; a law fits in {MAX_LENGTH:,}. Shorten it.")
        self.tokens = self._tokens()
        self.position = 0
        self.depth = 0

    def _tokens(self) -> list[_Token]:
        tokens = []
        at = 0
        while at < len(self.text.rstrip()):
            match = _TOKEN.match(self.text, at)
            if match is None:
                column = at + len(self.text[at:]) - len(self.text[at:].lstrip())
                raise self.error(
                    column,
                    f"{self.text[column]!r} does not belong in a formula. Use names, numbers, + - * / ^ and ()",
                )
            kind = str(match.lastgroup)
            tokens.append(_Token(kind, match[kind], match.start(kind)))
            at = match.end()
        return [*tokens, _Token("end", "", len(self.text))]

    def error(self, column: int, problem: str) -> FormulaError:
        shown = self.text if len(self.text) <= 120 else self.text[:117] + "..."
        end = "" if problem.endswith(("?", ".")) else "."
        return FormulaError(f'"{shown}", column {column + 1}: {problem}{end}')

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def accept(self, *texts: str) -> str | None:
        if self.token.kind == "sign" and self.token.text in texts:
            self.position += 1
            return self.tokens[self.position - 1].text
        return None

    def accept_word(self, word: str) -> bool:
        found = self.token.kind == "name" and self.token.text == word
        self.position += found
        return found

    def expect(self, text: str) -> None:
        if self.accept(text) is None:
            found = repr(self.token.text) if self.token.text else "the end"
            raise self.error(self.token.column, f"expected {text!r}, found {found}")

    def expect_end(self) -> None:
        if self.token.kind != "end":
            raise self.error(self.token.column, f"expected an operator or the end, found {self.token.text!r}")

    def expect_name(self, what: str) -> str:
        if self.token.kind not in {"name", "quoted"}:
            raise self.error(self.token.column, f"expected {what}")
        self.position += 1
        return _unquoted(self.tokens[self.position - 1])

    def sum(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(
                self.token.column, f"parentheses are nested more than {MAX_DEPTH} deep. Simplify the formula"
            )
        left = self.product()
        while operator := self.accept("+", "-"):
            left = Binary(operator, left, self.product())
        self.depth -= 1
        return left

    def product(self) -> Expression:
        left = self.signed()
        while operator := self.accept("*", "/"):
            left = Binary(operator, left, self.signed())
        return left

    def signed(self) -> Expression:
        minuses = 0
        while self.accept("-"):
            minuses += 1
            if minuses > MAX_DEPTH:
                raise self.error(self.token.column, "too many minus signs in a row")
        node = self.power()
        for _ in range(minuses):
            node = Negative(node)
        return node

    def power(self) -> Expression:
        base = self.atom()
        if self.accept("^", "**") is None:
            return base
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(self.token.column, f"powers are nested more than {MAX_DEPTH} deep. Simplify the formula")
        exponent = self.signed()
        self.depth -= 1
        return Binary("^", base, exponent)

    def atom(self) -> Expression:
        token = self.token
        if token.kind == "number":
            self.position += 1
            value = float(token.text)
            if not math.isfinite(value):
                raise self.error(token.column, f"{token.text} is beyond the range of numbers")
            return Number(value)
        if token.kind == "quoted":
            self.position += 1
            return self._name(_unquoted(token))
        if token.kind == "name":
            self.position += 1
            return self._name_or_call(token)
        if self.accept("("):
            inner = self.sum()
            self.expect(")")
            return inner
        found = repr(token.text) if token.text else "the end"
        raise self.error(token.column, f"expected a name, a number or '(', found {found}")

    def _name_or_call(self, token: _Token) -> Expression:
        if self.accept("("):
            if token.text not in FUNCTIONS:
                hint = did_you_mean(token.text, FUNCTIONS) or f" The functions are {', '.join(FUNCTIONS)}."
                raise self.error(token.column, f"unknown function {token.text!r}.{hint}")
            arguments = [self.sum()]
            while self.accept(","):
                arguments.append(self.sum())
            self.expect(")")
            wanted = FUNCTIONS[token.text]
            if len(arguments) != wanted:
                raise self.error(token.column, f"{token.text} takes {wanted} argument(s), found {len(arguments)}")
            return Call(token.text, tuple(arguments))
        if token.text in RESERVED:
            raise self.error(
                token.column,
                f"{token.text!r} is a reserved word; to name a column, write it in double quotes",
            )
        return self._name(token.text)

    def _name(self, name: str) -> Expression:
        if self.accept("["):
            group = self.expect_name("the name of a grouping column")
            self.expect("]")
            return Name(name, group)
        return Name(name)

    def clause(self) -> Clause:
        name = self.expect_name("the name of a coefficient")
        if self.accept_word("in"):
            self.expect("(")
            column = self.token.column
            low = self.bound()
            self.expect(",")
            high = self.bound()
            self.expect(")")
            if not low < high:
                raise self.error(column, f"the range of {name!r} is empty")
            return Clause(name, low=low, high=high)
        if self.accept(">="):
            return Clause(name, low=self.bound())
        if self.accept("<="):
            return Clause(name, high=self.bound())
        if self.accept("="):
            return Clause(name, fixed=self.bound())
        raise self.error(self.token.column, f"expected in (low, high), >=, <= or = after {name!r}")

    def bound(self) -> float:
        sign = -1.0 if self.accept("-") else 1.0
        if self.accept_word("inf"):
            return sign * math.inf
        if self.token.kind != "number":
            raise self.error(self.token.column, "expected a number or inf")
        self.position += 1
        return sign * float(self.tokens[self.position - 1].text)
