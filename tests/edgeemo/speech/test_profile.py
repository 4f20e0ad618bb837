"""A person's level and head: refused before enough was heard, exact in streams, one strict file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeemo
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.errors import BadInput
from edgeemo.evaluation.metrics import ccc
from edgeemo.speech.profile import SpeakerProfile, from_calm, from_labels, load_profile

Clip = NDArray[np.float32]
FLACS = need("speech/emodb_full")


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """Some two minutes of acted speech."""
    return [read_audio(p) for p in sorted(FLACS.glob("*.flac"))]


def test_a_level_undoes_what_the_device_does(clips: list[Clip]) -> None:
    plain = from_calm(clips)
    quiet = from_calm([x * np.float32(0.1) for x in clips])
    assert plain.seconds > 30 and plain.clips == len(clips)
    assert quiet.gain_db - plain.gain_db == pytest.approx(20, abs=0.5)
    loud = [plain.level(x) for x in clips]
    assert from_calm(loud).gain_db == pytest.approx(0, abs=0.5)
    one = edgeemo.load("wav2small-stream").predict(quiet.level(clips[0] * np.float32(0.1)))
    two = edgeemo.load("wav2small-stream").predict(clips[0], profile=plain)
    assert one.arousal == pytest.approx(two.arousal, abs=0.02)


def test_speech_that_the_gate_takes_for_silence_has_a_level(clips: list[Clip]) -> None:
    plain, soft = from_calm(clips), [x * np.float32(10 ** (-46 / 20)) for x in clips]
    session = edgeemo.load("wav2small-stream")
    assert session.predict(soft[0]).speech is False
    made = from_calm(soft)
    assert made.gain_db - plain.gain_db == pytest.approx(46, abs=0.5)
    assert made.seconds == pytest.approx(plain.seconds, rel=0.05)
    assert session.predict(soft[0], profile=made).speech


def test_less_than_half_a_minute_of_speech_is_refused(clips: list[Clip]) -> None:
    with pytest.raises(BadInput, match=r"s of speech; a profile needs at least 30 s"):
        from_calm(clips[:4])
    with pytest.raises(BadInput, match=r"0\.0 s of speech"):
        from_calm([np.zeros(16000 * 60, np.float32)])
    with pytest.raises(BadInput, match="expected at most 40"):
        from_calm([x * np.float32(100) for x in clips])


@pytest.mark.parametrize("kind", ["calm", "labelled"])
def test_streams_use_it_as_predict_does(artifact: Path, clips: list[Clip], kind: str) -> None:
    session = edgeemo.load(artifact)
    labels = np.random.default_rng(0).random((len(clips), 3))
    made = from_calm(clips) if kind == "calm" else from_labels(session, clips, labels)
    sound = np.concatenate(clips[:4])
    raw = session.stream(smoothing=None, gate=None).push(sound)
    found = session.stream(smoothing=None, gate=None, profile=made).push(sound)
    assert [e.arousal for e in found] != [e.arousal for e in raw]
    for e in found:
        piece = sound[round(e.start * 16000) : round(e.end * 16000)]
        want = session.predict(piece, gate=None, profile=made)
        assert (e.arousal, e.valence, e.confidence) == (want.arousal, want.valence, want.confidence)


def test_a_head_learns_a_shift_and_a_slope(artifact: Path, clips: list[Clip]) -> None:
    """Labels that are a fixed function of the outputs: the head must find it on other clips."""
    session = edgeemo.load(artifact)
    said = [session.predict(x, gate=None) for x in clips]
    adv = np.array([[e.arousal, e.dominance, e.valence] for e in said])
    labels = np.clip((adv - adv.mean(0)) * 3 + 0.5, 0, 1)
    half = len(clips) // 2
    made = from_labels(session, clips[:half], labels[:half])
    mine = [session.predict(x, gate=None, profile=made) for x in clips[half:]]
    better = np.array([[e.arousal, e.dominance, e.valence] for e in mine])
    for d in range(3):
        assert ccc(better[:, d], labels[half:, d]) > ccc(adv[half:, d], labels[half:, d]) + 0.05


def test_a_head_is_refused_from_too_little(artifact: Path, clips: list[Clip]) -> None:
    session = edgeemo.load(artifact)
    with pytest.raises(BadInput, match=r"19 clips and 19 labels; expected .* at least 20"):
        from_labels(session, clips[:19], np.random.rand(19, 3))
    with pytest.raises(BadInput, match=r"lie in 0\.\.1"):
        from_labels(session, clips, np.full((len(clips), 3), 3.0))
    with pytest.raises(BadInput, match="all labels are equal"):
        from_labels(session, clips, np.full((len(clips), 3), 0.5))


def test_a_head_belongs_to_its_model(
    artifacts: dict[str, Path], clips: list[Clip], tmp_path: Path
) -> None:
    made = from_labels(
        edgeemo.load(artifacts["features"]), clips, np.random.default_rng(1).random((len(clips), 3))
    )
    made.save(tmp_path / "mine.json")
    assert load_profile(tmp_path / "mine.json") == made
    with pytest.raises(BadInput, match="another file"):
        edgeemo.load("wav2small-stream").predict(clips[0], profile=made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gain_db": 500}, "gain_db is 500"),
        ({"kind": "x"}, r"\$\.kind"),
        ({"offset": [1, 2, 3]}, "expected 0 offsets"),
        ({"more": 1}, "unknown key"),
        ({"gain_db": None}, r"\$\.gain_db"),
        ({"gain_db": 10**400}, "more than 64 bits"),
        ({"seconds": 1e300}, "a number beyond 1e"),
        ({"model": "a\x1b[2J"}, r"\$\.model: expected one line"),
    ],
)
def test_a_strange_file_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "b.json"
    SpeakerProfile(1, "calm", 3.0, "", "", (), (), 40.0, 4).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput, match=message) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no such file.*edgeemo calibrate"):
        load_profile(tmp_path / "absent.json")
    (tmp_path / "b.json").write_bytes(b"[" * 100_000)
    with pytest.raises(BadInput, match="not a profile"):
        load_profile(tmp_path / "b.json")
