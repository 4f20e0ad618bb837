"""`edgeemo bench`: it runs all peers on one model, and prints what programs can rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeemo import cli
from edgeemo.artifacts.models import DEFAULT, ZOO
from edgeemo.errors import EdgeemoError
from edgeemo.evaluation import bench

KEYS = {
    "model",
    "task",
    "peer",
    "file",
    "bytes",
    "ms",
    "best_ms",
    "load_ms",
    "peak_mb",
    "ratio",
    "apart",
    "parameters",
    "macs_per_second",
    "metrics",
    "protocol",
    "machine",
}


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round, and without librosa, whose import takes seconds."""
    monkeypatch.setattr(bench, "ROUNDS", 1)
    few = {name: peer for name, peer in bench.PEERS.items() if "librosa" not in name}
    monkeypatch.setattr(bench, "PEERS", few)


def test_json_has_a_line_for_each_peer(once: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--model", DEFAULT, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["peer"] for row in rows] == ["edgeemo", "onnxruntime", "LiteRT"]
    for row in rows:
        assert set(row) == KEYS
        assert row["bytes"] == (ZOO / row["file"]).stat().st_size
        assert 0 < row["best_ms"] <= row["ms"] < 1000 and row["peak_mb"] > 10
        # All did the same work, and none stands for another.
        assert row["apart"] < 0.05
    assert rows[0]["ratio"] == 1 and rows[0]["apart"] == 0 and rows[1]["apart"] > 0


def test_the_table_has_the_card_and_a_line_for_each_peer(
    once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", "--model", str(ZOO / f"{DEFAULT}.onnx")]) == 0
    text, said = capsys.readouterr()
    assert f"measuring {DEFAULT}" in said  # it is silent for a minute otherwise
    assert "M MAC a second of sound" in text and " arousal: 0." in text
    assert "onnxruntime" in text and "1.00x" in text
    assert "LiteRT" not in text  # it reads no ONNX


def test_librosa_gives_what_edgeemo_gives() -> None:
    pytest.importorskip("librosa")
    file = ZOO / f"{DEFAULT}.onnx"
    session = bench.load(file, "onnx")
    clip = bench._values(session)
    ours, theirs = bench._predict(session)(clip), bench._librosa(session)(clip)
    assert theirs == pytest.approx(ours, abs=0.02)
    assert bench._predict(session)(clip[::2]) != pytest.approx(ours, abs=0.02)


def test_a_peer_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"no model")
    with pytest.raises(EdgeemoError, match=r"LiteRT cannot run .*m\.tflite: .*not a TFLite model"):
        bench._in_a_process("LiteRT", tmp_path / "m.tflite")
