"""Wheels, source archive and editable install, each in a fresh environment and an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeemo.artifacts import models

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow

# What a user of a runtime-only installation does: features of a clip, an estimate, the command
# line, and optional parts that are not there.
USE = """
import importlib.util, json, numpy as np, edgeemo, edgeemo._native
from edgeemo.errors import MissingExtra, require
sound = np.sin(np.arange(16000, dtype=np.float32) * 0.1)
frames = edgeemo.log_mel(sound)
try:
    require("torch", "train")
except MissingExtra as error:
    missing = str(error)
print(json.dumps({
    "version": edgeemo.__version__,
    "path": edgeemo.__file__,
    "native": edgeemo._native.__file__,
    "frames": [frames.shape, float(frames.sum())],
    "arousal": edgeemo.load("wav2small-stream").predict(sound).arousal,
    "parts": [importlib.util.find_spec(f"edgeemo.{p}") is not None for p in ("compress", "export")],
    "top": [importlib.util.find_spec(p) is not None for p in ("compress", "export")],
    "missing": missing,
}))
"""


# Files of the package edgeemo-teachers, and the models that edgeemo finds there.
TEACHERS = """
import json
from edgeemo.artifacts import teachers_package
from edgeemo.artifacts import models
home = teachers_package.need("")
files = [p for p in home.rglob("*") if p.is_file() and p.suffix != ".pyc"]
print(json.dumps({
    "home": str(home),
    "files": sorted(p.relative_to(home).as_posix() for p in files),
    "models": sorted({m.name for m in models.shipped()}),
}))
"""


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Standard output of a command; its errors are in the failure's text."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git knows, links and all, as a fresh clone has them."""
    folder = tmp_path_factory.mktemp("tree") / "edgeemo"
    names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT)
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, folder / name
        if not source.exists() and not source.is_symlink():
            continue  # deleted, and not yet committed so
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    return folder


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with numpy's wheel of the running version, so that it is fetched once."""
    folder = tmp_path_factory.mktemp("wheels")
    get = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    run([*get, f"numpy=={np.__version__}"], folder)
    return folder


def build(what: str, tree: Path, folder: Path) -> Path:
    """Let the build backend make a wheel, an sdist or an editable wheel of a source tree."""
    code = (
        "import sys; from scikit_build_core import build\n"
        f"print(build.build_{what}({str(folder)!r}, {{'build-dir': {str(folder / 'cmake')!r}}}))"
    )
    name = run([sys.executable, "-c", code], tree).split()[-1]
    return folder / name


@pytest.fixture(scope="module")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tree, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist: what the archive lacks, the wheel lacks."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return build("wheel", source, folder)


def environment(folder: Path, wheels: Path, *arguments: str | Path) -> Path:
    """A new environment with numpy and edgeemo alone; the path of its Python."""
    run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], folder)
    python = folder / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--no-index", "--find-links", wheels, "numpy"], folder)
    # With no index: whatever edgeemo needed beyond numpy would make this fail.
    run([*pip, "install", "--quiet", "--no-index", "--find-links", wheels, *arguments], folder)
    return python


def check(python: Path, tmp_path: Path, home: Path | None = None) -> None:
    """Use edgeemo from an empty folder; its files must lie in `home` (None: site-packages)."""
    empty = tmp_path / "empty"
    empty.mkdir()
    seen = json.loads(run([python, "-c", USE], empty))
    site = next((tmp_path / "env" / "lib").glob("python3*/site-packages"))
    assert Path(seen["path"]).parent == (home or site) / "edgeemo"
    assert Path(seen["native"]).parent == site / "edgeemo"
    assert seen["native"].endswith(".abi3.so")
    assert seen["frames"][0] == [98, 40]
    assert 0 <= seen["arousal"] <= 1
    assert seen["parts"] == [True, True]
    assert "pip install 'edgeemo[train]'" in seen["missing"]
    assert run([python.parent / "edgeemo", "--version"], empty) == f"edgeemo {seen['version']}\n"
    assert json.loads(run([python, "-m", "edgeemo", "doctor", "--json"], empty))["native"] == {
        "version": seen["version"],
        "error": None,
    }
    assert list(empty.iterdir()) == []
    if home is None:  # an editable install has the source folder on its path, with all in it
        assert seen["top"] == [False, False]
        others = ("numpy", "edgeemo-", "_distutils", "distutils")
        names = {p.name for p in site.iterdir() if not p.name.startswith(others)}
        assert names == {"edgeemo"}


def test_wheel(wheel: Path, wheels: Path, tmp_path: Path) -> None:
    assert "-cp311-abi3-" in wheel.name
    assert wheel.stat().st_size < 1_000_000
    python = environment(tmp_path, wheels, wheel)
    check(python, tmp_path)
    # A photo, which needs the other package: one line that tells how to install it.
    (tmp_path / "photo.jpg").write_bytes(b"not read")
    command = [python, "-m", "edgeemo", "predict", "photo.jpg"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "with: pip install ./teachers" in done.stderr


def test_wheel_of_teachers(wheel: Path, tree: Path, wheels: Path, tmp_path: Path) -> None:
    teachers = build("wheel", tree / "teachers", tmp_path)
    assert teachers.name.endswith("-py3-none-any.whl")
    python = environment(tmp_path, wheels, wheel, teachers)
    seen = teachers_seen(python, tree, tmp_path)
    assert "site-packages" in seen["home"]
    assert {"wav2small-stream", *models.WITH_TEACHERS} == set(seen["models"])
    with zipfile.ZipFile(teachers) as archive:
        (notice,) = (name for name in archive.namelist() if name.endswith("licenses/NOTICE"))
        assert archive.read(notice) == (tree / "NOTICE").read_bytes()
    # Both are of one version, which is written once.
    assert teachers.name.split("-")[1] == wheel.name.split("-")[1]


def teachers_seen(python: Path, tree: Path, folder: Path) -> dict[str, Any]:
    """What edgeemo finds of the other package: all its committed files."""
    seen: dict[str, Any] = json.loads(run([python, "-c", TEACHERS], folder))
    source = tree / "teachers" / "edgeemo_teachers"
    files = [p for p in source.rglob("*") if p.is_file() and p.suffix != ".pyc"]
    assert seen["files"] == sorted(p.relative_to(source).as_posix() for p in files)
    assert len(files) > 100
    return seen


def test_wheel_holds_the_package_and_nothing_else(wheel: Path, tree: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"edgeemo"}
    packed = {name for name in names if name.startswith("edgeemo/") and not name.endswith(".so")}
    # The C library's sources go into C folders.
    library = {name for name in packed if name.startswith("edgeemo/cmake_ext/")}
    assert "edgeemo/cmake_ext/src/edgeemo_frontend.c" in library
    packed -= library
    # Every committed file of the three folders, each once.
    expected = {
        f"edgeemo/{path.relative_to(base).as_posix()}"
        for base, folder in ((tree / "edgeemo", "edgeemo"), (tree, "compress"), (tree, "export"))
        for path in (base if folder == "edgeemo" else tree / folder).rglob("*")
        if path.is_file() and not path.relative_to(base).parts[0].startswith("_skbuild")
    }
    assert packed == {name for name in expected if "__pycache__" not in name}
    assert len(packed) == len([n for n in names if n in packed])
    licences = {Path(name).name for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}


def test_sdist_installs(sdist: Path, wheels: Path, tmp_path: Path) -> None:
    """With build isolation, as on a user's machine; the build requirements come from the index."""
    needs = tmp_path / "needs"
    needs.mkdir()
    get = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", needs]
    run([*get, "scikit-build-core", *ninja_and_cmake()], tmp_path)
    python = environment(tmp_path, wheels, "--find-links", needs, sdist)
    check(python, tmp_path)


def ninja_and_cmake() -> list[str]:
    """What scikit-build-core asks for where the system has no cmake or ninja."""
    return [tool for tool in ("cmake", "ninja") if shutil.which(tool) is None]


def test_sdist_holds_what_is_needed(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    for name in ("LICENSE", "NOTICE", "README.md", "pyproject.toml", "cmake_ext/include/edgeemo.h"):
        assert name in names
    assert not [name for name in names if name.startswith((".venv", "runs/", "build/", "dist/"))]


def test_editable_install(tree: Path, wheels: Path, tmp_path: Path) -> None:
    """Imports come from the source tree: a new file is seen without installing again."""
    source = tmp_path / "source"
    shutil.copytree(tree, source, symlinks=True)
    both = [build("editable", folder, tmp_path) for folder in (source, source / "teachers")]
    python = environment(tmp_path, wheels, *both)
    check(python, tmp_path, source)
    seen = teachers_seen(python, tree, tmp_path)
    assert Path(seen["home"]) == source / "teachers" / "edgeemo_teachers"
    (source / "edgeemo" / "new.py").write_text("fresh = 1\n")
    (source / "compress" / "new.py").write_text("fresh = 2\n")
    code = "import edgeemo.new, edgeemo.compress.new as c; print(edgeemo.new.fresh, c.fresh)"
    (tmp_path / "elsewhere").mkdir()
    assert run([python, "-c", code], tmp_path / "elsewhere") == "1 2\n"
