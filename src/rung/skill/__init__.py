"""Skill: what a model can do, computed from its losses. So far: its knowledge, in bits."""

from rung.skill.knowledge import FactCorpus, bits_of_people, bits_of_values

__all__ = ["FactCorpus", "bits_of_people", "bits_of_values"]
