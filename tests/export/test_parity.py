"""What an exported file may differ by, with many clips and with few."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from edgeemo.artifacts.card import Output
from edgeemo.export.parity import Parity, Tolerances, ccc_at_most, int8_faults
from edgeemo.export.runtimes import on_runtimes
from edgeemo.types import DIMENSIONS

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


def test_a_runtimes_agreement_is_of_what_users_see(tmp_path: Path) -> None:
    """As the table above it: a student that is barely trained gives values far beyond 0..1."""
    wanted = np.random.default_rng(1).uniform(-1, 2, (20, 3)).astype(np.float32)
    beyond = (wanted < 0) | (wanted > 1)
    given = np.where(beyond, 2 * wanted - 0.5, wanted)  # the same once they are clipped
    output = Output("adv", DIMENSIONS)
    card = SimpleNamespace(
        input="features", outputs=(output,), quantization=SimpleNamespace(precision="int8")
    )
    rows = iter([given[0], *given])  # the first call only makes room
    backend = SimpleNamespace(name="onnx", card=card, run=lambda x: {"adv": next(rows)[None]})
    (tmp_path / "file").touch()
    clips = [np.zeros((1, 40), np.float32)] * len(wanted)
    (row,) = on_runtimes(tmp_path / "file", cast(Any, backend), (clips, wanted))
    assert list(row.ccc.values()) == pytest.approx([1, 1, 1])
    assert row.largest == pytest.approx(float(np.abs(given - wanted).max()))
