"""How the ends of runs are forecast: by a run's own law, and corrected by the other runs of its ladder.

    python benchmarks/ladder_ends.py

It trains the widths 16, 24 and 32 of the example ladder on 3 million tokens each (two minutes on two cores), cuts every curve at four to
eight tenths of its way, and forecasts its end with and without the other, finished runs.
"""

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from rung.ladder import learning_curves
from rung.ladder.curves import _corrected, _end
from rung.ladder.execution import folders_of

EXAMPLE = Path(__file__).parent.parent / "examples" / "python-stdlib" / "small.toml"
SHARES = (0.4, 0.5, 0.6, 0.7, 0.8)


def main():
    folder = Path(tempfile.mkdtemp())
    text = EXAMPLE.read_text()
    for old, new in (
        ("at = [1.0]", "at = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]"),
        ("width = [8, 16, 24, 32]", "width = [16, 24, 32]"),
        ("tokens = [1e5, 3e5, 1e6]", "tokens = [3e6]"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "ladder.toml").write_text(text)
    subprocess.run(
        [sys.executable, "-m", "rung.cli", "ladder", "run", "ladder.toml"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    curves = learning_curves(folders_of(folder / "ladder.toml")).curves
    alone, corrected, inside = [], [], [0, 0]
    for one in curves:
        others = [other for other in curves if other.run != one.run]
        for share in SHARES:
            seen = [(at, loss) for at, loss in zip(one.tokens, one.losses, strict=True) if at <= share * one.whole]
            tokens, losses = [at for at, _ in seen], [loss for _, loss in seen]
            end, interval, _ = _end(tuple(tokens), tuple(losses), one.whole, 0.9)
            if end is None:
                continue
            cut = replace(one, status="running", tokens=tuple(tokens), losses=tuple(losses), end=end, interval=interval)
            found = _corrected(cut, others, 0.9)
            alone.append(end / one.end - 1)
            corrected.append(found.end / one.end - 1)
            for index, (low, high) in enumerate((interval, found.interval)):
                inside[index] += (low is None or low <= one.end) and (high is None or one.end <= high)
            print(
                f"{one.run} at {100 * share:.0f} %: ended at {one.end:.4f}; own law {end:.4f}, corrected {found.end:.4f}"
            )
    for name, errors, held in (("own law", alone, inside[0]), ("corrected", corrected, inside[1])):
        print(
            f"{name}: errors from {100 * min(errors):+.1f} to {100 * max(errors):+.1f} %, median size {100 * np.median(np.abs(errors)):.1f} %; "
            f"{held} of {len(errors)} inside the 90 % interval"
        )


if __name__ == "__main__":
    main()
