"""Published rules for learning rate and batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rung.laws import law_book

DEEPSEEK = {"a": 0.3118, "alpha": 0.1250, "b": 0.2920, "beta": 0.3271}
"""Constants of lr = a C^-alpha and batch = b C^beta, with C = 6 N D.

Source: DeepSeek-AI 2024, arXiv:2401.02954, section 3.1, as secondary sources report it; the digits could not be checked
against the paper."""

KAPLAN_RATE = (3.239e-3, 1.395e-4)
"""Constants of lr = 3.239e-3 - 1.395e-4 log N.

Source: Kaplan et al. 2020, arXiv:2001.08361, appendix D.6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A published rule for learning rate and batch.

    Attributes:
        name: Its name.
        propose: From N and D to the peak learning rate and the batch in tokens.
        convention: What N, D and the batch mean in the rule.
        params: The smallest and largest N that it was fitted on; None where the source does not state them.
        tokens: The same for D.
        source: The publication.
        active: Whether its N is what one token meets, so that a mixture of experts enters with its active parameters.
    """

    name: str
    propose: Callable[[float, float], tuple[float, float]]
    convention: str
    params: tuple[float, float] | None
    tokens: tuple[float, float] | None
    source: str
    active: bool = False


def published_rules() -> dict[str, Rule]:
    """The published rules, by name."""
    rate, batch = (law_book()[f"step-law-{part}"] for part in ("lr", "batch"))

    def step_law(params: float, tokens: float) -> tuple[float, float]:
        return (
            float(rate.law.value(rate.constants, {"N": params, "D": tokens})),
            float(batch.law.value(batch.constants, {"D": tokens})),
        )

    def deepseek(params: float, tokens: float) -> tuple[float, float]:
        compute = 6 * params * tokens
        return DEEPSEEK["a"] * compute ** -DEEPSEEK["alpha"], DEEPSEEK["b"] * compute ** DEEPSEEK["beta"]

    def kaplan(params: float, tokens: float) -> tuple[float, float]:
        return KAPLAN_RATE[0] - KAPLAN_RATE[1] * float(np.log(params)), step_law(params, tokens)[1]

    rules = (
        Rule(
            name="step-law",
            propose=step_law,
            convention="N without embeddings (mixtures of experts: total), D tokens, batch in tokens; peak rate of a cosine "
            "with a fixed final rate",
            params=(60e6, 1e9),
            tokens=(2e9, 100e9),
            source="Li et al. 2025, arXiv:2503.04715",
        ),
        Rule(
            name="deepseek",
            propose=deepseek,
            convention="C = 6 N D stands for non-embedding FLOPs per token times tokens (mixtures of experts: active N); batch in tokens; multi-step schedule",
            params=None,
            tokens=None,
            source="DeepSeek-AI 2024, arXiv:2401.02954, section 3.1; digits by secondary sources",
            active=True,
        ),
        Rule(
            name="kaplan",
            propose=kaplan,
            convention="N without embeddings; rate for Adam with a cosine; it has no law of batch in D, so Step Law's stands in",
            params=(768.0, 1.5e9),
            tokens=None,
            source="Kaplan et al. 2020, arXiv:2001.08361, appendix D.6",
        ),
    )
    return {rule.name: rule for rule in rules}
