"""Messages about what a source needs and does not have: a package, an experiment."""

from __future__ import annotations

from rung.errors import RunsError
from rung.messages import did_you_mean


def needs(source: str, package: str) -> RunsError:
    """The error for a package that is not installed."""
    return RunsError(f'{source}: needs {package}, which is not installed: pip install "rung[{source}]".')


def no_experiment(address: str, experiment: str, known: list[str]) -> RunsError:
    """The error for an experiment that a store does not have."""
    hint = did_you_mean(experiment, known)
    return RunsError(f"mlflow:{address} has no experiment {experiment!r}; it has {', '.join(known) or 'none'}.{hint}")
