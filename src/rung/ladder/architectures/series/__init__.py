"""Transformers for time series."""

from rung.ladder.architectures.series.spec import LADDER, SeriesTransformer

__all__ = ["LADDER", "SeriesTransformer"]
