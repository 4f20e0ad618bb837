from __future__ import annotations

from itertools import pairwise

import pytest

from edgeemo.results.cues import Cue
from edgeemo.results.utterances import LONGEST_SECONDS, Utterances
from edgeemo.types import Emotion


def at(end: float, arousal: float | None = 0.5, speech: bool | None = True) -> Emotion:
    """An estimate of a stream, which looks back one second."""
    classes = {} if arousal is None else {"anger": arousal, "fear": 1 - arousal}
    return Emotion(arousal, None, arousal, classes, 0.5, speech, end - 1, end)


def cues(*estimates: Emotion) -> list[Cue]:
    gathered = Utterances()
    return [cue for e in estimates for cue in gathered.push(e)] + gathered.flush()


def test_one_cue_as_long_as_somebody_speaks() -> None:
    first, second = cues(
        *(at(1, 0.2), at(1.25, 0.4), at(1.5, 0.9)),
        *(at(1.75, None, False), at(2, None, False), at(2.25, 0.75), at(2.5, 0.25)),
    )
    assert (first.who, first.start, first.end) == ("voice", 0, 1500)
    assert first.dimensions == {"arousal": pytest.approx(0.5), "valence": pytest.approx(0.5)}
    assert (second.start, second.end) == (2000, 2500)


def test_the_class_is_that_of_the_mean() -> None:
    (cue,) = cues(at(1, 0.2), at(1.25, 0.3), at(1.5, 0.4))
    assert (cue.expression, cue.probability) == ("fear", pytest.approx(0.7))


def test_a_face_goes_on_where_the_voice_stops() -> None:
    found = cues(at(1), at(1.25), at(1.5, 0.5, False), at(1.75, 0.5, None))
    assert [(c.who, c.start, c.end) for c in found] == [("voice", 0, 1250), ("face", 1250, 1750)]


def test_lost_sound_ends_an_utterance() -> None:
    """What comes after it did not last through it."""
    found = cues(at(1), at(1.25), at(9), at(9.25))
    assert [(c.start, c.end) for c in found] == [(0, 1250), (8000, 9250)]


def test_speech_without_a_pause_is_cut_and_touches() -> None:
    found = cues(*(at(1 + k / 4) for k in range(300)))
    assert len(found) == 3
    assert all(a.end == b.start for a, b in pairwise(found))
    assert max(c.end - c.start for c in found) <= 1000 * LONGEST_SECONDS
    assert found[-1].end == 75750


def test_silence_alone_gives_nothing() -> None:
    assert cues(*(at(1 + k / 4, None, False) for k in range(300))) == []
    assert cues() == []
