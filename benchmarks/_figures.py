"""What the blocks of figures are made of: results of benchmarks, and tables in Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
MISSING = "_Not measured yet._"


def result(name: str) -> dict[str, Any] | None:
    """What a benchmark wrote, by the name of its file; None if it was not run."""
    path = RESULTS / name
    return json.loads(path.read_text()) if path.exists() else None


def spread(value: Mapping[str, float] | None) -> str:
    """A mean with its standard deviation, if there is one; empty if there is no mean."""
    if value is None:
        return ""
    sd = f" ± {value['sd']:.3f}" if "sd" in value else ""
    return f"{value['mean']:.3f}{sd}"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Rows as Markdown, all but the first column to the right."""
    rule = ["---"] + ["--:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))
