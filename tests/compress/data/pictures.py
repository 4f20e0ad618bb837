"""Pictures to fill the miniatures of corpora of faces with."""

import cv2
import numpy as np


def picture(shade, side=48, ending=".png"):
    """Bytes of a picture whose grey tells which one it is."""
    pixels = np.full((side, side, 3), shade, np.uint8)
    pixels[: side // 2] = 255 - shade
    return cv2.imencode(ending, pixels)[1].tobytes()


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data) if isinstance(data, bytes) else path.write_text(data, encoding="utf-8")


def by_id(data):
    return {clip.id: clip for clip in data}
