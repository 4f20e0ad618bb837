"""A person's or a device's own zero, and a head fitted to one's own labels: one file each.

A model that has never heard you takes a voice that is high or loud by nature for an excited one.
Half a minute of calm speech tells where you begin (`from_calm`); labelled clips of your own tell
more (`from_labels`). Both give a `Baseline`: a correction of the model's outputs that is kept in
one small JSON file, used by `Session.predict` and `Session.stream`, and gone when that is deleted.
It holds no sound, but it tells a little about a voice: treat the file as personal data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeemo import _schema
from edgeemo._files import write_text
from edgeemo.card import Card
from edgeemo.errors import BadInput
from edgeemo.gate import EnergyGate
from edgeemo.types import DIMENSIONS

if TYPE_CHECKING:
    from edgeemo.session import Session

LEAST_SECONDS = 30.0
"""Speech that `from_calm` asks for. A single clip made estimates worse, not better, for people
whom the model had never heard (benchmarks/baseline.py)."""

LEAST_CLIPS = 12
"""Labelled clips that `from_labels` asks for."""

CALM = (0.36, 0.37, 0.40)
"""Arousal, dominance, valence that listeners hear in neutral speech: means over EmoTale's neutral
clips, 14 speakers, three raters."""

SHARE = 0.5
"""How far calm speech is moved to CALM. Calm speech of one person is not exactly neutral, and half
a minute is a small sample."""

RIDGE = 30.0
"""Weight of "change nothing" against the labels, in clips."""

_PIECE_SECONDS = 3.0  # what a stream looks at
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True)
class Baseline:
    """A correction of one model's arousal, dominance and valence.

    Attributes:
        schema: version of this layout, 1.
        model: name of the model that it is for.
        digest: of that model; another file, even of the same name, needs its own.
        kind: "calm" (from calm speech) or "labelled" (from labelled clips).
        offset: what is added to each dimension.
        matrix: [3][n] or empty; times the model's outputs in the order of the card, added too.
        seconds: speech that it was made from.
        clips: pieces of sound that it was made from.
    """

    schema: Literal[1]
    model: str
    digest: str
    kind: Literal["calm", "labelled"]
    offset: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    seconds: float
    clips: int

    def __post_init__(self) -> None:
        """Check lengths.

        Raises:
            BadInput: there are not three of each.
        """
        widths = {len(row) for row in self.matrix}
        if len(self.offset) != 3 or len(self.matrix) not in (0, 3) or len(widths) > 1:
            raise BadInput("baseline: expected 3 offsets and 0 or 3 rows of one length")

    def apply(
        self, outputs: Mapping[str, NDArray[np.float32]], card: Card
    ) -> dict[str, NDArray[np.float32]]:
        """The outputs with "adv" corrected.

        Args:
            outputs: by name, each [labels].
            card: of the model that gave them.

        Raises:
            BadInput: the baseline is of another model.
        """
        if card.digest != self.digest:
            raise BadInput(
                f"the baseline was made for another file of {self.model}, this is {card.name}; "
                "make it again with: edgeemo calibrate"
            )
        shift = np.array(self.offset)
        if self.matrix:
            shift = shift + np.array(self.matrix) @ _row(outputs, card)
        return {**outputs, "adv": (outputs["adv"] + shift).astype(np.float32)}

    def save(self, path: str | Path) -> None:
        """Write the file, all of it or nothing."""
        write_text(Path(path), json.dumps(_schema.write(self), indent=1) + "\n")


def load_baseline(path: str | Path) -> Baseline:
    """Read a file that `Baseline.save` wrote.

    Raises:
        BadInput: no such file, or it holds something else; the message has the path of the fault.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror}); give a baseline's file"
        ) from None
    try:
        if len(raw) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES} bytes")
        return _schema.read(Baseline, json.loads(raw), BadInput)
    except (ValueError, RecursionError, BadInput) as error:
        raise BadInput(f"{path}: not a baseline: {error}") from None


def from_calm(session: Session, sounds: Iterable[NDArray[np.float32]]) -> Baseline:
    """A baseline from calm speech of one person, or of whoever uses one device.

    Args:
        session: of the model that it is for.
        sounds: samples at the model's rate, [n] float32; LEAST_SECONDS of speech in all.

    Raises:
        BadInput: less speech than that, or the model gives no dimensions.
    """
    _need_dimensions(session)
    sounds = list(sounds)
    seconds = sum(speech_seconds(x, session.card.features.sample_rate) for x in sounds)
    if seconds < LEAST_SECONDS:
        raise BadInput(
            f"{seconds:.1f} s of speech; a baseline needs at least {LEAST_SECONDS:g} s of calm "
            "speech: less makes estimates worse, not better"
        )
    rows = [row for x in sounds for row in _pieces(session, x)]
    return replace(calm(session.card, rows), seconds=round(seconds, 2))


def calm(card: Card, rows: Sequence[Mapping[str, NDArray[np.float32]]]) -> Baseline:
    """The baseline of a model's outputs on pieces of calm speech, however few."""
    heard = np.mean([np.clip(row["adv"], 0, 1) for row in rows], axis=0, dtype=np.float64)
    offset = SHARE * (np.array(CALM) - heard)
    return _baseline(card, "calm", offset, np.zeros((0, 0)), len(rows))


def from_labels(
    session: Session,
    clips: Sequence[NDArray[np.float32]],
    labels: Sequence[Sequence[float]],
) -> Baseline:
    """A head fitted to labelled clips of one's own: ridge regression towards no change.

    Args:
        session: of the model that it is for.
        clips: samples at the model's rate, [n] float32, LEAST_CLIPS or more.
        labels: arousal, dominance, valence of each, 0..1.

    Raises:
        BadInput: too few clips, labels out of range, labels that are all alike, a clip that
            the model refuses, or the model gives no dimensions.
    """
    _need_dimensions(session)
    truth = np.array(labels, np.float64).reshape(-1, 3)
    if len(clips) != len(truth) or len(clips) < LEAST_CLIPS:
        raise BadInput(
            f"{len(clips)} clips and {len(truth)} labels; expected one label each, and at least "
            f"{LEAST_CLIPS} clips: fewer teach the head their chance"
        )
    if not ((truth >= 0) & (truth <= 1)).all():
        raise BadInput("labels must lie in 0..1: arousal, dominance, valence")
    if (truth.std(0) < 0.02).all():
        raise BadInput("all labels are alike; give clips of calm and of excited speech")
    rate = session.card.features.sample_rate
    rows = [_whole(session, x) for x in clips]
    seconds = sum(len(x) for x in clips) / rate
    return replace(labelled(session.card, rows, truth), seconds=round(seconds, 2))


def labelled(
    card: Card, rows: Sequence[Mapping[str, NDArray[np.float32]]], truth: NDArray[np.float64]
) -> Baseline:
    """The correction of a model's outputs that fits labels [N, 3], however few."""
    x = np.array([_row(row, card) for row in rows])
    miss = truth - np.array([np.clip(row["adv"], 0, 1) for row in rows], np.float64)
    # Few labels say something about a shift, and less about a slope; both shrink towards none.
    offset = miss.sum(0) / (len(rows) + RIDGE / 10)
    center = x.mean(0)
    z = x - center
    spread = 0.1  # outputs move by about so much; it puts the penalty into their units
    gram = z.T @ z + RIDGE * spread**2 * np.eye(x.shape[1])
    matrix = np.linalg.solve(gram, z.T @ (miss - miss.mean(0))).T
    return _baseline(card, "labelled", offset - matrix @ center, matrix, len(rows))


def speech_seconds(samples: NDArray[np.float32], rate: int) -> float:
    """Seconds in which the energy gate hears speech."""
    gate = EnergyGate(rate)
    return float(gate.push(samples).sum()) * gate.block / rate


def _baseline(
    card: Card, kind: Literal["calm", "labelled"], offset: NDArray[Any], matrix: NDArray[Any],
    clips: int,
) -> Baseline:  # fmt: skip
    rows = tuple(tuple(round(float(v), 6) for v in row) for row in matrix)
    numbers = tuple(round(float(v), 6) for v in offset)
    return Baseline(1, card.name, card.digest, kind, numbers, rows, 0.0, clips)


def _row(outputs: Mapping[str, NDArray[np.float32]], card: Card) -> NDArray[np.float64]:
    return np.concatenate([outputs[o.name].astype(np.float64) for o in card.outputs])


def _pieces(
    session: Session, samples: NDArray[np.float32]
) -> Iterable[Mapping[str, NDArray[np.float32]]]:
    """Outputs of pieces as long as a stream's window, of those in which somebody speaks."""
    rate = session.card.features.sample_rate
    size = round(_PIECE_SECONDS * rate)
    for i in range(0, max(1, len(samples) - size // 2), size):
        piece = samples[i : i + size]
        if speech_seconds(piece, rate) >= 0.5:
            yield _whole(session, piece)


def _whole(session: Session, samples: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
    session.predict(samples, session.card.features.sample_rate)  # refuses what cannot be used
    outputs = session.backend.run(session.values(samples))
    return {name: value[0] for name, value in outputs.items()}


def _need_dimensions(session: Session) -> None:
    found = session.card.output("adv")
    if found is None or found.labels != DIMENSIONS:
        raise BadInput(f"{session.card.name} gives no {', '.join(DIMENSIONS)} to correct")
