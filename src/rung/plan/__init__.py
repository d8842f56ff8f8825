"""Plan: decisions that follow from a law: allocation under a cost, and what a training costs."""

from rung.plan.allocate import Allocation, Choice, allocate, best_sizes
from rung.plan.approaches import Approach, Approaches, Profile, compare_approaches, parabola_bias, parabola_bottom
from rung.plan.hardware import Accelerator, Cluster, Price, accelerator_named, cost, hardware
from rung.plan.next import NextRuns, PlannedRun, Target, next_runs
from rung.plan.sweeps import Grid, PowerRule, fit_procedure, fit_surface, held_out_regrets, read_sweeps, regrets
from rung.plan.tune import Proposal, Rule, Tuning, published_rules, round_batch, tune

__all__ = [
    "Accelerator",
    "Allocation",
    "Approach",
    "Approaches",
    "Choice",
    "Cluster",
    "Grid",
    "NextRuns",
    "PlannedRun",
    "PowerRule",
    "Price",
    "Profile",
    "Proposal",
    "Rule",
    "Target",
    "Tuning",
    "accelerator_named",
    "allocate",
    "best_sizes",
    "compare_approaches",
    "cost",
    "fit_procedure",
    "fit_surface",
    "hardware",
    "held_out_regrets",
    "next_runs",
    "parabola_bias",
    "parabola_bottom",
    "published_rules",
    "read_sweeps",
    "regrets",
    "round_batch",
    "tune",
]
