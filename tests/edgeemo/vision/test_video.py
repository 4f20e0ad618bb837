from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeemo.errors import BadInput
from edgeemo.vision.video import Video, is_video

pytest.importorskip("cv2")
CLIP = Path(__file__).parents[2] / "data" / "video" / "grid_pwij3p.mpg"


def test_frames_have_their_times() -> None:
    with Video(CLIP) as video:
        assert (video.width, video.height, video.rate) == (360, 288, 25)
        assert video.seconds == pytest.approx(3, abs=0.05)
        assert video.last is None
        found = list(video.frames())
    assert len(found) == 75
    assert [at for at, _ in found] == pytest.approx(np.arange(75) / 25, abs=1e-3)
    assert video.last == found[-1][0]
    assert all(image.shape == (288, 360, 3) and image.dtype == np.uint8 for _, image in found)


def test_a_file_that_ends_early_gives_what_it_has(tmp_path: Path) -> None:
    data = CLIP.read_bytes()
    part = tmp_path / "part.mpg"
    part.write_bytes(data[: len(data) // 2])
    with Video(part) as video:
        assert 20 < len(list(video.frames())) < 60


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a video"),
        (b"#EXTM3U\n#EXTINF:1\nhttp://127.0.0.1:9/a.ts\n", "not a video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not a video"),
        (b"\0\0\0\x18ftypmp42" + bytes(300), "cannot be read as video"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "cannot be read as video"),
    ],
)
def test_what_is_no_video_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=message) as caught:
        Video(path)
    assert "\n" not in str(caught.value)


def test_absent_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        Video(tmp_path / "absent.mp4")
    # A pattern or an address is a name like any other, and no file has it.
    with pytest.raises(BadInput, match="no such file"):
        Video("rtsp://127.0.0.1/stream")


def test_long_video_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeemo.vision.video.LONGEST", 1.0)
    with Video(CLIP) as video, pytest.raises(BadInput, match="over 1 s of video"):
        list(video.frames())


def test_kinds_are_told_by_their_first_bytes() -> None:
    assert is_video(CLIP.read_bytes()[:12]) and is_video(b"\0\0\0\x20ftypisom")
    assert not is_video(b"RIFF1234WAVE") and not is_video(b"OggS" + bytes(8))
