"""Tar shards in WebDataset's layout, read where they lie.

A sample is a run of members with one key: `key.flac` (or .wav, .ogg, .opus, .mp3), or the picture
of a face, `key.jpg` (or .png), and `key.json` with the columns of `labels.csv` (votes also as an
object: {"votes": {"anger": 3}}; of a picture also {"box": [left, top, right, bottom]}, pixels).
Nothing is unpacked: a clip keeps its place in the tar and reads its bytes there.
"""

from __future__ import annotations

import math
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from edgeemo.audio import SUFFIXES
from edgeemo.errors import BadData, one_line
from edgeemo.io.loading import parse_json
from edgeemo.vision.pictures import SUFFIXES as PICTURES

from .clips import LOG, Clip, Span
from .labels import UNIT, Scale, check_scale, clip_of_row
from .tables import Row

# A shard is a stranger's: bounds on what its headers may make us read.
_LONGEST_SOUND = 1 << 28
_LONGEST_LABELS = 1 << 20

_BROKEN = (
    tarfile.TarError,
    ValueError,  # numbers and names in headers
    EOFError,
    OverflowError,
    RecursionError,  # chains of extended headers
    MemoryError,  # a length in an extended header
    OSError,
)


def find_shards(path: Path) -> list[Path]:
    """The tar files of a folder, or the one given."""
    if path.is_file():
        return [path] if path.suffix == ".tar" else []
    return sorted(shard for shard in path.glob("*.tar") if shard.is_file())


def read_shards(shards: list[Path], corpus: str, scale: Scale = UNIT) -> Iterator[Clip]:
    """Clips of tar shards; the id is "shard.tar/member".

    A sample without labels, or whose labels name no speaker, counts as a speaker of its own.

    Args:
        shards: tar files, of `find_shards`.
        corpus: name of the corpus.
        scale: lowest and highest rating of the dimensions.

    Raises:
        BadData: a shard is broken, cut off or compressed; a member is a link, a device, has an
            unsafe name or an absurd size; labels are wrong. The message names shard and member.
    """
    check_scale(scale)
    unknown = 0
    for shard in shards:
        size = shard.stat().st_size
        with shard.open("rb") as file:
            for key, members in _samples(shard, file, size):
                for clip in _clips(shard, corpus, key, members, file, scale):
                    unknown += clip.speaker.endswith(f"{shard.name}/{key}")
                    yield clip
    if unknown:
        LOG.warning("%d clips in shards name no speaker; each counts as one of its own", unknown)


def _samples(shard: Path, file: BinaryIO, size: int) -> Iterator[tuple[str, list[tarfile.TarInfo]]]:
    """Runs of members with one key."""
    now, members = "", list[tarfile.TarInfo]()
    seen: set[str] = set()
    for member in _members(shard, file, size):
        key = _key(member.name)
        if key != now:
            if members:
                yield now, members
            if key in seen:
                raise BadData(f"{shard}: {key!r} comes in two places; write a sample in one run")
            seen.add(key)
            now, members = key, []
        members.append(member)
    if members:
        yield now, members


def _members(shard: Path, file: BinaryIO, size: int) -> Iterator[tarfile.TarInfo]:
    """Regular members, checked; folders are passed over."""
    try:
        # "r:" takes no compressed file: a place in it could not be read at random.
        archive = tarfile.open(fileobj=file, mode="r:", errorlevel=1)  # noqa: SIM115
    except _BROKEN as error:
        raise BadData(f"{shard}: is no plain tar file ({one_line(error)})") from None
    while True:
        try:
            member = archive.next()
        except _BROKEN as error:
            raise BadData(f"{shard}: broken at byte {archive.offset} ({one_line(error)})") from None
        if member is None:
            _check_end(shard, file, archive.offset)
            return
        if member.isdir():
            continue
        _check(shard, member, size)
        # Archives made on a Mac carry a hidden twin of each file.
        if not PurePosixPath(member.name).name.startswith("."):
            yield member


def _check_end(shard: Path, file: BinaryIO, offset: int) -> None:
    """Refuse a shard in which something stands where the reader stopped.

    tarfile takes a damaged header, save for the first, as the end: samples would be lost unseen.
    """
    file.seek(offset)
    block = file.read(tarfile.BLOCKSIZE)
    if any(block):
        raise BadData(f"{shard}: broken at byte {offset}; copy the shard again")
    if not block:
        LOG.warning("%s: has no end mark; if it was cut off, copy it again", shard)


def _check(shard: Path, member: tarfile.TarInfo, size: int) -> None:
    where = f"{shard}: {member.name!r:.80}"
    if not member.isreg() or member.issparse():
        raise BadData(f"{where} is a link, a device or sparse; expected plain files")
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or not path.name:
        raise BadData(f"{where} is an unsafe name; expected a relative one without '..'")
    if not 0 <= member.size <= _LONGEST_SOUND:
        raise BadData(f"{where} has {member.size} bytes; expected 0 to {_LONGEST_SOUND}")
    if member.offset_data < 0 or member.offset_data + member.size > size:
        raise BadData(f"{where} ends beyond the file of {size} bytes; copy the shard again")


def _clips(
    shard: Path, corpus: str, key: str, members: list[tarfile.TarInfo], file: BinaryIO, scale: Scale
) -> Iterator[Clip]:
    inputs = [m for m in members if _suffix(m) in (*SUFFIXES, *PICTURES)]
    if not inputs:
        return
    if len(inputs) > 1:
        raise BadData(f"{shard}: {key!r} has {len(inputs)} sounds or pictures; expected one")
    labels = next((m for m in members if m.name == f"{key}.json"), None)
    table = _labels(shard, labels, file) if labels else {}
    box = table.pop("box", None)
    row = Row(f"{shard}/{key}.json", _columns(table))
    if not row.text("speaker"):
        row.values["speaker"] = f"{shard.name}/{key}"
    span = Span(shard, inputs[0].offset_data, inputs[0].size)
    clip = clip_of_row(row, f"{shard.name}/{PurePosixPath(inputs[0].name)}", corpus, span, scale)
    yield replace(clip, box=_box(row, box)) if clip.task == "face" else clip


def _suffix(member: tarfile.TarInfo) -> str:
    return PurePosixPath(member.name).suffix.lower()


def _box(row: Row, box: Any) -> tuple[float, float, float, float] | None:
    if box is None:
        return None
    numbers = isinstance(box, list) and all(type(v) in (int, float) for v in box)
    if not numbers or len(box) != 4 or not all(map(math.isfinite, box)):
        raise row.fault(f"box is {box!r:.60}; expected [left, top, right, bottom] in pixels")
    left, top, right, bottom = map(float, box)
    return left, top, right, bottom


def _labels(shard: Path, member: tarfile.TarInfo, file: BinaryIO) -> dict[str, Any]:
    where = f"{shard}: {member.name!r:.80}"
    if member.size > _LONGEST_LABELS:
        raise BadData(f"{where} has {member.size} bytes; expected at most {_LONGEST_LABELS}")
    back = file.tell()
    file.seek(member.offset_data)
    text = file.read(member.size)
    file.seek(back)
    table = parse_json(text, BadData, where)
    if not isinstance(table, dict):
        raise BadData(f"{where}: expected an object with one entry for each column")
    return table


def _columns(table: dict[str, Any]) -> dict[str, str]:
    """Labels as text by column, as in `labels.csv`; what is no scalar is dropped."""
    votes = table.pop("votes", None)
    if isinstance(votes, dict):
        table |= {f"votes_{name}": number for name, number in votes.items()}
    scalars = {k: v for k, v in table.items() if isinstance(v, (str, int, float))}
    return {k: v if isinstance(v, str) else f"{v!r}" for k, v in scalars.items()}


def _key(name: str) -> str:
    """WebDataset's key: the name up to the first dot behind the last slash."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.split(".", 1)[0]
