"""Every way to install edgeemo, each into a fresh environment, and used from an empty folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import edgeemo
from edgeemo.artifacts import models
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.export.c_writer import HEADERS, PORTS

ROOT = Path(__file__).resolve().parents[2]
CLIP = need("speech/emodb_full/03a01Wa.flac")
MEGABYTE = 1_000_000

MAKERS = ("builtin_teacher", "open_teacher", "research_speech", "whisper_encoder")
"""Modules of export/ that tools/ and benchmarks/ alone import, so that no wheel has them."""

MAKERS_RECIPES = (
    "face-teacher",
    "face-teacher-identity",
    "efficientnet-lite0-face",
    "efficientnet-lite0-face-on",
)
"""Recipes that made the built-in teacher of faces and a student that has a successor."""

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
OFFLINE = ["--no-index", "--find-links"]  # and a folder
INSTALL = ["install", "--quiet", "--no-compile", *OFFLINE]  # compiling all of numpy takes seconds

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
    "arousal": edgeemo.load("wav2small-stream").predict(sound, gate=None).arousal,
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
    """The files that git knows, as they are now, in a repository of one commit."""
    folder = tmp_path_factory.mktemp("tree") / "edgeemo"
    names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT)
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, folder / name
        if not source.exists() and not source.is_symlink():
            continue  # deleted, and not yet committed so
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    run([*git, "init", "--quiet"], folder)
    run([*git, "add", "--all"], folder)
    run([*git, "commit", "--quiet", "--no-gpg-sign", "--message", "Everything"], folder)
    return folder


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the tests install, each fetched once."""
    folder = tmp_path_factory.mktemp("downloads")
    # And what scikit-build-core asks for where the system has no cmake or ninja.
    tools = [tool for tool in ("cmake", "ninja") if shutil.which(tool) is None]
    get = [*PIP, "download", "--quiet", "--dest", folder, "--constraint", ROOT / "constraints.txt"]
    run([*get, "numpy", "soundfile", "soxr", "scikit-build-core", *tools], folder)
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
def teachers_sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tree / "teachers", tmp_path_factory.mktemp("teachers"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist: what the archive lacks, the wheel lacks."""
    return wheel_of(sdist, downloads, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def teachers_wheel(
    teachers_sdist: Path, downloads: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return wheel_of(teachers_sdist, downloads, tmp_path_factory.mktemp("wheel"))


def wheel_of(source: Path, downloads: Path, folder: Path) -> Path:
    """The wheel of an archive, built in isolation, as pip does on a user's machine."""
    run([*PIP, "wheel", "--quiet", "--no-deps", *OFFLINE, downloads, source], folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(folder: Path, downloads: Path, *arguments: str | Path) -> Path:
    """A new environment with what the arguments make pip install; the path of its Python."""
    run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], folder)
    python = folder / "env" / "bin" / "python"
    # With no index: whatever edgeemo needed beyond its downloads would make this fail.
    run([*PIP, "--python", python, *INSTALL, downloads, *arguments], folder)
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


def predict(python: Path, tmp_path: Path) -> None:
    """What the shipped model says of a shipped clip, by the command, is what it says here."""
    clip = shutil.copy(CLIP, tmp_path)
    shown = run([python.parent / "edgeemo", "predict", "--json", Path(clip).name], tmp_path)
    emotion = edgeemo.load("wav2small-stream", backend="c").predict(read_audio(CLIP))
    dimensions = [json.loads(shown)[name] for name in ("arousal", "dominance", "valence")]
    expected = [emotion.arousal, emotion.dominance, emotion.valence]
    assert dimensions == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 0.5  # a model that says nothing would say the same


def test_wheel_with_numpy_alone(wheel: Path, downloads: Path, tmp_path: Path) -> None:
    python = environment(tmp_path, downloads, wheel)
    check(python, tmp_path)
    site = next((tmp_path / "env" / "lib").glob("python3*/site-packages"))
    others = ("numpy", "edgeemo-", "_distutils", "distutils")
    names = {p.name for p in site.iterdir() if not p.name.startswith(others)}
    assert names == {"edgeemo"}
    # A photo, which needs the other package: one line that tells how to install it.
    (tmp_path / "photo.jpg").write_bytes(b"not read")
    command = [python, "-m", "edgeemo", "predict", "photo.jpg"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "with: pip install ./teachers" in done.stderr
    # Sound, too: the command that the message gives works, though no index has edgeemo.
    command = [python, "-m", "edgeemo", "predict", CLIP]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    said = re.search(r"pip install '(edgeemo\[audio\])'", done.stdout + done.stderr)
    assert said
    run([*PIP, "--python", python, *INSTALL, downloads, said[1]], tmp_path)
    predict(python, tmp_path)


def test_wheel_and_teachers(
    wheel: Path, teachers_wheel: Path, tree: Path, downloads: Path, tmp_path: Path
) -> None:
    """Both wheels come from their own source archives."""
    assert teachers_wheel.name.endswith("-py3-none-any.whl")
    python = environment(tmp_path, downloads, f"{wheel}[audio]", teachers_wheel)
    seen = teachers_seen(python, tree, tmp_path)
    assert "site-packages" in seen["home"]
    assert {"wav2small-stream", *models.WITH_TEACHERS} == set(seen["models"])
    with zipfile.ZipFile(teachers_wheel) as archive:
        (notice,) = (name for name in archive.namelist() if name.endswith("licenses/NOTICE"))
        assert archive.read(notice) == (tree / "NOTICE").read_bytes()
    predict(python, tmp_path)


def clone(tree: Path, folder: Path) -> str:
    """As on Windows, where git makes no links."""
    run(["git", "clone", "--quiet", "-c", "core.symlinks=false", tree.as_uri(), "clone"], folder)
    return f"{folder / 'clone'}"


def archive(tree: Path, folder: Path) -> str:
    """As code hosts offer it. Python's zipfile makes no links either."""
    zipped = folder / "edgeemo.zip"
    command = ["git", "archive", "--format=zip", "--prefix=edgeemo-main/", "-o", zipped, "HEAD"]
    run(command, tree)
    with zipfile.ZipFile(zipped) as file:
        file.extractall(folder)
    return f"{folder / 'edgeemo-main'}"


def address(tree: Path, folder: Path) -> str:
    return f"git+{tree.as_uri()}"


@pytest.mark.parametrize("source", [clone, archive, address])
def test_from_source(source: Any, tree: Path, downloads: Path, tmp_path: Path) -> None:
    python = environment(tmp_path, downloads, source(tree, tmp_path), "soundfile", "soxr")
    check(python, tmp_path)
    predict(python, tmp_path)


@pytest.mark.parametrize("minor", [12, 13, 14])
def test_one_wheel_for_later_pythons(
    minor: int, wheel: Path, downloads: Path, tmp_path: Path
) -> None:
    other = interpreter(minor)
    if other is None:
        pytest.skip(f"hardware: there is no Python 3.{minor} on this machine")
    run([other, "-m", "venv", "--without-pip", tmp_path / "env"], tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    get = [*PIP, "download", "--quiet", "--no-deps", "--dest", tmp_path, "--only-binary", ":all:"]
    run([*get, "--python-version", f"3.{minor}", f"numpy=={version('numpy')}"], tmp_path)
    install = [*PIP, "--python", python, *INSTALL, tmp_path]
    run([*install, wheel], tmp_path)
    assert run([python, "-c", "import sys; print(sys.version_info[1])"], tmp_path) == f"{minor}\n"
    check(python, tmp_path)


def interpreter(minor: int) -> Path | None:
    """A Python 3.minor of this machine: on the path, or one of pyenv's."""
    name = f"python3.{minor}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for found in [shutil.which(name), *pyenv.glob(f"3.{minor}.*/bin/{name}")]:
        # pyenv puts something of that name on the path, too, that only says it is not chosen.
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return Path(found)
    return None


def test_tools_have_no_complaint(
    sdist: Path, wheel: Path, teachers_sdist: Path, teachers_wheel: Path, tmp_path: Path
) -> None:
    assert "-cp311-abi3-" in wheel.name
    packages = [sdist, wheel, teachers_sdist, teachers_wheel]
    run([sys.executable, "-m", "twine", "check", "--strict", *packages], tmp_path)
    settings = ["--config", ROOT / "pyproject.toml"]
    run([sys.executable, "-m", "check_wheel_contents", *settings, wheel, teachers_wheel], tmp_path)
    run([sys.executable, "-m", "abi3audit", "--strict", wheel], tmp_path)


def test_both_packages_are_of_one_version(sdist: Path, wheel: Path, teachers_wheel: Path) -> None:
    versions = {
        path.name.split("-")[1].removesuffix(".tar.gz") for path in (sdist, wheel, teachers_wheel)
    }
    assert versions == {edgeemo.__version__}


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
        code = {n: archive.read(n).decode() for n in names if n.endswith(".py")}
    assert {name.split("/")[0].split("-")[0] for name in names} == {"edgeemo"}
    packed = {name for name in names if name.startswith("edgeemo/") and not name.endswith(".so")}
    # The C library's sources go into C folders.
    library = {name for name in packed if name.startswith("edgeemo/cmake_ext/")}
    copied = {f"ports/{name}" for name in PORTS} | {f"include/{name}" for name in HEADERS}
    copied |= {f"src/{path.name}" for path in (tree / "cmake_ext" / "src").iterdir()}
    assert {name.removeprefix("edgeemo/cmake_ext/") for name in library} == copied
    packed -= library
    # Every committed file of the three folders, each once, but the stub of the private module,
    # what nothing in it imports, and recipes of models that their makers alone train.
    expected = {
        f"edgeemo/{path.relative_to(base).as_posix()}"
        for base, folder in ((tree / "edgeemo", "edgeemo"), (tree, "compress"), (tree, "export"))
        for path in (base if folder == "edgeemo" else tree / folder).rglob("*")
        if path.is_file() and not path.relative_to(base).parts[0].startswith("_skbuild")
    } - {
        "edgeemo/_native.pyi",
        *(f"edgeemo/export/{name}.py" for name in MAKERS),
        *(f"edgeemo/compress/recipes/{name}.toml" for name in MAKERS_RECIPES),
    }
    imports = re.compile(rf"^\s*(from|import) .*\b({'|'.join(MAKERS)})\b", re.MULTILINE)
    assert not [name for name, text in code.items() if imports.search(text)]
    assert packed == {name for name in expected if "__pycache__" not in name}
    assert len(packed) == len([n for n in names if n in packed])
    licences = {Path(name).name for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}


def test_sizes(sdist: Path, wheel: Path) -> None:
    assert wheel.stat().st_size <= 1.1 * MEGABYTE
    assert sdist.stat().st_size <= MEGABYTE


def test_sdist_holds_what_is_needed(sdist: Path, tree: Path) -> None:
    """No weights but those of the wheel, no corpora, no tests, and each file once."""
    with tarfile.open(sdist) as archive:
        names = [member.name.split("/", 1)[1] for member in archive if member.isfile()]
        assert all(member.isfile() or member.isdir() for member in archive)
    assert len(names) == len(set(names))
    files = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "NOTICE", "README.md", "pyproject.toml"}
    folders = ("cmake_ext", "compress", "edgeemo", "export")
    known = run(["git", "ls-files", "-z", *folders], tree).split("\0")
    files |= {name for name in known if name and not name.startswith("cmake_ext/fuzz/")}
    assert set(names) == files | {"PKG-INFO"}


def test_editable_install(tree: Path, downloads: Path, tmp_path: Path) -> None:
    """Imports come from the source tree: a new file is seen without installing again."""
    source = tmp_path / "source"
    shutil.copytree(tree, source, symlinks=True)
    both = [build("editable", folder, tmp_path) for folder in (source, source / "teachers")]
    python = environment(tmp_path, downloads, *both)
    check(python, tmp_path, source)
    seen = teachers_seen(python, tree, tmp_path)
    assert Path(seen["home"]) == source / "teachers" / "edgeemo_teachers"
    (source / "edgeemo" / "new.py").write_text("fresh = 1\n")
    (source / "compress" / "new.py").write_text("fresh = 2\n")
    code = "import edgeemo.new, edgeemo.compress.new as c; print(edgeemo.new.fresh, c.fresh)"
    (tmp_path / "elsewhere").mkdir()
    assert run([python, "-c", code], tmp_path / "elsewhere") == "1 2\n"
