"""What every teacher gives: the protocol, its checked output, and the checks before training.

A teacher takes clips (float32, mono, 16 kHz) or pictures of faces (uint8 [height, width, 3], RGB)
and gives arousal, dominance, valence in 0..1, in that order, and probabilities of expression
classes where it has them. Adapters convert; nothing downstream knows in which order or on which
scale a published model speaks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadData, BadInput
from edgeemo.types import CLASSES, DIMENSIONS, SAMPLE_RATE
from edgeemo.vision.images import Pixels, validate_image

Floats = NDArray[np.float32]

"""Samples per second of every clip given to a teacher."""

LONGEST_SECONDS = 600.0
"""Clips longer than this are refused: attention over ten minutes fills any memory."""

_BEYOND, _SELDOM = 0.1, 0.05
"""What lies so far beyond 0..1, and which share of the values may."""

CONSTANT_SD = 1e-4
"""A dimension whose standard deviation over clips is under this says nothing about the clips."""


@dataclass(frozen=True)
class TeacherOutput:
    """What a teacher says about N clips; shapes, sums and finiteness are checked when it is made.

    Attributes:
        dimensions: float32 [N, 3], order arousal, dominance, valence, scaled to 0..1 and not
            clipped (a regression may say 1.03); None where the teacher has classes only. A
            dimension that the teacher does not give at all is NaN in every row.
        probs: float32 [N, 8] over `edgeemo.types.CLASSES`, rows sum to 1; None without classes.
        embedding: float32 [N, E], one vector a clip; None where the teacher gives none.
        tokens: N arrays, float16 [T_i, K], features over time; None where there are none.
        tokens_per_second: rows of `tokens` for one second of sound; 0 without tokens.

    Raises:
        BadData: nothing is given, a shape is wrong, or a value is NaN, infinite or no probability;
            the message names dimension and clip.
    """

    dimensions: Floats | None = None
    probs: Floats | None = None
    embedding: Floats | None = None
    tokens: tuple[NDArray[np.float16], ...] | None = None
    tokens_per_second: float = 0.0

    def __post_init__(self) -> None:
        sizes = {
            name: len(value)
            for name in ("dimensions", "probs", "embedding", "tokens")
            if (value := getattr(self, name)) is not None
        }
        if not sizes.keys() & {"dimensions", "probs", "embedding"}:
            raise BadData("a teacher gave no dimensions, probs or embedding; expected at least one")
        if len(set(sizes.values())) != 1:
            raise BadData(f"a teacher gave different numbers of clips: {sizes}")
        if self.dimensions is not None:
            given = self.dimensions
            if given.ndim == 2 and given.shape[1] == len(DIMENSIONS) and len(given):
                absent = np.isnan(given).all(axis=0)
                if absent.all():
                    raise BadData("a teacher gave NaN for all dimensions; expected None")
                given = np.where(absent, np.float32(0), given)
            _check_array("dimensions", given, len(DIMENSIONS), DIMENSIONS)
        if self.probs is not None:
            _check_array("probs", self.probs, len(CLASSES), CLASSES)
            _check_probabilities(self.probs)
        if self.embedding is not None:
            _check_array("embedding", self.embedding, None, ())
        if self.tokens is not None:
            _check_tokens(self.tokens, self.tokens_per_second)

    def __len__(self) -> int:
        """Number of clips."""
        for given in (self.dimensions, self.probs, self.embedding):
            if given is not None:
                return len(given)
        raise AssertionError("__post_init__ lets no empty output through")


@runtime_checkable
class Teacher(Protocol):
    """A model that labels clips.

    Attributes:
        name: how reports and cards call it.
        licence: of the weights, and what it forbids; goes to the card of every student.
        digest: sha256 in hex over weights and settings; labels are cached under it.
    """

    @property
    def name(self) -> str:
        """How reports and cards call it."""

    @property
    def licence(self) -> str:
        """Licence of the weights."""

    @property
    def digest(self) -> str:
        """sha256 in hex over weights and settings."""

    def label(self, clips: Sequence[Any]) -> TeacherOutput:
        """Label clips.

        Args:
            clips: float32 arrays [samples], mono, 16 kHz, -1..1, at least one, of any lengths; for
                a teacher of faces pictures, uint8 [height, width, 3], RGB, each of one face.

        Returns:
            One row a clip, in the order of `clips`. A clip's row does not depend on the clips
            beside it (within float rounding).

        Raises:
            BadInput: a clip is empty, too short for the model, not float32, not mono, not finite.
            BadData: the model gave NaN or an impossible value.
        """


def task_of(teacher: Teacher) -> str:
    """What a teacher labels: "speech", or "face" where it says so by an attribute `task`."""
    return str(getattr(teacher, "task", "speech"))


def check_faces(images: Sequence[Any]) -> list[Pixels]:
    """Refuse pictures that no teacher can label.

    Raises:
        BadInput: none, or one is not uint8 [height, width, 3]; the message names it.
    """
    if len(images) == 0:
        raise BadInput("label() got no pictures; give at least one")
    for index, image in enumerate(images):
        try:
            validate_image(image)
        except BadInput as error:
            raise BadInput(f"picture {index}: {error}") from None
    return list(images)


def check_clips(clips: Sequence[Any], shortest: int = 1) -> list[Floats]:
    """Refuse clips that no teacher can label.

    Args:
        clips: what was given to `Teacher.label`.
        shortest: fewest samples that the model can take.

    Returns:
        The same arrays as a list.

    Raises:
        BadInput: no clip, or a clip is not float32, not [samples], not finite, shorter than
            `shortest` or longer than `LONGEST_SECONDS`; the message names the clip.
    """
    if len(clips) == 0:
        raise BadInput("label() got no clips; give at least one")
    for index, clip in enumerate(clips):
        fault = _clip_fault(clip, shortest)
        if fault:
            raise BadInput(f"clip {index}: {fault}")
    return list(clips)


def states_scale(teacher: Teacher) -> bool:
    """Whether a teacher's scale is on its card, as an artifact of edgeemo has it, or its members'.

    What is said of other teachers is whoever described them's to get wrong, so it is checked.
    """
    members: Sequence[Teacher] = getattr(teacher, "members", ())
    if members:
        return all(states_scale(member) for member in members)
    return getattr(teacher, "card", None) is not None


def check_teacher(
    outputs: TeacherOutput | Sequence[TeacherOutput],
    name: str = "teacher",
    *,
    scale_stated: bool = False,
) -> None:
    """Refuse a teacher that cannot teach, before a training run is spent on it.

    Args:
        outputs: what the teacher said about at least two different clips.
        name: of the teacher, for the message.
        scale_stated: see `states_scale`; the dimensions may then leave 0..1, as those of a linear
            head do where a voice is louder than all that taught it.

    Raises:
        BadData: a dimension is not finite or has a standard deviation under 1e-4 over the clips, or
            all class probabilities have; or the dimensions are on another scale than 0..1. The
            message names it.
        BadInput: fewer than two clips in all.
    """
    parts = [outputs] if isinstance(outputs, TeacherOutput) else list(outputs)
    clips = sum(len(part) for part in parts)
    if clips < 2:
        raise BadInput(f"{name}: {clips} labelled clips cannot show a spread; give at least 2")
    dimensions = [part.dimensions for part in parts if part.dimensions is not None]
    if dimensions:
        if not scale_stated:
            _check_scale(np.concatenate(dimensions), name)
        spread = np.concatenate(dimensions).astype(np.float64).std(axis=0)
        for dimension, sd in zip(DIMENSIONS, spread, strict=True):
            if not sd >= CONSTANT_SD and not _absent(
                dimensions, dimension
            ):  # "not >=": NaN as well
                raise BadData(
                    f"{name}: {dimension} has a standard deviation of {sd:.2g} over {clips} clips; "
                    f"a teacher must vary by {CONSTANT_SD:g} or more: check its weights and input"
                )
    for field, words in (("probs", "class probabilities have"), ("embedding", "embeddings have")):
        given = [value for part in parts if (value := getattr(part, field)) is not None]
        sd = float(np.concatenate(given).astype(np.float64).std(axis=0).max()) if given else 1.0
        if not sd >= CONSTANT_SD:
            raise BadData(
                f"{name}: {words} a standard deviation of {sd:.2g} over {clips} clips; a teacher "
                f"must vary by {CONSTANT_SD:g} or more: check weights and input"
            )


def _check_scale(dimensions: Floats, name: str) -> None:
    """Refuse outputs on another scale; a regression may pass 0..1 by a little, and seldom."""
    values = dimensions[np.isfinite(dimensions)]
    beyond = (values < -_BEYOND) | (values > 1 + _BEYOND)
    if beyond.mean() <= _SELDOM:
        return
    low, high = float(values.min()), float(values.max())
    scales = ((-1.0, 1.0), (1.0, 5.0), (1.0, 7.0), (1.0, 9.0), (0.0, 10.0), (0.0, 100.0))
    # Of the usual ones, one whose upper half is used; -1..1 has values below 0.
    fits = [
        (first, last)
        for first, last in scales
        if first - 0.5 <= low and (first + last) / 2 < high <= last + 0.5
        if first >= 0 or low < -_BEYOND
    ]
    first, last = fits[0] if fits else (math.floor(low), math.ceil(high))
    raise BadData(
        f"{name}: dimensions of {low:.3g} to {high:.3g}; expected 0..1. In its TOML, under "
        f"[adv], low = {first:.1f} and high = {last:.1f} would convert them (docs/teachers.md); "
        "see that the scale is right"
    )


def _absent(dimensions: Sequence[Floats], dimension: str) -> bool:
    """Whether a teacher never gives that dimension."""
    column = DIMENSIONS.index(dimension)
    return all(bool(np.isnan(part[:, column]).all()) for part in dimensions)


def label_in_batches(
    clips: Sequence[Floats], run: Callable[[list[Floats]], TeacherOutput], seconds: float
) -> TeacherOutput:
    """Run a model over clips in batches of similar length, and give rows in the order of `clips`.

    Args:
        clips: checked clips.
        run: the model on one batch; rows in the order of the batch.
        seconds: most seconds of sound in a batch, padding included; 0 runs clips one by one.

    Returns:
        All rows.
    """
    order = sorted(range(len(clips)), key=lambda i: len(clips[i]))
    batches: list[list[int]] = []
    for index in order:
        # Sorted by length: this clip is the longest so far and sets the padded length.
        if batches and (len(batches[-1]) + 1) * len(clips[index]) <= seconds * SAMPLE_RATE:
            batches[-1].append(index)
        else:
            batches.append([index])
    parts = [run([clips[i] for i in batch]) for batch in batches]
    return take(concatenate(parts), np.argsort([i for batch in batches for i in batch]))


def concatenate(parts: Sequence[TeacherOutput]) -> TeacherOutput:
    """Put the rows of several outputs of one teacher below each other."""
    if len(parts) == 1:
        return parts[0]

    def join(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        if all(value is None for value in values):
            return None
        if any(value is None for value in values):
            raise BadData(f"a teacher gave {name} for some clips only")
        if name == "tokens":
            return tuple(row for value in values for row in value)
        return np.concatenate(values)

    fields = {name: join(name) for name in ("dimensions", "probs", "embedding", "tokens")}
    return TeacherOutput(**fields, tokens_per_second=parts[0].tokens_per_second)


def take(output: TeacherOutput, rows: Sequence[int] | NDArray[Any]) -> TeacherOutput:
    """Chosen rows of an output.

    Args:
        output: of N clips.
        rows: numbers of rows, 0 to N - 1, in the wanted order.
    """
    index = np.asarray(rows, dtype=np.intp)
    return TeacherOutput(
        dimensions=None if output.dimensions is None else output.dimensions[index],
        probs=None if output.probs is None else output.probs[index],
        embedding=None if output.embedding is None else output.embedding[index],
        tokens=None if output.tokens is None else tuple(output.tokens[i] for i in index),
        tokens_per_second=output.tokens_per_second,
    )


def _clip_fault(clip: Any, shortest: int) -> str:
    if not isinstance(clip, np.ndarray) or clip.dtype != np.float32:
        kind = clip.dtype if isinstance(clip, np.ndarray) else type(clip).__name__
        return f"expected a float32 array, got {kind}"
    if clip.ndim != 1:
        return f"expected mono samples of shape [n], got shape {list(clip.shape)}"
    if len(clip) < shortest:
        return f"{len(clip)} samples; this teacher needs {shortest} or more at 16 kHz"
    if len(clip) > LONGEST_SECONDS * SAMPLE_RATE:
        return f"{len(clip) / SAMPLE_RATE:.0f} s; cut clips to {LONGEST_SECONDS:.0f} s at most"
    if not np.isfinite(clip).all():
        at = int(np.argmin(np.isfinite(clip)))
        return f"sample {at} is {clip[at]}; expected finite samples"
    return ""


def _check_array(name: str, value: Any, width: int | None, labels: Sequence[str]) -> None:
    if not isinstance(value, np.ndarray) or value.dtype != np.float32:
        kind = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
        raise BadData(f"a teacher gave {name} as {kind}; expected float32")
    if value.ndim != 2 or (width is not None and value.shape[1] != width) or value.size == 0:
        raise BadData(
            f"a teacher gave {name} of shape {list(value.shape)}; "
            f"expected [clips, {width if width is not None else 'width'}]"
        )
    wrong = np.argwhere(~np.isfinite(value))
    if len(wrong):
        clip, column = wrong[0].tolist()
        where = labels[column] if labels else f"{name}[{column}]"
        raise BadData(f"a teacher gave {value[clip, column]} for {where} of clip {clip}")


def _check_probabilities(probs: Floats) -> None:
    wrong = np.argwhere((probs < -1e-6) | (probs > 1 + 1e-6))
    if len(wrong):
        clip, column = wrong[0].tolist()
        raise BadData(
            f"a teacher gave {probs[clip, column]:g} for the probability of {CLASSES[column]} "
            f"of clip {clip}; expected 0..1"
        )
    sums = probs.sum(axis=1)
    worst = int(np.argmax(np.abs(sums - 1)))
    if abs(sums[worst] - 1) > 1e-3:
        raise BadData(f"class probabilities of clip {worst} sum to {sums[worst]:g}; expected 1")


def _check_tokens(tokens: Sequence[Any], rate: float) -> None:
    if not rate > 0:
        raise BadData(f"tokens_per_second is {rate}; expected more than 0 where there are tokens")
    for clip, value in enumerate(tokens):
        if not isinstance(value, np.ndarray) or value.dtype != np.float16 or value.ndim != 2:
            raise BadData(f"tokens of clip {clip}: expected a float16 array [tokens, width]")
        if not np.isfinite(value).all():
            raise BadData(f"tokens of clip {clip} are not all finite (float16 ends at 65504)")
