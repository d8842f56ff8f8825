"""How many cores there are to train on."""

from __future__ import annotations

import os


def own_cores() -> int:
    """The cores that this process may use: those that it is bound to where the system tells, as in a container or a job of a cluster [count]."""
    bound = getattr(os, "sched_getaffinity", None)
    return len(bound(0)) if bound else os.cpu_count() or 1
