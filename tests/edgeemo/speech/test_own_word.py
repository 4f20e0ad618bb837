"""A model that tells speech and sounds: what predict, streams, commands and views make of it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import edgeemo
from edgeemo import Session, cli
from edgeemo.artifacts import teachers_package
from edgeemo.artifacts.card import Output
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.backends.c import CBackend
from edgeemo.cli._rows import Table
from edgeemo.compress.data import shipped_speech
from edgeemo.compress.students import make_student
from edgeemo.compress.train.pretrained import load_pretrained
from edgeemo.errors import BadInput
from edgeemo.export.int8 import ActivationRecorder
from edgeemo.export.onnx_writer import OnnxWriter, float_graph
from edgeemo.export.tflite_writer import TfliteWriter
from edgeemo.export.writer import ExportInput, QuantConfig
from edgeemo.features import log_mel
from edgeemo.fusion import Fusion
from edgeemo.results.sounds import heard
from edgeemo.speech.chain import EngineChain, Plan, PythonChain, open_chain
from edgeemo.speech.smoothing import SMOOTHING
from edgeemo.types import SOUNDS, Emotion

SHIPPED = "wav2small-stream"


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return np.tile(shipped_speech().clips[0].samples(), 3)[: 5 * 16000]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, voice: np.ndarray) -> dict[str, Path]:
    """The shipped student with layers for sounds that always say the same, in both formats.

    "speaks" tells speech half of the time, "laughs" hardly ever; both tell laughter mostly.
    """
    folder = tmp_path_factory.mktemp("files")
    card = read_onnx(Path(edgeemo.load(SHIPPED, "onnx").path)).card
    card = replace(card, outputs=(*card.outputs, Output("sounds", ("speech", *SOUNDS))))
    found = {}
    for name, speech in (("speaks", 0.0), ("laughs", -3.0)):
        student = make_student(SHIPPED, pooled=96, hidden=48)
        load_pretrained(student, SHIPPED)
        student.add_sounds(4)
        assert student.sounds is not None
        with torch.no_grad():
            weight, bias = student.sounds[2].parameters()
            weight.mul_(0.1)  # of no weight at all int8 would lose the bias
            bias.copy_(torch.tensor([speech, 2.0, *[-3.0] * 6]))
        graph = float_graph(student.eval(), card.calibration.class_temperature)
        ranges = ActivationRecorder(graph).observe([log_mel(voice)[None]]).table("minmax")
        for writer in (OnnxWriter(), TfliteWriter()):
            path = folder / f"{name}{writer.ending}"
            path.write_bytes(writer.write(ExportInput(student, card), QuantConfig(ranges)))
            found[f"{name} {writer.format}"] = path
    return found


@pytest.fixture(params=["onnx", "tflite", "c"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def load(files: dict[str, Path], name: str, backend: str) -> Session:
    return edgeemo.load(files[f"{name} {'onnx' if backend == 'onnx' else 'tflite'}"], backend)


def numbers(emotion: Emotion) -> tuple[object, ...]:
    return emotion.arousal, emotion.dominance, emotion.valence, dict(emotion.classes)


def test_where_the_model_hears_speech_there_are_numbers(
    files: dict[str, Path], voice: np.ndarray, backend: str
) -> None:
    session = load(files, "speaks", backend)
    found, by_energy = session.predict(voice), session.predict(voice, gate="energy")
    assert found.speech is True and numbers(found) == numbers(by_energy)
    assert found.sounds["speech"] == pytest.approx(0.5, abs=0.06)
    assert found.sounds["laughter"] == pytest.approx(0.88, abs=0.06)
    assert list(found.sounds) == ["speech", *SOUNDS]
    assert found.confidence == by_energy.confidence > 0


def test_where_it_hears_none_there_are_sounds_alone(
    files: dict[str, Path], voice: np.ndarray, backend: str
) -> None:
    session = load(files, "laughs", backend)
    for found in (session.predict(voice), session.predict(voice, gate="model")):
        assert found.speech is False and found.confidence == 0 and found.expression is None
        assert numbers(found) == (None, None, None, {})
        assert found.sounds["laughter"] == pytest.approx(0.88, abs=0.06)
    assert session.predict(voice, gate="energy").arousal is not None
    everything = session.predict(voice, gate=None)
    assert everything.speech is None and everything.arousal is not None and everything.sounds


def test_in_silence_the_model_is_not_run(files: dict[str, Path]) -> None:
    found = load(files, "laughs", "onnx").predict(np.zeros(32000, np.float32))
    assert found.speech is False and not found.sounds


@pytest.mark.parametrize("name", ["speaks", "laughs"])
def test_streams_tell_what_predict_tells_of_the_same_window(
    name: str, files: dict[str, Path], voice: np.ndarray, backend: str
) -> None:
    session = load(files, name, backend)
    with session.stream(smoothing=None) as stream:
        found = stream.push(voice)
    assert len(found) > 10
    for emotion in found:
        window = voice[round(emotion.start * 16000) : round(emotion.end * 16000)]
        whole = session.predict(window, gate=None)
        assert dict(emotion.sounds) == dict(whole.sounds)
        assert emotion.speech is (name == "speaks")
        assert (emotion.arousal is None) == (name == "laughs")


def test_sounds_are_not_smoothed_and_survive_abstention(
    files: dict[str, Path], voice: np.ndarray
) -> None:
    session = load(files, "speaks", "c")
    with session.stream(abstain=1.0) as stream:
        found = stream.push(voice)
    assert all(e.arousal is None and e.speech and e.sounds["laughter"] > 0.8 for e in found)


def test_a_model_without_says_what_it_lacks(voice: np.ndarray) -> None:
    session = edgeemo.load("wav2small-stream-open")
    with pytest.raises(BadInput, match=r"gate 'model': wav2small-stream-open does not tell speech"):
        session.predict(voice, gate="model")
    with pytest.raises(BadInput, match="its card has no output 'sounds'"):
        session.stream(gate="model")
    assert session.predict(voice) == session.predict(voice, gate="energy")
    assert not session.predict(voice).sounds


def test_a_model_that_has_it_is_named(voice: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    session = edgeemo.load(SHIPPED)
    with pytest.raises(BadInput) as told:
        session.predict(voice, gate="model")
    name = str(told.value).rpartition(" ")[2]
    assert edgeemo.load(name).predict(voice, gate="model").speech
    monkeypatch.setattr(teachers_package, "folder", lambda: None)
    with pytest.raises(BadInput, match=r"edgeemo-teachers has one \(pip install \./teachers\)$"):
        session.predict(voice, gate="model")


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_commands_refuse_it_once(
    command: str, tmp_path: Path, voice: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, voice, 16000)
    rows = "path,speaker,emotion\na.wav,a,anger\nb.wav,b,anger\n"
    (tmp_path / "labels.csv").write_text(rows)
    assert cli.main([command, str(tmp_path), "--gate", "model"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("gate 'model'")) == ("", 1)


def test_rows_for_other_programs_have_them(files: dict[str, Path], voice: np.ndarray) -> None:
    found = load(files, "laughs", "onnx").predict(voice)
    assert json.loads(json.dumps(found.to_dict()))["sounds"]["laughter"] > 0.8
    (record,) = edgeemo.to_records(found)
    assert record["sound_laughter"] == found.sounds["laughter"] and record["speech"] == 0.0
    (face,) = edgeemo.to_records(Emotion(0.5, 0.5, 0.5))
    assert np.isnan(face["sound_music"])
    fusion = Fusion()
    fusion.voice(found)
    assert fusion.estimate(found.end).sounds == found.sounds
    assert fusion.estimate(found.end + 5).sounds == {}


@pytest.mark.parametrize("how", [[], ["--segments"], ["--windows", "2"]])
def test_the_command_writes_them(
    how: list[str],
    files: dict[str, Path],
    voice: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import soundfile

    soundfile.write(tmp_path / "laugh.wav", voice, 16000)
    model = ["--model", str(files["laughs onnx"]), str(tmp_path / "laugh.wav")]
    table = ["--csv", str(tmp_path / "table.csv")]
    assert cli.main(["predict", "--json", *how, *table, *model]) == 0
    for line in capsys.readouterr().out.splitlines():
        row = json.loads(line)
        assert row["speech"] is False and row["arousal"] is None
        assert row["sounds"]["laughter"] == pytest.approx(0.88, abs=0.06)
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows and all(float(r["sound_laughter"]) > 0.8 and not r["arousal"] for r in rows)


def test_people_are_shown_what_is_heard_most() -> None:
    quiet = dict.fromkeys(("speech", *SOUNDS), 0.1)
    assert heard(quiet | {"laughter": 0.4}) == "laughs"
    assert heard(quiet | {"other": 0.9}) == ""
    assert heard(quiet) == heard({}) == ""
    row = {"path": "a.wav", "arousal": None, "dominance": None, "valence": None, "classes": {}}
    row |= {"confidence": 0.0, "speech": False, "start": 0.0, "end": 1.0}
    assert "no speech" in Table().line(row | {"sounds": quiet})
    line = Table().line(row | {"sounds": quiet | {"laughter": 0.4}})
    assert "laughs" in line and "no speech" not in line


@pytest.mark.parametrize("name", ["speaks", "laughs"])
def test_the_chain_in_c_says_what_that_of_python_says(
    name: str, files: dict[str, Path], voice: np.ndarray
) -> None:
    session = load(files, name, "c")
    plan = Plan(48000, 4000, "energy", SMOOTHING, 0.3, None, own=True)
    in_c, in_python = open_chain(session, plan), PythonChain(session, plan)
    assert isinstance(in_c, EngineChain)
    sound = np.concatenate([voice, np.zeros(32000, np.float32), voice])
    for start in range(0, len(sound), 4000):
        for chain in (in_c, in_python):
            chain.push(sound[start : start + 4000], lost=False)
        if start >= 12000:
            assert in_c.estimate(last=False) == in_python.estimate(last=False)


def test_c_refuses_to_ask_a_model_that_does_not_tell() -> None:
    session = edgeemo.load("wav2small-stream-open", "c")
    assert isinstance(session.backend, CBackend)
    plan = Plan(48000, 4000, "energy", None, 0.0, None, own=True)
    with pytest.raises(ValueError, match="a setting of the stream is out of range"):
        EngineChain(session, plan, session.backend.blob)
