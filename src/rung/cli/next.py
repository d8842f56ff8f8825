"""`rung next`: which runs to make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.budget import Machines, OtherBudget, cluster_of, flops_of, whole
from rung.cli.options import QUESTION, Budget, Cost, Figure, Json, Law, Level, Output, Runs, Seed
from rung.cli.output import content_of, figure_kinds, require_kinds, say, scene_of, show
from rung.cli.table_options import LawOptions, TableOptions, pairs, read_law, read_selected
from rung.errors import LadderError, PlanError

if TYPE_CHECKING:
    from rung.planning.experiments import NextRuns
    from rung.report import Scene

_BUILT_OFF = 0.1
"""How far off the plan a size may be built without a warning."""

_KINDS = {".csv": "the runs", ".toml": "a ladder file", ".json": "the plan"}


@Parameter(name="*", group=QUESTION)
@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What is to become sharper, and which runs can be made."""

    target: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)] = ()
    """A run whose loss is to be known: N=70B,D=1.4T; repeatable. Without "=", the column that the law predicts, as in rung fit."""
    decide: str | None = None
    """A compute at which the best size is to be known: 1e24."""
    objective: str | None = None
    """As for rung fit, which is then made first; otherwise a weak prior supports the runs, however few they are."""
    pool: str | None = None
    """A table of the runs that can be made, with the law's variables; - for CSV on standard input."""
    design: str | None = None
    """A table of runs that are all to be made: how sharp the targets then are, before any is run; needs no budget."""
    box: str | None = None
    """Instead: the smallest and largest of each variable, N=10M:1B,D=1B:100B; by default from the smallest run to ten times the largest."""
    most: float = 100
    """How many runs at most; 100 by default."""
    noise: float | None = None
    """Standard deviation of a run about the law, as a share of the loss; from the runs by default."""
    like: str | None = None
    """A ladder file whose family, corpus and recipe the plan's ladder file takes over."""

    def law_options(self) -> LawOptions:
        """The column and the objective of the fit."""
        columns = [one for one in self.target if "=" not in one]
        if len(columns) > 1:
            raise PlanError(f"--target {columns[1]}: the law predicts one column, and {columns[0]} is named already.")
        return LawOptions(target=columns[0] if columns else None, objective=self.objective)


def next_(
    *runs: Runs,
    plan: PlanOptions = PlanOptions(),  # frozen
    flops: Budget = None,
    other: OtherBudget = OtherBudget(),  # noqa: B008  # frozen
    law: Law = "chinchilla",
    cost: Cost = "6*N*D",
    machines: Machines = Machines(),  # noqa: B008  # frozen
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Choose the runs that sharpen a forecast or a decision most for a budget.

    Without RUNS, the law of --law with the book's constants stands in. RUNS may also be a fit (.json).
    """
    from rung.planning.cost import cost as price_of

    kinds = require_kinds(output, _KINDS) | figure_kinds(figure)
    head = _head(plan.like, kinds)
    budget = flops_of(machines, other, budget=flops)
    if budget is None and not plan.design:
        raise PlanError(
            "give a budget: --flops 1e21, or --hours, --days, --money with --hardware; or score a --design."
        )
    given = [f"--{name}" for name in ("pool", "design", "box") if getattr(plan, name)]
    if len(given) > 1:
        raise PlanError(f"{' and '.join(given)} are two sets of runs; give one.")
    known = _known(runs, law, plan.law_options(), rows, level, fitted=bool(plan.decide))
    found = _plan(known, plan, budget=budget, cost=cost, level=level, seed=seed)
    _write(found, kinds, head, scene_of(kinds, runs=_made(known)))
    cluster = cluster_of(machines)
    price = price_of(found.spent, cluster) if cluster else None
    show(found, json=json, more={"price": price.to_dict()} if price else {}, below=[price] if price else [])


def _head(like: str | None, kinds: dict[str, str]) -> str | None:
    """What the ladder file of the plan says beside its rungs; None for the default."""
    if like is None:
        return None
    from rung.ladder import head_of

    ladders = [path for path, kind in kinds.items() if kind == ".toml"]
    if not ladders:
        raise PlanError("--like is for a plan that is written as a ladder file: -o plan.toml.")
    for path in ladders:
        if Path(like).resolve().parent != Path(path).resolve().parent:
            raise PlanError(
                f"-o {path}: paths of a ladder file start from its folder, so write the plan beside {like}."
            )
    return head_of(like)


def _plan(known: dict[str, Any], plan: PlanOptions, **options: Any) -> NextRuns:
    from rung.planning.experiments import next_runs
    from rung.runs import read_runs
    from rung.units import parse_number

    return next_runs(
        **known,
        targets=[
            {name: parse_number(text) for name, text in pairs(one.split(","), "--target").items()}
            for one in plan.target
            if "=" in one
        ],
        decide=parse_number(plan.decide) if plan.decide else None,
        pool=read_runs(plan.pool) if plan.pool else None,
        design=read_runs(plan.design) if plan.design else None,
        box=_box(plan.box) if plan.box else None,
        most=whole(plan.most, "--most"),
        noise=plan.noise,
        **options,
    )


def _made(known: dict[str, Any]) -> Any:
    """The runs that were made: those of a table, or those that a fit keeps; None for a law of the book."""
    from rung.fitting import Fit
    from rung.report import kept_runs

    source = known["known"]
    return None if isinstance(source, str) else kept_runs(source) if isinstance(source, Fit) else source


def _write(found: NextRuns, kinds: dict[str, str], head: str | None, scene: Scene | None) -> None:
    from rung.files import write_all

    contents: dict[str | Path, bytes] = {}
    for path, kind in kinds.items():
        match kind:
            case ".toml":
                contents[path] = _ladder(found, head, path).encode()
            case ".csv":
                contents[path] = found.to_csv().encode()
            case _:
                contents[path] = content_of(found, kind, scene)
    write_all(contents)


def _ladder(found: NextRuns, head: str | None, output: str) -> str:
    """The plan as a ladder file that its family can build, with a warning where a size is built off the plan."""
    import tomllib

    from rung.ladder import ladder_of
    from rung.units import format_count

    text = found.to_ladder() if head is None else found.to_ladder(head)
    path = Path(output)
    try:
        rungs = ladder_of(tomllib.loads(text), output, path.parent / path.stem, path.parent).rungs
    except LadderError as error:
        raise PlanError(
            f"the ladder's family cannot train the plan: {error.text} Choose another --box or --pool."
        ) from None
    for one, rung in zip(found.runs, rungs, strict=True):
        asked = one.inputs.get("params")
        if asked and abs(rung.params / asked - 1) > _BUILT_OFF:
            say(
                f"warning: {rung.name}: {format_count(asked)} parameters were planned, the nearest size built has {format_count(rung.params)}."
            )
    return text


def _known(
    sources: Sequence[str], law: str, options: LawOptions, rows: TableOptions, level: float, *, fitted: bool
) -> dict[str, Any]:
    """What is known, as arguments of next_runs: a fit, a table with its law and target, or a law of the book."""
    from rung.fitting import fit, read_fit

    if not sources:
        return {"known": law}
    if len(sources) == 1 and sources[0].lower().endswith(".json"):
        if (law, options, rows) != ("chinchilla", LawOptions(), TableOptions()):
            raise PlanError(
                f"{sources[0]} is fitted already: laws, columns and rows are chosen where the fit is made, with rung fit."
            )
        return {"known": read_fit(sources[0])}
    choice = read_law(law, read_selected(sources, rows, options.target), rows, options)
    if not fitted and options.objective is None:
        return {"known": choice.runs, "law": choice.law, "target": choice.target}
    made = fit(choice.runs, choice.law, objective=choice.objective, target=choice.target, level=level, draws=0)
    return {"known": made}


def _box(text: str) -> dict[str, tuple[float, float]]:
    from rung.units import parse_number

    found = {}
    for name, span in pairs(text.split(","), "--box").items():
        bounds = span.split(":")
        if len(bounds) != 2:
            raise PlanError(f"--box {name}={span}: write LOW:HIGH, such as N=10M:1B.")
        found[name] = (parse_number(bounds[0]), parse_number(bounds[1]))
    return found
