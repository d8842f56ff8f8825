"""Experiments: which runs to make next, by optimal design."""

from rung.planning.experiments.next_runs import next_runs
from rung.planning.experiments.result import NextRuns

__all__ = ["NextRuns", "next_runs"]
