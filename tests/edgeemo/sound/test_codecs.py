"""Every codec that libsndfile knows: a whole file is read, a lost half told, and nothing hangs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from edgeemo.audio import SoundReader

Clip = NDArray[np.float32]
KINDS = ("WAV", "WAVEX", "RF64", "AIFF", "AU", "CAF", "W64", "FLAC", "MP3", "VOC", "NIST")
CODECS = [(kind, codec) for kind in KINDS for codec in soundfile.available_subtypes(kind)]
UNWRITTEN = {  # libsndfile reads these and does not write them, or cannot read what it writes
    ("WAV", "MPEG_LAYER_III"),
    ("AIFF", "DWVW_12"),
    ("MP3", "MPEG_LAYER_I"),
    ("MP3", "MPEG_LAYER_II"),
    ("VOC", "PCM_U8"),
}
CODECS = [one for one in CODECS if one not in UNWRITTEN]
# These come at a rate of their own, or not at all without a head that libsndfile cannot write.
TELEPHONE = ("GSM610", "G721_32", "G723_24", "G723_40", "NMS_ADPCM_16", "NMS_ADPCM_24")


def write(path: Path, speech: Clip, kind: str, codec: str) -> bytes:
    rate = 8000 if codec.startswith(TELEPHONE) else 16000
    soundfile.write(path, speech, rate, format=kind, subtype=codec)
    return path.read_bytes()


@pytest.mark.parametrize(("kind", "codec"), CODECS)
def test_a_lost_half_is_told_and_a_whole_file_is_not(
    speech: Clip, tmp_path: Path, kind: str, codec: str
) -> None:
    path = tmp_path / "a.sound"
    data = write(path, speech[:30000], kind, codec)
    reader = SoundReader(path)
    whole = sum(map(len, reader))
    assert [told for told in reader.notices if "full scale" not in told] == []
    assert whole >= 30000
    path.write_bytes(data[: len(data) // 2 + 3])
    # Nothing stands in for what is lost: libsndfile repeats the last block of ADPCM and GSM.
    assert sum(map(len, reader)) < 0.7 * whole
    assert any("cut" in told for told in reader.notices)


@pytest.mark.parametrize(("kind", "codec"), [("SVX", "PCM_16"), ("SDS", "PCM_16")])
def test_a_kind_that_libsndfile_searches_to_its_end(
    speech: Clip, tmp_path: Path, kind: str, codec: str
) -> None:
    """It sought the end of a file that had none, for ever; any file may begin like these."""
    path = tmp_path / "a.sound"
    write(path, speech[:4000], kind, codec)
    assert sum(map(len, SoundReader(path))) == 4000


@pytest.mark.parametrize("lost", [7, 900])
def test_flac_written_to_a_pipe(speech: Clip, tmp_path: Path, lost: int) -> None:
    """Its head tells no length; the checksum of the last frame does."""
    path = tmp_path / "a.flac"
    data = bytearray(write(path, speech[:30000], "FLAC", "PCM_16"))
    data[21] &= 0xF0  # the count of samples in STREAMINFO: unknown
    data[22:26] = bytes(4)
    path.write_bytes(data)
    reader = SoundReader(path)
    assert sum(map(len, reader)) == 30000 and reader.notices == [] and reader.promised is None
    path.write_bytes(data[:-lost])
    assert sum(map(len, reader)) < 30000
    assert reader.notices == ["the file ends in the middle: it was cut; copy it again"]


def test_samples_that_look_like_a_frame_of_flac(tmp_path: Path) -> None:
    """Noise is stored as it is: one of these begins like a frame, its checksum included."""
    noise, head = np.random.default_rng(1).bytes(4000), bytearray(b"\xff\xf8\x19\x14\x00\x00")
    for bit in range(40):  # CRC-8: 0x07, from 0, as a division of the first 40 bits
        if head[bit // 8] << bit % 8 & 128:
            head[bit // 8] ^= 0x107 >> 1 + bit % 8
            head[bit // 8 + 1] ^= 0x107 << 7 - bit % 8 & 255
    head[:5] = b"\xff\xf8\x19\x14\x00"
    samples = np.frombuffer(noise[:2000] + head + noise[2000:], np.int8).astype(np.int16) << 8
    path = tmp_path / "a.flac"
    soundfile.write(path, samples, 16000, subtype="PCM_S8")
    data = bytearray(path.read_bytes())
    assert head in data
    for known in (True, False):
        if not known:
            data[21] &= 0xF0
            data[22:26] = bytes(4)
        path.write_bytes(data)
        reader = SoundReader(path)
        assert sum(map(len, reader)) == len(samples)
        assert [told for told in reader.notices if "cut" in told] == [], known
