"""Rows of `edgeemo predict`: what a file of sound, a picture or a video gives."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeemo.artifacts.licences import named
from edgeemo.artifacts.models import DEFAULT, FACE_DEFAULT, card_command
from edgeemo.cli import _sounds
from edgeemo.cli._sounds import Judge
from edgeemo.errors import BadInput, EdgeemoError, one_line
from edgeemo.faces import Faces, Tracked
from edgeemo.faces.intervals import windows
from edgeemo.inputs import SUFFIXES, Input, Kind
from edgeemo.session import Session, load
from edgeemo.speech.vad import resolve_gate
from edgeemo.types import Emotion

if TYPE_CHECKING:
    from edgeemo.artifacts.card import Card
    from edgeemo.audio import SoundReader
    from edgeemo.speech.profile import SpeakerProfile

Row = dict[str, Any]
"""One estimate, or an error: what `--json` prints."""

Tell = Callable[[float, float | None], None]
"""Takes the seconds that were read of a sound, and those that it promises."""

Watch = Callable[[float, list[Tracked]], None]
"""Takes the time of a frame in seconds, and its faces."""

_FACE = ("arousal", "dominance", "valence", "classes", "confidence", "start", "end")
_VOICE = (*_FACE[:-2], "speech", "start", "end")
_KINDS: dict[str, tuple[Kind, ...]] = {"speech": ("sound", "video"), "face": ("picture", "video")}
_TAKES = {
    "speech": "speech; give it sound or a video",
    "face": "faces; give it a picture or a video",
}
_EARLY = 0.8  # of the length that a video promises; containers are off by some frames


@dataclass(frozen=True)
class Options:
    """What the user chose.

    Attributes:
        model: name or path; None for the shipped ones.
        backend: what runs it; None by the file's ending.
        detector: what finds faces.
        profile: path of a speaker's profile, or None.
        gate: name of what tells where somebody speaks; "none" for nothing.
        windows: seconds of an estimate of sound; None for one of all.
        segments: an estimate for each stretch of speech.
        channel: number of the one channel to read, from 1; None for all.
        debug: errors that nobody expected are raised, so that their traceback shows.
    """

    model: str | None
    backend: str | None
    detector: str
    profile: str | None
    gate: str
    windows: float | None
    segments: bool
    channel: int | None
    debug: bool


class Predictor:
    """Rows of files. A model is loaded when the first file asks for it.

    Attributes:
        kinds: what is taken in folders.
    """

    def __init__(
        self,
        options: Options,
        tell: Tell | None = None,
        watch: Watch | None = None,
        *,
        announce: bool = True,
    ) -> None:
        """Check the options, and load a model that is named.

        Args:
            options: what the user chose.
            tell: hears how much of a sound was read.
            watch: sees the faces of each frame of a video.
            announce: models say on stderr which they are; one process of several is enough.

        Raises:
            EdgeemoError: a model or a profile cannot be used.
        """
        self._options, self._tell, self._announce = options, tell, announce
        self._watch = watch
        self._profile: SpeakerProfile | None = None
        if options.profile is not None:
            from edgeemo.speech.profile import load_profile

            self._profile = load_profile(options.profile)
        named = None if options.model is None else _loaded(options.model, options.backend, announce)
        self._named = named
        self._loaded: dict[str, Session] = {}
        self._faces: Faces | None = None
        self.kinds: tuple[Kind, ...] = tuple(SUFFIXES) if named is None else _KINDS[named.card.task]
        if options.gate == "model" and "sound" in self.kinds:  # once, not for each file
            resolve_gate(options.gate, self._session("speech").card)

    @property
    def cards(self) -> tuple[Card, ...]:
        """Of the models that were used."""
        sessions = [*self._loaded.values()] if self._named is None else [self._named]
        return tuple(session.card for session in sessions)

    def rows(self, file: Input) -> Iterator[Row]:
        """The rows of a file: its estimates, and the error that ended it.

        Raises:
            EdgeemoError: a model or a package is at fault, not the file.
        """
        path = text_of(file.path)
        try:
            if file.error:
                raise BadInput(file.error)
            for row in self._read(file):
                yield {"path": path} | row
        except BadInput as error:
            yield {"path": path, "error": str(error)}
        except EdgeemoError:
            raise
        except Exception as error:
            # Whatever a library raises about one file: the others go on.
            if self._options.debug:
                raise
            yield {"path": path, "error": f"{type(error).__name__}: {one_line(error)}"}

    def _read(self, file: Input) -> Iterator[Row]:
        if file.kind == "sound":
            yield from self._sound(file.path)
        elif file.kind == "picture":
            yield from self._picture(file.path)
        elif self._named is not None and self._named.card.task == "speech":
            yield from self._sound(file.path)
        else:
            yield from self._video(file.path)

    def _session(self, task: str) -> Session:
        if self._named is not None:
            card = self._named.card
            if card.task != task:
                raise BadInput(f"{card.name} is a model of {_TAKES[card.task]}")
            return self._named
        if task not in self._loaded:
            name = DEFAULT if task == "speech" else FACE_DEFAULT
            self._loaded[task] = _loaded(name, self._options.backend, self._announce)
        return self._loaded[task]

    def _sound(self, path: str) -> Iterator[Row]:
        from edgeemo.audio import SoundReader

        gate = None if self._options.gate == "none" else self._options.gate
        judge = Judge(self._session("speech"), gate, self._profile)
        reader = SoundReader(path, judge.rate, channel=self._options.channel)
        if self._options.windows is not None:
            found = _sounds.windows(judge, self._blocks(reader), self._options.windows)
        elif self._options.segments:
            found = _sounds.segments(judge, self._blocks(reader))
        else:
            found = _sounds.whole(judge, self._blocks(reader))
        # The last row waits, since what is wrong with a sound is known at its end.
        last: Row | None = None
        for emotion in found:
            if last is not None:
                yield last
            heard = ("sounds",) if emotion.sounds else ()
            last = _values(emotion, (*_VOICE, *heard))
        yield (last or {}) | ({"notes": reader.notices} if reader.notices else {})

    def _blocks(self, reader: SoundReader) -> Iterator[_sounds.Samples]:
        for block in reader:
            if self._tell is not None:
                self._tell(reader.seconds, reader.promised)
            yield block

    def _finder(self) -> Faces:
        if self._faces is None:
            self._faces = Faces(self._session("face"), self._options.detector)
        return self._faces

    def _picture(self, path: str) -> Iterator[Row]:
        from edgeemo.vision.pictures import read_picture

        found = self._finder().find(read_picture(path))
        if not found:
            raise BadInput(_no_face(self._options.detector))
        for number, emotion in enumerate(found, 1):
            yield _face(number, emotion)

    def _video(self, path: str) -> Iterator[Row]:
        """Faces, then the voice; a container that holds sound alone is sound."""
        from edgeemo.audio import has_sound
        from edgeemo.vision.video import NoPictures

        fault: BadInput | None = None
        try:
            yield from self._film(path)
        except NoPictures:
            yield from self._sound(path)
            return
        except BadInput as error:  # where no face is seen somebody may speak all the same
            fault = error
        if self._named is None and has_sound(path):
            try:
                for row in self._sound(path):
                    yield {"voice": True} | row
            except BadInput as error:
                fault = fault or error
        if fault is not None:
            raise fault

    def _film(self, path: str) -> Iterator[Row]:
        from edgeemo.vision.video import Video

        finder = self._finder()
        with Video(path) as video:
            found = False
            for tracked in windows(self._watched(finder.track(video.frames()))):
                found = True
                yield _face(tracked.id, tracked.emotion)
            if video.last is None:
                raise BadInput(f"{path}: no frame can be decoded; the file is damaged")
            if video.last < _EARLY * video.seconds - 1 / video.rate:
                raise BadInput(f"{path}: ends after {video.last:.2f} s of {video.seconds:.2f} s")
            if not found:
                raise BadInput(_no_face(self._options.detector))

    def _watched(
        self, frames: Iterator[tuple[float, list[Tracked]]]
    ) -> Iterator[tuple[float, list[Tracked]]]:
        for seconds, faces in frames:
            if self._watch is not None:
                self._watch(seconds, faces)
            yield seconds, faces


def text_of(path: str) -> str:
    """A path as text that is valid UTF-8: bytes that do not decode are written as \\\\xff."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _no_face(detector: str) -> str:
    return f"no face found by {detector}; if the picture is a face, use --detector none"


def _face(number: int, emotion: Emotion) -> Row:
    box = None if emotion.box is None else list(emotion.box)
    return {"face": number, "box": box} | _values(emotion, _FACE)


def _values(emotion: Emotion, keys: tuple[str, ...]) -> Row:
    return {key: _rounded(getattr(emotion, key)) for key in keys}


def _rounded(value: Any) -> Any:
    """Four digits: the models are not better than two, and lines stay readable."""
    if isinstance(value, Mapping):
        return {key: _rounded(v) for key, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def _loaded(model: str, backend: str | None, announce: bool) -> Session:
    """The model, after a line that says which one runs and what it may be used for."""
    session = load(model, backend)
    session.tell = None  # the reader of the sound knows its name
    if announce:
        print(f"edgeemo: {named(session.card, card_command(session.path))}", file=sys.stderr)
    return session
