"""Cost: what a run costs, as a formula, and in hours, money, energy and memory."""

from rung.planning.cost.cost_formula import evaluate_cost
from rung.planning.cost.hardware import Accelerator, Cluster, Price, accelerator_named, cost, hardware

__all__ = ["Accelerator", "Cluster", "Price", "accelerator_named", "cost", "evaluate_cost", "hardware"]
