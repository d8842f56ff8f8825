"""Forecasting: what a fit says about models not trained."""

from rung.forecasting.bounds_grid import BoundsGrid
from rung.forecasting.chain import forecast_chain
from rung.forecasting.combined import forecast_selection
from rung.forecasting.draws import Draws, draws_at
from rung.forecasting.forecast import Forecast, Forecaster, Interval, forecast, forecast_grid, one_point, shown_factor
from rung.forecasting.held_out import HeldOut, compare_held_out, split
from rung.forecasting.invert import invert, invert_within
from rung.forecasting.plans import PlanForecasts, forecast_plans
from rung.forecasting.question import Question, ask, is_variable
from rung.forecasting.several import forecast_each
from rung.forecasting.single_law import predict

__all__ = [
    "BoundsGrid",
    "Draws",
    "Forecast",
    "Forecaster",
    "HeldOut",
    "Interval",
    "PlanForecasts",
    "Question",
    "ask",
    "compare_held_out",
    "draws_at",
    "forecast",
    "forecast_chain",
    "forecast_each",
    "forecast_grid",
    "forecast_plans",
    "forecast_selection",
    "invert",
    "invert_within",
    "is_variable",
    "one_point",
    "predict",
    "shown_factor",
    "split",
]
