"""Report: figures and pages from values."""

from rung.report.figures import KINDS, Scene, draw_figure, figure_kind, render_figure
from rung.report.figures.fit_data import kept_runs
from rung.report.page import page_text, write_page
from rung.report.report import Asked, make_report, report_text, write_report
from rung.report.sections import Report

__all__ = [
    "KINDS",
    "Asked",
    "Report",
    "Scene",
    "draw_figure",
    "figure_kind",
    "kept_runs",
    "make_report",
    "page_text",
    "render_figure",
    "report_text",
    "write_page",
    "write_report",
]
