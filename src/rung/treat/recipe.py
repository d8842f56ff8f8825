"""A merge as mergekit's YAML states it, in the words of this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.errors import ModelError
from rung.treat.methods import MergeOptions

_METHODS = {
    "linear": "average",
    "slerp": "slerp",
    "task_arithmetic": "task-arithmetic",
    "ties": "ties",
    "dare_linear": "dare",
    "dare_ties": "dare-ties",
    "model_stock": "model-stock",
}
"""Methods of mergekit that mean the same here; TIES trims by tensor there."""

_KEYS = {"merge_method", "base_model", "models", "parameters", "dtype", "out_dtype", "tokenizer_source"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRecipe:
    """A merge that a file states.

    Attributes:
        models: The models, the base first where the method has one.
        method: The method.
        options: Its numbers.
        notes: What of the file means something else here, as sentences.
    """

    models: tuple[str, ...]
    method: str
    options: MergeOptions
    notes: tuple[str, ...]


def read_recipe(path: str | Path) -> MergeRecipe:
    """The merge that a YAML file of mergekit states.

    Raises:
        ModelError: The file cannot be read, or states what is not done here; nothing of it is ignored.
    """
    try:
        import yaml
    except ImportError:
        raise ModelError(
            f'{path}: a YAML file needs PyYAML, which is not installed: pip install "rung[merge]".'
        ) from None
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path} is no YAML: {str(error).splitlines()[0]}.") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} is no recipe of mergekit: it has no merge_method.")
    unknown = sorted(map(str, content.keys() - _KEYS))
    if unknown:
        raise ModelError(f"{path}: {unknown[0]} is not done here. Known are {', '.join(sorted(_KEYS))}.")
    named = str(content.get("merge_method"))
    if named not in _METHODS:
        raise ModelError(f"{path}: the method {named} is not done here. Known are {', '.join(_METHODS)}.")
    return _recipe(path, content, _METHODS[named])


def _recipe(path: str | Path, content: Mapping[str, Any], method: str) -> MergeRecipe:
    base = content.get("base_model")
    entries = content.get("models")
    if not isinstance(entries, list) or not all(
        isinstance(one, dict) and isinstance(one.get("model"), str) for one in entries
    ):
        raise ModelError(f"{path}: models must be a list of entries with the key model.")
    own = {one["model"]: _numbers(path, one.get("parameters")) for one in entries if one["model"] != base}
    shared = _numbers(path, content.get("parameters"))
    densities = {numbers.get("density", shared.get("density")) for numbers in own.values()} - {None}
    if len(densities) > 1:
        raise ModelError(f"{path}: experts with different densities are not merged here. Give one density for all.")
    density = densities.pop() if densities else None
    normalised = bool(shared.get("normalize", method in {"average", "ties", "dare-ties"}))
    if normalised != (method in {"average", "ties", "dare-ties"}):
        raise ModelError(f"{path}: normalize {str(normalised).lower()} is not done for {method} here. Leave it out.")
    notes = [
        f"{key} {content[key]} of {path}: everything is computed in 32-bit floats and stored as the first model stores it"
        for key in ("dtype", "out_dtype")
        if content.get(key)
    ]
    if content.get("tokenizer_source") not in {None, "base"}:
        raise ModelError(
            f"{path}: tokenizer_source {content['tokenizer_source']} is not done here: the first model's is carried over."
        )
    based = method not in {"average", "slerp"}
    if based and not isinstance(base, str):
        raise ModelError(f"{path}: {method} needs a base_model.")
    experts = list(own)
    if method == "slerp":
        experts = [str(base), *experts] if isinstance(base, str) and len(experts) == 1 else experts
    weights = tuple(float(own[name].get("weight", shared.get("weight", 1.0))) for name in own)
    options = MergeOptions(
        weights=weights if method not in {"slerp", "model-stock"} else (),
        scale=float(shared.get("lambda", 1.0)),
        keep=float(density)
        if density is not None and method == "ties"
        else 1.0
        if method == "ties"
        else MergeOptions().keep,
        trim="tensor",
        drop=1.0 - float(density if density is not None else 1.0) if method.startswith("dare") else MergeOptions().drop,
        at=float(shared.get("t", MergeOptions().at)),
    )
    return MergeRecipe(
        models=(str(base), *experts) if based else tuple(experts), method=method, options=options, notes=tuple(notes)
    )


def _numbers(path: str | Path, parameters: Any) -> dict[str, Any]:
    """Parameters that are single numbers.

    Raises:
        ModelError: One differs by layer or tensor, which is not done here.
    """
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise ModelError(f"{path}: parameters must be names with numbers.")
    for name, value in parameters.items():
        if not isinstance(value, int | float):
            raise ModelError(f"{path}: {name} differs by layer or tensor, which is not done here. Give one number.")
        if name not in {"weight", "density", "normalize", "lambda", "t", "int8_mask"}:
            raise ModelError(f"{path}: the parameter {name} is not done here.")
    return dict(parameters)
