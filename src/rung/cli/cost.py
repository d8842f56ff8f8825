"""`rung cost`: hours, money, energy and memory of a training."""

from __future__ import annotations

import json as json_module
from typing import Annotated

from cyclopts import Parameter

from rung.cli.budget import Machines, cluster_of, describe_price
from rung.cli.table_options import pairs
from rung.cli.text import table
from rung.errors import PlanError


def cost(
    *inputs: Annotated[str, Parameter(name="NAME=VALUE")],
    flops: str | None = None,
    cost: str = "6*N*D",
    bytes_per_param: float = 16.0,
    machines: Machines = Machines(),  # noqa: B008  # frozen
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Tell what a training takes: hours, money, energy, and memory of its state.

    Parameters
    ----------
    inputs
        The names of the cost: N=7B D=2T.
    flops
        What the training computes, instead of the names.
    cost
        What a run costs in FLOPs, as a formula of the names; "6*N*D" by default.
    bytes_per_param
        Bytes of weight, gradient and optimizer state for one parameter; 16 by default (mixed precision with Adam).
    json
        Print one JSON object instead of text.
    """
    from rung.planning.cost import Cluster, Price, evaluate_cost, hardware
    from rung.planning.cost import cost as price_of
    from rung.units import format_count, format_value, parse_number

    if machines.hardware in {None, "list"}:
        if inputs or flops:
            raise PlanError("name a machine: --hardware h100-sxm. rung cost --hardware list names them.")
        known = hardware(machines.hardware_file)
        if json:
            print(
                json_module.dumps(
                    {
                        name: {field: getattr(one, field) for field in one.__dataclass_fields__}
                        for name, one in known.items()
                    }
                )
            )
            return
        rows = [
            [name, format_count(one.peak_flops), format_count(one.memory), format_value(one.power, 3), one.source]
            for name, one in known.items()
        ]
        print(table(["hardware", "peak FLOP/s", "memory, bytes", "power, W", "source"], rows))
        return
    cluster = cluster_of(machines)
    assert isinstance(cluster, Cluster)
    given = {name: parse_number(text) for name, text in pairs(inputs, "input").items()}
    if flops is not None and given.keys() - {"N", "params"}:
        raise PlanError("give what the training computes (--flops) or the names of the cost (N=7B D=2T), not both.")
    if flops is None and not given:
        raise PlanError("say what is trained: N=7B D=2T, or --flops 1e23.")
    total = parse_number(flops) if flops is not None else evaluate_cost(cost, given)
    params = given.get("N", given.get("params"))
    price: Price = price_of(total, cluster, params=params, bytes_per_param=bytes_per_param)
    if json:
        print(json_module.dumps(price.to_dict()))
        return
    print(
        "\n".join(
            [
                f"computes   {format_count(total)} FLOPs",
                *describe_price(price),
                f"source     {cluster.accelerator.source}",
            ]
        )
    )
