"""The notebook of the examples, run as Jupyter runs it."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_and_shows_tables_and_figures():
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    book = nbformat.read(ROOT / "examples" / "runs-to-plan.ipynb", as_version=4)
    client.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(ROOT / "examples")}}).execute()
    shown = [
        output.data.get("text/html", "")
        for cell in book.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    results = [text for text in shown if "<table>" in text]
    assert len(results) == 4
    assert all("<svg" in text for text in results)
    printed = "".join(
        output.text for cell in book.cells for output in cell.get("outputs", []) if output.get("name") == "stdout"
    )
    assert printed.count("inside") + printed.count("outside") == 4
    assert "[[rung]]" in printed
