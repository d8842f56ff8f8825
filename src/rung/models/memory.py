"""The most memory that a process took."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any


def reset_peak_memory() -> None:
    """Begin to watch anew, where the system allows it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: Any) -> int | None:
    """The most memory since then: of the GPU where a model computes on one, else of the process [bytes]; None where unknown."""
    import torch

    if torch.device(device).type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)
