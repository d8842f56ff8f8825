"""Diagnose: one file per kind of finding about a fit."""
