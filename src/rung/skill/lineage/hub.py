"""The listing of a model hub as a table of models with their parents, read by its own client."""

from __future__ import annotations

from typing import Any

import polars as pl

from rung.errors import SkillError
from rung.messages import first_line

_RELATION = "base_model:"


def read_hub(author: str | None = None, *, limit: int | None = None, endpoint: str | None = None) -> pl.DataFrame:
    """Models of a hub: id, parents, relation, licence, language, task, library, tags.

    Args:
        author: The user or organisation; everybody by default.
        limit: Most models, the most downloaded first.
        endpoint: The address of the hub; that of the client by default (HF_ENDPOINT).

    Raises:
        SkillError: The client is not installed, or the hub cannot be reached.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise SkillError("reading a hub needs its client. Install it: pip install 'rung[models]'.") from None
    try:
        models = list(
            HfApi(endpoint=endpoint).list_models(author=author, limit=limit, sort="downloads", full=True, cardData=True)
        )
    except Exception as error:  # noqa: BLE001  # the client raises errors of whatever it sends requests with
        raise SkillError(f"the hub cannot be read: {first_line(error)}.") from None
    if not models:
        raise SkillError(f"the hub lists no model{f' of {author}' if author else ''}.")
    return pl.DataFrame([_row(one) for one in models], infer_schema_length=None)


def _row(model: Any) -> dict[str, Any]:
    card = model.card_data.to_dict() if model.card_data else {}
    parents = card.get("base_model") or []
    tags = list(model.tags or [])
    # Tags such as base_model:quantized:owner/name hold the relation that the hub found.
    relation = card.get("base_model_relation") or next(
        (tag.split(":")[1] for tag in tags if tag.startswith(_RELATION) and tag.count(":") == 2), None
    )
    language = card.get("language") or []
    return {
        "id": model.id,
        "parent": [parents] if isinstance(parents, str) else list(parents),
        "relation": relation or "finetune",
        "licence": [str(one) for one in _several(card.get("license"))],
        "language": [str(one) for one in _several(language)],
        "task": model.pipeline_tag,
        "library": model.library_name,
        "tags": [tag for tag in tags if ":" not in tag],
    }


def _several(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
