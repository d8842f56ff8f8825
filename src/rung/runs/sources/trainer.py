"""Runs of Hugging Face's Trainer: the last trainer_state.json of each run's folder, with the settings beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rung.errors import RunsError
from rung.findings import Finding
from rung.runs.loss_units import unit_of
from rung.runs.sources.configuration import as_number, flat, logged_number
from rung.runs.sources.files import below, json_object, names_of
from rung.runs.sources.tracked_run import Found, Metric, TrackedRun

_SETTINGS = ("config.json", "training_args.json", "args.json", "all_results.json")

_ONE_DEVICE = "train_batch_size of the state is the batch of one device and pass, and the state says neither accumulation nor devices"


def read_trainer(address: str) -> Found:
    """Runs of Hugging Face's Trainer.

    Raises:
        RunsError: There is no trainer_state.json, or none can be read.
    """
    states: dict[Path, list[tuple[int, Path, dict[str, Any]]]] = {}
    broken: list[Finding] = []
    first_error: RunsError | None = None
    for file in below(address, "trainer", ("trainer_state.json",)):
        run = file.parent.parent if file.parent.name.startswith("checkpoint-") else file.parent
        try:
            state = json_object(file)
        except RunsError as error:
            first_error = first_error or error
            broken.append(
                Finding("damaged", f"{error.text.rstrip('.')}; it is left out, and the checkpoint before it is read.")
            )
            continue
        states.setdefault(run, []).append((_step(state), file, state))
    if not states and first_error is not None:
        raise first_error
    names = names_of(list(states), Path(address))
    runs = []
    for run, found in states.items():
        step, file, state = max(found, key=lambda one: one[:2])
        whole = next((one for one in found if one[1].parent == run and _is_whole(one[2])), None)
        if whole is not None and whole[0] < step:
            # What the run wrote at its end counts, and not a checkpoint of another run that was left there.
            text = f"{file} is at step {step}, beyond the end of the run in {run} at step {whole[0]}; it is left out."
            broken.append(Finding("damaged", text))
            step, file, state = whole
        runs.append(_run(names[run], step, file, state, run))
    return Found(runs=runs, findings=tuple(broken))


def _is_whole(state: dict[str, Any]) -> bool:
    planned, step = as_number(state.get("max_steps")), as_number(state.get("global_step"))
    return planned is not None and step is not None and 0 < planned <= step


def _run(name: str, step: int, file: Path, state: dict[str, Any], folder: Path) -> TrackedRun:
    config = {key: value for key, value in state.items() if not isinstance(value, list | dict)}
    batch = config.pop("train_batch_size", None)
    notes = []
    for place in dict.fromkeys((folder, file.parent)):
        for setting in _SETTINGS:
            try:
                config |= flat(json_object(place / setting)) if (place / setting).exists() else {}
            except RunsError as error:
                notes.append(Finding("damaged", f"{error.text.rstrip('.')}; it is left out."))
    logged, unread = _history(state)
    if unread:
        notes.append(
            Finding("damaged", f"{file}: {unread} entries of its log have no step that is a number, and are left out.")
        )
    seen = as_number(config.pop("num_input_tokens_seen", None))
    if seen and step and "num_input_tokens_seen" not in logged:
        logged["num_input_tokens_seen"] = Metric.of([(float(step), seen)])
    if _is_average(logged):
        del logged["train_loss"]
        text = f"run {name!r}: train_loss is the mean over its whole training, not its loss at the end, and no other loss was logged. Log with logging_steps, or evaluate."
        notes.append(Finding("no_loss", text))
    planned = as_number(state.get("max_steps"))
    early = _stopped_early(state.get("stateful_callbacks"))
    finished = planned is None or planned <= 0 or step >= planned or early
    return TrackedRun(
        name=name,
        config=config,
        logged=logged,
        status="finished" if finished else "unfinished",
        counter="global_step",
        unknown_batch=_ONE_DEVICE if batch is not None and "per_device_train_batch_size" not in config else "",
        notes=tuple(notes),
    )


def _stopped_early(callbacks: Any) -> bool:
    """Whether early stopping ended the run, by the control's flag or by its count of evaluations without a gain."""
    if not isinstance(callbacks, dict) or "EarlyStoppingCallback" not in callbacks:
        return False

    def said(callback: str, part: str, name: str) -> Any:
        content = callbacks.get(callback)
        inner = content.get(part) if isinstance(content, dict) else None
        return inner.get(name) if isinstance(inner, dict) else None

    stop = said("TrainerControl", "args", "should_training_stop")
    count = as_number(said("EarlyStoppingCallback", "attributes", "early_stopping_patience_counter"))
    patience = as_number(said("EarlyStoppingCallback", "args", "early_stopping_patience"))
    if count is not None and patience is not None:
        return bool(stop) or count >= patience
    return stop is None or bool(stop)


def _is_average(logged: dict[str, Metric]) -> bool:
    """Whether the only loss is the one that Trainer writes at the end, a mean over all steps."""
    losses = [name for name in logged if unit_of(name) is not None]
    return losses == ["train_loss"] and len(logged["train_loss"]) == 1 and "train_runtime" in logged


def _step(state: dict[str, Any]) -> int:
    """The state's step; without one, the last step of its log."""
    number = as_number(state.get("global_step"))
    if number is None:
        logged, _ = _history(state)
        number = max((float(metric.steps.max()) for metric in logged.values()), default=0.0)
    return int(number)


def _history(state: dict[str, Any]) -> tuple[dict[str, Metric], int]:
    """The logged metrics, and how many entries could not be read."""
    columns: dict[str, list[tuple[float, float, float]]] = {}
    entries = state.get("log_history")
    unread = 0
    for clock, entry in enumerate(entries if isinstance(entries, list) else []):
        step = as_number(entry.get("step")) if isinstance(entry, dict) else None
        if step is None:
            unread += 1
            continue
        for name, value in entry.items():
            if name not in {"step", "epoch"} and (number := logged_number(value)) is not None:
                columns.setdefault(name, []).append((step, number, float(clock)))
    return Metric.of_rows(columns), unread
