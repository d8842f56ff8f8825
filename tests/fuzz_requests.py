"""Random requests to the app: no error of the server, no hang, and nothing outside its folders.

python tests/fuzz_requests.py --requests 5000 [--seed 0]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from rung.app import Workspace, make_app
from rung.app.fields import MAPPED
from rung.app.questions import QUESTIONS, fields_of

SLOWEST_S = 20.0
"""Time that a request may take [s]."""

TEXTS = [
    *(
        "",
        " ",
        "0",
        "-1",
        "1e24",
        "1e999",
        "nan",
        "inf",
        "70B",
        "1,5",
        "'",
        '"',
        "<script>alert(1)</script>",
        "\0",
        "\n",
        "\r\nX: y",
    ),
    *(
        "é" * 200,
        "𠀀",
        "../../etc/passwd",
        "/etc/passwd",
        "upload:",
        "upload:../x",
        "loss",
        "params",
        "run",
        "recipe",
        "C",
        "N",
    ),
    *(
        "E + A / N^alpha",
        "E + A / N^",
        "E[recipe] + A / N^alpha",
        "chinchilla",
        "nolaw",
        "x" * 5000,
        "params > 1e7",
        "params >",
    ),
    *(
        "1 = 1; drop table runs",
        "h100-sxm",
        "treated,control",
        "a,b",
        "6*N*D",
        "N^",
        "true",
        "runs.csv",
        "recipes.csv",
        "broken.csv",
    ),
]

METHODS = ["GET"] * 8 + ["POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"]


def paths(rng: random.Random) -> str:
    word = rng.choice(["a.csv", "%00", "..%2f..%2fx.csv", "x" * 300, "7", "99999999999999999999", "zz", "basic", "<b>"])
    fixed = ["/", "/law", "/at", "/import", "/ladder", "/ladder/data", "/ladder/stop", "/papers", "/papers/feed.xml"]
    named = [f"/tables/{word}", f"/jobs/{word}/cancel", f"/answers/{word}/{word}", f"/static/{word}", f"/papers/{word}"]
    named += [f"/papers/{word}/change", f"/papers/of/{word}", f"/papers/import/{word}", f"/{word}"]
    return rng.choice([*fixed, *named, *(f"/{name}" for name in QUESTIONS for _ in range(3))])


def parameters(rng: random.Random, path: str) -> dict[str, str]:
    question = QUESTIONS.get(path.strip("/"))
    names = [f"map-{column}" for column in MAPPED] + [
        "at-params",
        "at-tokens",
        "level-recipe",
        "folder",
        "store",
        "q",
        "tag",
        "note",
        "vote",
    ]
    if question is not None:
        names += [field.name for field in fields_of(question)] * 4
    found = {rng.choice(names): rng.choice(TEXTS) for _ in range(rng.randrange(5))}
    if question is not None and rng.random() < 0.9:
        found["table"] = rng.choice(["runs.csv", "recipes.csv", "broken.csv", *TEXTS[-3:], rng.choice(TEXTS)])
        found["ask"] = "1"
    return found


def headers(rng: random.Random) -> dict[str, str]:
    odd = {"host": ["evil.example", "127.0.0.1", "[::1]"], "origin": ["http://[", "null", "http://127.0.0.1"]}
    odd |= {
        "cookie": ["rung_token=x", "=;;="],
        "content-length": ["5"],
        "sec-fetch-site": ["cross-site", "same-origin"],
    }
    name = rng.choice(list(odd))
    return {name: rng.choice(odd[name])} if rng.random() < 0.15 and name != "content-length" else {}


def fuzz(count: int, seed: int) -> tuple[list[str], dict[int, int], float]:
    """What went wrong, how often each status came, and the slowest request [s]."""
    from starlette.testclient import TestClient

    from test_app import table_of_runs

    place = Path(tempfile.mkdtemp())
    table_of_runs(place / "runs.csv")
    table_of_runs(place / "recipes.csv", recipes=True)
    (place / "broken.csv").write_text("params,tokens,loss\n1e7,1e9,abc\n")
    rng = random.Random(seed)
    finds, statuses, slowest = [], {}, 0.0
    app = make_app(Workspace.of([place], place / "state"), workers=2)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False, follow_redirects=False) as client:
        for number in range(count):
            path, method = paths(rng), rng.choice(METHODS)
            sent = parameters(rng, path)
            body = rng.choice([b"", b"a=b", rng.randbytes(50), str(sent).encode()]) if method != "GET" else None
            begun = time.perf_counter()
            try:
                found = client.request(method, path, params=sent, content=body, headers=headers(rng))
            except Exception as error:  # noqa: BLE001  # whatever it is, it is a find
                finds.append(f"{seed}-{number}: {method} {path} {sent}: {type(error).__name__}: {error}")
                continue
            slowest = max(slowest, time.perf_counter() - begun)
            statuses[found.status_code] = statuses.get(found.status_code, 0) + 1
            wrong = found.status_code >= 500 or "fault of Rung itself" in found.text or "Traceback" in found.text
            if wrong or "root:" in found.text or "<script>alert" in found.text:
                finds.append(f"{seed}-{number}: {method} {path} {sent}: {found.status_code} {found.text[:0]}")
    if slowest > SLOWEST_S:
        finds.append(f"a request took {slowest:.1f} s")
    return finds, statuses, slowest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    finds, statuses, slowest = fuzz(options.requests, options.seed)
    print("\n".join(finds))
    print(
        f"{len(finds)} finds in {options.requests} requests, seed {options.seed}; slowest {slowest:.1f} s; statuses {dict(sorted(statuses.items()))}"
    )
    sys.exit(bool(finds))


if __name__ == "__main__":
    main()
