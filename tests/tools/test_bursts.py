"""Bursts of the voice teach the classes of a finished student, and nothing else changes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from edgeemo.compress.data import Clip, open_dataset, shipped_speech
from edgeemo.compress.data.sounds import burst_class
from edgeemo.compress.students import Student, load_student, make_student, save_student
from edgeemo.compress.train.pretrained import load_pretrained
from edgeemo.features import log_mel
from edgeemo.types import CLASSES

TOOLS = Path(__file__).resolve().parents[2] / "tools"
HISSES = {"anger": "anger", "elation": "happiness", "pride": ""}


@pytest.fixture(scope="module")
def bursts() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOLS))
        yield importlib.import_module("_bursts")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Speech, and beside it tones and hiss that are called bursts."""
    folder = tmp_path_factory.mktemp("bursts") / "made"
    folder.mkdir()
    rng, time, rows = np.random.default_rng(1), np.arange(16000) / 16000, ["path,speaker,burst"]
    for i in range(6):
        made = {
            "anger": rng.normal(0, 0.1, 16000),
            "elation": np.sin(2 * np.pi * (500 + 20 * i) * time) / 4,
            "pride": np.sin(2 * np.pi * 100 * time) / 4,
        }
        for word, sound in made.items():
            soundfile.write(folder / f"{word}{i}.wav", sound, 16000)
            rows.append(f"{word}{i}.wav,p{i},{word}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return [*shipped_speech().clips[::6], *open_dataset(folder).clips]


@pytest.fixture(scope="module")
def student() -> Student:
    made = make_student("wav2small-stream", pooled=96, hidden=48)
    load_pretrained(made, "wav2small-stream")
    return made.eval()


@pytest.fixture(scope="module")
def voices(bursts: ModuleType, student: Student, clips: list[Clip]) -> Any:
    return bursts.voices_of(student, clips, 1)


@pytest.fixture(scope="module")
def taught(bursts: ModuleType, student: Student, voices: Any) -> Any:
    return bursts.with_bursts(student, voices, 1)


def said(student: Student, clip: Clip) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        found = student(torch.from_numpy(log_mel(clip.samples()))[None])
    return found.dimensions[0], found.logits[0].softmax(0)


def test_classes_of_bursts_are_learned(
    student: Student, taught: Student, clips: list[Clip]
) -> None:
    asked = [clip for clip in clips if burst_class(clip)]
    assert {c.tags["burst"]: burst_class(c) for c in clips if "burst" in c.tags} == HISSES
    right = [
        [CLASSES[int(said(each, clip)[1].argmax())] == burst_class(clip) for clip in asked]
        for each in (student, taught)
    ]
    assert np.mean(right[0]) < 0.7 and np.mean(right[1]) == 1


def test_dimensions_keep_their_weights_and_classes_of_speech_their_word(
    student: Student, taught: Student, clips: list[Clip]
) -> None:
    before, after = student.state_dict(), taught.state_dict()
    for name, value in before.items():
        kept = after[name][tuple(slice(n) for n in value.shape)]
        assert torch.equal(kept, value), name
    speech = [clip for clip in clips if "burst" not in clip.tags]
    pairs = [(said(student, clip), said(taught, clip)) for clip in speech]
    assert max(float((a[0] - b[0]).abs().max()) for a, b in pairs) < 1e-6
    assert np.mean([float((a[1] - b[1]).abs().sum()) for a, b in pairs]) < 0.1


def test_taught_again_it_is_the_same_and_it_can_be_kept(
    bursts: ModuleType, student: Student, taught: Student, voices: Any, tmp_path: Path
) -> None:
    again = bursts.with_bursts(taught, voices, 1).state_dict()
    assert all(torch.equal(again[name], value) for name, value in taught.state_dict().items())
    assert taught.options["hidden"] == student.options["hidden"] + bursts.UNITS
    save_student(taught, tmp_path / "student.pt")
    kept = load_student(tmp_path / "student.pt").state_dict()
    assert all(torch.equal(kept[name], value) for name, value in taught.state_dict().items())


def test_without_bursts_nothing_is_added(
    bursts: ModuleType, student: Student, clips: list[Clip]
) -> None:
    speech = bursts.voices_of(student, [c for c in clips if "burst" not in c.tags], 1)
    made = bursts.with_bursts(student, speech, 1)
    assert made is not student and made.classes.weight.shape == student.classes.weight.shape


def test_no_voice_counts_more_for_many_clips(
    bursts: ModuleType, student: Student, clips: list[Clip]
) -> None:
    talker = [replace(clips[0], id=f"talker/{i}", group="talker") for i in range(50)]
    chosen = bursts.voices_of(student, [*clips, *talker], 1).clips
    assert sum(clip.group == "talker" for clip in chosen) == bursts.MOST_OF_PERSON
