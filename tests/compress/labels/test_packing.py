"""Packing: each row once, shuffled, with whose it is; parts that do not fit are named."""

import json
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest

from edgeemo.compress.labels import packing
from edgeemo.compress.labels.packed import Packed
from edgeemo.compress.labels.packing import pack
from edgeemo.compress.recipes import TeacherConfig
from edgeemo.errors import BadData, BadInput, BadRecipe
from tests.compress.labels.test_units import small_disk
from tests.compress.tars import SPEC


@pytest.fixture
def labels(labelled, tmp_path):
    """A copy that may be damaged."""
    shutil.copytree(labelled, tmp_path / "labels")
    return next((tmp_path / "labels").iterdir())


def rows_of(files):
    return {
        row["address"]: row for file in sorted(files) for row in pq.read_table(file).to_pylist()
    }


def test_each_row_is_packed_once_and_shuffled(labels, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "FILE_ROWS", 24)
    index = pack(labels.parent, tmp_path / "packed")
    before = rows_of(labels.glob("*.parquet"))
    files = sorted((tmp_path / "packed").glob("part-*.parquet"))
    after = rows_of(files)
    assert [f.rows for f in index.files] == [24, 24, len(before) - 48]
    assert before.keys() == after.keys()
    names = pq.read_table(tmp_path / "packed" / "groups.parquet")["name"].to_pylist()
    assert names == sorted({row["group"] for row in before.values()})
    for key, row in after.items():
        ours = before[key]
        assert row["features"] == ours["features"] and row["about"] == ours["about"]
        assert names[row["group"]] == ours["group"]
        assert (names[row["partner"]] if row["partner"] >= 0 else "") == ours["partner"]
    # Shuffled: neighbours are of different clips, and each file has rows of several tars.
    order = [json.loads(row["about"])["id"] for row in after.values()]
    assert np.mean([a == b for a, b in pairwise(order)]) < 0.15
    tars = [
        len({json.loads(t)["id"][:1] for t in pq.read_table(f)["about"].to_pylist()}) for f in files
    ]
    assert max(tars) > 1


def test_packing_again_gives_the_same_bytes(labels, tmp_path):
    for name in ("a", "b"):
        pack(labels.parent, tmp_path / name)
    one, two = ({f.name: f.read_bytes() for f in (tmp_path / n).iterdir()} for n in "ab")
    assert one == two
    with pytest.raises(BadInput, match="packed already"):
        pack(labels.parent, tmp_path / "a")


def test_sound_of_some_clips_is_packed(labels, tars, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "SOUNDS", 7)
    pack(labels.parent, tmp_path / "packed")
    sound = pq.read_table(tmp_path / "packed" / "sound.parquet")
    rows = rows_of((tmp_path / "packed").glob("part-*.parquet"))
    assert len(sound) == 7
    for address, data in zip(*(sound[c].to_pylist() for c in ("address", "sound")), strict=True):
        assert rows[address]["copy"] == 0 and data[:4] in (b"fLaC", b"OggS")


def test_sound_that_is_gone_is_named(label, tars, tmp_path):
    shutil.copytree(tars, tmp_path / "hours")
    label(tmp_path / "hours", tmp_path / "labels")
    shutil.rmtree(tmp_path / "hours")
    with pytest.raises(BadData, match="pack where it lay"):
        pack(tmp_path / "labels", tmp_path / "packed")


def test_parts_that_do_not_fit_are_named(tars, label, tmp_path):
    out = tmp_path / "labels"
    label(tars, out, (1, 2))
    with pytest.raises(BadData, match=r"part 2 of 2 is missing; make it with: .* --part 2/2"):
        pack(out, tmp_path / "packed")
    label(tars, out, (3, 3))
    with pytest.raises(BadData, match="parts of 2 and of 3"):
        pack(out, tmp_path / "packed")
    next(out.rglob("*of-00003.json")).unlink()
    shutil.copytree(tars, tmp_path / "hours")
    (tmp_path / "hours" / "0.tar").unlink()
    label(tmp_path / "hours", out, (2, 2))
    with pytest.raises(BadData, match="different lists of tars"):
        pack(out, tmp_path / "packed")
    label(tars, out, (2, 2))
    assert len(pack(out, tmp_path / "packed").files) == 1


def test_missing_and_damaged_files_are_named(labels, tmp_path):
    file = sorted(labels.glob("*.parquet"))[1]
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadData, match=f"{file.name} is missing or damaged"):
        pack(labels.parent, tmp_path / "packed")
    file.unlink()
    with pytest.raises(BadData, match=f"{file.name} is missing or damaged"):
        pack(labels.parent, tmp_path / "packed")
    (labels / "settings.json").write_text("{}")
    with pytest.raises(BadData, match=r"settings.json: \$.settings: missing"):
        pack(labels.parent, tmp_path / "packed")
    with pytest.raises(BadData, match="holds no labels"):
        pack(tmp_path / "nothing", tmp_path / "packed")


def test_bytes_that_were_changed_are_named(labels, tmp_path):
    """A file of the right size whose rows are wrong would teach a student noise."""
    pack(labels.parent, tmp_path / "packed")
    file = tmp_path / "packed" / "part-00000.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    with pytest.raises(BadData, match=r"part-00000\.parquet: damaged"):
        for _ in Packed(tmp_path / "packed").tables(["features", "adv", "embedding", "tokens"]):
            pass
    file = sorted(labels.glob("*.parquet"))[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    with pytest.raises(BadData, match=f"{file.name} is missing or damaged"):
        pack(labels.parent, tmp_path / "again")


def test_tars_that_were_left_out_are_told_again(tars, label, tmp_path, caplog):
    """Who packs may be another than who labelled, on another day."""
    shutil.copytree(tars, tmp_path / "some")
    cut = sorted((tmp_path / "some").glob("*.tar"))[0]
    cut.write_bytes(cut.read_bytes()[:5000])
    label(tmp_path / "some", tmp_path / "labels")
    caplog.clear()
    pack(tmp_path / "labels", tmp_path / "packed")
    assert f"tars that could not be labelled are missing: {cut.name}" in caplog.text


def test_of_several_recipes_one_must_be_named(tars, label, labels, copies, tmp_path):
    other = replace(copies, teacher=TeacherConfig(tokens_per_second=5))
    label(tars, labels.parent, recipe=other)
    with pytest.raises(BadRecipe, match="labels of 2 recipes"):
        pack(labels.parent, tmp_path / "packed")
    index = pack(labels.parent, tmp_path / "packed", other, SPEC)
    assert index.settings.teacher.tokens_per_second == 5
    with pytest.raises(BadRecipe, match=r"\$.data.clip_seconds: .* are of 4.0, .* says 2"):
        foreign = replace(copies, data=replace(copies.data, clip_seconds=2.0))
        pack(labels.parent, tmp_path / "other", foreign, SPEC)


def test_a_full_disk_leaves_no_index(labels, tmp_path):
    with small_disk(500_000), pytest.raises(BadData, match="make room and pack again"):
        pack(labels.parent, tmp_path / "packed")
    assert not (tmp_path / "packed" / "index.json").exists()
    pack(labels.parent, tmp_path / "packed")
