"""AffectNet in both of its releases: whole photographs with face boxes, or cropped faces.

Source: A. Mollahosseini et al., AffectNet, IEEE Transactions on Affective Computing 10(1), 2019.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgeemo.errors import BadData

from .clips import LOG, Clip, Span
from .face_clips import face_clip
from .tables import read_table, relative_path

_AFFECTNET = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
_COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)


def find_list(folder: Path, stem: str) -> Path | None:
    """The first release's list of photographs, if it is there.

    Args:
        folder: of the corpus.
        stem: "training" or "validation".
    """
    found = sorted(folder.rglob(f"{stem}.csv"))
    return next((f for f in found if _COLUMNS[0] in _head(f) or _is_headless(f)), None)


def _is_headless(file: Path) -> bool:
    """Whether a table has the release's columns and no line that names them."""
    cells = _head(file).split(",")
    numbers = [c.strip().lstrip("-").isdigit() for c in cells[1:5]]
    return len(cells) == len(_COLUMNS) and "/" in cells[0] and all(numbers)


def _pictures_folder(file: Path) -> Path:
    """The folder of the pictures: usual copies have the lists beside it, or in a folder beside."""
    for folder in (file.parent, file.parent.parent):
        found = [d for d in sorted(folder.rglob("Manually_Annotated_Images")) if d.is_dir()]
        if found:
            return found[0]
    return file.parent


def _head(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as text:
        return text.readline(4096)


def read_affectnet(folder: Path) -> Iterator[Clip]:
    """training.csv and validation.csv over whole photographs with face boxes."""
    need = [c for c in _COLUMNS if c != "facial_landmarks"]
    for automatic in sorted(folder.rglob("automatically_annotated.csv")):
        LOG.warning("%s: left out; a machine has labelled these pictures", automatic)
    for stem, split in (("training", "train"), ("validation", "valid")):
        file = find_list(folder, stem)
        if file is None:
            continue
        root = _pictures_folder(file)
        columns = _COLUMNS if _is_headless(file) else None
        if columns is not None:
            LOG.warning("%s: has no line of column names; the release's are taken", file)
        for row in read_table(file, need, columns=columns):
            number = int(row.number("expression", 0, 10) or 0)
            if number >= len(_AFFECTNET):  # none, uncertain, no face
                continue
            path = relative_path(row, row.values[need[0]], root)
            left, top, width, height = (row.number(c, -1e5, 1e5) or 0.0 for c in need[1:5])
            yield face_clip(
                "affectnet",
                path,
                Span(root / path),
                word=_AFFECTNET[number],
                split=split,
                box=(left, top, left + width, top + height),
                dimensions=_circumplex(row.number("valence", -2, 1), row.number("arousal", -2, 1)),
            )


def read_affectnet_arrays(folder: Path) -> Iterator[Clip]:
    """train_set/ and val_set/ with images/N.jpg and annotations/N_exp.npy, N_val.npy, N_aro.npy."""
    for split_folder in sorted({f.parent.parent for f in folder.rglob("annotations/*_exp.npy")}):
        split = "train" if split_folder.name.startswith("train") else "valid"
        for file in sorted((split_folder / "annotations").glob("*_exp.npy")):
            stem = file.name.removesuffix("_exp.npy")
            label, valence, arousal = (
                _number_in(file.with_name(f"{stem}_{kind}.npy")) for kind in ("exp", "val", "aro")
            )
            if label is None or not 0 <= label < len(_AFFECTNET):
                continue
            image = split_folder / "images" / f"{stem}.jpg"
            yield face_clip(
                "affectnet",
                image.relative_to(folder).as_posix(),
                Span(image),
                split=split,
                word=_AFFECTNET[int(label)],
                dimensions=_circumplex(valence, arousal),
            )


def _number_in(file: Path) -> float | None:
    """The one number of a .npy file, which AffectNet writes as text."""
    if not file.is_file():
        return None
    try:
        # From bytes, so that a file which promises too much is refused by its own length.
        value = np.load(io.BytesIO(file.read_bytes()), allow_pickle=False)
        return float(value.reshape(-1)[0])
    except (OSError, ValueError, IndexError, EOFError) as error:
        raise BadData(f"{file}: holds no number ({str(error)[:80]})") from None


def _circumplex(valence: float | None, arousal: float | None) -> tuple[float, float, float] | None:
    """-1..1 to 0..1, dominance unknown; AffectNet writes -2 where nobody said."""
    if valence is None or arousal is None or min(valence, arousal) < -1:
        return None
    return (arousal + 1) / 2, float("nan"), (valence + 1) / 2
