"""How much licences allow, for finding children that allow more than their parents.

Four steps: public domain, permissive, copyleft or weak copyleft, and restricted (no commercial use, or uses that a maker forbids).
The steps are those of the licences' own texts in short; they are no legal advice.
"""

from __future__ import annotations

STEPS = ("public domain", "permissive", "copyleft", "restricted")

_STEP: dict[str, int] = {
    **dict.fromkeys(("cc0-1.0", "unlicense", "pddl", "wtfpl"), 0),
    **dict.fromkeys(
        ("mit", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "isc", "ms-pl", "zlib", "cc-by-4.0", "cc-by-3.0", "cc-by-2.0", "afl-3.0", "artistic-2.0", "ecl-2.0", "cdla-permissive-1.0", "cdla-permissive-2.0"),
        1,
    ),
    **dict.fromkeys(
        ("gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "mpl-2.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "odbl", "epl-1.0", "epl-2.0", "eupl-1.1", "eupl-1.2", "osl-3.0"),
        2,
    ),
    **dict.fromkeys(
        ("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nd-4.0", "openrail", "openrail++", "bigscience-openrail-m", "creativeml-openrail-m", "bigcode-openrail-m", "bigscience-bloom-rail-1.0", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "gemma", "deepfloyd-if-license", "intel-research", "apple-amlr", "fair-noncommercial-research-license"),
        3,
    ),
}  # fmt: skip


def step_of(licence: str) -> int | None:
    """The step of a licence: 0 allows the most; None for one that is not known."""
    return _STEP.get(licence.strip().lower())
