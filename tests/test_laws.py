"""The formula language: text, tree, value, derivatives, ranges, and the law book."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser

import planted
from rung.errors import FormulaError
from rung.laws import SYMBOLS, Law, law_book, parse_formula
from rung.laws.tree import Binary, Call, Name, Negative, Number, evaluate, to_text

BOOK = law_book()

numbers = st.floats(min_value=0, max_value=1e300, allow_nan=False).map(Number)
names = st.sampled_from(["N", "D", "alpha", "E1", "x_2"]).map(Name)
trees = st.recursive(
    numbers | names | st.just(Name("A", "family")),
    lambda inner: st.one_of(
        inner.map(Negative),
        st.builds(Binary, st.sampled_from("+-*/^"), inner, inner),
        st.builds(lambda f, a: Call(f, (a,)), st.sampled_from(["log", "exp", "sqrt", "sigmoid", "softplus"]), inner),
        st.builds(lambda f, a, b: Call(f, (a, b)), st.sampled_from(["min", "max"]), inner, inner),
    ),
    max_leaves=12,
)


@given(trees)
def test_tree_to_text_to_tree_is_the_identity(tree):
    assert parse_formula(to_text(tree)) == tree


@pytest.mark.parametrize("name", BOOK)
def test_a_law_of_the_book_is_its_own_text(name):
    law = BOOK[name].law
    again = Law.parse(law.text, variables=law.variables, name=name)
    assert again == law
    assert again.text == law.text


@pytest.mark.parametrize("name", BOOK)
def test_a_law_of_the_book_prints_as_mathematics(name):
    assert MathTextParser("path").parse(f"${BOOK[name].law.latex}$")


@pytest.mark.parametrize("name", BOOK)
@settings(max_examples=20, deadline=None)
@given(shift=st.lists(st.floats(-0.05, 0.05), min_size=9, max_size=9))
def test_derivatives_equal_finite_differences(name, shift):
    law = BOOK[name].law
    columns = planted.variables(name, rows=8)
    start = {k: v * (1 + s) for (k, v), s in zip(planted.coefficients(name).items(), shift, strict=False)}
    gradient = law.gradient(start, columns)
    for coefficient in law.free:
        value = start[coefficient.name]
        step = 1e-5 * abs(value)
        above = law.value({**start, coefficient.name: value + step}, columns)
        below = law.value({**start, coefficient.name: value - step}, columns)
        # A kink between the two points (min, max) has no derivative to compare.
        difference = (above - below) / (2 * step)
        smooth = np.isclose((above + below) / 2, law.value(start, columns), rtol=1e-7)
        rounding = 1e-10 * np.abs(above) / step
        np.testing.assert_allclose(
            gradient[coefficient.name][smooth], difference[smooth], rtol=2e-5, atol=float(np.max(rounding))
        )


@pytest.mark.parametrize(
    ("text", "linear"),
    [
        ("E + A / N^alpha + B / D^beta", ("E", "A", "B")),
        ("(Nc / N)^alpha", ()),
        ("a * N * b + c", ("a", "c")),
        ("exp(a * N) + d", ("d",)),
        ("a / (b + N)", ("a",)),
    ],
)
def test_linear_coefficients_are_found(text, linear):
    assert Law.parse(text).linear == linear


def test_names_that_are_columns_or_symbols_are_variables():
    law = Law.parse("E + A / width^alpha + c * N", columns=["width", "depth"])
    assert law.variables == ("width", "N")
    assert law.coefficient_names == ("E", "A", "alpha", "c")


def test_ranges_and_fixed_values_are_part_of_the_text():
    law = Law.parse("E + A / N^alpha with alpha in (0, 2), E >= 1.5, A = 400")
    assert law.text == "E + A / N^alpha with E >= 1.5, A = 400, alpha in (0, 2)"
    assert [c.name for c in law.free] == ["E", "alpha"]


def test_power_is_right_associative_and_binds_before_the_sign():
    assert evaluate(parse_formula("-2^2"), {}) == -4
    assert evaluate(parse_formula("2^3^2"), {}) == 512
    assert evaluate(parse_formula("2**-1"), {}) == 0.5


def test_functions_do_not_overflow():
    values = evaluate(parse_formula("sigmoid(x) + softplus(-x)"), {"x": np.array([-800.0, 0.0, 800.0])})
    np.testing.assert_allclose(values, [800.0, 0.5 + math.log(2), 1.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("E + A / N^", "column 11: expected a name, a number or '(', found the end"),
        ("E + A / N^alpha)", "column 16: expected an operator or the end, found ')'"),
        ("E + sin(N)", "unknown function 'sin'"),
        ("E + lgo(N)", "Did you mean log"),
        ("1 + 2", "has no variable"),
        ("E + A", "has no variable"),
        ("N + D", "no coefficient"),
        ("__import__('os').system('x')", "does not belong in a formula"),
        ("E + A / N^alpha + " + "1 + " * 30_000 + "1", "characters; a law fits in"),
        ("(" * 1000 + "N" + ")" * 1000, "nested more than"),
        ("-" * 1000 + "N", "minus signs"),
        ("N" + "^2" * 1000, "nested more than"),
        ("log(N, D)", "log takes 1 argument(s), found 2"),
        ("min(N)", "min takes 2"),
        ("E + A / N^alhpa + B / D^alpha", "Is one a misspelling of the other?"),
        ("A[family] / N + A", "with and without a group"),
        ("N[family] + A", "only coefficients take"),
        ("E + A / N with B = 3", "'B' is no coefficient"),
        ("E + A / N with A in (2, 1)", "range of 'A' is empty"),
        ("E + A / N with A", "expected in (low, high)"),
        ("A * 1e999 * N", "beyond the range of numbers"),
        ("", "expected a name"),
    ],
)
def test_a_wrong_formula_is_shown_with_its_column(text, message):
    with pytest.raises(FormulaError) as error:
        Law.parse(text)
    assert message in error.value.text
    assert len(error.value.text) < 600


def test_the_book_holds_published_constants_with_their_source():
    assert len(BOOK) >= 25
    for entry in BOOK.values():
        assert entry.title
        assert entry.source
        assert entry.convention
        assert not entry.constants or entry.constants_source
        assert set(entry.law.variables) <= {*SYMBOLS, *entry.law.variables}


def test_published_laws_give_published_numbers():
    chinchilla = BOOK["chinchilla"]
    loss = chinchilla.law.value(chinchilla.constants, {"N": 70e9, "D": 1.4e12})
    assert float(loss) == pytest.approx(1.69 + 406.4 / 70e9**0.34 + 410.7 / 1.4e12**0.28, rel=1e-12)
    kaplan = BOOK["kaplan-n"]
    assert float(kaplan.law.value(kaplan.constants, {"N": 8.8e13})) == 1.0


def test_a_users_own_laws_join_the_book(tmp_path):
    own = tmp_path / "laws.toml"
    own.write_text('[mine]\nformula = "a * N^-b"\nvariables = ["N"]\n')
    assert law_book(own)["mine"].law.formula == "a * N^-b"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[mine]\nformula = 'a * N'\nvariables = ['N']\ntitel = 'x'", "Did you mean title"),
        ("[mine]\nformula = 'a * N'", "needs formula"),
        ("[mine", "cannot be read as a law book"),
        (
            "[mine]\nformula = 'a * N'\nvariables = ['N']\nconstants = { b = 1 }",
            "constants and coefficients differ",
        ),
    ],
)
def test_a_wrong_book_is_refused_with_its_place(tmp_path, content, message):
    own = tmp_path / "laws.toml"
    own.write_text(content)
    with pytest.raises(FormulaError) as error:
        law_book(own)
    assert message in error.value.text


def test_clauses_meet_and_an_upper_end_keeps_the_lower_one():
    def ends(text):
        (found,) = (c for c in Law.parse(text).coefficients if c.name == "alpha")
        return found.low, found.high

    assert ends("E + A / N^alpha with alpha <= 2") == (0, 2)
    assert ends("E + A / N^alpha with alpha >= 0.1, alpha <= 2") == (0.1, 2)
    assert ends("E + A / N^alpha with alpha <= -1") == (-math.inf, -1)
    below = Law.parse("E + A / N^alpha with alpha in (-inf, -1)")
    assert Law.parse(below.text) == below


@pytest.mark.parametrize(
    "clauses", ["alpha = 1, alpha = 2", "alpha >= 1, alpha >= 2", "alpha = 1, alpha >= 0", "alpha >= 2, alpha <= 1"]
)
def test_clauses_that_repeat_or_contradict_are_refused(clauses):
    with pytest.raises(FormulaError, match="'alpha'"):
        Law.parse(f"E + A / N^alpha with {clauses}")


def test_a_column_with_a_symbol_goes_by_it():
    assert Law.parse("E + A / params^alpha", columns=["params"]) == Law.parse("E + A / N^alpha")


def test_a_name_that_is_no_word_is_a_column_in_quotes():
    law = Law.parse('E + A / "Model Size (B)"^alpha + c["my corpus"] * "in"', columns=["Model Size (B)", "in"])
    assert law.variables == ("Model Size (B)", "in")
    assert law.groups == ("my corpus",)
    assert Law.parse(law.text, variables=law.variables) == law
    assert MathTextParser("path").parse(f"${law.latex}$")
    with pytest.raises(FormulaError, match='there is no column "a b"'):
        Law.parse('E + A / "a b"')


@pytest.mark.parametrize("exponent", ["(1 + 2)", "(6 / 2)", "sqrt(9)", "max(3, 1)", "p"])
def test_a_whole_exponent_is_whole_however_it_is_written(exponent):
    law = Law.parse(f"a + b * x^{exponent}{' with p = 3' if exponent == 'p' else ''}", variables=["x"])
    x = np.array([-2.0, -1.0, 0.0, 3.0])
    np.testing.assert_allclose(law.gradient({"a": 1.0, "b": 2.0}, {"x": x})["b"], x**3)


@pytest.mark.parametrize("formula", ["a + b / (1 + (x / d)^g)", "a + b * exp(-(d * x)^g)", "a + b * sqrt(d * x) * g"])
def test_derivatives_at_a_base_of_zero_are_those_beside_it(formula):
    law = Law.parse(formula, variables=["x"])
    at = {"a": 1.0, "b": 2.0, "d": 8.0, "g": 1.5}
    gradient = law.gradient(at, {"x": np.array([0.0, 1e-14])})
    for values in gradient.values():
        np.testing.assert_allclose(values[0], values[1], atol=1e-6)


def test_a_power_of_zero_and_its_derivative_are_zero():
    law = Law.parse("a + b * x^g", variables=["x"])
    x = np.array([0.0, 1.0, 2.0])
    gradient = law.gradient({"a": 1.0, "b": 2.0, "g": 0.5}, {"x": x})
    np.testing.assert_allclose(gradient["b"], np.sqrt(x))
    assert gradient["g"][0] == 0
    assert np.all(np.isfinite(np.stack(list(gradient.values()))))


def test_unique_tokens_above_tokens_count_as_tokens():
    law = law_book()["muennighoff-2023"].law
    constants = dict(law_book()["muennighoff-2023"].constants)
    point = {"N": np.array([1e9]), "D": np.array([1e10])}
    same, above, below = (law.value(constants, {**point, "U": np.array([u])})[0] for u in (1e10, 1e12, 1e9))
    assert above == same
    assert below > same
    slopes = law.gradient(constants, {**point, "U": np.array([1e12])})
    assert slopes["RD"] == pytest.approx(0, abs=1e-12)
    assert "min(U, D)" not in law.formula
