"""Odd and damaged inputs, drawn at random from a seed, through the command line.

    python tests/fuzz.py --inputs 10000 [--seed 0] [--kinds tables stores]

Each input must end in an answer or in one sentence: no traceback, nothing above 20 s, no half-written file. Where a store
or a file carries checksums and was damaged, an answer must be that of the whole input, or come with a warning. A find
prints its command and keeps its files; every find becomes a test.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from planted import LADDER

LIMIT_S = 20
"""CPU seconds that an input may take; a machine with other work takes longer by the clock."""

COMMANDS = (
    "fit",
    "select",
    "backtest",
    "forecast",
    "allocate",
    "tune",
    "next",
    "cost",
    "compare",
    "density",
    "laws",
    "import",
)


@dataclass
class Case:
    """A command line, and what a damaged input of it must give.

    Attributes:
        arguments: The command line.
        whole: What the command prints for the whole input, as JSON; None where the damage cannot be told from a value.
    """

    arguments: list[str]
    whole: str | None = None


@dataclass
class Outcome:
    status: int
    out: str
    err: str
    seconds: float
    problem: str = ""


class TooLong(BaseException):
    pass


def execute(arguments: list[str]) -> Outcome:
    """Run a command line in this process."""
    from rung.cli import _run
    from rung.errors import RungError

    def late(*_: object) -> None:
        raise TooLong

    out, err = io.StringIO(), io.StringIO()
    begun = time.perf_counter()
    problem, status = "", 0
    signal.signal(signal.SIGPROF, late)
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    signal.alarm(6 * LIMIT_S)
    stdout = sys.stdout
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            status = _run(list(arguments))
    except RungError as error:
        status = 1
        err.write(error.text)
    except TooLong:
        problem = f"above {LIMIT_S} s"
    except (OSError, KeyboardInterrupt) as error:
        status = 1
        err.write(str(error))
    except BaseException as error:  # noqa: BLE001  # that is what is looked for
        import traceback

        problem = "".join(traceback.format_exception(error)[-6:])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        sys.stdout = stdout
    return Outcome(status, out.getvalue(), err.getvalue(), time.perf_counter() - begun, problem)


# What is drawn.

NUMBERS = (
    "1e8",
    "50M",
    "1.3B",
    "300BT",
    "50,000,000",
    "3,7",
    "82.4 %",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "",
    "NA",
    "None",
    "-",
    "0",
    "-1",
    "1e-300",
)
NUMBERS += (
    "1e300",
    "1e400",
    "x",
    "1_000",
    " 3.1 ",
    '"',
    "=cmd()",
    "\x1b[31m",
    "\u202e1",
    "3.1.2",
    "9" * 400,
    "{}",
    "[1]",
    "true",
    "2024-01-01",
)
NAMES = (
    "params",
    "tokens",
    "loss",
    "flops",
    "N",
    "D",
    "n",
    "d",
    "C",
    "run",
    "step",
    "lr",
    "batch_tokens",
    "val_loss",
    "Params (M)",
    "tokens_b",
    "status",
)
NAMES += (
    "acc",
    "model",
    "1e18",
    "3e18",
    "config.n",
    "",
    "#row",
    "loss ",
    "ppl",
    "a b",
    "\u00e9",
    "seed",
    "unique_tokens",
    "date",
    "train_loss",
)
FORMULAS = (
    "E + A / N^alpha + B / D^beta",
    "E + A / N^alpha",
    "A / N^a",
    "chinchilla",
    "farseer",
    "kaplan-floor",
    "E + A*log(N)",
    "E",
    "N",
    "A[run] / N^a",
)
FORMULAS += (
    "A / N^alpha + N^1000",
    "E + A / (N - N)",
    "logistic-of-loss",
    "1/0",
    "E + A / N^alpha with E = 1",
    "sqrt(-N)*A",
    "muennighoff-2023",
    "((((E",
    "A**B**C",
)
SIGNS = "+-*/^()[],.=<> 0123456789ABNDEabeilnoprstx_\"'"


def table(rng: random.Random, *, gentle: bool) -> str:
    """A table of runs, plausible or not."""
    rows = rng.choice([0, 1, 2, 3, 5, 8, 12, 30])
    if gentle:
        names = ["params", "tokens", "loss", *rng.sample(["run", "lr", "seed", "acc", "step"], rng.randint(0, 3))]
    else:
        names = [rng.choice(NAMES) for _ in range(rng.randint(1, 6))]
    separator = rng.choice([",", ",", ",", ";", "\t", *([] if gentle else ["|"])])
    lines = [separator.join(names)]
    for _ in range(rows):
        cells = []
        size, data = 10 ** rng.uniform(5, 10), 10 ** rng.uniform(7, 12)
        values = {
            "params": f"{size:.4g}",
            "tokens": f"{data:.4g}",
            "loss": f"{1.7 + 400 / size**0.34 + 900 / data**0.3:.4f}",
        }
        values |= {
            "run": rng.choice("abcdef"),
            "lr": f"{10 ** rng.uniform(-5, -1):.3g}",
            "seed": str(rng.randint(0, 3)),
            "acc": f"{rng.random():.3f}",
        }
        for name in names:
            odd = rng.random() < (0.01 if gentle else 0.3)
            cells.append(rng.choice(NUMBERS) if odd else values.get(name, f"{rng.uniform(0, 5):.3g}"))
        lines.append(separator.join(cells))
    if rng.random() < 0.1:
        lines.insert(0, rng.choice(["Results", "# a sweep, May", "", "a,b"]))
    return rng.choice(["\n", "\n", "\n", "\r\n", "\r"]).join(lines) + rng.choice(["", "\n"])


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes with some flipped, cut out, doubled, or the end cut off."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5])):
        if not data:
            break
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.randrange(256)
            case 2:
                del data[at : at + rng.choice([1, 3, 100])]
            case 3:
                data[at:at] = data[at : at + rng.choice([1, 20, 300])]
            case 4:
                del data[at:]
    return bytes(data)


def write_table(rng: random.Random, place: Path, *, gentle: bool) -> str:
    text = table(rng, gentle=gentle)
    endings = [".csv"] * 6 + ([".jsonl"] if gentle else [".tsv", ".jsonl", ".md", ".parquet", ".csv.gz", ".xlsx"])
    content = text.encode("utf-8" if gentle else rng.choice(["utf-8"] * 8 + ["utf-16", "latin-1"]), errors="replace")
    if not gentle and rng.random() < 0.2:
        content = damaged(content, rng)
    file = place / f"t{rng.randrange(9)}{rng.choice(endings)}"
    if file.suffix == ".jsonl" and rng.random() < 0.8:
        with contextlib.suppress(Exception):
            content = pl.read_csv(io.StringIO(text), infer_schema=False).write_ndjson().encode()
    file.write_bytes(content)
    return str(file)


def tables(rng: random.Random, place: Path) -> Case:
    gentle = rng.random() < 0.5
    file = write_table(rng, place, gentle=gentle)
    law = rng.choice(FORMULAS[:3] if gentle else FORMULAS)
    more = {
        "fit": [
            "--draws",
            rng.choice(["0", "20"]),
            *rng.choice([["--law", law], ["-o", str(place / "out.json")], ["--law", law, "--drop-nonfinite"]]),
        ],
        "select": ["--law", "A / N^alpha", "--law", "E + A / N^alpha"],
        "backtest": ["--law", law],
        "next": ["--flops", "1e19", "--target", "N=1e11,D=1e12", "--law", "E + A / N^alpha + B / D^beta"],
        "tune": ["N=1e9", "D=1e11"],
        "compare": [write_table(rng, place, gentle=gentle)],
        "density": [],
    }
    verb = rng.choice(["fit", "fit", *more])
    first = [kept_fit(place)] if verb == "density" else []
    extra = rng.choice(
        [
            ["--json"],
            ["--map", f"N={rng.choice(NAMES)}"],
            ["--where", "params > 1e7"],
            ["--wide", "C"],
            ["--last"],
            ["--unfinished"],
        ]
    )
    return Case([verb, *first, file, *more[verb], *(extra if rng.random() < 0.3 else [])])


def formulas(rng: random.Random, place: Path) -> Case:
    pieces = [
        "N",
        "D",
        "E",
        "A",
        "alpha",
        "1e9",
        "0",
        "-1",
        "2",
        "log(",
        "exp(",
        ")",
        "(",
        "+",
        "-",
        "*",
        "/",
        "^",
        "**",
        "sqrt(",
        "min(",
        ",",
        "[run]",
        "with",
        "E",
        "in",
        "(0, 1)",
        "sigmoid(",
        '"a b"',
        "=",
        "1e400",
    ]
    if rng.random() < 0.6:
        text = " ".join(rng.choice(pieces) for _ in range(rng.randint(1, 14)))
    else:
        text = list(rng.choice(FORMULAS))
        for _ in range(rng.randint(1, 4)):
            text[rng.randrange(len(text))] = rng.choice(SIGNS)
        text = "".join(text)
    return Case(
        [
            "fit",
            good_table(place),
            "--draws",
            "0",
            rng.choice(["--law", "--law", "--where", "--map"]),
            text if rng.random() < 0.7 else f"N={text}",
        ]
    )


def arguments(rng: random.Random, place: Path) -> Case:
    words = [
        "N=1e9",
        "D=1e10",
        "C=1e21",
        "loss=2.5",
        "N=",
        "=3",
        "N=-1",
        "N=nan",
        "--flops",
        "1e20",
        "--json",
        "--level",
        "0.9",
        "2",
        "--seed",
        "-1",
        "0",
        "--draws",
        "1",
    ]
    words += [
        "--along",
        "N",
        "--objective",
        "squares",
        "--target",
        "acc",
        "-o",
        str(place / "out.csv"),
        str(place / "out.json"),
        "--figure",
        str(place / "no" / "f.png"),
        "--tolerance",
        "inf",
    ]
    words += [
        "--hold-out",
        "params > 1e8",
        "--tokens",
        "1T",
        "--hardware",
        "h100",
        "--money",
        "1e5",
        "--unfinished",
        "--cuts",
        "99999",
        "",
        "-",
        "--last",
        "--weights",
        "loss",
    ]
    words += [good_table(place), kept_fit(place), "chinchilla", "csv:nowhere", "trainer:" + str(place)]
    verb = rng.choice(COMMANDS)
    return Case([verb, *(rng.choice(words) for _ in range(rng.randint(0, 6)))])


def kept_files(rng: random.Random, place: Path) -> Case:
    whole = Path(kept_fit(place))
    content = whole.read_bytes()
    content = (
        damaged(content, rng)
        if rng.random() < 0.8
        else rng.choice([b"", b"[]", b"null", b"[" * 100_000, b'{"schema_version": 2}'])
    )
    file = place / "damaged.json"
    file.write_bytes(content)
    command = ["forecast", "{}", "N=1e9", "D=1e10", "--json"]
    answer = execute([part.format(whole) for part in command]).out
    return Case([part.format(file) for part in command], answer)


def ladder_files(rng: random.Random, place: Path) -> Case:
    text = LADDER
    for _ in range(rng.choice([0, 1, 1, 2])):
        old = rng.choice(
            ["8", "16", "64", "0.9", "gpt", "markov", "depth = 1", "width", "32", "[recipe]", "40", "items"]
        )
        text = text.replace(
            old,
            rng.choice(
                ["0", "-1", "1e12", '"x"', "[]", "nan", "1e400", "{}", "gtp", "", "999999", "true", '"a\\u0000b"']
            ),
            1,
        )
    if rng.random() < 0.2:
        text = damaged(text.encode(), rng).decode("utf-8", errors="replace")
    file = place / "ladder.toml"
    file.write_text(text)
    return Case(["ladder", "check", str(file), "--no-timing"])


def run_folders(rng: random.Random, place: Path) -> Case:
    made = trained()
    if made is None:
        return formulas(rng, place)
    folder = place / "ladder"
    shutil.copytree(made, folder)
    command = ["ladder", rng.choice(["status", "table"]), str(folder), "--json"]
    whole = execute(command).out
    file = rng.choice([one for one in sorted(folder.rglob("*")) if one.is_file() and one.suffix in {".json", ".jsonl"}])
    if rng.random() < 0.2:
        file.write_bytes(rng.choice([b"", b"[]", b"null", b"5", b"{}", b"[" * 50_000]))
    else:
        file.write_bytes(damaged(file.read_bytes(), rng))
    return Case(command, whole if command[1] == "table" else None)


def stores(rng: random.Random, place: Path) -> Case:
    kind = rng.choice(
        ["wandb", "wandb", "tensorboard", "tensorboard", "trainer", "lm-eval", "csv", "jsonl", "log", "mlflow"]
    )
    source = place / kind
    STORES[kind](source)
    command = ["import", f"{kind}:{source}", "--json"]
    whole = execute(command).out if kind in {"wandb", "tensorboard"} else None
    files = [one for one in sorted(source.rglob("*")) if one.is_file()]
    file = rng.choice(files)
    file.write_bytes(damaged(file.read_bytes(), rng))
    return Case(command, whole)


KINDS: dict[str, Callable[[random.Random, Path], Case]] = {
    "tables": tables,
    "formulas": formulas,
    "arguments": arguments,
    "kept": kept_files,
    "ladders": ladder_files,
    "folders": run_folders,
    "stores": stores,
}

# Whole inputs, which are then damaged.

STEPS = range(100, 1100, 100)


def good_table(place: Path) -> str:
    file = place / "good.csv"
    if not file.exists():
        rng = np.random.default_rng(0)
        sizes, data = np.repeat(np.geomspace(1e6, 1e8, 5), 4), np.tile(np.geomspace(1e8, 3e9, 4), 5)
        loss = (1.7 + 400 / sizes**0.34 + 900 / data**0.3) * np.exp(0.003 * rng.standard_normal(20))
        pl.DataFrame({"params": sizes, "tokens": data, "loss": loss, "run": [f"r{i}" for i in range(20)]}).write_csv(
            file
        )
    return str(file)


@cache
def _fit_content() -> str:
    import rung

    with tempfile.TemporaryDirectory() as folder:
        return rung.fit(good_table(Path(folder)), draws=30).to_json()


def kept_fit(place: Path) -> str:
    file = place / "kept.json"
    if not file.exists():
        file.write_text(_fit_content())
    return str(file)


@cache
def trained() -> Path | None:
    """A folder of two runs, one done and one stopped; None without torch."""
    try:
        from rung.ladder import read_ladder
        from rung.ladder.execution.orchestrate import prepare
        from rung.ladder.training.worker import Work, work_on
    except ModuleNotFoundError:
        return None
    place = Path(tempfile.mkdtemp(prefix="fuzz-ladder-"))
    (place / "ladder.toml").write_text(LADDER)
    ladder = read_ladder(place / "ladder.toml")
    done, stopped = prepare(ladder)
    work_on(done, Work(launch=ladder.launch))
    left = iter([False] * 25)
    work_on(stopped, Work(launch=ladder.launch, stop=lambda: next(left, True)))
    return place / "ladder"


def _wandb(place: Path) -> None:
    write_wandb(place / "wandb" / "offline-run-1-q1" / "run-q1.wandb", [(step, 2 + 200 / step) for step in STEPS])


def write_wandb(file: Path, losses: list[tuple[int, float]], *, started: int = 0, ended: bool = True) -> None:
    """A start of an offline run in the format that W&B writes."""
    from wandb.proto.wandb_internal_pb2 import Record

    records = []
    run = Record()
    run.run.run_id, run.run.display_name = "q1", "small"
    run.run.start_time.seconds = started
    for key, value in {"n_params": 130_000_000, "global_batch_size": 256, "seq_len": 1024}.items():
        item = run.run.config.update.add()
        item.key, item.value_json = key, json.dumps(value)
    records.append(run)
    for row, (step, loss) in enumerate(losses):
        record = Record()
        for key, value in {"_step": row, "global_step": step, "val_loss": loss}.items():
            item = record.history.item.add()
            item.nested_key.append(key)
            item.value_json = json.dumps(value)
        records.append(record)
    if ended:
        end = Record()
        end.exit.exit_code = 0
        records.append(end)
    content = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
    for record in records:
        data = record.SerializeToString()
        content += struct.pack("<IHB", zlib.crc32(data, zlib.crc32(b"\x01")), len(data), 1) + data
    file.parent.mkdir(parents=True)
    file.write_bytes(content)


def _tensorboard(place: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    content = b""
    for step in STEPS:
        event = Event(wall_time=1e9 + step, step=step)
        for tag, value in (("eval/loss", 2 + 200 / step), ("tokens", 1000.0 * step)):
            event.summary.value.add(tag=tag, simple_value=value)
        data = event.SerializeToString()
        head = struct.pack("<Q", len(data))
        content += head + struct.pack("<I", masked_crc32c(head)) + data + struct.pack("<I", masked_crc32c(data))
    (place / "run").mkdir(parents=True)
    (place / "run" / "events.out.tfevents.1700000000.host.1.0").write_bytes(content)


def _trainer(place: Path) -> None:
    for step in (500, 1000):
        folder = place / "run" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        log = [{"eval_loss": 2 + 200 / at, "step": at} for at in STEPS if at <= step]
        (folder / "trainer_state.json").write_text(
            json.dumps({"global_step": step, "max_steps": 1000, "log_history": log})
        )
        (folder / "config.json").write_text(json.dumps({"hidden_size": 64, "num_hidden_layers": 2}))


def _harness(place: Path) -> None:
    place.mkdir(parents=True)
    for step in (1, 2):
        scores = {
            "t": {"acc,none": 0.1 * step, "acc_stderr,none": 0.01, "alias": "t"},
            "u": {"perplexity,none": 20.0 / step},
        }
        content = {"results": scores, "config": {"model_args": f"pretrained=m,revision=step{step}"}, "n-shot": {"t": 5}}
        (place / f"results_{step}.json").write_text(json.dumps(content))


def _csv(place: Path) -> None:
    for name, size in (("a", 1e6), ("b", 1e7)):
        (place / name).mkdir(parents=True)
        lines = [f"{step},{2 + 200 / step},{step * 1000},{size}" for step in STEPS]
        (place / name / "metrics.csv").write_text("step,val_loss,tokens,n_params\n" + "\n".join(lines) + "\n")


def _jsonl(place: Path) -> None:
    place.mkdir(parents=True)
    lines = [
        json.dumps({"step": step, "val_loss": 2 + 200 / step, "tokens": step * 1000, "extra": {"a": 1}})
        for step in STEPS
    ]
    (place / "metrics.jsonl").write_text("\n".join(lines))


def _log(place: Path) -> None:
    place.mkdir(parents=True)
    (place / "train.log").write_text(
        "\n".join(f"step:{step}/1000 val_loss:{2 + 200 / step:.4f} train_time:{step}ms" for step in STEPS)
    )


def _mlflow(place: Path) -> None:
    folder = place / "1" / "abcdef0123456789"
    (folder / "metrics").mkdir(parents=True)
    (folder / "params").mkdir()
    (place / "1" / "meta.yaml").write_text("name: sweep\n")
    (folder / "meta.yaml").write_text("run_name: small\nstatus: 3\nlifecycle_stage: active\n")
    (folder / "params" / "n_params").write_text("130M")
    (folder / "metrics" / "val_loss").write_text("\n".join(f"{1700 + step} {2 + 200 / step} {step}" for step in STEPS))


STORES = {
    "wandb": _wandb,
    "tensorboard": _tensorboard,
    "trainer": _trainer,
    "lm-eval": _harness,
    "csv": _csv,
    "jsonl": _jsonl,
    "log": _log,
    "mlflow": _mlflow,
}


@dataclass
class Tally:
    """What a session of inputs gave."""

    kinds: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    finds: list[str] = field(default_factory=list)
    slowest: float = 0.0


def judge(case: Case, outcome: Outcome, place: Path) -> str:
    """What is wrong with an outcome; empty if nothing is."""
    if outcome.problem:
        return outcome.problem
    if outcome.status not in {0, 1, 2}:
        return f"exit status {outcome.status}"
    if "Traceback" in outcome.err or "InternalError" in outcome.err:
        return outcome.err[-600:]
    if outcome.status == 1 and len(outcome.err) > 6000:
        return f"a message of {len(outcome.err)} characters"
    left = [file.name for file in place.rglob("*.part")]
    if left:
        return f"left behind: {left}"
    if case.whole is not None and outcome.status == 0 and outcome.out != case.whole and not outcome.err.strip():
        return "damage changed the answer without a word"
    return ""


def fuzz(inputs: int, seed: int, kinds: list[str], keep: Path | None = None) -> Tally:
    """Draw inputs and try them."""
    tally = Tally()
    for number in range(inputs):
        rng = random.Random(f"{seed}-{number}")
        kind = kinds[number % len(kinds)]
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            place = Path(folder)
            case = KINDS[kind](rng, place)
            outcome = execute(case.arguments)
            tally.kinds[kind] += 1
            tally.answered[kind] += outcome.status == 0
            tally.slowest = max(tally.slowest, outcome.seconds)
            if problem := judge(case, outcome, place):
                tally.finds.append(f"{kind} {seed}-{number}: rung {' '.join(map(repr, case.arguments))}\n{problem}")
                if keep:
                    shutil.copytree(place, keep / f"{kind}-{seed}-{number}", dirs_exist_ok=True)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--keep", type=Path, help="where the files of finds are kept")
    options = parser.parse_args()
    tally = fuzz(options.inputs, options.seed, options.kinds, options.keep)
    for find in tally.finds:
        print(f"{find}\n")
    print(", ".join(f"{kind} {count} ({tally.answered[kind]} answered)" for kind, count in tally.kinds.items()))
    print(f"{len(tally.finds)} finds in {options.inputs} inputs, seed {options.seed}; slowest {tally.slowest:.1f} s")
    sys.exit(bool(tally.finds))


if __name__ == "__main__":
    main()
