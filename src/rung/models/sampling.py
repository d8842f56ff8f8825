"""Attempts of models at problems: answers are drawn token by token and checked, until some have passed or a cap."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import ModelError
from rung.models.items import Item, score_items
from rung.models.opened import OpenModel
from rung.progress import reported
from rung.skill import PassCount, pass_until

_AT_ONCE = 16
"""Answers that are drawn together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem with a check of its answers.

    Attributes:
        name: Its name, or its line.
        prompt: What stands before the answer.
        answer: The text that an answer begins with, as a whole word; None where a pattern checks.
        pattern: A regular expression that is found in an answer that passes; None where a text does.
    """

    name: str
    prompt: str
    answer: str | None = None
    pattern: re.Pattern[str] | None = None

    def passes(self, text: str) -> bool:
        """Whether an answer passes."""
        if self.pattern is not None:
            return self.pattern.search(text) is not None
        assert self.answer is not None
        begun = text.strip()
        after = begun[len(self.answer) : len(self.answer) + 1]
        return begun.startswith(self.answer) and not (after.isalnum() and self.answer[-1:].isalnum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How answers are drawn.

    Attributes:
        until: Passes that end the attempts at a problem.
        cap: Most attempts at a problem.
        temperature: By which logits are divided.
        tokens: Most tokens of an answer [count].
        stop: Text that ends an answer; "" for none.
        seed: Seed of the draws.
    """

    until: int = 2
    cap: int = 1000
    temperature: float = 1.0
    tokens: int = 32
    stop: str = "\n"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ModelError(f"--temperature {self.temperature:g} must be positive: without it every attempt is the same.")  # fmt: skip
        if self.tokens < 1 or self.until < 1 or self.cap < self.until:
            raise ModelError("--tokens and --until are at least 1, and --cap at least as much as --until.")


def read_problems(file: Path) -> list[Problem]:
    """The problems of a JSONL file: {"prompt": ..., "answer": "7"}, or a "pattern" in place of the answer.

    Raises:
        ModelError: The file cannot be read, or a line is no problem.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ModelError(f"{file}: there is no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} cannot be read: {error}.") from None
    found = [_problem(f"{file}, line {number}", number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise ModelError(f"{file} holds no problem.")
    twice = {one.name for one in found if sum(other.name == one.name for other in found) > 1} if len(found) < 10_000 else set()  # fmt: skip
    if twice:
        raise ModelError(f"{file}: two problems have the id {min(twice)}.")
    return found


def _problem(where: str, number: int, line: str) -> Problem:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise ModelError(f"{where}: not JSON.") from None
    row = row if isinstance(row, dict) else {}
    prompt, answer, pattern = (row.get(name) for name in ("prompt", "answer", "pattern"))
    name = str(row.get("id", number))
    if not isinstance(prompt, str) or not prompt or (answer is None) == (pattern is None):
        raise ModelError(f'{where}: a problem has a "prompt", and an "answer" or a "pattern".')
    if pattern is None:
        if not str(answer).strip():
            raise ModelError(f"{where}: the answer is empty.")
        return Problem(name=name, prompt=prompt, answer=str(answer).strip())
    try:
        return Problem(name=name, prompt=prompt, pattern=re.compile(str(pattern)))
    except re.error as error:
        raise ModelError(f"{where}: {pattern!r} is no regular expression: {error}.") from None


def demonstrated(problems: Sequence[Problem], shots: int, instruction: str = "") -> list[Problem]:
    """Problems behind an instruction and the first ones with their answers, which a base model can follow; those are not attempted themselves.

    Source: Chen et al. 2025, arXiv:2503.00812, for few demonstrations with a light instruction.

    Raises:
        ModelError: There are not so many problems, or one that demonstrates has no answer but a pattern.
    """
    if not 0 <= shots < len(problems):
        raise ModelError(f"--shots {shots}: {len(problems)} problems are there, and at least one is attempted.")
    without = next((one for one in problems[:shots] if one.answer is None), None)
    if without is not None:
        raise ModelError(f"--shots {shots}: problem {without.name} has a pattern and no answer that demonstrates it.")
    head = f"{instruction}\n\n" if instruction else ""
    for one in problems[:shots]:
        gap = "" if one.prompt[-1:].isspace() or not one.prompt[-1:].isalnum() else " "
        head += f"{one.prompt}{gap}{one.answer}\n\n"
    return [replace(one, prompt=head + one.prompt) for one in problems[shots:]]


class AnswerSampler:
    """Attempts at one problem by one model, each passed or not: what `pass_until` takes."""

    def __init__(self, model: OpenModel, problem: Problem, sampling: Sampling) -> None:
        import torch

        self._model, self._problem, self._sampling = model, problem, sampling
        self._draws = torch.Generator(device=model.device)
        self._draws.manual_seed(sampling.seed)
        self._ready: list[str] = []

    def __call__(self) -> bool:
        if not self._ready:
            self._ready = self._answers()
        return self._problem.passes(self._ready.pop())

    def _answers(self) -> list[str]:
        import torch

        model, sampling = self._model, self._sampling
        head = [] if model.start is None else [model.start]
        tokens = torch.tensor([[*head, *model.encode(self._problem.prompt.encode()).tolist()]] * _AT_ONCE)
        tokens = tokens.to(model.device)
        spelt = [b""] * _AT_ONCE
        done = [False] * _AT_ONCE
        stop = sampling.stop.encode()
        for _ in range(sampling.tokens):
            with torch.inference_mode():
                logits = model.logits(tokens[:, -model.context :])[:, -1].float()
            if not bool(torch.isfinite(logits).all()):
                raise ModelError(f"problem {self._problem.name}: a logit of {model.name} is not finite.")
            share = torch.softmax(logits / sampling.temperature, dim=-1)
            drawn = torch.multinomial(share, 1, generator=self._draws)
            tokens = torch.cat([tokens, drawn], dim=1)
            for row, token in enumerate(drawn[:, 0].tolist()):
                if done[row]:
                    continue
                if token == model.start:
                    done[row] = True
                    continue
                spelt[row] += model.spelt(token)
                # An answer may begin with the stop itself, as a line break behind a question.
                if stop and stop in spelt[row].lstrip():
                    spelt[row] = spelt[row].lstrip().split(stop)[0]
                    done[row] = True
            if all(done):
                break
        return [one.decode("utf-8", "replace") for one in spelt]


def attempts(model: OpenModel, problems: Sequence[Problem], sampling: Sampling) -> Iterator[dict[str, Any]]:
    """Attempts at each problem, a row each as `rung skill pass-rate` reads them.

    Yields:
        item, passes, attempts, until (0 at the cap) and the loss of the right answer where there is one [nats/byte].

    Raises:
        ModelError: A prompt is longer than the model's context, or a logit is not finite.
    """
    for number, problem in enumerate(reported(problems, f"problems by {model.name}")):
        # Each problem has draws of its own, so that its attempts do not depend on those before it.
        seed = int(np.random.default_rng((sampling.seed, number)).integers(1 << 62))
        own = replace(sampling, seed=seed)
        count: PassCount = pass_until(AnswerSampler(model, problem, own), passes=sampling.until, cap=sampling.cap)
        loss = None
        if problem.answer is not None:
            (one,) = score_items(model, [Item(name=problem.name, prompt=problem.prompt, choices=(problem.answer,), right=0)]).every  # fmt: skip
            loss = -one.nats[0] / one.bytes[0]
        yield {"item": problem.name, "passes": count.passes, "attempts": count.attempts, "until": count.until or 0, "loss": loss}  # fmt: skip
