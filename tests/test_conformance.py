"""What everything in a registry must have. A failure names the entry, what is missing and the file to write it in."""

import ast
import re
from pathlib import Path

import pytest

import faults
import planted
import rung
from documents import ROOT, warnings_page
from rung.cli.commands import COMMANDS
from rung.findings import FINDINGS
from rung.fitting.estimate.objective import OBJECTIVES
from rung.ladder.architectures.registry import FAMILIES
from rung.ladder.corpora.registry import CORPORA
from rung.laws import law_book
from rung.papers import catalogue
from rung.runs.sources.registry import SOURCES
from test_ladder_families import CORPUS_OF

SOURCE = Path(rung.__file__).parent
DOCS = {path.stem: path.read_text() for path in (ROOT / "docs").glob("*.md")}
README = (ROOT / "README.md").read_text()


def require(condition, message):
    if not condition:
        pytest.fail(message, pytrace=False)


@pytest.mark.parametrize("name", law_book())
class TestLaw:
    def test_it_has_planted_coefficients(self, name):
        entry = law_book()[name]
        found = planted.COEFFICIENTS.get(name) or dict(entry.constants)
        missing = [each for each in entry.law.coefficient_names if each not in found]
        require(
            not missing,
            f"law {name}: give planted coefficients in tests/planted.py, COEFFICIENTS: {', '.join(missing)}",
        )

    def test_its_variables_have_a_span(self, name):
        missing = [variable for variable in law_book()[name].law.variables if variable not in planted.SPANS]
        require(not missing, f"law {name}: give a span of {', '.join(missing)} in tests/planted.py, SPANS")

    def test_it_is_in_the_docs(self, name):
        require(f"`{name}`" in DOCS["laws"], f"law {name}: add a row with `{name}` to docs/laws.md")

    def test_it_has_a_source_and_a_convention(self, name):
        entry = law_book()[name]
        require(entry.source, f"law {name}: give its source in the book")
        require(entry.convention, f"law {name}: give its convention in the book")
        require(entry.title, f"law {name}: give its title in the book")
        require(
            entry.constants_source or not entry.constants,
            f"law {name}: say where its constants come from, constants_source in the book",
        )


def codes_in_the_source():
    """Each code of a finding, and where it is written."""
    found = {}
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            named = isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in {
                "Finding",
                "finding",
            }
            if named and node.args and isinstance(node.args[0], ast.Constant):
                found.setdefault(node.args[0].value, f"{file.relative_to(SOURCE)}:{node.lineno}")
    return found


def test_every_finding_is_registered():
    missing = {code: where for code, where in codes_in_the_source().items() if code not in FINDINGS}
    require(not missing, f"findings without an entry in src/rung/finding_kinds.py: {missing}")


def test_every_registered_finding_is_written_somewhere():
    text = "".join(file.read_text() for file in SOURCE.rglob("*.py") if file.name != "findings.py")
    unused = [code for code in FINDINGS if f'"{code}"' not in text]
    require(not unused, f"entries of src/rung/finding_kinds.py that no code writes: {', '.join(unused)}")


def test_the_page_of_warnings_is_that_of_the_registry():
    require(
        DOCS.get("warnings") == warnings_page(),
        "docs/warnings.md is not that of src/rung/finding_kinds.py: run make examples",
    )


@pytest.mark.parametrize("code", FINDINGS)
def test_a_finding_says_what_and_what_to_do(code):
    kind = FINDINGS[code]
    require(kind.meaning.endswith("."), f"finding {code}: its meaning is a sentence")
    require(kind.remedy.endswith("."), f"finding {code}: its remedy is a sentence")


def test_every_diagnosis_has_a_planted_fault():
    files = ("residuals.py", "columns.py")
    written = {
        code
        for code, where in codes_in_the_source().items()
        if where.startswith("fitting/diagnose/") and any(f in where for f in files)
    }
    # What is wrong with a formula is wrong on every table, so it has no clean twin.
    missing = written - set(faults.FAULTS) - {"target_in_formula"}
    require(not missing, f"plant these faults in tests/faults.py, FAULTS: {', '.join(sorted(missing))}")


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_is_in_the_docs(name):
    require(f"`{name}`" in DOCS["fit"], f"objective {name}: add a row to docs/fit.md")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_in_the_docs(name):
    require(f"rung {name}" in "".join(DOCS.values()), f"command {name}: show it in a page of docs/")


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_in_the_docs_and_has_a_test(name):
    require(f"{name}:" in DOCS["runs"], f"source {name}: describe it in docs/runs.md")
    tests = "".join((ROOT / "tests" / file).read_text() for file in ("test_import.py", "test_import_kinds.py"))
    require(
        SOURCES[name].__name__ in tests or f"{name}:" in tests, f"source {name}: test it in tests/test_import_kinds.py"
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_in_the_docs_and_has_data(name):
    require(
        f"`{name}`" in DOCS["ladder"] or f"  {name}  " in DOCS["ladder"],
        f"family {name}: describe it in docs/ladder.md",
    )
    entry = FAMILIES[name]
    data = entry.spec(**entry.options).data
    require(data in CORPUS_OF, f"family {name}: name a corpus of {data} in tests/test_ladder_families.py, CORPUS_OF")
    path, _, network = entry.network.partition(":")
    module = SOURCE.joinpath(*path.split(".")[1:]).with_suffix(".py")
    require(module.exists(), f"family {name}: write its network, {module.relative_to(SOURCE)}")
    require(f"class {network}(" in module.read_text(), f"family {name}: {module.relative_to(SOURCE)} has no {network}")


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_is_in_the_docs(name):
    require(name in DOCS["ladder"], f"corpus {name}: describe it in docs/ladder.md")


@pytest.mark.parametrize("slug", [slug for slug, paper in catalogue().items() if paper.check])
def test_a_checked_paper_is_complete(slug):
    paper = catalogue()[slug]
    module = "rung.papers." + str(paper.check).partition(":")[0]
    file = SOURCE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    require(file.exists(), f"paper {slug}: write {file.relative_to(SOURCE)}")
    require(f"`{slug}`" in DOCS["papers"], f"paper {slug}: add a row with `{slug}` to docs/papers.md, What was found")
    require(f"\n{slug} " in DOCS["papers"], f"paper {slug}: run make examples, which lists it in docs/papers.md")


def test_every_dependency_has_its_reason():
    project = (ROOT / "pyproject.toml").read_text()
    names = re.findall(r'^    "([a-z][a-z0-9-]+)(?:\[|[>=])', project, flags=re.MULTILINE)
    missing = [name for name in names if f"`{name}`" not in DOCS["dependencies"] and name != "rung"]
    require(not missing, f"give the reason in docs/dependencies.md: {', '.join(missing)}")


def test_the_demo_installs_what_the_package_needs_without_scipy():
    project = (ROOT / "pyproject.toml").read_text()
    core = re.findall(r'"([^"]+)"', project.split("dependencies = [", 1)[1].split("]", 1)[0])
    demo = [
        line for line in (ROOT / "examples" / "demo-requirements.txt").read_text().splitlines() if line[:1].isalpha()
    ]
    require(
        sorted(demo) == sorted(one for one in core if not one.startswith("scipy")),
        "examples/demo-requirements.txt: list the dependencies of pyproject.toml without scipy",
    )


PRIVATE_WORDS = re.compile(
    r"\b(stray(s|ed|ing)?|wander(s|ed|ing)?|misfit|internal numbers?|wish(es|ed)?|takes? leave|the verb|for want of|odd runs?|"
    r"stands? at an end|tells? of|told (of|by|in)|carr(y|ies|ied) out)\b",
    re.IGNORECASE,
)
"""Words of an earlier private vocabulary; docs/glossary.md has the field's."""


def test_the_private_words_are_gone():
    texts = {
        file: file.read_text()
        for file in (
            *SOURCE.rglob("*.py"),
            *(ROOT / "docs").rglob("*.md"),
            ROOT / "README.md",
            ROOT / "CONTRIBUTING.md",
        )
    }
    found = [
        f"{file.relative_to(ROOT)}:{number}: {match[0]!r} in {line.strip()[:80]!r}"
        for file, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if (match := PRIVATE_WORDS.search(line)) and "misfitting" not in line and "(Mis)Fitting" not in line
    ]
    require(not found, "use the glossary's words:\n" + "\n".join(found))
