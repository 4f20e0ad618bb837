"""Readers of faces are chosen by their files: RAF-DB, folders by expression, plain folders."""

import pytest

from edgeemo.compress.data import open_dataset
from edgeemo.errors import BadData
from tests.compress.data.pictures import by_id, picture, put


def test_rafdb(tmp_path):
    put(
        tmp_path / "basic" / "EmoLabel" / "list_patition_label.txt",
        "train_00001.jpg 5\ntest_0001.jpg 2\n",
    )
    for stem in ("train_00001", "test_0001"):
        put(
            tmp_path / "basic" / "Image" / "aligned" / f"{stem}_aligned.jpg",
            picture(9, 100, ".jpg"),
        )
    found = by_id(open_dataset(tmp_path))
    assert found["train_00001.jpg"].emotion == "sadness"
    assert (found["test_0001.jpg"].emotion, found["test_0001.jpg"].split) == ("fear", "test")
    assert found["test_0001.jpg"].image().shape == (100, 100, 3)


def test_folders_called_by_expressions(tmp_path):
    put(tmp_path / "train" / "angry" / "1.png", picture(1))
    put(tmp_path / "train" / "3_happy" / "1.png", picture(2))
    put(tmp_path / "test" / "angry" / "1.png", picture(1))  # the same picture in both parts
    found = by_id(open_dataset(tmp_path))
    assert found["train/angry/1.png"].emotion == "anger"
    assert found["train/3_happy/1.png"].votes == {"happiness": 1.0}
    assert found["test/angry/1.png"].group == found["train/angry/1.png"].group


def test_a_folder_that_is_no_expression_gets_the_nearest(tmp_path):
    put(tmp_path / "angry" / "1.png", picture(1))
    put(tmp_path / "hapiness" / "1.png", picture(2))
    with pytest.raises(BadData, match=r"'hapiness' is no expression.*did you mean 'happiness'\?"):
        open_dataset(tmp_path)


def test_folders_that_are_all_misspelled_are_not_taken_for_plain_ones(tmp_path):
    put(tmp_path / "anrgy" / "1.png", picture(1))
    put(tmp_path / "2_hapiness" / "1.png", picture(2))
    with pytest.raises(BadData, match=r"'2_hapiness' is no expression.*did you mean 'happiness'\?"):
        open_dataset(tmp_path)


def test_a_plain_folder_of_faces_has_no_labels(tmp_path):
    put(tmp_path / "holiday" / "1.jpg", picture(1, ending=".jpg"))
    put(tmp_path / "2.webp", picture(2, ending=".webp"))
    found = list(open_dataset(tmp_path))
    assert [c.id for c in found] == ["2.webp", "holiday/1.jpg"]
    assert all(c.task == "face" and c.votes is None and c.emotion is None for c in found)


def test_an_empty_folder_tells_what_is_expected(tmp_path):
    with pytest.raises(BadData, match=r"no sound and no pictures"):
        open_dataset(tmp_path)
