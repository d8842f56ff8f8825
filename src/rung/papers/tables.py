"""Published tables: read from a folder, or fetched once and kept, and checked either way; never part of the package."""

from __future__ import annotations

import hashlib
import os
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from rung.errors import PapersError
from rung.files import write_bytes

FOLDER = "RUNG_DATA"
"""The environment variable that names the folder or the address of the published tables."""

_TIMEOUT = 60
"""Seconds that a fetch may take to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published table.

    Attributes:
        source: The repository that its numbers come from.
        path: The file in that repository.
        commit: The commit of the file.
        sha256: Checksum of the table as it is read here.
    """

    source: str
    path: str
    commit: str
    sha256: str


@cache
def published() -> Mapping[str, Published]:
    """The tables that the checks read, by file name."""
    content = tomllib.loads(files("rung.papers").joinpath("tables.toml").read_text(encoding="utf-8"))
    return {name: Published(**entry) for name, entry in content.items()}


@dataclass(frozen=True, slots=True)
class Tables:
    """Where published tables are found.

    Attributes:
        location: A folder, or an address that starts with http:// or https://; None where neither is given.
        cache: The folder in which fetched tables are kept.
    """

    location: str | None
    cache: Path

    @staticmethod
    def of_environment() -> Tables:
        """The folder or address in RUNG_DATA; fetched tables are kept under XDG_CACHE_HOME, by default ~/.cache."""
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return Tables(os.environ.get(FOLDER) or None, home / "rung" / "tables")

    def path(self, name: str) -> Path:
        """The file of a published table; a table at an address is fetched if it is not in the cache.

        Raises:
            PapersError: The table is not there, cannot be fetched, or differs from the published one.
        """
        entry = published()[name]
        if self.location is None:
            raise PapersError(
                f"the check needs the published table {name} ({entry.source}, {entry.path}). Name the folder or the address that "
                f"holds it: {FOLDER}=/path/to/tables."
            )
        if not self.location.startswith(("http://", "https://")):
            file = Path(self.location) / name
            if not file.is_file():
                raise PapersError(f"the published table {name} is not in {self.location}, which {FOLDER} names.")
            return self._checked(file, file.read_bytes(), "Replace it with the published one")
        kept = self.cache / name
        if kept.is_file():
            return self._checked(kept, kept.read_bytes(), "Remove it; it will be fetched again")
        address = f"{self.location.rstrip('/')}/{urllib.parse.quote(name)}"
        try:
            with urllib.request.urlopen(address, timeout=_TIMEOUT) as answer:  # noqa: S310  # http and https alone
                content = answer.read()
        except (OSError, ValueError) as error:
            raise PapersError(f"{address} could not be fetched: {error}. Check {FOLDER}, or name a folder.") from None
        self._checked(Path(address), content, f"The file was not kept. Check {FOLDER}")
        self.cache.mkdir(parents=True, exist_ok=True)
        write_bytes(kept, content)
        return kept

    @staticmethod
    def _checked(file: Path, content: bytes, remedy: str) -> Path:
        found = hashlib.sha256(content).hexdigest()
        wanted = published()[file.name].sha256
        if found != wanted:
            raise PapersError(
                f"{file} is not the published table: its sha256 is {found[:12]}..., not {wanted[:12]}.... {remedy}."
            )
        return file
