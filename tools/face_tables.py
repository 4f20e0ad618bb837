"""Ready a table of faces for training: boxes, votes, and some people put aside.

    python tools/face_tables.py FACES.parquet --folds 5 --fold 0 [--detect] -o FOLDER

writes FOLDER/train.parquet and FOLDER/valid.parquet, as `edgeemo distill --task face` reads them. A
person, by the column `person`, lies in one of the two; a picture without a name is a person of its
own. Which fold a person is in depends on the name alone. Without --fold nobody is put aside.

--detect finds the face of each picture with the detector that `edgeemo predict` uses. Columns
share_CLASS, shares of observers, become votes; observers who could not choose "neutral" have no say
where the performer was asked for it (column `meant`).
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeemo.cli import exit_status
from edgeemo.compress.data.fer import VOTES, read_columns
from edgeemo.errors import BadData, BadInput, counted, require, within
from edgeemo.faces.detectors import DEFAULT, open_detector
from edgeemo.io.files import check_output, replacing
from edgeemo.vision.pictures import read_picture

SIDES = ("box_x0", "box_y0", "box_x1", "box_y1")

Rows = list[dict[str, Any]]


def fold_of(person: str, folds: int) -> int:
    """The fold that a person belongs to, 0 to folds - 1.

    Args:
        person: any name.
        folds: how many there are.
    """
    return int.from_bytes(hashlib.sha256(person.encode()).digest()[:8], "big") % folds


def votes(row: dict[str, Any]) -> dict[str, float]:
    """Votes of a row with the columns share_CLASS, which sum to ten.

    Args:
        row: of the table.
    """
    if row.get("meant") == "neutral":
        return {name: 10.0 * (name == "neutral") for name in VOTES}
    given = {name: row.get(f"share_{name}") for name in VOTES}
    shares = {
        name: within(f"{row['name']}: share_{name}", share, 0, 100)
        for name, share in given.items()
        if share is not None
    }
    total = sum(shares.values())
    if total <= 0:
        raise BadData(f"{row['name']}: no observer named a class; leave the row out")
    return {name: 10 * shares.get(name, 0.0) / total for name in VOTES}


def rows_of(table: Path) -> Rows:
    """Rows of a table of faces.

    Args:
        table: with the columns `name` and `image`, and votes, shares or `expression`.

    Raises:
        BadData: not such a table, or a row without a name or the bytes of a picture.
    """
    columns = read_columns(table)
    labels = all(name in columns for name in VOTES) or "expression" in columns
    if not {"name", "image"} <= columns.keys() or not (
        labels or any(f"share_{name}" in columns for name in VOTES)
    ):
        raise BadData(
            f"{table}: columns {', '.join(columns)}; expected name, image and votes, share_CLASS "
            "or expression"
        )
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for number, row in enumerate(rows):
        if not row["name"] or not isinstance(row["image"], bytes):
            raise BadData(
                f"{table}, row {number}: expected a name, and an image that is the bytes of a "
                "picture file"
            )
    return rows


def ready(rows: Rows, detect: bool) -> Rows:
    """Rows with name, image and person, votes or expression, and boxes.

    Args:
        rows: of a table of faces.
        detect: find the faces; a picture without one is taken whole.
    """
    detector = open_detector(DEFAULT) if detect else None
    found = []
    for row in rows:
        made = {name: row.get(name) for name in ("name", "image", "person")}
        made |= {side: row[side] for side in SIDES if side in row}
        if all(name in row for name in VOTES):
            made |= {name: row[name] for name in VOTES}
        elif any(name.startswith("share_") for name in row):
            made |= votes(row)
        else:
            made["expression"] = row.get("expression")
        if detector is not None:
            faces = detector.find(read_picture(row["image"], str(row.get("name"))))
            made |= dict(zip(SIDES, faces[0].box if faces else [None] * 4, strict=True))
        found.append(made)
    return found


def write_tables(args: argparse.Namespace) -> None:
    """What the command does, from its arguments."""
    pa, pq = require("pyarrow", "train"), require("pyarrow.parquet", "train")
    files = [args.out / "train.parquet", args.out / "valid.parquet"]
    check_output(args.out, folder=True)
    for file in files:
        check_output(file, inputs=[args.table])
    parts: tuple[Rows, Rows] = ([], [])
    for row in ready(rows_of(args.table), args.detect):
        parts[fold_of(str(row["person"] or row["name"]), args.folds) == args.fold].append(row)
    for file, rows in zip(files, parts, strict=True):
        if not rows and file.exists():
            # Left there it would hold people of the other part.
            raise BadInput(f"{file}: is of other faces, and nobody comes there now; remove it")
    args.out.mkdir(parents=True, exist_ok=True)
    for file, rows in zip(files, parts, strict=True):
        if rows:
            with replacing(file) as temporary:
                pq.write_table(pa.Table.from_pylist(rows), temporary)
            print(f"{file}: {counted(len(rows), 'picture')}")


def main(argv: Sequence[str] | None = None) -> int:
    """Write both tables; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--fold", type=int, help="which one is put aside")
    parser.add_argument("--detect", action="store_true", help="find the faces")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the two tables")
    args = parser.parse_args(argv)
    if args.folds < 2:
        parser.error(f"--folds {args.folds}: expected 2 or more")
    if args.fold is not None and not 0 <= args.fold < args.folds:
        parser.error(f"--fold {args.fold}: expected 0 to {args.folds - 1}")
    return exit_status(lambda: write_tables(args))


if __name__ == "__main__":
    sys.exit(main())
