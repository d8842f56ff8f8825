"""What treatments are worth against a reference ladder.

The ladder's law L(N, D) is asked backwards. With the loss of the treated model L_t and that of its control L_c

    size      N(L_t) / N(L_c) at the control's D
    data      D(L_t) / D(L_c) at the control's N
    compute   C(L_t) / C(L_c) * C_c / (C_c + cost),  C(L) the least 6 N D that reaches L, C_c what the control took

Without a control, the ladder at the model's own N and D is one: N(L_t) / N, and so on.

Intervals come from the draws of the ladder's coefficients, each with a deviation of the losses: from the spread of seeds (of their
differences where treated model and control share them), or else from the ladder's own run-to-run noise. A model that was made from its
control shares that deviation with it.

Shapes: `B` the estimate, then each draw of the ladder's coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.errors import WorthError
from rung.fitting import Fit, as_fit
from rung.messages import listed
from rung.runs import as_runs
from rung.units import flops_6nd, format_count, format_value
from rung.worth.density import FULL_BITS
from rung.worth.effect import Effect, Effects, Slope, Span, Worth
from rung.worth.effect_findings import effect_findings
from rung.worth.reference import Reference, reference_of
from rung.worth.treated import Cell, read_cells

_BEYOND = 10.0
"""How many times beyond the sizes of the ladder an effective size is refused."""

_OPEN = 1000.0
"""Width of an interval, as a factor, from which the ladder does not determine an effective size."""

_FEWEST_SIZES = 3

Quantity = Callable[[Array], Array]
"""From losses (B,) to the logarithm of a quantity (B,)."""


def effects(
    fit: Fit | str | Path,
    treated: Any,
    *,
    before: str | None = None,
    made_from: str | None = None,
    tokens: float | None = None,
    levels: Mapping[str, str] | None = None,
) -> Effects:
    """What the treated models of a table are worth.

    Args:
        fit: The reference ladder: a fit of a law in N, or in N and D.
        treated: A table with params, the ladder's target and, where known, treatment, before, seed, tokens, params_active, params_nonzero,
            bits, flops and treatment_flops; or anything that `read_runs` takes.
        before: The control of rows that name none in the columns before and made_from: a run of its own.
        made_from: The control of such rows from whose weights they were made, as pruned and merged models are.
        tokens: D at which the ladder is asked, where the table has none.
        levels: The level of each group of the reference.

    Raises:
        WorthError: The reference cannot tell, a column is missing, or a control is not among the rows.
    """
    fit = as_fit(fit)
    reference = reference_of(fit, levels or {})
    cells, controls = read_cells(as_runs(treated), fit.target, before, made_from)
    asking = _Asking(reference=reference, tokens=tokens, rng=np.random.default_rng(fit.seed))
    found = [asking.effect(cell, asking.control_of(cell, controls)) for cell in cells]
    return Effects(
        effects=tuple(found),
        slopes=tuple(asking.slopes()),
        target=fit.target,
        reference=f"{fit.source}: {fit.law.formula}",
        level=fit.level,
        warnings=effect_findings(found, fit.ranges["N"], asking.alone, asking.unlike),
    )


@dataclass(slots=True)
class _Asking:
    """Questions to one reference.

    Attributes:
        reference: The ladder.
        tokens: D where a model has none of its own.
        rng: Draws deviations.
        gains: Of each treatment, its sizes with the draws of the logarithm of the size multiplier.
        alone: Treatments with a control, of which each is a single run.
        unlike: Treatments whose control has another size or other tokens, in words.
    """

    reference: Reference
    tokens: float | None
    rng: np.random.Generator
    gains: dict[str, list[tuple[float, Array]]] = field(default_factory=dict)
    alone: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)

    def control_of(self, cell: Cell, controls: Mapping[tuple[str, float, float | None], Cell]) -> Cell | None:
        """The control of a treated model: of its size and tokens, else the only one of that name."""
        if not cell.before:
            return None
        exact = controls.get((cell.before, cell.params, cell.tokens))
        named = [one for (name, _, _), one in controls.items() if name == cell.before]
        if exact is None and len(named) > 1:
            sizes = listed([format_count(one.params) for one in named], 4)
            raise WorthError(
                f"{cell.treatment} at {format_count(cell.params)}: its control {cell.before} was run at {sizes}, and not at that size. "
                "Name it by its run, or give it a row of that size."
            )
        return exact or named[0]

    def effect(self, cell: Cell, control: Cell | None) -> Effect:
        """One treatment at one size."""
        at = self._tokens(control or cell)
        after = float(np.mean(list(cell.losses.values())))
        size, refused = self._size(cell, after, at)
        if control is not None and not refused:
            _, of_control = self._size(control, float(np.mean(list(control.losses.values()))), at)
            refused = f"its control {control.treatment}: {of_control}" if of_control else ""
            self._compare(cell, control)
        multipliers: dict[str, Worth] = {}
        if not refused:
            gains = self._gains(cell, control, at)
            self.gains.setdefault(cell.treatment, []).append((cell.params, gains["size"]))
            multipliers = {name: self._worth(values) for name, values in gains.items() if np.isfinite(values[0])}
        bases = {
            "params": cell.params,
            **{
                f"{kind} params": cell.known[f"params_{kind}"]
                for kind in ("active", "nonzero")
                if cell.known.get(f"params_{kind}", cell.params) != cell.params
            },
            "stored bits": cell.params * cell.known["bits"] / FULL_BITS if "bits" in cell.known else None,
        }
        return Effect(
            treatment=cell.treatment,
            params=cell.params,
            tokens=at,
            before=None if control is None else float(np.mean(list(control.losses.values()))),
            after=after,
            seeds=(len(cell.losses), 0 if control is None else len(control.losses)),
            effective_size=None if refused else self._worth(size),
            multipliers=multipliers,
            densities={}
            if refused
            else {name: self._worth(size - np.log(base)) for name, base in bases.items() if base},
            cost=cell.known.get("treatment_flops"),
            refused=refused,
        )

    def _compare(self, cell: Cell, control: Cell) -> None:
        """Note a control of another size or number of tokens."""
        for what, own, other in (("params", cell.params, control.params), ("tokens", cell.tokens, control.tokens)):
            if own is not None and other is not None and own != other:
                shown = f"{format_count(own)} against {format_count(other)}"
                self.unlike.append(f"{cell.treatment} and its control differ in {what} ({shown})")

    def _tokens(self, cell: Cell) -> float | None:
        if "D" not in self.reference.fit.law.variables:
            return None
        at = cell.tokens if cell.tokens is not None else self.tokens
        if at is not None and not at > 0:
            raise WorthError(f"tokens {at:g} must be a positive number: --tokens 1T.")
        if at is None:
            raise WorthError(
                f"the reference law has D, and {cell.treatment} has no tokens: fill in the column, or give --tokens 1T."
            )
        return at

    def _size(self, cell: Cell, after: float, at: float | None) -> tuple[Array, str]:
        """Draws of the logarithm of the effective size, and why there is none."""
        reference, fit = self.reference, self.reference.fit
        size = reference.size(reference.shifted(after, self._deviations(cell, self.rng)), at)
        low, high = fit.ranges["N"]
        shown = f"{fit.target} {format_value(after)}"
        if size[0] == np.inf:
            return size, f"{shown} lies below what the ladder reaches with any size: its law ends above it."
        found = float(np.exp(size[0]))
        if not low / _BEYOND <= found <= high * _BEYOND:
            return size, (
                f"{shown} is that of a size of {format_count(found)}, more than {_BEYOND:g} times beyond the ladder's sizes "
                f"({format_count(low)} to {format_count(high)})."
            )
        ends = self._bounds(size)
        if not ends[1] - ends[0] < np.log(_OPEN):
            return size, (
                f"the ladder does not determine how its loss falls with size: the effective size for {shown} lies anywhere from "
                f"{format_count(float(np.exp(ends[0])))} to {format_count(float(np.exp(ends[1])))}. Add runs of other sizes."
            )
        return size, ""

    def _gains(self, cell: Cell, control: Cell | None, at: float | None) -> dict[str, Array]:
        """Draws of the logarithm of each multiplier."""
        reference = self.reference
        own = control or cell
        quantities: dict[str, tuple[Quantity, float]] = {
            "size": (lambda losses: reference.size(losses, at), float(np.log(cell.params)))
        }
        if at is not None:
            took = own.known.get("flops", float(flops_6nd(own.params, at)))
            quantities["data"] = (lambda losses: reference.data(losses, own.params), float(np.log(at)))
            quantities["compute"] = (reference.compute, float(np.log(took)))
        # The same deviations for size, data and compute, which are one question asked three times.
        seed = int(self.rng.integers(1 << 62))
        gains = {
            name: self._gain(cell, control, ask, np.random.default_rng(seed)) - (has if control is None else 0.0)
            for name, (ask, has) in quantities.items()
        }
        if at is not None:
            gains["compute"] = gains["compute"] + np.log(took / (took + cell.known.get("treatment_flops", 0.0)))
        return gains

    def _gain(self, cell: Cell, control: Cell | None, ask: Quantity, rng: np.random.Generator) -> Array:
        """Draws of the logarithm of a quantity, less that of the control where there is one."""
        reference = self.reference
        if control is not None and (
            (cell.made_from and len(cell.losses) == len(control.losses) == 1)
            or (len(cell.losses) > 1 and cell.losses.keys() == control.losses.keys())
        ):
            with np.errstate(invalid="ignore"):
                return self._paired(cell, control, ask, rng)
        asked = []
        for one in (cell, *([] if control is None else [control])):
            mean = float(np.mean(list(one.losses.values())))
            asked.append(ask(reference.shifted(mean, self._deviations(one, rng))))
        with np.errstate(invalid="ignore"):
            return asked[0] if control is None else asked[0] - asked[1]

    def _paired(self, cell: Cell, control: Cell, ask: Quantity, rng: np.random.Generator) -> Array:
        """The mean difference of runs that share their seeds."""
        reference, seeds = self.reference, list(cell.losses)
        if len(seeds) == 1:
            # One was made from the other: they share what chance gave that run.
            deviation = self._noise(rng)
            self.alone.append(cell.treatment)
            after, before = (
                ask(reference.shifted(loss, deviation)) for one in (cell, control) for loss in one.losses.values()
            )
            return after - before
        still = np.zeros(reference.count)
        each = [
            ask(reference.shifted(cell.losses[seed], still)) - ask(reference.shifted(control.losses[seed], still))
            for seed in seeds
        ]
        spread = float(np.std([one[0] for one in each], ddof=1)) / np.sqrt(len(seeds))
        mean: Array = np.mean(each, axis=0)
        return mean + self._student(spread, len(seeds) - 1, rng)

    def _deviations(self, cell: Cell, rng: np.random.Generator) -> Array:
        """Deviations of the mean of a model's losses, on the residual's scale; 0 for the estimate."""
        losses = self.reference.fit.objective.transform(np.array(list(cell.losses.values())))
        count = len(losses)
        if count == 1:
            return self._noise(rng)
        return self._student(float(np.std(losses, ddof=1)) / np.sqrt(count), count - 1, rng)

    def _student(self, scale: float, degrees: int, rng: np.random.Generator) -> Array:
        drawn: Array = scale * rng.standard_t(degrees, self.reference.count)
        drawn[0] = 0.0
        return drawn

    def _noise(self, rng: np.random.Generator) -> Array:
        """Run-to-run noise as the ladder's residuals show it."""
        quantiles = self.reference.fit.noise
        drawn = rng.choice(quantiles, self.reference.count) if len(quantiles) else np.zeros(self.reference.count)
        drawn[0] = 0.0
        return drawn

    def _worth(self, logs: Array) -> Worth:
        low, high = self._bounds(logs)
        with np.errstate(over="ignore"):
            return Worth(value=float(np.exp(logs[0])), interval=(float(np.exp(low)), float(np.exp(high))))

    def _bounds(self, values: Array) -> Span:
        """The interval of draws; those that have no value (infinite less infinite) may lie anywhere."""
        level = self.reference.fit.level
        low, high = (
            float(
                np.quantile(
                    np.nan_to_num(values[1:], nan=anywhere, posinf=np.inf, neginf=-np.inf), at, method="nearest"
                )
            )
            for at, anywhere in (((1 - level) / 2, -np.inf), ((1 + level) / 2, np.inf))
        )
        return low, high

    def slopes(self) -> list[Slope]:
        """How each treatment's size multiplier changes with size."""
        found = []
        for treatment, gains in self.gains.items():
            sizes = np.log([size for size, _ in gains])
            count = len(np.unique(sizes))
            if count < _FEWEST_SIZES:
                verdict = "one size" if count == 1 else "two sizes"
                found.append(Slope(treatment=treatment, sizes=count, slope=None, verdict=verdict))
                continue
            apart = sizes - sizes.mean()
            with np.errstate(invalid="ignore"):
                slopes = apart @ np.stack([values for _, values in gains]) / float(apart @ apart)
            low, high = self._bounds(slopes)
            verdict = "grows" if low > 0 else "shrinks" if high < 0 else "no change seen"
            slope = Worth(value=float(slopes[0]), interval=(low, high))
            found.append(Slope(treatment=treatment, sizes=count, slope=slope, verdict=verdict))
        return found
