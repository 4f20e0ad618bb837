"""The texts of a C folder: what is written of a student, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.card import Card

TEMPLATES = Path(__file__).parent / "c_folder"


@dataclass(frozen=True)
class Student:
    """What the files are made of."""

    card: Card
    blob: bytes
    labels: tuple[str, ...]  # of the values, in the engine's order
    clip: NDArray[np.int16]
    features: NDArray[np.float32]  # of the clip, [frames, bands]
    estimate: NDArray[np.float32]
    definitions: str  # tables, in C
    sizes: Mapping[str, int]


def student_header(student: Student) -> str:
    """edgeemo_student.h: names and sizes."""
    names = "".join(
        f"    EDGEEMO_STUDENT_{n.upper()} = {i},\n" for i, n in enumerate(student.labels)
    )
    return f"""\
/* edgeemo_student.h: the student {student.card.name}, written by `edgeemo export`; do not edit. */
#ifndef EDGEEMO_STUDENT_H
#define EDGEEMO_STUDENT_H

#include "edgeemo_speech.h"

#ifdef __cplusplus
extern "C" {{
#endif

/* The values of an estimate, in order. Arousal, dominance and valence are about 0..1, the classes
 * are probabilities. */
enum {{
{names}    EDGEEMO_STUDENT_VALUES = {len(student.labels)},
    EDGEEMO_STUDENT_RATE = {student.card.features.sample_rate} /* of its samples, Hz */
}};

/* Bytes that edgeemo_speech_init() takes at most. */
#if UINTPTR_MAX > 0xffffffffu
#define EDGEEMO_STUDENT_MEMORY {student.sizes["LARGE"]}
#elif defined __wasm_simd128__
#define EDGEEMO_STUDENT_MEMORY {student.sizes["WASM"]}
#else
#define EDGEEMO_STUDENT_MEMORY {student.sizes["SMALL"]}
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
    return f"""\
/* edgeemo_student.c: the student {student.card.name}, written by `edgeemo export`; do not edit.
 * All of it is constant and may lie in flash. */
#include "edgeemo_student.h"

#include "edgeemo_internal.h"

#ifdef __GNUC__
__attribute__((aligned(16)))
#endif
static const uint32_t network[{len(words)}] = {{{rows([f"0x{w:x}" for w in words], 10)}
}};

{student.definitions}
const edgeemo_speech_model edgeemo_student = {{network, sizeof network, &tables}};

const char *const edgeemo_student_names[EDGEEMO_STUDENT_VALUES] = {{{names}
}};
"""


def golden_header(student: Student) -> str:
    """edgeemo_golden.h: of the self-test."""
    return f"""\
/* edgeemo_golden.h: speech, with the features and the estimate that it must give; written by
 * `edgeemo export`.
 * A clip of the Berlin Database of Emotional Speech (Burkhardt et al., Interspeech 2005), CC0 1.0.
 */
#ifndef EDGEEMO_GOLDEN_H
#define EDGEEMO_GOLDEN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define EDGEEMO_GOLDEN_SAMPLES {len(student.clip)}
#define EDGEEMO_GOLDEN_BANDS {student.features.shape[1]}
#define EDGEEMO_GOLDEN_FEATURES 0x{checksum(student.features):08x}u /* checksum of the features */

extern const int16_t edgeemo_golden_clip[EDGEEMO_GOLDEN_SAMPLES];
extern const float edgeemo_golden_estimate[{len(student.estimate)}];

#ifdef __cplusplus
}}
#endif

#endif
"""


def golden_source(student: Student) -> str:
    """edgeemo_golden.c: a clip, and what it must give."""
    samples = rows([str(sample) for sample in student.clip], 14)
    return f"""\
/* edgeemo_golden.c: written by `edgeemo export`; do not edit. */
#include "edgeemo_golden.h"

#ifndef EDGEEMO_NO_SELF_TEST
const int16_t edgeemo_golden_clip[EDGEEMO_GOLDEN_SAMPLES] = {{{samples}
}};

const float edgeemo_golden_estimate[{len(student.estimate)}] = {{{floats(student.estimate)}
}};

#else
typedef int edgeemo_golden_is_empty; /* ISO C wants something in each file */
#endif
"""


def checksum(features: NDArray[np.float32]) -> int:
    """FNV-1a of features, word by word: 32 bits, as edgeemo_self_test.c has them.

    Args:
        features: float32, [frames, bands].

    Source: G. Fowler, L. C. Noll, K.-P. Vo, the FNV hash (IETF draft-eastlake-fnv).
    """
    state = 2166136261
    for word in features.astype("<f4").view("<u4").ravel().tolist():
        state = (state ^ word) * 16777619 & 0xFFFFFFFF
    return state


def floats(values: NDArray[np.float32]) -> str:
    """Initializers from which no bit is lost.

    Args:
        values: any number of floats.
    """
    return rows([f"{float(value).hex()}f" for value in values], 4)


def rows(items: Sequence[str], width: int) -> str:
    """Initializers, so many in a line.

    Args:
        items: C expressions.
        width: of them in a line.
    """
    lines = (items[i : i + width] for i in range(0, len(items), width))
    return "".join("\n    " + " ".join(f"{item}," for item in line) for line in lines)


def readme(student: Student, costs: Mapping[str, int]) -> str:
    """README.md of the folder; `costs` on a Cortex-M4F, empty where they were not measured.

    Args:
        student: what the folder holds.
        costs: as `edgeemo.export.c_writer.measure` gives them.
    """
    card, sizes = student.card, student.sizes
    measured = (
        "Instructions, flash and stack were not measured when this folder was written: "
        "`make cortex-m4` tells them where arm-none-eabi-gcc and qemu-system-arm are installed."
    )
    if costs:
        measured = f"""\
Measured on a Cortex-M4F under QEMU by `make cortex-m4` (instructions are exact for the compiler
that was here, and are not cycles):

| | |
| --- | --- |
| flash of the whole program without the golden clip | {costs["flash"]:,} bytes |
| RAM of the chain | {costs["memory"]:,} bytes |
| stack | {costs["stack"]:,} bytes |
| instructions for a second of sound, front end included | {costs["second"]:,} |
| the most in one block of 10 ms | {costs["block"]:,} |
| an estimate | {costs["estimate"]:,} |"""
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
            golden=f"{2 * len(student.clip):,}",
            measured=measured,
        )
    )
