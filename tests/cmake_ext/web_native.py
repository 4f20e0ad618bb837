"""What the package edgeemo-web must give: the values of the C engine on this machine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo import Session
from edgeemo.artifacts.models import DEFAULT, ZOO
from edgeemo.backends import Backend
from edgeemo.features import log_mel


def native(backend: Backend, samples: NDArray[np.float32]) -> dict[str, float]:
    """All values by name, by the C engine on this machine."""
    found = backend.run(log_mel(samples, backend.card.features)[np.newaxis])
    outputs = [backend.card.output(name) for name in found]
    labels = [label for output in outputs if output for label in output.labels]
    return dict(zip(labels, np.concatenate([v[0] for v in found.values()]).tolist(), strict=True))


def flat(item: dict[str, Any]) -> dict[str, float]:
    dimensions = {name: item[name] for name in ("arousal", "dominance", "valence")}
    return dimensions | item["classes"]


def native_stream(backend: Backend, samples: NDArray[np.float32]) -> list[dict[str, Any]]:
    """What the stream gives on this machine, in the package's form."""
    items: list[dict[str, Any]] = []
    for e in Session(backend, ZOO / f"{DEFAULT}.tflite").stream().push(samples):
        item: dict[str, Any] = {"status": "silent", "start": e.start, "end": e.end}
        if e.speech:
            item |= {"status": "listening", "classes": dict(e.classes), "confidence": e.confidence}
            item |= {"arousal": e.arousal, "dominance": e.dominance, "valence": e.valence}
            item["expression"] = e.expression
        items.append(item)
    return items
