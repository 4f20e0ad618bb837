"""Labels of a teacher: made once, found again, and only what changed is made anew."""

import json
import logging
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from edgeemo.compress.data import open_dataset
from edgeemo.compress.data.clips import Clip, Span
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.labels.rows import SHARD, downsample_tokens
from edgeemo.compress.recipes import AugmentConfig, TeacherConfig
from edgeemo.compress.students import make_student
from edgeemo.compress.train.batches import Batches
from edgeemo.errors import BadData
from edgeemo.features import SPECS, log_mel
from tests.compress.faces import RECIPE, SMALL, Eye

SPEC = SPECS["logmel40"]
ROOT = Path(__file__).resolve().parents[3]
WORKER = Path(__file__).with_name("two_labellers.py")


def test_rows_hold_what_teacher_and_front_end_say(rows, some_clips, ear):
    assert len(rows) == 2 * len(some_clips)
    assert rows.copy.tolist() == [0, 1] * len(some_clips)
    first = some_clips[0].samples()[: 4 * 16000]
    assert np.array_equal(rows.features[0], log_mel(first).astype(np.float16))
    said = ear().label([first])
    assert np.allclose(rows.dimensions[0], said.dimensions[0], atol=1e-6)
    assert np.allclose(rows.probs[0], said.probs[0], atol=1e-6)
    assert np.array_equal(rows.embedding[0], said.embedding[0].astype(np.float16))
    assert rows.token_rate == 12.5
    want = said.tokens[0][:2].astype(np.float32).mean(0)
    assert np.allclose(rows.tokens[0][0], want, atol=2e-2)
    assert not np.allclose(rows.dimensions[0], rows.dimensions[1], atol=1e-3)


def test_mixtures_have_no_annotations(tmp_path, recipe, some_clips, ear):
    mixing = replace(recipe, augment=AugmentConfig(mixup_p=1.0))
    rows = Labeller(ear(), SPEC, mixing, tmp_path).label(some_clips[:20], copies=2)
    emotional = np.array([c.votes is not None for c in rows.clips])
    assert emotional.any()
    assert np.array_equal(np.isfinite(rows.votes).all(1), emotional & (rows.copy == 0))
    groups = rows.column("group")
    mixed = rows.copy == 1
    assert all(p and p != g for p, g in zip(rows.partner[mixed], groups[mixed], strict=True))
    # A row belongs to both people: whoever keeps one of them out keeps the row out.
    one = rows.of_groups(set(groups) - {rows.partner[1]})
    assert rows.partner[1] not in set(one.column("group")) | set(one.partner)


def test_changed_copies_learn_what_the_teacher_says_of_the_clean_clip(
    tmp_path, recipe, some_clips, ear
):
    noisy = AugmentConfig(
        targets="clean", mixup_p=0, speed_p=0, noise_p=1, babble_p=0.5, gain_db=(-20, -10)
    )
    teacher, clips = ear(), some_clips[:8]
    rows = Labeller(teacher, SPEC, replace(recipe, augment=noisy), tmp_path).label(clips, copies=3)
    clean = Labeller(ear(), SPEC, recipe, tmp_path / "b").label(clips)
    for i, row in enumerate(clean.dimensions):
        copies = slice(3 * i, 3 * i + 3)
        assert np.array_equal(rows.dimensions[copies], np.tile(row, (3, 1)))
        assert all(np.array_equal(rows.tokens[k], clean.tokens[i]) for k in range(3 * i, 3 * i + 3))
        assert len({rows.features[k].tobytes() for k in range(3 * i, 3 * i + 3)}) == 3
        assert rows.level[3 * i] > rows.level[3 * i + 1]
    assert teacher.heard == 6 + 8  # the probe's first 16 rows, and each clip once


def test_at_another_speed_teacher_and_student_are_given_the_same_voice(
    tmp_path, recipe, some_clips, ear
):
    still = {"mixup_p": 0, "noise_p": 0, "reverb_p": 0, "band_p": 0, "gain_db": (0, 0)}
    faster = AugmentConfig(targets="clean", speed_p=1, speed=(1.1, 1.3), **still)
    rows = Labeller(ear(), SPEC, replace(recipe, augment=faster), tmp_path).label(
        some_clips[:8], copies=3
    )
    assert len({row.tobytes() for row in rows.dimensions}) == len(rows)
    for features, said in zip(rows.features, rows.dimensions, strict=True):
        frames = features.astype(np.float32) / 3 + 2
        heard = np.concatenate([frames.mean(0), frames.std(0)]) @ ear().maps[0]
        assert np.allclose(0.5 + 0.2 * heard, said, atol=5e-3)


def test_labels_are_found_again_and_only_what_changed_is_made(tmp_path, recipe, some_clips, ear):
    teacher = ear()
    labeller = Labeller(teacher, SPEC, recipe, tmp_path)
    before = labeller.label(some_clips[:10], copies=2)
    heard = teacher.heard
    again = labeller.label(some_clips[:10], copies=2)
    assert teacher.heard == heard
    assert np.array_equal(before.dimensions, again.dimensions)
    labeller.label(some_clips[:12])
    assert teacher.heard - heard == 2 * 2  # a probe, and the two new clips
    # Another teacher, augmentation or token rate is another row; more copies are not.
    for change in (
        {"augment": AugmentConfig(gain_db=(-1, 1))},
        {"teacher": TeacherConfig(tokens_per_second=5)},
        {"seed": 8},
    ):
        other = ear()
        Labeller(other, SPEC, replace(recipe, **change), tmp_path).label(some_clips[:10], copies=2)
        assert other.heard > 0, change
    other = ear()
    more = replace(recipe, augment=replace(recipe.augment, copies=9))
    Labeller(other, SPEC, more, tmp_path).label(some_clips[:10], copies=2)
    assert other.heard == 0


def test_an_interrupted_labelling_goes_on(tmp_path, recipe, some_clips, ear, monkeypatch):
    monkeypatch.setattr("edgeemo.compress.labels.rows.SHARD", 4)

    class Dies(ear):
        def label(self, clips):
            if self.heard > 16 + 8:  # the probe and two shards
                raise KeyboardInterrupt
            return super().label(clips)

    with pytest.raises(KeyboardInterrupt):
        Labeller(Dies(), SPEC, recipe, tmp_path).label(some_clips[:20])
    teacher = ear()
    rows = Labeller(teacher, SPEC, recipe, tmp_path).label(some_clips[:20])
    whole = Labeller(ear(), SPEC, recipe, tmp_path / "b").label(some_clips[:20])
    assert len(rows) == 20 and teacher.heard < 20
    assert np.array_equal(rows.dimensions, whole.dimensions)
    assert SHARD > 4


def test_a_damaged_shard_is_made_again(tmp_path, recipe, some_clips, ear, caplog):
    labeller = Labeller(ear(), SPEC, recipe, tmp_path)
    labeller.label(some_clips[:4])
    (shard,) = labeller.cache.folder.glob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        assert len(labeller.label(some_clips[:4])) == 4
    assert "damaged" in caplog.text


def test_unreadable_and_silent_clips_are_reported_and_skipped(
    tmp_path, recipe, some_clips, ear, caplog
):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF....")
    soundfile.write(tmp_path / "mute.wav", np.zeros(32_000), 16_000)
    broken = [Clip(n, "x", "x/1", Span(tmp_path / n)) for n in ("bad.wav", "gone.wav", "mute.wav")]
    with caplog.at_level(logging.WARNING):
        rows = Labeller(ear(), SPEC, recipe, tmp_path / "c").label([*some_clips[:5], *broken])
    assert len(rows) == 5 and rows.skipped == 3
    assert "bad.wav" in caplog.text and "gone.wav" in caplog.text
    assert "mute.wav, copy 0: all of it is silence" in caplog.text


def test_a_constant_teacher_is_refused_before_the_work(tmp_path, recipe, some_clips, ear):
    teacher = ear(scale=0.0)
    with pytest.raises(BadData, match="arousal has a standard deviation of 0"):
        Labeller(teacher, SPEC, recipe, tmp_path).label(some_clips)
    assert teacher.heard <= 20 and not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize("ratio", [1.0, 2.0, 3.3])
def test_tokens_at_a_lower_rate_are_means(ratio):
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float16)
    got = downsample_tokens(x, ratio)
    assert len(got) == int(20 / ratio)
    for k, row in enumerate(got):
        part = x[int(k * ratio) : int((k + 1) * ratio)].astype(np.float64)
        assert np.allclose(row, part.mean(0), atol=2e-3)


def test_rows_are_what_the_runtime_would_cut_and_are_labelled_once(face_table, tmp_path):
    eye, clips = Eye(), open_dataset(face_table).clips[:20]
    spec = make_student("mobilenetv3-small-face", **SMALL).spec
    rows = Labeller(eye, spec, RECIPE, tmp_path).label(clips)
    seen = eye.seen
    again = Labeller(eye, spec, RECIPE, tmp_path).label(clips)
    assert eye.seen == seen and np.array_equal(again.probs, rows.probs)
    batch = Batches(rows).batch(torch.arange(20))
    from edgeemo.vision.images import preprocess

    want = preprocess(clips[3].image(), None, spec)
    assert batch.features.shape == (20, 32, 32, 1)
    assert np.array_equal(batch.features[3].numpy(), want[0])
    assert np.isnan(rows.dimensions).all() and np.isnan(rows.level).all()
    assert rows.votes[0].sum() == pytest.approx(1)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What each of two processes found; torchrun would end the one with the other."""
    out = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    children = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(out)],
            env=os.environ | common | {"RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    for child in children:
        _, error = child.communicate(timeout=120)
        assert child.returncode == 0, error[-2000:]
    return [json.loads((out / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def test_a_process_that_looks_later_loses_no_row(two_processes):
    assert [found["late"] for found in two_processes] == [24, 24]


def test_processes_with_caches_of_their_own_are_refused(two_processes):
    for found in two_processes:
        assert found["two caches"].startswith("BadData: the processes find different labels")
        assert "--cache" in found["two caches"]


def test_a_process_whose_peer_has_ended_says_so(two_processes):
    assert "another process of this training is gone" in two_processes[0]["alone"]
