"""The front end as a graph against the C front end, on real speech."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeemo.export.frontend import LogMelGraph
from edgeemo.features import SPECS, FeatureSpec, log_mel

BASE = SPECS["logmel40"]
OTHERS = {
    "htk": replace(BASE, mel_scale="htk", high_hz=8000.0),
    "triangles in mel": replace(BASE, triangles="mel"),
    "no area": replace(BASE, area_norm="none"),
    "magnitude": replace(BASE, spectrum="magnitude"),
    "added floor": replace(BASE, floor_mode="add"),
    "dB": replace(BASE, log="db"),
    "prenorm": replace(BASE, prenorm="utterance"),
    "small": replace(BASE, window=60, hop=33, fft=64, bands=8, low_hz=100.0),
    "large": replace(BASE, window=1024, hop=512, fft=1024, bands=64),
    "odd power": replace(BASE, window=200, hop=80, fft=256),
    "hop beyond window": replace(BASE, window=300, hop=500),
}
ALL = {**SPECS, **OTHERS}

LIMIT = 5e-4
"""Of a natural logarithm, at a floor of 1e-6: float32 sums in another order. The smallest mistake
(a symmetric window) is .009 away."""


def limit(spec: FeatureSpec) -> float:
    """Nearer to zero a sum's rounding is a larger share of it; a dB is a tenth of 2.3."""
    return LIMIT * (4 if spec.floor < 1e-6 else 1) * (4.343 if spec.log == "db" else 1)


def graph(spec: FeatureSpec, sound: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return LogMelGraph(spec)(torch.from_numpy(sound)[None])[0].numpy()


@pytest.mark.parametrize("name", ALL)
def test_graph_is_the_c_front_end(name: str, sounds: list[np.ndarray]) -> None:
    spec = ALL[name]
    for sound in sounds[:4]:
        got, want = graph(spec, sound), log_mel(sound, spec)
        assert got.shape == want.shape
        assert np.abs(got - want).max() <= limit(spec)


@pytest.mark.parametrize("extra", [0, 1, 159, 160, 161])
def test_every_length_has_its_frames(extra: int, sounds: list[np.ndarray]) -> None:
    sound = sounds[0][: 400 + extra]
    assert graph(BASE, sound).shape == log_mel(sound, BASE).shape == (1 + extra // 160, 40)


def test_the_limit_notices_mistakes(sounds: list[np.ndarray]) -> None:
    want = log_mel(sounds[0], BASE)
    for wrong in ("htk", "triangles in mel", "no area", "added floor"):
        spec = replace(OTHERS[wrong], high_hz=BASE.high_hz)
        assert np.abs(graph(spec, sounds[0]) - want).max() > 10 * LIMIT
