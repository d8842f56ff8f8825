"""Forecast: what a fit says about models not trained."""

from rung.forecast.combine import forecast_selection
from rung.forecast.forecast import Forecast, Interval, forecast, forecast_grid, predict
from rung.forecast.held_out import HeldOut, HeldOutPoint, compare_held_out, split
from rung.forecast.inputs import Question, is_variable
from rung.forecast.invert import invert

__all__ = [
    "Forecast",
    "HeldOut",
    "HeldOutPoint",
    "Interval",
    "Question",
    "compare_held_out",
    "forecast",
    "forecast_grid",
    "forecast_selection",
    "invert",
    "is_variable",
    "predict",
    "split",
]
