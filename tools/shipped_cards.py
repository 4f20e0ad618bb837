"""Write on the cards of shipped models what taught and what measured them, or check it.

    python tools/shipped_cards.py --data DATA           rewrites the cards
    python tools/shipped_cards.py --data DATA --check   compares, writes nothing

Weights and estimates stay as they are, bit for bit. Students of which today's writer makes a
smaller file are written anew, which changes the digest of an ONNX file; a teacher's file stays, as
labels are kept by the digest of what made them: a card is no part of it. Which clips a
model was trained on follows from the recipes beside this file, as `tools/make_student.py`,
`tools/make_teacher.py` and `tools/open_weights.py` split the corpora. Metrics are those of
benchmarks/results, which the README shows too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from _provenance import ROOT, load_provenance, provenance_file
from average_faces import face_metrics

from edgeemo.artifacts.card import NOT_VALIDATED_FOR_FACE, Card, Metric
from edgeemo.artifacts.licences import weights_licence
from edgeemo.artifacts.models import Model, shipped
from edgeemo.artifacts.onnx import check as check_onnx
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.artifacts.tflite import check as check_tflite
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.artifacts.trained_on import TrainedOn
from edgeemo.cli import exit_status
from edgeemo.compress.data import Clip, open_dataset, split_by_speaker
from edgeemo.compress.data.splits import split_as_published
from edgeemo.compress.evaluation.folds import Folds
from edgeemo.compress.exposure import STARTS, exposure_of
from edgeemo.compress.recipes import load_recipe
from edgeemo.export.graph import onnx
from edgeemo.export.onnx_writer import replace_card, with_card
from edgeemo.export.open_teacher import open_speech
from edgeemo.export.research_speech import research_speech
from edgeemo.export.tflite_writer import with_card as with_tflite_card
from edgeemo.io.files import write_bytes

RESULTS = ROOT / "benchmarks" / "results"
FACE_RECIPES = ("efficientnet-lite0-face", "face-teacher", "face-teacher-identity")


def of_teacher(data: Path) -> TrainedOn:
    """The built-in teacher: all of speech/, and bursts of the voice."""
    return exposure_of(research_speech(data))


def of_student(data: Path) -> TrainedOn:
    """The shipped student: what no round tested on, and all of the annotated corpus."""
    clips, kept = open_dataset(data / "speech").clips, dict[str, Clip]()
    for each in load_provenance("wav2small-stream").rounds:
        recipe = load_recipe(provenance_file("wav2small-stream").parent / each.recipe)
        train, valid, _ = split_by_speaker(clips, recipe.seed, recipe.data.shares)
        groups = {clip.group for clip in (*train, *valid)} | set(Folds.valid)
        kept |= {c.id: c for c in clips if c.group in groups or c.corpus == Folds.corpus}
    return exposure_of(kept.values()).joined(exposure_of(clips).as_teacher())


def of_open_teacher(data: Path) -> TrainedOn:
    """teacher-open: all clips of corpora that may teach it."""
    return exposure_of(open_speech(data))


def of_open_student(data: Path) -> TrainedOn:
    """Its student: what its run did not test on."""
    speech, recipe = open_speech(data), load_recipe("wav2small-stream-open")
    train, valid, _ = split_by_speaker(speech.clips, recipe.seed, recipe.data.shares)
    return exposure_of((*train, *valid)).joined(exposure_of(speech).as_teacher())


def of_faces(data: Path) -> TrainedOn:
    """Models of faces: FER+ without its test split."""
    clips, kept = open_dataset(data / "ferplus").clips, dict[str, Clip]()
    for name in FACE_RECIPES:
        recipe = load_recipe(name)
        train, valid, _ = split_as_published(clips, recipe.seed, recipe.data.shares)
        kept |= {clip.id: clip for clip in (*train, *valid)}
    return exposure_of(kept.values())


def of_face_teacher(data: Path) -> TrainedOn:
    """The built-in teacher of faces: FER+, and what taught the student among its networks.

    Its second network learned no others (tools/recipes/teacher-face).
    """
    student = read_onnx(ROOT / "tools/recipes/mobilenetv1-face/round-6.onnx").card.trained_on
    return of_faces(data).joined(student or TrainedOn())


OF = {
    "wav2small-stream": of_student,
    "teacher": of_teacher,
    "teacher-open": of_open_teacher,
    "wav2small-stream-open": of_open_student,
    "efficientnet-lite0-face": of_faces,
    "teacher-face": of_face_teacher,
}
"""What taught a shipped model, by its name; others carry what `edgeemo distill` wrote."""


FIRST_WEIGHTS = {
    "efficientnet-lite0-face": ("efficientnet-lite0-57934424",),
    "mobilenetv1-face": ("faceres",),
    "teacher-face": ("faceres", "mobilefacenet"),
}
"""Published weights that the first round of a shipped model began with, by its name."""


NEVER_RATED = "arousal and valence, which no annotator of its faces rated"


def of_face(card: Card) -> Card:
    """The card of a model of faces with what nobody rated, and the start of its first round.

    The published start stands in place of the rounds between.
    """
    starts = [STARTS[name] for name in FIRST_WEIGHTS.get(card.name, ())]
    if not starts or card.trained_on is None:
        return card
    between = "first weights "
    teachers = tuple(s for s in card.teachers if not s.name.startswith(between))
    teachers += tuple(start.source for start in starts)
    unknown = tuple(n for n in card.trained_on.unknown if not n.startswith(between))
    known = TrainedOn(corpora=tuple(name for start in starts for name in start.corpora))
    return replace(
        card,
        teachers=teachers,
        not_validated_for=(*NOT_VALIDATED_FOR_FACE, NEVER_RATED),
        licence=weights_licence((*teachers, *card.data)),
        trained_on=replace(card.trained_on, unknown=unknown).joined(known),
    )


ROUNDS = ("wav2small-stream", "wav2small-stream-sounds")
"""Students of several rounds that the same corpora and teacher taught."""


def of_rounds(card: Card) -> Card:
    """The card without the file that the last round began with, which nothing else taught.

    Nor does it name a corpus among `attributions` that does not ask for it (CC0), or with no more
    than `data` tells of it unless what it gives is to be shared alike.
    """
    if card.name not in ROUNDS:
        return card
    teachers = tuple(s for s in card.teachers if not s.name.startswith("first weights "))
    told = {f"{s.name} ({s.licence})." for s in card.data if "BY-SA" not in s.licence}
    return replace(
        card,
        teachers=teachers,
        licence=weights_licence((*teachers, *card.data)),
        attributions=tuple(x for x in card.attributions if x not in told and "CC0" not in x),
    )


def metrics_of(card: Card) -> tuple[Metric, ...]:
    """What the benchmarks measured of the model; its own where no benchmark names it."""
    if card.task == "face":
        return face_metrics(RESULTS / "faces.json", card.name)
    files = {"wav2small-stream": "crossval.json", "teacher": "teacher.json"}
    if card.name not in files:
        return card.metrics
    metrics = json.loads((RESULTS / files[card.name]).read_text(encoding="utf-8"))["metrics"]
    own = metrics if card.name == "teacher" else metrics["student"]
    return tuple(Metric(**metric) for metric in own)


def card_of(path: Path, data: bytes) -> Card:
    """The card inside a file's bytes."""
    check = check_tflite if path.suffix == ".tflite" else check_onnx
    return check(data).card


def with_new_card(path: Path, card: Card) -> bytes:
    """The file with another card; a student's graph as small as today's writer makes it."""
    if path.suffix == ".tflite":
        return with_tflite_card(read_tflite(path).model, card)
    data = read_onnx(path).data
    if _is_teacher(path):
        return replace_card(data, card)
    return min(replace_card(data, card), with_card(onnx.load_from_string(data), card), key=len)


def _is_teacher(path: Path) -> bool:
    return path.stem.startswith("teacher")


def rewritten(data: Path) -> Iterator[tuple[Model, bytes]]:
    """Each shipped model, and its file as it should be."""
    known: dict[str, TrainedOn] = {}
    for model in shipped():
        if model.name in OF and model.name not in known:
            known[model.name] = OF[model.name](data)
        trained_on = known.get(model.name, model.card.trained_on)
        card = replace(model.card, trained_on=trained_on, metrics=metrics_of(model.card))
        yield model, with_new_card(model.path, of_face(of_rounds(card)))


def rewrite(data: Path, check: bool) -> int:
    """Write the files that differ, or count them alone; the exit status."""
    faults = 0
    for model, made in rewritten(data):
        # A teacher's labels are kept by the bytes of its file: one that says the same stays.
        card = replace(card_of(model.path, made), digest=model.card.digest)
        smaller = not _is_teacher(model.path) and len(made) < model.path.stat().st_size
        same = card == model.card and not smaller
        faults += not same
        if not same and not check:
            write_bytes(model.path, made)
        print(f"{model.path.name}: {len(made)} bytes, {'as it was' if same else 'differs'}")
    return int(faults > 0 and check)


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite or check; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds speech/, voices/, ferplus/")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args(argv)
    return exit_status(lambda: rewrite(args.data, args.check))


if __name__ == "__main__":
    sys.exit(main())
