"""From the bytes of a file to the lines of a table: compression, encodings, line ends, tables of Markdown, lines above the header."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections import Counter

from rung.errors import RunsError
from rung.files import csv_text
from rung.messages import counted
from rung.runs.columns import columns_meant
from rung.units import is_missing, read_number

_SEPARATORS = ",;\t"
"""Candidates; the one by which most lines have the same number of fields separates the columns."""

_LOOKED_AT = 60
"""Lines from the start of a file in which the header is looked for."""

_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")
"""The line below the header of a table of Markdown."""


def decompressed(content: bytes, name: str) -> bytes:
    """The content of a file that may be compressed with gzip.

    Raises:
        RunsError: It is compressed and damaged, or compressed in another way.
    """
    if content[:2] == b"\x1f\x8b":
        try:
            return gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise RunsError(f"{name} is compressed and cannot be read whole: {error}.") from None
    kinds = {
        b"PK\x03\x04": "a ZIP archive or a spreadsheet",
        b"\x28\xb5\x2f\xfd": "compressed with zstd",
        b"BZh": "compressed with bzip2",
    }
    for signature, kind in kinds.items():
        if content.startswith(signature):
            raise RunsError(f"{name} is {kind}. Unpack it first; a spreadsheet is read under its own ending .xlsx.")
    return content


def decoded(content: bytes, name: str) -> bytes:
    """Text as UTF-8 with line ends of Unix.

    Raises:
        RunsError: The bytes are not text.
    """
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        content = _from_utf16(content, "utf-16", name)
    elif (
        content[:4].count(b"\0") >= 1 and len(content) > 3 and (content[1:4:2] == b"\0\0" or content[0:4:2] == b"\0\0")
    ):
        content = _from_utf16(content, "utf-16-le" if content[1] == 0 else "utf-16-be", name)
    if b"\0" in content[:65536]:
        raise RunsError(f"{name} is not text (byte 0 found). Give CSV, or name the file .parquet if it is Parquet.")
    content = content.removeprefix(b"\xef\xbb\xbf")
    # Line ends of old Macs, all of them or some.
    return re.sub(rb"\r(?!\n)", b"\n", content) if b"\r" in content else content


def _from_utf16(content: bytes, encoding: str, name: str) -> bytes:
    try:
        return content.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise RunsError(
            f"{name} looks like UTF-16 and cannot be read as such: {error.reason} at byte {error.start}."
        ) from None


def from_markdown(content: bytes) -> bytes | None:
    """A table of Markdown as CSV; None where the text holds none."""
    lines = [line.strip() for line in content[:65536].decode("utf-8", errors="replace").splitlines()]
    start = next(
        (
            at
            for at in range(len(lines) - 1)
            if "|" in lines[at] and "|" in lines[at + 1] and _RULE.fullmatch(lines[at + 1])
        ),
        None,
    )
    if start is None:
        return None
    whole = [line.strip() for line in content.decode("utf-8", errors="replace").splitlines()]
    rows = []
    for line in [whole[start], *whole[start + 2 :]]:
        if "|" not in line:
            break
        rows.append([re.sub(r"^[*_`]+|[*_`]+$", "", cell.strip()) for cell in line.strip("|").split("|")])
    return csv_text(rows).encode()


def from_spaces(content: bytes) -> bytes | None:
    """A table whose columns are separated by spaces alone, as CSV; None where the text is none.

    Its first line names columns, and every line has as many words as that one.
    """
    start = [line for line in content[:65536].decode("utf-8", errors="replace").split("\n") if line.strip()]
    names = start[0].lstrip("# ").split() if start else []
    if (
        len(names) < 2
        or len(start) < 2
        or any(sign in start[0] for sign in _SEPARATORS)
        or not any(map(columns_meant, names))
    ):
        return None
    whole = [line for line in content.decode("utf-8", errors="replace").split("\n") if line.strip()]
    rows = [names, *(line.split() for line in whole[1:])]
    if any(len(row) != len(names) for row in rows):
        return None
    return csv_text(rows).encode()


def header_of(content: bytes) -> tuple[bytes, str, str]:
    """The table without lines above its header, its separator, and a sentence about the lines left out.

    Lines above the header have fewer fields than the rows, or only one that is filled.
    """
    start = content[:262144].decode("utf-8", errors="replace")
    lines = start.split("\n")[:_LOOKED_AT]
    separator, width = _shape(lines)
    above = 0
    for line in lines[:-1]:
        fields = fields_of(line, separator)
        filled = sum(bool(field.strip()) for field in fields)
        comment = line.lstrip().startswith("#") and not line.lstrip().startswith("#row")
        if width > 1 and line.strip() and not comment and len(fields) >= width and filled > 1:
            break
        if width <= 1 and line.strip() and not comment:
            break
        above += 1
    else:
        above = 0
    below = [fields_of(line, separator) for line in lines[above:] if line.strip()][:3]
    commented = next((line for line in reversed(lines[:above]) if line.strip()), "").lstrip()
    if below and commented.startswith("#") and _is_commented_header(commented, below[0], separator):
        rest = b"\n".join(content.split(b"\n")[above:])
        return commented.lstrip("# \t").encode() + b"\n" + rest, separator, "the header stands behind a #"
    if len(below) > 1 and _is_title(*below):
        above += 1
    if not above:
        return content, separator, ""
    text_lines = [line for line in lines[:above] if line.strip()]
    left = b"\n".join(content.split(b"\n")[above:])
    note = (
        f"{counted(len(text_lines), 'line')} above the header left out ({text_lines[0].strip()[:60]!r})"
        if text_lines
        else ""
    )
    return left, separator, note


def _is_commented_header(line: str, values: list[str], separator: str) -> bool:
    """Whether a comment names the columns of the rows below it, which have no header of their own."""
    names = fields_of(line.lstrip("# \t"), separator)
    numbers = [read_number(field) is not None or is_missing(field) for field in values]
    return len(names) == len(values) > 1 and any(map(columns_meant, names)) and sum(numbers) * 2 > len(numbers)


def _is_title(first: list[str], second: list[str], third: list[str] | None = None) -> bool:
    """Whether a line only looks like a header because it has as many commas: the next one names columns, and it does not.

    A model may be called c: a column that is named so has numbers below it.
    """
    named = [field for field in second if field.strip() and read_number(field) is None]
    meant = [bool(columns_meant(field)) for field in second]
    below = third or []
    filled = [field for field, known in zip(below, meant, strict=False) if known and not is_missing(field)]
    return (
        len(second) == len(first) == len(named) > 1
        and any(meant)
        and not any(map(columns_meant, first))
        and (not filled or any(read_number(field) is not None for field in filled))
    )


def _shape(lines: list[str]) -> tuple[str, int]:
    """The separator, and the usual number of fields of a line."""
    best = (",", 1)
    agreeing = 0
    for separator in _SEPARATORS:
        counts = Counter(
            len(fields_of(line, separator)) for line in lines if line.strip() and not line.lstrip().startswith("#")
        )
        wide = {width: count for width, count in counts.items() if width > 1}
        if wide:
            width, count = max(wide.items(), key=lambda item: (item[1], item[0]))
            if (count, width) > (agreeing, best[1]):
                best, agreeing = (separator, width), count
    return best


def fields_of(line: str, separator: str) -> list[str]:
    """The fields of one line; the whole line where its quotes do not end."""
    try:
        return next(csv.reader([line.rstrip("\r")], delimiter=separator), [])
    except csv.Error:
        return [line]
