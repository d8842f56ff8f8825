"""The same jobs by this checkout and by another one, in paired rounds: `python benchmarks/versions.py OTHER RUNS`.

OTHER is the folder of the other checkout, RUNS a table of runs that both read. Each round starts a process of its own.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

from measure import timed

HERE = Path(__file__).parent.parent
ROUNDS = 5
"""Paired rounds."""


def jobs(table):
    """CPU seconds of one call of each job in this process, after one that warms up."""
    import rung

    runs = rung.read_runs(table)
    fit = rung.fit(runs, draws=0)
    found = {}
    for name, call, times in (
        ("fit", lambda: rung.fit(runs, draws=0), 5),
        ("fit, 1000 draws", lambda: rung.fit(runs, draws=1000), 2),
        ("forecast", lambda: rung.forecast(fit, N=70e9, D=1.4e12), 20),
        ("allocate", lambda: rung.allocate(fit, flops=1e24), 3),
        ("backtest", lambda: rung.backtest(runs), 2),
    ):
        call()
        found[name] = statistics.fmean(timed(call)[0] for _ in range(times))
    return found


def measured(checkout, table):
    code = (
        f"import sys; sys.path[:0] = [{str(checkout / 'src')!r}, {str(HERE / 'benchmarks')!r}]; import json, versions"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(json.dumps(versions.jobs({str(table)!r})))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    other, table = (Path(argument).resolve() for argument in sys.argv[1:])
    rounds = [(measured(HERE, table), measured(other, table)) for _ in range(ROUNDS)]
    print("| job | here, CPU s | there, CPU s | here / there |\n|---|---|---|---|")
    for name in rounds[0][0]:
        ratios = [here[name] / there[name] for here, there in rounds]
        here, there = (statistics.median(each[side][name] for each in rounds) for side in (0, 1))
        print(
            f"| {name} | {here:.3g} | {there:.3g} "
            f"| **{statistics.median(ratios):.2f}** [{min(ratios):.2f} to {max(ratios):.2f}] |"
        )


if __name__ == "__main__":
    main()
