"""WebDataset tar shards: read where they lie, refused where they are hostile."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeemo.audio import read_audio
from edgeemo.compress.data import open_dataset
from edgeemo.errors import BadData, BadInput


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def shard(path: Path, members: dict[str, bytes], form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in members.items():
            add(archive, name, data)
    return path


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_clips_come_from_their_place_in_the_tar(
    tmp_path: Path, encoded: dict[str, bytes], form: int
) -> None:
    labels = {
        "speaker": "03",
        "emotion": "fear",
        "arousal": 0.75,
        "dominance": 0.5,
        "valence": 1,
        "votes": {"fear": 3, "anger": 1},
        "seconds": 1.9,
        "words": ["dropped", "because", "nested"],
        "take": 7,
    }
    name = "a/" + "x" * 80 if form == tarfile.USTAR_FORMAT else "a/ü" + "x" * 200
    members = {
        f"{name}.flac": encoded[".flac"],
        f"{name}.json": json.dumps(labels).encode(),
        "b.ogg": encoded[".ogg"],
        "b.txt": b"a transcript",
    }
    shard(tmp_path / "s-000.tar", members, form)
    shard(tmp_path / "s-001.tar", {"c.json": b'{"speaker": "04"}', "c.ogg": encoded[".ogg"]}, form)
    (tmp_path / "alone").mkdir()
    first, second, third = open_dataset(tmp_path)
    corpus = tmp_path.name
    assert first.id == f"s-000.tar/{name}.flac"
    assert (first.speaker, first.emotion, first.dimensions) == (
        f"{corpus}/03",
        "fear",
        (0.75, 0.5, 1.0),
    )
    assert first.votes == {"anger": 0.25, "fear": 0.75}
    assert first.tags == {"take": "7"}
    assert second.speaker == f"{corpus}/s-000.tar/b" and second.emotion is None
    assert third.speaker == f"{corpus}/04"
    # Random access, in any order, and the same bytes as the file that was packed.
    for clip, suffix in [(third, ".ogg"), (first, ".flac"), (second, ".ogg")]:
        assert clip.span.read() == encoded[suffix]
        assert np.array_equal(clip.samples(), read_audio(io.BytesIO(encoded[suffix])))
    assert second.digest() == third.digest() != first.digest()
    (alone,) = open_dataset(tmp_path / "s-001.tar")
    assert alone.digest() == third.digest()


def test_nothing_is_unpacked(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    path = shard(tmp_path / "s.tar", {"a.flac": encoded[".flac"]})
    before = path.read_bytes()
    for clip in open_dataset(tmp_path):
        clip.samples()
    assert [p.name for p in tmp_path.rglob("*")] == ["s.tar"]
    assert path.read_bytes() == before


def test_hidden_twins_and_folders_are_passed_over(
    tmp_path: Path, encoded: dict[str, bytes]
) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        folder = tarfile.TarInfo("./a")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        add(archive, "./a/._1.flac", b"\x00\x05\x16\x07")
        add(archive, "./a/1.flac", encoded[".flac"])
    assert [clip.id for clip in open_dataset(path)] == ["s.tar/a/1.flac"]


def member(**fields: object) -> Callable[[tarfile.TarFile, bytes], None]:
    def write(archive: tarfile.TarFile, sound: bytes) -> None:
        info = tarfile.TarInfo("a.flac")
        info.size = len(sound)
        for name, value in fields.items():
            setattr(info, name, value)
        archive.addfile(info, io.BytesIO(sound) if info.isreg() else None)

    return write


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (member(name="/etc/a.flac"), "unsafe name"),
        (member(name="../a.flac"), "unsafe name"),
        (member(name="b/../../a.flac"), "unsafe name"),
        (member(name="..\\a.flac"), "unsafe name"),
        (member(type=tarfile.SYMTYPE, linkname="/etc/passwd", size=0), "is a link"),
        (member(type=tarfile.LNKTYPE, linkname="b.flac", size=0), "is a link"),
        (member(type=tarfile.CHRTYPE, size=0), "a device"),
        (member(type=tarfile.FIFOTYPE, size=0), "a device"),
        (member(type=tarfile.GNUTYPE_SPARSE), "sparse"),
    ],
)
def test_hostile_members_are_refused(
    tmp_path: Path, encoded: dict[str, bytes], write: Callable[..., None], says: str
) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        write(archive, encoded[".flac"])
    with pytest.raises(BadData, match=says) as caught:
        open_dataset(tmp_path)
    assert "s.tar" in str(caught.value)


def with_size(data: bytes, size: bytes) -> bytes:
    """The first header with another size and a fitting checksum."""
    header = bytearray(data[:512])
    header[124:136] = size.ljust(12, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data[512:]


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (b"77777777777", "8589934591 bytes"),
        (b"00700000000", "ends beyond the file"),
        (b"\xff" * 12, "s.tar"),  # minus one, in the binary form
        (b"\xff" * 10 + b"\x00\x00", "s.tar"),  # minus 65536: back to before the start
        (b"\x80" + b"\xff" * 11, "s.tar"),
        (b"8x", "s.tar"),
    ],
)
def test_sizes_that_lie(tmp_path: Path, encoded: dict[str, bytes], size: bytes, says: str) -> None:
    path = shard(tmp_path / "s.tar", {"a.flac": encoded[".flac"]})
    path.write_bytes(with_size(path.read_bytes(), size))
    with pytest.raises(BadData, match=says):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"a.json": b"{", "a.ogg": b""}, "'a.json' is not JSON"),
        ({"a.json": b"[1]", "a.ogg": b""}, "'a.json': expected an object"),
        ({"a.json": b"[" * 100_000, "a.ogg": b""}, "'a.json' is not JSON"),
        ({"a.json": b" " * (1 << 21), "a.ogg": b""}, "'a.json' has 2097152 bytes"),
        (
            {"a.json": b'{"speaker": "1", "arousal": NaN}', "a.ogg": b""},
            "'a.json' is not JSON: NaN",
        ),
        ({"a.json": b'{"speaker": "1", "emotion": "gloom"}', "a.ogg": b""}, "emotion is 'gloom'"),
        ({"a.json": b'{"votes": {"anger": -1}}', "a.ogg": b""}, "votes_anger is '-1'"),
        ({"a.ogg": b"", "a.wav": b""}, "'a' has 2 sounds"),
        ({"a.ogg": b"", "b.ogg": b"", "a.json": b"{}"}, "'a' comes in two places"),
    ],
)
def test_faulty_samples(tmp_path: Path, members: dict[str, bytes], says: str) -> None:
    shard(tmp_path / "s.tar", members)
    with pytest.raises(BadData, match=says):
        open_dataset(tmp_path)


def test_truncated_and_compressed_shards(tmp_path: Path, encoded: dict[str, bytes]) -> None:
    data = shard(tmp_path / "s.tar", {"a.flac": encoded[".flac"]}).read_bytes()
    (tmp_path / "s.tar").write_bytes(data[:5000])
    with pytest.raises(BadData, match="ends beyond the file of 5000 bytes"):
        open_dataset(tmp_path)
    (tmp_path / "s.tar").write_bytes(gzip.compress(data))
    with pytest.raises(BadData, match="is no plain tar file"):
        open_dataset(tmp_path)


def test_damage_between_samples_is_no_end(
    tmp_path: Path, encoded: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    sounds = {"a.ogg": encoded[".ogg"], "b.ogg": encoded[".ogg"]}
    data = bytearray(shard(tmp_path / "s.tar", sounds).read_bytes())
    second = data.index(b"b.ogg")
    data[second + 100] ^= 0xFF
    for damaged in (data, data[: second + 50]):  # a flipped byte; a header cut off
        (tmp_path / "s.tar").write_bytes(damaged)
        with pytest.raises(BadData, match=f"broken at byte {second}"):
            open_dataset(tmp_path)
    (tmp_path / "s.tar").write_bytes(data[:second])
    assert len(open_dataset(tmp_path)) == 1
    assert "has no end mark" in caplog.text


def pax(value: bytes) -> bytes:
    """An extended header with one record, as it stands before the member it speaks of."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(value)
    return info.tobuf(tarfile.USTAR_FORMAT) + value.ljust(512, b"\0")


@pytest.mark.parametrize(
    "value",
    [b"12 size=-512\n", b"13 size=1e400\n", b"99999999999 comment=a\n", b"0 a=b\n", b"-5 a=b\n"],
)
@pytest.mark.parametrize("first", [True, False])
def test_extended_headers_that_lie(
    tmp_path: Path, encoded: dict[str, bytes], value: bytes, first: bool
) -> None:
    data = shard(tmp_path / "s.tar", {"b.ogg": encoded[".ogg"]}).read_bytes()
    good = b"" if first else _member("a.ogg", encoded)
    (tmp_path / "s.tar").write_bytes(good + pax(value) + data)
    try:
        clips = open_dataset(tmp_path)
    except BadData as error:
        assert "s.tar" in str(error)
    else:  # a reader may pass over a record it does not know, never over a clip
        assert len(clips) == 2 - first


@pytest.mark.parametrize("rest", [b"", b"x" * 512])
def test_an_extended_header_without_its_member(
    tmp_path: Path, encoded: dict[str, bytes], rest: bytes
) -> None:
    (tmp_path / "s.tar").write_bytes(_member("a.ogg", encoded) + pax(b"12 comment=a\n") + rest)
    with pytest.raises(BadData, match=r"s\.tar: broken at byte"):
        open_dataset(tmp_path)


def _member(name: str, encoded: dict[str, bytes]) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(encoded[".ogg"])
    padding = -info.size % 512
    return info.tobuf(tarfile.USTAR_FORMAT) + encoded[".ogg"] + bytes(padding)


def test_a_shard_cut_off_later_is_noticed_when_read(
    tmp_path: Path, encoded: dict[str, bytes]
) -> None:
    path = shard(tmp_path / "s.tar", {"a.flac": encoded[".flac"]})
    (clip,) = open_dataset(tmp_path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadInput, match="ends at byte 5000"):
        clip.samples()
