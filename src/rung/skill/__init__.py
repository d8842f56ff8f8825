"""Skill: what a model can do, from its losses. Knowledge in bits."""

from rung.skill.knowledge import bits_of_people, bits_of_values

__all__ = ["bits_of_people", "bits_of_values"]
