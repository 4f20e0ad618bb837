"""Labels of tars by themselves: the same bytes whoever makes them, and what is bad is named."""

import logging
import resource
import shutil
import signal
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from edgeemo.compress.data import open_dataset
from edgeemo.compress.labels import units
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.labels.units import UnitLabeller, find_units, label_part, part_of
from edgeemo.compress.recipes import TeacherConfig
from edgeemo.errors import BadData, BadInput, BadRecipe
from tests.compress.tars import SPEC


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*.parquet")}


@contextmanager
def small_disk(size):
    """No file of this process may grow beyond `size` bytes: EFBIG stands for a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def test_parts_make_the_same_bytes_as_one_job(tars, label, labelled, tmp_path, ear):
    made = [label(tars, tmp_path, (part, 3))[1] for part in (3, 1, 2)]
    assert [len(manifest.units) for manifest in made] == [1, 2, 1]
    assert contents(tmp_path) == contents(labelled) and len(contents(tmp_path)) == 4
    # A second run labels nothing, and a lost file is made again as it was.
    teacher = ear()
    label(tars, tmp_path, (1, 3), teacher=teacher)
    assert teacher.heard == 0
    lost = sorted(tmp_path.rglob("*.parquet"))[0]
    lost.write_bytes(lost.read_bytes()[:100])
    for part in (1, 2, 3):
        label(tars, tmp_path, (part, 3))
    assert contents(tmp_path) == contents(labelled)


def test_rows_are_those_of_a_run_of_one_tar(tars, label, labelled, copies, ear, tmp_path):
    """The same keys, features and labels as where `distill` labels that tar."""
    data = open_dataset(tars / "2.tar")
    rows = Labeller(ear(), SPEC, copies, tmp_path).label(data.clips, copies=2)
    (unit,) = [u for u in find_units(tars) if u.name == "2.tar"]
    labeller = UnitLabeller(ear(), SPEC, copies, labelled)
    made = labeller.label(unit, tars)
    table = pq.read_table(labeller.folder / f"{made.digest}.parquet")
    assert table["features"].to_pylist() == [rows.features[i].tobytes() for i in range(len(rows))]
    for name, ours in (("adv", rows.dimensions), ("probs", rows.probs), ("votes", rows.votes)):
        theirs = table[name].combine_chunks().flatten().to_numpy().reshape(ours.shape)
        assert np.array_equal(theirs, ours, equal_nan=True), name
    assert table["partner"].to_pylist() == [
        p.replace("2/", "hours/") if p else "" for p in rows.partner
    ]
    assert table["copy"].to_pylist() == rows.copy.tolist()
    assert table["annotated"].to_pylist() == [c.dimensions is not None for c in rows.clips]


def test_decoding_processes_change_no_bit(tars, label, labelled, tmp_path):
    label(tars, tmp_path, decoders=2)
    assert contents(tmp_path) == contents(labelled)


def test_a_folder_is_cut_into_slices(tmp_path, monkeypatch, label):
    from edgeemo.artifacts import teachers_package

    shutil.copytree(teachers_package.need("speech") / "thorsten", tmp_path / "thorsten")
    clips = open_dataset(tmp_path / "thorsten").clips
    monkeypatch.setattr(units, "SLICE", len(clips) // 2 + 1)
    _, made = label(tmp_path / "thorsten", tmp_path / "labels")
    assert len(made.units) == 2 and sum(u.rows for u in made.units) == 2 * len(clips)


def test_a_cut_tar_costs_that_tar_only(tars, label, tmp_path, caplog):
    shutil.copytree(tars, tmp_path / "hours")
    cut = tmp_path / "hours" / "1.tar"
    cut.write_bytes(cut.read_bytes()[:-60_000])
    (tmp_path / "hours" / "3.tar").write_bytes(b"PK\x03\x04" + bytes(2000))
    with caplog.at_level(logging.WARNING):
        _, made = label(tmp_path / "hours", tmp_path / "labels")
    assert [u.name for u in made.units] == ["0.tar", "2.tar"]
    assert [left.name for left in made.left_out] == ["1.tar", "3.tar"]
    assert "ends beyond the file" in caplog.text and "no plain tar file" in caplog.text


def test_a_broken_clip_costs_its_rows_only(tars, some_clips, label, tmp_path, caplog):
    from tests.compress.tars import write_tar

    write_tar(tmp_path / "one.tar", some_clips[:5])
    data = bytearray((tmp_path / "one.tar").read_bytes())
    data[512:516] = b"none"  # the magic number of the first FLAC
    (tmp_path / "one.tar").write_bytes(data)
    with caplog.at_level(logging.WARNING):
        _, made = label(tmp_path / "one.tar", tmp_path / "labels")
    assert (made.units[0].rows, made.units[0].skipped) == (8, 2)
    assert "0000.flac" in caplog.text


def test_a_full_disk_is_named_and_what_is_whole_stays(tars, label, labelled, tmp_path):
    label(tars, tmp_path, (1, 2))
    whole = contents(tmp_path)
    with small_disk(100_000), pytest.raises(BadData, match="make room and run again"):
        label(tars, tmp_path, (2, 2))
    assert contents(tmp_path) == whole
    label(tars, tmp_path, (2, 2))
    assert contents(tmp_path) == contents(labelled)


def test_a_constant_teacher_is_refused_before_the_work(tars, label, ear, tmp_path):
    with pytest.raises(BadData, match="standard deviation of 0"):
        label(tars, tmp_path, teacher=ear(scale=0.0))
    assert not contents(tmp_path)


def test_another_teacher_or_recipe_has_a_folder_of_its_own(tars, label, copies, ear, tmp_path):
    _, one = label(tars, tmp_path)
    label(tars, tmp_path, teacher=ear(scale=2.0))
    label(tars, tmp_path, recipe=replace(copies, teacher=TeacherConfig(tokens_per_second=5)))
    assert len(list(tmp_path.iterdir())) == 3 and len(one.units) == 4


def test_impossible_parts_and_tasks_are_refused(tars, copies, ear, tmp_path):
    for part in ((0, 2), (3, 2)):
        with pytest.raises(BadInput, match="expected K/N"):
            part_of(find_units(tars), *part)
    faces = UnitLabeller(ear(), SPEC, replace(copies, task="face"), tmp_path)
    with pytest.raises(BadRecipe, match="holds speech"):
        label_part(faces, tars)
