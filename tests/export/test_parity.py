"""What an exported file may differ by, with many clips and with few."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from edgeemo.export.parity import Parity, Tolerances, ccc_at_most, int8_faults

SAME = Parity(
    clips=200,
    taught=0,
    rated=0,
    agreement={"valence": 0.995},
    largest=0.1,
    float_teacher={},
    file_teacher={},
    float_human={},
    file_human={},
    ceiling={},
    level={},
    same_class=196,
    faults=(),
)


@pytest.mark.parametrize(
    ("clips", "agreement", "same_class", "faults"),
    [
        (200, 0.991, 190, 0),
        (200, 0.989, 190, 1),  # .01 from the student, whatever chance would allow
        (200, 0.991, 189, 1),
        (200, 0.989, 189, 2),
        (8, 0.97, 6, 0),  # of eight clips, nothing that chance does not do
        (8, 0.90, 6, 1),
        (8, 0.97, 1, 0),
        (2, 0.10, 2, 0),
        (200, 0.991, None, 0),
    ],
)
def test_few_clips_refuse_what_chance_cannot_do(
    clips: int, agreement: float, same_class: int | None, faults: int
) -> None:
    found = replace(SAME, clips=clips, agreement={"valence": agreement}, same_class=same_class)
    assert len(int8_faults(found, Tolerances())) == faults


def test_the_interval_is_fishers() -> None:
    assert ccc_at_most(0.9, 30) == pytest.approx(
        math.tanh(0.5 * math.log(1.9 / 0.1) + 1.645 / math.sqrt(28))
    )
    assert ccc_at_most(-1.0, 10) < 0 and ccc_at_most(0.0, 2) == 1
