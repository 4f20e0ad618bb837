"""Golden log-mels: float64 numpy, written from the formulas, stage by stage.

    python tests/golden/make.py

writes one .npz for each named spec and for two that use what those leave out, from half a second
of the shipped speech. Only the numbers of the specs are shared with edgeemo. Each file holds

    clip      int16 [8000]         16 kHz, half a second of anger, Emo-DB speaker 03 (CC0)
    windowed  float32 [frames, fft]
    power     float32 [frames, fft / 2 + 1]    (or magnitude)
    mel       float32 [frames, bands]
    logmel    float32 [frames, bands]
    script    str                  sha256 of this file, so that a stale .npz is noticed

computed in float64 and rounded once (6e-8), which is far below the limits of the tests.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.teachers_package import need
from edgeemo.features import SPECS, FeatureSpec

GOLDEN: dict[str, FeatureSpec] = {
    **SPECS,
    "htk256": FeatureSpec(
        window=201,
        hop=93,
        fft=256,
        bands=23,
        low_hz=20.0,
        high_hz=7900.0,
        spectrum="magnitude",
        mel_scale="htk",
        triangles="mel",
        area_norm="none",
        floor=1e-3,
        floor_mode="add",
    ),
    # From 950 Hz: just below the bend of Slaney's scale.
    "narrow1024": FeatureSpec(
        window=1023,
        hop=640,
        fft=1024,
        bands=30,
        low_hz=950.0,
        high_hz=4000.0,
        triangles="mel",
        log="db",
        floor=1e-8,
        floor_mode="add",
    ),
}

Array = NDArray[np.float64]
HERE = Path(__file__).resolve().parent
SOURCE = need("speech/emodb_full/03a01Wa.flac")
CLIP = slice(8000, 16000)  # samples: voiced and unvoiced speech, and the pause between


def mel_of_hz(hz: Array, scale: str) -> Array:
    """Slaney: M. Slaney, Auditory Toolbox, 1998. HTK: the HTK Book, section 5.6."""
    if scale == "htk":
        return 2595 * np.log10(1 + hz / 700)
    # Linear to 1000 Hz, where 1000 Hz is mel 15; then 27 mels for each factor of 6.4.
    return np.where(
        hz < 1000, hz * 0.015, 15 + 27 * np.log(np.maximum(hz, 1000) / 1000) / np.log(6.4)
    )


def hz_of_mel(mel: Array, scale: str) -> Array:
    """The inverse of mel_of_hz."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, mel / 0.015, 1000 * 6.4 ** ((mel - 15) / 27))


def filter_bank(spec: FeatureSpec) -> Array:
    """Weights [bands, fft / 2 + 1] of triangles between neighbouring corners."""
    edges = mel_of_hz(np.array([spec.low_hz, spec.high_hz]), spec.mel_scale)
    mels = np.linspace(edges[0], edges[1], spec.bands + 2)
    corners = hz_of_mel(mels, spec.mel_scale)
    bins = np.arange(spec.fft // 2 + 1) * spec.sample_rate / spec.fft
    x, at = (bins, corners) if spec.triangles == "hz" else (mel_of_hz(bins, spec.mel_scale), mels)
    left, middle, right = at[:-2, None], at[1:-1, None], at[2:, None]
    rising, falling = (x - left) / (middle - left), (right - x) / (right - middle)
    weights = np.maximum(0, np.minimum(rising, falling))
    if spec.area_norm == "slaney":
        weights = weights * (2 / (corners[2:] - corners[:-2]))[:, None]
    return weights


def stages(samples: Array, spec: FeatureSpec, symmetric: bool = False) -> dict[str, Array]:
    """All stages of a clip in float64.

    Args:
        samples: float64 [n], -1..1.
        spec: which features.
        symmetric: make the usual mistake of a Hann window that ends where it began.
    """
    if spec.prenorm == "utterance":
        samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    j = np.arange(spec.window)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * j / (spec.window - 1 if symmetric else spec.window))
    count = 0 if len(samples) < spec.window else 1 + (len(samples) - spec.window) // spec.hop
    windowed = np.zeros((count, spec.fft))
    for k in range(count):
        windowed[k, : spec.window] = samples[k * spec.hop : k * spec.hop + spec.window] * window
    size = np.abs(np.fft.rfft(windowed))
    power = size**2 if spec.spectrum == "power" else size
    mel = power @ filter_bank(spec).T
    lifted = np.maximum(mel, spec.floor) if spec.floor_mode == "clamp" else mel + spec.floor
    logmel = np.log(lifted) if spec.log == "natural" else 10 * np.log10(lifted)
    return {"windowed": windowed, "power": power, "mel": mel, "logmel": logmel}


def main() -> None:
    """Write the files."""
    import soundfile

    clip, rate = soundfile.read(SOURCE, dtype="int16")
    assert rate == 16000
    clip = clip[CLIP]
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    for name, spec in GOLDEN.items():
        made = {k: v.astype(np.float32) for k, v in stages(clip / 32768, spec).items()}
        np.savez_compressed(HERE / f"{name}.npz", clip=clip, script=digest, **made)


if __name__ == "__main__":
    main()
