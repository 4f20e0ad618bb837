"""Splits of a data set (train, valid, test; folds) that share no speaker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from edgeemo.errors import BadInput, counted, printable

from .clips import LOG, Clip


def split_by_speaker(
    clips: Iterable[Clip], seed: int, shares: Sequence[float] = (0.8, 0.1, 0.1)
) -> tuple[list[Clip], ...]:
    """Divide clips into splits (train, valid, test) so that no group lies in two.

    Each corpus is spread over the splits as its shares allow; what a corpus of few speakers cannot
    give to a split, the next corpus gives. The order of `clips` does not matter.

    Args:
        clips: any.
        seed: which of the possible splits.
        shares: wanted share of the clips for each split, 0 or more, summing to 1.

    Returns:
        One list of clips for each share, in the order of their ids; a split with a share above 0
        has at least one group.

    Raises:
        BadInput: shares are negative or do not sum to 1, or there are fewer groups than splits.
    """
    groups = _by_group(clips)
    sizes = {group: len(members) for group, members in groups.items()}
    return tuple(
        _flat([groups[name] for name in names]) for names in split_groups(sizes, seed, shares)
    )


def split_groups(
    sizes: Mapping[str, int], seed: int, shares: Sequence[float]
) -> tuple[list[str], ...]:
    """Divide groups into splits, where there are too many clips to hold one object for each.

    Args:
        sizes: clips of each group, by name ("corpus/name").
        seed: which of the possible splits.
        shares: wanted share of the clips for each split, 0 or more, summing to 1.

    Returns:
        Names of groups, a list for each share.

    Raises:
        BadInput: as split_by_speaker.
    """
    if any(share < 0 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise BadInput(f"shares {tuple(shares)}; expected numbers of 0 or more that sum to 1")
    wanted = [split for split, share in enumerate(shares) if share > 0]
    if len(sizes) < len(wanted):
        raise BadInput(
            f"{counted(len(sizes), 'speaker')} for {len(wanted)} splits; give clips of more "
            "speakers, or labels that tell the speakers apart"
        )
    missing = [0.0] * len(shares)
    splits: list[list[str]] = [[] for _ in shares]
    for corpus in _by_corpus(sizes, seed):
        total = sum(sizes[group] for group in corpus)
        missing = [m + share * total for m, share in zip(missing, shares, strict=True)]
        for group in corpus:
            split = max(wanted, key=lambda s: missing[s])
            missing[split] -= sizes[group]
            splits[split].append(group)
    for split in wanted:
        if not splits[split]:
            richest = max(splits, key=len)
            splits[split].append(
                richest.pop(min(range(len(richest)), key=lambda i: sizes[richest[i]]))
            )
    return tuple(splits)


def split_as_published(
    clips: Sequence[Clip], seed: int, shares: Sequence[float]
) -> tuple[list[Clip], list[Clip], list[Clip]]:
    """Train, valid and test; what the makers of a corpus put aside stays aside.

    Their "test", or their "valid" where there is no test, is the test split. A group that is in
    several splits leaves the test, with a warning that names it; of equal pictures of faces one is
    kept. The share for valid is then taken from the rest, unless they made a "valid" too. A corpus
    without splits is split by group.

    Args:
        clips: any.
        seed: which of the possible splits.
        shares: wanted share of the clips for train, valid and test.

    Raises:
        BadInput: as split_by_speaker.
    """
    counts: dict[str, dict[str, int]] = {}
    for clip in clips:
        of_group = counts.setdefault(clip.group, {})
        of_group[clip.split] = of_group.get(clip.split, 0) + 1
    places, once = assign_splits(counts, seed, shares)
    splits: tuple[list[Clip], list[Clip], list[Clip]] = ([], [], [])
    seen, left_out = set[str](), set[str]()
    for clip in clips:
        place = places.get((clip.group, clip.split))
        double = place in once and is_one_picture(clip) and clip.group in seen
        if place is not None and not double:
            splits[place].append(clip)
            seen.add(clip.group)
        elif clip.task == "speech":
            left_out.add(clip.group)
    if left_out:
        names = printable(", ".join(sorted(left_out)), 200)
        LOG.warning("left out of the test, because they are in another split too: %s", names)
    by_id = [sorted(split, key=lambda clip: clip.id) for split in splits]
    return by_id[0], by_id[1], by_id[2]


def is_one_picture(clip: Clip) -> bool:
    """Whether the clip's group is of equal pictures; a person's clips all count."""
    return clip.task == "face" and clip.group != clip.speaker


def assign_splits(
    counts: Mapping[str, Mapping[str, int]], seed: int, shares: Sequence[float]
) -> tuple[dict[tuple[str, str], int], frozenset[int]]:
    """What `split_as_published` does, for groups of which the clips are only counted.

    Args:
        counts: clips of each group by the split where their makers put them ("" is nowhere).
        seed: which of the possible splits.
        shares: wanted share of the clips for train, valid and test.

    Returns:
        By group and published split 0 (train), 1 (valid) or 2 (test); clips of pairs that are not
        named are left out. And those of the three to which a group of equal pictures gives one.

    Raises:
        BadInput: as split_by_speaker.
    """
    named = {split for of_group in counts.values() for split in of_group}
    held_out = next((split for split in ("test", "valid") if split in named), "")
    if not held_out or named == {held_out}:
        return _assigned(counts, split_groups(_sizes(counts), seed, shares)), frozenset()
    rest = {g: {s: n for s, n in c.items() if s != held_out} for g, c in counts.items()}
    rest = {group: of_group for group, of_group in rest.items() if of_group}
    test = {(g, held_out): 2 for g, c in counts.items() if held_out in c and g not in rest}
    if held_out == "test" and "valid" in named:
        train = {(g, s): 0 for g, c in rest.items() for s in c if s != "valid"}
        known = {group for group, _ in train}
        valid = {(g, "valid"): 1 for g, c in rest.items() if "valid" in c and g not in known}
        return train | valid | test, frozenset((1, 2))
    split = split_groups(_sizes(rest), seed, (1 - shares[1], shares[1]))
    return _assigned(rest, split) | test, frozenset((2,))


def _sizes(counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {group: sum(of_group.values()) for group, of_group in counts.items()}


def _assigned(
    counts: Mapping[str, Mapping[str, int]], splits: Sequence[Sequence[str]]
) -> dict[tuple[str, str], int]:
    return {
        (group, split): place
        for place, groups in enumerate(splits)
        for group in groups
        for split in counts[group]
    }


def speaker_folds(clips: Iterable[Clip], k: int, seed: int) -> list[tuple[list[Clip], list[Clip]]]:
    """Folds for cross-validation: each group is held out exactly once.

    Args:
        clips: any; their order does not matter.
        k: number of folds, 2 or more. Each corpus gives each fold as equal a number of groups as
            it can, then as equal a number of clips.
        seed: which of the possible foldings.

    Returns:
        k pairs (train, held out), each list in the order of the clips' ids.

    Raises:
        BadInput: k is below 2 or above the number of groups.
    """
    corpora = _corpora(clips, seed)
    groups = sum(map(len, corpora))
    if not 2 <= k <= groups:
        raise BadInput(f"{k} folds of {counted(groups, 'speaker')}; expected 2 to {groups}")
    folds: list[list[list[Clip]]] = [[] for _ in range(k)]
    for corpus in corpora:
        here = [0] * k  # groups of this corpus
        for group in corpus:
            sizes = [sum(map(len, fold)) for fold in folds]
            fold = min(range(k), key=lambda f: (here[f], sizes[f]))
            here[fold] += 1
            folds[fold].append(group)
    return [
        (_flat([g for other in folds if other is not fold for g in other]), _flat(fold))
        for fold in folds
    ]


def _corpora(clips: Iterable[Clip], seed: int) -> list[list[list[Clip]]]:
    """Clips by group, groups by corpus: corpora by name, groups shuffled by the seed."""
    groups = _by_group(clips)
    return [[groups[name] for name in corpus] for corpus in _by_corpus(groups, seed)]


def _by_group(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(clip.group, []).append(clip)
    return groups


def _by_corpus(groups: Iterable[str], seed: int) -> list[list[str]]:
    """Names of groups by corpus: corpora by name, groups shuffled by the seed."""
    corpora: dict[str, list[str]] = {}
    for group in groups:
        corpora.setdefault(group.partition("/")[0], []).append(group)

    def place(group: str) -> str:
        # A digest, not random(): a new speaker does not disturb the order of the others, and the
        # order is the same in every version of Python.
        return hashlib.sha256(f"{seed}/{group}".encode()).hexdigest()

    return [sorted(corpora[name], key=place) for name in sorted(corpora)]


def _flat(groups: list[list[Clip]]) -> list[Clip]:
    return sorted((clip for group in groups for clip in group), key=lambda clip: clip.id)
