"""Treatments: what is done to a finished model; so far merging."""

from rung.treat.merge import Merged, merge_models
from rung.treat.methods import METHODS, MergeOptions
from rung.treat.recipe import read_recipe

__all__ = ["METHODS", "MergeOptions", "Merged", "merge_models", "read_recipe"]
