"""Each benchmark can be imported, has a help, and says in one line what its data lack."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgeemo.errors import BadInput

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
ALL = sorted(FOLDER.glob("*.py"))
WITH_DATA = [path for path in ALL if "    add_data(" in path.read_text(encoding="utf-8")]

WITH_MAIN = [path for path in ALL if "\ndef main() -> " in path.read_text(encoding="utf-8")]


def load(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # Last, because some have names that other packages have, too.
    monkeypatch.setattr(sys, "path", [*sys.path, str(FOLDER)])
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_benchmark_can_be_imported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(path, monkeypatch).__doc__


@pytest.mark.parametrize("path", WITH_MAIN, ids=lambda path: path.stem)
def test_help_measures_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load(path, monkeypatch)
    monkeypatch.setattr(sys, "argv", [path.name, "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {path.name}")


@pytest.mark.parametrize("path", WITH_DATA, ids=lambda path: path.stem)
@pytest.mark.parametrize("made", [False, True], ids=["no folder", "empty folder"])
def test_a_wrong_data_folder_is_one_line(
    path: Path,
    made: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "data"
    if made:
        folder.mkdir()
    module = load(path, monkeypatch)
    monkeypatch.setattr(sys, "argv", [path.name, "--data", str(folder)])
    with pytest.raises(SystemExit) as ended:
        module.main()
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.count("\n") == 1 and told.startswith(f"--data {folder}: ")
    assert "expected a folder that holds " in told


def test_no_benchmark_reads_a_data_folder_unseen() -> None:
    own = [path for path in ALL if '"--data", type' in path.read_text(encoding="utf-8")]
    assert [path.name for path in own] == ["_data.py"]
    assert len(WITH_DATA) > 10


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("confidence", ["--card", "{tmp}"], "is a folder; name a file to write"),
        ("students", ["{tmp}"], "run-0-0: has no export/*.onnx; make it with"),
        ("sounds", ["--music", "{tmp}", "--gates", "loud"], "no gate 'loud'; there is: energy"),
    ],
)
def test_what_costs_nothing_is_looked_at_first(
    name: str, arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("speech/emotale", "speech/nemo", "speech/librispeech", "voices/emogator"):
        (tmp_path / part).mkdir(parents=True)  # reading them would be another error
    module = load(FOLDER / f"{name}.py", monkeypatch)
    given = [text.format(tmp=tmp_path) for text in arguments]
    monkeypatch.setattr(sys, "argv", [name, "--data", str(tmp_path), *given])
    with pytest.raises(BadInput, match=re.escape(says)):
        module.main()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: folder, out"),
        (["{tmp}", "{tmp}/x.npz"], "no .flac, .ogg or .wav file in it"),
        (["{clips}", "{tmp}/x"], "x: expected a file that ends in .npz"),
        (["{clips}", "{tmp}/none/x.npz"], "x.npz: expected a file that ends in .npz, in a folder"),
    ],
)
def test_functionals_are_asked_for_in_full(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.wav").touch()
    module = load(FOLDER / "egemaps.py", monkeypatch)
    given = [text.format(tmp=tmp_path, clips=tmp_path / "clips") for text in arguments]
    monkeypatch.setattr(sys, "argv", ["egemaps.py", *given])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 2 and says in capsys.readouterr().err


def test_what_a_part_lacks_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "speech" / "emotale").mkdir(parents=True)
    program = [sys.executable, str(FOLDER / "baseline.py"), "--data", str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    table = tmp_path / "speech" / "emotale" / "labels.csv"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(str(table))
