"""Each benchmark can be imported by its path, and says in one line what its data lack."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
ALL = sorted(FOLDER.glob("*.py"))
WITH_DATA = [path for path in ALL if "    add_data(" in path.read_text(encoding="utf-8")]


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


def test_what_a_part_lacks_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "speech" / "emotale").mkdir(parents=True)
    program = [sys.executable, str(FOLDER / "baseline.py"), "--data", str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    table = tmp_path / "speech" / "emotale" / "labels.csv"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(str(table))
