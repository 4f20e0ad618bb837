"""The project's own files: metadata, citation, licences, workflows, and how to install it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import edgeemo_teachers
import pytest

import edgeemo
from edgeemo.artifacts import models

ROOT = Path(__file__).resolve().parents[1]
# A program of an installed package, wherever its script lies.
SCRIPT = """
import sys
from importlib.metadata import entry_points
(program,) = entry_points(group="console_scripts", name=sys.argv.pop(1))
sys.exit(program.load()())
"""
PAGES = ["*.md", "*.txt", "docs/**/*.md", "examples/**/*.md", "teachers/*.md"]
# What pip would look for on an index: edgeemo's name alone, with extras or without.
FROM_AN_INDEX = re.compile(
    r"pip install[^`\n]*?(?<![\w./-])edgeemo(-teachers)?(\[[\w,]+\])?(?! @|[\w./[-])"
)


def project(folder: str = "") -> dict[str, Any]:
    """The table [project] of a pyproject.toml."""
    values = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    assert isinstance(values, dict)
    return values


def run(*command: str | Path) -> str:
    """The output of a program that must end with 0."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files() -> list[str]:
    """What git knows."""
    return run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")


def test_no_link_is_committed() -> None:
    """Windows and ZIP archives have none: a link becomes a file of ten bytes there."""
    assert [name for name in files() if name and (ROOT / name).is_symlink()] == []


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE"])
def test_the_teachers_have_the_same_licence_and_notice(name: str) -> None:
    assert (ROOT / "teachers" / name).read_bytes() == (ROOT / name).read_bytes()


def test_one_version() -> None:
    assert edgeemo_teachers.__version__ == edgeemo.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {edgeemo.__version__}\n" in citation


def test_metadata() -> None:
    run(sys.executable, "-m", "validate_pyproject", "pyproject.toml", "teachers/pyproject.toml")
    authors = [{"name": "the edgeemo authors"}]
    assert project()["authors"] == project("teachers")["authors"] == authors


def test_the_licence_tells_of_weights_for_research() -> None:
    """As long as a card of a shipped model allows no other use, the metadata says so too."""
    for folder, part in ((models.ZOO, ""), (ROOT / "teachers", "teachers")):
        cards = [m.card for m in models.shipped() if m.path.is_relative_to(folder)]
        assert cards
        research = any("research" in card.licence for card in cards)
        assert ("LicenseRef-research-only" in project(part)["license"]) == research


def test_citation() -> None:
    run(sys.executable, "-c", SCRIPT, "cffconvert", "--validate", "--infile", "CITATION.cff")


def test_workflows() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert {path.stem for path in workflows} == {"release", "tests", "wheels"}
    # Without the other linters that it would call where it finds them.
    run(sys.executable, "-c", SCRIPT, "actionlint", "-shellcheck=", "-pyflakes=", *workflows)


def test_workflows_name_files_that_exist() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        named = re.findall(r"(?<![\w./])(?:tests|teachers|\.ci)/[\w./-]+", path.read_text())
        assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.fixture
def release_notes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notes", ROOT / ".ci" / "release_notes.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def repository(folder: Path, changelog: str) -> Path:
    """A folder of version 1.2.3 with a changelog."""
    (folder / "edgeemo").mkdir()
    (folder / "edgeemo" / "__init__.py").write_text('"""x"""\n__version__ = "1.2.3"\n')
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## [Unreleased]\n\n{changelog}")
    return folder


def test_release_notes(release_notes: ModuleType, tmp_path: Path) -> None:
    root = repository(
        tmp_path, "## [1.2.3] - 2026-01-02\n\n- New.\n\n## [1.2.2] - 2026-01-01\n- Old.\n"
    )
    assert release_notes.notes("v1.2.3", root) == "- New."


@pytest.mark.parametrize(
    ("tag", "changelog", "message"),
    [
        ("v1.2.4", "## [1.2.3] - 2026-01-02\n- New.\n", "tag v1.2.4: .* says 1.2.3"),
        ("1.2.3", "## [1.2.3] - 2026-01-02\n- New.\n", "expected v1.2.3"),
        ("v1.2.3", "- New.\n", r"no section ## \[1.2.3\]"),
        ("v1.2.3", "## [1.2.3]\n- New.\n", r"no section ## \[1.2.3\] - YYYY-MM-DD"),
        ("v1.2.3", "## [1.2.3] - 2026-01-02\n\n## [1.2.2] - 2026-01-01\n- Old.\n", "says nothing"),
    ],
)
def test_no_release(
    tag: str, changelog: str, message: str, release_notes: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=message):
        release_notes.notes(tag, repository(tmp_path, changelog))


@pytest.mark.parametrize(
    ("line", "false"),
    [
        ("pip install edgeemo", True),
        ("pip install 'edgeemo[audio]'", True),
        ("pip install -c constraints.txt edgeemo-teachers", True),
        ("pip install '.[audio]'", False),
        ("pip install 'edgeemo[audio] @ git+URL'", False),
        ("pip install ./dist/edgeemo-0.1.0-py3-none-any.whl", False),
        ("`pip install ./teachers` for edgeemo", False),
    ],
)
def test_what_counts_as_an_index(line: str, false: bool) -> None:
    assert bool(FROM_AN_INDEX.search(line)) == false


def test_no_page_installs_from_an_index() -> None:
    """No index has edgeemo, and a stranger could give one that name."""
    pages = [path for pattern in PAGES for path in ROOT.glob(pattern)]
    assert len(pages) > 20
    lines = [(p.name, line) for p in pages for line in p.read_text().splitlines()]
    assert [(name, line) for name, line in lines if FROM_AN_INDEX.search(line)] == []


def test_no_message_updates_from_an_index() -> None:
    """`pip install 'edgeemo[train]'` adds packages to what is installed; -U would ask the index."""
    for folder in ("edgeemo", "compress", "export"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(r"pip install (-U|--upgrade) '?edgeemo", path.read_text()), path
