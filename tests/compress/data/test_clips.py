"""Clips and sets of clips: ids, votes, shards of processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeemo.compress.data import Clip, DataSet, Span, open_dataset, readable, shard_of
from edgeemo.errors import BadData, BadInput


def test_ids_are_unique_and_votes_are_shares() -> None:
    clip = Clip("a", "c", "c/1", Span(Path("a")))
    with pytest.raises(BadData, match="two clips are called 'a'"):
        DataSet("d", (clip, clip))
    for votes in ({"anger": 0.5}, {"boredom": 1.0}):
        with pytest.raises(BadData, match="no shares over CLASSES"):
            Clip("a", "c", "c/1", Span(Path("a")), votes=votes)
    assert hash(Clip("a", "c", "c/1", Span(Path("a")), votes={"anger": 1.0})) is not None


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_ranks_share_all_clips(world: int) -> None:
    parts = [shard_of(range(20), rank, world) for rank in range(world)]
    assert sorted(x for part in parts for x in part) == list(range(20))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for rank in (-1, world):
        with pytest.raises(BadInput, match=f"rank {rank} of {world}"):
            shard_of(range(20), rank, world)


def test_unreadable_clips_are_reported_and_skipped(
    tmp_path: Path, place, caplog: pytest.LogCaptureFixture
) -> None:
    place("a.wav", "d.wav")
    (tmp_path / "b.wav").write_bytes(b"no sound")
    rows = "".join(f"{x}.wav,1,fear\n" for x in "abcd")
    (tmp_path / "labels.csv").write_text(f"path,speaker,emotion\n{rows}", encoding="utf-8")
    clips = open_dataset(tmp_path)
    assert [clip.id for clip, _ in readable(clips)] == ["a.wav", "d.wav"]
    assert [("b.wav" in m, "c.wav" in m) for m in caplog.messages] == [(True, False), (False, True)]
    with pytest.raises(BadInput, match=r"c\.wav"):
        clips.clips[2].digest()
