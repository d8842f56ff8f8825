"""README and docs as programs: what stands in ```console blocks is run, what stands below it is what it printed.

`python tests/documents.py --write [NAME...]` runs every block and writes the output into the document: README, papers, ...;
all of them by default. docs/warnings.md is made from the registry of findings. A block whose
commands name a published table ($RUNG_DATA) is left alone where that folder is absent. In a document, every
command runs in one folder of its own, in the order of the text, with the examples beside it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def data_folder() -> Path:
    return Path(os.environ.get("RUNG_DATA", ROOT.parent / "shared" / "data")).resolve()


@dataclass(frozen=True)
class Step:
    """A command of a document, what the document says it prints, and whether its block needs published tables."""

    command: str
    expected: str
    needs_data: bool


def steps(block: str) -> list[Step]:
    found = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        length = next(i for i, line in enumerate(lines) if not line.endswith("\\")) + 1
        found.append(Step("\n".join(lines[:length]), "\n".join(lines[length:]).rstrip(), "$RUNG_DATA" in block))
    return found


def run(step: Step, folder: Path) -> str:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RUNG_DATA": str(data_folder()),
        "COLUMNS": "80",
    }
    done = subprocess.run(
        step.command,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    printed = done.stdout + done.stderr
    return "\n".join(line.rstrip() for line in printed.rstrip().splitlines())


def folder_with_examples() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    (Path(folder.name) / "examples").symlink_to(ROOT / "examples")
    return folder


def rewrite(document: Path) -> None:
    text = document.read_text()
    with folder_with_examples() as folder:

        def fresh(match: re.Match[str]) -> str:
            lines = []
            for step in steps(match[1]):
                known = not step.needs_data or data_folder().is_dir()
                printed = run(step, Path(folder)) if known else step.expected
                lines += [f"$ {step.command}", *([printed] if printed else [])]
            return "```console\n" + "\n".join(lines) + "\n```"

        document.write_text(BLOCK.sub(fresh, text))


def warnings_page() -> str:
    """docs/warnings.md, made from the registry of findings."""
    from rung.findings import FINDINGS

    head = (
        "# Warnings\n\n"
        "What speaks against a result, or what it rests on. Results carry findings as `warnings` in Python and in JSON; the command\n"
        "prints them on standard error, the most severe first. *severe*: the answer cannot be relied on; *warning*: part of it may be\n"
        "wrong; *note*: what it rests on. This page is made from `src/rung/finding_kinds.py` by `make examples`.\n\n"
    )
    rows = [f"| `{code}` | {kind.severity} | {kind.meaning} | {kind.remedy} |" for code, kind in FINDINGS.items()]
    return head + "\n".join(["| code | severity | meaning | what helps |", "|---|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    names = {document.stem: document for document in DOCUMENTS}
    if sys.argv[1:2] != ["--write"] or not set(sys.argv[2:]) <= set(names):
        raise SystemExit(f"usage: python tests/documents.py --write [NAME...], a NAME being one of {', '.join(names)}")
    (ROOT / "docs" / "warnings.md").write_text(warnings_page())
    for name in sys.argv[2:] or names:
        document = names[name]
        rewrite(document)
        print(document.relative_to(ROOT), file=sys.stderr)
