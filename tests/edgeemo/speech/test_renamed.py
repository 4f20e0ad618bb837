"""Old keywords: they work and warn, and beside the new one they are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo.errors import BadInput
from edgeemo.speech.renamed import renamed


@renamed(old="new")
def twice(value: int, *, new: int = 1) -> int:
    """Twice as much."""
    return 2 * value * new


def test_an_old_keyword_works_and_warns() -> None:
    with pytest.warns(DeprecationWarning, match="old is new now") as caught:
        assert twice(1, old=3) == 6  # type: ignore[call-arg]
    assert caught[0].filename == __file__  # it points at the caller
    assert twice(1, new=3) == 6
    assert twice.__doc__ == "Twice as much."


def test_both_names_are_one_too_many() -> None:
    with pytest.raises(BadInput, match="old is the old name of new; give new alone"):
        twice(1, old=3, new=3)  # type: ignore[call-arg]


def test_streams_take_their_old_keywords(artifact: Path) -> None:
    session, sound = edgeemo.load(artifact), np.zeros(32000, np.float32)
    with pytest.warns(DeprecationWarning, match="hop_seconds is stride_seconds now"):
        old = session.stream(hop_seconds=0.5, gate=None)  # type: ignore[call-arg]
    with pytest.warns(DeprecationWarning, match="window_seconds is context_seconds now"):
        old = session.stream(window_seconds=1.5, stride_seconds=0.5, gate=None)  # type: ignore[call-arg]
    new = session.stream(context_seconds=1.5, stride_seconds=0.5, gate=None)
    assert old.push(sound) == new.push(sound)
    with pytest.warns(DeprecationWarning, match="baseline is profile now"):
        session.predict(sound, baseline=None)  # type: ignore[call-arg]
