"""The example runs as its README says, on shipped speech, and tells loud anger from sadness."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

from edgeemo.artifacts.teachers_package import need

HERE = Path(__file__).parent
SPEECH = need("speech/emodb_full")
LINE = re.compile(r"arousal (\d\.\d\d), dominance (\d\.\d\d), valence (\d\.\d\d)\n")


def estimate(path: Path) -> tuple[float, ...]:
    """Run the example on one file."""
    command = [sys.executable, HERE / "predict_file.py", path]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = LINE.fullmatch(run.stdout)
    assert found, run.stdout
    return tuple(map(float, found.groups()))


def clip(emotion: str) -> Path:
    """The first clip of speaker 03 with an emotion."""
    with (SPEECH / "labels.csv").open(newline="") as file:
        rows = csv.DictReader(file)
        name = next(r["path"] for r in rows if (r["speaker"], r["emotion"]) == ("03", emotion))
    return SPEECH / name


def test_anger_is_more_aroused_than_sadness() -> None:
    assert estimate(clip("anger"))[0] > estimate(clip("sadness"))[0] + 0.1


def test_the_readme_shows_what_it_prints() -> None:
    shown = re.search(r"`(arousal [^`]*)`", (HERE / "README.md").read_text())
    assert shown and LINE.fullmatch(shown[1] + "\n")
