"""Fits the confidence of a student: how likely is it that its estimate is near the raters' mean?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeemo.artifacts.confidence import Confidence, describe, terms
from edgeemo.features import FeatureSpec, log_mel

from ..data.augment import RATE, Sound, add_at_snr, coloured_noise, crop, reverberate
from ..labels.dataset import LabelledDataset
from ..students.base import Student
from .metrics import calibration_error, softmax

TOLERANCE = 0.15
"""How near an estimate must lie on each dimension to count as right. Two raters of EmoTale differ
by about as much from the mean of three (standard deviation .10)."""

PENALTIES = (30.0, 100.0, 300.0, 1000.0)
"""Of the squared weights: a few hundred clips must not teach seventy weights their noise. Which
one is chosen on people whom a fit has not seen, and never on those whom it is judged on."""

PARTS = 5
"""Parts of the people; each is judged by a fit on the others."""

LEAST_CLIPS, LEAST_PEOPLE = 100, 5
"""With fewer, what comes out says more about them than about the student: nothing is fitted."""

CLIPS, OTHERS = 200, 80
"""So many clips, spread over all, and so many sounds that are not speech teach a run's own."""

Vectors = NDArray[np.float64]
Flags = NDArray[np.bool_]


Point = tuple[float, float, int]
"""Mean confidence of some clips, the share of them that came true, and their number."""


@dataclass(frozen=True)
class FittedConfidence:
    """A confidence, and how it came true of people whom it has not seen, on clean speech."""

    confidence: Confidence
    points: tuple[Point, ...]


def learn_confidence(
    student: Student, rows: LabelledDataset, temperature: float, seconds: float, seed: int
) -> FittedConfidence | None:
    """A run's own: how near the student comes to annotators or, where few rated, to the teacher.

    Each clip is heard as it was recorded, in noise, and from afar; beside them stand noises and
    music, on which every estimate is a miss.

    Args:
        student: trained; it is left on the CPU, in evaluation mode.
        rows: of people from whom it has not learned, each clip once.
        temperature: of its classes.
        seconds: what a clip is cut to.
        seed: of noises and rooms.

    Returns:
        None for pictures, and where fewer than LEAST_CLIPS clips of LEAST_PEOPLE people have
        labels in all three dimensions.
    """
    spec, labelled = rows.spec, _labels(rows)
    if labelled is None or not isinstance(spec, FeatureSpec):
        return None
    labels, known, whose = labelled
    ear, rng = _Pipeline(student.cpu().eval(), spec, temperature), np.random.default_rng(seed)
    heard: list[tuple[Vectors, bool]] = []
    who: list[str] = []
    for i in known[np.unique(np.linspace(0, len(known) - 1, CLIPS).astype(int))]:
        sound = crop(rows.clips[i].samples(), seconds, None)
        heard += [ear.hear(x, labels[i]) for x in (sound, *degrade(sound, rng))]
        who += [rows.clips[i].speaker] * 3
    tunes = [music(int(3 * RATE), rng) * np.float32(0.1) for _ in range(OTHERS // 4)]
    others = [ear.hear(x)[0] for x in not_speech(OTHERS - len(tunes), rng) + tunes]
    clips, people = len(heard) // 3, len(set(who))
    inputs, near, who = with_negatives(
        np.array([x for x, _ in heard]), np.array([hit for _, hit in heard]), who, np.array(others)
    )
    clean = (np.arange(len(near)) % 3 == 0) & (np.arange(len(near)) < len(heard))
    on = (
        f"{clips} clips of {people} people, as recorded, in noise and from afar; "
        f"{OTHERS} sounds that are not speech"
    )
    made, said = fit_confidence(inputs, near, who, clean, whose, on)
    return FittedConfidence(made, reliability(said[clean], near[clean]))


def _labels(rows: LabelledDataset) -> tuple[NDArray[np.float32], NDArray[np.int64], str] | None:
    """Labels [N, 3], which rows have them, and whose they are; None where too few have any."""
    for labels, whose in (
        (rows.human_dimensions, "the annotators' mean"),
        (rows.dimensions, "what the teacher says of the clip as it was recorded"),
    ):
        known = np.flatnonzero(np.isfinite(labels).all(1))
        people = set(rows.column("speaker")[known])
        if len(known) >= LEAST_CLIPS and len(people) >= LEAST_PEOPLE:
            return labels, known, whose
    return None


def degrade(sound: Sound, rng: np.random.Generator) -> tuple[Sound, Sound]:
    """The same voice in noise (0 to 10 dB), and from afar in a room."""
    noise = coloured_noise(len(sound), float(rng.choice([0.0, 1.0, 2.0])), rng)
    near = add_at_snr(sound, noise, rng.uniform(0, 10))
    return np.clip(near, -1, 1), np.clip(far_field(sound, rng), -1, 1)


def far_field(sound: Sound, rng: np.random.Generator) -> Sound:
    """A tenth as loud, with a room's tail of 0.8 s, and pink noise 10 dB below."""
    far = reverberate(sound, 0.8, rng) * np.float32(0.1)
    return add_at_snr(far, coloured_noise(len(sound), 1.0, rng), 10)


class _Pipeline:
    """A student with the front end before it."""

    def __init__(self, student: Student, spec: FeatureSpec, temperature: float) -> None:
        self._student, self._spec, self._temperature = student, spec, temperature

    def hear(self, sound: Sound, label: NDArray[Any] | None = None) -> tuple[Vectors, bool]:
        """The regression's inputs, and whether the estimate is near the label."""
        features = log_mel(sound, self._spec)
        with torch.inference_mode():
            said = self._student(torch.from_numpy(features)[None], None)
        dimensions = said.dimensions.numpy()
        probs = softmax(said.logits.double().numpy() / self._temperature)
        near = label is not None and bool(is_near(dimensions, label[np.newaxis])[0])
        return describe({"adv": dimensions, "probs": probs.astype(np.float32)}, features), near


def is_near(estimates: NDArray[Any], labels: NDArray[Any]) -> Flags:
    """Whether estimates [N, 3] lie within TOLERANCE of labels [N, 3] on all dimensions."""
    return np.asarray((np.abs(np.clip(estimates, 0, 1) - labels) <= TOLERANCE).all(1))


def fit_confidence(
    inputs: Vectors, near: Flags, people: Sequence[str], clean: Flags, whose: str, fitted_on: str
) -> tuple[Confidence, Vectors]:
    """The regression, and what it says of people whom it has not seen.

    Args:
        inputs: [N, n], of `edgeemo.artifacts.confidence.describe`.
        near: [N]; False for all that is not speech.
        people: [N]; rows of one person are held out together. Rows whose person is "" are not
            speech and are in every fit.
        clean: [N]; rows of speech as it was recorded, which the figures are about.
        whose: whom an estimate is compared with, for the meaning: "the annotators' mean".
        fitted_on: for the card.

    Returns:
        The regression fitted on all rows, and [N] confidences, those of a person from a fit
        without that person (of rows without one: from a fit on all).
    """
    who = np.array(people)
    part = _parts(who)
    fit = _best_fit(inputs, near, who)
    said = _probability(inputs, fit)
    for i in range(part.max() + 1):
        rest = part != i
        held_out = _best_fit(inputs[rest], near[rest], who[rest])
        said[~rest] = _probability(inputs[~rest], held_out)
    judged = clean & (who != "")
    center, scale, weights, bias = fit
    return Confidence(
        meaning=f"probability that arousal, dominance and valence all lie within {TOLERANCE:g} of "
        f"{whose}; sound that is not speech counts as a miss",
        center=_short(center),
        scale=_short(scale),
        weights=_short(weights),
        bias=round(bias, 5),
        fitted_on=fitted_on,
        calibration_error=round(calibration_error(said[judged], near[judged]), 4),
        share=round(float(near[judged].mean()), 4),
    ), said


def with_negatives(
    inputs: Vectors, near: Flags, people: Sequence[str], others: Vectors
) -> tuple[Vectors, Flags, list[str]]:
    """Rows of speech followed by rows of what is not speech, which count as misses of nobody."""
    return (
        np.concatenate([inputs, others]),
        np.concatenate([near, np.zeros(len(others), np.bool_)]),
        [*people, *[""] * len(others)],
    )


def reliability(said: Vectors, near: Flags, bins: int = 5) -> tuple[Point, ...]:
    """Mean confidence, share that came true, and count, of equally filled bins."""
    order = np.argsort(said, kind="stable")
    parts = [p for p in np.array_split(order, bins) if len(p)]
    return tuple((float(said[p].mean()), float(near[p].mean()), len(p)) for p in parts)


def not_speech(count: int, rng: np.random.Generator, seconds: float = 3.0) -> list[Sound]:
    """Sounds on which every estimate is wrong: white, pink, brown noise and hum, in turn."""
    kinds = [
        lambda n: coloured_noise(n, 0.0, rng),
        lambda n: coloured_noise(n, 1.0, rng),
        lambda n: coloured_noise(n, 2.0, rng),
        lambda n: _hum(n, rng),
    ]
    found = []
    for i in range(count):
        x = kinds[i % len(kinds)](int(seconds * RATE))
        level = 10 ** (rng.uniform(-50, -15) / 20) / max(float(np.sqrt(np.mean(x**2))), 1e-9)
        found.append(np.clip(x * level, -1, 1).astype(np.float32))
    return found


def music(n: int, rng: np.random.Generator) -> Sound:
    """Plucked chords with harmonics, a note every 0.2 to 0.5 s: [n] float32."""
    x = np.zeros(n)
    at = 0
    while at < n:
        length = int(rng.uniform(0.2, 0.5) * RATE)
        time = np.arange(min(3 * length, n - at)) / RATE
        for _ in range(rng.integers(1, 4)):
            pitch = 110 * 2 ** (rng.integers(0, 36) / 12)
            for k in range(1, 7):
                if k * pitch < 7000:
                    x[at : at + len(time)] += (
                        np.sin(2 * np.pi * k * pitch * time) * np.exp(-time * rng.uniform(2, 8)) / k
                    )
        at += length
    return x.astype(np.float32)


def _hum(n: int, rng: np.random.Generator) -> Sound:
    """Mains or a motor: harmonics of 40 to 120 Hz over a little noise."""
    time, pitch = np.arange(n) / RATE, rng.uniform(40, 120)
    x = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 20))
    return (x + 0.1 * rng.standard_normal(n)).astype(np.float32)


_Fit = tuple[Vectors, Vectors, Vectors, float]


def _parts(who: NDArray[np.str_]) -> NDArray[np.int64]:
    """Part of each row's person; -1 for rows of nobody, which are in every fit."""
    names = sorted(set(who.tolist()) - {""})
    count = min(PARTS, len(names))
    return np.array([names.index(p) % count if p else -1 for p in who.tolist()])


def _best_fit(inputs: Vectors, near: Flags, who: NDArray[np.str_]) -> _Fit:
    """The fit whose penalty does best on people left out, by the likelihood."""
    part = _parts(who)
    losses = []
    for penalty in PENALTIES:
        loss = 0.0
        for i in range(part.max() + 1):
            fit = _fit(inputs[part != i], near[part != i], penalty)
            p = np.clip(_probability(inputs[part == i], fit), 1e-6, 1 - 1e-6)
            loss -= float(np.log(np.where(near[part == i], p, 1 - p)).sum())
        losses.append(loss)
    return _fit(inputs, near, PENALTIES[int(np.argmin(losses))])


def _fit(inputs: Vectors, near: Flags, strength: float) -> _Fit:
    """Newton's method on the penalised likelihood: center, scale, weights, bias."""
    center, scale = inputs.mean(0), np.maximum(inputs.std(0), 1e-3)
    x = np.concatenate([terms(inputs, center, scale), np.ones((len(inputs), 1))], axis=1)
    penalty = np.diag([*np.full(x.shape[1] - 1, strength), 1e-6])
    w = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        slope = x.T @ (p - near) + penalty @ w
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + penalty, slope)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    return center, scale, w[:-1], float(w[-1])


def _probability(inputs: Vectors, fit: _Fit) -> Vectors:
    center, scale, weights, bias = fit
    logit = terms(inputs, center, scale) @ weights + bias
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))))


def _short(values: Vectors) -> tuple[float, ...]:
    """Five digits: the card is a part of a small file."""
    return tuple(float(f"{v:.5g}") for v in values)
