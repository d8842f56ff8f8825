"""Plan: decisions that follow from a law: allocation under a cost, and what a training costs."""

from rung.plan.allocate import Allocation, Choice, allocate, best_sizes
from rung.plan.approaches import Approach, Approaches, Profile, compare_approaches, parabola_bias, parabola_bottom
from rung.plan.hardware import Accelerator, Cluster, Price, accelerator_named, cost, hardware

__all__ = [
    "Accelerator",
    "Allocation",
    "Approach",
    "Approaches",
    "Choice",
    "Cluster",
    "Price",
    "Profile",
    "accelerator_named",
    "allocate",
    "best_sizes",
    "compare_approaches",
    "cost",
    "hardware",
    "parabola_bias",
    "parabola_bottom",
]
