"""Report: figures and pages from values."""

from rung.report.figures import KINDS, Scene, draw_figure, figure_kind, render_figure
from rung.report.figures.fit_data import kept_runs
from rung.report.page import page_text, write_page

__all__ = ["KINDS", "Scene", "draw_figure", "figure_kind", "kept_runs", "page_text", "render_figure", "write_page"]
