"""Forecasting: what a fit says about models not trained."""

from rung.forecasting.combined import forecast_selection
from rung.forecasting.forecast import Forecast, Interval, forecast, forecast_grid, shown_factor
from rung.forecasting.held_out import HeldOut, compare_held_out, split
from rung.forecasting.invert import invert
from rung.forecasting.question import is_variable

__all__ = [
    "Forecast",
    "HeldOut",
    "Interval",
    "compare_held_out",
    "forecast",
    "forecast_grid",
    "forecast_selection",
    "invert",
    "is_variable",
    "shown_factor",
    "split",
]
