"""What averaging over time does to a face that is followed: flips a second, accuracy, delay.

    python benchmarks/face_tracks.py --data DATA [--model NAME]

prints a table and writes benchmarks/results/face_tracks.json. DATA holds `london` and `video`.

Tracks are made of London's pairs: each of 68 people is neutral for two seconds, smiles for two and
is neutral for two more, with a third of a second between, at 15 pictures a second, under a camera
whose noise (sd 12 of 255), light (15 %) and box (4 % of its side) change from picture to picture.
Accuracy counts the pictures of all six seconds but those between, against what is seen in them at
that time, so a delay costs accuracy. A flip is a change of the expression shown that no change of
the face asked for. Delay is the median time from the middle of a change to the shown one. The
videos are shown people who speak; nobody labelled them, so there flips alone are counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _data import add_data

from edgeemo import Faces, load
from edgeemo.artifacts.models import FACE_DEFAULT
from edgeemo.cli import exit_status
from edgeemo.compress.data import open_dataset
from edgeemo.faces.analysis import SMOOTHING
from edgeemo.io.files import write_text
from edgeemo.speech.smoothing import Smoother, Smoothing
from edgeemo.types import Emotion
from edgeemo.vision.images import Pixels
from edgeemo.vision.video import Video

RESULT = Path(__file__).parent / "results" / "face_tracks.json"
RATE, HOLD, FADE = 15.0, 2.0, 1 / 3
SECONDS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)
NAMES = ("neutral", "happiness")


def shares() -> np.ndarray:
    """How much of each picture of a track is the smile, 0..1: [frames]."""
    at = np.arange(round((3 * HOLD + 2 * FADE) * RATE)) / RATE
    return np.interp(at, [HOLD, HOLD + FADE, 2 * HOLD + FADE, 2 * (HOLD + FADE)], [0, 1, 1, 0])


def track(session: Any, neutral: Pixels, smile: Pixels, box: Sequence[float]) -> list[Emotion]:
    """Estimates of a made track, one for each picture."""
    rng = np.random.default_rng(zlib.crc32(neutral.tobytes()))
    side, found = box[2] - box[0], []
    for number, share in enumerate(shares()):
        image = cv2.addWeighted(smile, float(share), neutral, float(1 - share), 0).astype(float)
        image = image * (1 + 0.15 * rng.uniform(-1, 1)) + rng.normal(0, 12, image.shape)
        moved = np.array(box) + np.tile(rng.normal(0, 0.04 * side, 2), 2)
        emotion = session.predict(np.clip(np.rint(image), 0, 255).astype(np.uint8), box=moved)
        found.append(_at(emotion, number / RATE))
    return found


def _at(emotion: Emotion, seconds: float) -> Emotion:
    return Emotion(**(vars(emotion) | {"start": seconds, "end": seconds}))


def shown(emotions: Sequence[Emotion], smoothing: Smoothing | None) -> list[str]:
    """The expression that is shown at each picture."""
    if smoothing is None:
        return [str(e.expression) for e in emotions]
    smoother = Smoother(smoothing)
    return [str(smoother.push(e).expression) for e in emotions]


def changes(names: Sequence[str]) -> int:
    """How often the next name is another."""
    return sum(a != b for a, b in pairwise(names))


def _delay(names: Sequence[str]) -> list[float]:
    """Seconds from the middle of the first change to the first picture that shows a smile."""
    middle = HOLD + FADE / 2
    late = [i / RATE - middle for i, name in enumerate(names) if name == NAMES[1]]
    return [t for t in late if t > -FADE][:1]


def on_tracks(tracks: Sequence[Sequence[Emotion]], how: Smoothing | None) -> dict[str, float]:
    """Figures over all tracks."""
    share = shares()
    clear = (share == 0) | (share == 1)
    right, flips, delays = [], 0, []
    for emotions in tracks:
        names = shown(emotions, how)
        truth = [NAMES[int(s)] for s in share]
        right += [n == t for n, t, c in zip(names, truth, clear, strict=True) if c]
        # Who never is seen to smile owes no change; who is owes two.
        flips += changes(names) - (2 if NAMES[1] in names else 0)
        delays += _delay(names)
    seconds = len(tracks) * len(share) / RATE
    return {
        "accuracy": float(np.mean(right)),
        "flips_per_second": flips / seconds,
        "delay": float(np.median(delays)),
    }


def on_videos(videos: Sequence[Sequence[Emotion]], how: Smoothing | None) -> float:
    """Changes a second of the expression shown."""
    seconds = sum(emotions[-1].end - emotions[0].end for emotions in videos)
    return sum(changes(shown(emotions, how)) for emotions in videos) / seconds


def watch(faces: Faces, file: Path) -> list[Emotion]:
    """Estimates of the first face of a video, one for each picture, not averaged."""
    follower = faces.follower(smoothing=None)
    with Video(file) as video:
        seen = [follower.push(at, image) for at, image in video.frames()]
    return [tracked[0].emotion for tracked in seen if tracked]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data(parser, "london", "video/*.mpg")
    parser.add_argument("--model", default=FACE_DEFAULT)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    session = load(args.model)
    people: dict[str, dict[str, Any]] = {}
    for clip in open_dataset(args.data / "london"):
        people.setdefault(clip.speaker, {})[str(clip.emotion)] = clip
    tracks = [
        track(session, *(pair[n].image() for n in NAMES), pair["neutral"].box)
        for pair in people.values()
    ]
    videos = [watch(Faces(session), f) for f in sorted((args.data / "video").glob("*.mpg"))]
    print("seconds  margin  accuracy  flips/s  delay s  videos: changes/s")
    rows = []
    plans = [(0.0, 0.0), *((s, SMOOTHING.margin) for s in SECONDS[1:])]
    for seconds, margin in plans:
        how = Smoothing(seconds, margin) if seconds else None
        row = {"seconds": seconds, "margin": margin, **on_tracks(tracks, how)}
        row["video_changes_per_second"] = on_videos(videos, how)
        rows.append(row)
        print("  ".join(f"{v:7.3f}" for v in row.values()), flush=True)
    result = {"model": session.card.name, "tracks": len(tracks), "videos": len(videos)}
    write_text(args.out, json.dumps(result | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(exit_status(main))
