"""Pruning and quantization-aware training, on real speech and small students."""

import copy
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgeemo.compress.data import DataSet, shipped_speech
from edgeemo.compress.pipeline import distill
from edgeemo.compress.recipes import (
    DataConfig,
    DistillConfig,
    PruneConfig,
    QatConfig,
    StudentConfig,
    load_recipe,
)
from edgeemo.compress.run import Run
from edgeemo.compress.stages import qat
from edgeemo.compress.stages.batchnorm import fold_batchnorm
from edgeemo.compress.stages.channels import choose_channels, remove_channels, without
from edgeemo.compress.students import load_student, make_student, save_student, student_names
from edgeemo.compress.students.activations import activations
from edgeemo.compress.students.cost import macs, parameters
from edgeemo.compress.train.batches import Batches
from edgeemo.compress.train.loop import _start, set_memory_format
from edgeemo.errors import BadArtifact, BadRecipe
from edgeemo.export.dry_run import settled
from edgeemo.features import FeatureSpec, log_mel

NAMES = [n for n in student_names() if n != "probe"]
SMALL = {
    "mobilenetv3-small": {"width": 0.25},
    "mobilenetv4-conv-small": {"width": 0.25},
    "mobilenetv3-small-face": {"width": 0.25, "size": 32},
    "mobilenetv4-conv-small-face": {"width": 0.25, "size": 32},
    "efficientnet-lite0-face": {"blocks": 5, "wide": 64, "size": 32},
    "mobilenetv1-face": {"width": 0.25, "size": 32},
    "mobilefacenet-face": {"width": 0.25, "size": 32},
    "mobileface-face": {"size": 32},
}


def inputs(student, count=3):
    """Real speech of different length, or stand-ins for pictures."""
    if not isinstance(student.spec, FeatureSpec):
        torch.manual_seed(3)
        size = student.spec.size
        return [torch.randn(1, size, size, student.spec.channels) for _ in range(count)]
    clips = shipped_speech().clips[::40][:count]
    sounds = [clip.samples()[: 9000 + 3000 * i] for i, clip in enumerate(clips)]
    return [torch.from_numpy(log_mel(np.ascontiguousarray(s), student.spec))[None] for s in sounds]


def seen(name):
    """Random weights, and norms that have seen speech."""
    torch.manual_seed(5)
    student = make_student(name, **SMALL.get(name, {}))
    return settled(student, inputs(student))


@pytest.fixture(scope="module", params=NAMES)
def student(request):
    return seen(request.param)


@torch.no_grad()
def test_a_pruned_student_computes_what_is_left(student, tmp_path):
    """The same as the whole one whose readers ignore the channels that went."""
    clips = inputs(student)
    kept = choose_channels(student, 0.3, clips)
    smaller, whole = without(student, kept), copy.deepcopy(student)
    for group, keep in kept:
        gone = torch.ones(group.size, dtype=torch.bool)
        gone[keep] = False
        for reader, columns in group.readers.items():
            whole.get_submodule(reader).weight[:, columns[gone].any(0)] = 0
    for clip in clips:
        for got, want in zip(smaller(clip)[:2], whole(clip)[:2], strict=True):
            assert torch.allclose(got, want, atol=1e-4)
    assert parameters(smaller) < 0.75 * parameters(student)
    if isinstance(student.spec, FeatureSpec):
        assert macs(smaller, 64) < 0.75 * macs(student, 64)
    save_student(smaller, tmp_path / "s.pt")
    again = load_student(tmp_path / "s.pt")
    assert again.pruned and torch.equal(again(clips[0]).dimensions, smaller(clips[0]).dimensions)


def test_what_moves_nothing_goes_first():
    student = seen("wav2small-stream")
    dead = torch.arange(0, 24, 3)
    with torch.no_grad():
        student.shrink[0].norm.weight[dead] = 0  # these channels give the same for every clip
    kept = {g.makers[0]: keep for g, keep in choose_channels(student, 0.3, inputs(student))}
    assert set(kept["shrink.0.conv"].tolist()).isdisjoint(dead.tolist())
    with pytest.raises(BadRecipe, match=r"prune.share: 0.01 takes no channel"):
        remove_channels(student, 0.01, inputs(student))


def test_damage_is_refused(tmp_path):
    student = seen("wav2small-17k")
    smaller = remove_channels(student, 0.3, inputs(student))
    smaller.pruned = False  # a file that does not say so must have the shapes of its class
    save_student(smaller, tmp_path / "s.pt")
    with pytest.raises(BadArtifact, match="not a student's weights"):
        load_student(tmp_path / "s.pt")


@pytest.fixture(scope="module", params=["wav2small-stream", "wav2small-17k", "mobilenetv3-small"])
def rounded(request):
    """A student, clips, and its copy that rounds. The rest of the registry has the same layers."""
    student = seen(request.param)
    clips = inputs(student, 2)
    return student, clips, qat.with_quantizers(student, clips)


def test_rounding_in_training_is_that_of_the_grid(rounded):
    """Weights on 64 steps of a channel's largest; activations on 256 of their range."""
    student, clips, made = rounded
    made = copy.deepcopy(made)
    weights = dict(fold_batchnorm(student, clips[0]).named_parameters())
    around = {}

    def watch(module, given, result):
        around[id(module)] = given[0].detach(), result.detach()

    for module in made.modules():
        if type(module).__name__.endswith("Quantizer"):
            module.register_forward_hook(watch)
    with torch.no_grad():
        made(clips[0], None)
    found = 0
    for before, after in around.values():
        match = [w for w in weights.values() if w.shape == before.shape and torch.equal(w, before)]
        if match:
            found += 1
            flat = before.flatten(1)
            step = flat.abs().amax(1, keepdim=True) / 64
            want = torch.clamp((flat / step).round(), -64, 64) * step
            apart = (after.flatten(1) - want).abs() / step
            assert (apart > 0.01).float().mean() < 1e-3  # ties may fall either way
        else:
            assert len(after.unique()) <= 256
    layers = [m for m in student.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert found == len(layers)


def test_padding_is_as_nothing_in_a_batch_that_rounds(rounded):
    student, clips, made = rounded
    if student.name == "mobilenetv3-small":  # the one with the most operations behind masks
        short = torch.nn.functional.pad(clips[0], (0, 0, 0, 37))
        lengths = torch.tensor([clips[0].shape[1]])
        with torch.no_grad():
            assert torch.allclose(
                made(short, lengths).dimensions, made(clips[0]).dimensions, atol=0.02
            )


def test_each_learned_range_has_steps_of_its_own_size(rounded, rows, recipe):
    """Where the loop does not find them, ranges are learned at the rate of the weights."""
    student, clips, made = rounded
    if student.spec != rows.spec:
        return  # the rows are of another front end
    groups = _start(made, Batches(rows), recipe).optimizer.param_groups  # a copy has no sizes
    set_memory_format(made, torch.contiguous_format)
    _, ranges = qat.without_quantizers(made, student, clips[0])
    # The smallest value and the span of each, at least.
    assert sum("lr_scale" in group for group in groups) >= 2 * len(ranges)


def test_what_was_learned_comes_out(rounded):
    student, clips, made = rounded
    made = copy.deepcopy(made)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.requires_grad and parameter.ndim > 1:
                parameter.mul_(1.01)
    plain, ranges = qat.without_quantizers(made, student, clips[0])
    values = activations(plain, clips[0])
    assert type(plain) is type(student) and plain.state_dict().keys() == student.state_dict().keys()
    assert set(ranges) <= set(values) and len(ranges) >= 6
    spans = [
        values[n].min() >= low - 0.1 * (high - low) and values[n].max() <= high * 1.3 + 0.1
        for n, (low, high) in ranges.items()
    ]
    assert sum(spans) >= 0.8 * len(spans)
    # Folded weights, trained, in norms that change nothing: the same sums as without rounding.
    with torch.no_grad():
        for quantizer in (m for m in made.modules() if type(m).__name__.endswith("Quantizer")):
            quantizer.disable_quantization()
        assert torch.allclose(plain(clips[1]).dimensions, made(clips[1]).dimensions, atol=1e-4)
        assert not torch.allclose(
            plain(clips[1]).dimensions, student(clips[1]).dimensions, atol=1e-4
        )


# --- whole runs ---

TINY = StudentConfig("wav2small-stream", options={"width": 16, "pooled": 16, "hidden": 16})
STAGES = {
    "qat": {"qat": QatConfig(epochs=2, lr=1e-3)},
    "int4": {"qat": QatConfig(epochs=2, lr=1e-3, weights="int4")},
    "channels": {"prune": PruneConfig(share=0.4, epochs=2)},
    "weights and qat": {"prune": PruneConfig("weights", 0.5, 2), "qat": QatConfig(epochs=1)},
}


def short(recipe, stages):
    part = DistillConfig(
        epochs=2, batch=16, lr=1e-2, ema_decay=0.8, loss={"ccc": 1, "embedding": 0.3}
    )
    data = DataConfig(clip_seconds=0.8, valid=0.4, test=0.2)
    return replace(recipe, student=TINY, distill=part, data=data, **stages)


@pytest.mark.parametrize("name", STAGES)
def test_an_interrupted_run_ends_as_an_uninterrupted_one(name, recipe, some_clips, ear, tmp_path):
    data = DataSet("some", some_clips)
    asked = short(recipe, STAGES[name])
    whole = Run.begin(tmp_path / "whole", asked, {})
    facts = distill(whole, data, ear())
    stages = [h["stage"] for h in whole.history()]
    assert stages[:2] == ["distill"] * 2 and set(stages) - {"distill"} == set(STAGES[name])
    assert [h["epoch"] for h in whole.history()] == list(range(len(stages)))
    _check(name, whole)

    calls, before = 0, 0

    def stop(what, done, total):
        nonlocal calls, before
        if what == "training":
            before = 0 if done <= before else before  # another training
            calls += before <= total // 2 < done
            before = done
        if calls == len(STAGES[name]) + 1:  # in the middle of the last stage
            raise KeyboardInterrupt

    cut = Run.begin(tmp_path / "cut", asked, {})
    with pytest.raises(KeyboardInterrupt):
        distill(cut, data, ear(), progress=stop)
    assert not cut.finished
    assert distill(cut, data, ear()) == facts
    assert cut.ranges() == whole.ranges()
    for file in ("metrics.jsonl", "report.html"):
        assert (cut.folder / file).read_text() == (whole.folder / file).read_text()
    one, two = (r.student().state_dict() for r in (whole, cut))
    assert all(torch.equal(one[k], two[k]) for k in one)


def _check(name, run):
    student, ranges = run.student(), run.ranges()
    assert bool(ranges) == ("qat" in name)
    assert student.pruned == (name == "channels")
    if name == "channels":
        assert run.facts().parameters == parameters(student)
        assert parameters(student) < 0.8 * parameters(make_student(student.name, **TINY.options))
    if "weights" in name:
        for module in student.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                zeros = int((module.weight == 0).sum())
                assert abs(zeros - module.weight.numel() / 2) <= 1


def test_damaged_ranges_are_refused(tmp_path, recipe):
    run = Run.begin(tmp_path / "run", recipe, {})
    for text in ('{"a": [1.0]}', '{"a": [2.0, 1.0]}', '{"a": "b"}', "[", "{"):
        (run.folder / "ranges.json").write_text(text)
        with pytest.raises(BadArtifact, match=r"ranges\.json"):
            run.ranges()


def test_the_shown_tables_are_read(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "guides" / "compression.md").read_text()
    shown = re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1]
    (tmp_path / "r.toml").write_text(
        'schema = 1\n[student]\nname = "wav2small"\n[distill]\nepochs = 1\n' + shown
    )
    made = load_recipe(tmp_path / "r.toml")
    assert (made.prune, made.qat) == (PruneConfig(), QatConfig())


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("[prune]\nshare = 0.99\n", r"prune.share: 0.99; expected 0.01 to 0.95"),
        ('[prune]\nkind = "rows"\n', r"prune.kind: expected one of 'channels', 'weights'"),
        ("[prune]\nepochs = 0\n", r"prune.epochs: 0"),
        ("[qat]\nlr = 2.0\n", r"qat.lr: 2; expected"),
        ("[qat]\nepoch = 2\n", r"qat.epoch: unknown key; did you mean 'epochs'"),
        ('[qat]\nweights = "int5"\n', r"qat.weights: expected one of 'int8', 'int4', got 'int5'"),
        (
            '[prune]\nkind = "weights"\n[qat]\nweights = "int4"\n',
            r"qat.weights: 'int4' does not keep the zeros .* prune 'channels'",
        ),
    ],
)
def test_wrong_tables_are_named(part, message, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('schema = 1\n[student]\nname = "wav2small"\n[distill]\nepochs = 1\n' + part)
    with pytest.raises(BadRecipe, match=message):
        load_recipe(path)
