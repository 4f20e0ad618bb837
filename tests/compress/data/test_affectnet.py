"""AffectNet in miniatures of both of its layouts."""

import io
import math

import numpy as np
import pytest

from edgeemo.compress.data import open_dataset
from edgeemo.errors import BadData
from tests.compress.data.pictures import by_id, picture, put


def test_affectnet_as_first_given_out(tmp_path):
    head = (
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
        "expression,valence,arousal"
    )
    put(
        tmp_path / "training.csv",
        f"{head}\n1/a.jpg,10,12,60,64,1;2,1,0.5,-0.25\n1/b.jpg,0,0,9,9,1;2,10,-2,-2\n",
    )
    put(tmp_path / "validation.csv", f"{head}\n2/c.jpg,0,0,50,50,1;2,7,-2,-2\n")
    for name in ("1/a.jpg", "2/c.jpg"):
        put(tmp_path / "Manually_Annotated_Images" / name, picture(50, 99, ".jpg"))
    found = by_id(open_dataset(tmp_path))
    assert set(found) == {"1/a.jpg", "2/c.jpg"}  # the one with no face is left out
    happy, contempt = found["1/a.jpg"], found["2/c.jpg"]
    assert happy.emotion == "happiness" and happy.box == (10, 12, 70, 76)
    arousal, dominance, valence = happy.dimensions
    assert (arousal, valence) == (0.375, 0.75) and math.isnan(dominance)
    assert (contempt.emotion, contempt.dimensions, contempt.split) == ("contempt", None, "valid")
    assert happy.image().shape == (99, 99, 3)


def test_affectnet_as_given_out_now(tmp_path):
    def array(text):
        buffer = io.BytesIO()
        np.save(buffer, np.array(text))  # the release writes numbers as text
        return buffer.getvalue()

    for split, number, label in (("train_set", 5, "6"), ("val_set", 9, "0")):
        put(tmp_path / split / "images" / f"{number}.jpg", picture(number, ending=".jpg"))
        for kind, value in (("exp", label), ("val", "-0.5"), ("aro", "0.5")):
            put(tmp_path / split / "annotations" / f"{number}_{kind}.npy", array(value))
    found = by_id(open_dataset(tmp_path))
    angry = found["train_set/images/5.jpg"]
    assert (angry.emotion, angry.split, angry.dimensions[0], angry.dimensions[2]) == (
        "anger",
        "train",
        0.75,
        0.25,
    )
    assert found["val_set/images/9.jpg"].emotion == "neutral"
    put(tmp_path / "val_set" / "annotations" / "9_val.npy", b"no array")
    with pytest.raises(BadData, match=r"9_val\.npy"):
        open_dataset(tmp_path)


def test_affectnet_with_its_lists_in_a_folder_beside_the_pictures(tmp_path, caplog):
    """As the usual copies lie; the list of the valid part has no line of names in some."""
    lists = tmp_path / "Manually_Annotated_file_lists"
    head = (
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
        "expression,valence,arousal"
    )
    put(lists / "training.csv", f"{head}\n1/a.jpg,10,12,60,64,1;2,1,0.5,-0.25\n")
    put(lists / "validation.csv", "2/c.jpg,0,0,50,50,1;2,7,0.5,-0.25\n")
    put(
        tmp_path / "Automatically_Annotated_file_lists" / "automatically_annotated.csv",
        f"{head}\n3/d.jpg,0,0,50,50,1;2,7,-2,-2\n",
    )
    for name in ("1/a.jpg", "2/c.jpg"):
        put(tmp_path / "Manually_Annotated_Images" / name, picture(50, 99, ".jpg"))
    found = by_id(open_dataset(tmp_path))
    assert set(found) == {"1/a.jpg", "2/c.jpg"}
    assert found["1/a.jpg"].image().shape == found["2/c.jpg"].image().shape == (99, 99, 3)
    assert (found["2/c.jpg"].emotion, found["2/c.jpg"].split) == ("contempt", "valid")
    assert "validation.csv: has no line of column names" in caplog.text
    assert "automatically_annotated.csv: left out" in caplog.text
