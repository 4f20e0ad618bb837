"""The texts of a C folder: what is written of a student, and what is said of it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import Card

TEMPLATES = Path(__file__).parent / "c_folder"

CODE = "/* SPDX-License-Identifier: Apache-2.0 */\n"
WEIGHTS = "/* SPDX-License-Identifier: LicenseRef-weights */\n"
CLIP = "/* SPDX-License-Identifier: CC0-1.0 */\n"
"""First lines of the files in C, as these are often taken out of a folder one by one."""


@dataclass(frozen=True)
class Golden:
    """What the self-test hears, and what it must find."""

    clip: NDArray[np.int16]
    estimate: NDArray[np.float32]  # within the outputs' range
    confidence: float
    features: NDArray[np.float32]


@dataclass(frozen=True)
class Student:
    """What the files are made of."""

    card: Card
    blob: bytes
    labels: tuple[str, ...]  # of the values, in the engine's order
    golden: Golden
    definitions: str  # tables, in C
    tables: bytes  # the same, as a file has them
    sizes: Mapping[str, int]
    board: str  # on which its costs are told

    @property
    def least(self) -> int:
        """Samples of the shortest clip."""
        return round(self.card.window.min_seconds * self.card.features.sample_rate)

    @property
    def classes(self) -> int:
        """Number of the classes; behind their probabilities come shares of speech and sounds."""
        return len(self.card.labels("probs"))

    @property
    def classes_at(self) -> int:
        """Place of the first class among the values."""
        return len(self.labels) - len(self.card.labels("sounds")) - self.classes


def student_header(student: Student) -> str:
    """edgeemo_student.h: names and sizes."""
    names = "".join(
        f"    EDGEEMO_STUDENT_{n.upper()} = {i},\n" for i, n in enumerate(student.labels)
    )
    return f"""\
{CODE}\
/* edgeemo_student.h: the student {student.card.name}, written by `edgeemo export`; do not edit. */
#ifndef EDGEEMO_STUDENT_H
#define EDGEEMO_STUDENT_H

#include "edgeemo_stream.h"

#ifdef __cplusplus
extern "C" {{
#endif

/* The values of an estimate, in order. Arousal, dominance and valence are about 0..1, the classes
 * are probabilities; what comes behind them is the share of the window in which it is heard. */
enum {{
{names}    EDGEEMO_STUDENT_VALUES = {len(student.labels)},
    EDGEEMO_STUDENT_RATE = {student.card.features.sample_rate}, /* of its samples, Hz */
    EDGEEMO_STUDENT_HOP = {student.card.features.hop} /* samples from one frame to the next */
}};

/* Of the student, as card.json has it. */
#define EDGEEMO_STUDENT_DIGEST "{student.card.digest}"

/* Bytes that edgeemo_speech_init() takes at most, and edgeemo_stream_init() with
 * EDGEEMO_STREAM_SETTINGS; edgeemo_speech_size() and edgeemo_stream_size() tell it exactly. */
#if UINTPTR_MAX > 0xffffffffu
#define EDGEEMO_STUDENT_MEMORY {student.sizes["LARGE"]}
#define EDGEEMO_STUDENT_STREAM_MEMORY {student.sizes["LARGE_STREAM"]}
#elif defined __wasm_simd128__
#define EDGEEMO_STUDENT_MEMORY {student.sizes["WASM"]}
#define EDGEEMO_STUDENT_STREAM_MEMORY {student.sizes["WASM_STREAM"]}
#else
#define EDGEEMO_STUDENT_MEMORY {student.sizes["SMALL"]}
#define EDGEEMO_STUDENT_STREAM_MEMORY {student.sizes["SMALL_STREAM"]}
#endif

extern const edgeemo_speech_model edgeemo_student;

/* The names of the values, as the card has them. */
extern const char *const edgeemo_student_names[EDGEEMO_STUDENT_VALUES];

#ifdef __cplusplus
}}
#endif

#endif
"""


def student_source(student: Student) -> str:
    """edgeemo_student.c: the network and the tables of its front end."""
    words = np.frombuffer(student.blob, "<u4")
    names = rows([f'"{label}"' for label in student.labels], 8)
    card, fitted = student.card, student.card.calibration.confidence
    low, high = card.outputs[0].low, card.outputs[0].high
    return f"""\
{WEIGHTS}\
/* edgeemo_student.c: the student {student.card.name}, written by `edgeemo export`; do not edit.
 * All of it is constant and may lie in flash. What the weights are licensed for: LICENCES.md. */
#include "edgeemo_student.h"

#include "edgeemo_fixed.h"

#ifdef __GNUC__
__attribute__((aligned(16)))
#endif
static const uint32_t network[{len(words)}] = {{{rows([f"0x{w:x}" for w in words], 10)}
}};

{student.definitions}
{_confidence(student)}
const edgeemo_speech_model edgeemo_student = {{
    .blob = network, .blob_bytes = sizeof network, .tables = &tables,
    .confidence = {"NULL" if fitted is None else "&confidence"},
    .sample_rate = {card.features.sample_rate}, .least = {student.least},
    .classes_at = {student.classes_at}, .classes = {student.classes},
    .low = {_c_float(low)}, .high = {_c_float(high)},
}};

const char *const edgeemo_student_names[EDGEEMO_STUDENT_VALUES] = {{{names}
}};
"""


def _confidence(student: Student) -> str:
    """The regression, in C."""
    fitted = student.card.calibration.confidence
    if fitted is None:
        return ""
    values = floats(fitted.regression)
    n = len(fitted.center)
    return f"""\
static const float regression[{4 * n}] = {{{values}
}};

static const edgeemo_confidence confidence = {{
    {n}, {_c_float(fitted.bias)}, regression, regression + {n}, regression + {2 * n},
}};
"""


def _c_float(value: float) -> str:
    """A float32 in C; no bit is lost."""
    return f"{float(np.float32(value)).hex()}f"


def parts_header(library: str, sizes: Mapping[str, int]) -> str:
    """edgeemo_parts.h: what of the library this student needs.

    Args:
        library: the file of the library, with all of it.
        sizes: "WITH_..." for each part, 0 or 1.
    """

    def value(define: re.Match[str]) -> str:
        return f"#define EDGEEMO_{define[1]} {sizes[define[1]]}"

    return CODE + re.sub(r"#define EDGEEMO_(WITH_\w+) 1", value, library)


def golden_header(student: Student) -> str:
    """edgeemo_golden.h: of the self-test."""
    golden = student.golden
    return f"""\
{CODE}\
/* edgeemo_golden.h: speech, and what it must give; written by `edgeemo export`.
 * A clip of the Berlin Database of Emotional Speech (Burkhardt et al., Interspeech 2005), CC0 1.0.
 */
#ifndef EDGEEMO_GOLDEN_H
#define EDGEEMO_GOLDEN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define EDGEEMO_GOLDEN_SAMPLES {len(golden.clip)}

#define EDGEEMO_GOLDEN_BANDS {golden.features.shape[1]}

/* By edgeemo_crc32(): of the network, of the tables of its front end, of the clip's log-mel. */
#define EDGEEMO_GOLDEN_NETWORK_CRC 0x{zlib.crc32(student.blob):08x}u
#define EDGEEMO_GOLDEN_TABLES_CRC 0x{student.sizes["TABLES_CRC"]:08x}u
#define EDGEEMO_GOLDEN_FEATURES_CRC 0x{zlib.crc32(golden.features.astype("<f4").tobytes()):08x}u

extern const int16_t edgeemo_golden_clip[EDGEEMO_GOLDEN_SAMPLES];
extern const float edgeemo_golden_estimate[{len(golden.estimate)}];
extern const float edgeemo_golden_confidence;

#ifdef __cplusplus
}}
#endif

#endif
"""


def golden_source(student: Student) -> str:
    """edgeemo_golden.c: a clip, and the estimate that it must give."""
    samples = rows([str(sample) for sample in student.golden.clip], 14)
    return f"""\
{CLIP}\
/* edgeemo_golden.c: written by `edgeemo export`; do not edit. */
#include "edgeemo_golden.h"

#ifndef EDGEEMO_NO_SELF_TEST
const int16_t edgeemo_golden_clip[EDGEEMO_GOLDEN_SAMPLES] = {{{samples}
}};

const float edgeemo_golden_estimate[{len(student.golden.estimate)}] = {{\
{floats(student.golden.estimate)}
}};

const float edgeemo_golden_confidence = {_c_float(student.golden.confidence)};

#else
typedef int edgeemo_golden_is_empty; /* ISO C wants something in each file */
#endif
"""


def floats(values: NDArray[np.float32]) -> str:
    """Initializers from which no bit is lost.

    Args:
        values: any number of floats.
    """
    return rows([_c_float(value) for value in values.tolist()], 4)


def rows(items: Sequence[str], width: int) -> str:
    """Initializers, so many in a line.

    Args:
        items: C expressions.
        width: of them in a line.
    """
    lines = (items[i : i + width] for i in range(0, len(items), width))
    return "".join("\n    " + " ".join(f"{item}," for item in line) for line in lines)


def readme(student: Student, costs: Mapping[str, int]) -> str:
    """README.md of the folder; `costs` on student.board, empty where they were not measured.

    Args:
        student: what the folder holds.
        costs: as `edgeemo.export.c_writer.measure` gives them.
    """
    card, sizes = student.card, student.sizes
    make = "make cortex-m4" if student.board == "Cortex-M4F" else "make cortex-m0plus"
    measured = (
        "Instructions, flash and stack were not measured when this folder was written: "
        f"`{make}` tells them where arm-none-eabi-gcc and qemu-system-arm are installed."
    )
    if costs:
        measured = f"""\
Measured on a {student.board} under QEMU by `{make}` (instructions are exact for the compiler
that was here, and are not cycles):

| | |
| --- | --- |
| flash of the whole program without the golden clip | {costs["flash"]:,} bytes |
| RAM of the stream | {costs["memory"]:,} bytes |
| stack | {costs["stack"]:,} bytes |
| instructions for a second of sound, from samples to estimates | {costs["second"]:,} |
| the most in one block of 10 ms | {costs["block"]:,} |

At one to two cycles an instruction the mean needs {costs["second"] / 1e6:.0f} to \
{2 * costs["second"] / 1e6:.0f} MHz, and blocks of 10 ms that may not wait \
{costs["block"] / 1e4:.0f} to {2 * costs["block"] / 1e4:.0f} MHz."""
    return (
        (TEMPLATES / "README.md.in")
        .read_text("utf-8")
        .format(
            name=card.name,
            parameters=f"{card.parameters:,}",
            licence=card.licence,
            digest=card.digest[:12],
            hop=card.features.hop,
            rate=card.features.sample_rate,
            first=f"EDGEEMO_STUDENT_{student.labels[0].upper()}",
            blob=f"{len(student.blob):,}",
            tables=f"{sizes['TABLES']:,}",
            small=f"{sizes['SMALL']:,}",
            large=f"{sizes['LARGE']:,}",
            small_stream=f"{sizes['SMALL_STREAM']:,}",
            large_stream=f"{sizes['LARGE_STREAM']:,}",
            golden=f"{2 * len(student.golden.clip):,}",
            measured=measured,
        )
    )
