"""How often each warning appears on tables with its fault and on clean tables: `python benchmarks/diagnosis.py`."""

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
        named = silent = 0
        for seed in range(arguments.repeats):
            named += code in codes(fault.table(seed), fault)
            base = fault.clean
            if (base, seed) not in clean:
                clean[base, seed] = codes(base(seed), fault)
            silent += code not in clean[base, seed]
        print(
            f"| `{code}` | named in {named} of {arguments.repeats} | silent in {silent} of {arguments.repeats} |",
            flush=True,
        )


def codes(table, fault):
    """Codes of the findings of a fit; none where the table cannot be fitted."""
    try:
        return {finding.code for finding in rung.fit(table, fault.law, draws=0).warnings}
    except rung.RungError:
        return set()


if __name__ == "__main__":
    main()
