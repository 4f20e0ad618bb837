"""The conditions of benchmarks/robustness.py are what their names tell."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeemo import read_audio
from edgeemo.artifacts.teachers_package import need
from edgeemo.compress.data import open_dataset
from edgeemo.compress.data.augment import colored_noise
from edgeemo.compress.data.clips import Clip, Span
from edgeemo.compress.teachers import load_teacher
from edgeemo.errors import BadInput

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.append(str(ROOT / "benchmarks"))  # where benchmarks find what they share

from benchmarks import _conditions as world
from benchmarks import robustness


@pytest.fixture(scope="module")
def voices() -> list[list[world.Sound]]:
    files = sorted(need("speech/librispeech").glob("*.ogg"))
    return [[read_audio(file)] for file in files[:12]]


@pytest.fixture
def voice(voices: list[list[world.Sound]]) -> world.Sound:
    return voices[0][0][:48_000]


def rms(x: world.Sound) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def test_every_condition_gives_a_sound_of_the_same_length_again_and_again(
    voice: world.Sound, voices: list[list[world.Sound]]
) -> None:
    for condition in world.conditions(voices):
        if condition.name.startswith("Opus") and shutil.which("ffmpeg") is None:
            continue
        first, second = (condition.change(voice, np.random.default_rng(3)) for _ in range(2))
        assert first.shape == voice.shape and first.dtype == np.float32, condition.name
        assert np.abs(first).max() <= 1 and np.array_equal(first, second), condition.name
        assert (condition.name == "clean") == np.array_equal(first, voice)


def test_noise_stands_at_its_ratio_to_speech_and_not_to_pauses(voice: world.Sound) -> None:
    noise = colored_noise(2 * len(voice), 1.0, np.random.default_rng(0))
    half = np.concatenate([0.1 * voice, np.zeros_like(voice)])
    added = world.add_noise(half, noise, 10.0) - half
    assert 20 * np.log10(world.speech_level(half) / rms(added)) == pytest.approx(10, abs=0.1)


def test_a_room_is_drier_near_the_mouth(voice: world.Sound) -> None:
    near, far = (world.room(voice, 0.6, m, np.random.default_rng(1)) for m in (0.1, 3.0))
    alike = [np.corrcoef(voice, wet)[0, 1] for wet in (near, far)]
    assert alike[0] > 0.95 > 0.7 > alike[1]
    assert world.speech_level(far) == pytest.approx(world.speech_level(voice), rel=0.05)


def test_a_telephone_takes_the_band_and_the_bits(voice: world.Sound) -> None:
    power = np.abs(np.fft.rfft(world.telephone(voice))) ** 2
    hertz = np.fft.rfftfreq(len(voice), 1 / 16_000)
    assert power[hertz > 4100].sum() < 1e-3 * power.sum()
    assert power[hertz < 80].sum() < 0.02 * power.sum()


def test_babble_is_as_loud_as_its_talkers_and_of_other_people_each_time(
    voices: list[list[world.Sound]],
) -> None:
    one, two = (world.babble(voices, 48_000, np.random.default_rng(i)) for i in (1, 2))
    assert rms(one) == pytest.approx(rms(two), rel=0.3)
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.2


def test_clipping_keeps_the_softer_samples(voice: world.Sound) -> None:
    limit = np.abs(voice).max() / 10
    cut = world.clipped(voice, 20.0)
    soft = np.abs(voice) <= limit
    assert np.array_equal(cut[soft], voice[soft]) and np.abs(cut).max() == np.float32(limit)


def test_a_teacher_judges_each_clip_by_the_file_of_its_fold(
    voices: list[list[world.Sound]], tmp_path: Path
) -> None:
    for number in range(14):
        name = "teacher-open" if number % 7 == 3 else "teacher"
        shutil.copy(need(f"zoo/{name}.onnx"), tmp_path / f"fold-{number // 7}-{number % 7}.onnx")
    models = {True: load_teacher("teacher-open"), False: load_teacher("builtin")}
    sounds = [voice[0][:32_000] for voice in voices]
    clips = []
    for i, sound in enumerate(sounds):
        said = models[i % 7 == 3].label([sound]).dimensions
        assert said is not None
        clips.append(robustness.Judged(sound, np.clip(said[0], 0, 1), folds=(i % 7, 0)))
    judged = robustness.teacher_of_folds(tmp_path)(clips, sounds)
    assert judged["ccc"][0] < 1 and judged["sd"][0] == pytest.approx(1 - judged["ccc"][0])
    first = [replace(clip, folds=clip.folds[:1]) for clip in clips]
    assert robustness.teacher_of_folds(tmp_path)(first, sounds) == {"ccc": [1.0, 1.0, 1.0]}


def test_a_teacher_that_was_taught_by_the_clips_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    known = next(c for c in open_dataset(need("speech/librispeech")).clips)
    stranger = Clip("x", "nobody", "nobody/x", Span(ROOT / "LICENSE"))
    monkeypatch.setattr(robustness, "_rated", lambda data: [known])
    with pytest.raises(BadInput, match=r"--teacher builtin: .*taught it"):
        robustness.teacher("builtin", ROOT)
    monkeypatch.setattr(robustness, "_rated", lambda data: [stranger])
    assert callable(robustness.teacher("builtin", ROOT))


def test_support_vectors_judge_each_clip_by_other_folds_alone(
    voices: list[list[world.Sound]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def level(sounds: Iterable[tuple[world.Sound, int]]) -> np.ndarray[Any, Any]:
        return np.array([[np.log(rms(x)), np.log(np.abs(x).max())] for x, _ in sounds])

    monkeypatch.setattr(robustness, "functionals", level)  # openSMILE is in no environment of ours
    sounds = [np.float32(gain) * voice[0] for voice in voices for gain in (0.01, 0.1, 1.0)]
    labels = np.repeat(np.clip(level((x, 0) for x in sounds)[:, :1] / 8 + 1, 0, 1), 3, axis=1)
    folds = [(i // 3 % 3, i // 3 % 2) for i in range(len(sounds))]  # a fold has voices of its own
    clips = [
        robustness.Judged(x, label, folds=of)
        for x, label, of in zip(sounds, labels, folds, strict=True)
    ]
    row = robustness.support_vectors(clips)(clips, sounds)
    assert min(row["ccc"]) > 0.9 and len(row["sd"]) == 3
    # Whoever taught the machines of a fold would be known to them: none is.
    lies = [replace(c, label=1 - c.label) if c.folds[0] == 1 else c for c in clips]
    one = [replace(c, folds=c.folds[:1]) for c in lies]
    judge = robustness.support_vectors(one)
    mine = [i for i, c in enumerate(one) if c.folds[0] == 1]
    assert judge([one[i] for i in mine], [sounds[i] for i in mine])["ccc"][0] < 0


def test_a_model_stands_beside_those_that_were_measured_before() -> None:
    last = [{"condition": "clean", "a": 1, "b": 2}, {"condition": "gone", "a": 3}]
    rows = robustness.beside(last, [{"condition": "clean", "b": 4}, {"condition": "new", "b": 5}])
    assert rows == [{"condition": "clean", "a": 1, "b": 4}, {"condition": "new", "b": 5}]
