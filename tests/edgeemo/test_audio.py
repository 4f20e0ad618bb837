"""Sound files of every kind that is promised, whole, broken and absurd."""

from __future__ import annotations

import contextlib
import io
import shutil
import struct
import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import SoundReader, read_audio
from edgeemo.errors import BadInput

SPEECH = need("speech")
CLIP = SPEECH / "emodb_full" / "03a01Fa.flac"


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    samples, rate = soundfile.read(CLIP, dtype="float32")
    assert rate == 16000
    return samples


def test_flac_comes_bit_by_bit(speech: np.ndarray) -> None:
    got = read_audio(CLIP)
    assert got.dtype == np.float32
    assert np.array_equal(got, speech)


@pytest.mark.parametrize(
    ("suffix", "subtype", "most"),
    # 16 bits round by half a step; the lossy codecs stay near.
    [("wav", "PCM_16", 2e-5), ("wav", "FLOAT", 0.0), ("ogg", "VORBIS", 0.1), ("mp3", None, 0.1)],
)
def test_each_format(
    tmp_path: Path, speech: np.ndarray, suffix: str, subtype: str | None, most: float
) -> None:
    path = tmp_path / f"clip.{suffix}"
    soundfile.write(path, speech, 16000, subtype=subtype)
    got = read_audio(path)
    # MP3 may carry a delay at the start; the others keep their length.
    if suffix == "mp3":
        lag = int(np.argmax(np.correlate(got, speech, "full"))) - len(speech) + 1
        got = got[lag : lag + len(speech)]
        speech = speech[: len(got)]
    assert len(got) == len(speech)
    assert np.max(np.abs(got - speech)) <= most


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_a_tone_keeps_its_pitch_and_level_through_resampling(tmp_path: Path, rate: int) -> None:
    seconds = np.arange(rate * 20) / rate  # longer than one block of reading
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 440 * seconds), rate, "FLOAT")
    got = read_audio(tmp_path / "tone.wav")
    assert abs(len(got) - 20 * 16000) <= 1
    want = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(got)) / 16000)
    assert np.max(np.abs(got - want)[200:-200]) < 1e-3


def test_what_16_khz_cannot_hold_is_filtered_not_folded(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 12_000 * np.arange(48_000) / 48_000)
    soundfile.write(tmp_path / "high.wav", tone, 48_000, "FLOAT")
    assert np.max(np.abs(read_audio(tmp_path / "high.wav")[200:-200])) < 1e-3


def test_an_open_file_is_read(speech: np.ndarray) -> None:
    assert np.array_equal(read_audio(io.BytesIO(CLIP.read_bytes())), speech)


def wav(tmp_path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    soundfile.write(tmp_path / "bad.wav", samples, rate, subtype="FLOAT")
    return tmp_path / "bad.wav"


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros(0), "no samples"),
        (np.array([0.0, np.nan, 0.1]), "NaN"),
        (np.array([0.0, -np.inf]), "NaN or infinite"),
        (np.array([0.0, 20_000.0]), "largest sample 20000"),
        (np.zeros(16000 * 3), "3 s of sound; expected at most 2 s"),
    ],
)
def test_unusable_samples_are_refused(tmp_path: Path, samples: np.ndarray, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        read_audio(wav(tmp_path, samples), longest=2)
    assert "bad.wav" in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"ID3", b"OggS" + bytes(60), b"not a sound" * 9, bytes(4096)]
)
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.raw"])
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=name):
        read_audio(tmp_path / name)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(BadInput, match="no such file"):
            read_audio(path)
    # A name that no file can have.
    for name in ("a\0b", "x" * 300):
        with pytest.raises(BadInput, match="cannot be read"):
            read_audio(tmp_path / name)


@pytest.mark.parametrize("field", ["rate", "channels"])
def test_an_absurd_header_is_refused(tmp_path: Path, field: str) -> None:
    data = bytearray(wav(tmp_path, np.zeros(100)).read_bytes())
    at = data.index(b"fmt ") + 8
    if field == "rate":
        data[at + 4 : at + 8] = struct.pack("<I", 900_000_000)
    else:
        data[at + 2 : at + 4] = struct.pack("<H", 1000)
        data[at + 12 : at + 14] = struct.pack("<H", 4000)
    (tmp_path / "bad.wav").write_bytes(data)
    with pytest.raises(BadInput, match=r"bad\.wav"):
        read_audio(tmp_path / "bad.wav")


def run(command: str, folder: Path) -> None:
    """A line of shell with ffmpeg or sox in it."""
    for tool in ("ffmpeg", "sox"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it")
    subprocess.run(command, shell=True, check=True, cwd=folder, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of speech in many forms, as pipes and phones write them."""
    folder = tmp_path_factory.mktemp("forms")
    clip, rate = soundfile.read(CLIP)
    soundfile.write(folder / "s.wav", np.tile(clip, 11), rate)
    for ending in ("mp3", "flac", "ogg", "opus", "aiff", "au", "caf", "w64", "m4a", "webm"):
        run(f"ffmpeg -v error -i s.wav s.{ending}", folder)
    for ending in ("mka", "wma", "aac"):
        run(f"ffmpeg -v error -i s.wav s.{ending}", folder)
    run("ffmpeg -v error -i s.wav -movflags faststart fast.m4a", folder)
    run("ffmpeg -v error -i s.wav -c:a libmp3lame -q:a 5 -f mp3 - | cat > pipe.mp3", folder)
    run("ffmpeg -v error -i s.wav -c:a flac -f flac - | cat > pipe.flac", folder)
    run("ffmpeg -v error -i s.wav -f wav - | cat > pipe.wav", folder)
    run("sox s.wav -t wav - | cat > sox.wav", folder)
    head = bytearray((folder / "s.wav").read_bytes())
    at = head.index(b"data") + 4
    head[at : at + 4] = bytes(4)  # a writer that was killed before it knew the length
    (folder / "zero.wav").write_bytes(head)
    return folder


def whole(path: Path) -> tuple[np.ndarray, list[str]]:
    reader = SoundReader(path)
    return np.concatenate([*reader]), reader.notices


@pytest.mark.parametrize(("rate", "told"), [(4000, 1), (8000, 0)])
def test_less_than_a_telephone_gives_is_told(tmp_path, rate, told):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.sin(np.arange(rate)), rate)
    samples, notices = whole(tmp_path / "a.wav")
    assert len(samples) == 16000 and len(notices) == told
    assert all("nothing above 2000 Hz; record at 8000 Hz" in notice for notice in notices)


@pytest.mark.parametrize(
    "name",
    [
        "s.wav",
        "s.mp3",
        "s.flac",
        "s.ogg",
        "s.opus",
        "s.aiff",
        "s.au",
        "s.caf",
        "s.w64",
        "s.m4a",
        "s.webm",
        "s.mka",
        "s.wma",
        "s.aac",
        "fast.m4a",
        "pipe.mp3",
        "pipe.flac",
        "pipe.wav",
        "sox.wav",
    ],
)
def test_every_form_is_read_to_its_end_without_a_word(made: Path, name: str) -> None:
    samples, notices = whole(made / name)
    # Codecs add at most a few blocks at the ends.
    assert len(samples) == pytest.approx(soundfile.info(made / "s.wav").frames, abs=0.15 * 16000)
    assert notices == []


def test_a_length_of_zero_is_no_length(made: Path) -> None:
    samples, notices = whole(made / "zero.wav")
    assert len(samples) == soundfile.info(made / "s.wav").frames
    assert len(notices) == 1 and "damaged after 0.00 s" in notices[0]


@pytest.mark.parametrize("ending", ["mp3", "flac", "wav"])
def test_pieces_are_what_reading_in_one_go_gives(tmp_path: Path, ending: str) -> None:
    """The decoder of MP3 is reset by a seek; silence up to a border of the reader shows it."""
    clip, rate = soundfile.read(CLIP, dtype="float32")
    silence = np.zeros((1 << 18) - len(clip), np.float32)
    soundfile.write(tmp_path / f"a.{ending}", np.concatenate([clip, silence, clip]), rate)
    want, _ = soundfile.read(tmp_path / f"a.{ending}", dtype="float32")
    got, notices = whole(tmp_path / f"a.{ending}")
    assert got.shape == want.shape and notices == []
    assert np.max(np.abs(got - want)) <= 1e-6


@pytest.mark.parametrize(
    "name",
    [
        "s.wav",
        "s.mp3",
        "s.flac",
        "s.ogg",
        "s.opus",
        "s.aiff",
        "s.au",
        "s.caf",
        "s.w64",
        "fast.m4a",
        "pipe.mp3",
    ],
)
def test_a_lost_half_is_told_for_every_form(made: Path, tmp_path: Path, name: str) -> None:
    data = (made / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2 + 7])
    samples, notices = whole(tmp_path / name)
    full = soundfile.info(made / "s.wav").frames
    assert len(samples) == pytest.approx(full / 2, rel=0.15)
    assert "cut" in notices[-1] and len(notices) <= 2


def test_what_cannot_be_decoded_without_its_end_says_so(made: Path, tmp_path: Path) -> None:
    data = (made / "s.m4a").read_bytes()  # its table of contents is at the end
    (tmp_path / "half.m4a").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInput, match="cut or damaged, copy it again"):
        read_audio(tmp_path / "half.m4a")


@pytest.mark.parametrize("name", ["s.mp3", "s.flac", "s.ogg", "s.opus", "pipe.mp3"])
def test_damage_is_skipped_with_a_word(made: Path, tmp_path: Path, name: str) -> None:
    data = bytearray((made / name).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 900] = np.random.default_rng(1).bytes(900)
    (tmp_path / name).write_bytes(data)
    samples, notices = whole(tmp_path / name)
    full = soundfile.info(made / "s.wav").frames
    assert full - 2.5 * 16000 < len(samples) <= full + 2000
    assert "damaged" in notices[0]


@pytest.mark.parametrize("name", ["s.wav", "s.mp3", "s.m4a"])
def test_a_reader_keeps_stderr_clean(made: Path, name: str, capfd: pytest.CaptureFixture) -> None:
    data = (made / name).read_bytes()
    (made / f"cut-{name}").write_bytes(data[: 3 * len(data) // 4])
    for path in (made / name, made / f"cut-{name}"):
        with contextlib.suppress(BadInput):
            whole(path)
    assert capfd.readouterr().err == ""


def test_without_ffmpeg_a_container_has_one_true_line(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInput) as caught:
        read_audio(made / "s.m4a")
    text = str(caught.value)
    assert "s.m4a: is an MPEG-4 file" in text and "ffmpeg -i" in text and "\n" not in text


def test_notices_of_read_audio_go_to_the_log(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "t.wav").write_bytes((made / "s.wav").read_bytes()[:64_000])
    read_audio(tmp_path / "t.wav")
    assert "are missing" in caplog.text and "t.wav" in caplog.text


def test_a_long_sound_is_read_in_little_memory(tmp_path: Path) -> None:
    """Two hours, past the limit of `read_audio`, which says what takes any length."""
    seconds, rate = 7200, 8000
    with soundfile.SoundFile(tmp_path / "long.flac", "w", rate, 1) as file:
        noise = (np.random.default_rng(0).normal(0, 0.01, rate * 60) * 32768).astype(np.int16)
        for _ in range(seconds // 60):
            file.write(noise)
    tracemalloc.start()
    reader = SoundReader(tmp_path / "long.flac")
    assert sum(map(len, reader)) == seconds * 16000
    assert tracemalloc.get_traced_memory()[1] < 40e6
    tracemalloc.stop()
    with pytest.raises(BadInput, match="--windows"):
        read_audio(tmp_path / "long.flac")


@pytest.mark.parametrize("seed", range(30))
def test_mutated_files_give_samples_or_bad_input(tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    files = [CLIP, SPEECH / "emodb_full" / "03a04Ta.ogg", wav(tmp_path, np.zeros(4000))]
    data = bytearray(files[seed % 3].read_bytes())
    for at in draw.integers(0, min(len(data), 400), 4):
        data[at] = draw.integers(256)
    if seed % 2:
        del data[draw.integers(1, len(data)) :]
    (tmp_path / "mutant").write_bytes(data)
    try:
        assert np.all(np.isfinite(read_audio(tmp_path / "mutant")))
    except BadInput as error:
        assert "mutant" in str(error)
