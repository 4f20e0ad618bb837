"""The shipped speech as tars in WebDataset's layout, and how they are labelled."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from edgeemo.compress.labels.units import UnitLabeller, label_part
from edgeemo.compress.recipes import AugmentConfig
from edgeemo.features import SPECS

SPEC = SPECS["logmel40"]


def write_tar(path: Path, clips) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, clip in enumerate(clips):
            labels = {"speaker": clip.speaker.replace("/", "-"), "r1_arousal": 1}
            if clip.votes:
                labels["votes"] = {name: share * 4 for name, share in clip.votes.items()}
            if number % 4 == 0:
                labels |= {"arousal": 0.25, "valence": 0.75}
            parts = {"flac": clip.span.read(), "json": json.dumps(labels).encode()}
            for ending, data in parts.items():
                member = tarfile.TarInfo(f"{number:04d}.{ending}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


@pytest.fixture(scope="session")
def tars(tmp_path_factory, some_clips):
    """Four tars of eight clips of many people."""
    folder = tmp_path_factory.mktemp("corpus") / "hours"
    folder.mkdir()
    for number in range(4):
        write_tar(folder / f"{number}.tar", some_clips[number:32:4])
    return folder


@pytest.fixture(scope="session")
def copies(recipe):
    """A recipe with a changed copy of each clip."""
    return replace(recipe, augment=AugmentConfig(copies=2))


@pytest.fixture(scope="session")
def label(copies, ear):
    """Label tars into a folder; gives the labeller and the manifest."""

    def run(tars, out, part=(1, 1), recipe=copies, teacher=None, **options):
        labeller = UnitLabeller(teacher or ear(), SPEC, recipe, out, **options)
        return labeller, label_part(labeller, tars, part)

    return run


@pytest.fixture(scope="session")
def labelled(tars, label, tmp_path_factory):
    """Folder of the labels of all four tars."""
    out = tmp_path_factory.mktemp("labels")
    label(tars, out)
    return out
