"""Latent skills: scores of many benchmarks from few skills, which grow with size and data, with families as groups.

    score_ij = chance_j + (1 - chance_j) / (1 + exp(-eta_ij)),   both as shares of the task's ceiling
    eta_ij   = level_j + loading_j . (slope' x_i + skill_f) + offset_fj,    x_i = standardised log N, log D

for model i of family f on benchmark j. Families are random: skill_f ~ N(0, a^2) in every skill, offset_fj ~ N(0, t^2). All effects minimise the
penalised squared error; a, t and the noise of a score are set by expectation and maximisation about the Gaussian posterior at the minimum, and
the number of skills by its evidence. A family without a model in the table is drawn from its prior.

Source: Polo et al. 2024, arXiv:2412.06540, for skills that are linear in log N and log D with an intercept per family and known chance levels.
Differs: families are shrunk towards one another in place of free intercepts, they keep an offset on each benchmark that no skill explains, the
link is the logistic itself, log N log D is left out, and scores may be missing.

Shapes: `n` models, `J` benchmarks, `d` skills, `P` features, `F` families.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array, Indices
from rung.skill.family_blocks import Blocks, solved
from rung.skill.latent_effects import Effects, Measured, Scales

_ROUNDS = 12
_STEPS = 100
_SAME = 0.03
"""Change of a scale below which expectation and maximisation have settled."""

_LEVEL_SPREAD, _UNIT = 2.0, 1.0
_PRIOR_SCORES, _PRIOR_FAMILIES = 10, 5
"""How many scores and families the spread over all benchmarks counts for in the spread of one."""

_LEAST_NOISE = 0.003
_LEAST_SPREAD = 0.02
_ENDS = 0.02
"""How near to chance or ceiling, in shares of the span, a score counts when a fit starts."""


@dataclass(frozen=True, slots=True, eq=False)
class LatentSkills:
    """Fitted skills.

    Attributes:
        effects: Their values at the minimum.
        scales: The standard deviations.
        measured: What they are fitted to.
        blocks: The curvature at the minimum.
        evidence: Log of the marginal likelihood, up to a constant that all numbers of skills share.
    """

    effects: Effects
    scales: Scales
    measured: Measured
    blocks: Blocks
    evidence: float

    @property
    def number(self) -> int:
        """How many skills there are."""
        return int(self.effects.loadings.shape[1])

    def scores(self, features: Array, family: Indices) -> Array:
        """Scores of models (m, J); family -1 is one without a model in the table."""
        known = family >= 0
        own = np.where(known[:, None], self.effects.own()[family], 0.0)
        return _scores(self.effects, features, own, self.measured)

    def draws(self, features: Array, family: Indices, count: int, rng: np.random.Generator) -> Array:
        """Scores by draws of the posterior (count, m, J), without the noise of a score.

        Eta is linear in what is drawn: loadings and skills are known only up to a factor that they share, and their products,
        each drawn as Gaussian, would all lie to one side.
        """
        names, at = np.unique(family, return_inverse=True)
        spread = np.concatenate([np.full(self.number, self.scales.skill), self.scales.offset])
        known = names >= 0
        mean = np.where(known[:, None], self.effects.own()[names], 0.0)
        eta, skills = _eta(self.effects, features, mean[at])
        found = np.empty((count, *eta.shape))
        for index in range(count):
            moved = self.blocks.shared_draw(rng)
            own = np.vstack(
                [
                    self.blocks.own_draw(int(name), moved, rng) if name >= 0 else spread * rng.standard_normal(len(spread))
                    for name in names
                ]
            )[at]  # fmt: skip
            by = self.effects.replaced(moved, own)
            skill = features @ by.slopes + by.skills
            found[index] = eta + by.level + skills @ by.loadings.T + skill @ self.effects.loadings.T + by.offsets
        return _scores_at(found, self.measured)

    def rotated(self) -> tuple[Array, Array]:
        """Loadings (J, d) and skills of families (F, d) with skills in the order of what they explain, each of unit deviation over the models."""
        skills = self.measured.features @ self.effects.slopes + self.effects.skills[self.measured.family]
        skills = skills - skills.mean(axis=0)
        left, size, right = np.linalg.svd(skills @ self.effects.loadings.T, full_matrices=False)
        count, number = np.sqrt(len(skills)), self.number
        sign = np.where(right[:number].sum(axis=1) < 0, -1.0, 1.0)
        turn = np.linalg.pinv(skills) @ (left[:, :number] * count * sign)
        return (right[:number].T * size[:number] / count) * sign, self.effects.skills @ turn


def fit_skills(measured: Measured, skills: Sequence[int]) -> LatentSkills:
    """The skills of the most evidence among these numbers of them."""
    return max((_settled(measured, number) for number in skills), key=lambda one: one.evidence)


def _settled(measured: Measured, skills: int) -> LatentSkills:
    """Scales and effects in turn, until the scales stay."""
    scales, effects = Scales.first(len(measured.chance)), _start(measured, skills)
    for _ in range(_ROUNDS):
        effects, blocks, cost = _minimised(measured, effects, scales)
        found = LatentSkills(effects, scales, measured, blocks, _evidence(measured, effects, scales, blocks, cost))
        scales = _scales(found)
        if scales.changed(found.scales) < _SAME:
            break
    return found


def _logits(measured: Measured) -> tuple[Array, Array]:
    """The scores on the scale of eta (n, J), nan where one is missing, and the mean of each task (J,)."""
    share = (measured.scores - measured.chance) / (1 - measured.chance)
    share = np.clip(share, _ENDS, 1 - _ENDS)
    eta = np.log(share / (1 - share))
    # A task that none of these models has a score of, as in a check that holds some out, lies at 0.
    return eta, np.nansum(eta, axis=0) / np.maximum(np.isfinite(eta).sum(axis=0), 1)


def _start(measured: Measured, skills: int) -> Effects:
    """Skills from the singular vectors of the scores on the scale of eta."""
    eta, level = _logits(measured)
    centred = np.where(np.isfinite(eta), eta - level, 0.0)
    left, size, right = np.linalg.svd(centred, full_matrices=False)
    count = np.sqrt(len(centred))
    found, loadings = left[:, :skills] * count, right[:skills].T * size[:skills] / count
    slopes = np.linalg.lstsq(measured.features, found, rcond=None)[0]
    left_over = found - measured.features @ slopes
    own = np.zeros((measured.families, skills))
    np.add.at(own, measured.family, left_over)
    own /= np.bincount(measured.family, minlength=measured.families)[:, None] + 1.0
    return Effects(level, loadings, slopes, own, np.zeros((measured.families, len(level))))


def _eta(effects: Effects, features: Array, own: Array) -> tuple[Array, Array]:
    """Eta (m, J) and the skills (m, d) of models with these effects of their families."""
    number = effects.loadings.shape[1]
    skills = features @ effects.slopes + own[:, :number]
    return effects.level + skills @ effects.loadings.T + own[:, number:], skills


def _scores_at(eta: Array, measured: Measured) -> Array:
    """Scores (..., J) of eta, between chance and ceiling."""
    from scipy.special import expit

    share: Array = expit(eta)
    return measured.chance + (1 - measured.chance) * share


def _scores(effects: Effects, features: Array, own: Array, measured: Measured) -> Array:
    return _scores_at(_eta(effects, features, own)[0], measured)


def _residuals(measured: Measured, effects: Effects, scales: Scales) -> Array:
    """Gaps of the scores in units of their noise, 0 where one is missing (n, J)."""
    gaps = (_scores(effects, measured.features, effects.own()[measured.family], measured) - measured.scores) / scales.noise  # fmt: skip
    return np.where(np.isfinite(gaps), gaps, 0.0)


def _spreads(effects: Effects, scales: Scales) -> tuple[Array, Array]:
    """Standard deviations of the priors of what is shared and of what each family has."""
    shared = np.concatenate([np.full(effects.level.size, _LEVEL_SPREAD), np.full(effects.loadings.size + effects.slopes.size, _UNIT)])  # fmt: skip
    own = np.concatenate([np.full(effects.skills.shape[1], scales.skill), scales.offset])
    return shared, own


def _cost(measured: Measured, effects: Effects, scales: Scales, centre: Array) -> float:
    shared, own = _spreads(effects, scales)
    penalty = np.sum(((effects.shared() - centre) / shared) ** 2) + np.sum((effects.own() / own) ** 2)
    return float(np.sum(_residuals(measured, effects, scales) ** 2) + penalty)


def _centre(measured: Measured, effects: Effects) -> Array:
    """Where the priors of what is shared lie: levels at the scores' own, the rest at 0."""
    return np.concatenate([_logits(measured)[1], np.zeros(effects.loadings.size + effects.slopes.size)])


def _minimised(measured: Measured, effects: Effects, scales: Scales) -> tuple[Effects, Blocks, float]:
    """Levenberg and Marquardt on the blocks."""
    centre = _centre(measured, effects)
    cost, damping = _cost(measured, effects, scales, centre), 1e-2
    blocks = _blocks(measured, effects, scales, centre)
    for _ in range(_STEPS):
        shared, own = solved(blocks, damping)
        tried = effects.replaced(effects.shared() + shared, effects.own() + own)
        reached = _cost(measured, tried, scales, centre)
        if reached < cost:
            settled = cost - reached < 1e-6 * cost
            effects, cost, damping = tried, reached, max(damping / 5, 1e-9)
            blocks = _blocks(measured, effects, scales, centre)
            if settled:
                break
        else:
            damping *= 4
            if damping > 1e10:
                break
    return effects, blocks, cost


def _blocks(measured: Measured, effects: Effects, scales: Scales, centre: Array) -> Blocks:
    """Gradient and curvature of half the cost, by Gauss and Newton."""
    from scipy.special import expit

    own_all = effects.own()
    eta, skills = _eta(effects, measured.features, own_all[measured.family])
    share = expit(eta)
    slope = (1 - measured.chance) * share * (1 - share) / scales.noise
    gaps = _residuals(measured, effects, scales)
    rows, column = np.nonzero(np.isfinite(measured.scores))
    benchmarks, number = effects.loadings.shape
    features = effects.slopes.shape[0]
    count = len(rows)
    at = np.arange(count)
    shared = np.zeros((count, benchmarks + benchmarks * number + features * number))
    own = np.zeros((count, number + benchmarks))
    weight = slope[rows, column]
    loading = effects.loadings[column] * weight[:, None]
    shared[at, column] = weight
    for skill in range(number):
        shared[at, benchmarks + column * number + skill] = weight * skills[rows, skill]
        for feature in range(features):
            shared[:, benchmarks * (1 + number) + feature * number + skill] = measured.features[rows, feature] * loading[:, skill]  # fmt: skip
    own[:, :number] = loading
    own[at, number + column] = weight
    spread_shared, spread_own = _spreads(effects, scales)
    return Blocks.of(
        shared,
        own,
        gaps[rows, column],
        measured.family[rows],
        prior=(spread_shared, spread_own),
        away=(effects.shared() - centre, own_all),
    )


def _scales(found: LatentSkills) -> Scales:
    """The scales that the posterior expects."""
    effects, number, measured = found.effects, found.number, found.measured
    spread = _spreads(effects, found.scales)
    variance_shared, variance_own = found.blocks.variances()
    used = np.sum(1 - variance_shared / spread[0] ** 2) + np.sum(1 - variance_own / spread[1] ** 2)
    gaps = _residuals(measured, effects, found.scales) * found.scales.noise
    counts = np.isfinite(measured.scores).sum(axis=0)
    # Benchmarks share the degrees of freedom by their scores; a benchmark of few is drawn to the noise of all.
    left = np.maximum(1 - used / counts.sum(), 0.2)
    pooled = np.sum(gaps**2) / (counts.sum() * left)
    noise = np.sqrt((np.sum(gaps**2, axis=0) / left + _PRIOR_SCORES * pooled) / (counts + _PRIOR_SCORES))
    second = effects.own() ** 2 + variance_own
    skill = np.sqrt(second[:, :number].mean())
    offset = second[:, number:]
    offset = np.sqrt((offset.sum(axis=0) + _PRIOR_FAMILIES * offset.mean()) / (len(offset) + _PRIOR_FAMILIES))
    return Scales(np.maximum(noise, _LEAST_NOISE), max(float(skill), _LEAST_SPREAD), np.maximum(offset, _LEAST_SPREAD))


def _evidence(measured: Measured, effects: Effects, scales: Scales, blocks: Blocks, cost: float) -> float:
    shared, own = _spreads(effects, scales)
    prior = np.sum(np.log(shared)) + measured.families * np.sum(np.log(own))
    noise = np.isfinite(measured.scores).sum(axis=0) @ np.log(scales.noise)
    return float(-cost / 2 - blocks.log_determinant() / 2 - prior - noise)
