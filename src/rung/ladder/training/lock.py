"""The lock of a run's folder: one process writes, and others see that it does."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rung.errors import LadderError

PATIENCE_S = 5.0
"""Time to wait for a writer that is about to finish [s]."""


@contextmanager
def only_writer(lock_path: Path, patience_s: float) -> Iterator[None]:
    """Be the only writer of a folder while the block runs.

    Args:
        lock_path: The file of the lock.
        patience_s: Time to wait for another writer [s].

    Raises:
        LadderError: Another process is still writing then, or the lock is a link.
    """
    if lock_path.is_symlink():
        raise LadderError(f"{lock_path} is a link to another file, which would be overwritten. Remove the link.")
    with lock_path.open("a+") as lock:
        deadline = time.monotonic() + patience_s
        while not _try_lock(lock.fileno()):
            if time.monotonic() >= deadline:
                lock.seek(0)
                raise LadderError(
                    f"{lock_path.parent} is being written by another process ({lock.read().strip() or 'unknown'}). Wait for it, or end it."
                )
            time.sleep(0.05)
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield


def is_locked(lock_path: Path) -> bool:
    """Whether a process is writing."""
    if not lock_path.exists():
        return False
    with lock_path.open("rb") as lock:
        return not _try_lock(lock.fileno(), fcntl.LOCK_SH)


def _try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
