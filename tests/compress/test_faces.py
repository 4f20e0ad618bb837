"""Whole runs of faces: training, export, use, and the command."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import edgeemo
from edgeemo.cli import main
from edgeemo.compress.data import open_dataset
from edgeemo.compress.pipeline import distill
from edgeemo.compress.run import Run
from edgeemo.compress.students import load_student
from edgeemo.compress.students.cost import macs
from edgeemo.compress.teachers import load_teacher
from edgeemo.errors import BadRecipe
from edgeemo.export.job import export
from tests.compress.faces import RECIPE, Eye


@pytest.fixture(scope="module")
def run(face_table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny-face-001"
    made = Run.begin(folder, RECIPE, {})
    distill(made, open_dataset(face_table), Eye())
    return made


def test_a_run_of_faces_finishes_and_tells_what_it_is(run):
    facts = run.facts()
    assert facts.task == "face" and facts.window.min_seconds == 0
    assert facts.clips["test"] == 20 and facts.clips["train"] + facts.clips["valid"] == 60
    assert {m.measure for m in facts.metrics} >= {"accuracy on the class most voted for"}
    assert facts.macs_per_second == macs(run.student())
    assert len(facts.calibration.class_prior) == 8
    assert sum(facts.calibration.class_prior) == pytest.approx(1, abs=1e-4)
    assert "confidence" not in facts.licence and "Apache" not in facts.data[0].licence
    history = run.history()
    assert history[-1]["train"]["class_consistency"] > 0 and "accuracy" in history[-1]["valid"]
    report = run.report.read_text(encoding="utf-8")
    assert ">nan<" not in report and "votes; predicted" in report


def test_a_run_of_faces_is_exported_and_used(run, face_table):
    (result,) = export(run.folder)
    session = edgeemo.load(str(result.path))
    assert session.card.task == "face" and session.card.input == "image"
    assert session.card.calibration.class_prior == run.facts().calibration.class_prior
    clip = open_dataset(face_table).clips[0]
    found = session.predict(clip.image())
    assert found.dominance is None and 0 <= found.valence <= 1
    assert sum(found.classes.values()) == pytest.approx(1, abs=1e-5)
    student = load_student(run.folder / "student.pt")
    from edgeemo.vision.images import preprocess

    face = preprocess(clip.image(), None, student.spec)
    with torch.inference_mode():  # a session takes the mean of the face and its mirror image
        said = student(torch.from_numpy(np.concatenate([face, face[:, :, ::-1]])))
    expected = float(said.dimensions[:, 0].mean().clamp(0, 1))
    assert found.arousal == pytest.approx(expected, abs=1e-4)


def test_a_recipe_of_speech_does_not_take_faces(face_table, tmp_path):
    with pytest.raises(BadRecipe, match="is for face, the teacher 'builtin' for speech"):
        distill(
            Run.begin(tmp_path / "a", RECIPE, {}), open_dataset(face_table), load_teacher("builtin")
        )
    speech = replace(RECIPE, task="speech")
    with pytest.raises(BadRecipe, match="is for speech, the data"):
        distill(Run.begin(tmp_path / "b", speech, {}), open_dataset(face_table), Eye())


def test_the_command_refuses_what_does_not_fit(face_table, capsys):
    assert main(["distill", "--task", "face"]) == 2
    assert "no faces are shipped" in capsys.readouterr().err
    assert main(["distill", "--task", "speech", "--recipe", "mobilenetv3-small-face"]) == 2
    assert "is for face" in capsys.readouterr().err


def test_the_command_distils_faces(face_table, tmp_path, capsys):
    text = (
        'schema = 2\ntask = "face"\n[teacher]\nname = "none-face"\n[student]\n'
        'name = "mobilenetv3-small-face"\noptions = { width = 0.25, size = 32 }\n'
        "[distill]\nepochs = 1\nbatch = 16\nloss = { votes = 1.0 }\n"
        '[early_stopping]\nmetric = "valid.accuracy"\n'
    )
    (tmp_path / "tiny.toml").write_text(text, encoding="utf-8")
    out = tmp_path / "run"
    assert (
        main(
            [
                "distill",
                "--recipe",
                str(tmp_path / "tiny.toml"),
                "--task",
                "face",
                "--data",
                str(face_table),
                "--out",
                str(out),
                "--json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["task"] == "face"
