"""Histories of metrics from MLflow: a hundred runs at once where its server can, otherwise one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rung.progress import reported
from rung.runs.sources.mlflow_folder import finite_or_infinite
from rung.runs.sources.tracked_run import Metric

_RUNS, _RESULTS = 100, 25_000
"""Most runs of one request, and most values of its answer, by MLflow's own limits."""

_AT_ONCE = 4
"""Requests of histories at one time: as many as MLflow's server has workers by default."""

_PATH = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"

Point = tuple[float, float, float]
"""Timestamp, step and value."""


def histories(client: Any, runs: Sequence[Any], names: Iterable[str]) -> dict[tuple[str, str], Metric]:
    """The history of each metric of each run, by run id and name."""
    found: dict[tuple[str, str], list[Point]] = {}
    parts = []
    for name in names:
        ids = [run.info.run_id for run in runs if name in run.data.metrics]
        parts += [(name, ids[first : first + _RUNS]) for first in range(0, len(ids), _RUNS)]
    # A server answers some requests at once, and reads while the answers before are taken apart here.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = pool.map(lambda part: _together(client, part[1], part[0]), parts)
        for (name, ids), together in zip(reported(parts, "metrics"), answers, strict=True):
            if together is None:
                found |= {(one, name): list(_single(client, one, name)) for one in ids}
                continue
            for one, point in together:
                found.setdefault((one, name), []).append(point)
    return {key: _metric(points) for key, points in found.items()}


def latest(run: Any, name: str) -> Metric:
    """The last value of a metric alone, at its step."""
    known = {metric.key: metric for metric in getattr(run.data, "_metric_objs", ())}
    one = known.get(name)
    value = finite_or_infinite(float(run.data.metrics[name]))
    return Metric.of([(float(one.step) if one else 0.0, value)], [float(one.timestamp) if one else 0.0])


def _metric(points: list[Point]) -> Metric:
    """Values in the order of their clock."""
    ordered = [point for _, point in sorted(enumerate(points), key=lambda pair: (pair[1][0], pair[0]))]
    return Metric.of(((step, finite_or_infinite(value)) for _, step, value in ordered), (at for at, *_ in ordered))


def _single(client: Any, run_id: str, name: str) -> Iterator[Point]:
    for one in client.get_metric_history(run_id, name):
        yield float(one.timestamp), float(one.step), float(one.value)


def _together(client: Any, ids: list[str], name: str) -> list[tuple[str, Point]] | None:
    """The values of many runs by one request; None where the store cannot, or has more values than one answer holds."""
    store: Any = getattr(getattr(client, "_tracking_client", None), "store", None)
    try:
        if hasattr(store, "get_metric_history_bulk"):
            answer = [one.to_dict() for one in store.get_metric_history_bulk(ids, name, _RESULTS)]
        else:
            from mlflow.utils import rest_utils

            ask: Any = rest_utils.http_request
            response = ask(
                host_creds=store.get_host_creds(),
                endpoint=_PATH,
                method="GET",
                params={"run_id": ids, "metric_key": name},
            )
            if response.status_code != 200:
                return None
            answer = response.json()["metrics"]
        points = [
            (str(one["run_id"]), (float(one["timestamp"]), float(one["step"]), float(one["value"]))) for one in answer
        ]
    except (AttributeError, KeyError, TypeError, ValueError, ImportError):
        # Another version of MLflow, or another server behind its interface.
        return None
    return points if len(points) < _RESULTS else None
