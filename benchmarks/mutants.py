"""What happens to files that were changed on purpose? Every kind of file that edgeemo reads.

    python benchmarks/mutants.py [onnx tflite ...] --count 20000 --seed 1 --write

A mutant is a sound file of which a few fields were changed, with the digest put right, so that only
the guards stand between it and a runtime. An outcome is one of

    refused     an EdgeemoError of one printable line
    answer      the file was used, and what came out is finite
    traceback   any other exception; an answer that is not finite; an error of several lines
    lost        the process ended by a signal
    slow, large more than 5 s of processor time; more than 500 MB in the process

Only the first two are right; any other gives status 1. What a guard lets pass runs in a process of
its own. None is stored: seed and index make it again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import platform
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _mutators as mutators
from edgeemo.errors import EdgeemoError, require
from edgeemo.io.files import write_text

RESULT = Path(__file__).parent / "results" / "mutants.json"
SECONDS, MEGABYTES = 5.0, 500
RIGHT = ("answer", "refused")
_EXITS = ("answer", "refused", "traceback")


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        mutant: a damaged file's bytes.
        suffix: of its name.
        read: the guard, from a path; it raises EdgeemoError.
        use: what a user does with the file, in a process of its own; None where reading is all.
    """

    mutant: Callable[[Random], bytes]
    suffix: str
    read: Callable[[Path], Any]
    use: Callable[[Path], Any] | None = None


def _clip() -> np.ndarray[Any, Any]:
    """1.5 s that sound like a voice: a buzz of 120 Hz that comes and goes."""
    t = np.arange(24_000) / 16_000
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20))
    return np.asarray(0.1 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)), np.float32)


def _predict(path: Path, backend: str | None = None) -> None:
    import edgeemo

    session = edgeemo.load(path, backend)
    if session.card.task == "face":
        estimate = session.predict(np.full((64, 64, 3), 90, np.uint8))
    else:
        estimate = session.predict(_clip(), 16_000, gate=None)
    json.dumps(asdict(estimate), allow_nan=False)


def _models(suffix: str) -> list[Path]:
    """Shipped models; what runs them is imported here once, and not in each child."""
    from edgeemo.artifacts.models import resolve

    backend = suffix.removeprefix(".")
    require({"onnx": "onnxruntime", "tflite": "ai_edge_litert.interpreter"}[backend], backend)
    for module in (f"backends.{backend}", "backends.c", "artifacts.engine_blob"):
        import_module(f"edgeemo.{module}")
    return [resolve(name, backend) for name in ("wav2small-stream", "efficientnet-lite0-face")]


def onnx() -> Format:
    """Graphs."""
    from edgeemo.artifacts.card import from_json, to_json
    from edgeemo.artifacts.onnx import CARD_KEY, digest, read_onnx

    bases = [path.read_bytes() for path in _models(".onnx")]

    def seal(model: Any) -> bytes:
        (entry,) = (p for p in model.metadata_props if p.key == CARD_KEY)
        card = replace(from_json(entry.value), digest=digest(model.SerializeToString()))
        entry.value = to_json(card)
        return bytes(model.SerializeToString())

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

    def use(path: Path) -> None:
        with contextlib.suppress(EdgeemoError):
            _predict(path, "c")
        _predict(path, "tflite")

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
    tables = int(header["layers_at"] + 4 * len(layout["layer"]) * header["layers"])

    def model(path: Path) -> Any:
        try:
            return c._native.Model(path.read_bytes(), 64)
        except ValueError as error:  # what the binding raises for a status of the C library
            raise EdgeemoError(str(error)) from None

    def use(path: Path) -> None:
        engine = model(path)
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

    from edgeemo.artifacts.onnx import CARD_KEY, read_onnx

    base = library.load(_models(".onnx")[0])
    (entry,) = (p for p in base.metadata_props if p.key == CARD_KEY)
    text = json.loads(entry.value)

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


def outcome(run: Callable[[], Any]) -> tuple[str, str]:
    """Name of what happened, and a word on it."""
    try:
        run()
    except EdgeemoError as error:
        return ("refused", "") if str(error).isprintable() else ("traceback", "several lines")
    except BaseException:
        return "traceback", traceback.format_exc()
    return "answer", ""


def apart(run: Callable[[], Any], note: Path) -> tuple[str, str]:
    """The same in a process of its own, with what it took."""
    child = os.fork()
    if child == 0:
        signal.alarm(300)
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        name, word = outcome(run)
        note.write_text(word)
        os._exit(_EXITS.index(name))
    _, status, used = os.wait4(child, 0)
    if os.WIFSIGNALED(status):
        return "lost", signal.Signals(os.WTERMSIG(status)).name
    if used.ru_utime + used.ru_stime > SECONDS:
        return "slow", f"{used.ru_utime + used.ru_stime:.1f} s"
    if used.ru_maxrss > MEGABYTES * 1024:
        return "large", f"{used.ru_maxrss // 1024} MB"
    return _EXITS[os.WEXITSTATUS(status)], note.read_text()


def one(kind: Format, seed: int, index: int, folder: Path) -> tuple[str, str]:
    """Make a mutant, and see what happens to it."""
    rng = Random(f"{seed} {index}")
    while True:
        try:
            data = kind.mutant(rng)
            break
        except Exception:  # the tool that packs it refuses some values; the next one is taken
            continue
    path = folder / f"mutant{kind.suffix}"
    path.write_bytes(data)
    before = time.process_time()
    found = outcome(lambda: kind.read(path))
    took = time.process_time() - before
    if took > SECONDS:
        return "slow", f"{took:.1f} s in the guard"
    if found[0] == "answer" and kind.use is not None:
        use = kind.use
        return apart(lambda: use(path), folder / "note")
    return found


def outcomes(name: str, count: int, seed: int) -> Iterator[tuple[int, str, str]]:
    """Index, outcome and a word for all mutants of a format.

    They are made in a process that is begun anew when it is lost.
    """
    first = 0
    while first < count:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _keeper(name, first, count, seed, writer)
        os.close(writer)
        with os.fdopen(reader) as lines:
            for line in lines:
                index, found, word = json.loads(line)
                first = index + 1
                yield index, found, word
        _, status, used = os.wait4(child, 0)
        if first < count or status:
            yield first, "lost", f"the guard, status {status}"
            first += 1
        elif used.ru_maxrss > 2 * MEGABYTES * 1024:
            yield first - 1, "large", f"{used.ru_maxrss // 1024} MB in the guard"


def _keeper(name: str, first: int, count: int, seed: int, writer: int) -> None:
    logging.disable()
    kind = FORMATS[name]()
    with tempfile.TemporaryDirectory() as folder, os.fdopen(writer, "w", buffering=1) as out:
        for index in range(first, count):
            out.write(json.dumps([index, *one(kind, seed, index, Path(folder))]) + "\n")
    os._exit(0)


def main() -> int:
    """Run, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("--count", type=int, default=200, help="of each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"keep the counts in {RESULT.name}")
    args = parser.parse_args()
    wrong, results = 0, {}
    for name in args.formats or FORMATS:
        counts: Counter[str] = Counter()
        for index, found, word in outcomes(name, args.count, args.seed):
            counts[found] += 1
            if counts.total() % 1000 == 0:
                print(f"{counts.total()} of {args.count}", file=sys.stderr, flush=True)
            if found not in RIGHT:
                wrong += 1
                print(f"{name} {index}: {found}: {word}", flush=True)
        print(f"{name}: " + ", ".join(f"{n} {k}" for k, n in counts.most_common()), flush=True)
        results[name] = {
            "count": args.count,
            "seed": args.seed,
            "command": f"python benchmarks/mutants.py {name} --count {args.count} "
            f"--seed {args.seed} --write",
            "python": platform.python_version(),
            "outcomes": dict(counts.most_common()),
        }
    if args.write:
        before = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        write_text(RESULT, json.dumps(before | results, indent=1) + "\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
