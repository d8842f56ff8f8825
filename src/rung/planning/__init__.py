"""Planning: decisions that follow from a law.

Four rooms, each with a door of its own: `allocation` (how large, how much data), `experiments` (which runs next), `tuning`
(learning rate and batch) and `cost` (hours, money, energy).
"""
