"""The plain entries of a YAML file: settings that trackers write as lines NAME: VALUE, nested by indentation."""

from __future__ import annotations

from typing import Any


def yaml_lines(text: str) -> dict[str, Any]:
    """The entries NAME: VALUE of a text, nested ones under dotted names; lists and other structures are left out."""
    found: dict[str, Any] = {}
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        stripped = line.strip()
        key, colon, value = stripped.partition(":")
        if not colon or stripped.startswith(("#", "-", "!")):
            continue
        indent = len(line) - len(line.lstrip())
        while above and above[-1][0] >= indent:
            above.pop()
        name = ".".join([*(part for _, part in above), key.strip().strip("'\"")])
        value = value.split(" #")[0].strip()
        if value and not value.startswith(("!", "&", "*", "[", "{", "|", ">")):
            found[name] = value.strip("'\"")
        else:
            above.append((indent, key.strip()))
    return found
