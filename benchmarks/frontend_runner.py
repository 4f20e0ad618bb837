"""One peer of bench_frontend.py in its own process: prints version, frames and best seconds.

python benchmarks/frontend_runner.py PEER. Exit status 3 if the peer is not installed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray

RATE, WINDOW, HOP, FFT, BANDS, LOW, HIGH, FLOOR = 16000, 400, 160, 512, 40, 60.0, 7600.0, 1e-6
SECONDS, REPEATS = 60, 5
Samples = NDArray[np.float32]
Peer = Callable[[Samples], int]  # gives the number of frames


def edgeemo() -> Peer:
    """The whole clip at once."""
    from edgeemo.features import log_mel

    return lambda clip: len(log_mel(clip))


def edgeemo_stream() -> Peer:
    """Blocks of 10 ms, as a microphone gives them."""
    from edgeemo.features import LogMel

    def run(clip: Samples) -> int:
        stream = LogMel()
        return sum(len(stream.push(clip[at : at + 160])) for at in range(0, len(clip), 160))

    return run


def numpy() -> Peer:
    """numpy at its best: blocks of 64 frames, which stay in the cache."""
    from edgeemo.features import LOGMEL40

    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    # A bank of the right shape and sparsity; its exact weights do not change the time.
    bank = np.random.default_rng(0).random((FFT // 2 + 1, BANDS)).astype(np.float32)

    def run(clip: Samples) -> int:
        frames = np.lib.stride_tricks.sliding_window_view(clip, WINDOW)[::HOP]
        for at in range(0, len(frames), 64):
            spectrum = np.fft.rfft(frames[at : at + 64] * window, FFT)
            power = spectrum.real**2 + spectrum.imag**2
            np.log(np.maximum(power @ bank, FLOOR))
        return LOGMEL40.frames(len(clip))

    return run


def librosa() -> Peer:
    """librosa.feature.melspectrogram without centring, and the logarithm."""
    import librosa

    def run(clip: Samples) -> int:
        # librosa frames by the FFT's length: 112 zeros more give it the frames of the others.
        padded = np.pad(clip, (0, FFT - WINDOW))
        mel = librosa.feature.melspectrogram(
            y=padded, sr=RATE, n_fft=FFT, win_length=WINDOW, hop_length=HOP, center=False,
            n_mels=BANDS, fmin=LOW, fmax=HIGH,
        )  # fmt: skip
        return int(np.log(np.maximum(mel, FLOOR)).shape[1])

    return run


def kaldi_native_fbank() -> Peer:
    """Samples given as a list: an ndarray takes its binding twice as long."""
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.preemph_coeff = 0
    options.frame_opts.remove_dc_offset = False
    options.frame_opts.window_type = "hanning"
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = (
        BANDS, LOW, HIGH,
    )  # fmt: skip
    samples: dict[int, list[float]] = {}

    def run(clip: Samples) -> int:
        fbank = knf.OnlineFbank(options)
        fbank.accept_waveform(RATE, samples.setdefault(len(clip), clip.tolist()))
        fbank.input_finished()
        return int(fbank.num_frames_ready)

    return run


def main(name: str) -> None:
    peers = {f.__name__: f for f in (edgeemo, edgeemo_stream, numpy, librosa, kaldi_native_fbank)}
    package = name.removesuffix("_stream").replace("_", "-")
    try:
        run = peers[name]()
        shown = version(package)
    except ModuleNotFoundError:
        sys.exit(3)
    except PackageNotFoundError:
        shown = "source"
    clip = (0.1 * np.random.default_rng(0).standard_normal(SECONDS * RATE)).astype(np.float32)
    run(clip[: 10 * RATE])  # first use loads and compiles
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        frames = run(clip)
        best = min(best, time.perf_counter() - start)
    print(json.dumps({"version": shown, "frames": frames, "seconds": best}))


if __name__ == "__main__":
    main(sys.argv[1])
