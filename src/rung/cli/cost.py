"""`rung cost`: hours, money, energy and memory of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rung.cli.budget import Machines, cluster_of
from rung.cli.options import Budget, BytesPerParam, Cost, Figure, Inputs, Json, Output
from rung.cli.output import as_json, figure_kinds, require_kinds, show, write_result
from rung.cli.table_options import pairs
from rung.errors import PlanError

if TYPE_CHECKING:
    from rung.planning.cost import Accelerator


def cost(
    *inputs: Inputs,
    flops: Budget = None,
    cost: Cost = "6*N*D",
    machines: Machines = Machines(),  # noqa: B008  # frozen
    bytes_per_param: BytesPerParam = 16.0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Work out what a training takes: hours, money, energy, and memory of its state.

    Parameters
    ----------
    inputs
        The names of the cost: N=7B D=2T.
    """
    from rung.planning.cost import cost as price_of
    from rung.planning.cost import evaluate_cost, hardware
    from rung.units import parse_number

    kinds = require_kinds(output, {".json": "the price"}) | figure_kinds(figure)
    if machines.hardware == "list" or (machines.hardware is None and not (inputs or flops)):
        if figure:
            raise PlanError(f"{figure[0]}: the list of machines has no figure. State a training: N=7B D=2T.")
        _list(hardware(machines.hardware_file), json=json)
        return
    cluster = cluster_of(machines)
    if cluster is None:
        raise PlanError("name a machine: --hardware h100-sxm. rung cost --hardware list names them.")
    given = {name: parse_number(text) for name, text in pairs(inputs, "input").items()}
    if flops is not None and given.keys() - {"N", "params"}:
        raise PlanError("give what the training computes (--flops) or the names of the cost (N=7B D=2T), not both.")
    if flops is None and not given:
        raise PlanError("state what is trained: N=7B D=2T, or --flops 1e23.")
    total = parse_number(flops) if flops is not None else evaluate_cost(cost, given)
    params = given.get("N", given.get("params"))
    price = price_of(total, cluster, params=params, bytes_per_param=bytes_per_param)
    write_result(price, kinds)
    show(price, json=json)


def _list(known: dict[str, Accelerator], *, json: bool) -> None:
    from rung.results import Table
    from rung.units import format_bytes, format_count, format_value

    if json:
        print(
            as_json(
                {
                    name: {field: getattr(one, field) for field in one.__dataclass_fields__}
                    for name, one in known.items()
                }
            )
        )
        return
    rows = [
        [name, format_count(one.peak_flops), format_bytes(one.memory), format_value(one.power, 3), one.source]
        for name, one in known.items()
    ]
    print(Table(["hardware", "peak FLOP/s", "memory", "power, W", "source"], rows).text())
