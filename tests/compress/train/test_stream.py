"""Packed rows as a stream: every row once, the same bits after a kill in mid-epoch."""

import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeemo.compress.data import open_dataset
from edgeemo.compress.labels import packing
from edgeemo.compress.labels.packed import Packed
from edgeemo.compress.labels.packed_split import split_packed
from edgeemo.compress.labels.packing import pack
from edgeemo.compress.labels.units import UnitLabeller, label_part
from edgeemo.compress.pipeline import new_student
from edgeemo.compress.recipes import AugmentConfig, DataConfig
from edgeemo.compress.train import stream
from edgeemo.compress.train.batches import Batches
from edgeemo.compress.train.loop import fit
from edgeemo.compress.train.stream import InMemory, PackedStream
from edgeemo.errors import BadRecipe
from tests.compress.faces import RECIPE as FACES
from tests.compress.faces import Eye
from tests.compress.train.conftest import probe

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def packed(labelled, tmp_path_factory):
    """Sixty-four rows in row groups of four, two files."""
    out = tmp_path_factory.mktemp("packed") / "rows"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "GROUP_ROWS", 4)
        patch.setattr(packing, "FILE_ROWS", 40)
        pack(labelled, out)
    return Packed(out)


@pytest.fixture(scope="module")
def streaming(busy):
    return replace(busy, augment=AugmentConfig(copies=2), data=DataConfig(valid=0.2, test=0.1))


@pytest.fixture(scope="module")
def split(packed, streaming):
    return split_packed(packed, streaming)


def addresses(windows, plan, generator):
    """Mean of the features of each row that an epoch gives, in order."""
    return [
        float(mean)
        for window in windows
        for batch in plan.order(window, generator)
        for mean in window.batch(batch).features.double().sum((1, 2))
    ]


def test_an_epoch_has_every_row_once_in_an_order_of_its_own(split, monkeypatch):
    monkeypatch.setattr(stream, "WINDOW", 3)
    source = PackedStream(split, "cpu")
    everything = Batches(split.read(split.train)).batch(
        torch.arange(sum(len(g.rows) for g in split.train))
    )
    want = sorted(everything.features.double().sum((1, 2)).tolist())
    found = []
    for seed in (1, 1, 2):
        plan = source.epoch(5, seed)
        generator = torch.Generator().manual_seed(seed)
        found.append(addresses(plan.windows(0), plan, generator))
        assert plan.rows == len(want)
    assert found[0] == found[1] != found[2]
    assert np.allclose(sorted(found[0]), want) and np.allclose(sorted(found[2]), want)


def test_a_window_is_normalized_as_the_whole(split):
    sample = Batches(split.sample)
    window = Batches(split.read(split.train[:1]), like=sample)
    alone = Batches(split.read(split.train[:1]))
    picked = torch.arange(len(window))
    ours, theirs = (b.batch(picked).embedding for b in (window, alone))
    assert torch.equal(window.mean, sample.mean) and not torch.allclose(ours, theirs)
    means = [b._embedding_moments for b in (sample, alone)]
    raw = [x * sd + mean for x, (mean, sd) in zip((ours, theirs), means, strict=True)]
    assert torch.allclose(*raw, atol=1e-4)


def test_rows_in_memory_are_one_window(parts):
    train, _ = parts
    plan = InMemory(train, "cpu").epoch(16, 3)
    (window,) = plan.windows(0)
    one, two = (torch.Generator().manual_seed(1) for _ in range(2))
    assert all(
        torch.equal(a, b)
        for a, b in zip(plan.order(window, one), window.order(16, two), strict=True)
    )
    assert plan.steps == len(window.order(16, two)) and not list(plan.windows(1))


@pytest.mark.parametrize("kind", ["packed", "in memory"])
def test_a_kill_within_an_epoch_costs_nothing(kind, split, parts, streaming, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "WINDOW", 3)
    train, valid = (split, split.valid) if kind == "packed" else parts
    recipe = replace(streaming, distill=replace(streaming.distill, batch=5, epochs=2, pretrain=1))
    whole = fit(probe(), train, valid, recipe, tmp_path / "whole")
    steps = []

    def kill(what, done, total):
        steps.append(done)
        if done * 2 > total + 12:  # in the middle of the second of three epochs
            raise KeyboardInterrupt

    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        fit(probe(), train, valid, recipe, out, progress=kill, due=lambda: len(steps) % 3 == 2)
    checkpoint = torch.load(out / "checkpoints" / "last.pt", weights_only=True)
    kept = checkpoint["step"]
    assert checkpoint["epoch"] == 1 and checkpoint["places"][0]["step"] < kept < len(steps)
    again = []
    resumed = fit(
        probe(), train, valid, recipe, out, resume=True, progress=lambda *a: again.append(a)
    )
    pairs = zip(
        whole.student.state_dict().values(), resumed.student.state_dict().values(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)
    assert whole.history == resumed.history
    names = ("metrics.jsonl",)
    assert all((tmp_path / "whole" / n).read_text() == (out / n).read_text() for n in names)
    # It went on where it was: steps were neither made again nor left out.
    assert again[0][1] == steps[kept] and again[-1][1] == again[-1][2]


@pytest.mark.slow
def test_a_process_killed_under_torchrun_costs_nothing(packed, tmp_path):
    """The system kills one of two within an epoch; both are started again, and end equal."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node", "2", str(Path(__file__).with_name("killed_process.py"))]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    def run():
        return subprocess.run(
            [*command, str(packed.folder), str(tmp_path)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )

    killed = run()
    assert killed.returncode != 0 and "Signal 9 (SIGKILL)" in killed.stderr, killed.stderr[-2000:]
    kept, whole = (
        torch.load(tmp_path / name / "checkpoints" / "last.pt", weights_only=True)
        for name in ("cut", "whole")
    )
    assert kept["epoch"] == 1 and len(kept["places"]) == 2 and whole["epoch"] == 3
    resumed = run()
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    ended = torch.load(tmp_path / "cut" / "checkpoints" / "last.pt", weights_only=True)
    assert ended["history"] == whole["history"]
    assert all(torch.equal(v, ended["student"][k]) for k, v in whole["student"].items())


def test_a_place_of_another_number_of_processes_is_refused(split, streaming, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(probe(), split, split.valid, streaming, tmp_path, progress=_interrupt, due=lambda: True)
    path = tmp_path / "checkpoints" / "last.pt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["places"] *= 2
    torch.save(checkpoint, path)
    with pytest.raises(BadRecipe, match="by 2 processes; resume with as many, not 1"):
        fit(probe(), split, split.valid, streaming, tmp_path, resume=True)


def _interrupt(what, done, total):
    raise KeyboardInterrupt


def test_a_packed_training_learns_what_one_in_memory_learns(split, streaming):
    """The same rows, in batches of another order: figures of the same size, not the same bits."""
    distill = replace(streaming.distill, pretrain=0, epochs=8, lr=2e-2, ema_decay=0.5)
    recipe = replace(streaming, distill=distill)
    memory = split.packed.rows(split.train, clips=True)
    one, two = (fit(probe(), train, split.valid, recipe).history for train in (split, memory))
    streamed, held = ([h["train"]["mse"] for h in history] for history in (one, two))
    assert streamed[-1] < streamed[0] / 2 and held[-1] < held[0] / 2
    assert abs(streamed[-1] - held[-1]) < 0.25 * held[0]


def test_a_packed_training_gives_the_bits_of_one_in_memory(labelled, streaming, tmp_path):
    """Where the order of the rows is the same: in one row group there is nothing to shuffle."""
    pack(labelled, tmp_path / "packed")
    split = split_packed(Packed(tmp_path / "packed"), streaming)
    memory = split.packed.rows(split.train, clips=True)
    assert len(split.train) == 1 and len(memory) > streaming.distill.batch
    one, two = (fit(probe(), rows, split.valid, streaming) for rows in (split, memory))
    assert one.history == two.history
    weights = (fitted.student.state_dict().values() for fitted in (one, two))
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_faces_go_the_same_way(face_table, tmp_path):
    """Pictures in tars, labelled, packed, and trained on as a stream."""
    data, recipe = open_dataset(face_table), replace(FACES, augment=AugmentConfig())
    write_pictures(tmp_path / "0.tar", data.clips[:40])
    write_pictures(tmp_path / "1.tar", data.clips[40:])
    student = new_student(recipe)
    labeller = UnitLabeller(Eye(), student.spec, recipe, tmp_path / "labels")
    label_part(labeller, tmp_path)
    pack(tmp_path / "labels", tmp_path / "packed")
    split = split_packed(Packed(tmp_path / "packed"), recipe)
    assert sum(split.clips.values()) == len(data) and split.valid.clips[0].task == "face"
    fitted = fit(student, split, split.valid, recipe)
    assert fitted.history[-1]["valid"]["accuracy"] > 0.9
    # The face in the tar is cut by its box, as from any other source.
    boxed = next(clip for clip in open_dataset(tmp_path).clips if clip.box is not None)
    assert boxed.box == (4.0, 4.0, 44.0, 44.0) and boxed.image().shape == (48, 48, 3)


def write_pictures(path, clips):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, clip in enumerate(clips):
            labels = {"speaker": f"{path.stem}-{number // 2}", "votes": dict(clip.votes)}
            if number == 0:
                labels["box"] = [4, 4, 44, 44]
            parts = {"png": clip.span.read(), "json": json.dumps(labels).encode()}
            for ending, content in parts.items():
                member = tarfile.TarInfo(f"{number:03d}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
