"""Classes that know bursts of the voice, in a student that learned them from speech.

For make_sounds.py, benchmarks/sounds.py and benchmarks/bursts.py.

A linear layer on the embedding cannot do both (benchmarks/bursts.py). So the hidden layer grows by
a few units that only the classes see: all weights that were there stay. On speech, and on the way
from one clip to another, the classes go on to say what they said; of a burst they say what a person
was asked to express.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeemo.compress.data import Clip
from edgeemo.compress.data.sounds import burst_class, sound_of
from edgeemo.compress.students import Student
from edgeemo.compress.train.epoch import cosine_warmup
from edgeemo.features import FeatureSpec, log_mel
from edgeemo.types import CLASSES

UNITS = 24

STEPS, LR, DECAY, WARMUP = 3000, 3e-3, 0.03, 0.05
"""Of AdamW."""

SPEECH, BURSTS, BURST_WEIGHT, NOISE, SMOOTHING = 160, 96, 0.2, 0.1, 0.05
"""Rows of a batch; weight of a burst's error, noise on its standardized embedding, and of its
target."""

MOST_OF_PERSON = 20
"""Clips of one person's speech, so that each voice counts."""


class Voices(NamedTuple):
    """What a student hears of clips of speech and of bursts.

    Attributes:
        clips: N of them.
        heard: embeddings, float32 [N, E].
        told: index of each burst's class, [N]; -1 for speech.
    """

    clips: list[Clip]
    heard: Tensor
    told: Tensor


def voices_of(student: Student, clips: Sequence[Clip], seed: int) -> Voices:
    """What a student hears of some speech of each person, and of bursts whose label has a class.

    Args:
        student: in evaluation mode, on the CPU.
        clips: to choose from; bursts have a column `burst`.
        seed: draws speech, and the level of each clip: a microphone shall not tell bursts.
    """
    rng = np.random.default_rng(seed)
    chosen = [*_of_each(clips, rng), *(clip for clip in clips if burst_class(clip))]
    told = [CLASSES.index(burst_class(c)) if burst_class(c) else -1 for c in chosen]
    return Voices(chosen, _embeddings(student, chosen, rng), torch.tensor(told))


def with_bursts(student: Student, voices: Voices, seed: int) -> Student:
    """A copy whose classes know bursts too; a mere copy where none of the voices is one.

    Args:
        student: of speech, with one hidden layer before its outputs; it is not changed. Units that
            it was given here before are replaced.
        voices: from `voices_of`. Each class of bursts counts as much as another.
        seed: of every random choice.

    Returns:
        The copy, in evaluation mode. Its dimensions are the student's.
    """
    made = _without(copy.deepcopy(student).eval())
    burst = voices.told >= 0
    if burst.all() or not burst.any() or not student.gives_classes:
        return made
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        units, votes = _fit(
            made,
            voices.heard[~burst],
            voices.heard[burst],
            voices.told[burst],
            np.random.default_rng(seed),
        )
    (hidden,) = made.head_layers
    _replace(
        made,
        torch.cat([hidden.weight, units.weight]),
        torch.cat([hidden.bias, units.bias]),
        F.pad(made.adv.weight, (0, UNITS)),
        torch.cat([made.classes.weight, votes.weight], 1),
    )
    return made


def _of_each(clips: Sequence[Clip], rng: np.random.Generator) -> list[Clip]:
    """Some speech of each person."""
    voices: dict[str, list[Clip]] = {}
    for clip in sorted(clips, key=lambda clip: clip.id):
        if not sound_of(clip):
            voices.setdefault(clip.group, []).append(clip)
    return [v[i] for v in voices.values() for i in rng.permutation(len(v))[:MOST_OF_PERSON]]


@torch.no_grad()
def _embeddings(student: Student, clips: Sequence[Clip], rng: np.random.Generator) -> Tensor:
    assert isinstance(student.spec, FeatureSpec)
    found = []
    for clip in clips:
        loud = clip.samples() * np.float32(10 ** (rng.uniform(-20, 6) / 20))
        features = log_mel(np.clip(loud, -1, 1), student.spec)
        found.append(student(torch.from_numpy(features)[None]).embedding)
    return torch.cat(found or [torch.zeros(0, student.head_layers[0].in_features)])


def _fit(
    student: Student, speech: Tensor, bursts: Tensor, told: Tensor, rng: np.random.Generator
) -> tuple[nn.Linear, nn.Linear]:
    """Units on the embedding, and what each says of the classes.

    Args:
        student: whose classes are known on speech.
        speech: embeddings [N, E].
        bursts: embeddings [M, E].
        told: class of each burst, [M].
        rng: draws batches.
    """
    (hidden,) = student.head_layers
    both = torch.cat([speech, bursts])
    mean, scale = both.mean(0), both.std(0) + 1e-3
    chance = 1 / told.bincount(minlength=len(CLASSES))[told].double()
    units = nn.Linear(len(mean), UNITS)
    votes = nn.Linear(UNITS, len(CLASSES), bias=False)
    layers = nn.ModuleList([units, votes])
    optimizer = torch.optim.AdamW(layers.parameters(), lr=LR, weight_decay=DECAY)

    def say(x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            before = student.classes(F.relu(hidden(x)))
        return before + votes(F.relu(units((x - mean) / scale))), before

    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = LR * cosine_warmup(step, STEPS, WARMUP)
        one, other = (speech[rng.integers(len(speech), size=SPEECH)] for _ in range(2))
        said, before = say(one + 0.5 * torch.rand(SPEECH, 1) * (other - one))
        drawn = rng.choice(len(bursts), BURSTS, p=(chance / chance.sum()).numpy())
        heard, _ = say(bursts[drawn] + NOISE * scale * torch.randn(BURSTS, len(scale)))
        loss = F.kl_div(said.log_softmax(1), before.softmax(1), reduction="batchmean")
        loss = loss + BURST_WEIGHT * F.cross_entropy(heard, told[drawn], label_smoothing=SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        units.weight.div_(scale)
        units.bias.sub_(units.weight @ mean)
    return units, votes


def _without(student: Student) -> Student:
    """The student, changed in place: without units that only the classes see."""
    (hidden,) = student.head_layers
    kept = student.adv.weight.abs().amax(0) > 0
    if not kept.all():
        wider = student.adv.weight[:, kept], student.classes.weight[:, kept]
        _replace(student, hidden.weight[kept], hidden.bias[kept], *wider)
    return student


def _replace(student: Student, weight: Tensor, bias: Tensor, adv: Tensor, classes: Tensor) -> None:
    """Give the hidden layer and both outputs weights of another width."""
    (hidden,) = student.head_layers
    for layer, values in ((hidden, weight), (student.adv, adv), (student.classes, classes)):
        layer.weight = nn.Parameter(values.detach())
        layer.out_features, layer.in_features = values.shape
    hidden.bias = nn.Parameter(bias.detach())
    student.options = {**student.options, "hidden": len(bias)}
