"""The same picture gives the same emotion on every backend that a shipped model has a file for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeemo.artifacts.teachers_package import need
from edgeemo.backends import BACKENDS
from edgeemo.session import Session, load
from edgeemo.vision.images import preprocess
from edgeemo.vision.pictures import read_picture

LONDON = Path(__file__).parents[2] / "data" / "faces" / "london"
CLOSE = 0.15  # int8 files of two formats round in other places, as in benchmarks/latency.py


def sessions() -> dict[str, list[Session]]:
    """By name, each shipped model of faces on each backend."""
    found: dict[str, list[Session]] = {}
    for path in sorted(need("zoo").glob("*-face*")):
        for backend, ending in BACKENDS.items():
            # The engine in C is for speech.
            if path.suffix == ending and backend != "c":
                found.setdefault(path.stem, []).append(load(path, backend))
    return found


def test_backends_agree_on_real_faces() -> None:
    pictures = [read_picture(file) for file in sorted(LONDON.glob("*.jpg"))]
    assert len(pictures) == 12
    for name, loaded in sessions().items():
        assert {s.card.task for s in loaded} == {"face"}, name
        values = [[list(s.predict(p).classes.values()) for p in pictures] for s in loaded]
        for other in values[1:]:
            apart = np.abs(np.array(values[0]) - np.array(other))
            assert apart.max() < CLOSE, name
            assert apart.mean() < CLOSE / 10, name
        # The limit would notice another picture.
        assert np.abs(np.array(values[0]) - np.roll(values[0], 1, axis=0)).max() > CLOSE, name


def test_a_mirror_changes_nothing() -> None:
    picture = read_picture(sorted(LONDON.glob("*.jpg"))[0])
    session = load("efficientnet-lite0-face")
    assert session.predict(picture) == session.predict(picture[:, ::-1])
    one_sided = session.backend.run(preprocess(picture, None, session.card.image))["probs"][0]
    assert np.abs(one_sided - list(session.predict(picture).classes.values())).max() > 1e-3
