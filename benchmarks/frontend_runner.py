"""One peer of bench_frontend.py in its own process: prints version, frames and best seconds.

python benchmarks/frontend_runner.py PEER. Exit status 3 if the peer is not installed. Seconds are
of the processor, not of the clock, so that other programs on the machine count for little.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE, WINDOW, HOP, FFT, BANDS, LOW, HIGH, FLOOR = 16000, 400, 160, 512, 40, 60.0, 7600.0, 1e-6
SECONDS, REPEATS = 60, 7
ROOT = Path(__file__).resolve().parents[1]
Samples = NDArray[np.float32]
Peer = Callable[[Samples], int]  # gives the number of frames


def edgeemo() -> Peer:
    """The whole clip at once."""
    from edgeemo.features import log_mel

    return lambda clip: len(log_mel(clip))


def edgeemo_blocks() -> Peer:
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
            y=padded,
            sr=RATE,
            n_fft=FFT,
            win_length=WINDOW,
            hop_length=HOP,
            center=False,
            n_mels=BANDS,
            fmin=LOW,
            fmax=HIGH,
        )
        return int(np.log(np.maximum(mel, FLOOR)).shape[1])

    return run


def torch() -> Peer:
    """torch.stft as torchaudio uses it, a matrix product and the logarithm."""
    import torch

    torch.set_num_threads(1)
    window = torch.hann_window(WINDOW)
    bank = torch.rand(BANDS, FFT // 2 + 1)

    @torch.inference_mode()
    def run(clip: Samples) -> int:
        padded = torch.from_numpy(np.pad(clip, (0, FFT - WINDOW)))
        spectrum = torch.stft(padded, FFT, HOP, WINDOW, window, center=False, return_complex=True)
        mel = bank @ (spectrum.real**2 + spectrum.imag**2)
        return int(torch.log(mel.clamp(min=FLOOR)).shape[1])

    return run


def _kaldi() -> Callable[[Samples | list[float]], int]:
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.preemph_coeff = 0
    options.frame_opts.remove_dc_offset = False
    options.frame_opts.window_type = "hanning"
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = (
        BANDS,
        LOW,
        HIGH,
    )

    def run(samples: Samples | list[float]) -> int:
        fbank = knf.OnlineFbank(options)
        fbank.accept_waveform(RATE, samples)
        fbank.input_finished()
        return int(fbank.num_frames_ready)

    return run


def kaldi_native_fbank() -> Peer:
    """Samples given as a list, made before the clock starts: its binding likes that best."""
    run, lists = _kaldi(), dict[int, list[float]]()

    def run_list(clip: Samples) -> int:
        return run(lists.setdefault(len(clip), clip.tolist()))

    return run_list


def kaldi_native_fbank_ndarray() -> Peer:
    """Samples as everybody else gets them."""
    return _kaldi()


def inside_c() -> dict[str, dict[str, float | int | str]]:
    """The C code alone, compiled as for the wheel: the whole clip at once, and in blocks."""
    parts = ("fft", "float", "frontend", "init", "math", "mel", "samples", "spec", "tables")
    library = ROOT / "cmake_ext"
    sources = [library / "src" / f"edgeemo_{part}.c" for part in parts]
    sources += [*(library / "batch").glob("*.c"), Path(__file__).with_name("frontend_clip.c")]
    flags = ["-std=gnu99", "-O3", "-DNDEBUG", "-ffp-contract=off"]
    if platform.machine() in ("x86_64", "AMD64"):
        flags.append("-mno-fma")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program"
        include = [f"-I{library / part}" for part in ("include", "src")]
        subprocess.run(["gcc", *flags, *include, *sources, "-o", program], check=True)
        told = subprocess.run([program, str(REPEATS)], check=True, capture_output=True, text=True)
    frames, whole, blocks = told.stdout.split()
    return {
        name: {"version": "source", "frames": int(frames), "seconds": float(seconds)}
        for name, seconds in (("edgeemo_in_c", whole), ("edgeemo_in_c_blocks", blocks))
    }


PEERS: dict[str, tuple[str, Callable[[], Peer]]] = {
    "edgeemo": ("edgeemo", edgeemo),
    "edgeemo_blocks": ("edgeemo", edgeemo_blocks),
    "numpy": ("numpy", numpy),
    "librosa": ("librosa", librosa),
    "torch_stft": ("torch", torch),
    "kaldi_list": ("kaldi-native-fbank", kaldi_native_fbank),
    "kaldi_ndarray": ("kaldi-native-fbank", kaldi_native_fbank_ndarray),
}
"""Name: the package whose version is shown, and what makes the function to time."""


def in_python(name: str) -> dict[str, dict[str, float | int | str]]:
    """Time one peer on the clip; exits with status 3 if it is not installed."""
    package, make = PEERS[name]
    try:
        run = make()
        shown = version(package)
    except ModuleNotFoundError:
        sys.exit(3)
    except PackageNotFoundError:
        shown = "source"
    clip = (0.1 * np.random.default_rng(0).standard_normal(SECONDS * RATE)).astype(np.float32)
    run(clip[: 10 * RATE])  # first use loads and compiles
    best, frames = float("inf"), 0
    for _ in range(REPEATS):
        start = time.process_time()
        frames = run(clip)
        best = min(best, time.process_time() - start)
    return {name: {"version": shown, "frames": frames, "seconds": best}}


if __name__ == "__main__":
    print(json.dumps(inside_c() if sys.argv[1] == "inside_c" else in_python(sys.argv[1])))
