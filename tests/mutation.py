"""Break the core on purpose, and count how many of the faults the tests notice.

    python tests/mutation.py --sample 300 [--seed 0]

mutmut changes one operator, number, name or argument at a time in a copy of the source (`mutants/`) and runs the tests
that reach the changed function. This script draws a random sample of the mutants, prints the share that was noticed,
and shows the survivors. Which rooms and which tests: `[tool.mutmut]` in pyproject.toml. A survivor that no test can
notice is listed in `tests/equivalent.toml` with the reason, and is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

from documents import data_folder

ROOT = Path(__file__).parent.parent
MUTMUT = Path(sys.executable).parent / "mutmut"
KILLED = {1, 3, 36, 24, -24, 152, 255, -9, -11}
"""Exit codes of a mutant under which a test failed, or that ran into the limit of time or crashed."""

NO_TEST = 33
EQUIVALENT = {
    (entry["function"], entry["becomes"])
    for entry in tomllib.loads((ROOT / "tests" / "equivalent.toml").read_text())["equivalent"]
}


def mutmut(*arguments: str) -> subprocess.CompletedProcess[str]:
    # The copy of the tests lies deeper, so it is given the folder of published tables.
    environment = os.environ | {"RUNG_DATA": str(data_folder())}
    return subprocess.run([MUTMUT, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def made() -> list[str]:
    """Make the mutants, and measure which test reaches which function; the names of all mutants.

    mutmut has no command for this alone: asked for a mutant that is not there, it stops after it.
    """
    done = mutmut("run", "none_has_this_name")
    if not (ROOT / "mutants" / "mutmut-stats.json").exists() or "nothing matches" not in done.stdout + done.stderr:
        raise SystemExit(f"{done.stdout[-3000:]}{done.stderr[-3000:]}\nmutmut could not run the tests: see above.")
    return sorted(exit_codes())


def exit_codes() -> dict[str, int | None]:
    """The exit code of each mutant by its name; None where it has not run."""
    found: dict[str, int | None] = {}
    for file in (ROOT / "mutants").rglob("*.meta"):
        found |= json.loads(file.read_text())["exit_code_by_key"]
    return found


def change(name: str) -> tuple[str, str, str]:
    """The mutated function, the line that was replaced, and what it became."""
    lines = mutmut("show", name).stdout.splitlines()
    old = [line[1:].strip() for line in lines if line.startswith("-") and not line.startswith("---")]
    new = [line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")]
    return name.rpartition("__mutmut_")[0], " ".join(old), " ".join(new)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=300, help="how many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    print("making the mutants, and measuring which test reaches which function ...", flush=True)
    names = made()
    sample = random.Random(options.seed).sample(names, min(options.sample, len(names)))
    print(f"{len(sample)} of {len(names)} mutants, seed {options.seed}", flush=True)
    done = mutmut("run", *sample)
    if done.returncode:
        raise SystemExit(f"{done.stdout[-3000:]}{done.stderr[-3000:]}\nmutmut did not run: see above.")

    codes = exit_codes()
    noticed = Counter[str]()
    survivors = []
    for name in sample:
        code = codes[name]
        if code in KILLED:
            noticed["noticed"] += 1
            continue
        function, old, new = change(name)
        if (function, new) in EQUIVALENT:
            noticed["equivalent"] += 1
            continue
        noticed["reached by no test" if code == NO_TEST else "survived"] += 1
        survivors.append((function, old, new, code))
    for function, old, new, code in sorted(survivors):
        print(f"\n{function} ({'no test' if code == NO_TEST else f'exit {code}'})\n  - {old}\n  + {new}")
    counted = len(sample) - noticed["equivalent"]
    print()
    print(", ".join(f"{count} {kind}" for kind, count in noticed.most_common()))
    print(f"mutation score {noticed['noticed'] / counted:.1%} of {counted}")


if __name__ == "__main__":
    main()
