"""Run by test_stream.py in each of two processes: train on packed rows; one is killed, once."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from edgeemo.compress import distributed
from edgeemo.compress.labels.packed import Packed
from edgeemo.compress.labels.packed_split import split_packed
from edgeemo.compress.recipes import SCHEMA, AugmentConfig, DataConfig, Recipe, StudentConfig
from edgeemo.compress.train import epoch, stream
from edgeemo.compress.train.loop import fit
from tests.compress import conftest  # registers the student "probe"
from tests.compress.train.conftest import distill, probe

assert conftest.Probe


class Due:
    """Checkpoints after every third step; the second process ends without a word in between."""

    def __init__(self, kill):
        self.kill, self.steps = kill, 0

    def __call__(self):
        self.steps += 1
        if self.kill and distributed.rank() == 1 and self.steps == 16:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.steps % 3 == 2


def main(packed: Path, out: Path) -> None:
    distributed.start()
    stream.WINDOW, epoch._ASK = 3, 1
    recipe = Recipe(
        schema=SCHEMA,
        student=StudentConfig("probe"),
        augment=AugmentConfig(copies=2),
        data=DataConfig(valid=0.2, test=0.1),
        distill=replace(distill(), batch=5, epochs=2, pretrain=1),
    )
    rows = split_packed(Packed(packed), recipe)
    begun = (out / "cut" / "checkpoints" / "last.pt").exists()
    if not begun:
        fit(probe(), rows, rows.valid, recipe, out / "whole", due=Due(kill=False))
    fit(probe(), rows, rows.valid, recipe, out / "cut", resume=begun, due=Due(kill=not begun))
    distributed.finish()


main(Path(sys.argv[1]), Path(sys.argv[2]))
