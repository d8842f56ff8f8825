"""Diagnosis of a fit: one file per kind of finding."""
