"""Two encoders whose embeddings are compared."""

from rung.ladder.architectures.two_tower.spec import TwoTower

__all__ = ["TwoTower"]
