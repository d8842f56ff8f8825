"""How the house is built: arrows, doors and sizes. Each test prints the line that breaks the rule."""

import ast
import itertools
import statistics
import subprocess
import sys
from pathlib import Path

import rung

SOURCE = Path(rung.__file__).parent
ROOMS = [
    "units",
    "laws",
    "runs",
    "fitting",
    "forecasting",
    "worth",
    "planning",
    "skill",
    "ladder",
    "models",
    "treat",
    "papers",
    "reading",
    "report",
    "app",
    "cli",
]
"""Left to right; laws stand before runs for the reason in docs/adr/0003."""

SHARED = {
    *("arrays", "errors", "files", "finding_kind", "finding_kinds", "findings", "messages", "model_findings"),
    *("progress", "results", "skill_findings", "version"),
}
"""Single files beside the rooms, which every room may import."""

VERBS = {
    "fit",
    "select",
    "backtest",
    "forecast",
    "invert",
    "allocate",
    "next_runs",
    "tune",
    "compare",
    "density",
    "worth",
    "next_",
    "cost",
    "report",
    "predict",
    "verdict",
    "plateau",
    "quality",
    "early",
    "learning_curve",
    "frontier",
    "preference",
}
"""Public functions and commands, which may have more than eight parameters."""

MOST_PARAMETERS, MOST_LINES, MOST_FILE_LINES, MEDIAN_FILE_LINES = 8, 60, 350, 140


def module_of(file):
    parts = ("rung", *file.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in SOURCE.rglob("*.py")}


def imports(file):
    """Each import of the package in a file: the module, the name taken from it, and the line."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, node.lineno) for alias in node.names if alias.name.startswith("rung"))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "rung":
            yield from ((node.module, alias.name, node.lineno) for alias in node.names)


def room_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def where(module, line):
    return f"{MODULES[module].relative_to(SOURCE.parent)}:{line}"


def test_every_room_stands_in_the_order():
    rooms = {folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").exists()}
    assert rooms == set(ROOMS)
    assert {file.stem for file in SOURCE.glob("*.py")} - {"__init__"} == SHARED


def test_no_room_imports_a_room_to_its_right():
    arrows = [
        f"{where(module, line)} imports {target}, to the right of {room_of(module)}"
        for module, file in MODULES.items()
        for target, _, line in imports(file)
        if room_of(module) in ROOMS and room_of(target) in ROOMS
        if ROOMS.index(room_of(target)) > ROOMS.index(room_of(module))
    ]
    assert not arrows, "\n".join(arrows)


def test_a_room_is_entered_by_a_door():
    """An import from another room takes a name that a folder's __init__ exports, never a file inside."""
    windows = []
    for module, file in MODULES.items():
        for target, name, line in imports(file):
            if module == "rung" or room_of(target) in {room_of(module), *SHARED, ""}:
                continue
            door = MODULES.get(target)
            if door is None or door.name != "__init__.py" or (name and name not in exported(door)):
                windows.append(f"{where(module, line)} takes {name} from {target}, which is no door that names it")
    assert not windows, "\n".join(windows)


def exported(door):
    stub = door.with_suffix(".pyi")
    tree = ast.parse((stub if stub.exists() else door).read_text())
    return {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def test_no_files_import_each_other_in_a_circle():
    """Imports inside functions and for type checkers count too."""
    arrows = {}
    for module, file in MODULES.items():
        arrows[module] = {}
        for target, name, line in imports(file):
            full = f"{target}.{name}"
            arrows[module][full if full in MODULES else target] = line
    circles = [
        " -> ".join(f"{where(module, arrows[module][to])} imports {to}" for module, to in itertools.pairwise(path))
        for path in circles_in({module: set(targets) & set(MODULES) for module, targets in arrows.items()})
    ]
    assert not circles, "\n".join(circles)


def circles_in(graph):
    """One path along each circle of a directed graph, by depth-first search."""
    done, found = set(), []

    def visit(node, path):
        if node in path:
            found.append([*path[path.index(node) :], node])
        elif node not in done:
            for target in graph[node] - {node}:
                visit(target, [*path, node])
            done.add(node)

    for node in graph:
        visit(node, [])
    return found


def test_the_search_for_circles_finds_one():
    assert circles_in({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c", "a"]]
    assert circles_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_doors_and_files_stay_small():
    sizes = {module: file.read_text().count("\n") for module, file in MODULES.items()}
    long = [
        f"{module}: {lines} lines, at most {MOST_FILE_LINES}"
        for module, lines in sizes.items()
        if lines > MOST_FILE_LINES
    ]
    assert not long, "\n".join(long)
    assert statistics.median(sizes.values()) <= MEDIAN_FILE_LINES
    assert len(exported(MODULES["rung.fitting"])) <= 25


def test_functions_stay_small():
    found = []
    for module, file in MODULES.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                count = len(arguments) - (bool(arguments) and arguments[0].arg in {"self", "cls"})
                lines = node.end_lineno - node.lineno + 1
                if count > MOST_PARAMETERS and node.name not in VERBS:
                    found.append(
                        f"{where(module, node.lineno)}: {node.name} has {count} parameters, at most {MOST_PARAMETERS}"
                    )
                if lines > MOST_LINES:
                    found.append(f"{where(module, node.lineno)}: {node.name} has {lines} lines, at most {MOST_LINES}")
    assert not found, "\n".join(found)


def loaded_by(statement):
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"numpy", "polars", "scipy", "torch", "matplotlib", "jinja2", "starlette"}
    assert not loaded_by("import rung") & heavy


def test_a_fit_loads_neither_figures_nor_torch():
    heavy = {"scipy.stats", "scipy.optimize", "torch", "matplotlib", "jinja2", "starlette", "pandas"}
    assert not loaded_by("import rung; rung.fit; rung.forecast; rung.read_runs") & heavy


def test_a_ladder_is_read_without_torch():
    assert "torch" not in loaded_by(
        "import rung.ladder.training as t, rung.ladder.execution as e; t.RunFolder, e.Launch"
    )


def test_functions_and_rooms_have_names_of_their_own():
    assert not {name for name in rung.__all__ if name in ROOMS}
    assert callable(rung.fit)
    assert callable(rung.forecast)


def test_everything_public_can_be_reached_and_says_what_it_is():
    for name in rung.__all__:
        value = getattr(rung, name)
        assert name == "__version__" or value.__doc__, name


def test_the_package_is_typed():
    assert (SOURCE / "py.typed").exists()
