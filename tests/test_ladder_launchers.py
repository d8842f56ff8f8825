"""One suite for every launcher: each run is done, a lost worker loses nothing, and the numbers are the same everywhere."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

import slurm
from rung.errors import LadderError
from rung.ladder import read_ladder
from rung.ladder.execution.launcher import Job
from rung.ladder.execution.local import Local
from rung.ladder.execution.options import Launch
from rung.ladder.execution.orchestrate import execute_all, prepare
from rung.ladder.execution.ray import _require_answer
from rung.ladder.training.run_folder import RunFolder
from test_ladder import FILE, changed, curve

# Ray on loopback, read when it is imported: elsewhere it turns 127.0.0.1 into the machine's address in the network.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

THREE = changed(changed(FILE, "width = [8, 16]", "width = 16"), "steps = 40", "steps = 60\nseeds = [0, 1, 2]")


@pytest.fixture
def ladder(tmp_path):
    path = tmp_path / "ladder.toml"
    path.write_text(THREE)
    return read_ladder(path)


@pytest.fixture
def curves(ladder, tmp_path):
    """What each run's curve is in this process."""
    folders = prepare(replace(ladder, output=tmp_path / "reference"))
    execute_all(folders, ladder.launch, ladder.track)
    return [curve(folder) for folder in folders]


@pytest.fixture
def slurm_fake(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{slurm.fake(tmp_path)}{os.pathsep}{os.environ['PATH']}")
    return {"poll_s": 0.2}


@pytest.fixture
def slurm_real(tmp_path, monkeypatch):
    place = tmp_path / "cluster"
    place.mkdir()
    with slurm.real(place) as (configuration, why):
        if configuration is None:
            pytest.skip(why)
        monkeypatch.setenv("SLURM_CONF", str(configuration))
        yield {"poll_s": 0.2, "timeout_min": 5}


@pytest.fixture
def ray_cluster():
    """Two nodes on loopback; the second can be killed."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **node})
    second = cluster.add_node(**node)
    assert cluster.address.startswith("127.0.0.1:")
    yield {"address": cluster.address}, cluster, second
    ray.shutdown()
    cluster.shutdown()


def carried_out(ladder, said=None, **launch):
    folders = prepare(ladder)
    stood = execute_all(
        folders, replace(ladder.launch, **launch), ladder.track, say=(said if said is not None else []).append
    )
    return folders, stood


def kill_writer(folder):
    """Kill whoever writes a run's folder, once it has a checkpoint."""

    def wait():
        until = time.monotonic() + 60
        while not list(folder.path.glob("checkpoint-*.json")) and time.monotonic() < until:
            time.sleep(0.002)
        # On a busy machine the run may be over before this thread looks; the test then says that no worker was lost.
        if (folder.path / "lock").exists():
            os.kill(int((folder.path / "lock").read_text().split()[1]), signal.SIGKILL)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


class Suite:
    """What every launcher owes; `options` names a fixture that gives [launch.options]."""

    launcher: str

    @pytest.fixture
    def options(self):
        return {}

    def test_every_run_is_done_with_the_numbers_of_this_process(self, ladder, curves, options):
        folders, stood = carried_out(ladder, launcher=self.launcher, workers=2, options=options)
        assert {one.status for one in stood} == {"done"}
        assert [curve(folder) for folder in folders] == curves

    def test_a_lost_worker_loses_nothing(self, ladder, options):
        ladder = replace(ladder, rungs=tuple(replace(rung, steps=1500) for rung in ladder.rungs[:1]))
        reference = prepare(replace(ladder, output=ladder.output.parent / "long"))
        execute_all(reference, ladder.launch, ladder.track)
        folders = prepare(ladder)
        thread = kill_writer(folders[0])
        said = []
        _, stood = carried_out(ladder, said, launcher=self.launcher, workers=2, options=options)
        thread.join()
        assert {one.status for one in stood} == {"done"}
        assert any("its worker was lost" in text for text in said)
        assert curve(folders[0]) == curve(reference[0])


INTERRUPTED = """
import hashlib, sys, threading, time
from rung.ladder.execution import launcher

def step(rounds):
    # As in a step of torch, Python handles no signal before this returns.
    hashlib.pbkdf2_hmac("sha256", b"", b"", rounds)

launcher.GRACE_S = 2.0
with launcher.interrupts() as stop:
    # Said while a step runs: a signal before the first one would find nothing that hangs.
    threading.Timer(0.5, print, ["ready"], {"flush": True}).start()
    while not stop():
        step(int(sys.argv[1]))
    time.sleep(2 * launcher.GRACE_S)
    print("checkpoint written", flush=True)
"""


class TestInterrupts:
    """A signal ends a step that hangs, and not the checkpoint of one that ended."""

    def stopped(self, rounds):
        command = [sys.executable, "-c", INTERRUPTED, str(rounds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err, time.monotonic() - begun

    def test_a_step_that_does_not_end(self):
        status, out, err, seconds = self.stopped(2_000_000_000)
        assert (status, out) == (128 + signal.SIGTERM, "")
        assert "resumes from its last checkpoint" in err
        assert seconds < 20

    def test_a_checkpoint_that_takes_longer_than_a_step_is_given(self):
        assert self.stopped(1000)[:3] == (0, "checkpoint written\n", "")


def test_a_cluster_that_does_not_answer_is_named_at_once():
    begun = time.monotonic()
    with pytest.raises(LadderError, match=r"nothing answers at address = 'ray://127\.0\.0\.1:9'"):
        _require_answer("ray://127.0.0.1:9")
    assert time.monotonic() - begun < 20
    _require_answer(None)
    _require_answer("auto")


class TestStart:
    """The process that forks workers may be killed while it starts one."""

    class Process:
        def __init__(self, fails):
            self.fails = fails

        def __call__(self, **_):
            return self

        def start(self):
            if self.fails:
                raise self.fails.pop()

    def launcher(self, monkeypatch, tmp_path, fails):
        monkeypatch.setattr("rung.ladder.execution.local._LOOK_S", 0.0)
        made = Local(Job(launch=Launch(), keep=tmp_path))
        made.context = SimpleNamespace(Process=self.Process(fails))
        return made

    def test_a_worker_is_started_again(self, monkeypatch, tmp_path):
        made = self.launcher(monkeypatch, tmp_path, [EOFError(), ConnectionResetError()])
        assert made._started(RunFolder(tmp_path), 0).fails == []

    def test_one_that_never_starts_is_told_in_a_sentence(self, monkeypatch, tmp_path):
        made = self.launcher(monkeypatch, tmp_path, [EOFError("gone")] * 9)
        with pytest.raises(LadderError, match=r"no worker can be started for .*: gone"):
            made._started(RunFolder(tmp_path), 0)


class TestLocal(Suite):
    launcher = "local"

    def test_a_killed_launcher_leaves_no_workers_and_loses_nothing(self, ladder, tmp_path):
        text = changed(changed(THREE, "steps = 60", "steps = 900"), "checkpoint_s = 0", "checkpoint_s = 0.1")
        file = tmp_path / "killed.toml"
        file.write_text(changed(text, "threads = 1", 'threads = 1\nlauncher = "local"\nworkers = 2'))
        ladder = read_ladder(file)
        reference = prepare(replace(ladder, output=tmp_path / "reference"))
        execute_all(reference, replace(ladder.launch, launcher="here"), ladder.track)
        command = [sys.executable, "-m", "rung.cli", "ladder", "run", str(file)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not list((tmp_path / "killed").glob("*/checkpoint-*.json")) and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
        process.wait()
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "being written by another process" not in done.stderr
        folders = prepare(ladder)
        assert [curve(folder) for folder in folders] == [curve(folder) for folder in reference]

    def test_a_run_that_fails_does_not_stop_the_others(self, ladder):
        broken = replace(ladder.rungs[0], recipe=replace(ladder.rungs[0].recipe, lr=1e38, lr_vectors=1e38))
        ladder = replace(ladder, rungs=(broken, *ladder.rungs[1:]))
        _, stood = carried_out(ladder, launcher="local", workers=2)
        assert [one.status for one in stood] == ["failed", "done", "done"]

    def test_a_worker_that_is_lost_over_and_over_is_given_up(self, ladder):
        ladder = replace(ladder, rungs=ladder.rungs[:1])
        folder = prepare(ladder)[0]
        folder.model_path.mkdir()
        said = []
        _, stood = carried_out(ladder, said, launcher="local", retries=1)
        assert stood[0].status == "stopped"
        assert "lost 2 times" in said[-1]


@pytest.mark.slow
class TestSlurmAtItsBoundary(Suite):
    launcher = "slurm"

    @pytest.fixture
    def options(self, slurm_fake):
        return slurm_fake


@pytest.mark.slow
class TestSlurm(Suite):
    launcher = "slurm"

    @pytest.fixture
    def options(self, slurm_real):
        return slurm_real


@pytest.mark.slow
class TestRay(Suite):
    launcher = "ray"

    @pytest.fixture
    def options(self, ray_cluster):
        return ray_cluster[0]

    def test_a_killed_node_loses_nothing(self, ladder, ray_cluster):
        options, cluster, second = ray_cluster
        ladder = replace(ladder, rungs=tuple(replace(rung, steps=1500) for rung in ladder.rungs[:2]))
        folders = prepare(ladder)

        def kill():
            until = time.monotonic() + 60
            while (
                not all(list(folder.path.glob("checkpoint-*.json")) for folder in folders) and time.monotonic() < until
            ):
                time.sleep(0.01)
            cluster.remove_node(second, allow_graceful=False)

        thread = threading.Thread(target=kill, daemon=True)
        thread.start()
        said = []
        _, stood = carried_out(ladder, said, launcher="ray", workers=2, options=options)
        thread.join()
        assert {one.status for one in stood} == {"done"}
        assert any("its worker was lost" in text for text in said)


@pytest.mark.parametrize(("launcher", "package"), [("slurm", "submitit"), ("ray", "ray")])
def test_a_launcher_that_is_not_installed(ladder, monkeypatch, launcher, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LadderError, match=f"needs {package}, which is not installed"):
        carried_out(ladder, launcher=launcher)


def test_slurm_without_sbatch_says_so(ladder, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LadderError, match="Is sbatch on this machine"):
        carried_out(ladder, launcher="slurm")


def test_what_a_launch_cannot_be():
    for options in ({"workers": 0}, {"retries": -1}, {"launcher": "kubernetes"}):
        with pytest.raises(LadderError):
            Launch(**options)
