"""Timing: CPU seconds of this process and of commands, and peak memory."""

import resource
import statistics
import subprocess
import sys
import time


def timed(function, *arguments):
    """CPU seconds of one call, over all threads of this process, and its result."""
    before = time.process_time()
    result = function(*arguments)
    return time.process_time() - before, result


def of_command(arguments):
    """CPU seconds, wall seconds and peak memory [MB] of a command in a process of its own."""
    started = time.perf_counter()
    code = (
        "import resource, subprocess, sys; "
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, "
        "sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    status, memory, cpu = done.stdout.split()
    if status != "0":
        raise SystemExit(f"{' '.join(map(str, arguments))} ended with status {status}")
    return float(cpu), time.perf_counter() - started, float(memory)


def median_and_range(values):
    return f"{statistics.median(values):.3g} [{min(values):.3g} to {max(values):.3g}]"


def peak_memory():
    """Peak memory of this process [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
