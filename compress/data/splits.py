"""Splits of a data set (train, valid, test; folds) that share no speaker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from edgeemo.errors import BadInput

from .clips import Clip


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
    if any(share < 0 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise BadInput(f"shares {tuple(shares)}; expected numbers of 0 or more that sum to 1")
    corpora = _corpora(clips, seed)
    wanted = [split for split, share in enumerate(shares) if share > 0]
    groups = [group for corpus in corpora for group in corpus]
    if len(groups) < len(wanted):
        raise BadInput(
            f"{len(groups)} speakers for {len(wanted)} splits; give clips of more speakers, "
            "or labels that tell the speakers apart"
        )
    missing = [0.0] * len(shares)
    splits: list[list[list[Clip]]] = [[] for _ in shares]
    for corpus in corpora:
        total = sum(map(len, corpus))
        missing = [m + share * total for m, share in zip(missing, shares, strict=True)]
        for group in corpus:
            split = max(wanted, key=lambda s: missing[s])
            missing[split] -= len(group)
            splits[split].append(group)
    for split in wanted:
        if not splits[split]:
            richest = max(splits, key=len)
            splits[split].append(
                richest.pop(min(range(len(richest)), key=lambda i: len(richest[i])))
            )
    return tuple(_flat(groups) for groups in splits)


def split_as_published(
    clips: Sequence[Clip], seed: int, shares: Sequence[float]
) -> tuple[list[Clip], list[Clip], list[Clip]]:
    """Train, valid and test; what the makers of a corpus put aside stays aside.

    Their "test", or their "valid" where there is no test, is the test split; of a group that is in
    several splits the test keeps none that another split has, and one clip of what is left. The
    share for valid is then taken from the rest, unless they made a "valid" too. A corpus without
    splits is split by group.

    Args:
        clips: any.
        seed: which of the possible splits.
        shares: wanted share of the clips for train, valid and test.

    Raises:
        BadInput: as split_by_speaker.
    """
    named = {clip.split for clip in clips}
    held_out = next((split for split in ("test", "valid") if split in named), "")
    if not held_out or named == {held_out}:
        train, valid, test = split_by_speaker(clips, seed, shares)
        return train, valid, test
    rest = [clip for clip in clips if clip.split != held_out]
    test = _unseen_groups((clip for clip in clips if clip.split == held_out), rest)
    if held_out == "test" and "valid" in named:
        train = [clip for clip in rest if clip.split != "valid"]
        return train, _unseen_groups((c for c in rest if c.split == "valid"), train), test
    train, valid = split_by_speaker(rest, seed, (1 - shares[1], shares[1]))
    return train, valid, test


def _unseen_groups(clips: Iterable[Clip], known: Iterable[Clip]) -> list[Clip]:
    """One clip of each group that is not among the known."""
    seen = {clip.group for clip in known}
    unseen = []
    for clip in clips:
        if clip.group not in seen:
            seen.add(clip.group)
            unseen.append(clip)
    return unseen


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
        raise BadInput(f"{k} folds of {groups} speakers; expected 2 to {groups}")
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
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(clip.group, []).append(clip)
    corpora: dict[str, list[str]] = {}
    for group in groups:
        corpora.setdefault(group.partition("/")[0], []).append(group)

    def place(group: str) -> str:
        # A digest, not random(): a new speaker does not disturb the order of the others, and the
        # order is the same in every version of Python.
        return hashlib.sha256(f"{seed}/{group}".encode()).hexdigest()

    return [[groups[g] for g in sorted(corpora[name], key=place)] for name in sorted(corpora)]


def _flat(groups: list[list[Clip]]) -> list[Clip]:
    return sorted((clip for group in groups for clip in group), key=lambda clip: clip.id)
