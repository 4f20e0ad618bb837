"""How many faces does each detector miss, and how many does it see where there are none?

    python benchmarks/detection.py            # photos and london of EDGEEMO_DATA; all that run

Counted on whole photographs (nine groups, six of one person, three without a person) and on the
136 portraits of the London set. A face is found if the center of a box lies within half a side of
the center of the labelled one; a further box is a false face. Processor time, so set
OMP_NUM_THREADS=1. The row 640x480 is for one frame, as a picture and in the follow mode of video.
MediaPipe needs an environment of its own; the file keeps the rows of detectors that do not run.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _data import data_folder

from edgeemo.cli import exit_status
from edgeemo.errors import EdgeemoError
from edgeemo.faces import DETECTORS, Detector, Face, open_detector
from edgeemo.io.files import write_text
from edgeemo.vision.images import ImageSpec, Pixels, crop_face
from edgeemo.vision.pictures import read_picture

RESULT = Path(__file__).parent / "results" / "detection.json"
DATA = Path(os.environ.get("EDGEEMO_DATA", Path(__file__).parents[2] / "shared" / "data"))
LARGE = 40  # pixels: faces from here on must be found

Box = tuple[float, float, float, float]


def photos() -> Iterator[tuple[Pixels, list[Box] | int]]:
    """Each photograph with its boxes, or with the number of its faces where there are no boxes."""
    with (DATA / "photos" / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            boxes: list[Box] = []
            for text in filter(None, row["boxes"].split(";")):
                left, top, width, height = map(float, text.split())
                boxes.append((left, top, left + width, top + height))
            yield read_picture(DATA / "photos" / row["path"]), boxes or int(row["faces"])


def london() -> Iterator[tuple[Pixels, list[Box] | int]]:
    """Each portrait with its box."""
    import pyarrow.parquet as pq

    for row in pq.read_table(DATA / "london" / "london.parquet").to_pylist():
        box = (row["box_x0"], row["box_y0"], row["box_x1"], row["box_y1"])
        yield read_picture(row["image"], row["name"]), [box]


def count(found: list[Face], labels: list[Box] | int) -> tuple[int, int, int, int, int]:
    """Large faces, those found, small faces, those found, false faces."""
    if isinstance(labels, int):
        return labels, min(labels, len(found)), 0, 0, max(0, len(found) - labels)
    used: set[int] = set()
    large = large_hit = small = small_hit = 0
    for box in labels:
        hits = {i for i, face in enumerate(found) if near(face.box, box)}
        used |= hits
        if box[2] - box[0] >= LARGE:
            large, large_hit = large + 1, large_hit + bool(hits)
        else:
            small, small_hit = small + 1, small_hit + bool(hits)
    return large, large_hit, small, small_hit, len(found) - len(used)


def near(box: Box, label: Box) -> bool:
    side = label[2] - label[0]
    return all(abs(box[i] + box[i + 2] - label[i] - label[i + 2]) < side for i in (0, 1))


def frame() -> tuple[Pixels, Face]:
    """640 x 480 with one face of some 190 pixels."""
    image = read_picture(DATA / "photos" / "single_lisa1.jpg")
    wide = crop_face(image, None, ImageSpec(512, 3, (0.5,) * 3, (0.5,) * 3))
    made = np.full((480, 640, 3), wide[0, 0], np.uint8)
    made[:, 64:576] = wide[16:496]
    return made, max(open_detector("blazeface").find(made), key=lambda f: f.score)


def milliseconds(times: list[float]) -> float:
    return round(1000 * statistics.median(times), 2)


def measure(detector: Detector, name: str) -> dict[str, object]:
    """One detector on one set."""
    totals, times, sizes, shifts = np.zeros(5, int), [], [], []
    pictures = 0
    for image, labels in photos() if name == "photos" else london():
        begin = time.process_time()
        found = detector.find(image)
        times.append(time.process_time() - begin)
        totals += count(found, labels)
        pictures += 1
        if name == "london" and found and isinstance(labels, list):
            left, top, right, bottom = labels[0]
            box = found[0].box
            sizes.append((box[2] - box[0]) / (right - left))
            shifts.append((box[1] + box[3] - top - bottom) / 2 / (right - left))
    keys = ("large", "large_found", "small", "small_found", "false")
    result: dict[str, object] = {"detector": detector.name, "set": name, "pictures": pictures}
    result |= dict(zip(keys, map(int, totals), strict=True)) | {"ms": milliseconds(times)}
    if sizes:
        result |= {
            "side_to_label": round(statistics.median(sizes), 3),
            "below_label": round(statistics.median(shifts), 3),
        }
    return result


def speed(detector: Detector, rounds: int = 40) -> dict[str, object]:
    """Milliseconds for a frame of 640 x 480: processor time, median."""
    image, face = frame()
    found, follow = [], []
    for _ in range(rounds):
        begin = time.process_time()
        detector.find(image)
        middle = time.process_time()
        detector.follow(image, [face])
        found.append(middle - begin)
        follow.append(time.process_time() - middle)
    return {
        "detector": detector.name,
        "set": "640x480",
        "find_ms": milliseconds(found),
        "follow_ms": round(1000 * statistics.mean(follow), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--detectors",
        nargs="+",
        choices=list(DETECTORS),
        metavar="D",
        default=["blazeface", "haar", "mediapipe"],
    )
    chosen = parser.parse_args().detectors
    data_folder(DATA, "photos/labels.csv", "london/london.parquet")
    # What other environments measured stays: MediaPipe does not go with this OpenCV.
    old = json.loads(RESULT.read_text()) if RESULT.is_file() else []
    rows = [row for row in old if row["detector"] not in chosen]
    for name in chosen:
        try:
            detector = open_detector(name)
        except EdgeemoError as error:
            print(f"{name}: left out: {error}")
            rows += [row for row in old if row["detector"] == name]
            continue
        rows += [measure(detector, "photos"), measure(detector, "london"), speed(detector)]
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    write_text(RESULT, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(exit_status(main))
