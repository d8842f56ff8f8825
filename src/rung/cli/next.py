"""`rung next`: which runs to make."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from rung.cli.budget import BUDGET, Machines, Spend, cluster_of, describe_price, flops_of, whole
from rung.cli.table_options import ROWS, LawOptions, TableOptions, pairs, read_law, read_selected, say
from rung.cli.text import table
from rung.errors import LadderError, PlanError, ReportError

if TYPE_CHECKING:
    from rung.fitting import Fit
    from rung.laws import Law
    from rung.planning.experiments import NextRuns
    from rung.runs import Runs

_BUILT_OFF = 0.1
"""By how much a size may be built off the plan without a word."""

WISH = Group("What for", sort_key=-1)
CHOICE = Group("Which runs can be made", sort_key=1)


def next_(
    source: Annotated[str | None, Parameter(name="RUNS")] = None,
    /,
    *,
    budget: Annotated[str | None, Parameter(group=BUDGET)] = None,
    spend: Spend = Spend(),  # noqa: B008  # frozen
    target: Annotated[tuple[str, ...], Parameter(group=WISH, negative="", consume_multiple=False)] = (),
    decide: Annotated[str | None, Parameter(group=WISH)] = None,
    law: Annotated[str, Parameter(group=WISH)] = "chinchilla",
    pool: Annotated[str | None, Parameter(group=CHOICE)] = None,
    box: Annotated[str | None, Parameter(group=CHOICE)] = None,
    cost: Annotated[str, Parameter(group=CHOICE)] = "6*N*D",
    most: Annotated[float, Parameter(group=CHOICE)] = 100,
    noise: Annotated[float | None, Parameter(group=CHOICE)] = None,
    level: float = 0.9,
    seed: int = 0,
    machines: Machines = Machines(),  # noqa: B008  # frozen
    loss_column: Annotated[str | None, Parameter(group=ROWS)] = None,
    objective: Annotated[str | None, Parameter(group=ROWS)] = None,
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    like: str | None = None,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Choose the runs that sharpen a forecast or a decision most for a budget.

    Parameters
    ----------
    source
        The runs that were made, two or more, or a fit of them (.json); without it, the law of --law with the book's constants stands in.
    budget
        What all new runs may cost together, in FLOPs: 1e21.
    target
        A run whose loss is to be known: N=70B,D=1.4T. Repeatable.
    decide
        A compute at which the best size is to be known: 1e24.
    law
        The law; chinchilla by default. Without runs, one of the book with constants, such as besiroglu-2024.
    pool
        A table of the runs that can be made, with the law's variables.
    box
        Instead: the smallest and largest of each variable, N=10M:1B,D=1B:100B; by default from the smallest run to ten times the largest.
    cost
        What a run costs in FLOPs, as a formula; "6*N*D" by default.
    most
        How many runs at most; 100 by default.
    noise
        Spread of a run about the law, as a share of the loss; from the runs by default.
    loss_column
        The column that the law predicts; loss unless the law says otherwise.
    objective
        As for rung fit, which is then made first; otherwise what the runs say of a target is taken with a weak prior, however few they are.
    level
        Coverage of the intervals; 0.9 by default.
    seed
        Seed of the starts; 0 by default.
    like
        A ladder file whose family, corpus and recipe the plan's ladder file takes over.
    output
        Write the plan: .csv, or .toml for a ladder file, which rung ladder run trains.
    json
        Print one JSON object instead of text.
    """
    from rung.files import require_writable, write_text
    from rung.ladder import head_of
    from rung.planning.cost import cost as price_of
    from rung.planning.experiments import HEAD, next_runs
    from rung.runs import read_runs
    from rung.units import parse_number

    if output:
        if not output.lower().endswith((".csv", ".toml")):
            raise ReportError(f"-o {output}: a plan is written as .csv or, as a ladder file, .toml.")
        require_writable(output)
    if like and not (output and output.lower().endswith(".toml")):
        raise PlanError("--like is for a plan that is written as a ladder file: -o plan.toml.")
    if like and output and Path(like).resolve().parent != Path(output).resolve().parent:
        raise PlanError(f"-o {output}: paths of a ladder file start from its folder, so write the plan beside {like}.")
    head = head_of(like) if like else HEAD
    allowed = flops_of(machines, spend, budget=budget)
    if allowed is None:
        raise PlanError("give a budget: --budget 1e21, or --hours, --days, --money with --hardware.")
    if pool and box:
        raise PlanError("--pool and --box are two sets of runs; give one.")
    known, law_taken, column = _known(
        source, law, LawOptions(target=loss_column, objective=objective), rows, level, fitted=bool(decide)
    )
    found = next_runs(
        known,
        law=law_taken,
        target=column,
        budget=allowed,
        targets=[
            {name: parse_number(text) for name, text in pairs(one.split(","), "--target").items()} for one in target
        ],
        decide=parse_number(decide) if decide else None,
        pool=read_runs(pool) if pool else None,
        box=_box(box) if box else None,
        cost=cost,
        most=whole(most, "--most"),
        level=level,
        noise=noise,
        seed=seed,
    )
    if output and output.lower().endswith(".csv"):
        write_text(output, found.to_csv())
    elif output:
        write_text(output, _ladder(found, head, output))
    cluster = cluster_of(machines)
    price = price_of(found.spent, cluster) if cluster else None
    if json:
        print(json_module.dumps(found.to_dict() | ({"price": price.to_dict()} if price else {}), allow_nan=False))
    else:
        print("\n".join([describe(found), *(["", *describe_price(price)] if price else [])]))
    say(*(f"warning: {finding.text}" for finding in found.warnings))


def _ladder(found: NextRuns, head: str, output: str) -> str:
    """The plan as a ladder file that its family can build; what it builds otherwise than planned is said."""
    import tomllib

    from rung.ladder import ladder_of
    from rung.units import format_count

    text = found.to_ladder(head)
    place = Path(output)
    try:
        rungs = ladder_of(tomllib.loads(text), output, place.parent / place.stem, place.parent).rungs
    except LadderError as error:
        raise PlanError(
            f"the plan is not what the ladder's family can train: {error.text} Choose another --box or --pool."
        ) from None
    for one, rung in zip(found.runs, rungs, strict=True):
        asked = one.inputs.get("params")
        if asked and abs(rung.params / asked - 1) > _BUILT_OFF:
            say(
                f"warning: {rung.name}: {format_count(asked)} parameters were planned, the nearest size built has {format_count(rung.params)}."
            )
    return text


def _known(
    source: str | None, law: str, measure: LawOptions, selection: TableOptions, level: float, *, fitted: bool
) -> tuple[Fit | Runs | str, Law | str, str | None]:
    """What is known, the law of a table of runs, and the column that it predicts."""
    from rung.fitting import fit, read_fit

    if source is None:
        return law, law, None
    if source.lower().endswith(".json"):
        if (law, measure, selection) != ("chinchilla", LawOptions(), TableOptions()):
            raise PlanError(
                f"{source} is fitted already: laws, columns and rows are chosen where the fit is made, with rung fit."
            )
        return read_fit(source), law, None
    wish = read_law(law, read_selected(source, selection), selection, measure)
    if not fitted and measure.objective is None:
        return wish.runs, wish.law, wish.target
    found = fit(wish.runs, wish.law, objective=wish.objective, target=wish.target, level=level, draws=0)
    return found, wish.law, None


def _box(text: str) -> dict[str, tuple[float, float]]:
    from rung.units import parse_number

    found = {}
    for name, span in pairs(text.split(","), "--box").items():
        ends = span.split(":")
        if len(ends) != 2:
            raise PlanError(f"--box {name}={span}: write LOW:HIGH, such as N=10M:1B.")
        found[name] = (parse_number(ends[0]), parse_number(ends[1]))
    return found


def describe(found: NextRuns) -> str:
    """A plan as text for people."""
    from rung.units import format_count, format_interval, format_value

    def show(number: float) -> str:
        return format_count(number) if number > 1e4 else format_value(number)

    percent = f"{100 * found.level:g} %"
    aims = [
        [one.name, show(one.value), format_interval(*one.before, show), format_interval(*one.after, show)]
        for one in found.targets
    ]
    columns = list(found.runs[0].inputs)
    runs = [
        [
            *(format_count(value) for value in one.inputs.values()),
            format_count(one.cost),
            f"{100 * one.relative_se_after:.3g} %",
        ]
        for one in found.runs
    ]
    source = f"from {found.prior} of the law book, for want of runs" if found.prior else "from the runs made"
    return "\n".join(
        [
            f"{len(found.runs)} of {found.candidates} affordable runs, {format_count(found.spent)} of {format_count(found.budget)} by {found.cost}; {source}",
            "",
            table(["to be known", "now", f"{percent} interval now", "expected after the plan"], aims),
            "",
            table([*columns, "cost", "error of what is to be known, then"], runs),
        ]
    )
