"""Scores of a family's larger models from its smallest, by latent skills, beside the published method on the same families.

    python benchmarks/latent_skills.py [--data FOLDER] [--published]

Every family of `sloth_models.csv` with scores on all benchmarks of a group is held out in turn but for its one or two smallest models; the
mean absolute error, in points, is over models and benchmarks and then over families. The published method (Sloth, 2412.06540) is own code from its
paper: skills in log N, log D and log N log D with a free intercept per family, the link first a logistic and then a monotone network, by
Adam at three learning rates with the number of skills that the paper's own results have as its best. It takes about a minute per family, an hour and a half in all: --published.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from rung.papers.context_skill import LOWEST, family_error, held_out_families

GROUPS = {
    "leaderboard 1": ("mmlu", "arc_c", "hella_swag", "winograd", "truthful_qa", "gsm8k"),
    "leaderboard 2": ("ifeval", "bbh", "math", "gpqa", "musr", "mmlu_pro"),
}
GROUPS["all twelve"] = GROUPS["leaderboard 1"] + GROUPS["leaderboard 2"]
BEST = {("leaderboard 1", 1): 4, ("leaderboard 1", 2): 2, ("leaderboard 2", 1): 2, ("leaderboard 2", 2): 4, ("all twelve", 1): 3, ("all twelve", 2): 4}  # fmt: skip


def inputs(rows, families):
    """Log D, log N, their product and a dummy per family."""
    import torch

    n, d = (np.log(rows[name].to_numpy()) for name in ("params_billion", "tokens_trillion"))
    dummies = np.array([[one == name for name in families] for one in rows["subfamily"]], float)
    return torch.tensor(np.column_stack([d, n, n * d, dummies]), dtype=torch.float32)


def predict(x, weights):
    """Scores by a logistic of the skills, or by a monotone network of them."""
    import torch

    slopes, loadings, level, logit, net = weights
    low, eta = torch.sigmoid(logit), x @ slopes @ loadings + level
    if net is not None:
        hidden = torch.tanh(eta).T[:, :, None]
        hidden = torch.tanh(hidden @ net[0] + net[1])
        hidden = torch.tanh(hidden @ net[2] + net[3])
        eta = (hidden @ net[4] + net[5])[:, :, 0].T
    return low + (1 - low) * torch.sigmoid(eta)


def descended(x, y, weights, free, rate):
    """The weights of the least mean absolute gap that Adam passes, until it has not fallen for 500 steps."""
    import torch

    mine = [one.clone().requires_grad_() for one in weights[:3]]
    logit = weights[3].clone().requires_grad_(free)
    net = None if weights[4] is None else [one.clone().requires_grad_() for one in weights[4]]
    adam = torch.optim.Adam([*mine, *([logit] if free else []), *(net or [])], lr=rate)
    slower = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, factor=0.95, patience=20)
    least, waited, best = np.inf, 0, None
    while waited < 500:
        adam.zero_grad()
        found = predict(x, (*mine, logit, net))
        loss = torch.nn.functional.smooth_l1_loss(found, y, beta=0.01)
        gap, waited = float((found.detach() - y).abs().mean()), waited + 1
        if gap + 1e-5 < least:
            copied = None if net is None else [one.detach().clone() for one in net]
            least, waited = gap, 0
            best = (*(one.detach().clone() for one in mine), logit.detach().clone(), copied)
        loss.backward()
        adam.step()
        slower.step(loss.item())
        with torch.no_grad():
            for one in (net or [])[::2]:
                one.clamp_(0)
    return least, best


def published(train, test, names, skills):
    """Error of the logistic link and of the learnt one."""
    import torch

    columns = [f"metric_{name}" for name in names]
    families = train["subfamily"].unique().sort().to_list()
    x, held = inputs(train, families), inputs(test, families)
    y = torch.tensor(train.select(columns).to_numpy(), dtype=torch.float32)
    chance = torch.tensor([LOWEST[name] for name in names], dtype=torch.float32)
    torch.manual_seed(42)
    start = [torch.randn(x.shape[1], skills), torch.randn(skills, len(names)).abs(), torch.randn(1, len(names))]
    start[0][:3] = start[0][:3].abs()
    net = []
    for size in (1, 10, 10):
        width = 1 if size == 10 and len(net) == 4 else 10
        spread = 1 / np.sqrt(size)
        net += [spread * torch.rand(len(names), size, width), spread * (2 * torch.rand(len(names), 1, width) - 1)]
    weights = (*start, torch.logit(chance.clamp(1e-5, 1)), None)
    errors = []
    for stage in (None, net):
        tries = [descended(x, y, (*weights[:4], stage), stage is not None, rate) for rate in (0.1, 0.01, 0.001)]
        weights = min(tries, key=lambda one: one[0])[1]
        errors.append(100 * np.abs(predict(held, weights).detach().numpy() - test.select(columns).to_numpy()).mean())
    return errors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--published", action="store_true")
    options = parser.parse_args()
    table = pl.read_csv(options.data / "sloth_models.csv", infer_schema_length=None)
    for title, names in GROUPS.items():
        for kept in (1, 2):
            errors, theirs = [], []
            for train, test in held_out_families(table, names, kept):
                errors.append(family_error(train, test, names))
                if options.published:
                    theirs.append(published(train, test, names, BEST[title, kept]))
            error, inside = np.mean(errors, axis=0)
            line = f"{title}, {kept} of the family in training, {len(errors)} families: {error:.2f} points, intervals hold {inside:.2f}"
            if theirs:
                logistic, learnt = np.mean(theirs, axis=0)
                line += f"; published with {BEST[title, kept]} skills: logistic {logistic:.2f}, learnt link {learnt:.2f}; lower on {np.sum(np.array(errors)[:, 0] < np.array(theirs)[:, 1])} families"
            print(line, flush=True)


if __name__ == "__main__":
    main()
