"""Answers as plain values, which a page shows and a file keeps."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rung.report import Findings, Scene, Section, findings_section, result_section
from rung.results import Result


def answer_of(result: Result, scene: Scene, title: str) -> dict[str, Any]:
    """The answer that a result is."""
    sections = [result_section("result", title, result, "", scene)]
    if result.findings():
        sections.append(findings_section([result]))
    return {"sentences": [result.headline()], "sections": [plain(section) for section in sections], "files": {}}


def plain(section: Section) -> dict[str, Any]:
    """A section as plain values."""
    blocks = []
    for block in section.blocks:
        plain = asdict(block)
        if isinstance(block, Findings):
            plain["findings"] = [
                {"finding": one.finding.to_dict(), "points": dict(one.points)} for one in block.findings
            ]
        blocks.append(plain)
    return {"anchor": section.anchor, "title": section.title, "blocks": blocks}
