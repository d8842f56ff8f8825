"""Figures: one picture for every kind of result, drawn to a file or on a user's own axes."""

from rung.report.figures.draw import KINDS, Scene, can_draw, draw_figure, figure_kind, render_figure

__all__ = ["KINDS", "Scene", "can_draw", "draw_figure", "figure_kind", "render_figure"]
