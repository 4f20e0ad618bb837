from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo.errors import BadInput
from edgeemo.faces import Face, Faces
from edgeemo.faces.intervals import windows
from edgeemo.speech.smoothing import Smoothing
from edgeemo.types import CLASSES
from edgeemo.vision.images import Pixels, preprocess
from edgeemo.vision.pictures import read_picture
from edgeemo.vision.video import Video

DATA = Path(__file__).parents[2] / "data"


def test_session_gives_what_the_graph_gives_of_both_views(face_artifact: Path) -> None:
    import onnxruntime

    session = edgeemo.load(face_artifact)
    image = read_picture(DATA / "faces" / "single_lisa1.jpg")
    box = (48.4, 171.6, 537.0, 661.0)
    found = session.predict(image, box=box)
    peer = onnxruntime.InferenceSession(face_artifact, providers=["CPUExecutionProvider"])
    taken = preprocess(image, box, session.card.image)
    views = [peer.run(None, {"image": view}) for view in (taken, taken[:, :, ::-1].copy())]
    adv, probs = ((a + b) / 2 for a, b in zip(*views, strict=True))
    assert [found.arousal, found.valence] == pytest.approx(adv[0].tolist(), abs=1e-6)
    assert list(found.classes.values()) == pytest.approx(probs[0].tolist(), abs=1e-6)
    assert found.dominance is None and list(found.classes) == list(CLASSES)
    assert found.box == (48, 172, 537, 661) and found.end == 0
    assert session.predict(image).classes != found.classes
    assert session.predict(image).box is None


def test_tasks_do_not_mix(face_artifact: Path, artifact: Path) -> None:
    face, speech = edgeemo.load(face_artifact), edgeemo.load(artifact)
    image = np.zeros((48, 48, 3), np.uint8)
    with pytest.raises(BadInput, match="takes faces"):
        face.predict(image, 16000)
    with pytest.raises(BadInput, match="takes speech"):
        speech.predict(np.zeros(16000, np.float32), box=(0, 0, 1, 1))
    with pytest.raises(BadInput, match="the picture is float32"):
        face.predict(np.zeros(16000, np.float32))
    with pytest.raises(BadInput, match="not of faces"):
        Faces(speech)
    assert "96 px grey" in repr(face) and "a face" in repr(face)


def test_find_estimates_each_face(face_artifact: Path) -> None:
    session = edgeemo.load(face_artifact)
    one = read_picture(DATA / "faces" / "london" / "001_happiness.jpg")
    two = np.concatenate([one, read_picture(DATA / "faces" / "london" / "017_neutral.jpg")], axis=1)
    faces = Faces(session)
    found = faces.find(two)
    assert len(found) == 2
    for emotion in found:
        assert emotion.box is not None
    centers = sorted((e.box[0] + e.box[2]) / 2 for e in found if e.box)
    assert centers[0] < 256 < centers[1]
    assert faces.find(read_picture(DATA / "faces" / "none_fox.jpg")) == []


def test_without_detector_the_picture_is_the_face(face_artifact: Path) -> None:
    session = edgeemo.load(face_artifact)
    image = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    (found,) = Faces(session, "none").find(image)
    assert found == replace(session.predict(image), box=(0, 0, 50, 60))


def test_a_video_gives_each_frame_and_each_second(face_artifact: Path) -> None:
    faces = Faces(edgeemo.load(face_artifact))
    with Video(DATA / "video" / "grid_pwij3p.mpg") as video:
        frames = list(faces.track(video.frames()))
    assert len(frames) == 75 and all(len(found) == 1 for _, found in frames)
    assert all(found[0].emotion.end == at for at, found in frames)
    seconds = list(windows(frames))
    assert [w.emotion.start for w in seconds] == pytest.approx([0, 1, 2])
    assert [w.emotion.end for w in seconds] == pytest.approx([0.96, 1.96, 2.96])
    each = [found[0].emotion.valence or 0 for _, found in frames[:25]]
    assert seconds[0].emotion.valence == pytest.approx(np.mean(each))
    assert sum(seconds[0].emotion.classes.values()) == pytest.approx(1)


def test_threads_share_faces(face_artifact: Path) -> None:
    """On commit f3c56a1 LiteRT raised RuntimeError, or answered with another thread's picture."""
    faces = Faces(edgeemo.load(face_artifact))
    pictures = [read_picture(p) for p in sorted((DATA / "faces" / "london").glob("*.jpg"))[:3]]
    want = [faces.find(p) for p in pictures]
    wrong: list[object] = []

    def work(i: int) -> None:
        try:
            follower = faces.follower()
            for n in range(6):
                wrong.extend([] if faces.find(pictures[i]) == want[i] else [i])
                follower.push(n / 10, pictures[i])
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and all(want)


def test_a_second_thread_in_a_follower_is_refused(face_artifact: Path) -> None:
    inside, go = threading.Event(), threading.Event()

    class Waits:
        name = "waits"

        def find(self, image: Pixels) -> list[Face]:
            inside.set()
            assert go.wait(10)
            return []

        follow = find

    follower = Faces(edgeemo.load(face_artifact), Waits()).follower()  # type: ignore[arg-type]
    image = np.zeros((64, 64, 3), np.uint8)
    first = threading.Thread(target=follower.push, args=(0.0, image))
    first.start()
    assert inside.wait(10)
    with pytest.raises(BadInput, match=r"another thread; give each its own follower\(\)"):
        follower.push(1.0, image)
    go.set()
    first.join()
    assert follower.push(0.5, image) == []


def test_a_face_that_is_followed_is_averaged_and_another_starts_afresh(face_artifact: Path) -> None:
    faces = Faces(edgeemo.load(face_artifact))
    smile, neutral = (
        read_picture(DATA / "faces" / "london" / f"001_{name}.jpg")
        for name in ("happiness", "neutral")
    )
    single = [faces.follower(smoothing=None).push(0, p)[0].emotion for p in (smile, neutral)]
    follower = faces.follower(Smoothing(seconds=0.5, margin=0.1))
    first = follower.push(0, smile)[0]
    second = follower.push(0.1, neutral)[0]
    share = 1 - np.exp(-0.1 / 0.5)
    assert first.emotion == single[0] and second.id == first.id
    for name, value in second.emotion.classes.items():
        old, new = (e.classes[name] for e in single)
        assert value == pytest.approx(old + share * (new - old), abs=0.05)  # the box moves a little
    follower.reset()
    assert follower.push(0.2, neutral)[0].emotion.classes == single[1].classes


def test_faces_that_are_gone_are_forgotten(face_artifact: Path) -> None:
    follower = Faces(edgeemo.load(face_artifact)).follower()
    smile = read_picture(DATA / "faces" / "london" / "001_happiness.jpg")
    for seconds in range(0, 20, 2):
        assert len(follower.push(seconds, smile)) == 1
        assert len(follower._smoothers) <= 2
        follower.push(seconds + 1, np.zeros_like(smile))
    follower.push(20, np.zeros_like(smile))
    assert not follower._smoothers
