"""Column names: which of a user's columns holds which quantity, and by which conversion."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rung.errors import FormulaError, RunsError
from rung.laws import SYMBOLS, Expression, Name, name_text, names, parse_formula, to_text
from rung.runs.loss_units import in_nats

ALIASES: dict[str, tuple[str, ...]] = {
    "run": ("run_name", "run_id", "hyper_id"),
    "family": (),
    "params": (
        *("n_params", "num_params", "num_parameters", "parameters", "parameter_count", "params_total"),
        *("model_params", "total_params", "n_parameters", "model_size_params", "model_size", "n"),
    ),
    "tokens": (
        *("num_tokens", "n_tokens", "train_tokens", "training_tokens", "tokens_seen", "total_tokens"),
        *("num_token", "dataset_tokens", "training_dataset_size", "d"),
    ),
    "flops": (
        "flop",
        "compute",
        "training_flop",
        "training_flops",
        "total_flops",
        "train_flops",
        "flops_budget",
        "c",
    ),
    "loss": (
        "val_loss",
        "valid_loss",
        "validation_loss",
        "eval_loss",
        "test_loss",
        "nll",
        "val_nll",
        "valid_nll",
        "validation_nll",
        "eval_nll",
        "test_nll",
        "ce_loss",
        "cross_entropy",
    ),
    "step": ("steps", "current_steps", "global_step", "s"),
    "batch_tokens": ("tokens_per_batch", "batch_size_tokens"),
    "lr": ("learning_rate", "peak_lr", "max_lr"),
    "unique_tokens": ("u",),
    "params_non_embedding": ("params_no_embed", "non_embedding_params", "n_non_embedding"),
    "params_active": ("active_params",),
    "seed": ("random_seed",),
    "time_s": ("train_time_s",),
}
"""Canonical columns, and the other names by which each is recognised where it is absent."""

COUNTS = (
    "params",
    "tokens",
    "flops",
    "step",
    "batch_tokens",
    "unique_tokens",
    "params_non_embedding",
    "params_active",
)
"""Columns that count something and must therefore be positive where a law uses them."""

_CONVERSIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "loss": (
        ("perplexity", "log({})"),
        ("ppl", "log({})"),
        ("bpb", "{} * log(2)"),
        ("bits_per_byte", "{} * log(2)"),
        ("bits_per_token", "{} * log(2)"),
        ("loss_bits", "{} * log(2)"),
        *(
            (f"{before}{name}", conversion)
            for before in ("val_", "valid_", "validation_", "eval_", "test_", "final_")
            for name, conversion in (
                ("perplexity", "log({})"),
                ("ppl", "log({})"),
                ("log2_ppl", "{} * log(2)"),
                ("bpb", "{} * log(2)"),
                ("bpt", "{} * log(2)"),
                ("loss_bits", "{} * log(2)"),
                ("bits_per_byte", "{} * log(2)"),
                ("bits_per_token", "{} * log(2)"),
                ("loss_bits_token", "{} * log(2)"),
                ("loss_bits_per_token", "{} * log(2)"),
                ("loss_bits_byte", "{} * log(2)"),
                ("loss_bits_per_byte", "{} * log(2)"),
            )
        ),
        ("loss_bits_token", "{} * log(2)"),
        ("loss_bits_per_token", "{} * log(2)"),
        ("loss_bits_byte", "{} * log(2)"),
        ("loss_bits_per_byte", "{} * log(2)"),
        ("bpt", "{} * log(2)"),
    ),
    "lr": (
        *((f"log10_{name}", "10^{}") for name in ("lr", "learning_rate", "peak_lr", "max_lr")),
        *(
            (f"{name}_1e_{power}", f"{{}} * 1e-{power}")
            for name in ("lr", "learning_rate", "peak_lr", "max_lr")
            for power in (2, 3, 4, 5)
        ),
    ),
    "batch_tokens": (("log10_batch_tokens", "10^{}"),),
    "params": (("log10_params", "10^{}"), ("log10_n", "10^{}")),
    "tokens": (("log10_tokens", "10^{}"), ("log10_d", "10^{}")),
    "flops": (
        ("log10_flops", "10^{}"),
        ("log10_c", "10^{}"),
        ("pf_days", "{} * 8.64e19"),
        ("petaflop_days", "{} * 8.64e19"),
    ),
}
"""Conversions that a column's name states; each one used is printed."""

_UNITS = {
    **dict.fromkeys(("k", "thousand", "thousands"), "1e3"),
    **dict.fromkeys(("m", "mn", "mio", "million", "millions", "mt"), "1e6"),
    **dict.fromkeys(("b", "bn", "billion", "billions", "g", "bt"), "1e9"),
    **dict.fromkeys(("t", "tn", "trillion", "trillions", "tt"), "1e12"),
    "1e3": "1e3",
    "1e6": "1e6",
    "1e9": "1e9",
    "1e12": "1e12",
    "1e15": "1e15",
    "1e18": "1e18",
    "1e20": "1e20",
    "1e21": "1e21",
    "zflop": "1e21",
    "zflops": "1e21",
    "eflop": "1e18",
    "eflops": "1e18",
    "pflop": "1e15",
    "pflops": "1e15",
}
"""The factor of a unit that stands in a column's name, as in Tokens (B) or params_m."""

_WITH_UNIT = {"params": ("size", "model"), "tokens": ("data", "training_data"), "unique_tokens": ("unique",)}
"""Further names that mean a column where a unit of counts stands behind them, as in size_m."""

_NOT_MEANT = frozenset({"std", "stderr", "err", "error", "var", "variance", "min", "max", "per", "stdev", "sd", "se"})
"""Words of columns that are statistics of another, so that they are not suggested for it."""

_IN_BRACKETS = re.compile(r"(.*?)[\s_]*[\(\[]\s*(?:in |x ?|\* ?)?([^\)\]]+?)\s*[\)\]]\s*")
_AT_THE_END = re.compile(r"(.*)[\s_]+(?:in[\s_]+)?([a-z0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a canonical column comes from.

    Attributes:
        column: The canonical column.
        text: A column of the file, several joined by commas, or a formula of them.
        formula: The formula's tree, where there is one.
        parts: The columns of the file that it needs, in the order in which the formula names them.
        declared: Whether the user mapped it; otherwise its name was recognised.
        unit: Whether the formula only multiplies by a unit in the name.
    """

    column: str
    text: str
    formula: Expression | None
    parts: tuple[str, ...]
    declared: bool
    unit: bool = False


@lru_cache(maxsize=8192)
def plain(name: str) -> str:
    """A column's name in the form that is compared: lower case, words joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def columns_meant(name: str) -> list[str]:
    """The canonical columns that a name may stand for, with or without a unit in it."""
    base = unit_in(name)
    return [
        column for column, aliases in ALIASES.items() if {plain(name), base[0] if base else ""} & {column, *aliases}
    ]


def unit_in(name: str) -> tuple[str, str] | None:
    """The name without the unit in it, and the unit's factor; None where it states none."""
    lowered = name.strip().lower()
    for pattern in (_IN_BRACKETS, _AT_THE_END):
        match = pattern.fullmatch(lowered)
        if match and plain(match[1]) and (factor := _UNITS.get(match[2].strip().replace("10^", "1e"))):
            return plain(match[1]), factor
    return None


def find_sources(found: Sequence[str], declared: Mapping[str, str], where: str) -> list[Source]:
    """Where each canonical column comes from in a file.

    Args:
        found: The file's columns.
        declared: The user's mapping, from a symbol or a column's name to a column, columns joined by commas, or a formula.
        where: The table's name, for messages.

    Raises:
        RunsError: The mapping names a column that does not exist, or maps a column twice.
    """
    sources: dict[str, Source] = {}
    for key, text in declared.items():
        column = SYMBOLS.get(key, key)
        if column in sources:
            raise RunsError(f"--map {key}={text}: {column} is mapped a second time. Map it once.")
        sources[column] = _declared(column, text, found, where)
    by_plain: dict[str, str] = {}
    by_unit: dict[str, tuple[str, str]] = {}
    for name in found:
        if len(name) == 1 and name.isupper():
            # N and D are symbols; n and d beside them may be anything.
            by_plain[plain(name)] = name
        by_plain.setdefault(plain(name), name)
        if (stated := unit_in(name)) is not None:
            by_unit.setdefault(stated[0], (name, stated[1]))
    sources = _of_experts(by_plain) | sources
    for column, aliases in ALIASES.items():
        if column in sources:
            continue
        if column in found:
            sources[column] = Source(column=column, text=column, formula=None, parts=(column,), declared=False)
        elif (source := _recognised(column, (column, *aliases), by_plain, by_unit)) is not None:
            sources[column] = source
    return list(sources.values())


def _of_experts(by_plain: Mapping[str, str]) -> dict[str, Source]:
    """Total and active parameters where a table names them params_t and params_a; alone, the first may be in trillions."""
    pairs = {"params": "params_t", "params_active": "params_a"}
    if not set(pairs.values()) <= set(by_plain):
        return {}
    return {
        column: Source(column=column, text=by_plain[name], formula=None, parts=(by_plain[name],), declared=False)
        for column, name in pairs.items()
    }


def _recognised(
    column: str, names: Sequence[str], by_plain: Mapping[str, str], by_unit: Mapping[str, tuple[str, str]]
) -> Source | None:
    """A canonical column by its usual names, then with a unit or conversion in the name, and by one letter at last."""
    words, letters = [name for name in names if len(name) > 1], [name for name in names if len(name) == 1]
    if (match := next((by_plain[name] for name in words if name in by_plain), None)) is not None:
        return Source(column=column, text=match, formula=None, parts=(match,), declared=False)
    conversions = list(_CONVERSIONS.get(column, ()))
    if column in COUNTS:
        more = _WITH_UNIT.get(column, ())
        conversions += [
            (plain(by_unit[name][0]), f"{{}} * {by_unit[name][1]}")
            for name in (*words, *more, *letters)
            if name in by_unit
        ]
    for alias, conversion in conversions:
        if alias in by_plain:
            text, formula = conversion.format(name_text(by_plain[alias])), parse_formula(conversion.format("x"))
            unit = conversion.startswith("{} * 1e") and column in COUNTS
            parts = (by_plain[alias],)
            return Source(column=column, text=text, formula=formula, parts=parts, declared=False, unit=unit)
    match = next((by_plain[name] for name in letters if name in by_plain), None)
    return None if match is None else Source(column=column, text=match, formula=None, parts=(match,), declared=False)


def _declared(column: str, text: str, found: Sequence[str], where: str) -> Source:
    if text in found:
        return Source(column=column, text=text, formula=None, parts=(text,), declared=True)
    listed = tuple(part.strip() for part in text.split(","))
    if len(listed) > 1 and all(part in found for part in listed):
        return Source(column=column, text=",".join(listed), formula=None, parts=listed, declared=True)
    try:
        formula = parse_formula(text)
    except FormulaError as error:
        raise RunsError(f"--map {column}={text}: neither a column of {where} nor a formula ({error.text})") from None
    if isinstance(formula, Name) and formula.name in found:
        # A name in quotes, as a formula needs it.
        return Source(column=column, text=formula.name, formula=None, parts=(formula.name,), declared=True)
    parts = tuple(dict.fromkeys(name.name for name in names(formula)))
    missing = [part for part in parts if part not in found]
    if missing or not parts or isinstance(formula, Name):
        raise no_column(missing[0] if missing else text, found, where, f"--map {column}={text}: ")
    return Source(column=column, text=to_text(formula), formula=formula, parts=parts, declared=True)


def no_column(
    column: str, found: Sequence[str], where: str, before: str = "", *, also: Sequence[str] = ()
) -> RunsError:
    """The error for a column that a table does not have; `also` names further columns to suggest."""
    shown = ", ".join(found[:12]) + (f" and {len(found) - 12} more" if len(found) > 12 else "")
    known = {plain(name): name for name in (*found, *also)}
    known = {name: shown for name, shown in known.items() if not set(name.split("_")) & _NOT_MEANT}
    near = difflib.get_close_matches(plain(column), known, 1)
    if not near or plain(column) not in near[0]:
        # A name that contains the wanted word is nearer than one of similar spelling: for loss, final_loss before flops.
        containing = [name for name in known if plain(column) in name.split("_")]
        near = (
            sorted(containing, key=lambda name: bool(set(name.split("_")) & {"best", "lowest", "train", "training"}))[
                :1
            ]
            or near
        )
    hint = f' Did you mean "{known[near[0]]}"?' if near else ""
    symbol = next((symbol for symbol, name in SYMBOLS.items() if name == column and symbol != "L"), column)
    remedy = "" if before else f" Map it: --map {symbol}=COLUMN."
    if column == "loss" and not before and (other := next((name for name in found if in_nats(name)), None)):
        remedy = (
            f" {other} is no loss in nats by its name; as one: --map 'loss={in_nats(other).format(name_text(other))}'."
        )
        hint = ""
    if len(found) == 1 and len(found[0].split()) > 1:
        remedy, hint = " Its columns are not separated by commas, semicolons or tabs. Save it as CSV.", ""
    return RunsError(f'{before}{where}: no column "{column}"; found {shown}.{hint}{remedy}')
