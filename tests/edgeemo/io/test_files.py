"""Files that are whole or absent, and names that stay in their folder."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from edgeemo.errors import BadInput
from edgeemo.io.files import check_output, confined, replacing, write_text


@pytest.mark.parametrize("name", ["a.wav", "b/a.wav", "./b//a.wav", "..a", "b..c/d", "é 語.wav"])
def test_names_inside(tmp_path: Path, name: str) -> None:
    assert confined(tmp_path, name).is_relative_to(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "a/../../b", "/etc/passwd", "//a", "a\\b", "C:a", "C:/a", "a\0b"],
)
def test_names_that_leave(tmp_path: Path, name: str) -> None:
    for plain in (False, True):
        with pytest.raises(ValueError, match=r"leaves the folder|no path") as caught:
            confined(tmp_path, name, plain=plain)
        assert "\n" not in str(caught.value) and "\0" not in str(caught.value)


@pytest.mark.parametrize("name", [None, 1, ["a"], {"a": 1}])
def test_what_is_no_name(tmp_path: Path, name: object) -> None:
    with pytest.raises(ValueError, match="expected a name, got"):
        confined(tmp_path, name)


def test_plain_names_have_no_folder(tmp_path: Path) -> None:
    assert confined(tmp_path, "a.bin", plain=True) == tmp_path / "a.bin"
    with pytest.raises(ValueError, match="no path"):
        confined(tmp_path, "b/a.bin", plain=True)


def test_links(tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    (away / "a.wav").touch()
    (home / "inside.wav").touch()
    (home / "link.wav").symlink_to(away / "a.wav")
    (home / "folder").symlink_to(away)
    (home / "near.wav").symlink_to(home / "inside.wav")
    (home / "loop").symlink_to(home / "loop")
    for name in ("link.wav", "folder/a.wav"):
        with pytest.raises(ValueError, match="is a link that leaves the folder; copy the file"):
            confined(home, name)
    with pytest.raises(ValueError, match=r"cannot be followed|leaves"):
        confined(home, "loop")
    assert confined(home, "near.wav") == home / "near.wav"
    (tmp_path / "alias").symlink_to(home)
    assert confined(tmp_path / "alias", "inside.wav") == tmp_path / "alias" / "inside.wav"


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_outputs_are_checked_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, says in (
        (tmp_path, "is a folder; name a file"),
        (tmp_path / "file" / "x.csv", "is a file; name another place"),
        (tmp_path / ("x" * 300), "has 300 characters; expected at most 240"),
        (tmp_path / "a\0b", "cannot be written"),
    ):
        with pytest.raises(BadInput, match=says):
            check_output(path)
    with pytest.raises(BadInput, match="is a file"):
        check_output(tmp_path / "file", folder=True)
    check_output(tmp_path / "new" / "folder" / "x.csv")
    check_output(tmp_path / "new", folder=True)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_file_in_a_folders_place_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput) as told:
        check_output(tmp_path / "file", folder=True)
    assert str(told.value) == f"{tmp_path / 'file'}: is a file; name a folder"


def test_a_disk_that_takes_no_file_is_told_by_the_given_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(suffix: str, prefix: str, dir: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", f"{dir}/{prefix}x{suffix}")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.raises(OSError, match="No space left") as told:
        write_text(tmp_path / "a.csv", "")
    assert told.value.filename == str(tmp_path / "a.csv")


def test_a_device_and_a_pipe_are_not_replaced(tmp_path: Path) -> None:
    """A user who may write to /dev would have a file in the place of /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null")):
        with pytest.raises(BadInput, match="is a device or a pipe; name a file"):
            check_output(path)
    with pytest.raises(BadInput, match="is a device or a pipe"), replacing(pipe):
        pass
    assert pipe.is_fifo() and [p.name for p in tmp_path.iterdir()] == ["pipe"]


def test_an_output_without_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write everywhere, so the system's answer is given by hand."""
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(BadInput, match="no rights to write there"):
        check_output(tmp_path / "x.csv")
