"""Tables of faces: people in one part alone, votes of observers, boxes."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgeemo.compress.data import open_dataset

PICTURE = Path(__file__).resolve().parents[1] / "data/faces/single_60cm.jpg"


def _table(folder: Path, rows: list[dict]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), folder / "faces.parquet")
    return folder / "faces.parquet"


def test_a_person_lies_in_one_part_and_unnamed_pictures_are_people(tool, tmp_path, capsys):
    image = PICTURE.read_bytes()
    people = [f"p{i % 20}" for i in range(40)] + [None] * 20
    rows = [
        {"name": f"{i}.jpg", "image": image, "person": p, "expression": "fear"}
        for i, p in enumerate(people)
    ]
    table = _table(tmp_path, rows)
    assert tool("face_tables").main([str(table), "--fold", "1", "-o", str(tmp_path / "out")]) == 0
    parts = [pq.read_table(tmp_path / f"out/{n}.parquet").to_pylist() for n in ("train", "valid")]
    who = [{row["person"] or row["name"] for row in part} for part in parts]
    assert not who[0] & who[1] and len(parts[0]) + len(parts[1]) == 60 and len(who[1]) >= 3
    clips = open_dataset(tmp_path / "out").clips
    assert {clip.emotion for clip in clips} == {"fear"}
    assert {clip.split for clip in clips} == {"train", "valid"}


def test_shares_of_observers_become_votes_and_faces_get_boxes(tool, tmp_path):
    pytest.importorskip("ai_edge_litert")
    row = {"image": PICTURE.read_bytes(), "person": "a", "share_fear": 0.3, "share_surprise": 0.6}
    rows = [
        row | {"name": "1.jpg", "meant": "fear"},
        row | {"name": "2.jpg", "meant": "neutral", "person": "b"},
    ]
    out = tmp_path / "out"
    arguments = [str(_table(tmp_path, rows)), "--detect", "-o", str(out)]
    assert tool("face_tables").main(arguments) == 0
    first, second = open_dataset(out).clips
    assert first.votes == pytest.approx({"fear": 1 / 3, "surprise": 2 / 3})
    assert second.votes == {"neutral": 1.0} and second.speaker.endswith("/b")
    assert first.box is not None and first.box[2] - first.box[0] > 50


def test_a_picture_that_nobody_named_is_told(tool, tmp_path, capsys):
    rows = [{"name": "1.jpg", "image": b"", "person": "a", "share_fear": 0.0}]
    assert tool("face_tables").main([str(_table(tmp_path, rows)), "-o", str(tmp_path / "o")]) == 2
    assert "1.jpg: no observer named a class" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folds", "fold", "says"),
    [("0", "0", "--folds 0: expected 2 or more"), ("3", "3", "--fold 3: expected 0 to 2")],
)
def test_a_fold_that_is_none_is_refused(tool, tmp_path, capsys, folds, fold, says):
    table = _table(tmp_path, [{"name": "1.jpg", "image": PICTURE.read_bytes(), "person": "a"}])
    arguments = [str(table), "--folds", folds, "--fold", fold, "-o", str(tmp_path / "o")]
    with pytest.raises(SystemExit):
        tool("face_tables").main(arguments)
    assert says in capsys.readouterr().err


FACE = {"name": "1.jpg", "image": PICTURE.read_bytes(), "person": 7, "expression": "fear"}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"name": "1.jpg", "image": b"x"}], "columns name, image; expected name, image and votes"),
        ([FACE, FACE | {"name": None}], "row 1: expected a name, and an image"),
        ([FACE | {"image": "1.jpg"}], "row 0: expected a name, and an image"),
        ([FACE | {"share_fear": -0.5}], "1.jpg: share_fear is -0.5; expected 0 to 100"),
        ([FACE | {"share_fear": float("nan")}], "1.jpg: share_fear is nan; expected 0 to 100"),
    ],
)
def test_a_table_that_is_none_of_faces_is_refused(tool, tmp_path, capsys, rows, says):
    out = tmp_path / "out"
    assert tool("face_tables").main([str(_table(tmp_path, rows)), "-o", str(out)]) == 2
    assert says in capsys.readouterr().err and not out.exists()


def test_a_file_that_is_no_table_is_refused(tool, tmp_path, capsys):
    (tmp_path / "text.parquet").write_text("name,image\n")
    for name, says in (("text.parquet", "not a Parquet table"), ("none.parquet", "no such file")):
        assert tool("face_tables").main([str(tmp_path / name), "-o", str(tmp_path / "o")]) == 2
        assert f"{name}: {says}" in capsys.readouterr().err


def test_nothing_is_lost_and_no_stale_part_stays(tool, tmp_path, capsys):
    main, table = tool("face_tables").main, _table(tmp_path, [FACE | {"box_x0": 3.0}])
    assert main([str(table), "-o", str(tmp_path)]) == 0
    train = tmp_path / "train.parquet"
    assert pq.read_table(train).to_pylist()[0]["box_x0"] == 3.0
    assert capsys.readouterr().out == f"{train}: 1 picture\n"
    assert main([str(train), "-o", str(tmp_path)]) == 2
    assert f"{train}: is read by this command" in capsys.readouterr().err
    fold = tool("face_tables").fold_of("7", 2)
    assert main([str(table), "--folds", "2", "--fold", str(fold), "-o", str(tmp_path)]) == 2
    assert f"{train}: is of other faces" in capsys.readouterr().err
