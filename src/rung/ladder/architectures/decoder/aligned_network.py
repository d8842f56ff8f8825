"""The network of decoders that are taught to answer."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn import functional

from rung.errors import LadderError
from rung.ladder.architectures.decoder.aligned import DPO, SFT, Aligned
from rung.ladder.architectures.decoder.network import DecoderNet
from rung.ladder.architectures.network import Batch
from rung.ladder.architectures.size import Size


class AlignedNet(DecoderNet):
    """A decoder with the loss of its objective, over the tokens of answers.

    sft     mean of -log pi(y_t) over the tokens of answers [nats/token]
    dpo     -log sigmoid(beta ((log pi / pi_0)(y_w) - (log pi / pi_0)(y_l))), pi_0 the model it begins from [nats/pair]
    orpo    -log p(y_w) - beta log sigmoid(log odds(y_w) - log odds(y_l)), log p the mean over tokens, odds = p / (1 - p) [nats]

    y_w is the preferred answer, y_l the other.
    """

    def __init__(self, family: Aligned, size: Size) -> None:
        super().__init__(family, size)
        self.objective, self.beta = family.objective, family.beta
        # A list, so that the reference is no part of the weights.
        self._reference: list[AlignedNet] = []

    def begin(self, *, started: bool) -> None:
        if self.objective != DPO:
            return
        if not started:
            raise LadderError('dpo measures how far a model goes from the one it begins from: [recipe] from = "RUN".')
        reference = copy.deepcopy(self).eval()
        for weight in reference.parameters():
            weight.requires_grad_(False)
        self._reference[:] = [reference]

    def answered(self, tokens: Tensor, lengths: Tensor, leads: Tensor) -> tuple[Tensor, Tensor]:
        """The log-probability of each answer, and how many tokens it has (items,).

        Args:
            tokens: Prompts and answers, filled up at the right (items, context).
            lengths: Tokens of both (items,).
            leads: Tokens of the prompt (items,); a first token without any before it is not predicted.
        """
        logits = self(tokens.long())[:, :-1].float()
        nats = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].reshape(-1).long(), reduction="none")
        at = torch.arange(1, tokens.shape[1], device=tokens.device)
        answer = ((at >= leads[:, None].clamp(min=1)) & (at < lengths[:, None])).float()
        return -(nats.view(len(tokens), -1) * answer).sum(dim=1), answer.sum(dim=1)

    def weight(self, batch: Batch) -> float:
        """Of answers their tokens, so that parts of a batch count as the whole does; of pairs the pairs."""
        if self.objective != SFT:
            return super().weight(batch)
        _, lengths, leads = batch
        return float((lengths - leads.clamp(min=1)).clamp(min=0).sum())

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if self.objective == SFT:
            log_p, counts = self.answered(*batch)
            loss = -log_p.sum() / counts.sum().clamp(min=1)
            return loss + self.uneven(), loss
        margins, chosen = self._margins(batch)
        scale = 1.0 if self.objective == DPO else self.beta
        loss = -scale * functional.logsigmoid(margins).mean()
        if self.objective != DPO:
            loss = loss - chosen.mean()
        return loss + self.uneven(), loss

    def _margins(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """By how much the preferred answer is ahead, as its objective counts it, and the mean log-probability of its tokens (items,)."""
        preferred, other, lengths, leads = batch
        sides = (torch.cat([preferred, other]), torch.cat([lengths[:, 0], lengths[:, 1]]), torch.cat([leads[:, 0], leads[:, 1]]))  # fmt: skip
        log_p, counts = self.answered(*sides)
        mean = log_p / counts.clamp(min=1)
        if self.objective == DPO:
            with torch.no_grad():
                before, _ = self._reference[0].answered(*sides)
            ahead = self.beta * (log_p - before)
        else:
            # log p / (1 - p); where p rounds to 1 the odds are those of the nearest number below.
            ahead = mean - torch.log(-torch.expm1(mean.clamp(max=-1e-6)))
        return ahead[: len(preferred)] - ahead[len(preferred) :], mean[: len(preferred)]

    def measures(self, batch: Batch) -> dict[str, Tensor]:
        """Of pairs the share whose preferred answer is ahead (half of a tie counts), and what the preferred one costs [nats/token]."""
        if self.objective == SFT:
            return {}
        margins, chosen = self._margins(batch)
        return {
            "accuracy": ((margins > 0).float() + 0.5 * (margins == 0).float()).mean(),
            "loss_chosen": -chosen.mean(),
        }
