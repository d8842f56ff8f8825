"""How loyal a model is to another one, token by token on a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import ModelError
from rung.models import cause_of, open_model, same_tokens
from rung.progress import reported
from rung.treat.calibration import windows_of_text
from rung.treat.loyalty import Loyalty, mean_of, probability_loyalty


def loyalty_of_models(
    first: str | Path,
    second: str | Path,
    data: tuple[str, ...],
    *,
    windows: int = 64,
    base: str = "2",
    device: str | None = None,
) -> Loyalty:
    """The loyalty of two causal language models of one vocabulary: in the likeliest next token, and in its whole distribution.

    The standard errors are over windows, since the tokens of one window are not independent.

    Args:
        first: The teacher.
        second: The student.
        data: Files and folders of text.
        windows: Windows of it, drawn at random [count].
        base: Base of the logarithm in the divergence: "2" or "e".
        device: Where to compute.

    Raises:
        ModelError: A model cannot be opened, the vocabularies differ, or the text is too short.
    """
    if base not in {"2", "e"}:
        raise ModelError(f"--base {base}: choose 2 or e.")
    teacher, student = (open_model(one, device=device) for one in (first, second))
    if teacher.vocab != student.vocab:
        raise ModelError(
            f"{first} tells {teacher.vocab} tokens apart, and {second} {student.vocab}: their distributions cannot be compared."
        )
    if windows < 1:
        raise ModelError(f"--windows {windows} must be at least 1.")
    if not same_tokens(teacher, student):
        raise ModelError(f"{first} and {second} have different tokenizers: a number is another token in each.")
    context = min(teacher.context, student.context)
    labels, probabilities = [], []
    for batch in reported(windows_of_text(teacher, data, count=windows, context=context), "batches"):
        for row in batch:
            one, other = (_distributions(model, row[None, :-1]) for model in (teacher, student))
            labels.append(float(np.mean(one.argmax(axis=1) == other.argmax(axis=1))))
            probabilities.append(float(np.mean(probability_loyalty(one, other, base=base))))
    if not np.isfinite(probabilities).all():
        which = next((model for model in (teacher, student) if "so are" in cause_of(model)), teacher)
        raise ModelError(f"{which.name}: its distributions are not finite: {cause_of(which)}.")
    return Loyalty(
        first=str(first),
        second=str(second),
        cases=windows * context,
        found={"label": mean_of(np.array(labels)), "probability": mean_of(np.array(probabilities))},
        base=base,
    )


def _distributions(model: Any, tokens: Any) -> Any:
    """The distribution of the next token after each one of a window (tokens, vocab)."""
    import torch

    with torch.inference_mode():
        return torch.softmax(model.logits(tokens.to(model.device))[0].double(), dim=-1).cpu().numpy()
