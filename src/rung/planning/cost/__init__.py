"""Cost: the cost of a run as a formula, and its hours, money, energy and memory on some hardware."""

from rung.planning.cost.cost_formula import evaluate_cost
from rung.planning.cost.hardware import Accelerator, Cluster, Price, accelerator_named, cost, hardware

__all__ = ["Accelerator", "Cluster", "Price", "accelerator_named", "cost", "evaluate_cost", "hardware"]
