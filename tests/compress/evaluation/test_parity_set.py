"""The parity set on disk: what is written is read, and damage is told."""

from dataclasses import replace

import numpy as np
import pytest

from edgeemo.compress.evaluation.parity_set import ParitySet, read_parity_set, write_parity_set
from edgeemo.errors import BadArtifact


def some(count: int = 3) -> ParitySet:
    rng = np.random.default_rng(0)

    def numbers(*shape: int) -> np.ndarray:
        return rng.uniform(size=shape).astype(np.float32)

    return ParitySet(
        ids=tuple(f"clip {i}" for i in range(count)),
        samples=tuple(numbers(800 + 10 * i) for i in range(count)),
        features=tuple(numbers(4 + i, 40) for i in range(count)),
        dimensions=numbers(count, 3),
        probs=numbers(count, 8),
        teacher_dimensions=numbers(count, 3),
        teacher_probs=numbers(count, 8),
        human_dimensions=np.full((count, 3), np.nan, np.float32),
    )


def test_what_is_written_is_read(tmp_path):
    clips, path = some(), tmp_path / "parity" / "parity.npz"
    write_parity_set(path, clips)
    found = read_parity_set(path)
    assert found.ids == clips.ids and len(found) == 3
    for mine, theirs in zip(
        clips.samples + clips.features, found.samples + found.features, strict=True
    ):
        assert np.array_equal(mine, theirs)
    assert np.array_equal(found.probs, clips.probs) and np.isnan(found.human_dimensions).all()
    assert found.take(slice(1, 2)).ids == ("clip 1",)


def test_damage_is_one_line(tmp_path):
    path = tmp_path / "parity.npz"
    write_parity_set(path, some())
    whole = path.read_bytes()
    for data in (whole[:100], whole[:-200], b"", whole[:50] + bytes(60) + whole[110:]):
        path.write_bytes(data)
        with pytest.raises(BadArtifact, match="cannot be read") as caught:
            read_parity_set(path)
        assert "\n" not in str(caught.value)


def test_test_clips_judge_and_the_others_choose(tmp_path):
    clips, path = some(6), tmp_path / "parity.npz"
    chosen_on, judged_by = clips.dealt()
    assert chosen_on.ids == clips.ids and judged_by.ids == clips.ids[1::2]
    write_parity_set(path, replace(clips, test=np.array([True, True, False, False, True, False])))
    chosen_on, judged_by = read_parity_set(path).dealt()
    assert judged_by.ids == ("clip 0", "clip 1", "clip 4")
    assert chosen_on.ids == ("clip 2", "clip 3", "clip 5")
    assert np.array_equal(chosen_on.features[1], clips.features[3])
    # One clip cannot judge.
    assert replace(clips, test=np.arange(6) < 1).dealt()[1].ids == clips.ids[1::2]
