"""A selection, or several fits, read back from their file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rung.files import digest_of
from rung.fitting.backtest.stacking import FoldError
from rung.fitting.file import (
    at_level,
    checked,
    fit_from_dict,
    read_content,
    read_count,
    read_discrepancy,
    read_number,
    read_string,
)
from rung.fitting.published import is_published, published_fit
from rung.fitting.ranking import Ranked, Selection
from rung.fitting.result import Fit
from rung.fitting.several import Fits


def read_selection(path: str | Path) -> Selection:
    """Read a selection that `rung select -o` wrote.

    Raises:
        FitError: The file is not there, not JSON, or not a selection of this version of the format.
    """
    return checked(path, "select", _selection, read_content(path, "select"))


def _selection(content: Mapping[str, Any]) -> Selection:
    def score(value: Any) -> float:
        return read_number(value, missing=math.nan)

    written = {name: value for name, value in content.items() if name != "digest"}
    if "digest" in content and content["digest"] != digest_of(written):
        raise ValueError("its content does not match its digest: something changed it")

    laws = tuple(
        Ranked(
            fit=fit_from_dict(law["fit"]),
            weight=read_number(law["weight"]),
            error=score(law["error"]),
            difference=score(law["difference"]),
            difference_error=score(law["difference_error"]),
            tied=bool(law["tied"]),
            aicc=score(law["aicc"]),
            folds={int(index): _fold(fold) for index, fold in law.get("folds", {}).items()},
        )
        for law in content["laws"]
    )
    if not laws or abs(sum(law.weight for law in laws) - 1) > 1e-6:
        raise ValueError("the weights of its laws do not add up to one")
    along = content["along"] if "along" in content else content["by"]  # "by" until version 0.1
    return Selection(
        along=None if along is None else read_string(along),
        column=read_string(content.get("column", "")),
        cuts=read_count(content["cuts"]),
        laws=laws,
        chosen=read_string(content["chosen"]),
        failed={read_string(name): read_string(why) for name, why in content["failed"].items()},
        noise=read_number(content["noise"]),
        discrepancy=read_discrepancy(content["discrepancy"]) if content["discrepancy"] is not None else None,
    )


def _fits(content: Mapping[str, Any]) -> Fits:
    fits = {read_string(name): fit_from_dict(one) for name, one in content["fits"].items()}
    if not fits:
        raise ValueError("it holds no fit")
    failed = {read_string(name): read_string(why) for name, why in content["failed"].items()}
    return Fits(by=read_string(content["by"]), fits=fits, failed=failed)


def _fold(content: Mapping[str, Any]) -> FoldError:
    return FoldError(
        error=read_number(content["error"]),
        rows=read_count(content["rows"]),
        share=read_number(content["share"]),
        distance=read_number(content["distance"]),
    )


def read_any(path: str | Path, level: float | None = None) -> Fit | Fits | Selection:
    """Read what `rung fit -o` or `rung select -o` wrote: one fit, several, or a selection.

    Args:
        path: The file; - for standard input; or the name of a law of the book with constants.
        level: Coverage of the intervals of what follows from it; that of the file by default.

    Raises:
        FitError: The file is not there, not JSON, or none of these in this version of the format.
    """
    if is_published(path) and not Path(path).exists():
        return at_level(published_fit(str(path)), level)
    content = read_content(path, "fit")
    if "fits" in content:
        several = checked(path, "fit", _fits, content)
        return replace(several, fits={name: at_level(one, level) for name, one in several.fits.items()})
    if "laws" not in content:
        return at_level(checked(path, "fit", fit_from_dict, content), level)
    found = checked(path, "select", _selection, content)
    laws = tuple(replace(ranked, fit=at_level(ranked.fit, level)) for ranked in found.laws)
    return replace(found, laws=laws)
