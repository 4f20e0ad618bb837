"""Samples that a caller gives: what is taken, as what, and what is said of the rest."""

from __future__ import annotations

import numpy as np
import pytest

from edgeemo.errors import BadInput
from edgeemo.speech.samples import RATES, as_float, validate_rate, validate_samples


def test_integers_stay_and_floats_become_float32() -> None:
    whole = np.int16([1, -32768, 32767])
    assert validate_samples(whole, 16000).dtype == np.int16
    assert as_float(whole).tolist() == [1 / 32768, -1, 32767 / 32768]
    for kind in ("<f4", ">f4", "<f8"):
        found = validate_samples(np.array([0.5, -1], kind), 16000)
        assert found.dtype == np.float32 and found.tolist() == [0.5, -1]
    assert len(validate_samples(np.zeros(0, np.float32), 16000)) == 0


@pytest.mark.parametrize(
    ("samples", "remedy"),
    [
        (np.zeros((9, 2), np.int16), "mono: samples.mean(axis=1) / 32768"),
        (np.zeros((2, 9), np.int16), "mono: samples.mean(axis=0) / 32768"),
        (np.zeros((9, 2), np.int32), "mono: samples.mean(axis=1) / 2147483648"),
        (np.zeros((9, 2), np.float32), "mono: samples.mean(axis=1)"),
        (np.zeros((2, 2, 2), np.float32), "one axis"),
    ],
)
def test_the_remedy_for_channels_gives_what_is_taken(samples: np.ndarray, remedy: str) -> None:
    with pytest.raises(BadInput) as caught:
        validate_samples(samples, 16000)
    assert str(caught.value).endswith(f"expected [n], {remedy}")
    if samples.ndim == 2:
        validate_samples(eval(remedy.removeprefix("mono: "), {"samples": samples}), 16000)


@pytest.mark.parametrize(("peak", "told"), [(1.0, 0), (1.1, 0), (1.2, 1), (4.0, 1), (-4.0, 1)])
def test_beyond_full_scale_is_told(peak: float, told: int) -> None:
    said: list[str] = []
    validate_samples(np.array([0.1, peak]), 16000, said.append)
    assert len(said) == told
    with pytest.raises(BadInput, match=r"reach 4\.01; .*divide 16-bit values by 32768"):
        validate_samples(np.array([0.1, -4.01]), 16000, said.append)


@pytest.mark.parametrize("rate", [RATES[0] - 1, RATES[1] + 1, 16000.0, True, None, "16000"])
def test_rates_that_are_none(rate: object) -> None:
    with pytest.raises(BadInput, match=r"rate is .*; expected a whole number of Hz"):
        validate_rate(rate)  # type: ignore[arg-type]
    validate_rate(RATES[0])
    validate_rate(np.int64(RATES[1]))  # type: ignore[arg-type]
