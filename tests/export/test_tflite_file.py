"""A TFLite file may come from anywhere: what is damaged or hostile is refused in one line."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import edgeemo
from edgeemo.artifacts.card import to_json
from edgeemo.artifacts.card_zip import CARD_NAME
from edgeemo.artifacts.flatbuffer import Table
from edgeemo.artifacts.tflite import check, read_tflite
from edgeemo.artifacts.tflite_graph import read_graph
from edgeemo.artifacts.tflite_operators import check_operators
from edgeemo.errors import BadArtifact
from edgeemo.export import ExportResult
from edgeemo.export.tflite_writer import with_card


@pytest.fixture(scope="module")
def path(streams: dict[str, ExportResult]) -> Path:
    return streams["tflite"].path


@pytest.fixture(scope="module")
def data(path: Path) -> bytes:
    return path.read_bytes()


def with_other_card(data: bytes, text: bytes, **claims: int) -> bytes:
    """The same flatbuffer with another card; `claims` overwrite what the directory says."""
    buffer = io.BytesIO(check(data).model)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(CARD_NAME, text)
        for name, value in claims.items():
            setattr(archive.getinfo(CARD_NAME), name, value)
    return buffer.getvalue()


def test_a_truncated_file(data: bytes, tmp_path: Path) -> None:
    for size in (0, 3, 8, 1000, len(data) // 2, len(data) - 300, len(data) - 1):
        (tmp_path / "m.tflite").write_bytes(data[:size])
        with pytest.raises(BadArtifact, match=r"m\.tflite: (truncated|not a TFLite)") as caught:
            edgeemo.load(tmp_path / "m.tflite", "tflite")
        assert "\n" not in str(caught.value)


def test_foreign_files(tmp_path: Path, path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("a", "b")
    for content in (b"hello", b"\0" * 100, archive.getvalue(), b"\x1c\0\0\0TFL3" + b"\xff" * 90):
        (tmp_path / "m.tflite").write_bytes(content)
        with pytest.raises(BadArtifact):
            edgeemo.load(tmp_path / "m.tflite", "tflite")
    with pytest.raises(BadArtifact, match="no such file"):
        read_tflite(tmp_path / "none.tflite")
    with pytest.raises(BadArtifact, match="not a file"):
        read_tflite(tmp_path)


def test_an_entry_that_lies_about_its_size(data: bytes) -> None:
    card = to_json(check(data).card).encode()
    assert check(with_other_card(data, card)).card == check(data).card
    for claims in (
        {"file_size": 10},
        {"file_size": len(card) + 50},
        {"file_size": 2**31},
        {"compress_size": 10},
        {"compress_size": 2**30},
    ):
        with pytest.raises(BadArtifact):
            check(with_other_card(data, card, **claims))
    with pytest.raises(BadArtifact, match="at most"):
        check(with_other_card(data, b" " * 100_000))


def test_a_bomb_is_not_unpacked(data: bytes) -> None:
    buffer = io.BytesIO(check(data).model)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CARD_NAME, b"0" * 50_000_000)
        archive.getinfo(CARD_NAME).file_size = 100
    with pytest.raises(BadArtifact):
        check(buffer.getvalue())


def test_a_zip_of_many_entries(data: bytes) -> None:
    """It is not listed: a directory of 60 MB would take a gigabyte before it is counted."""
    file = check(data)
    buffer = io.BytesIO(file.model)
    with zipfile.ZipFile(buffer, "a") as archive:
        for number in range(4000):
            archive.writestr(str(number), "")
        archive.writestr(CARD_NAME, to_json(file.card))
    with pytest.raises(BadArtifact):
        check(buffer.getvalue())


def test_a_card_of_a_newer_schema(data: bytes) -> None:
    text = to_json(check(data).card).replace('"schema":1', '"schema":2')
    with pytest.raises(BadArtifact, match=r"card says schema 2.*update edgeemo"):
        check(with_other_card(data, text.encode()))


def test_damage_does_not_fit_the_digest(data: bytes) -> None:
    hurt = bytearray(data)
    hurt[len(data) // 2] ^= 1
    with pytest.raises(BadArtifact, match="digest"):
        check(bytes(hurt))


def test_a_stride_of_zero_is_refused(data: bytes) -> None:
    """A runtime would divide by it."""
    model = bytearray(check(data).model)
    root = Table(memoryview(bytes(model)), struct.unpack_from("<I", model)[0], "Model")
    for op in root.tables(2, "SubGraph")[0].tables(3, "Operator"):
        options = op.table(4, "Options")
        place = options.place(1, 4) if options and op.number(3, "<B") == 1 else None
        if place is not None:
            model[place : place + 4] = bytes(4)
    with pytest.raises(BadArtifact, match="CONV_2D with steps of"):
        check_operators(read_graph(bytes(model)), check(data).card)


def test_random_damage_never_reaches_a_runtime_as_a_crash(data: bytes, tmp_path: Path) -> None:
    """Damage under a digest that fits: refused here, or harmless in LiteRT."""
    rng, whole = random.Random(5), check(data)
    # Only what is not weights: there any byte is as good as another.
    passed = []
    for _ in range(300):
        model = bytearray(whole.model)
        for _ in range(rng.choice((1, 2, 8))):
            # Tables lie before and behind the constants.
            at = rng.choice((rng.randrange(8, 12_000), rng.randrange(len(model))))
            model[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        try:
            check_operators(read_graph(bytes(model)), whole.card)
        except BadArtifact:
            continue
        card = replace(whole.card, digest="0" * 64)
        passed.append(with_card(bytes(model), card))
    assert 20 < len(passed) < 280
    for i, content in enumerate(passed[:40]):
        (tmp_path / f"{i}.tflite").write_bytes(content)
    code = (
        "import pathlib, sys, numpy as np\n"
        "from edgeemo.errors import BadArtifact\n"
        "from edgeemo.backends import open_backend\n"
        "x = np.zeros((1, 60, 40), np.float32)\n"
        "for p in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    try: open_backend(p, 'tflite').run(x)\n"
        "    except BadArtifact: pass\n"
        "print('alive')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0 and "alive" in run.stdout, run.stderr[-2000:]
