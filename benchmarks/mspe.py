"""The sequential choice of arXiv:2604.22753 (ScaleBench) as a peer, restated from the paper and its description.

Each step fits by least squares from 64 starts inside the bounds, by L-BFGS-B with the law's exact gradient. Optima with
an error below 1.5 times that of the best are kept. Each gets a Laplace approximation under a normal prior whose standard
deviation is a quarter of the range of the bounds (in the logarithm where they are positive). The selected run reduces
the variance of the targets most, within the optima and between them, over the cost to the power 0.4.

Differs: optima are grouped by distance instead of by clusters of their predictions, the variance between them shrinks as
in a normal mixture, and the variance of the values is that of the selected runs, where the original uses the whole pool.
"""

import numpy as np
from scipy.optimize import minimize

from rung.laws import Law
from rung.laws.tape import compile_tape
from rung.laws.workspace import workspace

STARTS = 64
"""Starts of each fit."""

WARM = 30
"""Earlier optima that are kept as starts."""

POWER = 0.4
"""Power of the cost that reductions are divided by."""

PRIOR_ROWS = 2.0
"""Weight of the prior on the noise, in rows."""

CHEAPEST = 0.02
"""Share of the pool's cost for the first runs."""


def compiled(law, columns):
    """Values of a law and its derivatives by the coefficients, over some rows."""
    positive = {name: bool(np.all(column > 0)) for name, column in columns.items()}
    tape = compile_tape(law.tree, law.coefficients, positive=positive, levels={}, residual="plain")
    return workspace(tape, columns, {}, len(next(iter(columns.values()))), 1)


class Pursuit:
    """The choice on one pool, with the best coefficients so far as warm starts."""

    def __init__(self, task, rng):
        self.task, self.rng = task, rng
        self.warm = [[] for _ in task.laws]
        # The method works on the coefficients themselves, inside a box: it needs the law without ranges.
        self.laws = [
            Law.parse(
                f"{law.formula} with {', '.join(f'{c.name} in (-inf, inf)' for c in law.free)}", variables=list(columns)
            )
            for law, columns in zip(task.laws, task.pool_columns, strict=True)
        ]

    @staticmethod
    def first(cost, size, budget):
        """The cheapest runs, 2.5 for each coefficient, up to 2 % of the pool's cost."""
        order = np.argsort(cost)
        allowed = order[np.cumsum(cost[order]) <= min(CHEAPEST * cost.sum(), budget)]
        return allowed[: max(int(2.5 * size), 1)]

    def optima(self, index, selected):
        """Optima of all starts (J, K) by rising error, their mean squares, names and bounds of the coefficients, and the
        values of the selected runs."""
        task = self.task
        law, limits = task.laws[index], task.bounds[index]
        y = task.pool[task.target_names[index]].to_numpy().astype(float)[selected]
        columns = {name: column[selected] for name, column in task.pool_columns[index].items()}
        names = [c.name for c in law.free]
        low, high = (np.array([limits[name][side] for name in names]) for side in (0, 1))

        space = compiled(self.laws[index], columns)

        def error(theta):
            value, jacobian = space.evaluate(theta[None, :])
            residual = value[0] - y
            found = float(residual @ residual) / len(y)
            slope = 2 * (jacobian[:, 0] @ residual) / len(y)
            return (found, slope) if np.isfinite(found) and np.isfinite(slope).all() else (1e12, np.zeros(len(names)))

        starts = [*self.warm[index][-48:]]
        while len(starts) < STARTS:
            drawn = self.rng.random(len(names))
            logs = low > 0
            point = low + drawn * (high - low)
            point[logs] = np.exp(np.log(low[logs]) + drawn[logs] * (np.log(high[logs]) - np.log(low[logs])))
            starts.append(point)
        solutions = [
            minimize(
                error,
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=list(zip(low, high, strict=True)),
                options={"ftol": 1e-15, "maxiter": 2000},
            )
            for start in starts
        ]
        solutions.sort(key=lambda one: one.fun)
        self.warm[index] = [*self.warm[index], solutions[0].x][-WARM:]
        points, errors = np.array([one.x for one in solutions]), np.array([one.fun for one in solutions])
        return points, errors, names, low, high, y

    def forecast(self, selected):
        """The values of the best optimum at the targets; it has no intervals."""
        forecasts = []
        for index, law in enumerate(self.task.laws):
            points, _, names, *_ = self.optima(index, selected)
            values = dict(zip(names, points[0], strict=True))
            at_targets = law.value(values, self.task.target_columns[index])
            forecasts.append(np.broadcast_to(at_targets, len(self.task.truth[index])))
        return forecasts, np.empty(0)

    def choose(self, selected, affordable):
        task = self.task
        gain = np.zeros(len(task.cost))
        for index in range(len(task.laws)):
            points, errors, _, low, high, y = self.optima(index, selected)
            rows = len(y)
            kept = [0]
            wide = np.where(low > 0, np.log(np.maximum(high, 1e-300) / np.where(low > 0, low, 1)), high - low) / 4
            for at in range(1, len(points)):
                if errors[at] >= 1.5 * errors[0]:
                    break
                inner = [np.where(low > 0, np.log(np.maximum(points[one], 1e-300)), points[one]) for one in (*kept, at)]
                if min(np.max(np.abs((inner[-1] - one) / wide)) for one in inner[:-1]) > 0.1 and len(kept) < 8:
                    kept.append(at)
            noise = (PRIOR_ROWS * np.var(y) + rows * errors[0] / 2) / (PRIOR_ROWS + rows / 2 - 1)
            weights = np.exp(-rows * (errors[kept] - errors[0]) / (2 * noise))
            weights /= weights.sum()
            at_pool, at_targets = [], []
            for at, weight in zip(kept, weights, strict=True):
                scale = np.where(low > 0, points[at], 1.0)
                parts = []
                for columns in (task.pool_columns[index], task.target_columns[index]):
                    values, jacobian = compiled(self.laws[index], columns).evaluate(points[at][None, :])
                    parts.append((values[0].copy(), np.nan_to_num(jacobian[:, 0] * scale[:, None]).clip(-1e9, 1e9)))
                (pool_value, J), (target_value, G) = parts
                size, factor = np.linalg.eigh(J[:, selected] @ J[:, selected].T / noise + np.diag(wide**-2.0))
                size = np.maximum(size, 1e-10 * size[-1])
                moved = (factor / size) @ factor.T @ J
                gain += weight * np.mean((G.T @ moved) ** 2, axis=0) / (noise + np.einsum("km,km->m", J, moved))
                at_pool.append(pool_value)
                at_targets.append(target_value)
            if len(kept) > 1 and len(task.laws) == 1:
                at_pool, at_targets = np.nan_to_num(np.array(at_pool)), np.nan_to_num(np.array(at_targets))
                between = weights @ (at_pool - weights @ at_pool) ** 2
                gain += np.mean(weights @ (at_targets - weights @ at_targets) ** 2) * between / (between + noise)
        score = np.where(affordable, gain / (task.cost / task.cost.sum()) ** POWER, -np.inf)
        return int(np.argmax(np.nan_to_num(score, nan=-np.inf)))
