"""`edgeemo predict`: arousal, dominance, valence and classes of sound, pictures and video."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edgeemo.artifacts.models import DEFAULT, FACE_DEFAULT
from edgeemo.backends import BACKENDS
from edgeemo.cli._options import add_profile
from edgeemo.errors import BadInput
from edgeemo.faces import DETECTORS, Faces
from edgeemo.faces.detectors import DEFAULT as DETECTOR
from edgeemo.faces.intervals import windows
from edgeemo.inputs import SUFFIXES, Input, Kind, files
from edgeemo.session import Session, load
from edgeemo.types import Emotion

if TYPE_CHECKING:
    from edgeemo.speech.profile import SpeakerProfile

HELP = (
    "Estimate how speech in sound files, and faces in pictures and video, would be perceived. "
    "Folders are searched. A picture gives a line for each face, a video one for each face and "
    "second. A file that cannot be used is reported in its line, the rest goes on, and the exit "
    "status is 1."
)

Row = dict[str, Any]

_NUMBERS = ("arousal", "dominance", "valence", "classes", "confidence", "start", "end")
_KINDS: dict[str, tuple[Kind, ...]] = {"speech": ("sound",), "face": ("picture", "video")}
_EARLY = 0.8  # of the length that a video promises; containers are off by some frames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="a file of sound, a picture, a video, or a folder"
    )
    parser.add_argument(
        "--model",
        metavar="M",
        help="name of a shipped model or path of a file (default: "
        f"{DEFAULT} for sound, {FACE_DEFAULT} for faces)",
    )
    parser.add_argument(
        "--backend", choices=sorted(BACKENDS), help="what runs the model (default: by its ending)"
    )
    parser.add_argument(
        "--detector",
        choices=list(DETECTORS),
        default=DETECTOR,
        help="what finds faces; none: each picture is a face already (default: %(default)s)",
    )
    add_profile(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Predict every file; 1 if one could not be used."""
    predictor = Predictor(args.model, args.backend, args.detector, args.profile)
    failed = False
    table = None if args.json else _Table()
    for file in files(args.paths, predictor.kinds):
        for row in predictor.rows(file):
            failed |= "error" in row
            print(json.dumps(row, ensure_ascii=False) if table is None else table.line(row))
            # A reader at the other end of a pipe sees each line when it is done.
            sys.stdout.flush()
    return int(failed)


class Predictor:
    """Lines of files. A model is loaded when the first file asks for it.

    Attributes:
        kinds: what is taken in folders.
    """

    def __init__(
        self, model: str | None, backend: str | None, detector: str, baseline: str | None
    ) -> None:
        self._backend, self._detector = backend, detector
        self._baseline: SpeakerProfile | None = None
        if baseline is not None:
            from edgeemo.speech.profile import load_profile

            self._baseline = load_profile(baseline)
        self._named = None if model is None else load(model, backend)
        self._loaded: dict[str, Session] = {}
        self._faces: Faces | None = None
        task = None if self._named is None else self._named.card.task
        self.kinds: tuple[Kind, ...] = tuple(SUFFIXES) if task is None else _KINDS[task]

    def rows(self, file: Input) -> Iterator[Row]:
        """The lines of a file: its estimates, and the error that ended it."""
        try:
            if file.error:
                raise BadInput(file.error)
            if file.kind == "sound":
                yield self._sound(file.path)
            elif file.kind == "picture":
                yield from self._picture(file.path)
            else:
                yield from self._video(file.path)
        except BadInput as error:
            yield {"path": file.path, "error": str(error)}

    def _session(self, task: str) -> Session:
        if self._named is not None:
            card = self._named.card
            if card.task != task:
                what = " or ".join(_KINDS[card.task])
                raise BadInput(f"{card.name} is a model of {card.task}; give it {what}")
            return self._named
        if task not in self._loaded:
            name = DEFAULT if task == "speech" else FACE_DEFAULT
            self._loaded[task] = load(name, self._backend)
        return self._loaded[task]

    def _sound(self, path: str) -> Row:
        from edgeemo.audio import read_audio

        session = self._session("speech")
        rate = session.card.features.sample_rate
        samples = read_audio(path, rate)
        return {"path": path} | _values(session.predict(samples, rate, profile=self._baseline))

    def _finder(self) -> Faces:
        if self._faces is None:
            self._faces = Faces(self._session("face"), self._detector)
        return self._faces

    def _picture(self, path: str) -> Iterator[Row]:
        from edgeemo.vision.pictures import read_picture

        found = self._finder().find(read_picture(path))
        if not found:
            raise BadInput(_no_face(self._detector))
        for number, emotion in enumerate(found, 1):
            yield _face(path, number, emotion)

    def _video(self, path: str) -> Iterator[Row]:
        from edgeemo.vision.video import Video

        finder = self._finder()
        with Video(path) as video:
            found = False
            for tracked in windows(finder.track(video.frames())):
                found = True
                yield _face(path, tracked.id, tracked.emotion)
            if video.last is None:
                raise BadInput(f"{path}: no frame can be decoded; the file is damaged")
            if video.last < _EARLY * video.seconds - 1 / video.rate:
                raise BadInput(f"{path}: ends after {video.last:.2f} s of {video.seconds:.2f} s")
            if not found:
                raise BadInput(_no_face(self._detector))


def _no_face(detector: str) -> str:
    return f"no face found by {detector}; if the picture is a face, use --detector none"


def _face(path: str, number: int, emotion: Emotion) -> Row:
    box = None if emotion.box is None else list(emotion.box)
    return {"path": path, "face": number, "box": box} | _values(emotion)


def _values(emotion: Emotion) -> Row:
    found = asdict(emotion)
    return {key: _rounded(found[key]) for key in _NUMBERS}


class _Table:
    """Lines for people: a head first, then a line for each estimate."""

    def __init__(self) -> None:
        self._started = False

    def line(self, row: Row) -> str:
        head = "" if self._started else "arousal  dominance  valence  class            file\n"
        self._started = True
        if "error" in row:
            return f"{head}{'-':>7}  {'-':>9}  {'-':>7}  {'-':<15}  {row['path']}: {row['error']}"
        values = [_cell(row[name]) for name in ("arousal", "dominance", "valence")]
        best = max(row["classes"], key=row["classes"].get, default="")
        label = f"{best} {row['classes'][best]:.2f}" if best else "-"
        line = f"{head}{values[0]:>7}  {values[1]:>9}  {values[2]:>7}  {label:<15}  {row['path']}"
        if "face" not in row:
            return line
        # A still picture has no duration.
        time = f", {row['start']:.1f} to {row['end']:.1f} s" if row["end"] else ""
        return f"{line}  face {row['face']} at {tuple(row['box'])}{time}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _rounded(value: Any) -> Any:
    """Four digits: the models are not better than two, and lines stay readable."""
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value
