"""Runs from MLflow: a server, a database, or a folder of its older file store."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlparse

from rung.errors import RunsError
from rung.messages import first_line
from rung.runs.sources.mlflow_folder import is_store, read_folder
from rung.runs.sources.mlflow_history import Histories
from rung.runs.sources.needs import needs, no_experiment
from rung.runs.sources.tokens import is_along
from rung.runs.sources.tracked_run import Found, TrackedRun
from rung.runs.status import status_of

_FIRST_ANSWER_S, _LATER_ANSWERS_S = 8, 120
"""Time that a server has for its first answer, which is asked for twice, and for each later one [s]."""

_SEARCH = "/api/2.0/mlflow/runs/search"

_PAGE = 10_000
"""Runs of one answer, as many as MLflow's own table of runs asks for."""

_SQLITE = b"SQLite format 3\0"


def read_mlflow(address: str, experiment: str = "", wanted: Collection[str] = ()) -> Found:
    """The runs of an experiment; of all experiments where none is named.

    Metrics that may be the loss, the step, the tokens or the batch are read with their history, and so are those that are
    wanted; of the others the last value is read.

    Raises:
        RunsError: mlflow is not installed, the place is not there or does not answer, or there is no such experiment.
    """
    address = _checked(address)
    if (folder := _folder(address)) is not None:
        return read_folder(folder, experiment)
    # By default the client retries for minutes, while a person waits; a server that answers at all may take its time.
    given = os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(_FIRST_ANSWER_S))
    try:
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError:
        raise needs("mlflow", "mlflow") from None
    # A store that it opens is announced on standard error, and its database layer warns of its own future.
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client = MlflowClient(tracking_uri=address or None)
            found = client.search_experiments()
            os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = given or str(_LATER_ANSWERS_S)
            experiments = {one.name: one.experiment_id for one in found}
            chosen = [experiments[experiment]] if experiment in experiments else list(experiments.values())
            runs = list(_runs(client, chosen, wanted)) if experiment in {"", *experiments} else []
    except Exception as error:  # noqa: BLE001  # MLflow, databases and drivers raise their own, and a user needs one sentence
        raise RunsError(f"mlflow:{address} cannot be read: {first_line(error)[:300]}.") from None
    if experiment and experiment not in experiments:
        raise no_experiment(address, experiment, list(experiments))
    return Found(runs=runs)


def _checked(address: str) -> str:
    """The address, with a path to a database as SQLite's; nothing is created at an address that is mistyped.

    Raises:
        RunsError: There is no such file, or it is no database.
    """
    plain = Path(address)
    if plain.is_file() and _is_database(plain):
        address = f"sqlite:///{plain.resolve()}"
    if address.startswith("sqlite:"):
        place = unquote(urlparse(address).path)[1:]
        file = Path(place)
        if not file.is_file():
            raise RunsError(
                f"mlflow:{address}: there is no file {place}. Give the path of the database: sqlite:///runs.db, or sqlite:////absolute/runs.db."
            )
        if not _is_database(file):
            raise RunsError(f"mlflow:{address}: {place} is no SQLite database.")
    elif address and "://" not in address and not plain.exists():
        raise RunsError(
            f"mlflow:{address}: there is no such file or folder. Give http://SERVER, sqlite:///FILE, or a folder mlruns."
        )
    return address


def _is_database(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(16) == _SQLITE


def _folder(address: str) -> Path | None:
    """The folder of a file store that an address means; None where it means something else.

    Raises:
        RunsError: The folder is not there, or is none of MLflow's.
    """
    if address.startswith("file:"):
        folder = Path(unquote(urlparse(address).path) or address.removeprefix("file:"))
    elif address and "://" not in address:
        folder = Path(address)
    else:
        return None
    if not folder.is_dir():
        raise RunsError(f"mlflow:{address}: there is no folder {folder}.")
    if is_store(folder):
        return folder
    if is_store(folder / "mlruns"):
        return folder / "mlruns"
    raise RunsError(
        f"mlflow:{address}: {folder} holds no runs of MLflow (a folder for each experiment, with meta.yaml)."
    )


class _Page(list[Any]):
    """Runs of one answer, and the token of the next; empty for none."""

    token: str = ""


def _answer(client: Any, experiments: list[str], token: str | None) -> _Page | None:
    """One answer of a server as it came; None where the store is no server, or answers otherwise.

    The client would take every number of it apart by its protocol, for half of the time that the server needs.
    """
    store: Any = getattr(getattr(client, "_tracking_client", None), "store", None)
    if not hasattr(store, "get_host_creds"):
        return None
    try:
        from mlflow.utils import rest_utils

        ask: Any = rest_utils.http_request
        asked = {"experiment_ids": experiments, "max_results": _PAGE, **({"page_token": token} if token else {})}
        response = ask(host_creds=store.get_host_creds(), endpoint=_SEARCH, method="POST", json=asked)
        if response.status_code != 200:
            return None
        content = response.json()
        page = _Page(map(_run_of, content.get("runs", [])))
        page.token = content.get("next_page_token", "")
    except (AttributeError, KeyError, TypeError, ValueError, ImportError):
        # Another version of MLflow, or another server behind its interface.
        return None
    return page


def _run_of(content: Any) -> SimpleNamespace:
    """A run of a server's answer, with what is used of the client's own."""
    info, data = content["info"], content.get("data", {})
    points = [
        SimpleNamespace(
            key=one["key"], value=float(one["value"]), timestamp=float(one["timestamp"]), step=float(one.get("step", 0))
        )
        for one in data.get("metrics", [])
    ]
    return SimpleNamespace(
        info=SimpleNamespace(run_id=info["run_id"], run_name=info.get("run_name", ""), status=info.get("status", "")),
        data=SimpleNamespace(
            metrics={one.key: one.value for one in points},
            params={one["key"]: one["value"] for one in data.get("params", [])},
            _metric_objs=points,
        ),
    )


def _pages(client: Any, experiments: list[str]) -> Iterator[Any]:
    """The pages of runs; the next one is asked for while the one before is worked on."""

    def ask(token: str | None) -> Any:
        return _answer(client, experiments, token) or client.search_runs(
            experiments, max_results=_PAGE, page_token=token
        )

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(ask, None)
        while True:
            page = coming.result()
            if not page.token:
                yield page
                return
            coming = pool.submit(ask, page.token)
            yield page


def _runs(client: Any, experiments: list[str], wanted: Collection[str]) -> Iterator[TrackedRun]:
    for page in _pages(client, experiments):
        names = {name for run in page for name in run.data.metrics}
        along = {name for name in names if name in wanted or is_along(name)}
        history = Histories(client, page, sorted(along))
        for run in page:
            run_id = run.info.run_id
            yield TrackedRun(
                name=run.info.run_name or run_id,
                identity=run_id[:8],
                config=dict(run.data.params),
                logged=history.logged(run),
                status=status_of(run.info.status),
            )
