"""FER2013 and FER+ in miniatures of the layouts in which they are given out."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgeemo.compress.data import open_dataset
from edgeemo.compress.data.fer import VOTES
from edgeemo.compress.data.splits import split_as_published
from edgeemo.errors import BadData
from tests.compress.data.pictures import by_id, picture, put


@pytest.fixture
def ferplus(tmp_path):
    rows = {
        "Train": [
            'fer0000000.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0',
            'fer0000001.png,"(0, 0, 48, 48)",0,8,0,0,0,0,0,0,2,0',
        ],
        "Valid": [
            'fer0028638.png,"(0, 0, 48, 48)",0,0,0,0,0,0,0,0,1,9',
            'fer0028639.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0',
        ],
        "Test": ['fer0032220.png,"(0, 0, 48, 48)",10,0,0,0,0,0,0,0,0,0'],
    }
    for split, lines in rows.items():
        folder = tmp_path / "plus" / f"FER2013{split}"
        put(folder / "label.csv", "\n".join(lines) + "\n")
        for line in lines:
            name = line.split(",")[0]
            # The second picture of Valid is the first of Train again.
            shade = 100 if name in ("fer0000000.png", "fer0028639.png") else int(name[5:10]) % 90
            put(folder / name, picture(shade))
    return tmp_path / "plus"


def test_ferplus_folders_keep_the_votes(ferplus):
    found = by_id(open_dataset(ferplus))
    first = found["FER2013Train/fer0000000.png"]
    assert first.votes == {"neutral": 0.4, "sadness": 0.1, "anger": 0.3, "disgust": 0.2}
    assert (first.task, first.split, first.emotion, first.corpus) == (
        "face",
        "train",
        None,
        "ferplus",
    )
    second = found["FER2013Train/fer0000001.png"]
    assert second.votes == {"happiness": 1.0} and second.other == pytest.approx(0.2)
    assert second.emotion == "happiness" and second.image().shape == (48, 48, 3)
    nobody = found["FER2013Valid/fer0028638.png"]
    assert nobody.votes is None and nobody.other == 1
    assert "rights not settled" in first.licence


def test_a_short_row_of_ferplus_is_named(ferplus):
    put(ferplus / "FER2013Test" / "label.csv", 'a.png,"(0, 0, 48, 48)",1,2\n')
    with pytest.raises(BadData, match=r"label.csv:1: 4 cells"):
        open_dataset(ferplus)


def fer2013(folder, rows, new=None):
    def pixels(shade):
        return " ".join([str(shade)] * 2304)

    lines = [f"{label},{pixels(shade)},{usage}" for label, shade, usage in rows]
    put(folder / "fer2013.csv", "\n".join(["emotion,pixels,Usage", *lines]))
    if new is not None:
        head = "Usage,Image name," + ",".join(VOTES)
        put(folder / "fer2013new.csv", "\n".join([head, *new]))


ROWS = [(0, 10, "Training"), (3, 20, "Training"), (6, 30, "PublicTest"), (5, 40, "PrivateTest")]


def test_fer2013_alone_has_its_own_order_of_classes(tmp_path):
    fer2013(tmp_path, ROWS)
    found = list(open_dataset(tmp_path))
    told = sorted((c.split, c.emotion, int(c.image()[0, 0, 0])) for c in found)
    assert told == [
        ("test", "surprise", 40),
        ("train", "anger", 10),
        ("train", "happiness", 20),
        ("valid", "neutral", 30),
    ]
    assert {c.corpus for c in found} == {"fer2013"}


def test_fer2013new_gives_votes_row_by_row(tmp_path):
    new = [
        "Training,fer0000000.png,5,5,0,0,0,0,0,0,0,0",
        "Training,,0,0,0,0,0,0,0,0,0,10",
        "PublicTest,fer1.png,0,0,0,0,0,0,0,9,1,0",
        "PrivateTest,fer2.png,0,0,9,0,0,0,1,0,0,0",
    ]
    fer2013(tmp_path, ROWS, new)
    found = {int(c.image()[0, 0, 0]): c for c in open_dataset(tmp_path)}
    assert set(found) == {10, 30, 40}  # the second is no face: FER+ gave it no name
    assert found[10].votes == {"neutral": 0.5, "happiness": 0.5}
    assert found[30].votes == {"contempt": 1.0} and found[30].other == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("new", "word"),
    [
        (["Training,a.png,1,0,0,0,0,0,0,0,0,0"], "row by row"),
        (["PublicTest,a.png,1,0,0,0,0,0,0,0,0,0"] * 4, "do not belong together"),
    ],
)
def test_fer2013new_of_another_table_is_refused(tmp_path, new, word):
    fer2013(tmp_path, ROWS, new)
    with pytest.raises(BadData, match=word):
        open_dataset(tmp_path)


def test_too_few_pixels_are_named(tmp_path):
    put(tmp_path / "fer2013.csv", "emotion,pixels,Usage\n1,0 1 2,Training\n")
    with pytest.raises(BadData, match=r"fer2013.csv:2: pixels: 3 numbers"):
        open_dataset(tmp_path)


def test_tables_of_votes_and_of_expressions(tmp_path):
    votes = {name: [9.0 if name == "fear" else 0.0] for name in VOTES} | {"unknown": [1.0]}
    pq.write_table(
        pa.table({"name": ["a.png"], "image": [picture(7)], **votes}), tmp_path / "valid.parquet"
    )
    found = list(open_dataset(tmp_path))
    assert [(c.split, c.emotion, c.votes) for c in found] == [("valid", "fear", {"fear": 1.0})]
    people = {
        "name": ["x", "y"],
        "image": [picture(1, ending=".jpg"), picture(2, ending=".jpg")],
        "expression": ["neutral", "smiling"],
        "person": ["001", "001"],
        "sex": ["f", "f"],
        "box_x0": [1.0, 1.0],
        "box_y0": [2.0, 2.0],
        "box_x1": [40.0, 40.0],
        "box_y1": [41.0, 41.0],
    }
    pq.write_table(pa.table(people), tmp_path / "city.parquet")
    city = [c for c in open_dataset(tmp_path / "city.parquet")]
    assert [c.emotion for c in city] == ["neutral", "happiness"]
    assert {c.group for c in city} == {f"{tmp_path.name}/001"} and city[0].sex == "F"
    assert city[0].box == (1.0, 2.0, 40.0, 41.0)


def test_the_published_parts_stay_apart_and_repeats_leave(ferplus):
    train, valid, test = split_as_published(open_dataset(ferplus).clips, 1, (0.8, 0.1, 0.1))
    assert [c.split for c in train] == ["train", "train"]
    assert [c.id for c in valid] == ["FER2013Valid/fer0028638.png"]  # the other is in Train too
    assert [c.split for c in test] == ["test"]


def test_all_pictures_of_a_person_stay_in_the_test(tmp_path):
    for part, shades in (("train", (1, 2)), ("valid", (3, 4, 5))):
        table = {
            "name": [f"{shade}.png" for shade in shades],
            "image": [picture(shade) for shade in shades],
            "expression": ["neutral"] * len(shades),
            "person": [part] * len(shades),
        }
        pq.write_table(pa.table(table), tmp_path / f"{part}.parquet")
    train, _, test = split_as_published(open_dataset(tmp_path).clips, 1, (1.0, 0.0, 0.0))
    assert [len(train), len(test)] == [2, 3]


def test_ferplus_of_the_data_page(corpora):
    clips = open_dataset(corpora / "ferplus").clips
    _, _, test = split_as_published(clips, 1, (0.9, 0.1, 0.0))
    assert len(clips) == 28_561 + 3_579 and len(test) == 3_284


def test_an_expression_that_is_none_gets_the_nearest(tmp_path):
    table = {"name": ["a.png"], "image": [picture(1)], "expression": ["hapiness"]}
    pq.write_table(pa.table(table), tmp_path / "city.parquet")
    with pytest.raises(BadData, match=r"row 0.*'hapiness'; did you mean 'happiness'\?"):
        open_dataset(tmp_path)
