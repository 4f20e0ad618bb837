from __future__ import annotations

from pathlib import Path

import pytest

from edgeemo.compress.teachers import known_teachers, load_teacher, register_teacher
from edgeemo.errors import BadArtifact, BadInput

FETCHED = [
    name
    for name in known_teachers()
    if name not in ("builtin", "builtin-face", "none-face", "teacher-open")
]


def test_all_published_teachers_are_known() -> None:
    assert set(FETCHED) >= {
        "audeering-dim",
        "audeering-dim-onnx",
        "odyssey-wavlm",
        "voxprofile-wavlm",
        "voxprofile-whisper",
        "emotion2vec-plus",
    }


@pytest.mark.parametrize("name", FETCHED)
def test_missing_teacher_names_command_and_licence(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("EDGEEMO_TEACHERS", str(tmp_path))
    known = known_teachers()[name]
    with pytest.raises(BadInput) as caught:
        load_teacher(name)
    text = str(caught.value)
    assert known.fetch.format(folder=tmp_path / name) in text and str(tmp_path / name) in text
    assert known.licence in text and "nothing is fetched automatically" in text
    assert "\n" not in text


def test_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(BadInput, match="did you mean 'audeering-dim'"):
        load_teacher("audering-dim")
    with pytest.raises(BadInput, match="known teachers: builtin, builtin-face"):
        load_teacher("zzz")


def test_a_name_cannot_be_taken_twice() -> None:
    with pytest.raises(BadInput, match="registered already"):
        register_teacher(known_teachers()["odyssey-wavlm"])


def test_folder_and_file_that_nobody_reads(tmp_path: Path) -> None:
    with pytest.raises(BadArtifact, match=r"no teacher\.toml, model\.yaml or config\.json"):
        load_teacher(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BadArtifact, match="'bert'"):
        load_teacher(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(BadArtifact, match="expected a JSON object, got list"):
        load_teacher(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(BadInput, match="describe it in a TOML"):
        load_teacher(tmp_path / "model.onnx")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:99", "", "cpu:"])
def test_device_that_is_not_there(device: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="device"):
        load_teacher(tmp_path, device)
