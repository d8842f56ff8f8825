"""Report: figures and pages from values."""

from rung.report.figure import draw_figure
from rung.report.page import write_page

__all__ = ["draw_figure", "write_page"]
