"""What lies in folders of labels, made unit by unit (units.py) and packed (packing.py)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from edgeemo.artifacts.trained_on import TrainedOn
from edgeemo.errors import BadData, BadRecipe
from edgeemo.features import FeatureSpec
from edgeemo.io import schema
from edgeemo.io.files import write_text
from edgeemo.io.loading import load_json
from edgeemo.vision.images import ImageSpec

from ..exposure import exposure_of_teacher
from ..recipes import AugmentConfig, Recipe, TeacherConfig
from ..teachers.base import Teacher, task_of
from .cache import sha_of
from .rows import VERSION

MANIFEST = "part-{:05d}-of-{:05d}.json"
SETTINGS = "settings.json"
GROUP_ROWS = 256

SPLITS = ("", "train", "valid", "test")
"""Published splits, in the order of their numbers."""

INDEX, GROUPS, SOUND = "index.json", "groups.parquet", "sound.parquet"

SCHEMA = 1
_MOST_JSON = 64 << 20

UNCOMPRESSED: dict[str, Any] = {
    "compression": "none",
    "use_dictionary": False,
    "write_page_checksum": True,
}
"""Half precision hardly shrinks, and no key comes twice. Without compression nothing else would
notice that bytes were changed."""

CHECKED: dict[str, Any] = {"page_checksum_verification": True}
"""How such files are read; those without checksums are read as they are."""


T = TypeVar("T")


@dataclass(frozen=True)
class LabelSettings:
    """All that rows of labels depend on beside their clips and the teacher's weights.

    Attributes:
        version: of the way in which rows are made.
        task: "speech" or "face".
        clip_seconds: longer clips are cut.
        teacher: as the recipe names it.
        seed: of the changed copies.
        features: of the student.
        augment: how copies are changed, and how many there are.
        annotated_copies: of clips with annotated dimensions; 0 is as many as of others.
    """

    version: int
    task: Literal["speech", "face"]
    clip_seconds: float
    teacher: TeacherConfig
    seed: int
    features: FeatureSpec | ImageSpec
    augment: AugmentConfig
    annotated_copies: int

    @classmethod
    def of(cls, recipe: Recipe, spec: FeatureSpec | ImageSpec) -> LabelSettings:
        """What a recipe asks of the labels of its student.

        Args:
            recipe: of the student.
            spec: of the features or pictures that the student expects.
        """
        return cls(
            version=VERSION,
            task=recipe.task,
            clip_seconds=recipe.data.clip_seconds,
            teacher=recipe.teacher,
            seed=recipe.seed,
            features=spec,
            augment=recipe.augment,
            annotated_copies=recipe.finetune.copies if recipe.finetune else 0,
        )

    def check(self, recipe: Recipe, spec: FeatureSpec | ImageSpec, where: object) -> None:
        """Refuse labels for a recipe that asks for others; its seed may be another.

        Args:
            recipe: of the training.
            spec: of its student.
            where: the labels lie, for the message.

        Raises:
            BadRecipe: the message names the first key that differs.
        """
        wanted = schema.write(replace(LabelSettings.of(recipe, spec), seed=self.seed))
        ours = schema.write(self)
        for key, path in _PLACES.items():
            if ours[key] != wanted[key]:
                raise BadRecipe(
                    f"$.{path}: the labels in {where} are of {_short(ours[key], wanted[key])}, the "
                    f"recipe says {_short(wanted[key], ours[key])}; label again with this recipe, "
                    "or train with theirs"
                )


_PLACES = {
    "version": "schema",
    "task": "task",
    "clip_seconds": "data.clip_seconds",
    "teacher": "teacher",
    "features": "student.features",
    "augment": "augment",
    "annotated_copies": "finetune.copies",
}
"""Where a recipe says what labels depend on."""


@dataclass(frozen=True)
class LabelledBy:
    """What a run must know of the teacher once its labels are there.

    Attributes:
        name: of the teacher.
        licence: of its weights.
        digest: of weights and settings.
        task: "speech" or "face".
        attributions: who must be named with a model that learned from it.
        trained_on: what a student of it must say of people and clips.
    """

    name: str
    licence: str
    digest: str
    task: Literal["speech", "face"]
    attributions: tuple[str, ...] = ()
    trained_on: TrainedOn | None = None

    @classmethod
    def of(cls, teacher: Teacher) -> LabelledBy:
        """What is kept of a teacher."""
        return cls(
            teacher.name,
            teacher.licence,
            teacher.digest,
            "face" if task_of(teacher) == "face" else "speech",
            tuple(getattr(teacher, "attributions", ())),
            exposure_of_teacher(teacher),
        )


@dataclass(frozen=True)
class Labels:
    """The content of settings.json."""

    settings: LabelSettings
    teacher: LabelledBy

    @property
    def key(self) -> str:
        """Name of the folder."""
        return sha_of([schema.write(self.settings), self.teacher.digest])[:16]


@dataclass(frozen=True)
class MadeUnit:
    """A unit's line in a manifest.

    Attributes:
        name: of the unit.
        digest: of its clips; the file is called so.
        rows: labelled.
        skipped: rows that could not be labelled.
    """

    name: str
    digest: str
    rows: int
    skipped: int


@dataclass(frozen=True)
class LeftOut:
    """A unit that could not be read, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Manifest:
    """What one part made.

    Attributes:
        schema: version of this layout.
        part: number of the part, from 1.
        parts: how many there are.
        listed: units of all parts together.
        data: where the sound was.
        units: those of this part.
        left_out: units that could not be read.
    """

    schema: int
    part: int
    parts: int
    listed: int
    data: str
    units: tuple[MadeUnit, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class PackedFile:
    """A line of the index.

    Attributes:
        name: of the file.
        rows: in it.
        bytes: of it.
    """

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class PackedCorpus:
    """A corpus under one licence.

    Attributes:
        name: of the corpus.
        licence: of its sound and votes.
        clips: labelled.
    """

    name: str
    licence: str
    clips: int


@dataclass(frozen=True)
class PackedIndex:
    """The content of index.json.

    Attributes:
        schema: version of this layout.
        name: of the data, for reports.
        settings: what the rows depend on.
        teacher: who labelled them.
        files: with the rows, in order.
        groups: of speakers.
        corpora: for the card of a model.
        skipped: rows that could not be labelled.
    """

    schema: int
    name: str
    settings: LabelSettings
    teacher: LabelledBy
    files: tuple[PackedFile, ...]
    groups: int
    corpora: tuple[PackedCorpus, ...]
    skipped: int


def write_json(path: Path, value: object) -> None:
    """Write a dataclass of this module, all of it or nothing.

    Args:
        path: of the file.
        value: the dataclass.

    Raises:
        BadData: it cannot be written.
    """
    text = json.dumps(schema.write(value), indent=1, ensure_ascii=False, allow_nan=False)
    try:
        write_text(path, text + "\n")
    except OSError as error:
        raise BadData(
            f"{path} cannot be written ({error.strerror or error}); make room and run again"
        ) from None


def read_json(path: Path, cls: type[T]) -> T:
    """A dataclass that `write_json` wrote.

    Args:
        path: of the file.
        cls: the dataclass.

    Raises:
        BadData: missing, damaged, or of another version.
    """
    value = load_json(path, BadData, _MOST_JSON)
    try:
        return schema.read(cls, value, BadData)
    except BadData as error:
        raise BadData(f"{path}: {error}") from None


def _short(value: Any, other: Any) -> str:
    """A value, or what of a table differs from another."""
    if isinstance(value, dict) and isinstance(other, dict):
        return ", ".join(f"{k} {value[k]!r:.60}" for k in value if value[k] != other.get(k))
    return f"{value!r:.60}"
