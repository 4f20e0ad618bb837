"""The site is built without a warning, and says what the code says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgeemo

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages; a warning fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    pages = "".join(p.read_text() for p in (site / "reference").glob("*.html"))
    for name in set(edgeemo.__all__) - {"__version__", "errors"}:
        assert re.search(rf'id="edgeemo\.[\w.]*{name}"', pages), name


def test_every_model_has_a_page_with_its_licence(site: Path) -> None:
    from edgeemo.artifacts.models import shipped

    for model in shipped():
        page = (site / "models" / f"{model.path.name}.html").read_text()
        assert f"<code>{model.command}</code>" in page
        assert model.card.misuse.split(":")[0] in page


def test_every_result_stands_beside_its_command(site: Path) -> None:
    page = (site / "experiments" / "index.html").read_text()
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        assert path.name in page, path.name


def test_nothing_is_loaded_from_another_machine(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|iframe|link rel="stylesheet")[^>]*(?:src|href)="(https?:[^"]*)',
            page.read_text(),
        )
        assert loaded == [], page.name
