"""How often each warning speaks: on a table with its fault planted, and on a clean one: `python benchmarks/diagnosis.py`."""

import argparse
import sys
from pathlib import Path

import rung

sys.path.append(str(Path(__file__).parent.parent / "tests"))
import faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=100)
    arguments = parser.parse_args()
    print("| code | with the fault | on a clean table |\n|---|---|---|")
    clean = {}
    for code, fault in faults.FAULTS.items():
        spoken = quiet = 0
        for seed in range(arguments.repeats):
            spoken += code in codes(fault.table(seed), fault)
            base = fault.clean
            if (base, seed) not in clean:
                clean[base, seed] = codes(base(seed), fault)
            quiet += code not in clean[base, seed]
        print(
            f"| `{code}` | named in {spoken} of {arguments.repeats} | silent in {quiet} of {arguments.repeats} |",
            flush=True,
        )


def codes(table, fault):
    try:
        return {finding.code for finding in rung.fit(table, fault.law, draws=0).warnings}
    except rung.RungError:
        return set()


if __name__ == "__main__":
    main()
