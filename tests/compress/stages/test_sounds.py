"""Speech and sounds on a frozen student: what is learned, what stays, and what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from edgeemo.compress.data import Clip, open_dataset, shipped_speech
from edgeemo.compress.labels.dataset import LabelledDataset
from edgeemo.compress.pipeline import run_stages
from edgeemo.compress.recipes import SCHEMA, DistillConfig, Recipe, SoundsConfig, StudentConfig
from edgeemo.compress.stages.base import Splits, Training
from edgeemo.compress.stages.sounds import MOST_OF_PERSON, some, tokens_of, with_sounds
from edgeemo.compress.students import Student, load_student, make_student, save_student
from edgeemo.errors import BadData, BadRecipe
from edgeemo.features import log_mel
from edgeemo.types import SOUNDS

SMALL = SoundsConfig(steps=300, batch=256)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Speech, and beside it chords and trains of hiss that are called music and laughing."""
    folder = tmp_path_factory.mktemp("sounds") / "made"
    folder.mkdir()
    rng, rows = np.random.default_rng(1), ["path,speaker,sound"]
    time = np.arange(2 * 16000) / 16000
    for i in range(8):
        notes = rng.uniform(200, 800, 3)
        chord = sum(np.sin(2 * np.pi * note * time) for note in notes) / 12
        bursts = rng.normal(0, 0.1, len(time)) * (np.sin(2 * np.pi * 5 * time) > 0)
        for name, sound in (("music", chord), ("laughing", bursts)):
            soundfile.write(folder / f"{name}{i}.wav", sound, 16000)
            rows.append(f"{name}{i}.wav,{i},{name}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return [*shipped_speech().clips[::12], *open_dataset(folder).clips]


@pytest.fixture(scope="module")
def student(clips: list[Clip]) -> Student:
    torch.manual_seed(3)
    made = make_student("wav2small-stream")
    frames = torch.from_numpy(np.concatenate([log_mel(c.samples()) for c in clips[:20]]))
    made.normalize_from(frames.mean(0), frames.std(0))
    with torch.no_grad():
        made.train()(frames[: len(frames) // 4 * 4][None])  # norms see sound
    return made.eval()


@pytest.fixture(scope="module")
def taught(student: Student, clips: list[Clip]) -> Student:
    return with_sounds(student, tokens_of(student, some(clips, 1), 1), SMALL, 1)


def told(student: Student, clip: Clip) -> dict[str, float]:
    with torch.inference_mode():
        found = student(torch.from_numpy(log_mel(clip.samples()))[None]).sounds
    assert found is not None
    return dict(zip(("speech", *SOUNDS), found[0].tolist(), strict=True))


def test_the_student_tells_what_it_was_taught(taught: Student, clips: list[Clip]) -> None:
    for clip in clips[-16:]:
        shares = told(taught, clip)
        sound = "music" if clip.tags["sound"] == "music" else "laughter"
        assert max(shares, key=shares.__getitem__) == sound, clip.id
    spoken, silent = (
        [told(taught, clip)["speech"] for clip in part] for part in (clips[:10], clips[-16:])
    )
    assert max(silent) < min(spoken)


def test_all_else_keeps_its_bits(student: Student, taught: Student, clips: list[Clip]) -> None:
    assert student.sounds is None
    before, after = student.state_dict(), taught.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    features = torch.from_numpy(log_mel(clips[0].samples()))[None]
    with torch.inference_mode():
        one, other = student(features), taught(features)
    assert torch.equal(one.dimensions, other.dimensions) and torch.equal(one.logits, other.logits)


def test_padding_changes_no_share(taught: Student, clips: list[Clip]) -> None:
    features = torch.from_numpy(log_mel(clips[0].samples()))
    length = len(features) // 4 * 4
    padded = torch.cat([features[:length], torch.zeros(80, 40)])
    with torch.inference_mode():
        alone = taught(features[None, :length]).sounds
        with_rest = taught(padded[None], torch.tensor([length])).sounds
    assert alone is not None and with_rest is not None
    assert torch.allclose(alone, with_rest, atol=1e-6)


def test_a_saved_student_still_tells_them(
    taught: Student, clips: list[Clip], tmp_path: Path
) -> None:
    save_student(taught, tmp_path / "student.pt")
    assert told(load_student(tmp_path / "student.pt"), clips[-1]) == told(taught, clips[-1])


def test_without_music_or_laughter_nothing_is_taught(clips: list[Clip]) -> None:
    with pytest.raises(BadData, match=r"\$\.sounds: no clip of laughter, music .* column"):
        some(clips[:10], 1)


def test_a_student_that_cannot_tell_sounds_says_so() -> None:
    with pytest.raises(BadRecipe, match=r"\$\.sounds: wav2small-17k does not tell sounds"):
        make_student("wav2small-17k").add_sounds(32)


def test_a_recipe_asks_for_it_on_a_trained_student(
    student: Student, clips: list[Clip], rows: LabelledDataset
) -> None:
    start = StudentConfig("wav2small-stream", init_from="wav2small-stream")
    recipe = Recipe(SCHEMA, start, DistillConfig(epochs=0), sounds=SoundsConfig(steps=20))
    part = rows.take(np.arange(len(clips)))
    splits = Splits(replace(part, clips=tuple(clips)), part, part)
    made = run_stages(student, splits, Training(recipe), names=("sounds",))
    assert made is not student and made.sounds is not None and student.sounds is None


def test_no_voice_counts_more_for_many_clips(clips: list[Clip]) -> None:
    talker = [replace(clips[0], id=f"talker/{i}", group="talker") for i in range(50)]
    chosen = some([*clips, *talker], 1)
    assert sum(clip.group == "talker" for clip in chosen) == MOST_OF_PERSON
    assert sum("sound" in clip.tags for clip in chosen) == 16
    assert chosen == some([*talker, *reversed(clips)], 1) != some([*clips, *talker], 2)
