"""How the house is built: rooms import to the left, the package is light, verbs keep their names."""

import ast
import subprocess
import sys
from pathlib import Path

import rung

SOURCE = Path(rung.__file__).parent
ROOMS = ["units", "laws", "runs", "fit", "forecast", "worth", "skill", "plan", "ladder", "papers", "report", "cli"]
"""Left to right; laws stand before runs for the reason in docs/adr/0003."""


def imported_rooms(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            targets = [node.module or ""]
        else:
            continue
        for target in targets:
            parts = target.split(".")
            if parts[0] == "rung" and len(parts) > 1 and parts[1] in ROOMS:
                yield parts[1]


def test_no_room_imports_a_room_to_its_right():
    arrows = [
        (room, target, file.name)
        for place, room in enumerate(ROOMS)
        for file in (SOURCE / room).rglob("*.py")
        for target in imported_rooms(file)
        if ROOMS.index(target) > place
    ]
    assert arrows == []


def test_every_room_stands_in_the_order():
    rooms = {folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").exists()}
    assert rooms == set(ROOMS)


def loaded_by(statement):
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("import rung") & {
        "numpy",
        "polars",
        "scipy",
        "torch",
        "matplotlib",
        "jinja2",
        "starlette",
    }


def test_a_fit_loads_neither_figures_nor_torch():
    heavy = {"scipy", "torch", "matplotlib", "jinja2", "starlette", "pandas"}
    assert not loaded_by("import rung; rung.fit; rung.forecast; rung.read_runs") & heavy


def test_verbs_stay_functions_after_their_rooms_are_imported():
    code = "import rung.fit, rung.forecast, rung; assert callable(rung.fit) and callable(rung.forecast); print(rung.fit.__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "fit\n"


def test_everything_public_can_be_reached_and_says_what_it_is():
    for name in rung.__all__:
        value = getattr(rung, name)
        assert name == "__version__" or value.__doc__
