"""Report: figures and pages from values."""

from rung.report.figure import draw_figure, figure_kind, render_figure
from rung.report.page import page_text, write_page

__all__ = ["draw_figure", "figure_kind", "page_text", "render_figure", "write_page"]
