"""Histories of metrics from MLflow: a hundred runs at once where its server can, otherwise one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from rung.errors import RunsError
from rung.messages import first_line
from rung.runs.sources.mlflow_folder import finite_or_infinite
from rung.runs.sources.tracked_run import Metric

_RUNS, _RESULTS = 100, 25_000
"""Most runs of one request, and most values of its answer, by MLflow's own limits."""

_AT_ONCE = 4
"""Requests of histories at one time: as many as MLflow's server has workers by default."""

_PATH = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"

Point = tuple[float, float, float]
"""Timestamp, step and value."""


class Histories:
    """The histories of metrics, read in the background: who asks for one waits until its answer is there.

    A server answers some requests at once, and makes the later ones while the rows of the earlier ones are assembled.
    """

    def __init__(self, client: Any, runs: Sequence[Any], names: Iterable[str]) -> None:
        self._parts: dict[tuple[str, str], Future[dict[str, list[Point]]]] = {}
        parts = []
        for name in names:
            ids = [run.info.run_id for run in runs if name in run.data.metrics]
            parts += [(first, name, ids[first : first + _RUNS]) for first in range(0, len(ids), _RUNS)]
        pool = ThreadPoolExecutor(_AT_ONCE)
        # Those of the first runs first, in the order in which they are asked for.
        for _, name, ids in sorted(parts, key=lambda part: part[0]):
            answer = pool.submit(_part, client, ids, name)
            self._parts |= {(one, name): answer for one in ids}
        pool.shutdown(wait=False)

    def get(self, run_id: str, name: str) -> Metric | None:
        """The history of one metric of one run; None where it was not read, or is empty."""
        answer = self._parts.get((run_id, name))
        points = None if answer is None else answer.result().get(run_id)
        return _metric(points) if points else None

    def logged(self, run: Any) -> Mapping[str, Metric]:
        """The metrics of a run by name: those with a history as it comes, of the others the last value."""
        return _Logged(self, run)


class _Logged(Mapping[str, Metric]):
    """The metrics of one run, each read when it is first asked for."""

    def __init__(self, histories: Histories, run: Any) -> None:
        self._histories, self._run = histories, run
        self._known: dict[str, Metric] = {}

    def __getitem__(self, name: str) -> Metric:
        if name not in self._known:
            if name not in self._run.data.metrics:
                raise KeyError(name)
            try:
                found = self._histories.get(self._run.info.run_id, name)
            except Exception as error:  # noqa: BLE001  # the client raises its own, and a user needs one sentence
                raise RunsError(
                    f"the history of {name} cannot be read from MLflow: {first_line(error)[:300]}."
                ) from None
            self._known[name] = found or latest(self._run, name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._run.data.metrics)

    def __len__(self) -> int:
        return len(self._run.data.metrics)


def _part(client: Any, ids: list[str], name: str) -> dict[str, list[Point]]:
    """The values of one metric of many runs, by run."""
    together = _together(client, ids, name)
    if together is None:
        return {one: list(_single(client, one, name)) for one in ids}
    found: dict[str, list[Point]] = {}
    for one, point in together:
        found.setdefault(one, []).append(point)
    return found


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
