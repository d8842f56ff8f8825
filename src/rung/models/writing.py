"""Writing a model part by part: shards with an index, and the folder renamed into place whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rung.errors import ModelError
from rung.models.weights import TensorInfo, Weights

SHARD = 5_000_000_000
"""Size of a shard [bytes], as Transformers writes it."""

_ALIGNED = 8


class WeightsWriter:
    """Writes tensors of known shapes, in the order in which they were announced."""

    def __init__(self, folder: Path, like: Mapping[str, TensorInfo], shard: int = SHARD) -> None:
        self.folder = folder
        self._shards = _shards(like.values(), shard)

    def write(self, parts_of: Iterable[tuple[str, Iterator[bytes]]], metadata: Mapping[str, str]) -> None:
        """Write every tensor.

        Args:
            parts_of: Each tensor's name and its bytes in parts, in the order of the tensors that were announced.
            metadata: What the header of each file says beside the tensors.

        Raises:
            ModelError: A file cannot be written, or a tensor has another size than was announced.
        """
        tensors = iter(parts_of)
        count = len(self._shards)
        names = [
            "model.safetensors" if count == 1 else f"model-{index:05d}-of-{count:05d}.safetensors"
            for index in range(1, count + 1)
        ]
        for name, shard in zip(names, self._shards, strict=True):
            self._shard(self.folder / name, shard, tensors, metadata)
        if count > 1:
            total = sum(one.size for shard in self._shards for one in shard)
            mapped = {one.name: name for name, shard in zip(names, self._shards, strict=True) for one in shard}
            index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(mapped.items()))}
            (self.folder / "model.safetensors.index.json").write_text(
                json.dumps(index, indent=2) + "\n", encoding="utf-8"
            )

    @staticmethod
    def _shard(
        file: Path, shard: list[TensorInfo], tensors: Iterator[tuple[str, Iterator[bytes]]], metadata: Mapping[str, str]
    ) -> None:
        header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
        at = 0
        for one in shard:
            header[one.name] = {"dtype": one.dtype, "shape": list(one.shape), "data_offsets": [at, at + one.size]}
            at += one.size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % _ALIGNED)
        with file.open("wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            for one in shard:
                name, parts = next(tensors)
                assert name == one.name, "tensors come in the order in which they were announced"
                written = sum(out.write(part) for part in parts)
                if written != one.size:
                    raise ModelError(f"{name} has {written:,} bytes instead of {one.size:,}.")
            out.flush()
            os.fsync(out.fileno())


def _shards(tensors: Iterable[TensorInfo], most: int) -> list[list[TensorInfo]]:
    shards: list[list[TensorInfo]] = [[]]
    size = 0
    for one in tensors:
        if shards[-1] and size + one.size > most:
            shards.append([])
            size = 0
        shards[-1].append(one)
        size += one.size
    return shards


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """A folder that is filled beside its place and renamed into it when the block ends well.

    Raises:
        ModelError: There is something in the place, or it cannot be written.
    """
    if place.exists():
        raise ModelError(f"{place} is there already, and is not overwritten. Name another folder, or remove it.")
    part = place.resolve().with_name(f".{place.name}.{os.getpid()}.part")
    try:
        part.mkdir()
        yield part
        part.rename(place)
    except OSError as error:
        raise ModelError(f"{place} cannot be written: {error.strerror or error}. Nothing was left there.") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def carry_over(base: Weights, folder: Path) -> list[str]:
    """Copy what belongs to a model beside its weights: configuration, tokenizer, templates; the names of the files."""
    if not base.place.is_dir():
        return []
    kept = [
        file
        for file in sorted(base.place.iterdir())
        if file.is_file()
        and file.suffix in {".json", ".txt", ".model", ".jinja", ".tiktoken"}
        and not file.name.endswith(".index.json")
    ]
    for file in kept:
        shutil.copyfile(file, folder / file.name)
    return [file.name for file in kept]
