"""Print what CHANGELOG.md says of a release, or say why there can be none.

    python .ci/release_notes.py v0.1.0

The tag must be the version in edgeemo/__init__.py, and the changelog must have a dated section
that holds something. Ends with 1 and one line otherwise.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def notes(tag: str, root: Path = ROOT) -> str:
    """The text of one release.

    Args:
        tag: "v" and the version.
        root: the repository's folder.

    Raises:
        SystemExit: the tag is not of this version, or its section is absent, undated or empty.
    """
    code = (root / "edgeemo" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', code, re.MULTILINE)
    if tag != f"v{version}":
        raise SystemExit(f"tag {tag}: edgeemo/__init__.py says {version}; expected v{version}")
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$"
    section = re.search(rf"{heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if section is None:
        raise SystemExit(f"CHANGELOG.md has no section ## [{version}] - YYYY-MM-DD")
    if not section[1].strip():
        raise SystemExit(f"CHANGELOG.md says nothing of {version}")
    return section[1].strip()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python .ci/release_notes.py TAG")
    print(notes(sys.argv[1]))
