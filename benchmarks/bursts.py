"""Are bursts of the voice in a student's embedding, though its classes were never taught any?

    python benchmarks/bursts.py --data DATA

EmoGator, five folds by person: what the student's own classes say, and what a linear head on its
frozen embedding says that was taught bursts of other people, balanced by class. Both elation and
contentment count as happiness, both surprises as one; pain, pride and the like, which are none of
the eight classes, and amusement are left out. Mean recall of eight classes; chance is .125.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from _sound_files import load_any
from torch import Tensor, nn

from edgeemo.compress.data import open_dataset
from edgeemo.compress.students import Student
from edgeemo.export.open_teacher import BURST_CLASSES
from edgeemo.features import log_mel
from edgeemo.io.files import write_text
from edgeemo.types import CLASSES

RESULT = Path(__file__).parent / "results" / "bursts.json"
FOLDS, DECAY = 5, 2e-3
WORDS = {word: name for word, name in BURST_CLASSES.items() if word != "amusement"}


@torch.inference_mode()
def described(student: Student, sounds: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """Embeddings [N, E] and the student's own logits [N, 8]."""
    said = [student(torch.from_numpy(log_mel(sound))[None]) for sound in sounds]
    return torch.cat([s.embedding for s in said]), torch.cat([s.logits for s in said])


def linear_head(x: Tensor, y: Tensor) -> nn.Module:
    """Balanced logistic regression on standardized inputs."""
    mean, scale = x.mean(0), x.std(0) + 1e-3
    head = nn.Linear(x.shape[1], len(CLASSES))
    nn.init.zeros_(head.weight)
    weight = 1 / torch.bincount(y, minlength=len(CLASSES)).float()
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


def recalls(said: Tensor, y: Tensor) -> dict[str, float]:
    """By class, and their mean."""
    found = {c: float((said[y == i] == i).float().mean()) for i, c in enumerate(CLASSES)}
    found["mean"] = float(np.mean(list(found.values())))
    return {name: round(value, 3) for name, value in found.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="holds voices/")
    parser.add_argument("--student", default="wav2small-stream", help="shipped name or student.pt")
    args = parser.parse_args()
    torch.set_num_threads(1)
    student, _ = load_any(args.student)
    clips = open_dataset(args.data / "voices" / "emogator").clips
    clips = tuple(c for c in clips if c.tags["burst"] in WORDS)
    x, own = described(student, [c.samples() for c in clips])
    x = x.clone()
    y = torch.tensor([CLASSES.index(WORDS[c.tags["burst"]]) for c in clips])
    fold = torch.tensor([zlib.crc32(c.group.encode()) % FOLDS for c in clips])
    said = torch.zeros_like(y)
    for k in range(FOLDS):
        head = linear_head(x[fold != k], y[fold != k])
        said[fold == k] = head(x[fold == k]).argmax(1)
    result = {
        "command": "python benchmarks/bursts.py --data DATA"
        + (f" --student {args.student}" if args.student != "wav2small-stream" else ""),
        "clips": len(clips),
        "people": len({c.speaker for c in clips}),
        "own classes": recalls(own.argmax(1), y),
        "linear head on the embedding": recalls(said, y),
    }
    write_text(RESULT, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
