"""benchmarks/face_folds.py: who is held out, what a refit mends, which starts are refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgeemo.compress.recipes import EarlyStoppingConfig, TeacherConfig, dump_recipe
from edgeemo.compress.students import make_student, save_student
from edgeemo.errors import BadData
from tests.compress.faces import RECIPE, SMALL, write_table

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))

from benchmarks import face_folds


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty pictures as FER+, and sixty of them again as those of six performers.

    Bright is above or below: the mean with the mirror image would not tell left from right.
    """
    folder = tmp_path_factory.mktemp("faces")
    for name in ("ferplus", "taiwan"):
        (folder / name).mkdir()
    for file in sorted(write_table(folder).glob("*.parquet")):
        table = pq.read_table(file)
        turned = pa.array([_turned(image) for image in table["image"].to_pylist()])
        table = table.set_column(table.schema.get_field_index("image"), "image", turned)
        pq.write_table(table, folder / "ferplus" / file.name)
        if file.stem == "train":
            people = pa.array([f"{i // 10:02}" for i in range(len(table))])
            pq.write_table(table.append_column("person", people), folder / "taiwan" / file.name)
    return folder


def _turned(image: bytes) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_GRAYSCALE)
    return cv2.imencode(".png", pixels.T)[1].tobytes()


def _recipe(folder: Path, start: str = "") -> Path:
    recipe = replace(
        RECIPE,
        student=replace(RECIPE.student, init_from=start),
        teacher=TeacherConfig("none-face"),
        early_stopping=EarlyStoppingConfig("last"),
        distill=replace(RECIPE.distill, epochs=24),
    )
    path = folder / "recipe.toml"
    path.write_text(dump_recipe(recipe))
    return path


def test_each_performer_is_read_by_a_student_that_learned_the_others(data, tmp_path, monkeypatch):
    taught = []
    train = face_folds.fit

    def fit(student, rows, *more, **options):
        taught.append({clip.speaker for clip in rows.clips if clip.corpus == "taiwan"})
        return train(student, rows, *more, **options)

    monkeypatch.setattr(face_folds, "fit", fit)
    out = tmp_path / "folds.json"
    arguments = ["--data", str(data), "--recipe", str(_recipe(tmp_path))]
    arguments += ["--cache", str(tmp_path / "labels"), "--out", str(out)]
    face_folds.main(arguments)
    everybody = {f"taiwan/{i:02}" for i in range(6)}
    assert len(taught) == 5
    left_out = sorted(name for fold in taught for name in everybody - fold)
    assert left_out == sorted(everybody)
    found = json.loads(out.read_text())
    rows = found["rows"]
    assert {row["pictures"] for row in rows.values()} == {60}
    assert rows["taught"]["accuracy"] > 0.9 > rows["as it came"]["accuracy"]
    assert rows["taught"]["people"].keys() == everybody
    assert found["others"]["taught"] > 0.8


def test_a_refit_mends_classes_that_changed_places():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 8, 200)
    votes = np.eye(8, dtype=np.float32)[truth]
    said = np.log(0.8 * votes[:, [1, 0, *range(2, 8)]].astype(float) + 0.2 / 8)
    after = face_folds.refitted(said[:100], votes[:100], said[100:])
    assert np.mean(said[100:].argmax(1) == truth[100:]) < 0.9
    assert np.array_equal(after.argmax(1), truth[100:])
    assert np.allclose(np.exp(after).sum(1), 1)


def test_a_start_of_which_nobody_knows_what_it_learned_is_refused(data, tmp_path):
    start = tmp_path / "student.pt"
    save_student(make_student("mobilenetv3-small-face", **SMALL), start)
    recipe = _recipe(tmp_path, str(start))
    with pytest.raises(BadData, match="give a start whose card names none of them"):
        face_folds.main(["--data", str(data), "--recipe", str(recipe)])
