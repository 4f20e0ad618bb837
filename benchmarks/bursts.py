"""Do a student's classes know bursts of the voice, and what does it cost them on speech?

    python benchmarks/bursts.py --data DATA

EmoGator, five folds by person. Judged on the fifth: the student's own classes as they are; those of
a student that other people's bursts taught (tools/_bursts.py), both by their int8 files; a linear
head on its frozen embedding that was taught the same bursts alone; and one that was taught what the
student says of speech too, which shows why a linear head does not do. Elation and contentment count
as happiness, both surprises as one; pain, pride and the like, which are none of the eight classes,
and amusement are left out. Mean recall of eight classes; chance is .125. Speech: mean recall of its
classes in two corpora, on people whom the added units did not hear; the student itself did.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from _data import add_data
from _sound_files import Voices, int8_of, load_any, voices_of, with_bursts
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeemo.artifacts.card import Card
from edgeemo.cli import exit_status
from edgeemo.compress.data import Clip, open_dataset
from edgeemo.compress.data.sounds import burst_class
from edgeemo.compress.students import Student
from edgeemo.errors import require
from edgeemo.features import log_mel
from edgeemo.io.files import write_text
from edgeemo.types import CLASSES

RESULT = Path(__file__).parent / "results" / "bursts.json"
FOLDS, DECAY, SEED = 5, 2e-3, 1
SPEECH = ("emotale", "ravdess_full")
BEFORE, AFTER = "own classes", "classes taught bursts"
ALONE, BOTH = "linear head, bursts", "linear head, bursts and speech"

Said = dict[str, NDArray[np.int64]]


def fold_of(clip: Clip) -> int:
    """By the person."""
    return zlib.crc32(clip.group.encode()) % FOLDS


def judged(clips: Sequence[Clip]) -> list[tuple[str, int, Clip]]:
    """Corpus, class and clip of what is judged."""
    found = []
    for clip in clips:
        name = clip.emotion or ("" if clip.tags.get("burst") == "amusement" else burst_class(clip))
        if clip.corpus in (*SPEECH, "emogator") and name in CLASSES:
            found.append((clip.corpus, CLASSES.index(name), clip))
    return found


def linear_head(x: Tensor, y: Tensor) -> nn.Module:
    """Balanced logistic regression on standardized inputs."""
    mean, scale = x.mean(0), x.std(0) + 1e-3
    head = nn.Linear(x.shape[1], len(CLASSES))
    nn.init.zeros_(head.weight)
    weight = 1 / torch.bincount(y, minlength=len(CLASSES)).clamp(min=1).float()
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=60)

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = F.cross_entropy(head((x - mean) / scale), y, weight=weight)
        found = found + DECAY * head.weight.square().sum()
        found.backward()
        return found

    optimizer.step(loss)  # type: ignore[arg-type]
    with torch.no_grad():
        head.weight /= scale
        head.bias -= head.weight @ mean
    return head


class File:
    """Dimensions [3] and classes [8] of clips by an int8 file."""

    def __init__(self, student: Student, card: Card, clips: Sequence[Clip]) -> None:
        data = int8_of(student, card, clips)
        onnxruntime = require("onnxruntime", "onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.bytes = len(data)
        self._session: Any = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )

    def say(self, features: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
        adv, probs = self._session.run(["adv", "probs"], {"features": features[None]})
        return adv[0], probs[0]


def linear_heads(student: Student, voices: Voices, fold: int) -> dict[str, nn.Module]:
    """Taught by other people: by bursts, and by bursts and what the student says of speech."""
    others = torch.tensor([fold_of(c) != fold for c in voices.clips])
    with torch.no_grad():
        hidden = F.relu(student.head_layers[0](voices.heard))
        own = student.classes(hidden).argmax(1)
    told = torch.where(voices.told >= 0, voices.told, own)
    burst = others & (voices.told >= 0)
    return {
        ALONE: linear_head(voices.heard[burst], told[burst]),
        BOTH: linear_head(voices.heard[others], told[others]),
    }


@torch.no_grad()
def judge(
    student: Student, files: Mapping[str, File], heads: Mapping[str, nn.Module], clips: list[Clip]
) -> tuple[Said, float]:
    """Classes of each clip by name, and how far the dimensions of both files are apart, summed."""
    said: dict[str, list[int]] = {name: [] for name in (*files, *heads)}
    apart = 0.0
    for clip in clips:
        features = log_mel(clip.samples())
        found = {name: file.say(features) for name, file in files.items()}
        apart += float(np.abs(found[BEFORE][0] - found[AFTER][0]).mean())
        embedding = student(torch.from_numpy(features)[None]).embedding
        for name, (_, probs) in found.items():
            said[name].append(int(probs.argmax()))
        for name, head in heads.items():
            said[name].append(int(head(embedding).argmax()))
    return {name: np.array(each) for name, each in said.items()}, apart


def recalls(said: NDArray[np.int64], y: NDArray[np.int64]) -> dict[str, float]:
    """By class, and their mean."""
    found = {c: float((said[y == i] == i).mean()) for i, c in enumerate(CLASSES) if (y == i).any()}
    found["mean"] = float(np.mean(list(found.values())))
    return {name: round(value, 3) for name, value in found.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, "speech", "voices/emogator")
    parser.add_argument("--student", default="wav2small-stream", help="shipped name or student.pt")
    args = parser.parse_args()
    torch.set_num_threads(1)
    student, card = load_any(args.student)
    places = (args.data / "speech", args.data / "voices" / "emogator")
    every = [clip for place in places for clip in open_dataset(place).clips]
    voices, rows = voices_of(student, every, SEED), judged(every)
    parts: list[Said] = []
    order, apart = [], 0.0
    for fold in range(FOLDS):
        others = torch.tensor([fold_of(c) != fold for c in voices.clips])
        taught = Voices(
            [c for c in voices.clips if fold_of(c) != fold],
            voices.heard[others],
            voices.told[others],
        )
        ranges = [c for c in taught.clips if fold_of(c) == (fold + 1) % FOLDS]
        made = with_bursts(student, taught, SEED + fold)
        files = {name: File(s, card, ranges) for name, s in ((BEFORE, student), (AFTER, made))}
        mine = [i for i, (_, _, clip) in enumerate(rows) if fold_of(clip) == fold]
        heads = linear_heads(student, voices, fold)
        said, more = judge(student, files, heads, [rows[i][2] for i in mine])
        parts.append(said)
        order += mine
        apart += more
    corpus, y = (np.array([rows[i][k] for i in order]) for k in range(2))
    result: dict[str, Any] = {
        "command": "python benchmarks/bursts.py --data DATA"
        + (f" --student {args.student}" if args.student != "wav2small-stream" else ""),
        "clips": {name: int((corpus == name).sum()) for name in sorted(set(corpus.tolist()))},
        "people": len({clip.group for name, _, clip in rows if name == "emogator"}),
        "bytes more": files[AFTER].bytes - files[BEFORE].bytes,
        "dimensions apart": round(apart / len(rows), 4),
        "recall": {
            name: {of: recalls(said[corpus == of], y[corpus == of]) for of in ("emogator", *SPEECH)}
            for name in (BEFORE, AFTER, ALONE, BOTH)
            for said in [np.concatenate([part[name] for part in parts])]
        },
    }
    write_text(RESULT, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    sys.exit(exit_status(main))
