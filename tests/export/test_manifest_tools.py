"""The C folder's manifests as PlatformIO and the ESP Component Registry's tool judge them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from edgeemo.export import c_packages
from edgeemo.export.c_writer import Folder

TOOLS = ("platformio==6.2.0", "idf-component-manager==3.1.2")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of their programs, in an environment of their own."""
    home = tmp_path_factory.mktemp("manifest-tools")
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip = [home / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    subprocess.run([*pip, *TOOLS], check=True)
    return home / "bin"


@pytest.fixture
def folder(c_folder: Folder, tmp_path: Path) -> Path:
    return shutil.copytree(c_folder.path, tmp_path / "voice")


def pack(tools: Path, command: str, folder: Path, *rest: str) -> subprocess.CompletedProcess[str]:
    """What the tool says; nothing of it goes to its maker."""
    silent = {
        "PLATFORMIO_CORE_DIR": str(folder.parent / "core"),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "No",
        "PLATFORMIO_SETTING_CHECK_PLATFORMIO_INTERVAL": "9999",
        "IDF_COMPONENT_NO_COLORS": "1",
    }
    return subprocess.run(
        [tools / command, *rest],
        cwd=folder,
        env=os.environ | silent,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_platformio_packs_the_library(tools: Path, folder: Path) -> None:
    archive = folder.parent / "library.tar.gz"
    done = pack(tools, "pio", folder, "pkg", "pack", "-o", str(archive))
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(archive) as packed:
        names = set(packed.getnames())
    sources = {f"src/{path.name}" for path in (folder / "src").iterdir()}
    assert sources | {"library.json", "examples/FirstEstimate/FirstEstimate.ino"} <= names


def test_platformio_refuses_a_library_without_a_version(tools: Path, folder: Path) -> None:
    manifest = folder / "library.json"
    manifest.write_text(manifest.read_text().replace('"version"', '"varsion"'))
    (folder / "library.properties").unlink()  # would be read in its place
    done = pack(tools, "pio", folder, "pkg", "pack")
    assert done.returncode != 0 and "version" in done.stderr + done.stdout


def test_espressifs_tool_packs_the_component(tools: Path, folder: Path) -> None:
    done = pack(tools, "compote", folder, "component", "pack", "--name", "edgeemo_voice")
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = (folder / "dist").glob("*.tgz")
    with tarfile.open(archive) as packed:
        names = {name.removeprefix("./") for name in packed.getnames()}
    assert {"idf_component.yml", "CMakeLists.txt", f"src/{c_packages.NAME}.h"} <= names


def test_espressifs_tool_refuses_a_version(tools: Path, folder: Path) -> None:
    manifest = folder / "idf_component.yml"
    manifest.write_text(manifest.read_text().replace('version: "', 'version: "one.'))
    done = pack(tools, "compote", folder, "component", "pack", "--name", "edgeemo_voice")
    assert done.returncode != 0 and "version" in done.stderr + done.stdout
