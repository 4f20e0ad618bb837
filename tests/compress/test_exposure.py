"""What taught a student and its teachers, along a chain of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgeemo.artifacts.card import Card
from edgeemo.artifacts.models import shipped
from edgeemo.artifacts.trained_on import MODEL, TEACHER
from edgeemo.compress.data import open_dataset, shipped_speech
from edgeemo.compress.exposure import PUBLISHED, exposure_of, seen_clips, trained_on
from edgeemo.compress.teachers import known_teachers, load_teacher
from edgeemo.compress.teachers.ensemble import Ensemble
from edgeemo.compress.teachers.labels_only import LabelsOnly


def card_of(name: str) -> Card:
    return next(m.card for m in shipped() if m.name == name)


def test_published_teachers_are_known_ones() -> None:
    assert set(PUBLISHED) <= set(known_teachers())


def test_a_chain_of_teachers_and_students() -> None:
    """Read speech taught the open teacher; the student saw other people; then it teaches."""
    clips = shipped_speech().clips
    mine = [c for c in clips if c.corpus == "cremad"]
    first = trained_on(mine, load_teacher("teacher-open"))
    seen = seen_clips(first, clips)
    by = dict(zip((c.corpus for c in clips), seen.by, strict=True))
    assert by["cremad"] == MODEL | TEACHER and by["librispeech"] == TEACHER
    second = trained_on([], _Student(first))
    assert set(seen_clips(second, mine).by) == {TEACHER}


class _Student:
    """A teacher with the card of a student."""

    name, licence, digest = "mine", "CC0-1.0", "0" * 64

    def __init__(self, trained) -> None:
        self.card = replace(card_of("wav2small-stream"), trained_on=trained)


def test_what_is_not_known_is_told(ear) -> None:
    assert trained_on([], ear()).unknown == ("ear",)
    old = _Student(None)
    assert trained_on([], old).corpora == tuple(s.name for s in old.card.data)
    assert trained_on([], LabelsOnly()) == trained_on([], LabelsOnly()).joined(
        trained_on([], LabelsOnly())
    )
    both = Ensemble("two", (ear(), load_teacher("teacher-open")), (0.5, 0.5))
    found = trained_on([], both)
    assert found.unknown == ("ear",) and "librispeech" in found.corpora
    assert trained_on([], LabelsOnly(), init_from="wav2small-stream").corpora
    assert trained_on([], LabelsOnly(), init_from="gone.pt").unknown == ("first weights gone",)
    for start, corpus in (("faceres.json", "vggface2"), ("mobilefacenet.json", "ms1m")):
        published = trained_on([], LabelsOnly(), init_from=start)
        assert published.corpora == (corpus,) and published.unknown == ()


def test_the_shipped_model_saw_every_research_corpus(corpora: Path) -> None:
    trained = card_of("wav2small-stream").trained_on
    assert trained is not None
    for folder in sorted((corpora / "speech").iterdir()):
        seen = seen_clips(trained, open_dataset(folder).clips)
        assert len(seen.unseen) == 0, f"{folder.name}: {seen}"
    strangers = seen_clips(trained, open_dataset(corpora / "voices/emogator").clips)
    assert strangers.clips() == 0 and strangers.corpora == ()
    # The whole sentences of ten people whom the model knows from two other copies.
    assert seen_clips(trained, open_dataset(corpora / "voices/emodb").clips).people(TEACHER) == 10


@pytest.mark.parametrize("name", ["train", "valid"])
def test_models_of_faces_saw_one_part_of_ferplus(corpora: Path, name: str) -> None:
    trained = card_of("efficientnet-lite0-face").trained_on
    assert trained is not None
    clips = open_dataset(corpora / "ferplus" / f"{name}.parquet").clips
    seen = seen_clips(trained, clips)
    # 295 of the 3579 in valid lie in train, too.
    assert seen.clips() == len(clips) if name == "train" else seen.clips() <= 295


def test_a_card_stays_small(corpora: Path) -> None:
    from edgeemo.artifacts.card import to_json

    trained = exposure_of(open_dataset(corpora / "speech").clips)
    assert len(trained.speakers) + len(trained.clips) < 2500
    for model in shipped():
        assert len(to_json(model.card).encode()) <= 8704, model.name
