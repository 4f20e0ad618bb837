"""The built-in teacher of speech: what the shipped file gives."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo.artifacts.teachers_package import need
from edgeemo.compress.data import shipped_speech
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.builtin import FILE


@pytest.fixture(scope="module")
def clips() -> list[NDArray[np.float32]]:
    return [c.samples() for c in shipped_speech().clips if c.corpus == "cremad"]


def test_the_shipped_file_is_at_most_8_megabytes() -> None:
    assert need(FILE).stat().st_size <= 8_000_000


def test_anger_is_more_excited_than_sadness() -> None:
    teacher = load_teacher("builtin")
    chosen = [c for c in shipped_speech().clips if c.corpus in ("cremad", "emodb_full")]
    angry, sad = (
        teacher.label([c.samples() for c in chosen if c.emotion == e][:12])
        for e in ("anger", "sadness")
    )
    assert angry.dimensions is not None and sad.dimensions is not None
    assert angry.dimensions[:, 0].min() > sad.dimensions[:, 0].max() - 0.1
    assert angry.dimensions[:, 0].mean() > sad.dimensions[:, 0].mean() + 0.25


def test_a_clip_does_not_depend_on_its_neighbours(clips: list[NDArray[np.float32]]) -> None:
    teacher = load_teacher("builtin")
    together, alone = teacher.label(clips[:3]), teacher.label(clips[1:2])
    assert together.dimensions is not None and alone.dimensions is not None
    assert np.array_equal(together.dimensions[1], alone.dimensions[0])
    assert together.tokens is not None
    assert len(together.tokens[0]) == pytest.approx(len(clips[0]) / 16000 * 50, abs=3)


def test_long_sound_runs_in_pieces(clips: list[NDArray[np.float32]]) -> None:
    long = np.concatenate([np.concatenate(clips)] * 3)[: 61 * 16000]
    said = load_teacher("builtin").label([long])
    assert said.dimensions is not None and np.isfinite(said.dimensions).all()
    assert said.tokens is not None and len(said.tokens[0]) == pytest.approx(61 * 50, abs=9)
