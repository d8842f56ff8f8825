"""The sequential choice of arXiv:2604.22753 (ScaleBench), restated from the paper and its description, as a peer.

Each step: least squares from 64 starts inside the bounds, by L-BFGS-B with the law's exact gradient; optima within
half again of the best are kept, a Laplace approximation is made of each under a normal prior as wide as a quarter of
the bounds (in the logarithm where they are positive), and the run is bought that takes most off the variance of the
targets, within the optima and between them, over the cost to the power 0.4. Differs: optima are gathered by distance
rather than by clusters of their predictions, variance between them shrinks as in a normal mixture, and the spread of
values is that of the bought runs, where the original looks at the whole pool.
"""

import numpy as np
from scipy.optimize import minimize

from rung.laws import Law
from rung.laws.tape import compile_tape
from rung.laws.workspace import workspace

STARTS = 64
WARM = 30
POWER = 0.4
PRIOR_ROWS = 2.0
CHEAPEST = 0.02


def compiled(law, columns):
    """A law's values and derivatives by its coefficients over some rows."""
    positive = {name: bool(np.all(column > 0)) for name, column in columns.items()}
    tape = compile_tape(law.tree, law.coefficients, positive=positive, levels={}, residual="plain")
    return workspace(tape, columns, {}, len(next(iter(columns.values()))), 1)


class Pursuit:
    """One pool's state: the best coefficients so far, for warm starts."""

    def __init__(self, task, rng):
        self.task, self.rng = task, rng
        self.warm = [[] for _ in task.laws]
        # The method walks in the coefficients themselves, inside a box: the law without ranges, compiled once a step.
        self.laws = [
            Law.parse(
                f"{law.formula} with {', '.join(f'{c.name} in (-inf, inf)' for c in law.free)}", variables=list(columns)
            )
            for law, columns in zip(task.laws, task.here, strict=True)
        ]

    @staticmethod
    def first(cost, size, budget):
        """The cheapest runs, two and a half for each coefficient, while they cost no more than 2 % of the pool."""
        order = np.argsort(cost)
        allowed = order[np.cumsum(cost[order]) <= min(CHEAPEST * cost.sum(), budget)]
        return allowed[: max(int(2.5 * size), 1)]

    def optima(self, place, bought):
        """Ends of all starts (J, K), their mean squares, and the law's values and derivatives as functions."""
        task = self.task
        law, limits = task.laws[place], task.bounds[place]
        y = task.pool[task.targets[place]].to_numpy().astype(float)[bought]
        columns = {name: column[bought] for name, column in task.here[place].items()}
        names = [c.name for c in law.free]
        low, high = (np.array([limits[name][end] for name in names]) for end in (0, 1))

        space = compiled(self.laws[place], columns)

        def error(theta):
            value, jacobian = space.evaluate(theta[None, :])
            residual = value[0] - y
            found = float(residual @ residual) / len(y)
            slope = 2 * (jacobian[:, 0] @ residual) / len(y)
            return (found, slope) if np.isfinite(found) and np.isfinite(slope).all() else (1e12, np.zeros(len(names)))

        starts = [*self.warm[place][-48:]]
        while len(starts) < STARTS:
            drawn = self.rng.random(len(names))
            logs = low > 0
            point = low + drawn * (high - low)
            point[logs] = np.exp(np.log(low[logs]) + drawn[logs] * (np.log(high[logs]) - np.log(low[logs])))
            starts.append(point)
        ends = [
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
        ends.sort(key=lambda end: end.fun)
        self.warm[place] = [*self.warm[place], ends[0].x][-WARM:]
        return np.array([end.x for end in ends]), np.array([end.fun for end in ends]), names, low, high, y

    def tell(self, bought):
        """The best optimum's values at the targets."""
        said = []
        for place, law in enumerate(self.task.laws):
            points, _, names, *_ = self.optima(place, bought)
            given = dict(zip(names, points[0], strict=True))
            said.append(np.broadcast_to(law.value(given, self.task.ahead[place]), len(self.task.truth[place])))
        return said

    def choose(self, bought, open_):
        task = self.task
        gain = np.zeros(len(task.cost))
        for place in range(len(task.laws)):
            points, errors, _, low, high, y = self.optima(place, bought)
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
            here, ahead = [], []
            for at, weight in zip(kept, weights, strict=True):
                scale = np.where(low > 0, points[at], 1.0)
                parts = []
                for columns in (task.here[place], task.ahead[place]):
                    told, jacobian = compiled(self.laws[place], columns).evaluate(points[at][None, :])
                    parts.append((told[0].copy(), np.nan_to_num(jacobian[:, 0] * scale[:, None]).clip(-1e9, 1e9)))
                (value, J), (far, G) = parts
                size, factor = np.linalg.eigh(J[:, bought] @ J[:, bought].T / noise + np.diag(wide**-2.0))
                size = np.maximum(size, 1e-10 * size[-1])
                moved = (factor / size) @ factor.T @ J
                gain += weight * np.mean((G.T @ moved) ** 2, axis=0) / (noise + np.einsum("km,km->m", J, moved))
                here.append(value)
                ahead.append(far)
            if len(kept) > 1 and len(task.laws) == 1:
                here, ahead = np.nan_to_num(np.array(here)), np.nan_to_num(np.array(ahead))
                apart = weights @ (here - weights @ here) ** 2
                gain += np.mean(weights @ (ahead - weights @ ahead) ** 2) * apart / (apart + noise)
        score = np.where(open_, gain / (task.cost / task.cost.sum()) ** POWER, -np.inf)
        return int(np.argmax(np.nan_to_num(score, nan=-np.inf)))
