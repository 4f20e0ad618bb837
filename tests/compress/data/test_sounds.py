"""What is heard in labelled sounds and in speech to which something was added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgeemo.compress.data import Clip, shipped_speech
from edgeemo.compress.data.clips import Span
from edgeemo.compress.data.sounds import BLOCK, LABELS, behind, examples, sound_of, spoken


def clip(path: Path, samples: np.ndarray, tags: Mapping[str, str]) -> Clip:
    soundfile.write(path, samples, 16000)
    return Clip(path.name, "made", f"made/{path.stem}", Span(path), tags=tags)


@pytest.mark.parametrize(
    ("tags", "sound"),
    [
        ({}, ""),
        ({"sound": "laughing"}, "laughter"),
        ({"sound": "throat-clearing"}, "coughing"),
        ({"sound": "tongue-clicking"}, "other"),
        ({"burst": "amusement"}, "laughter"),
        ({"burst": "pride"}, "other"),
        ({"sound": "music"}, "music"),
    ],
)
def test_a_word_of_the_labels_is_one_of_the_sounds(tags: Mapping[str, str], sound: str) -> None:
    assert sound_of(replace(shipped_speech().clips[0], tags=tags)) == sound


def test_speech_is_what_is_loud_and_a_pause_what_is_far_softer() -> None:
    rng = np.random.default_rng(1)
    levels = np.repeat([1.0, 10 ** (-38 / 20), 1e-4], 50)
    sound = np.repeat(levels, BLOCK) * rng.normal(0, 0.1, 150 * BLOCK)
    speech, pause = spoken(sound.astype(np.float32))
    assert speech[:50].all() and not speech[60:].any()
    assert pause[110:].all() and not pause[:100].any()  # 38 dB below: neither


def test_noise_lies_below_the_voice_by_what_was_asked_for() -> None:
    rng = np.random.default_rng(2)
    voice = np.concatenate([np.zeros(16000), rng.normal(0, 0.2, 16000)]).astype(np.float32)
    noise = rng.normal(0, 3.0, 5000).astype(np.float32)
    added = behind(voice, noise, 10.0) - voice
    assert 20 * np.log10(0.2 / added.std()) == pytest.approx(10, abs=0.3)


def test_examples_tell_of_each_block_what_is_heard_there(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    loud = rng.normal(0, 0.1, 16000)
    tune = clip(tmp_path / "tune.wav", np.sin(np.arange(32000) / 9), {"sound": "music"})
    laugh = clip(
        tmp_path / "laugh.wav", np.concatenate([np.zeros(16000), loud]), {"sound": "laughing"}
    )
    proud = clip(tmp_path / "proud.wav", loud, {"burst": "pride"})
    voice = shipped_speech().clips[0]
    made = list(examples([voice, laugh, proud, tune], np.random.default_rng(4)))
    by_kind: dict[str, list[np.ndarray]] = {}
    for each in made:
        assert each.samples.dtype == np.float32 and np.abs(each.samples).max() <= 1
        assert abs(len(each.told) - len(each.samples) // BLOCK) <= 1
        by_kind.setdefault(each.kind, []).append(each.told)
    laughter, music = LABELS.index("laughter"), LABELS.index("music")
    for told in by_kind["laughter"]:
        assert not told[:90, laughter].any() and told[110:, laughter].all()
        assert not told[:, 0].any()
    # What somebody did who was asked to sound proud may have been a laugh.
    (told,) = by_kind["burst"]
    assert np.isnan(told[:, laughter]).all() and told[:, LABELS.index("other")].all()
    speech = by_kind["speech"]
    assert len(speech) == 4
    known = ~np.isnan(speech[0][:, 0])
    assert 0 < speech[0][known, 0].mean() < 1
    # Before music the pauses hold music, and of the words nobody can say.
    before = speech[3]
    assert (before[before[:, 0] == 0, music] == 1).all()
    assert np.isnan(before[before[:, 0] == 1, music]).all()
