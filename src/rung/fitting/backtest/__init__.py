"""Backtests: a law fitted to the smaller scales and scored on the larger; model discrepancy; the weights of laws."""

from rung.fitting.backtest.backtest import Backtest, backtest, shown_scale
from rung.fitting.backtest.burn_in import drop_start
from rung.fitting.backtest.folds import scale_levels
from rung.fitting.backtest.stacking import weighted_middle

__all__ = ["Backtest", "backtest", "drop_start", "scale_levels", "shown_scale", "weighted_middle"]
