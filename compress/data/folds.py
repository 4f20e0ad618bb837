"""Who is held out: folds of cross-validation, by chance or by a column, and named test speakers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from edgeemo.errors import BadData, BadInput, nearest

from .clips import Clip

FEW = 5
"""People in a test split below whom its figures depend on who they are."""


def deal(clips: Iterable[Clip], folds: int, seed: int) -> list[set[str]]:
    """Groups of speakers of each fold, drawn anew for each seed.

    Corpora are dealt out one after the other, by name, so that each is in every fold that it can
    reach; within one, the seed shuffles the groups.

    Args:
        clips: whose groups are dealt out.
        folds: 2 or more.
        seed: of the shuffle; each is a repetition of the cross-validation.

    Raises:
        BadInput: folds is below 2 or above the number of groups.
    """
    groups = sorted({clip.group for clip in clips})
    if not 2 <= folds <= len(groups):
        raise BadInput(f"{folds} folds of {len(groups)} speakers; expected 2 to {len(groups)}")
    rng, dealt = np.random.default_rng(seed), list[str]()
    for corpus in sorted({group.partition("/")[0] for group in groups}):
        own = [group for group in groups if group.partition("/")[0] == corpus]
        dealt += rng.permutation(own).tolist()
    return [set(dealt[i::folds]) for i in range(folds)]


def folds_of_column(clips: Sequence[Clip], column: str) -> list[set[str]]:
    """Groups of speakers by the value that a column has for all of their clips.

    Args:
        clips: all that are dealt out.
        column: a further column of the labels, or "group", "speaker", "corpus", "language".

    Raises:
        BadData: no such column, a clip without a value, one fold alone, or a speaker who is in two.
    """
    folds: dict[str, set[str]] = {}
    home: dict[str, str] = {}
    for clip in clips:
        value = clip.tags.get(column) or getattr(clip, column, None)
        if not isinstance(value, str) or not value:
            known = sorted({name for each in clips for name in each.tags})
            if column in known:
                raise BadData(
                    f"{clip.id}: no value in the column {column!r}; give each clip a fold"
                )
            raise BadData(
                f"{clip.id}: no value in the column {column!r}; "
                f"{nearest(column, known, 'columns') if known else 'the labels have no columns'}"
            )
        before = home.setdefault(clip.group, value)
        if before != value:
            raise BadData(
                f"{clip.id}: the speaker {clip.speaker!r} is in the folds {before!r} and {value!r} "
                f"of the column {column!r}; put each person into one fold"
            )
        folds.setdefault(value, set()).add(clip.group)
    if len(folds) < 2:
        raise BadData(f"column {column!r}: {len(folds)} fold; expected 2 or more values")
    return [folds[value] for value in sorted(folds)]


def groups_of_speakers(clips: Iterable[Clip], names: Collection[str]) -> set[str]:
    """The groups of people who are named.

    Args:
        clips: all.
        names: "corpus/name", or the name alone where one corpus has it.

    Raises:
        BadData: nobody, or several people, are called so.
    """
    by_name: dict[str, set[str]] = {}
    groups: dict[str, str] = {}
    for clip in clips:
        groups[clip.speaker] = clip.group
        by_name.setdefault(clip.speaker.partition("/")[2], set()).add(clip.speaker)
    found = set()
    for name in names:
        people = {name} if name in groups else by_name.get(name, set())
        if len(people) != 1:
            hint = f"; which of {', '.join(sorted(people))}?" if people else ""
            hint = hint or f"; {nearest(name, groups, 'speakers')}"
            raise BadData(f"test speaker {name!r} is not one person of the data{hint}")
        found.add(groups[people.pop()])
    return found


def check_doubles(clips: Iterable[Clip]) -> None:
    """Refuse one sound under two names: whoever it is could be in two splits.

    Args:
        clips: whose encoded bytes are compared; those that cannot be read are passed over.

    Raises:
        BadData: names both clips and both speakers.
    """
    seen: dict[str, Clip] = {}
    for clip in clips:
        try:
            digest = clip.digest()
        except BadInput:
            continue
        other = seen.setdefault(digest, clip)
        if other.group != clip.group:
            raise BadData(
                f"{other.id} of {other.speaker} and {clip.id} of {clip.speaker} are the same; "
                "give the person one name, or put both into one `group` of labels.csv"
            )
