"""The weights of a model on disk: safetensors, in one file or in shards with an index; read in parts, never unpickled."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import ModelError
from rung.messages import listed
from rung.models.floats import FLOATS, SIZES, to_float32

_LONGEST_HEADER = 100_000_000
"""Longest header that is read [bytes], as the format's own reader limits it."""

_INDEX = "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """Where a tensor lies.

    Attributes:
        name: Its name.
        dtype: How its numbers are stored, as safetensors names it: BF16, F32, ...
        shape: Its shape.
        file: The file that holds it.
        start: Its first byte there.
        size: Its length [bytes].
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    start: int
    size: int

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether its numbers are floats that can be computed with."""
        return self.dtype in FLOATS


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weights of a model.

    Attributes:
        place: Its folder, or its file.
        tensors: Every tensor by its name, in the order of the files.
        metadata: What the header of its first file says beside the tensors.
    """

    place: Path
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]

    @property
    def params(self) -> int:
        """How many numbers the tensors hold; weights that are tied are stored, and counted, once."""
        return sum(one.count for one in self.tensors.values())

    def parts(self, name: str, most: int) -> Iterator[memoryview]:
        """The bytes of a tensor in parts of at most `most` numbers.

        Raises:
            ModelError: The file is shorter than it was when it was opened.
        """
        one = self.tensors[name]
        step = most * SIZES[one.dtype]
        with one.file.open("rb") as file:
            file.seek(one.start)
            left = one.size
            while left:
                part = file.read(min(step, left))
                if len(part) < min(step, left):
                    raise ModelError(f"{one.file}: {name} is cut. Get the file anew.")
                left -= len(part)
                yield memoryview(part)

    def floats(self, name: str, most: int) -> Iterator[NDArray[np.float32]]:
        """A tensor as 32-bit floats, in parts of at most `most` numbers."""
        dtype = self.tensors[name].dtype
        for part in self.parts(name, most):
            yield to_float32(part, dtype)


def open_weights(place: str | Path) -> Weights:
    """The weights of a folder as Transformers writes it, or of one safetensors file.

    Raises:
        ModelError: There are none, they are damaged, or they are pickled.
    """
    path = Path(place)
    if not path.exists():
        raise ModelError(
            f"{path}: there is no such model. Name a folder with model.safetensors, or a .safetensors file."
        )
    files = [path] if path.is_file() else _files(path)
    tensors: dict[str, TensorInfo] = {}
    metadata: dict[str, str] = {}
    for file in files:
        found, about = _header(file)
        twice = sorted(tensors.keys() & found.keys())
        if twice:
            raise ModelError(f"{file}: {listed(twice, 4)} stand in another shard too.")
        tensors |= found
        metadata = metadata or about
    if path.is_dir() and (path / _INDEX).is_file():
        _require_whole(path / _INDEX, tensors)
    if not tensors:
        raise ModelError(f"{path} holds no tensor.")
    return Weights(place=path, tensors=tensors, metadata=metadata)


def _files(folder: Path) -> list[Path]:
    """The files of a folder's weights, in the order of their names."""
    index = folder / _INDEX
    if index.is_file():
        return [folder / name for name in sorted(set(_weight_map(index).values()))]
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    found = sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found
    if found:
        raise ModelError(
            f"{folder} holds {len(found)} safetensors files and no {_INDEX}, which says how they belong together."
        )
    pickled = next((file for pattern in _PICKLES for file in sorted(folder.glob(pattern))), None)
    if pickled is not None:
        raise ModelError(
            f"{pickled} is pickled, which runs what it holds when it is opened: it is not read. Save the model as safetensors."
        )
    raise ModelError(f"{folder} holds no weights: no model.safetensors and no {_INDEX}.")


def _weight_map(index: Path) -> dict[str, str]:
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        found = content["weight_map"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ModelError(f"{index} is damaged: it holds no weight_map.") from None
    bad = [name for name in found.values() if not isinstance(name, str) or Path(name).name != name]
    if bad:
        raise ModelError(f"{index}: {bad[0]!r} is no file of this folder.")
    return dict(found)


def _require_whole(index: Path, tensors: Mapping[str, TensorInfo]) -> None:
    """Refuse an index that does not say what the shards hold."""
    mapped = _weight_map(index)
    missing = sorted(mapped.keys() - tensors.keys())
    unsaid = sorted(tensors.keys() - mapped.keys())
    moved = sorted(name for name in mapped.keys() & tensors.keys() if tensors[name].file.name != mapped[name])
    for names, what in (
        (missing, "are missing in the shards"),
        (unsaid, "are not in the index"),
        (moved, "lie in another shard"),
    ):
        if names:
            raise ModelError(f"{index}: {listed(names, 4)} {what}. Get the model anew.")


def _header(file: Path) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """The tensors of one file, and its metadata.

    Raises:
        ModelError: The file is no safetensors, is cut, or its tensors overlap.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            start = opened.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or not 2 <= length <= min(size - 8, _LONGEST_HEADER):
                raise ModelError(
                    f"{file} is no safetensors file: its header would have {length:,} bytes. Is it cut, or of another format?"
                )
            content = json.loads(opened.read(length).decode("utf-8"))
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{file} is no safetensors file: its header is no JSON.") from None
    if not isinstance(content, dict):
        raise ModelError(f"{file} is no safetensors file: its header is no object.")
    about = content.pop("__metadata__", {})
    tensors = {name: _tensor(file, 8 + length, name, entry) for name, entry in content.items()}
    end = 8 + length
    for one in sorted(tensors.values(), key=lambda one: (one.start, one.size)):
        if one.start < end:
            raise ModelError(f"{file}: {one.name} overlaps another tensor. The file is damaged.")
        end = one.start + one.size
    if end > size:
        raise ModelError(f"{file} is cut: its tensors end at byte {end:,}, and it has {size:,}. Get it anew.")
    return tensors, {str(key): str(value) for key, value in about.items()} if isinstance(about, dict) else {}


def _tensor(file: Path, offset: int, name: str, entry: Any) -> TensorInfo:
    try:
        dtype, shape = str(entry["dtype"]), tuple(int(one) for one in entry["shape"])
        first, last = (int(one) for one in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{file}: the header of {name[:80]!r} is damaged.") from None
    if dtype not in SIZES:
        raise ModelError(f"{file}: {name[:80]} is stored as {dtype}, which is not read. Types: {', '.join(SIZES)}.")
    if min(shape, default=1) < 0 or first < 0 or last - first != math.prod(shape) * SIZES[dtype]:
        raise ModelError(
            f"{file}: {name[:80]} has {last - first} bytes, and its shape {list(shape)} as {dtype} needs others. The file is damaged."
        )
    return TensorInfo(name=name, dtype=dtype, shape=shape, file=file, start=offset + first, size=last - first)
