"""The licence of what a training makes: of its corpora with their votes, teacher and first weights.

The algebra itself is in edgeemo/artifacts/licences.py, so that a card is judged without training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeemo.artifacts.card import Source
from edgeemo.artifacts.licences import verdict
from edgeemo.artifacts.models import resolve
from edgeemo.artifacts.onnx import read_onnx
from edgeemo.errors import BadArtifact, BadInput, BadRecipe

from .data.clips import DataSet
from .data.corpus_info import attribution_of
from .exposure import STARTS
from .labels.layout import LabelledBy
from .recipes import Recipe
from .run import Run
from .teachers.base import Teacher


@dataclass(frozen=True)
class Sources:
    """All that teaches a model.

    Attributes:
        data: corpora; their licences are those of the sound and of the votes.
        teachers: the teacher and, where training does not begin at random, the first weights.
        attributions: who must be named with the model, a text each.
    """

    data: tuple[Source, ...]
    teachers: tuple[Source, ...]
    attributions: tuple[str, ...]


def sources_of(recipe: Recipe, data: DataSet, teacher: Teacher | LabelledBy) -> Sources:
    """What a run learns from.

    Args:
        recipe: tells the first weights.
        data: tells corpora and their licences.
        teacher: its licence, and its attributions if it has any.
    """
    corpora = tuple(Source(name, licence) for name, licence in data.licences.items())
    teachers = [Source(teacher.name, teacher.licence)]
    texts = [attribution_of(s.name, s.licence) for s in corpora]
    texts += getattr(teacher, "attributions", ())
    if recipe.student.init_from:
        first, named = _first_weights(recipe.student.init_from)
        teachers.append(first)
        texts += named
    return Sources(corpora, tuple(teachers), tuple(dict.fromkeys(texts)))


def check_open(recipe: Recipe, data: DataSet, teacher: Teacher | LabelledBy) -> None:
    """Refuse a recipe that claims an open result, where a source does not allow one.

    Args:
        recipe: checked if it says `open`.
        data: whose corpora and votes it learns from.
        teacher: who labels them.

    Raises:
        BadRecipe: names each such corpus, teacher and start, with its licence.
    """
    if not recipe.open:
        return
    found = sources_of(recipe, data, teacher)
    bad = [s for s in (*found.data, *found.teachers) if verdict([s]).allowed != "may be sold"]
    if bad:
        named = "; ".join(f"{s.name} ({s.licence})" for s in bad)
        raise BadRecipe(
            f"$.open: true, but these do not allow it: {named}; leave them out, write the licence "
            "of a corpus into the column licence of its labels.csv, or set open = false"
        )


def _first_weights(name: str) -> tuple[Source, tuple[str, ...]]:
    """Weights that training begins with, and whom they ask to name."""
    path = Path(name)
    if not path.suffix:
        path = resolve(name, "onnx")
    label = f"first weights {path.stem}"
    if path.suffix == ".onnx":
        card = read_onnx(path).card
        return Source(label, card.licence), card.attributions
    try:
        facts = Run(path.parent).facts()
    except (BadArtifact, BadInput):
        known = STARTS.get(path.stem)
        return known.source if known else Source(label, "not stated"), ()
    return Source(label, facts.licence), facts.attributions
