"""Writer of model.bin: a student as one file for firmware, which reads it with edgeemo_file.h."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from .c_text import Student

MAGIC = b"EGEF"
VERSION = 1
_CHECKED = "<4i2f i f 6i 32s"  # `head` of edgeemo_file.c behind its CRC


def model_file(student: Student) -> bytes:
    """The bytes of model.bin, little-endian.

    Args:
        student: what the folder holds.
    """
    fitted = student.card.calibration.confidence
    regression = np.zeros(0) if fitted is None else np.asarray(fitted.regression)
    names = "".join(f"{label}\0" for label in student.labels).encode()
    sections = (student.tables, regression.astype("<f4").tobytes(), names, student.blob)
    places, body = [], bytearray()
    start = 16 + struct.calcsize(_CHECKED)
    start += -start % 16
    for section in sections:
        body += bytes(-len(body) % 16)
        places.append(start + len(body))
        body += section
    tables_at, confidence_at, names_at, blob_at = places
    head = struct.pack(
        _CHECKED,
        student.card.features.sample_rate,
        student.least,
        student.classes_at,
        student.classes,
        student.card.outputs[0].low,
        student.card.outputs[0].high,
        len(regression) // 4,
        0.0 if fitted is None else fitted.bias,
        blob_at,
        len(student.blob),
        tables_at,
        confidence_at,
        names_at,
        len(names),
        bytes.fromhex(student.card.digest),
    )
    checked = head + bytes(start - 16 - len(head)) + bytes(body)
    return MAGIC + struct.pack("<iiI", VERSION, 16 + len(checked), zlib.crc32(checked)) + checked
