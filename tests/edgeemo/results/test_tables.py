from __future__ import annotations

import csv
from pathlib import Path

import pytest

from edgeemo.results.tables import COLUMNS, Csv

ROW = {
    "path": 'a, "b".wav',
    **{"arousal": 0.5, "dominance": None, "valence": 0.25, "classes": {"anger": 0.125}},
    **{"box": [1, 2, 3, 4], "sides": ["voice", "face"], "notes": ["one", "two"]},
}


def test_cells_are_plain(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with Csv(path, (*COLUMNS, "sides")) as out:
        out.write(ROW)
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == 'a, "b".wav'
    assert (row["arousal"], row["dominance"], row["anger"]) == ("0.5", "", "0.125")
    assert (row["left"], row["bottom"]) == ("1", "4")
    assert (row["sides"], row["notes"]) == ("voice face", "one; two")


def test_rows_stay_where_the_work_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(KeyboardInterrupt), Csv(path) as out:
        out.write(ROW)
        raise KeyboardInterrupt
    assert len(path.read_text().splitlines()) == 2
    assert [*tmp_path.iterdir()] == [path]
