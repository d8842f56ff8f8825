"""Report: figures and pages from values."""

from rung.report.data_section import data_and_law, explorer_of, points_of
from rung.report.figures import KINDS, Scene, draw_figure, figure_kind, render_figure
from rung.report.figures.fit_data import kept_runs
from rung.report.html import TEMPLATES
from rung.report.page import page_text, write_page
from rung.report.report import Asked, farther, make_report, report_text, write_report
from rung.report.result_sections import coefficients_section, findings_section, read_section, result_section
from rung.report.sections import (
    Block,
    Definitions,
    Findings,
    MarkedFinding,
    Paragraph,
    Report,
    Section,
    TableBlock,
)

__all__ = [
    "KINDS",
    "TEMPLATES",
    "Asked",
    "Block",
    "Definitions",
    "Findings",
    "MarkedFinding",
    "Paragraph",
    "Report",
    "Scene",
    "Section",
    "TableBlock",
    "coefficients_section",
    "data_and_law",
    "draw_figure",
    "explorer_of",
    "farther",
    "figure_kind",
    "findings_section",
    "kept_runs",
    "make_report",
    "page_text",
    "points_of",
    "read_section",
    "render_figure",
    "report_text",
    "result_section",
    "write_page",
    "write_report",
]
