"""Work that says how far it is."""

import rung
from rung.cli.waiting import Waiting
from rung.progress import listening, reported


class Told:
    def __init__(self):
        self.lines = []

    def begin(self, what, total):
        self.lines.append((what, total))

    def advance(self):
        self.lines.append("+")

    def end(self):
        self.lines.append(".")


def test_parts_are_reported_in_order_and_the_items_stay():
    told = Told()
    with listening(told):
        assert [x for outer in reported([1, 2], "outer") for x in reported([outer], "inner")] == [1, 2]
    assert told.lines == [("outer", 2), ("inner", 1), "+", ".", "+", ("inner", 1), "+", ".", "+", "."]
    assert list(reported([3], "nobody listens")) == [3]


def test_a_long_fit_and_a_selection_say_how_far_they_are(runs_csv):
    told = Told()
    with listening(told):
        rung.select(runs_csv, ["A / N^alpha", "E + A / N^alpha"])
    assert ("laws", 2) in told.lines
    told = Told()
    with listening(told):
        rung.fit(runs_csv, draws=50)
    assert "resamples" in {line[0] for line in told.lines if isinstance(line, tuple)}


def test_bars_are_shown_only_after_a_moment(monkeypatch, capsys):
    waiting = Waiting()
    with listening(waiting):
        list(reported(range(3), "quick"))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("rung.cli.waiting.PATIENCE_S", 0.0)
    with listening(Waiting()):
        list(reported(range(3), "slow"))
    assert capsys.readouterr().err != ""
