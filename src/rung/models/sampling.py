"""Attempts of models at problems: answers are drawn token by token and checked, until some have passed or a cap."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import ModelError
from rung.models.items import Item, score_items
from rung.models.json_lines import json_rows, require_whole
from rung.models.opened import OpenModel
from rung.progress import reported
from rung.skill import PassCount, pass_until

_NUMBER_GOES_ON = re.compile(r"[.,:/^*%]?\d|[/^]")
_NO_GAP = "=([{<\"'`"

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
        after = begun[len(self.answer) :]
        if not begun.startswith(self.answer):
            return False
        # 7 is not the answer of 72, 7.5, 7,200, 7/2 or 7^2, nor yes that of yesterday.
        goes_on = self.answer[-1].isalnum() and (after[:1].isalnum() or after[:1] == "_")
        return not goes_on and not (self.answer[-1].isdigit() and _NUMBER_GOES_ON.match(after))

    @property
    def gap(self) -> str:
        """What stands between prompt and answer: a space, unless the prompt ends with one, with a bracket, a quote or an equals sign."""
        return "" if self.prompt[-1].isspace() or self.prompt[-1] in _NO_GAP else " "


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
    found = [_problem(*row) for row in json_rows(file, "--problems")]
    if not found:
        raise ModelError(f"{file} holds no problem.")
    twice = next((name for name, count in Counter(one.name for one in found).items() if count > 1), None)
    if twice is not None:
        raise ModelError(f"{file}: two problems have the id {twice}.")
    return found


def _problem(where: str, number: int, row: dict[str, Any]) -> Problem:
    prompt, answer, pattern = (row.get(name) for name in ("prompt", "answer", "pattern"))
    name = str(row.get("id", number))
    if not isinstance(prompt, str) or not prompt or (answer is None) == (pattern is None):
        raise ModelError(f'{where}: a problem has a "prompt", and an "answer" or a "pattern".')
    require_whole(where, prompt, answer if isinstance(answer, str) else "")
    if pattern is None:
        if isinstance(answer, bool) or not isinstance(answer, str | int | float):
            raise ModelError(f"{where}: the answer is a {type(answer).__name__}, where a text or a number is meant. Several answers are a pattern.")  # fmt: skip
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
        head += f"{one.prompt}{one.gap}{one.answer}\n\n"
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
        tokens = torch.tensor([_prompt_tokens(model, self._problem)] * _AT_ONCE).to(model.device)
        drawn_of: list[list[int]] = [[] for _ in range(_AT_ONCE)]
        done = [False] * _AT_ONCE
        ends = model.ends | ({model.start} if model.start is not None else set())
        for _ in range(sampling.tokens):
            with torch.inference_mode():
                logits = model.logits(tokens)[:, -1].float()
            if not bool(torch.isfinite(logits).all()):
                raise ModelError(f"problem {self._problem.name}: a logit of {model.name} is not finite.")
            share = torch.softmax(logits / sampling.temperature, dim=-1)
            drawn = torch.multinomial(share, 1, generator=self._draws)
            tokens = torch.cat([tokens, drawn], dim=1)
            for row, token in enumerate(drawn[:, 0].tolist()):
                if done[row]:
                    continue
                if token in ends:
                    done[row] = True
                    continue
                drawn_of[row].append(token)
                done[row] = self._stopped(model.text_of(drawn_of[row]))
            if all(done):
                break
        return [self._cut(model.text_of(one)) for one in drawn_of]

    def _stopped(self, text: str) -> bool:
        return bool(self._sampling.stop) and self._sampling.stop in text.lstrip()

    def _cut(self, text: str) -> str:
        """An answer up to the text that ends it; it may begin with that text itself, as with a line break behind a question."""
        return text.lstrip().split(self._sampling.stop)[0] if self._stopped(text) else text


def _prompt_tokens(model: OpenModel, problem: Problem) -> list[int]:
    head = [] if model.start is None else [model.start]
    found: list[int] = [*head, *model.encode(problem.prompt.encode()).tolist()]
    if not found:
        raise ModelError(f"problem {problem.name}: its prompt has no token for {model.name}.")
    return found


def _require_room(model: OpenModel, problems: Sequence[Problem], tokens: int) -> None:
    """Every prompt fits with its answer into what the model reads.

    Raises:
        ModelError: One does not.
    """
    for problem in problems:
        length = len(_prompt_tokens(model, problem))
        if length + tokens - 1 > model.context:
            raise ModelError(
                f"problem {problem.name}: a prompt of {length} tokens and an answer of {tokens} do not fit into the {model.context} that {model.name} reads. "
                "Shorten the prompt, take fewer --shots, or fewer --tokens."
            )


def attempts(model: OpenModel, problems: Sequence[Problem], sampling: Sampling) -> Iterator[dict[str, Any]]:
    """Attempts at each problem, a row each as `rung skill pass-rate` reads them.

    Yields:
        item, passes, attempts, until (0 at the cap) and the loss of the right answer where there is one [nats/byte].

    Raises:
        ModelError: A prompt does not fit into the model's context with its answer, or a logit is not finite.
    """
    _require_room(model, problems, sampling.tokens)
    for number, problem in enumerate(reported(problems, f"problems by {model.name}")):
        # Each problem has draws of its own, so that its attempts do not depend on those before it.
        seed = int(np.random.default_rng((sampling.seed, number)).integers(1 << 62))
        own = replace(sampling, seed=seed)
        count: PassCount = pass_until(AnswerSampler(model, problem, own), passes=sampling.until, cap=sampling.cap)
        loss = None
        if problem.answer is not None:
            (one,) = score_items(model, [Item(name=problem.name, prompt=problem.prompt, choices=(problem.gap + problem.answer,), right=0)]).every  # fmt: skip
            loss = -one.nats[0] / one.bytes[0]
        yield {"item": problem.name, "passes": count.passes, "attempts": count.attempts, "until": count.until or 0, "loss": loss}  # fmt: skip
