"""Profile of a speaker or a device: a level, or a head fitted to labels; one file each.

A model takes a voice that is loud in the recording for an excited one; but how loud it is in the
recording says as much about microphone, distance and habit. Half a minute of calm speech tells
that level, and sound is brought to the level of calm speech in the training data (`from_calm`).
Labelled clips of your own tell more (`from_labels`): a correction of the outputs. Both give a
`SpeakerProfile`: one small JSON file, used by `Session.predict` and `Session.stream`, and gone
when it is deleted. It holds no sound, but it tells a little about a voice: treat it as personal
data.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import Card
from edgeemo.errors import BadInput
from edgeemo.io import schema
from edgeemo.io.files import write_text
from edgeemo.io.loading import load_json
from edgeemo.speech.vad import EnergyGate
from edgeemo.types import DIMENSIONS

if TYPE_CHECKING:
    from edgeemo.session import Session

LEAST_SECONDS = 30.0
"""Speech that `from_calm` asks for. On EmoTale, recorded in one sitting, a single neutral clip did
as well (benchmarks/baseline.py); in life one sentence is one mood at one distance."""

LEAST_CLIPS = 20
"""Labelled clips that `from_labels` asks for: from 20 on valence gains (benchmarks/baseline.py)."""

CALM_DB = -35.9
"""Level of calm speech in the annotated training data: mean over the 14 speakers of EmoTale of
the mean power of their neutral speech, dB of full scale."""

MOST_DB = 40.0
"""Largest change of level, dB; calm speech that needs more was recorded far too quietly."""

SOFT_PEAK = 0.1
"""Peak of the softest recording in which the energy gate, which has a least level, finds speech."""

RIDGE = 100.0
"""Weight of "change nothing" against the labels, in clips."""

_MOST_BYTES = 64 * 1024
_MOST = 1e6  # of any number in a profile
_OUTPUT_SD = 0.1  # outputs vary by about so much over clips; it puts the penalty into their units


@dataclass(frozen=True)
class SpeakerProfile:
    """What is changed for one person or device.

    Attributes:
        schema: version of this layout, 1.
        kind: "calm" (a level, for any model of speech) or "labelled" (a head, for one model).
        gain_db: by how much sound is made louder before anything else, dB.
        model: name of the model that a head is for; empty for a level.
        digest: of that model; another file, even of the same name, needs its own head.
        offset: what is added to arousal, dominance, valence; empty for a level.
        matrix: [3][n]; times the model's outputs in the order of the card, added too; or empty.
        seconds: speech that it was made from.
        clips: sounds that it was made from.
    """

    schema: Literal[1]
    kind: Literal["calm", "labelled"]
    gain_db: float
    model: str
    digest: str
    offset: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    seconds: float
    clips: int

    def __post_init__(self) -> None:
        """Check lengths and ranges.

        Raises:
            BadInput: the gain is out of range, or there are not three of each number.
        """
        if not -MOST_DB <= self.gain_db <= MOST_DB:
            raise BadInput(f"gain_db is {self.gain_db:g}; expected at most {MOST_DB:g} in size")
        rows = 3 if self.kind == "labelled" else 0
        widths = {len(row) for row in self.matrix}
        numbers = [*self.offset, *(x for row in self.matrix for x in row), self.seconds, self.clips]
        if any(abs(x) > _MOST for x in numbers):
            raise BadInput(f"a number beyond {_MOST:g}")
        if len(self.offset) != rows or len(self.matrix) != rows or len(widths) > 1:
            raise BadInput(f"expected {rows} offsets and {rows} rows of one length")

    def level(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Samples at the level of the person; the same for any cut into blocks."""
        return samples * np.float32(10 ** (self.gain_db / 20))

    def apply(
        self, outputs: Mapping[str, NDArray[np.float32]], card: Card
    ) -> dict[str, NDArray[np.float32]]:
        """The outputs with "adv" corrected.

        Args:
            outputs: by name, each [labels].
            card: of the model that gave them.

        Raises:
            BadInput: the profile's head is of another model.
        """
        if self.kind == "calm":
            return dict(outputs)
        if card.digest != self.digest:
            raise BadInput(
                f"the profile's head was fitted to another file ({self.model}) than this one "
                f"({card.name}); make it again with: edgeemo calibrate --labels"
            )
        row = _row(outputs, card)
        if len(row) != len(self.matrix[0]):
            raise BadInput(
                f"the profile's head takes {len(self.matrix[0])} outputs, not {len(row)}"
            )
        shift = np.array(self.offset) + np.array(self.matrix) @ row
        return {**outputs, "adv": (outputs["adv"] + shift).astype(np.float32)}

    def save(self, path: str | Path) -> None:
        """Write the file, all of it or nothing."""
        write_text(Path(path), json.dumps(schema.write(self), indent=1) + "\n")


def load_profile(path: str | Path) -> SpeakerProfile:
    """Read a file that `SpeakerProfile.save` wrote.

    Raises:
        BadInput: no such file, or it holds something else; the message has the path of the fault.
    """
    try:
        return schema.read(SpeakerProfile, load_json(Path(path), BadInput, _MOST_BYTES), BadInput)
    except BadInput as error:
        raise BadInput(
            f"{path}: not a profile ({error}); give a file that `edgeemo calibrate` wrote"
        ) from None


def from_calm(sounds: Iterable[NDArray[np.float32]], rate: int = 16_000) -> SpeakerProfile:
    """A profile from calm speech of one person, or of whoever uses one device.

    Args:
        sounds: samples, [n] float32, -1..1; LEAST_SECONDS of speech in all.
        rate: their sample rate, Hz.

    Raises:
        BadInput: less speech than that, or speech that was recorded far too quietly or loudly.
    """
    powers = [speech_power(x, rate) for x in sounds]
    seconds = sum(s for s, _ in powers)
    if seconds < LEAST_SECONDS:
        raise BadInput(
            f"{seconds:.1f} s of speech; a profile needs at least {LEAST_SECONDS:g} s of calm "
            "speech: less shows one mood at one distance"
        )
    gain = calm_gain(powers)
    if abs(gain) > MOST_DB:
        raise BadInput(
            f"calm speech would have to be changed by {gain:.0f} dB; expected at most "
            f"{MOST_DB:g}: set the microphone's level, and record again"
        )
    return SpeakerProfile(1, "calm", round(gain, 2), "", "", (), (), round(seconds, 2), len(powers))


def calm_gain(powers: Sequence[tuple[float, float]]) -> float:
    """dB that bring calm speech to CALM_DB.

    Args:
        powers: of each sound what `speech_power` gives; some speech in all.
    """
    energy = sum(seconds * power for seconds, power in powers)
    return CALM_DB - 10 * math.log10(energy / sum(seconds for seconds, _ in powers))


def from_labels(
    session: Session, clips: Sequence[NDArray[np.float32]], labels: Sequence[Sequence[float]]
) -> SpeakerProfile:
    """A head fitted to labelled clips of one's own: ridge regression towards no change.

    Args:
        session: of the model that it is for.
        clips: samples at the model's rate, [n] float32, LEAST_CLIPS or more.
        labels: arousal, dominance, valence of each, 0..1; NaN for a dimension that nobody rated,
            which stays as the model has it.

    Raises:
        BadInput: too few clips, labels out of range, labels that are all alike, a clip that
            the model refuses, or the model gives no dimensions.
    """
    _need_dimensions(session)
    truth = np.array(labels, np.float64).reshape(-1, 3)
    if len(clips) != len(truth) or len(clips) < LEAST_CLIPS:
        raise BadInput(
            f"{len(clips)} clips and {len(truth)} labels; expected one label each, and at least "
            f"{LEAST_CLIPS} clips: a head that is fitted to fewer learns noise"
        )
    unrated = np.isnan(truth)
    if not ((truth >= 0) & (truth <= 1) | unrated).all():
        raise BadInput("labels must lie in 0..1: arousal, dominance, valence")
    if unrated.any(0).sum() > 1:
        raise BadInput("labels of two dimensions at least are needed for every clip")
    if not (truth.std(0) >= 0.02).any():
        raise BadInput("all labels are equal; give clips of calm and of excited speech")
    rate = session.card.features.sample_rate
    outputs = [_whole(session, x) for x in clips]
    seconds = sum(len(x) for x in clips) / rate
    return replace(fit_head(session.card, outputs, truth), seconds=round(seconds, 2))


def fit_head(
    card: Card, outputs: Sequence[Mapping[str, NDArray[np.float32]]], truth: NDArray[np.float64]
) -> SpeakerProfile:
    """The ridge regression from a model's outputs to what they miss.

    Args:
        card: of the model.
        outputs: of each clip, by name, each [labels].
        truth: labels of the clips, [N, 3], however few; NaN where there is none.
    """
    x = np.array([_row(output, card) for output in outputs])
    said = np.array([np.clip(output["adv"], 0, 1) for output in outputs], np.float64)
    residual = np.nan_to_num(truth - said)  # nothing is asked of a dimension without ratings
    # Few labels say something about a shift, and less about a slope; both shrink towards none.
    offset = residual.sum(0) / (len(outputs) + RIDGE / 10)
    center = x.mean(0)
    z = x - center
    gram = z.T @ z + RIDGE * _OUTPUT_SD**2 * np.eye(x.shape[1])
    matrix = np.linalg.solve(gram, z.T @ (residual - residual.mean(0))).T
    offsets = tuple(round(float(v), 6) for v in offset - matrix @ center)
    table = tuple(tuple(round(float(v), 6) for v in row) for row in matrix)
    n = len(outputs)
    return SpeakerProfile(1, "labelled", 0.0, card.name, card.digest, offsets, table, 0.0, n)


def speech_power(samples: NDArray[np.float32], rate: int) -> tuple[float, float]:
    """Seconds in which the energy gate finds speech, and their mean power (1 is full scale).

    Args:
        samples: [n], -1..1; what peaks below SOFT_PEAK comes to the gate louder, as all of it
            would be silence.
        rate: their sample rate, Hz.
    """
    gate = EnergyGate(rate)
    peak = float(np.abs(samples).max(initial=0))
    louder = SOFT_PEAK / peak if 0 < peak < SOFT_PEAK else 1.0
    speech = gate.push(samples * np.float32(louder))
    blocks = samples[: len(speech) * gate.block].astype(np.float64).reshape(-1, gate.block)
    spoken = blocks[speech]
    power = float(np.mean(spoken**2)) if len(spoken) else 0.0
    return len(spoken) * gate.block / rate, power


def _row(outputs: Mapping[str, NDArray[np.float32]], card: Card) -> NDArray[np.float64]:
    said = [o.name for o in card.outputs if o.name != "sounds"]
    return np.concatenate([outputs[name].astype(np.float64) for name in said])


def _whole(session: Session, samples: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
    rate = session.card.features.sample_rate
    session.predict(samples, rate, gate=None)  # refuses what cannot be used
    outputs = session.backend.run(session.model_input(samples))
    return {name: value[0] for name, value in outputs.items()}


def _need_dimensions(session: Session) -> None:
    found = session.card.output("adv")
    if found is None or found.labels != DIMENSIONS:
        raise BadInput(f"{session.card.name} gives no {', '.join(DIMENSIONS)} to correct")


def __getattr__(name: str) -> object:
    renamed = {"Baseline": "SpeakerProfile", "load_baseline": "load_profile"}
    if name not in renamed:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"{name} is {renamed[name]} now", DeprecationWarning, stacklevel=2)
    return globals()[renamed[name]]
