"""Mutated label files and shards give clips or BadData, nothing else, and soon."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgeemo.compress.data import open_dataset
from edgeemo.errors import BadData

QUICK = settings(
    max_examples=250, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

LABELS = (
    b"path,speaker,sex,emotion,arousal,dominance,valence,votes_fear,r1_emotion,seconds\n"
    b"a.wav,1,F,fear,.5,.5,.5,1,fear,2\n"
    b'"b ""x"".wav",2,M,calm,,,,,,1e3\n'
)
DATA_TSV = (
    b"file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
    b"WR0_anger_6.wav\tanger\tUcho\tucho\tWR0\tmale\t23\n"
)
IEMOCAP = (
    b"[6.2 - 8.2]\tSes01F_impro01_F000\tneu\t[2.5, 2.5, 2.5]\nC-E2:\tAnger; Sadness;\t()\n"
    b"A-E3:\tval 3; act 2; dom  2;\t()\n"
)
MSP = (
    b"FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
    b"MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1\n"
)
DETAILS = json.dumps(
    {"MSP-PODCAST_0001_0008.wav": {"W1": {"EmoClass_Major": "Angry", "EmoAct": "7", "EmoVal": 1}}}
).encode()


def _shard() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in {
            "a.json": b'{"speaker": "1", "emotion": "fear", "votes": {"fear": 2}}',
            "a.flac": b"x" * 700,
            "ü" * 120 + ".ogg": b"y",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


SHARD = _shard()
TOKENS = [
    b",",
    b'"',
    b"\n",
    b"\t",
    b"\0",
    b"../",
    b"/",
    b"nan",
    b"-1",
    b"1e999",
    b"\xff",
    b"{",
    b"[",
]


@st.composite
def mutants(draw: st.DrawFn, seed: bytes) -> bytes:
    """`seed` with bytes changed, pieces cut out or doubled, and awkward tokens put in."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["set", "cut", "copy", "token"]))
        end = min(len(data), at + draw(st.integers(0, 40)))
        if kind == "set" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at:end]
        elif kind == "copy":
            data[at:at] = data[at:end] * draw(st.integers(1, 3))
        else:
            data[at:at] = draw(st.sampled_from(TOKENS))
    return bytes(data)


def check(root: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    try:
        clips = open_dataset(root).clips
    except BadData as error:
        assert str(root) in str(error)
        return
    for clip in clips:
        assert not clip.id.startswith("/") and ".." not in clip.id.split("/")
        assert clip.span.path.resolve().is_relative_to(root.resolve())
        # NaN for a dimension that nobody rated; the other two are there.
        unrated = sum(x != x for x in clip.dimensions or ())
        assert all(0 <= x <= 1 or x != x for x in clip.dimensions or ()) and unrated <= 1
        assert clip.votes is None or abs(sum(clip.votes.values()) - 1) < 1e-6


@QUICK
@given(mutants(LABELS))
@example(LABELS)
@example(LABELS.replace(b"a.wav", b"a\0.wav"))
def test_labels(tmp_path: Path, data: bytes) -> None:
    check(tmp_path / "labels", {"labels.csv": data})


@QUICK
@given(mutants(SHARD))
@example(SHARD)
def test_shard(tmp_path: Path, data: bytes) -> None:
    check(tmp_path / "shards", {"s.tar": data})


@QUICK
@given(mutants(DATA_TSV))
def test_data_tsv(tmp_path: Path, data: bytes) -> None:
    check(tmp_path / "nemo", {"data.tsv": data, "samples/WR0_anger_6.wav": b""})


@QUICK
@given(mutants(IEMOCAP))
def test_iemocap(tmp_path: Path, data: bytes) -> None:
    path = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    check(tmp_path / "iemocap", {path: data, "Session1/sentences/wav/a.wav": b""})


@QUICK
@given(mutants(MSP), mutants(DETAILS))
def test_msp_podcast(tmp_path: Path, consensus: bytes, details: bytes) -> None:
    files = {"Labels/labels_consensus.csv": consensus, "Labels/labels_detailed.json": details}
    check(tmp_path / "msp", files)
