"""The log-mel front end as a graph, for files that take samples (`edgeemo export --waveform`).

Made of gather, matrix product and arithmetic only, which every runtime has. The discrete Fourier
transform of N = A x B points is two products with small matrices and a table of rotations between
them (Cooley and Tukey 1965): for 512 points some 15 KB of constants where one big matrix has a
megabyte. The mel triangles are computed in the graph from their corners for the same reason.
`edgeemo.log_mel` (C) is the truth; tests compare the two.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeemo.features import FeatureSpec


class LogMelGraph(nn.Module):
    """[1, samples] at spec.sample_rate, -1..1, to log-mel frames [1, frames, bands]."""

    def __init__(self, spec: FeatureSpec) -> None:
        super().__init__()
        self.spec = spec
        self.rows = 2 ** (int(math.log2(spec.fft)) // 2)
        self.columns = spec.fft // self.rows
        for name, values in (_fourier(spec, self.rows) | _mel(spec)).items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values, np.float32)))
        self.register_buffer("steps", torch.arange(spec.fft))
        self.register_buffer("silence", torch.zeros(spec.fft - spec.window))

    def forward(self, samples: Tensor) -> Tensor:
        """Log-mel frames; see the class."""
        spec, clip = self.spec, samples[0]
        if spec.prenorm == "utterance":
            clip = clip - clip.mean()
            clip = clip / torch.sqrt((clip * clip).mean() + 1e-7)
        frames = (clip.shape[0] - spec.window) // spec.hop + 1
        starts = torch.arange(frames) * spec.hop
        # Each piece has the length of the FFT; the window's zeros hide what follows a frame, and
        # the silence is what the last frame finds there.
        if spec.fft > spec.window:
            clip = torch.cat([clip, self.get_buffer("silence")])
        pieces = clip[starts[:, None] + self.get_buffer("steps")[None]]
        power = self._power(pieces * self.get_buffer("hann"))
        if spec.spectrum == "magnitude":
            power = torch.sqrt(power)
        return self._log(power @ self._weights())[None]

    def _power(self, pieces: Tensor) -> Tensor:
        """[frames, fft] to the squared size of each bin, [frames, fft / 2 + 1]."""
        spec, b = self.spec, self.get_buffer
        # Sample n = columns * n1 + n2; bin k = k1 + rows * k2.
        grid = pieces.reshape(-1, self.rows, self.columns).transpose(1, 2)
        re, im = grid @ b("inner_re"), grid @ b("inner_im")
        re, im = (
            (re * b("turn_re") - im * b("turn_im")).transpose(1, 2),
            (re * b("turn_im") + im * b("turn_re")).transpose(1, 2),
        )
        re, im = (re @ b("outer_re") - im @ b("outer_im"), re @ b("outer_im") + im @ b("outer_re"))
        power = (re * re + im * im).transpose(1, 2)
        bins = spec.fft // 2 + 1
        return power.reshape(-1, self.rows * (self.columns // 2 + 1))[:, :bins]

    def _weights(self) -> Tensor:
        """Mel triangles, [bins, bands]."""
        b = self.get_buffer
        place = b("place")[:, None]
        rising = (place - b("left")) * b("rise")
        falling = (b("right") - place) * b("fall")
        return torch.relu(torch.minimum(rising, falling)) * b("norm")

    def _log(self, mel: Tensor) -> Tensor:
        spec, floor = self.spec, self.get_buffer("floor")
        mel = torch.maximum(mel, floor) if spec.floor_mode == "clamp" else mel + floor
        natural = torch.log(mel)
        return natural if spec.log == "natural" else natural * (10 / math.log(10))


def _fourier(spec: FeatureSpec, rows: int) -> dict[str, NDArray[np.float64]]:
    """Periodic Hann window, and the DFT in two steps of `rows` and `columns` points."""
    columns = spec.fft // rows

    def turns(n: int, k: int, period: int) -> NDArray[np.complex128]:
        return np.asarray(np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(k)) / period))

    inner = turns(rows, rows, rows)
    turn = turns(columns, rows, spec.fft)
    # Real input: the upper half of the spectrum mirrors the lower one and is not computed.
    outer = turns(columns, columns // 2 + 1, columns)
    hann = np.zeros(spec.fft)
    hann[: spec.window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.window) / spec.window)
    tables = {"inner": inner, "turn": turn, "outer": outer}
    parts = {f"{n}_re": t.real for n, t in tables.items()}
    return parts | {f"{n}_im": t.imag for n, t in tables.items()} | {"hann": hann}


def _mel(spec: FeatureSpec) -> dict[str, NDArray[np.float64]]:
    """Corners of the triangles and the places of the bins, in Hz or mel as the spec says."""
    to_mel, to_hz = (_slaney, _slaney_hz) if spec.mel_scale == "slaney" else (_htk, _htk_hz)
    low, high = to_mel(np.array([spec.low_hz, spec.high_hz]))
    mels = np.linspace(low, high, spec.bands + 2)
    hz = to_hz(mels)
    bins = np.arange(spec.fft // 2 + 1) * spec.sample_rate / spec.fft
    corners, place = (hz, bins) if spec.triangles == "hz" else (mels, to_mel(bins))
    left, center, right = corners[:-2], corners[1:-1], corners[2:]
    norm = 2 / (hz[2:] - hz[:-2]) if spec.area_norm == "slaney" else np.ones(spec.bands)
    return {
        "place": place,
        "left": left,
        "right": right,
        "norm": norm,
        "rise": 1 / (center - left),
        "fall": 1 / (right - center),
        "floor": np.array([spec.floor]),
    }


def _slaney(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear below 1000 Hz (15 mels), 27 mels for a factor of 6.4 above."""
    above = 15 + 27 * np.log(np.maximum(hz, 1000) / 1000) / np.log(6.4)
    return np.asarray(np.where(hz < 1000, hz * 0.015, above))


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 1000 * np.exp((np.maximum(mel, 15) - 15) * np.log(6.4) / 27)
    return np.asarray(np.where(mel < 15, mel / 0.015, above))


def _htk(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + hz / 700))


def _htk_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
