"""Speech and sounds, told by two small layers on a frozen student.

Whether somebody speaks, laughs or coughs is heard within a tenth of a second, so each token is
judged by itself and an estimate is the share of its window. The student's other layers do not
change: what it says of emotion keeps its bits.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edgeemo.errors import BadData
from edgeemo.features import FeatureSpec, log_mel

from ..data.clips import Clip
from ..data.sounds import LABELS, Example, examples, sound_of
from ..recipes import SoundsConfig
from ..students.base import Student
from ..train.epoch import cosine_warmup
from .base import Splits, Training

SHARES: Mapping[str, float] = {
    "speech": 0.4,
    "music": 0.16,
    "laughter": 0.1,
    "burst": 0.07,
    "other": 0.08,
    "crying": 0.04,
    "screaming": 0.04,
    "coughing": 0.05,
    "sighing": 0.04,
    "noise": 0.02,
}
"""Of a batch, by the kind of example; of kinds that are not there the others take over."""

NEEDED = ("speech", "laughter", "music")
"""Without these no share would mean what its name says."""

MOST, MOST_SPEECH, MOST_OF_PERSON = 1000, 2000, 6
"""Clips of a sound that are used, of speech, and of one person's speech, drawn from all: each voice
counts, however many clips there are of it."""

SPEECH_WEIGHT = 1.5
"""A word that is missed costs so many pauses that are taken for speech."""

WARMUP = 0.05


class Tokens(NamedTuple):
    """What a student hears of examples: a row for each token.

    Attributes:
        heard: float16 [N, channels].
        told: float32 [N, 8], see Example.
        kind: text [N], see Example.
    """

    heard: NDArray[np.float16]
    told: NDArray[np.float32]
    kind: NDArray[np.str_]


def run(student: Student, data: Splits, config: SoundsConfig, training: Training) -> Student:
    """Teach a student to tell speech and sounds.

    Args:
        student: trained; it is not changed.
        data: whose training clips of speech and of sounds (columns `sound` and `burst` of their
            labels) are the examples.
        config: how.
        training: what the stages share; its recipe's seed draws everything.

    Returns:
        A copy that tells them, in evaluation mode; all else in it is as it was.

    Raises:
        BadData: there are no clips of speech, laughter or music.
        BadRecipe: the student cannot tell sounds.
    """
    seed = training.recipe.seed
    clips = some({clip.id: clip for clip in data.train.clips}.values(), seed)
    return with_sounds(student, tokens_of(student.cpu().eval(), clips, seed), config, seed)


def with_sounds(student: Student, rows: Tokens, config: SoundsConfig, seed: int) -> Student:
    """A copy that tells what tokens are of.

    Args:
        student: trained; it is not changed.
        rows: what `tokens_of` gave for this student.
        config: how.
        seed: of every random choice.

    Returns:
        The copy, in evaluation mode.
    """
    made = copy.deepcopy(student).eval()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made.add_sounds(config.hidden)
        _fit(made, rows, config, seed)
    return made


def by_sound(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Clips by what is heard in them, "speech" or a sound, in the order of their ids.

    Args:
        clips: of a training split.

    Raises:
        BadData: there are none of speech, laughter or music.
    """
    kinds: dict[str, list[Clip]] = {}
    for clip in sorted(clips, key=lambda clip: clip.id):
        kinds.setdefault(sound_of(clip) or "speech", []).append(clip)
    missing = sorted(set(NEEDED) - set(kinds))
    if missing:
        raise BadData(
            f"$.sounds: no clip of {', '.join(missing)} in the training split; give labels.csv "
            'with a column "sound" (laughing, coughing, music ...), empty for speech'
        )
    return kinds


def some(clips: Iterable[Clip], seed: int) -> list[Clip]:
    """The clips that are learned from, in the order of their ids; see MOST.

    Args:
        clips: to choose from.
        seed: draws them.

    Raises:
        BadData: there are none of speech, laughter or music.
    """
    kinds = by_sound(clips)
    rng, found = np.random.default_rng(seed), list[Clip]()
    for kind, part in kinds.items():
        drawn = [part[i] for i in rng.permutation(len(part))]
        if kind == "speech":
            of: dict[str, list[Clip]] = {}
            for clip in drawn:
                of.setdefault(clip.group, []).append(clip)
            drawn = [clip for voice in of.values() for clip in voice[:MOST_OF_PERSON]]
            drawn = [drawn[i] for i in rng.permutation(len(drawn))]
        found += drawn[: MOST_SPEECH if kind == "speech" else MOST]
    return sorted(found, key=lambda clip: clip.id)


@torch.inference_mode()
def tokens_of(student: Student, clips: Sequence[Clip], seed: int) -> Tokens:
    """What a student hears of clips and their changed copies.

    Args:
        student: in evaluation mode, on the CPU.
        clips: speech, sounds, music.
        seed: draws the changes.
    """
    heard, told, kinds = [], [], []
    for example in examples(clips, np.random.default_rng(seed)):
        of = _hear(student, example)
        heard.append(of)
        told.append(_by_token(example, len(of), student))
        kinds += [example.kind] * len(of)
    return Tokens(np.concatenate(heard), np.concatenate(told), np.array(kinds))


def _hear(student: Student, example: Example) -> NDArray[np.float16]:
    assert isinstance(student.spec, FeatureSpec)
    features = torch.from_numpy(log_mel(example.samples, student.spec))[None]
    if features.shape[1] < student.stride:
        return np.zeros((0, student.heard), np.float16)
    return student.hear(features)[0, :, :, 0].T.numpy().astype(np.float16)


def _by_token(example: Example, tokens: int, student: Student) -> NDArray[np.float32]:
    """What is told of each token: that of its blocks, where they agree."""
    assert isinstance(student.spec, FeatureSpec)
    seconds = student.stride * student.spec.hop / student.spec.sample_rate
    size = max(1, round(100 * seconds))  # blocks of 10 ms
    blocks = np.full((tokens * size, len(LABELS)), np.nan, np.float32)
    blocks[: len(example.told)] = example.told[: len(blocks)]
    of = blocks.reshape(tokens, size, -1)
    return np.where((of == of[:, :1]).all(1), of[:, 0], np.nan).astype(np.float32)


def _fit(student: Student, rows: Tokens, config: SoundsConfig, seed: int) -> None:
    """Train the layers of `student.sounds` in place."""
    net = student.sounds
    assert net is not None
    rng = np.random.default_rng(seed)
    chance = np.zeros(len(rows.kind))
    for name, share in SHARES.items():
        chance[rows.kind == name] = share / max(1, (rows.kind == name).sum())
    until = np.cumsum(chance / chance.sum())
    weight = torch.ones(len(LABELS))
    weight[0] = SPEECH_WEIGHT
    # Layers learn on standardized inputs; the weights take mean and spread in afterwards.
    mean, scale = (torch.from_numpy(x) for x in _moments(rows.heard))
    optimizer = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=1e-4)
    for step in range(config.steps):
        optimizer.param_groups[0]["lr"] = config.lr * cosine_warmup(step, config.steps, WARMUP)
        drawn = np.searchsorted(until, rng.random(config.batch)).clip(max=len(until) - 1)
        x = (torch.from_numpy(rows.heard[drawn].astype(np.float32)) - mean) / scale
        said = net(x[:, :, None, None]).flatten(1)
        loss = _loss(said, torch.from_numpy(rows.told[drawn]), weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        weights, bias = net[0].parameters()
        weights.div_(scale[:, None, None])
        bias.sub_(weights.flatten(1) @ mean)


def _moments(x: NDArray[np.float16]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    some = x[:: max(1, len(x) // 100_000)].astype(np.float32)
    return some.mean(0), some.std(0) + np.float32(1e-2)


def _loss(said: Tensor, told: Tensor, weight: Tensor) -> Tensor:
    known = ~told.isnan()
    each = F.binary_cross_entropy_with_logits(
        said, told.nan_to_num(), pos_weight=weight, reduction="none"
    )
    return each[known].mean()
