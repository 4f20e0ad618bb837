"""What the shipped models say of the shipped clips: the same through any change of the code.

shipped.json was made at the commit before the folders were sorted, and must stay as it is until a
model is replaced: `python tests/e2e/test_shipped.py` then writes it anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo.artifacts.models import Model, shipped
from edgeemo.artifacts.teachers_package import need

DATA = Path(__file__).parents[1] / "data"
HELD = DATA / "shipped.json"


def runs() -> Iterator[tuple[str, Model, str]]:
    """Each shipped model on each of its backends."""
    for model in shipped():
        speech = model.format == "tflite" and model.card.task == "speech"
        for backend in ("tflite", "c") if speech else (model.format,):
            yield f"{model.path.name}:{backend}", model, backend


def estimates(model: Model, backend: str) -> np.ndarray:
    """Dimensions (those that there are) and classes of each clip or face, [N, outputs]."""
    from edgeemo.vision.pictures import read_picture

    session = edgeemo.load(model.path, backend)
    rows = []
    if model.card.task == "speech":
        for path in sorted(need("speech").rglob("*.flac")):
            rows.append(session.predict(edgeemo.read_audio(path), gate=None))
    else:
        for path in sorted((DATA / "faces").rglob("*.jpg")):
            rows.append(session.predict(read_picture(path)))
    return np.array(
        [
            [v for v in (e.arousal, e.dominance, e.valence) if v is not None]
            + list(e.classes.values())
            for e in rows
        ]
    )


def summary(model: Model, backend: str) -> dict[str, object]:
    """Means, and for the engine, whose bits no machine changes, the digest of all numbers."""
    found = estimates(model, backend)
    held: dict[str, object] = {"mean": found.mean(0).round(6).tolist(), "clips": len(found)}
    if backend == "c":
        held["sha256"] = hashlib.sha256(found.astype("<f8").tobytes()).hexdigest()
    return held


@pytest.mark.parametrize("name", [name for name, *_ in runs()])
def test_estimates_are_those_of_before(name: str) -> None:
    held = json.loads(HELD.read_text())[name]
    model, backend = next((m, b) for n, m, b in runs() if n == name)
    found = summary(model, backend)
    assert found["clips"] == held["clips"] and found.get("sha256") == held.get("sha256")
    # A runtime's own kernels differ by processor, an int8 step at most.
    assert np.allclose(found["mean"], held["mean"], atol=2e-3)


if __name__ == "__main__":
    HELD.write_text(json.dumps({n: summary(m, b) for n, m, b in runs()}, indent=1) + "\n")
