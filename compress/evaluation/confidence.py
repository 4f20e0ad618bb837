"""Fits the confidence of a student: how likely is its estimate near the annotators' mean?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeemo.artifacts.confidence import Confidence, describe, terms
from edgeemo.features import FeatureSpec, log_mel
from edgeemo.types import SAMPLE_RATE

from ..data.augment import Sound, add_at_snr, colored_noise, crop, reverberate
from ..labels.dataset import LabelledDataset
from ..students.base import Student
from .metrics import calibration_error, softmax

TOLERANCE = 0.15
"""How near an estimate must lie on each dimension to count as right. Annotators of EmoTale
differ by about as much from the mean of three (standard deviation .10)."""

PENALTIES = (30.0, 100.0, 300.0, 1000.0)
"""Of the squared weights: a few hundred clips must not teach seventy weights their noise. Which
one is chosen on speakers left out of a fit, and never on those whom it is evaluated on."""

FOLDS = 5
"""Folds of the speakers; each is evaluated by a fit on the others."""

MIN_CLIPS, MIN_SPEAKERS = 100, 5
"""With fewer, a fit says more about them than about the student: there is none."""

CLIPS, NEGATIVES = 200, 80
"""A run is fitted on at most so many clips, spread over all, and sounds that are not speech."""

_SOFT = np.float32(0.1)
"""20 dB: a voice at ten times the distance, by the inverse-distance law; chords beside a voice."""

_FAR_RT60, _FAR_SNR_DB = 0.8, 10.0
"""Seconds, the longest tail of `[augment]`'s default; dB, the mildest noise of `degrade`."""

Vectors = NDArray[np.float64]
Flags = NDArray[np.bool_]


Point = tuple[float, float, int]
"""Mean confidence of some clips, the share of them whose estimate was near, and their number."""


@dataclass(frozen=True)
class FittedConfidence:
    """A confidence, and its reliability on unseen speakers, on clean speech."""

    confidence: Confidence
    points: tuple[Point, ...]


def learn_confidence(
    student: Student, rows: LabelledDataset, temperature: float, seconds: float, seed: int
) -> FittedConfidence | None:
    """Fit the confidence of a run: of being near the annotators or, where few are, the teacher.

    Each clip runs as it was recorded, in noise, and far-field; noises and music are added, on which
    every estimate is a miss.

    Args:
        student: trained; it is left on the CPU, in evaluation mode.
        rows: of speakers on whom it was not trained, each clip once.
        temperature: of its classes.
        seconds: what a clip is cut to.
        seed: of noises and rooms.

    Returns:
        None for pictures, and where fewer than MIN_CLIPS clips of MIN_SPEAKERS speakers have
        labels in all three dimensions.
    """
    spec, labelled = rows.spec, _labels(rows)
    if labelled is None or not isinstance(spec, FeatureSpec):
        return None
    labels, known, whose = labelled
    pipeline = _Pipeline(student.cpu().eval(), spec, temperature)
    rng = np.random.default_rng(seed)
    results: list[tuple[Vectors, bool]] = []
    speakers: list[str] = []
    for i in known[np.unique(np.linspace(0, len(known) - 1, CLIPS).astype(int))]:
        sound = crop(rows.clips[i].samples(), seconds, None)
        results += [pipeline.run(x, labels[i]) for x in (sound, *degrade(sound, rng))]
        speakers += [rows.clips[i].speaker] * 3
    tunes = [music(int(3 * SAMPLE_RATE), rng) * _SOFT for _ in range(NEGATIVES // 4)]
    negatives = [pipeline.run(x)[0] for x in not_speech(NEGATIVES - len(tunes), rng) + tunes]
    clips, people = len(results) // 3, len(set(speakers))
    inputs, near, speakers = with_negatives(
        np.array([x for x, _ in results]),
        np.array([hit for _, hit in results]),
        speakers,
        np.array(negatives),
    )
    clean = (np.arange(len(near)) % 3 == 0) & (np.arange(len(near)) < len(results))
    on = (
        f"{clips} clips of {people} speakers, as recorded, in noise and far-field; "
        f"{NEGATIVES} sounds that are not speech"
    )
    confidence, held_out = fit_confidence(inputs, near, speakers, clean, whose, on)
    return FittedConfidence(confidence, reliability(held_out[clean], near[clean]))


def _labels(rows: LabelledDataset) -> tuple[NDArray[np.float32], NDArray[np.int64], str] | None:
    """Labels [N, 3], which rows have them, and whose they are; None where too few have any."""
    for labels, whose in (
        (rows.human_dimensions, "the annotators' mean"),
        (rows.dimensions, "the teacher's estimate for the clip as it was recorded"),
    ):
        known = np.flatnonzero(np.isfinite(labels).all(1))
        speakers = set(rows.column("speaker")[known])
        if len(known) >= MIN_CLIPS and len(speakers) >= MIN_SPEAKERS:
            return labels, known, whose
    return None


def degrade(sound: Sound, rng: np.random.Generator) -> tuple[Sound, Sound]:
    """The same voice in noise, and far-field in a room.

    Args:
        sound: float32 [n], 16 kHz.
        rng: draws noise, ratio (0 to 10 dB) and room.

    Returns:
        Both, [n], within -1..1.
    """
    noise = colored_noise(len(sound), float(rng.choice([0.0, 1.0, 2.0])), rng)
    near = add_at_snr(sound, noise, rng.uniform(0, 10))
    return np.clip(near, -1, 1), np.clip(far_field(sound, rng), -1, 1)


def far_field(sound: Sound, rng: np.random.Generator) -> Sound:
    """A voice some metres away in a living room: softer, reverberant, in pink noise.

    Args:
        sound: float32 [n], 16 kHz.
        rng: draws the room's tail and the noise.
    """
    far = reverberate(sound, _FAR_RT60, rng) * _SOFT
    return add_at_snr(far, colored_noise(len(sound), 1.0, rng), _FAR_SNR_DB)


class _Pipeline:
    """A student with the front end before it."""

    def __init__(self, student: Student, spec: FeatureSpec, temperature: float) -> None:
        self._student, self._spec, self._temperature = student, spec, temperature

    def run(self, sound: Sound, label: NDArray[Any] | None = None) -> tuple[Vectors, bool]:
        """The regression's inputs, and whether the estimate is near the label."""
        features = log_mel(sound, self._spec)
        with torch.inference_mode():
            output = self._student(torch.from_numpy(features)[None], None)
        dimensions = output.dimensions.numpy()
        outputs = {"adv": dimensions}
        if self._student.gives_classes:
            probs = softmax(output.logits.double().numpy() / self._temperature)
            outputs["probs"] = probs.astype(np.float32)
        near = label is not None and bool(is_near(dimensions, label[np.newaxis])[0])
        return describe(outputs, features), near


def is_near(estimates: NDArray[Any], labels: NDArray[Any]) -> Flags:
    """Whether estimates lie within TOLERANCE of labels on all dimensions: [N].

    Args:
        estimates: [N, 3]; clipped to 0..1 first.
        labels: [N, 3], 0..1.
    """
    return np.asarray((np.abs(np.clip(estimates, 0, 1) - labels) <= TOLERANCE).all(1))


def fit_confidence(
    inputs: Vectors,
    near: Flags,
    speakers: Sequence[str],
    clean: Flags,
    whose: str,
    fitted_on: str,
    judged: Flags | bool = False,
) -> tuple[Confidence, Vectors]:
    """The regression, and its confidences for held-out speakers.

    Args:
        inputs: [N, n], of `edgeemo.artifacts.confidence.describe`.
        near: [N]; False for all that is not speech.
        speakers: [N]; rows of one speaker are held out together. Rows whose speaker is "" are
            not speech and are in every fit.
        clean: [N]; rows of speech that the metrics are of, mostly as it was recorded.
        whose: whom an estimate is compared with, for the meaning: "the annotators' mean".
        fitted_on: for the card.
        judged: [N]; rows that are in no fit.

    Returns:
        The regression fitted on all other rows, and [N] confidences, those of a speaker from a fit
        without that speaker (of rows without one: from a fit on all).
    """
    who = np.array(speakers)
    folds, taught = _folds(who), ~np.broadcast_to(judged, who.shape)
    fit = _best_fit(inputs[taught], near[taught], who[taught])
    confidences = _probability(inputs, fit)
    for i in range(folds.max() + 1):
        rest = (folds != i) & taught
        others = _best_fit(inputs[rest], near[rest], who[rest])
        confidences[folds == i] = _probability(inputs[folds == i], others)
    scored = clean & (who != "")
    center, scale, weights, bias = fit
    return Confidence(
        meaning=f"probability that arousal, dominance and valence all lie within {TOLERANCE:g} of "
        f"{whose}; sound that is not speech counts as a miss",
        center=_short(center),
        scale=_short(scale),
        weights=_short(weights),
        bias=round(bias, 5),
        fitted_on=fitted_on,
        calibration_error=round(calibration_error(confidences[scored], near[scored]), 4),
        share=round(float(near[scored].mean()), 4),
    ), confidences


def with_negatives(
    inputs: Vectors, near: Flags, speakers: Sequence[str], negatives: Vectors
) -> tuple[Vectors, Flags, list[str]]:
    """Rows of speech followed by rows of what is not speech, which count as misses of nobody.

    Args:
        inputs: [N, n].
        near: [N].
        speakers: [N].
        negatives: [M, n], inputs of what is not speech.

    Returns:
        The three, of N + M rows.
    """
    return (
        np.concatenate([inputs, negatives]),
        np.concatenate([near, np.zeros(len(negatives), np.bool_)]),
        [*speakers, *[""] * len(negatives)],
    )


def reliability(confidences: Vectors, near: Flags, bins: int = 5) -> tuple[Point, ...]:
    """Points of a reliability diagram.

    Args:
        confidences: [N].
        near: [N], whether the estimate was near.
        bins: of equal counts.
    """
    order = np.argsort(confidences, kind="stable")
    filled = [rows for rows in np.array_split(order, bins) if len(rows)]
    return tuple((float(confidences[r].mean()), float(near[r].mean()), len(r)) for r in filled)


def not_speech(count: int, rng: np.random.Generator, seconds: float = 3.0) -> list[Sound]:
    """Sounds on which every estimate is wrong: white, pink, brown noise and hum, in turn.

    Args:
        count: of sounds.
        rng: the only source of chance.
        seconds: of each.

    Returns:
        float32 at 16 kHz, -50 to -15 dB (root mean square, full scale 1), within -1..1.
    """
    kinds = [
        lambda n: colored_noise(n, 0.0, rng),
        lambda n: colored_noise(n, 1.0, rng),
        lambda n: colored_noise(n, 2.0, rng),
        lambda n: _hum(n, rng),
    ]
    sounds = []
    for i in range(count):
        x = kinds[i % len(kinds)](int(seconds * SAMPLE_RATE))
        level = 10 ** (rng.uniform(-50, -15) / 20) / max(float(np.sqrt(np.mean(x**2))), 1e-9)
        sounds.append(np.clip(x * level, -1, 1).astype(np.float32))
    return sounds


def music(n: int, rng: np.random.Generator) -> Sound:
    """Plucked chords with harmonics, a note every 0.2 to 0.5 s: float32 [n].

    Args:
        n: samples at 16 kHz.
        rng: the only source of chance.
    """
    x = np.zeros(n)
    at = 0
    while at < n:
        length = int(rng.uniform(0.2, 0.5) * SAMPLE_RATE)
        time = np.arange(min(3 * length, n - at)) / SAMPLE_RATE
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
    time, pitch = np.arange(n) / SAMPLE_RATE, rng.uniform(40, 120)
    x = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 20))
    return (x + 0.1 * rng.standard_normal(n)).astype(np.float32)


_Fit = tuple[Vectors, Vectors, Vectors, float]


def _folds(who: NDArray[np.str_]) -> NDArray[np.int64]:
    """Fold of each row's speaker; -1 for rows of nobody, which are in every fit."""
    names = sorted(set(who.tolist()) - {""})
    count = min(FOLDS, len(names))
    return np.array([names.index(p) % count if p else -1 for p in who.tolist()])


def _best_fit(inputs: Vectors, near: Flags, who: NDArray[np.str_]) -> _Fit:
    """The fit whose penalty does best on speakers left out, by the likelihood."""
    folds = _folds(who)
    losses = []
    for penalty in PENALTIES:
        loss = 0.0
        for i in range(folds.max() + 1):
            fit = _fit(inputs[folds != i], near[folds != i], penalty)
            p = np.clip(_probability(inputs[folds == i], fit), 1e-6, 1 - 1e-6)
            loss -= float(np.log(np.where(near[folds == i], p, 1 - p)).sum())
        losses.append(loss)
    return _fit(inputs, near, PENALTIES[int(np.argmin(losses))])


def _fit(inputs: Vectors, near: Flags, strength: float) -> _Fit:
    """Ridge logistic regression by Newton's method: center, scale, weights, bias."""
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
