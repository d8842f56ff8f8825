"""Where the app keeps what it was given and what it has worked out, and which files it may read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import AsyncIterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from rung.errors import AppError
from rung.files import state_folder, write_text
from rung.version import __version__

LARGEST_UPLOAD = 500_000_000
"""Largest table that is taken [bytes]."""

_KEPT_ANSWERS, _KEPT_BYTES = 2_000, 300_000_000
"""Answers that are kept, and their size [bytes]; the oldest are removed."""

_ABANDONED_S = 3600.0
"""Age from which a file that was not completed is given up [s]."""

_UPLOAD = "upload:"
"""Begins the name of a table that was dropped onto the page."""

TABLES = (".csv", ".tsv", ".txt", ".md", ".parquet", ".pq", ".jsonl", ".ndjson", ".xlsx", ".gz")
"""Endings of files that are offered as tables."""

_MOST_LISTED = 200
"""Most files and ladders of the folders that are offered."""

_DEEPEST = 3
"""How many folders deep tables and ladders are looked for."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Folders that may be read, and the folder of the app's own files.

    Attributes:
        folders: What may be read; names of tables are relative to these.
        state: Uploaded tables, answers, progress and the list of papers.
    """

    folders: tuple[Path, ...]
    state: Path

    @classmethod
    def of(cls, folders: Sequence[str | Path], state: str | Path | None = None) -> Workspace:
        """A workspace; its own files lie in the user's folder of program states unless `state` names another.

        Raises:
            AppError: A folder is not there, or the state cannot be written.
        """
        read = [Path(folder).resolve() for folder in folders]
        for folder in read:
            if not folder.is_dir():
                raise AppError(f"{folder} is no folder. Name the folder of your tables.")
        own = Path(state) if state is not None else state_folder()
        made = cls(tuple(dict.fromkeys(read)), own.resolve())
        try:
            for part in (made.uploads, made.answers, made.progress, made.fits):
                part.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AppError(f"{own} cannot be written: {error.strerror}. Name another folder: --state FOLDER.") from None
        made.clean()
        return made

    @property
    def uploads(self) -> Path:
        return self.state / "uploads"

    @property
    def answers(self) -> Path:
        return self.state / "answers"

    @property
    def progress(self) -> Path:
        return self.state / "progress"

    @property
    def fits(self) -> Path:
        return self.state / "fits"

    def clean(self) -> None:
        """Remove what an interrupted server left half done, and the oldest answers."""
        for part in [*self.state.rglob("*.part"), *self.progress.glob("*")]:
            with suppress(OSError):
                # What another server is writing is new, and bears the number of a process that is alive.
                if time.time() - part.stat().st_mtime > _ABANDONED_S or not _is_alive(part.name):
                    part.unlink()
        self.prune()

    def prune(self) -> None:
        """Remove the oldest answers and fits beyond what is kept."""
        for kind in (self.answers, self.fits):
            size = 0
            found = []
            for file in kind.glob("*.json"):
                with suppress(OSError):
                    stat = file.stat()
                    found.append((stat.st_mtime, stat.st_size, file))
            for count, (_, bytes_, file) in enumerate(sorted(found, reverse=True), 1):
                size += bytes_
                if count > _KEPT_ANSWERS or (size > _KEPT_BYTES and count > 1):
                    with suppress(OSError):
                        file.unlink()

    def path_of(self, name: str) -> Path:
        """The file or folder that a name in an address stands for.

        Raises:
            AppError: It is not there, or outside the folders that may be read.
        """
        if "\0" in name or not name.strip():
            raise AppError("no table is named. Choose one, or drop a file.")
        dropped = name.startswith(_UPLOAD)
        wanted = name.removeprefix(_UPLOAD) if dropped else name
        for parent in [self.uploads] if dropped else self.folders:
            with suppress(OSError, ValueError):
                found = (parent / wanted).resolve()
                if found.is_relative_to(parent) and found.exists():
                    return found
        if not dropped and self._exists_elsewhere(name):
            raise AppError(
                f"{name} lies outside the folders that this app may read: {', '.join(map(str, self.folders))}. "
                "Start the app with its folder: rung app FOLDER."
            )
        raise AppError(f"{name}: there is no such file. Choose one that is listed, or drop the file onto this page.")

    @staticmethod
    def _exists_elsewhere(name: str) -> bool:
        # Only what is spelt out in full, so that no answer depends on what lies where.
        return Path(name).is_absolute() or ".." in Path(name).parts

    def name_of(self, path: Path) -> str:
        """The name in an address of a file that may be read."""
        for folder in self.folders:
            if path.is_relative_to(folder):
                return path.relative_to(folder).as_posix()
        raise AppError(f"{path} lies outside the folders that this app may read.")

    def stamp(self, name: str) -> str:
        """What changes when the file or the folder of a name does."""
        path = self.path_of(name)
        # A folder of runs changes with the files of its runs, which its own time does not tell.
        files = [
            path,
            *(sorted(path.glob("*/metrics.jsonl")) + sorted(path.glob("*/state.json")) if path.is_dir() else []),
        ]
        stats = [file.stat() for file in files]
        return f"{path}:" + ",".join(f"{stat.st_mtime_ns}:{stat.st_size}" for stat in stats)

    def key(self, *parts: object) -> str:
        """The name of the answer to a question."""
        return hashlib.sha256(repr((__version__, *parts)).encode()).hexdigest()[:24]

    async def take_upload(self, name: str, chunks: AsyncIterable[bytes], most: int = LARGEST_UPLOAD) -> str:
        """Keep an uploaded table, whole or not at all, and return its name in addresses.

        Raises:
            AppError: Its name or size does not serve.
        """
        plain = re.sub(r"[^\w.\-]+", "_", Path(name.replace("\\", "/")).name)
        # File systems count bytes.
        safe = plain.encode("utf-8", "ignore")[-120:].decode("utf-8", "ignore").lstrip(".") or "table.csv"
        if not safe.lower().endswith(TABLES):
            raise AppError(f"{safe}: files of this type are not read. Drop {', '.join(TABLES)}.")
        part = self.uploads / f"{uuid4().hex}.{os.getpid()}.part"
        sha, size = hashlib.sha256(), 0
        try:
            with part.open("wb") as out:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > most:
                        raise AppError(
                            f"{safe} is larger than {most // 1_000_000} MB. Put it into a folder of the app, and choose it there."
                        )
                    sha.update(chunk)
                    out.write(chunk)
            if size == 0:
                raise AppError(f"{safe} is empty.")
            return self._keep(part, sha.hexdigest(), safe)
        finally:
            part.unlink(missing_ok=True)

    def keep_table(self, name: str, content: bytes) -> str:
        """Keep a table that the app itself made, and return its name in addresses."""
        part = self.uploads / f"{uuid4().hex}.{os.getpid()}.part"
        try:
            part.write_bytes(content)
            return self._keep(part, hashlib.sha256(content).hexdigest(), name)
        finally:
            part.unlink(missing_ok=True)

    def _keep(self, part: Path, digest: str, name: str) -> str:
        folder = self.uploads / digest[:12]
        folder.mkdir(exist_ok=True)
        part.replace(folder / name)
        return f"{_UPLOAD}{digest[:12]}/{name}"

    def keep_answer(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer, whole or not at all."""
        write_text(self.answers / f"{key}.json", json.dumps(answer))

    def listed(self) -> tuple[list[str], list[str]]:
        """Names of tables, and of ladders (folders of runs and ladder files), that lie in the folders or were dropped."""
        tables: list[str] = []
        ladders: list[str] = []
        for folder in self.folders:
            for root, below, files in os.walk(folder):
                deep = len(Path(root).relative_to(folder).parts)
                below[:] = sorted(one for one in below if not one.startswith((".", "__")) and deep < _DEEPEST)
                here = Path(root)
                if "rung.json" in files:
                    # The folder of a run: its metrics belong to the table of its ladder.
                    below.clear()
                    continue
                if any((here / one / "rung.json").is_file() for one in below):
                    ladders.append(here.relative_to(folder).as_posix())
                for file in sorted(files):
                    if file.lower().endswith(TABLES[:2] + TABLES[4:]):
                        tables.append((here / file).relative_to(folder).as_posix())
                    elif file.endswith(".toml") and _is_ladder(here / file):
                        ladders.append((here / file).relative_to(folder).as_posix())
                if len(tables) > _MOST_LISTED:
                    break
        dropped = sorted(self.uploads.glob("*/*"), key=lambda file: file.stat().st_mtime, reverse=True)
        names = [f"{_UPLOAD}{file.parent.name}/{file.name}" for file in dropped]
        return [*names[:20], *tables][:_MOST_LISTED], ladders[:_MOST_LISTED]


def _is_alive(name: str) -> bool:
    """Whether a name NAME.PROCESS.part is that of a file which a process is writing."""
    number = name.removesuffix(".part").rpartition(".")[2]
    if not (name.endswith(".part") and number.isdecimal()):
        return False
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _is_ladder(path: Path) -> bool:
    try:
        return "[[rung]]" in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
