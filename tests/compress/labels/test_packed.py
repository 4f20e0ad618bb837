"""Packed rows are split as the clips themselves are, and nobody is in two splits."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgeemo.compress.data import open_dataset
from edgeemo.compress.labels.packed import Packed
from edgeemo.compress.labels.packed_split import split_packed
from edgeemo.compress.labels.packing import pack
from edgeemo.compress.labels.units import UnitLabeller, label_part
from edgeemo.compress.pipeline import new_student, planned_splits
from edgeemo.compress.recipes import AugmentConfig, DataConfig
from edgeemo.errors import BadData
from tests.compress.faces import RECIPE as FACES
from tests.compress.faces import Eye

SHARES = DataConfig(valid=0.3, test=0.2)


@pytest.fixture(scope="module")
def mixed(tars, label, copies, tmp_path_factory):
    """Each second copy is a mixture with another person of its tar."""
    out = tmp_path_factory.mktemp("mixed")
    recipe = replace(copies, augment=AugmentConfig(copies=2, mixup_p=1.0), data=SHARES)
    label(tars, out / "labels", recipe=recipe)
    pack(out / "labels", out / "packed")
    return Packed(out / "packed"), recipe


def test_the_splits_are_those_of_the_clips(mixed, tars):
    packed, recipe = mixed
    rows = split_packed(packed, recipe)
    splits = planned_splits(recipe, open_dataset(tars))
    assert [rows.clips[name] for name in ("train", "valid", "test")] == [len(s) for s in splits]
    for clips, held in zip(splits[1:], (rows.valid, rows.test), strict=True):
        assert {c.id for c in held.clips} == {c.id for c in clips}
        assert (held.copy == 0).all()
    other = split_packed(packed, replace(recipe, seed=recipe.seed + 1))
    assert {c.id for c in other.valid.clips} != {c.id for c in rows.valid.clips}


def test_nobody_is_mixed_into_another_split(mixed, tars):
    packed, recipe = mixed
    rows = split_packed(packed, recipe)
    train = {c.group for c in planned_splits(recipe, open_dataset(tars))[0]}
    names = pq.read_table(packed.folder / "groups.parquet")["name"].to_pylist()
    table = pq.read_table(packed.folder / packed.index.files[0].name, columns=["group", "partner"])
    kept = np.concatenate([group.rows for group in rows.train])
    groups, partners = (table[c].to_numpy()[kept] for c in ("group", "partner"))
    assert {names[g] for g in groups} == train
    assert {names[p] for p in partners if p >= 0} <= train
    whole = np.isin([names[g] for g in table["group"].to_numpy()], list(train))
    assert (partners >= 0).any() and len(kept) < whole.sum()  # some mixtures were left out


def test_published_splits_stay_as_they_are(face_table, tmp_path):
    data = open_dataset(face_table)
    student = new_student(FACES)
    labeller = UnitLabeller(Eye(), student.spec, FACES, tmp_path / "labels")
    label_part(labeller, face_table)
    pack(tmp_path / "labels", tmp_path / "packed")
    rows = split_packed(Packed(tmp_path / "packed"), FACES)
    train, valid, test = planned_splits(FACES, data)
    assert {c.id for c in rows.valid.clips} == {c.id for c in valid}
    assert len(rows.test) == len(test) > 0  # one of each group, whichever comes first
    assert {c.group for c in rows.test.clips} == {c.group for c in test}
    assert sum(len(group.rows) for group in rows.train) == len(train)


def test_all_faces_of_a_person_stay_in_the_test(face_table, tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for part in ("train", "valid"):
        table = pq.read_table(face_table / f"{part}.parquet")
        people = [f"{part}{i // 4}" for i in range(len(table))]  # four pictures of each
        table = table.append_column("person", pa.array(people))
        pq.write_table(table, folder / f"{part}.parquet")
    labeller = UnitLabeller(Eye(), new_student(FACES).spec, FACES, tmp_path / "labels")
    label_part(labeller, folder)
    pack(tmp_path / "labels", tmp_path / "packed")
    rows = split_packed(Packed(tmp_path / "packed"), FACES)
    assert len(rows.test) == len(planned_splits(FACES, open_dataset(folder))[2]) == 20


def test_too_few_people_are_told(mixed):
    packed, recipe = mixed
    with pytest.raises(BadData, match=r"the split .* gets . rows? and needs 2"):
        split_packed(packed, replace(recipe, data=DataConfig(valid=0.01, test=0.0)))
