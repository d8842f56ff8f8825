"""The corpora by name."""

from __future__ import annotations

from typing import Any

from rung.ladder.corpora.answers import ANSWERS, Answers
from rung.ladder.corpora.facts import KeyValues, People
from rung.ladder.corpora.preferences import PREFERENCES, Preferences
from rung.ladder.corpora.sequences import Arithmetic, ItemStream, Markov
from rung.ladder.corpora.signals import Gratings, Series, SparseFeatures, TwoViews
from rung.ladder.corpora.teacher import TEACHER, Teacher
from rung.ladder.corpora.text import Hub, PythonSource, Text

CORPORA: dict[str, type[Any]] = {
    "text": Text,
    "python": PythonSource,
    "hub": Hub,
    TEACHER: Teacher,
    ANSWERS: Answers,
    PREFERENCES: Preferences,
    "markov": Markov,
    "bio-s": People,
    "bio-d": KeyValues,
    "items": ItemStream,
    "arithmetic": Arithmetic,
    "series": Series,
    "features": SparseFeatures,
    "views": TwoViews,
    "gratings": Gratings,
}
"""The class of each corpus."""
