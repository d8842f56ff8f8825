"""A small server on loopback that answers what W&B's client asks about the runs of a project."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def wandb_server(project: str, runs: Sequence[dict[str, Any]], seen: list[str] | None = None) -> Iterator[str]:
    """The address of a server of one project; each run has id, name, state, config and history (rows)."""
    by_id = {run["id"]: run for run in runs}

    def node(run: dict[str, Any]) -> dict[str, Any]:
        keys = {key: {"typeCounts": [{"type": "number", "count": 1}]} for row in run["history"] for key in row}
        last = max((row["_step"] for row in run["history"]), default=-1)
        return {
            "id": run["id"],
            "name": run["id"],
            "displayName": run["name"],
            "state": run["state"],
            "config": json.dumps({key: {"value": value} for key, value in run["config"].items()}),
            "summaryMetrics": json.dumps(run["history"][-1] if run["history"] else {}),
            "historyKeys": {"sets": [], "keys": keys, "lastStep": last},
            "historyLineCount": len(run["history"]),
            "projectId": "1",
            **dict.fromkeys(
                ("sweepName", "group", "jobType", "commit", "description", "notes", "systemMetrics", "heartbeatAt")
            ),
            "tags": [],
            "readOnly": False,
            "createdAt": "2026-01-01T00:00:00",
            "user": {"name": "me", "username": "me"},
        }

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        query, variables = asked.get("query", ""), asked.get("variables") or {}
        viewer = {"id": "1", "entity": "team", "username": "me", "email": "", "flags": "{}", "teams": {"edges": []}}
        if "viewer" in query:
            return {"viewer": viewer}
        if variables.get("project") not in {None, project}:
            return {"project": None}
        one = next((by_id[value] for value in variables.values() if isinstance(value, str) and value in by_id), None)
        if one is not None:
            rows = [json.dumps(row) for row in one["history"] if _within(row, variables)]
            return {
                "project": {
                    "run": {**node(one), "history": rows, "parquetHistory": {"liveData": [], "parquetUrls": []}}
                }
            }
        edges = [{"node": node(run), "cursor": str(number)} for number, run in enumerate(runs)]
        page = {"endCursor": None, "hasNextPage": False}
        return {
            "project": {
                "internalId": "1",
                "runCount": len(runs),
                "readOnly": False,
                "runs": {"edges": edges, "pageInfo": page},
            }
        }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if seen is not None:
                seen.append(f"{self.path} {content.decode(errors='replace')}")
            if self.path != "/graphql":
                self.send_response(404)
                self.end_headers()
                return
            out = json.dumps({"data": answer(json.loads(content))}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _within(row: dict[str, Any], variables: dict[str, Any]) -> bool:
    low, high = variables.get("minStep", 0) or 0, variables.get("maxStep")
    return row["_step"] >= low and (high is None or row["_step"] < high)
