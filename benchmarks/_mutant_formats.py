"""The kinds of file that `mutants.py` changes: how a mutant is made, read and used."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks import _mutators as mutators
from edgeemo.errors import EdgeemoError


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        mutant: a damaged file's bytes.
        suffix: of its name.
        read: the guard, from a path; it raises EdgeemoError.
        use: what a user does with the file, in a process of its own: it is given the path and what
            `read` made of it. None where reading is all.
    """

    mutant: Callable[[Random], bytes]
    suffix: str
    read: Callable[[Path], Any]
    use: Callable[[Path, Any], Any] | None = None


@cache
def _clip() -> np.ndarray[Any, Any]:
    """1.5 s that sound like a voice: a buzz of 120 Hz that comes and goes."""
    t = np.arange(24_000) / 16_000
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20))
    return np.asarray(0.1 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)), np.float32)


def _predict(path: Path, file: Any, backend: str | None = None) -> None:
    from edgeemo.backends import open_backend
    from edgeemo.session import Session

    session = Session(open_backend(path, backend, file), path)
    if session.card.task == "face":
        estimate = session.predict(np.full((64, 64, 3), 90, np.uint8))
    else:
        estimate = session.predict(_clip(), 16_000, gate=None)
    json.dumps(asdict(estimate), allow_nan=False)


def _models(suffix: str) -> list[Path]:
    """Shipped models; what runs them is imported and has run here once, and not in each child."""
    from edgeemo.artifacts.models import resolve
    from edgeemo.artifacts.reading import read_model

    names = ("wav2small-stream", "efficientnet-lite0-face")
    paths = [resolve(name, suffix.removeprefix(".")) for name in names]
    for path in paths:
        _predict(path, read_model(path))
    return paths


def onnx() -> Format:
    """Graphs."""
    from edgeemo.artifacts.card import from_json
    from edgeemo.artifacts.onnx import digest, find_card, read_onnx
    from edgeemo.export.onnx_writer import card_behind

    bases = [path.read_bytes() for path in _models(".onnx")]
    card_of = cache(from_json)

    def seal(model: Any) -> bytes:
        whole = model.SerializeToString()
        card = replace(card_of(find_card(whole)), digest=digest(whole))
        model.DiscardUnknownFields()
        return card_behind(model.SerializeToString(), card)

    def mutant(rng: Random) -> bytes:
        return mutators.onnx_model(rng, rng.choice([bases[0], bases[0], bases[1]]), seal)

    return Format(mutant, ".onnx", read_onnx, _predict)


def tflite() -> Format:
    """Flatbuffers, for LiteRT and for the C engine."""
    from edgeemo.artifacts.tflite import check, read_tflite

    bases = [check(path.read_bytes()) for path in _models(".tflite")]

    def mutant(rng: Random) -> bytes:
        base = rng.choice([bases[0], bases[0], bases[1]])
        return mutators.tflite_file(mutators.tflite_model(rng, base.model), base.card)

    def use(path: Path, file: Any) -> None:
        with contextlib.suppress(EdgeemoError):
            _predict(path, file, "c")
        _predict(path, file, "tflite")

    return Format(mutant, ".tflite", read_tflite, use)


def blob() -> Format:
    """Blobs of the C engine, which come from a checked model or lie in a firmware."""
    from edgeemo.artifacts.engine_blob import compile_graph
    from edgeemo.artifacts.engine_compiler import LAYOUT as layout
    from edgeemo.artifacts.tflite import read_tflite
    from edgeemo.artifacts.tflite_graph import read_graph
    from edgeemo.backends import c

    made = compile_graph(read_graph(read_tflite(_models(".tflite")[0]).model))
    names = layout["header"]
    header = dict(zip(names, np.frombuffer(made.data, "<i4", len(names)), strict=True))
    layer = struct.calcsize(layout["layer_format"])
    tables = int(header["layers_at"]) + layer * int(header["layers"])

    def model(path: Path) -> Any:
        try:
            return c._native.Model(path.read_bytes(), 64)
        except ValueError as error:  # what the binding raises for a status of the C library
            raise EdgeemoError(str(error)) from None

    def use(path: Path, engine: Any) -> None:
        info = engine.info()
        rows = np.zeros((130, info["columns"] * info["channels"]), np.float32)
        values = np.zeros(info["values"], np.float32)
        for _ in range(2):
            if engine.push(rows) < 0 or engine.outputs(values) < 0:
                raise EdgeemoError("refused while running")
            engine.reset()

    return Format(lambda rng: mutators.blob(rng, made.data, tables), ".bin", model, use)


def card() -> Format:
    """Cards: they are no part of what the digest covers."""
    import onnx as library

    from edgeemo.artifacts.onnx import CARD_KEY, find_card, read_onnx

    base = library.load(_models(".onnx")[0])
    text = json.loads(find_card(base.SerializeToString()))
    base.DiscardUnknownFields()
    del base.metadata_props[:]
    entry = base.metadata_props.add(key=CARD_KEY)

    def mutant(rng: Random) -> bytes:
        entry.value = mutators.text_of(rng, text).decode("utf-8", "replace")
        return bytes(base.SerializeToString())

    return Format(mutant, ".onnx", read_onnx, _predict)


def recipe() -> Format:
    """Recipes: all that are shipped."""
    from edgeemo.compress.recipes import load_recipe, recipe_names
    from edgeemo.compress.recipes.file import FOLDER

    texts = [(FOLDER / f"{name}.toml").read_text() for name in recipe_names()]
    return Format(
        lambda rng: mutators.lines(rng, rng.choice(texts), "= ,.[]{}"), ".toml", load_recipe
    )


def profile() -> Format:
    """Profiles of a speaker: a level, and a head."""
    import edgeemo
    from edgeemo.speech import profile as profiles

    session = edgeemo.load("wav2small-stream")
    outputs = {o.name: np.full(len(o.labels), 0.3, np.float32) for o in session.card.outputs}
    head = profiles.fit_head(session.card, [outputs] * 3, np.full((3, 3), 0.4))
    level = type(head)(1, "calm", 3.0, "", "", (), (), 30.0, 4)
    texts = [asdict(head), asdict(level)]

    def read(path: Path) -> None:
        made = profiles.load_profile(path)
        estimate = session.predict(_clip(), 16_000, profile=made, gate=None)
        json.dumps(asdict(estimate), allow_nan=False)

    return Format(lambda rng: mutators.text_of(rng, rng.choice(texts)), ".json", read)


_TABLE = """path,speaker,sex,emotion,arousal,dominance,valence,votes_anger,votes_fear,r1_emotion
a.wav,p1,F,anger,0.8,0.6,0.2,3,1,anger
b/c.wav,p2,M,,0.3,0.4,0.5,0,0,
"d, e.wav",p3,,fear,,,,,2,fear
"""


def table() -> Format:
    """Label tables."""
    from edgeemo.compress.data import open_dataset

    def read(path: Path) -> None:
        folder = path.parent / "table"
        folder.mkdir(exist_ok=True)
        path.replace(folder / "labels.csv")
        for clip in open_dataset(folder):
            assert clip.span.path.resolve().is_relative_to(folder.resolve()), "outside"

    return Format(lambda rng: mutators.lines(rng, _TABLE, ',".'), ".csv", read)


def shard() -> Format:
    """Tar shards of sound and labels."""
    import io

    import soundfile

    from edgeemo.compress.data import open_dataset

    sound = io.BytesIO()
    soundfile.write(sound, _clip()[:4000], 16_000, format="FLAC")
    labels = {"speaker": "p1", "arousal": 0.5, "dominance": 0.5, "valence": 0.5}
    members = [
        (f"{key}.{kind}", data)
        for key in ("a", "b/c")
        for kind, data in (
            ("flac", sound.getvalue()),
            ("json", json.dumps(labels | {"votes": {"anger": 2}}).encode()),
        )
    ]

    def read(path: Path) -> None:
        for clip in open_dataset(path):
            clip.samples()

    return Format(lambda rng: mutators.shard(rng, members), ".tar", read)


FORMATS: dict[str, Callable[[], Format]] = {
    "onnx": onnx,
    "tflite": tflite,
    "blob": blob,
    "card": card,
    "recipe": recipe,
    "profile": profile,
    "table": table,
    "shard": shard,
}
