"""Real capture through PortAudio and ALSA, from a device that plays what a test speaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeemo
from edgeemo.audio import read_audio
from edgeemo.devices import sound_file
from edgeemo.devices._portaudio import Input
from edgeemo.devices.microphone import LOST_SECONDS, Microphone, _choose
from edgeemo.errors import BadInput, DeviceLost

Clip = NDArray[np.float32]
Speak = Callable[..., None]
CAPTURE = Path(__file__).with_name("capture.py")
QUIET = np.zeros(16000, np.float32)


def environment(folder: Path, rate: int) -> dict[str, str]:
    """What makes ALSA take the pipe for the only microphone."""
    config = folder / "asoundrc"
    config.write_text(config.read_text().replace("RATE", str(rate)))
    return os.environ | {"ALSA_CONFIG_PATH": str(config)}


def capture(folder: Path, rate: int, seconds: float, *more: str) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, str(CAPTURE), str(seconds), *more],
        cwd=folder,
        env=environment(folder, rate),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stderr == "", "the libraries under PortAudio are kept quiet"
    result: dict[str, Any] = json.loads(run.stdout)

    result["heard"] = np.load(folder / "heard.npy")
    return result


@pytest.fixture(scope="module")
def sentence(speech_files: list[Path]) -> Clip:
    """As 16-bit sound, the way it goes through the pipe."""
    sound = read_audio(speech_files[0])
    return (np.round(sound * 32767) / 32768).astype(np.float32)


@pytest.mark.parametrize("library", ["pyaudio", "sounddevice"])
def test_what_is_played_in_comes_out_as_predict_says(
    pipe: tuple[Path, Speak], sentence: Clip, library: str
) -> None:
    folder, speak = pipe
    n = len(sentence)
    speak(np.concatenate([QUIET, sentence, QUIET, QUIET]))
    found = capture(folder, 16000, n / 16000 + 1.5, library)
    assert found["library"] == ("_PyAudio" if library == "pyaudio" else "_SoundDevice")
    assert (found["overruns"], found["repaired"]) == (0, 0)
    heard = found["heard"]
    at = place(heard, sentence)
    assert np.array_equal(heard[at : at + n], sentence)
    session = edgeemo.load("wav2small-stream")
    want = heard[: at + n]  # a little silence, then the sentence
    inside = [e for e in found["estimates"] if e["end"] * 16000 <= len(want)]
    assert len(inside) == len(want) // 4000 - 3 and len(inside) > 5
    for e in inside:
        said = session.predict(want[round(e["start"] * 16000) : round(e["end"] * 16000)], gate=None)
        assert (e["arousal"], e["valence"]) == (said.arousal, said.valence)


def test_live_hears_it_and_keeps_what_it_heard(pipe: tuple[Path, Speak], sentence: Clip) -> None:
    """`edgeemo live` on the microphone: its estimates are those of the sound that it recorded."""
    folder, speak = pipe
    speak(np.concatenate([QUIET, sentence, QUIET]))
    command = [sys.executable, "-m", "edgeemo", "live", "--camera", "none", "--json"]
    process = subprocess.Popen(
        [*command, "--record", "kept"],
        cwd=folder,
        env=environment(folder, 16000),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        assert "recording to" in process.stderr.readline()  # said when the device is open
        for name in ("open", "flow"):
            (folder / name).touch()
        rows = [json.loads(process.stdout.readline())]
        while rows[-1]["end"] < len(sentence) / 16000 + 1:
            rows.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130 and "estimates; " in told and "lost" not in told
    heard = read_audio(folder / "kept" / "sound.wav")
    at = place(heard, sentence)
    assert np.array_equal(heard[at : at + len(sentence)], sentence)
    expected = edgeemo.load("wav2small-stream").stream().push(heard)
    assert sum(row["speech"] for row in rows) > 5
    for row, emotion in zip(rows, expected, strict=False):  # the end of the sound comes after
        assert (row["end"], row["speech"]) == (emotion.end, emotion.speech)
        for name in ("arousal", "dominance", "valence"):
            value = getattr(emotion, name)
            assert row[name] == (None if value is None else round(value, 4))


def place(heard: Clip, sentence: Clip) -> int:
    """Where the sentence begins: ALSA keeps some of the silence before it to itself."""
    size = len(heard) + len(sentence)
    both = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sentence, size))
    return int(np.argmax(np.fft.irfft(both, size)[: len(heard)]))


def test_any_rate_of_the_device_becomes_16_khz(pipe: tuple[Path, Speak], sentence: Clip) -> None:
    import soxr

    folder, speak = pipe
    n = len(sentence)
    padded = np.concatenate([QUIET, sentence, QUIET, QUIET])
    speak(np.clip(soxr.resample(padded, 16000, 48000), -1, 1), 48000)
    found = capture(folder, 48000, n / 16000 + 1.5, "sounddevice")
    assert found["rate"] == 48000
    heard = found["heard"]
    at = place(heard, sentence)
    miss = heard[at : at + n] - sentence
    # What the two resamplers cannot carry lies above 7.3 kHz.
    assert np.sqrt(np.mean(miss**2)) < 0.05 * np.sqrt(np.mean(sentence**2))


def test_a_device_that_falls_silent_for_good_is_lost(pipe: tuple[Path, Speak]) -> None:
    folder, speak = pipe
    speak(QUIET)
    found = capture(folder, 16000, 20, "sounddevice")
    assert found["kind"] == "DeviceLost" and "still plugged in" in found["error"]
    assert len(found["heard"]) >= 8000


def test_a_device_that_is_not_there(pipe: tuple[Path, Speak]) -> None:
    folder, _ = pipe
    found = capture(folder, 16000, 1, "sounddevice", "Nose")
    assert found["kind"] == "BadInput"
    assert "no microphone 'Nose'; there is: " in found["error"] and "default" in found["error"]


def test_a_choice_among_none_one_and_two() -> None:
    library = Recorded()
    with pytest.raises(DeviceLost, match="there is no microphone; plug one in"):
        _choose(library, None)  # type: ignore[arg-type]
    library.found = [Input(3, "Built-in", 2, 48000), Input(5, "USB one", 1, 16000)]
    for device, index in ((None, 5), (3, 3), ("3", 3), ("usb", 5), ("Built-in", 3)):
        assert _choose(library, device).index == index  # type: ignore[arg-type]
    for device in (4, "n", "none"):
        with pytest.raises(BadInput, match=r"microphone .*; there is: 3: Built-in; 5: USB one"):
            _choose(library, device)  # type: ignore[arg-type]


def test_a_device_that_refuses(pipe: tuple[Path, Speak]) -> None:
    """A sound card that is gone, or that another program holds, fails in its open."""
    folder, _ = pipe
    config = folder / "asoundrc"
    # The pipe is taken away after the list was made: what PortAudio then opens is not there.
    config.write_text(
        config.read_text() + "\npcm.gone { type file slave.pcm { type null } "
        'file "/dev/null" infile "/nowhere/pipe" format "raw" }\n'
    )
    for library in ("sounddevice", "pyaudio"):
        found = capture(folder, 16000, 1, library, "gone")
        assert found["kind"] in ("DeviceLost", "BadInput"), found


class Recorded:
    """A library whose device gives the blocks that a test hands it."""

    def __init__(self, active: bool = True) -> None:
        self.alive, self.closed, self.channels = active, False, 0
        self.found: list[Input] = []

    def inputs(self) -> list[Input]:
        return self.found

    def default(self) -> int:
        return 5

    def open(self, device: Input, channels: int, frames: int, take: Any) -> Any:
        if channels < device.channels:
            raise DeviceLost("all channels or none")
        self.take, self.channels = take, channels
        return self

    def active(self) -> bool:
        return self.alive

    def close(self) -> None:
        self.closed = True

    def end(self) -> None:
        """Nothing to give back."""


def test_a_clipped_device_of_another_rate_stays_within_full_scale() -> None:
    library = Recorded()
    square = np.sign(np.sin(np.arange(48000) / 60)).astype(np.float32)
    with Microphone(library, Input(0, "loud", 1, 48000)) as sound:  # type: ignore[arg-type]
        library.take(square[:, None], False)
        assert np.abs(next(iter(sound))).max() == 1  # the resampler alone reaches 1.2


def test_nan_becomes_silence_and_channels_one() -> None:
    library = Recorded()
    with Microphone(library, Input(0, "two", 2, 16000)) as sound:  # type: ignore[arg-type]
        assert library.channels == 2
        library.take(np.float32([[0.5, 0.1], [np.nan, 0], [np.inf, 0], [9, 9]]), False)
        library.take(np.zeros((800, 2), np.float32), False)
        reader = iter(sound)
        assert next(reader).tolist() == pytest.approx([0.3, 0, 0, 1])
        assert sound.repaired == 2 and sound.muted_seconds == 0
        next(reader)
        assert sound.muted_seconds == 0.05
    assert library.closed
    assert list(reader) == []


def test_a_slow_reader_loses_the_oldest_and_it_is_counted() -> None:
    library = Recorded()
    with Microphone(library, Input(0, "one", 1, 16000)) as sound:  # type: ignore[arg-type]
        for i in range(230):
            library.take(np.full((800, 1), i / 1000, np.float32), i == 7)
        assert sound.overruns == 31  # 30 blocks beyond ten seconds, and one that the system lost
        assert next(iter(sound))[0] == np.float32(0.03)
        assert sound.lost_seconds == pytest.approx(30 * 0.05)  # the system's loss took no time


def test_what_the_system_lost_is_told_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Recorded()
    with Microphone(library, Input(0, "one", 1, 16000)) as sound:  # type: ignore[arg-type]
        times = iter([0.0, 0.05, 0.4, 0.45])
        module = sys.modules[Microphone.__module__]
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(times)))
        for overflow in (False, False, True, False):
            library.take(np.ones((800, 1), np.float32), overflow)
        assert sound.lost_seconds == pytest.approx(0.3)


def test_unplugged_is_noticed_at_once() -> None:
    library = Recorded()
    with Microphone(library, Input(0, "one", 1, 16000)) as sound:  # type: ignore[arg-type]
        library.take(np.ones((800, 1), np.float32), False)
        library.alive = False
        reader = iter(sound)
        next(reader)  # what was heard before is not lost
        begun = time.monotonic()
        with pytest.raises(DeviceLost, match="microphone one gives no more sound"):
            next(reader)
        assert time.monotonic() - begun < LOST_SECONDS


@pytest.mark.parametrize("channels", [1, 2])
def test_a_busy_device_is_one_error_and_gives_portaudio_back(channels: int) -> None:
    class Busy(Recorded):
        def open(self, device: Input, channels: int, frames: int, take: Any) -> Any:
            raise DeviceLost("microphone one refuses: Device unavailable")

        def end(self) -> None:
            self.closed = True

    library = Busy()
    sound = Microphone(library, Input(0, "one", channels, 16000))  # type: ignore[arg-type]
    with pytest.raises(DeviceLost, match="Device unavailable"), sound:
        raise AssertionError("it was entered")
    assert library.closed


def test_zeros_are_told_and_claim_nothing() -> None:
    """A muted device: the stream says that nobody speaks, the view that there is nothing."""
    library = Recorded()
    stream = edgeemo.load("wav2small-stream").stream()
    with Microphone(library, Input(0, "one", 1, 16000)) as sound:  # type: ignore[arg-type]
        reader, found = iter(sound), []
        for _ in range(60):
            library.take(np.zeros((800, 1), np.float32), False)
            found += stream.push(next(reader))
        assert sound.muted_seconds == pytest.approx(3)
    assert len(found) == 9 and {e.speech for e in found} == {False}
    assert {e.arousal for e in found} == {None}


def test_it_must_be_entered() -> None:
    closed = Microphone(Recorded(), Input(0, "one", 1, 16000))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="with edgeemo"):
        next(iter(closed))


def test_a_file_in_its_place(speech_files: list[Path]) -> None:
    want = read_audio(speech_files[0])
    with sound_file(speech_files[0], fast=True) as sound:
        blocks = list(sound)
    assert np.array_equal(np.concatenate(blocks), want)
    assert {len(b) for b in blocks[:-1]} == {800}
    begun = time.monotonic()
    with sound_file(speech_files[0]) as sound:
        for i, _ in enumerate(sound):
            if i == 5:
                sound.stop()
    assert 0.25 <= time.monotonic() - begun < 3 and i == 5
    with pytest.raises(BadInput, match="no such file"):
        sound_file("absent.wav")
