"""From a run folder to files: they agree with the student, or they are not there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import edgeemo
from edgeemo import cli
from edgeemo.compress.run import Run
from edgeemo.compress.students import load_student, save_student, student_names
from edgeemo.errors import BadArtifact, BadData, BadInput, ParityFailed
from edgeemo.evaluation.metrics import ccc
from edgeemo.export import export
from edgeemo.export.parity import Tolerances, table

from .conftest import ROUGH

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def copy(run: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run.folder, tmp_path / "run"))


@pytest.mark.parametrize("name", [n for n in student_names() if n.startswith("wav2small")])
@pytest.mark.parametrize("waveform", [False, True])
def test_every_student_passes_in_float_and_int8(
    name: str, waveform: bool, make_run: Callable[[str, Path], Run], tmp_path: Path
) -> None:
    run = make_run(name, tmp_path / "run")
    held = run.parity_set()
    for int8 in (False, True):
        (result,) = export(run.folder, int8=int8, waveform=waveform)
        session = edgeemo.load(result.path)
        assert session.card == result.card
        assert result.card.input == ("samples" if waveform else "features")
        said = [session.predict(s, gate=None) for s in held.samples]
        dimensions = np.array([[e.arousal, e.dominance, e.valence] for e in said])
        wanted = np.clip(held.dimensions, 0, 1)
        if int8:
            assert all(ccc(dimensions[:, i], wanted[:, i]) >= 0.99 for i in range(3))
            assert result.parity.largest > 1e-6
        else:
            assert np.abs(dimensions - wanted).max() <= 1e-4
            classes = np.array([list(e.classes.values()) for e in said])
            assert np.abs(classes - held.probs).max() <= 1e-4
        assert result.bytes == result.path.stat().st_size


def test_int8_is_small(run: Run, tmp_path: Path) -> None:
    (small,) = export(run.folder, int8=True, out=tmp_path)
    (large,) = export(run.folder, out=tmp_path)
    weights = small.card.parameters
    assert weights < small.bytes < weights + 16_000
    assert large.bytes > 4 * weights
    assert small.card.quantization.kind == "int8" and small.card.quantization.weight_bits == 7
    assert large.card.quantization.kind == "none"


@pytest.mark.parametrize("int8", [False, True])
def test_the_same_run_gives_the_same_bytes(
    run: Run, copy: Path, tmp_path: Path, int8: bool
) -> None:
    first, again, moved = (
        export(folder, int8=int8, out=tmp_path / out)[0].path.read_bytes()
        for folder, out in ((run.folder, "a"), (run.folder, "b"), (copy, "c"))
    )
    assert first == again == moved
    assert str(tmp_path).encode() not in first


def test_refusal_leaves_nothing_and_keeps_what_was_there(
    run: Run, tmp_path: Path, capsys: Capture
) -> None:
    with pytest.raises(ParityFailed, match=r"the limit is 1[\s\S]*file/float") as caught:
        export(run.folder, int8=True, out=tmp_path, limits=Tolerances(ccc=0.0))
    assert "arousal" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    (kept,) = export(run.folder, int8=True, out=tmp_path)
    before = kept.path.read_bytes()
    with pytest.raises(ParityFailed):
        export(run.folder, int8=True, out=tmp_path, limits=Tolerances(ccc=0.0))
    assert [kept.path] == list(tmp_path.iterdir())
    assert kept.path.read_bytes() == before


def test_weights_that_do_not_belong_to_the_run_are_refused(copy: Path) -> None:
    student = load_student(copy / "student.pt")
    with torch.no_grad():
        next(student.parameters()).mul_(1.1)
    save_student(student, copy / "student.pt")
    with pytest.raises(BadData, match="do not belong together"):
        export(copy)


def test_classes_that_nothing_taught_are_not_exported(
    make_run: Callable[[str, Path], Run], tmp_path: Path
) -> None:
    run = make_run("wav2small-stream", tmp_path / "run")
    student = run.student()
    student.gives_classes = False
    save_student(student, run.folder / "student.pt")
    run.finish(replace(run.facts(), classes=False))
    sound = run.parity_set().samples[0]
    found = export(run.folder, ("onnx", "tflite"), int8=True, limits=ROUGH)
    for result in found:
        assert result.parity.same_class is None and "likeliest" not in table(result.parity)
        assert [output.name for output in result.card.outputs] == ["adv"]
    for result, backend in ((found[0], "onnx"), (found[1], "tflite"), (found[1], "c")):
        session = edgeemo.load(result.path, backend)
        said = session.predict(sound, gate=None)
        assert said.classes == {} and said.expression is None and said.arousal is not None
        streamed = session.stream(gate=None, stride_seconds=0.2).push(sound)
        assert streamed and all(e.classes == {} and e.valence is not None for e in streamed)


@pytest.mark.parametrize("name", ["run.json", "student.pt", "parity/parity.npz"])
def test_a_damaged_run_is_refused(copy: Path, name: str) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:40])
    with pytest.raises(BadArtifact, match=Path(name).name):
        export(copy)
    (copy / name).unlink()
    with pytest.raises(BadArtifact):
        export(copy)


def test_the_command(
    copy: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["export", str(copy), "--int8", "--json", "-o", str(tmp_path / "o")]) == 0
    (found,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert found["bytes"] == Path(found["path"]).stat().st_size
    assert found["parity"]["faults"] == []
    assert cli.main(["export", str(copy)]) == 0
    text = capsys.readouterr().out
    for word in (
        "file/float",
        "file/teacher",
        "file/human",
        "human ceiling",
        "level alone",
        "M MAC a second",
        "Apache-2.0",
    ):
        assert word in text
    (copy / "export" / "wav2small-17k-float.onnx").unlink()  # it is there, where promised
    (tmp_path / "runs").mkdir()
    shutil.copytree(copy, tmp_path / "runs" / "demo-001")
    (tmp_path / "runs" / "last").write_text("demo-001\n")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export"]) == 0
    assert str(Path("runs/demo-001/export")) in capsys.readouterr().out


def test_unknown_formats_are_refused(run: Run, tmp_path: Path, capsys: Capture) -> None:
    with pytest.raises(BadInput, match="add --int8"):
        export(run.folder, ("c",))
    with pytest.raises(BadInput, match="no format 'onxn'; there is: onnx, tflite, c"):
        export(run.folder, ("onxn",))
    with pytest.raises(BadInput, match="no format given; there is: onnx, tflite"):
        export(run.folder, ())
    assert cli.main(["export", str(tmp_path), "--format", "onnx,cc"]) == 2
    assert "no format 'cc'" in capsys.readouterr().err
    assert cli.main(["export", str(tmp_path)]) == 2
    assert "not a run" in capsys.readouterr().err
