"""A decoder that is taught to answer: by answers alone, or by pairs of which one was preferred."""

from __future__ import annotations

from dataclasses import dataclass

from rung.errors import LadderError
from rung.ladder.architectures.decoder.spec import Decoder
from rung.ladder.architectures.size import Size

SFT, DPO, ORPO = "sft", "dpo", "orpo"
"""Supervised fine-tuning, direct preference optimization, odds-ratio preference optimization."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned(Decoder):
    """A decoder-only transformer that goes on learning from a model: prompts are read, and answers alone are learnt.

    An item is an answer behind its prompt in a window of `context` tokens, of pairs two of them; what fills windows up counts in D.

    Source: Rafailov et al. 2023, arXiv:2305.18290 (DPO); Hong et al. 2024, arXiv:2403.07691 (ORPO).

    Attributes:
        objective: sft, dpo or orpo.
        beta: Of dpo how far the model may go from the one it begins from (the smaller, the farther), of orpo the weight of the odds ratio.
    """

    objective: str = SFT
    beta: float = 0.1

    def __post_init__(self) -> None:
        # The base class's own check; super() does not know a class with slots.
        Decoder.__post_init__(self)
        if self.objective not in {SFT, DPO, ORPO}:
            raise LadderError(f"objective = {self.objective!r} is not known; it is {SFT}, {DPO} or {ORPO}.")
        if not self.beta > 0:
            raise LadderError(f"beta = {self.beta:g} must be positive.")

    @property
    def data(self) -> str:
        return "answers" if self.objective == SFT else "preferences"

    @property
    def item_tokens(self) -> int:
        return self.context if self.objective == SFT else 2 * self.context

    def flops_per_token(self, size: Size) -> float:
        """Training FLOPs of one token; of dpo with a forward pass of the model it begins from [FLOP]."""
        own = Decoder.flops_per_token(self, size)
        return own * 4 / 3 if self.objective == DPO else own
