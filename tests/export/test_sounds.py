"""Files of a student that tells speech and sounds, and of the same student without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeemo.backends import open_backend
from edgeemo.compress.run import Run
from edgeemo.compress.students import Student, save_student
from edgeemo.compress.students.base import load_student
from edgeemo.compress.train.onnx_weights import load_onnx_weights
from edgeemo.errors import ParityFailed
from edgeemo.export import ExportResult, export
from edgeemo.export.parity import Tolerances
from edgeemo.types import SOUNDS

from .conftest import ROUGH

Files = dict[str, ExportResult]


@pytest.fixture(scope="module")
def runs(
    make_run: Callable[[str, Path], Run], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Run]:
    """A run, and the same with layers for sounds (random ones: what they mean matters not here)."""
    folder = tmp_path_factory.mktemp("runs")
    found = {name: make_run("wav2small-stream", folder / name) for name in ("without", "with")}
    student = found["with"].student()
    torch.manual_seed(5)
    student.add_sounds(32)
    save_student(student, found["with"].folder / "student.pt")
    found["with"].finish(replace(found["with"].facts(), sounds=True))
    return found


@pytest.fixture(scope="module")
def files(runs: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    out = tmp_path_factory.mktemp("files")
    return {
        name: {
            r.format: r
            for r in export(run.folder, ("onnx", "tflite"), True, out / name, limits=ROUGH)
        }
        for name, run in runs.items()
    }


@pytest.mark.parametrize("backend", ["onnx", "tflite", "c"])
def test_emotion_keeps_its_bits_and_sounds_are_the_students(
    backend: str, files: dict[str, Files], runs: dict[str, Run]
) -> None:
    kind = "onnx" if backend == "onnx" else "tflite"
    with_them, without = (
        open_backend(files[name][kind].path, backend) for name in ("with", "without")
    )
    student = runs["with"].student()
    for features in runs["with"].parity_set().features:
        said, before = with_them.run(features[None]), without.run(features[None])
        assert all(np.array_equal(said[name], before[name]) for name in ("adv", "probs"))
        assert "sounds" not in before
        with torch.inference_mode():
            wanted = student(torch.from_numpy(features)[None]).sounds
        assert wanted is not None
        assert np.abs(said["sounds"] - wanted.numpy()).max() < 0.03


def test_the_card_names_them_and_the_file_grows_little(files: dict[str, Files]) -> None:
    for kind in ("onnx", "tflite"):
        with_them, without = files["with"][kind], files["without"][kind]
        output = with_them.card.output("sounds")
        assert output is not None and output.labels == ("speech", *SOUNDS)
        assert without.card.output("sounds") is None
        assert with_them.bytes - without.bytes < 5000
        assert with_them.parity.sounds is not None and without.parity.sounds is None


def test_a_file_whose_sounds_are_off_is_refused(runs: dict[str, Run], tmp_path: Path) -> None:
    strict = Tolerances(ccc=0.06, sounds=1e-9, fewest=2, classes=1.0)
    with pytest.raises(ParityFailed, match=r"a share of speech or sound is 0\.\d+ off"):
        export(runs["with"].folder, int8=True, out=tmp_path, limits=strict)
    assert not list(tmp_path.glob("*.onnx"))


def test_a_step_model_leaves_them_out(runs: dict[str, Run], tmp_path: Path) -> None:
    (step,) = export(runs["with"].folder, int8=True, out=tmp_path, step=True, limits=ROUGH)
    assert [output.name for output in step.card.outputs] == ["adv", "probs"]


def test_training_goes_on_from_a_file_that_tells_sounds(
    files: dict[str, Files], runs: dict[str, Run]
) -> None:
    def loaded(name: str) -> Student:
        student = load_student(runs["without"].folder / "student.pt")
        load_onnx_weights(student, files[name]["onnx"].path)
        return student

    one, other = loaded("with").state_dict(), loaded("without").state_dict()
    assert all(torch.equal(value, other[name]) for name, value in one.items())
