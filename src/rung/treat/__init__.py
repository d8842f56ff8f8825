"""Treatments: what is done to a finished model; so far merging and pruning."""

from rung.treat.merge import Merged, merge_models
from rung.treat.methods import METHODS, MergeOptions
from rung.treat.prune import Pruned, prune_model
from rung.treat.pruning import PRUNERS, Pruning
from rung.treat.recipe import read_recipe

__all__ = [
    "METHODS",
    "PRUNERS",
    "MergeOptions",
    "Merged",
    "Pruned",
    "Pruning",
    "merge_models",
    "prune_model",
    "read_recipe",
]
