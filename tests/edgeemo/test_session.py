from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeemo
from edgeemo.errors import BadArtifact, BadInput
from edgeemo.features import log_mel
from edgeemo.types import CLASSES

Clip = NDArray[np.float32]


def values(found: edgeemo.Emotion) -> list[float]:
    assert found.arousal is not None and found.dominance is not None and found.valence is not None
    return [found.arousal, found.dominance, found.valence, *found.classes.values()]


def test_predict_gives_what_the_graph_gives(artifact: Path, speech: Clip) -> None:
    import onnxruntime

    session = edgeemo.load(artifact)
    found = session.predict(speech)
    peer = onnxruntime.InferenceSession(artifact, providers=["CPUExecutionProvider"])
    adv, probs = peer.run(None, {"features": log_mel(speech, session.card.spec)[None]})
    assert values(found) == pytest.approx([*adv[0], *probs[0]], abs=1e-6)
    assert list(found.classes) == list(CLASSES)
    assert sum(found.classes.values()) == pytest.approx(1, abs=1e-5)
    assert found.confidence == max(found.classes.values())
    assert (found.start, found.end) == (0, len(speech) / 16000)
    assert all(0 <= v <= 1 for v in values(found))
    assert found == session.predict(speech)


def test_samples_and_features_in_give_the_same(artifacts: dict[str, Path], speech: Clip) -> None:
    by_features = edgeemo.load(artifacts["features"]).predict(speech)
    by_samples = edgeemo.load(artifacts["samples"]).predict(speech)
    assert values(by_samples) == pytest.approx(values(by_features), abs=1e-4)


@pytest.mark.parametrize("kind", ["features", "samples"])
def test_dtypes_agree(artifacts: dict[str, Path], speech: Clip, kind: str) -> None:
    session = edgeemo.load(artifacts[kind])
    integers = np.round(speech * 32767).astype(np.int16)
    wanted = values(session.predict(integers))
    floats = integers.astype(np.float32) / 32768
    assert values(session.predict(floats)) == wanted
    assert values(session.predict(floats.astype(np.float64))) == wanted
    assert values(session.predict(floats.astype(">f4"))) == wanted
    strided = np.repeat(floats, 2)[::2]
    assert values(session.predict(strided)) == wanted


def test_another_rate_is_resampled(artifact: Path, speech: Clip) -> None:
    import soxr

    session = edgeemo.load(artifact)
    wanted = values(session.predict(speech))
    fast = soxr.resample(speech, 16000, 48000)
    got = session.predict(fast, 48000)
    assert values(got) == pytest.approx(wanted, abs=0.01)
    assert got.end == pytest.approx(len(speech) / 16000, abs=1e-3)
    # Without resampling the estimate is another one: the limit above notices.
    assert values(session.predict(fast)) != pytest.approx(wanted, abs=0.01)


def test_long_sound_is_averaged_over_pieces(
    artifact: Path, speech: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = edgeemo.load(artifact)
    monkeypatch.setattr("edgeemo.session.PIECE_SECONDS", 1.0)
    clip = np.resize(speech, 32000)
    halves = [values(session.predict(clip[:16000])), values(session.predict(clip[16000:]))]
    assert values(session.predict(clip)) == pytest.approx(np.mean(halves, axis=0), abs=1e-6)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((2, 16000), np.float32), 16000, r"shape \(2, 16000\); expected \[n\]"),
        (np.float32(0), 16000, "shape"),
        (np.zeros(16000, np.int32), 16000, "samples are int32"),
        (np.zeros(16000, complex), 16000, "samples are complex128"),
        (["a"], 16000, "samples are"),
        (np.full(16000, 9000.0), 16000, "divide 16-bit values by 32768"),
        (np.zeros(7999, np.float32), 16000, r"0\.4999 s; tiny needs at least 0\.5 s"),
        (np.zeros(0, np.float32), 16000, "has 0 s"),
        (np.zeros(16000, np.float32), 0, "rate is 0"),
        (np.zeros(16000, np.float32), 44100.5, "rate is 44100.5"),
        (np.zeros(16000, np.float32), True, "rate is True"),
        (np.zeros(16000, np.float32), "16000", "rate is '16000'"),
    ],
)
def test_bad_input_is_named(artifact: Path, samples: object, rate: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        edgeemo.load(artifact).predict(samples, rate)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_samples_that_are_not_finite_are_named(artifact: Path, speech: Clip, value: float) -> None:
    clip = speech.copy()
    clip[1234] = value
    with pytest.raises(BadInput, match=rf"samples\[1234\] is {value}"):
        edgeemo.load(artifact).predict(clip)


def test_silence_and_clipping_give_numbers(artifact: Path) -> None:
    session = edgeemo.load(artifact)
    for clip in (np.zeros(16000, np.float32), np.tile(np.float32([1, -1]), 8000)):
        assert all(map(math.isfinite, values(session.predict(clip, gate=None))))


def nobody(seconds: float = 4.0) -> dict[str, NDArray[np.float32]]:
    """Sound in which nobody speaks."""
    rng, time = np.random.default_rng(0), np.arange(round(seconds * 16000)) / 16000
    return {
        "silence": 0 * time,
        "room": rng.normal(0, 0.003, len(time)),
        "noise": rng.normal(0, 0.1, len(time)),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
        "dither": rng.integers(-1, 2, len(time)) / 32768,
    }


@pytest.mark.parametrize("name", nobody())
def test_where_nobody_speaks_there_are_no_numbers(artifact: Path, name: str) -> None:
    session, clip = edgeemo.load(artifact), nobody()[name].astype(np.float32)
    assert session.predict(clip) == edgeemo.Emotion(None, None, None, speech=False, end=4.0)
    assert session.predict(clip, gate=None).speech is None
    assert all(map(math.isfinite, values(session.predict(clip, gate=None))))


def test_speech_alone_is_averaged(artifact: Path, speech: Clip) -> None:
    """The same bits with the gate as without, and after any pause the same bits again."""
    session, quiet = edgeemo.load(artifact), np.zeros(64000, np.float32)
    plain = session.predict(speech, gate=None)
    assert session.predict(speech) == replace(plain, speech=True)
    with_pauses = [
        session.predict(np.concatenate([speech, np.resize(quiet, n), speech, quiet]))
        for n in (4 * 16000, 8 * 16000, 30 * 16000)
    ]
    assert len({e.arousal for e in with_pauses}) == 1
    assert values(with_pauses[0]) == pytest.approx(values(plain), abs=0.05)
    pulled = session.predict(np.concatenate([speech, np.resize(quiet, 30 * 16000)]), gate=None)
    assert values(pulled) != pytest.approx(values(plain), abs=0.05)


def test_a_gate_of_ones_own(artifact: Path, speech: Clip) -> None:
    class Never:
        block = 160

        def push(self, samples: Clip) -> NDArray[np.bool_]:
            return np.zeros(len(samples) // 160, np.bool_)

        def reset(self) -> None:
            """Nothing is kept."""

    session = edgeemo.load(artifact)
    assert session.predict(speech, gate=Never()).speech is False
    with pytest.raises(BadInput, match="no gate 'loud'"):
        session.predict(speech, gate="loud")


@pytest.mark.parametrize("values", [[[1], [1, 2]], None, "speech", {1.0}])
def test_what_is_no_array(artifact: Path, values: Any) -> None:
    session = edgeemo.load(artifact)
    for call in (session.predict, session.stream().push):
        with pytest.raises(BadInput, match=r"samples (are no array|have shape)"):
            call(values)


def test_an_empty_clip_and_a_model_that_takes_any(artifact: Path) -> None:
    session = edgeemo.load(artifact)
    window = replace(session.card.window, min_seconds=0.0)
    session.card = replace(session.card, window=window)
    with pytest.raises(BadInput, match="the clip has 0 s"):
        session.predict(np.zeros(0, np.float32))


@pytest.mark.parametrize("name", [None, 3, b"wav2small-stream"])
def test_what_is_no_model(name: Any) -> None:
    with pytest.raises(BadInput, match="expected a name or the path of a file"):
        edgeemo.load(name)


def test_floats_in_units_of_16_bits_are_refused_or_told(
    artifact: Path, speech: Clip, caplog: pytest.LogCaptureFixture
) -> None:
    """A mean over channels of int16 is float64 in units of 1/32768."""
    session = edgeemo.load(artifact)
    stereo = np.round(np.stack([speech, speech], axis=1) * 32767).astype(np.int16)
    with pytest.raises(BadInput, match=r"mono: samples\.mean\(axis=1\) / 32768$"):
        session.predict(stereo)
    with pytest.raises(BadInput, match=r"mono: samples\.mean\(axis=0\)$"):
        session.predict(stereo.T.astype(np.float32) / 32768)
    # The remedy of the message gives what the mono clip gives.
    assert session.predict(stereo.mean(axis=1) / 32768) == session.predict(stereo[:, 0])
    quiet = np.round(stereo / stereo.max() * 12).astype(np.int16)
    with pytest.raises(BadInput, match=r"reach 12; .*divide 16-bit values by 32768"):
        session.predict(quiet.mean(axis=1))
    assert not caplog.records
    session.predict(np.clip(speech / speech.max() * 1.05, -1.05, 1.05))
    assert not caplog.records  # codecs go a little beyond
    session.predict(speech / speech.max() * 2)
    (record,) = caplog.records
    assert "samples reach" in record.message and "beyond full scale" in record.message


def test_repr_tells_what_goes_in_and_out(artifact: Path) -> None:
    text = repr(edgeemo.load(artifact))
    for word in (
        "tiny",
        "speech",
        "onnx",
        "[1, frames, 40]",
        "16000 Hz",
        "0.5 s",
        "arousal",
        "neutral",
        "CC0-1.0",
    ):
        assert word in text


def test_unknown_names_and_backends(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no model 'wav3small'"):
        edgeemo.load("wav3small")
    with pytest.raises(BadArtifact, match="no such file"):
        edgeemo.load(tmp_path / "absent.onnx")
    with pytest.raises(BadArtifact, match="no such file"):
        edgeemo.load("absent.onnx")
    with pytest.raises(BadInput, match="no backend 'cuda'; there is: c, onnx, tflite"):
        edgeemo.load(artifact, "cuda")
    text = tmp_path / "model.pt"
    text.write_text("x")
    with pytest.raises(BadArtifact, match=r"ends in .*\.onnx"):
        edgeemo.load(text)


@pytest.mark.parametrize("backend", [None, "c", "tflite"])
def test_a_shipped_file_is_read_and_verified_once(
    monkeypatch: pytest.MonkeyPatch, backend: str | None
) -> None:
    if backend == "tflite":
        pytest.importorskip("ai_edge_litert")
    opened: list[str] = []
    read = Path.open

    def counted(self: Path, *args: Any, **options: Any) -> Any:
        opened.append(self.name)
        return read(self, *args, **options)

    monkeypatch.setattr(Path, "open", counted)
    edgeemo.load("wav2small-stream", backend)
    assert opened.count("wav2small-stream.tflite") == 1


def test_predict_batch_is_predict_for_each(artifact: Path, speech: Clip) -> None:
    session = edgeemo.load(artifact)
    clips = [speech, speech[: len(speech) // 2], -speech]
    assert session.predict_batch(iter(clips)) == [session.predict(clip) for clip in clips]
    assert session.predict_batch([]) == []
    with pytest.raises(BadInput, match=r"^values\[1\]: "):
        session.predict_batch([speech, np.full(16000, np.nan, np.float32)])


def test_an_estimate_as_plain_values(artifact: Path, speech: Clip) -> None:
    found = edgeemo.load(artifact).predict(speech)
    back = json.loads(json.dumps(found.to_dict()))
    assert edgeemo.Emotion(**back) == found
    face = replace(found, box=(1, 2, 30, 40)).to_dict()
    assert json.loads(json.dumps(face))["box"] == [1, 2, 30, 40]


def test_embed_averages_what_predict_averages(
    speech: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = edgeemo.load("wav2small-stream", "onnx")
    clip = np.resize(speech, 32000)
    halves = [session.embed(half, gate=None) for half in (clip[:16000], clip[16000:])]
    assert halves[0].shape == (session.card.embedding,) and session.card.embedding == 96
    monkeypatch.setattr("edgeemo.session.PIECE_SECONDS", 1.0)
    assert session.embed(clip, gate=None) == pytest.approx(np.mean(halves, axis=0), abs=1e-6)
    with pytest.raises(BadInput, match="nobody speaks"):
        session.embed(np.zeros(16000, np.float32))


def test_a_file_without_an_embedding_says_so(speech: Clip) -> None:
    with pytest.raises(BadInput, match=r"gives no embedding.*\"onnx\""):
        edgeemo.load("wav2small-stream", "c").embed(speech)
