"""Kill trainers, launchers, workers and forkservers at random moments, damage files in one of five, and compare the curves.

    python tests/kills.py --kills 1000 [--seed 0] [--launchers 50]

Most kills hit a trainer that this process forked; `--launchers` of them hit the processes of `rung ladder resume`. After
every kill the run is resumed; its finished curve must be that of the run that nothing interrupted, number by number.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fuzz import damaged
from planted import LADDER
from rung.ladder import read_ladder
from rung.ladder.execution.orchestrate import prepare
from rung.ladder.training.run_folder import RunFolder
from rung.ladder.training.worker import Work, work_on

STEPS = 300
FILE = LADDER.replace("steps = 40", f"steps = {STEPS}").replace("checkpoint_s = 0", "checkpoint_s = 0.02")
DAMAGED_IN = 5
"""One of so many kills is followed by damage."""


def curve(folder: RunFolder) -> list[tuple]:
    """Everything that was measured, without times."""
    return [
        tuple(sorted((key, str(value)) for key, value in line.items() if key != "time_s")) for line in folder.metrics()
    ]


def hurt(folder: RunFolder, rng: random.Random) -> str:
    """Damage one file of a run folder, and name it."""
    files = [file for file in folder.path.iterdir() if file.is_file() and file.name not in {"rung.json", "lock"}]
    if not files:
        return ""
    manifests = [file for file in files if file.name.startswith("checkpoint-") and file.suffix == ".json"]
    chosen = rng.choice([folder.metrics_path, rng.choice(manifests or files), rng.choice(files)])
    if not chosen.exists():
        return ""
    content = chosen.read_bytes()
    if rng.random() < 0.2:
        chosen.unlink()
    else:
        chosen.write_bytes(damaged(content, rng))
    return chosen.name.partition("-")[0]


def killed_trainer(folder: RunFolder, launch: object, delay: float) -> bool:
    """Train in a fork of this process and kill it; whether it was still training."""
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        work_on(folder, Work(launch=launch))
        os._exit(0)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def processes(group: int) -> list[tuple[int, str]]:
    """Processes of a group, with their command lines."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == group:
                    found.append((int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()))
            except (OSError, ProcessLookupError):
                continue
    return found


def killed_launcher(place: Path, rng: random.Random) -> str:
    """Resume a folder of runs by the command, and kill one of its processes; which one."""
    command = [
        sys.executable,
        "-m",
        "rung.cli",
        "ladder",
        "resume",
        str(place),
        "--launcher",
        "local",
        "--workers",
        "2",
    ]
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(rng.uniform(1.0, 5.0))
    known = processes(job.pid)
    kinds = {"launcher": [job.pid], "forkserver": [], "worker": []}
    for pid, line in known:
        if pid != job.pid and "forkserver" in line:
            kinds["worker" if kinds["forkserver"] else "forkserver"].append(pid)
    kind = rng.choice([kind for kind, pids in kinds.items() if pids])
    for pid in kinds[kind][:1]:
        with_signal = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        try:
            os.kill(pid, with_signal)
        except ProcessLookupError:
            kind = "ended before"
    try:
        job.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
    time.sleep(1.0)
    return kind


class Session:
    """A ladder that is killed again and again, and what came of it."""

    def __init__(self, seed: int) -> None:
        self.seed, self.rng = seed, random.Random(seed)
        self.place = Path(tempfile.mkdtemp(prefix="kills-"))
        (self.place / "ladder.toml").write_text(FILE)
        self.ladder = read_ladder(self.place / "ladder.toml")
        self.tally: Counter[str] = Counter()
        self.runs = self.wrong = 0
        # The curves that nothing interrupts are made by a child: a process that has trained cannot be forked safely.
        pid = os.fork()
        if pid == 0:
            for folder in prepare(self.ladder):
                work_on(folder, Work(launch=self.ladder.launch))
            os._exit(0)
        os.waitpid(pid, 0)
        self.whole = {rung.name: curve(RunFolder(self.ladder.output / rung.name)) for rung in self.ladder.rungs}

    def fresh(self) -> list[RunFolder]:
        shutil.rmtree(self.ladder.output, ignore_errors=True)
        return prepare(self.ladder)

    def damage(self, folder: RunFolder) -> None:
        """In one of five cases, damage a file of a run that is not done; what a finished run lost cannot be trained again."""
        if self.rng.randrange(DAMAGED_IN) == 0 and folder.status != "done":
            self.tally[f"damaged {hurt(folder, self.rng) or 'nothing'}"] += 1

    def judge(self, folder: RunFolder) -> None:
        """Compare a finished run with the one that nothing interrupted."""
        self.runs += 1
        if folder.status != "done" or curve(folder) != self.whole[folder.path.name]:
            self.wrong += 1
            print(f"seed {self.seed}, {dict(self.tally)}: {folder.path.name} {folder.status}", flush=True)
            shutil.copytree(folder.path, self.place / f"wrong-{self.wrong}")

    def kill_trainers(self, kills: int) -> None:
        while self.tally["trainer"] < kills:
            folder = self.fresh()[0]
            for _ in range(200):
                self.tally["trainer"] += killed_trainer(folder, self.ladder.launch, self.rng.uniform(0.02, 0.5))
                if folder.status == "done":
                    break
                self.damage(folder)
            else:
                killed_trainer(folder, self.ladder.launch, 60)
            self.judge(folder)

    def kill_launchers(self, kills: int) -> None:
        killed = 0
        while killed < kills:
            folders = self.fresh()
            for _ in range(12):
                kind = killed_launcher(self.ladder.output, self.rng)
                self.tally[kind] += 1
                killed += kind != "ended before"
                self.damage(self.rng.choice(folders))
                if all(folder.status == "done" for folder in folders):
                    break
            command = [
                sys.executable,
                "-m",
                "rung.cli",
                "ladder",
                "resume",
                str(self.ladder.output),
                "--launcher",
                "here",
            ]
            subprocess.run(command, check=False, capture_output=True, timeout=300)
            for folder in folders:
                self.judge(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--launchers", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    session = Session(options.seed)
    session.kill_trainers(options.kills - options.launchers)
    session.kill_launchers(options.launchers)
    print(", ".join(f"{kind} {count}" for kind, count in sorted(session.tally.items())))
    print(f"{session.runs} runs finished, {session.wrong} of them wrong")
    if not session.wrong:
        shutil.rmtree(session.place)
    sys.exit(bool(session.wrong))


if __name__ == "__main__":
    main()
