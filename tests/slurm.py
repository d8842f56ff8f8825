"""SLURM for tests: a fake one at the process boundary, and a real controller and node of this machine where they start."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

SBATCH = """#!/bin/sh
# Runs what is submitted in the background, an array's tasks one after another, and keeps the queue as files.
script="$1"
queue="{queue}"
job=$(ls "$queue/seen" | wc -l); job=$((job + 1)); : > "$queue/seen/$job"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
tasks=$([ -n "$last" ] && seq 0 "$last" | sed "s/^/_/" || echo "")
for task in "${{tasks:-.}}"; do for one in $task; do : > "$queue/jobs/$job${{one#.}}"; done; done
export SLURM_JOB_ID="$job" SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0
export SLURM_NODELIST=here SLURMD_NODENAME=here
(
  for task in ${{tasks:-.}}; do
    if [ "$task" != . ]; then export SLURM_ARRAY_JOB_ID="$job" SLURM_ARRAY_TASK_ID="${{task#_}}"; fi
    sh "$script"
    rm -f "$queue/jobs/$job${{task#.}}"
  done
) > "$queue/log" 2>&1 &
echo "Submitted batch job $job"
"""
SRUN = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do case "$1" in --output|--error) shift 2;; *) shift;; esac; done
exec "$@"
"""
SQUEUE = """#!/bin/sh
ls "{queue}/jobs"
"""

CONFIGURATION = """
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmctldPort={port}
SlurmdPort={next_port}
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmdSpoolDir={place}/spool
StateSaveLocation={place}/state
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def fake(place):
    """Commands sbatch, srun and squeue in a folder, which stands first in the path."""
    queue = place / "queue"
    for folder in ("jobs", "seen"):
        (queue / folder).mkdir(parents=True)
    commands = place / "bin"
    commands.mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("squeue", SQUEUE), ("scancel", "#!/bin/sh\n")):
        (commands / name).write_text(text.format(queue=queue) if name != "srun" else text)
        (commands / name).chmod(0o755)
    return commands


@contextmanager
def real(place):
    """A controller and a node of this machine, as a configuration file; None, with the reason, where they do not start."""
    if os.geteuid() != 0 or not all(shutil.which(name) for name in ("slurmctld", "slurmd", "munged", "sinfo")):
        yield None, "slurmctld, slurmd and munge are not installed here, or this is not root"
        return
    for folder in ("spool", "state"):
        (place / folder).mkdir()
    configuration = place / "slurm.conf"
    host = socket.gethostname()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration.write_text(CONFIGURATION.format(host=host, place=place, port=port, next_port=port + 1))
    environment = os.environ | {"SLURM_CONF": str(configuration)}
    if subprocess.run(["pgrep", "munged"], stdout=subprocess.DEVNULL, check=False).returncode:
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge", "munge")
        subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=False)
    daemons = [
        subprocess.Popen([name, "-D"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name in ("slurmctld", "slurmd")
    ]
    try:
        until = time.monotonic() + 20
        idle = ""
        while "idle" not in idle and time.monotonic() < until:
            time.sleep(0.5)
            idle = subprocess.run(["sinfo"], env=environment, capture_output=True, text=True, check=False).stdout
        yield (configuration, "") if "idle" in idle else (None, "slurmctld and slurmd did not become ready")
        until = time.monotonic() + 30
        while (
            time.monotonic() < until
            and subprocess.run(
                ["squeue", "--noheader"], env=environment, capture_output=True, text=True, check=False
            ).stdout
        ):
            time.sleep(0.2)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(timeout=20)
