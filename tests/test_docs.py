"""What README and docs show is what happens."""

import doctest
import re
from pathlib import Path

import pytest

import rung
from documents import BLOCK, DOCUMENTS, ROOT, data_folder, folder_with_examples, run, steps
from rung.cli.commands import COMMANDS
from rung.fitting.estimate.objective import OBJECTIVES
from rung.laws import law_book

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
INTERVAL = re.compile(rf"({NUMBER.pattern}) to ({NUMBER.pattern})(?![\w.])")
SPREAD = re.compile(rf"({NUMBER.pattern}) %? ?\+- ({NUMBER.pattern})(?![\w.])")


def tolerances(line):
    """How far each number of a line may be off: 5 % of itself, or the last decimal.

    An end of an interval may be off by 5 % of its larger end, a value with a standard error by 10 % of the larger,
    shares of a variance by 5 %.
    """
    found = {}
    for match in NUMBER.finditer(line):
        decimals = match[0].partition(".")[2].partition("e")[0]
        found[match.start()] = max(0.05 * abs(float(match[0])), 1.01 * 10 ** -len(decimals) if decimals else 0.0)
    for pattern, share in ((INTERVAL, 0.05), (SPREAD, 0.1)):
        for match in pattern.finditer(line):
            larger = max(abs(float(end)) for end in match.groups())
            found |= {match.start(1): share * larger, match.start(2): share * larger}
    if line.startswith("variance of"):
        found = dict.fromkeys(found, 5.0)
    return list(found.values())


def differences(printed, shown):
    """Lines that differ in their words, or in a number by more than its tolerance.

    Processors differ in the last bit of exp and log. Optima do not show it, but counts of starts and refits, and
    what the data do not determine, may: the nearer end of a wide interval most of all.
    """
    lines, expected = printed.splitlines(), shown.splitlines()
    if len(lines) != len(expected):
        return [f"{len(lines)} lines instead of {len(expected)}"]
    found = []
    for line, wanted in zip(lines, expected, strict=True):
        same = " ".join(NUMBER.sub("#", line).split()) == " ".join(NUMBER.sub("#", wanted).split())
        chance = "not determined" in wanted or "starts agree" in wanted or "refits of the bootstrap" in wanted
        if same and not chance:
            numbers = [[float(text) for text in NUMBER.findall(each)] for each in (line, wanted)]
            off = [abs(number - right) for number, right in zip(*numbers, strict=True)]
            same = all(distance <= most for distance, most in zip(off, tolerances(wanted), strict=True))
        if not same:
            found.append(f"{line!r} instead of {wanted!r}")
    return found


def test_the_readers_of_differences_see_a_wrong_number_and_a_wrong_word():
    assert differences("E  1.8172", "E    1.8173") == []
    assert differences("E  1.8172", "E    1.9173") != []
    assert differences("F  1.8172", "E    1.8172") != []
    assert differences("k  1.79  0.04 to 4.00", "k  1.79  0.08 to 4.02") == []
    assert differences("k  1.79  0.04 to 4.00", "k  1.79  0.08 to 5.00") != []
    assert differences("k  1.79  0.04 to 4.00", "k  1.99  0.04 to 4.00") != []
    assert differences("k  +0.96 % +- 1.24 %  0.11", "k  +1.03 % +- 1.28 %  0.10") == []
    assert differences("k  +0.96 % +- 1.24 %  0.12", "k  +1.03 % +- 1.28 %  0.10") != []
    assert differences("k  +0.86 % +- 1.24 %  0.10", "k  +1.03 % +- 1.28 %  0.10") != []
    assert differences("E  1.8172", "E    1.8172\nmore") != []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_a_document_prints_what_it_shows(document, monkeypatch):
    monkeypatch.chdir(ROOT)
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL))
    test = doctest.DocTestParser().get_doctest(code, {}, document.name, str(document), 0)
    results = doctest.DocTestRunner().run(test)
    assert results.failed == 0


SLOW = {"README.md", "fit.md", "forecast.md", "ladder.md", "papers.md", "plan.md", "studies.md", "worth.md"}
"""Documents whose commands take many seconds."""


@pytest.mark.parametrize(
    "document",
    [pytest.param(path, marks=pytest.mark.slow) if path.name in SLOW else path for path in DOCUMENTS],
    ids=lambda path: path.name,
)
def test_commands_print_what_the_document_shows(document):
    blocks = BLOCK.findall(document.read_text())
    skipped = 0
    with folder_with_examples() as folder:
        for step in (step for block in blocks for step in steps(block)):
            if step.needs_data and not data_folder().is_dir():
                skipped += 1
                continue
            printed, shown = run(step, Path(folder)), step.expected
            assert differences(printed, shown) == [], f"{step.command}\n{printed}"
    if skipped:
        pytest.skip(f"{skipped} commands of {document.name} need published tables, which are not in {data_folder()}")


def test_links_between_documents_lead_somewhere():
    documents = [*DOCUMENTS, *(ROOT / "docs" / "adr").glob("*.md"), ROOT / "CHANGELOG.md"]
    broken = [
        (document.name, target)
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert broken == []


def test_every_room_verb_objective_and_dependency_has_its_place_in_the_docs():
    docs = {path.stem: path.read_text() for path in (ROOT / "docs").glob("*.md")}
    assert {
        "units",
        "runs",
        "laws",
        "fit",
        "forecast",
        "papers",
        "plan",
        "worth",
        "skill",
        "ladder",
        "report",
        "choosing",
        "dependencies",
        "benchmarks",
    } <= set(docs)
    assert all(f"rung {verb}" in "".join(docs.values()) for verb in COMMANDS)
    assert all(f"`{name}`" in docs["fit"] for name in OBJECTIVES)
    assert all(f"`{name}`" in docs["laws"] for name in law_book())
    project = (ROOT / "pyproject.toml").read_text()
    for name in re.findall(r'^    "([a-z][a-z0-9-]+)(?:\[|[>=])', project, flags=re.MULTILINE):
        assert f"`{name}`" in docs["dependencies"] or name == "rung", name
    assert rung.__version__ in (ROOT / "CHANGELOG.md").read_text()


def test_the_readme_has_its_picture():
    for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / name).stat().st_size > 5000
