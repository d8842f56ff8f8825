"""Lineage: families of models from a table of parents, what they share and where their traits drift."""

from rung.skill.lineage.drift import Drift, drift_of
from rung.skill.lineage.hub import read_hub
from rung.skill.lineage.result import LineageReport, lineage
from rung.skill.lineage.table import Lineage, read_lineage

__all__ = ["Drift", "Lineage", "LineageReport", "drift_of", "lineage", "read_hub", "read_lineage"]
