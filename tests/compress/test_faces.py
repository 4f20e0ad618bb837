"""Faces through the same pipeline as speech: pictures, students, losses, a run, an export."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import edgeemo
from edgeemo.cli import main
from edgeemo.compress.data import image_augment, open_dataset
from edgeemo.compress.data.fer import VOTES
from edgeemo.compress.data.intervals import centers
from edgeemo.compress.labels.labeller import Labeller
from edgeemo.compress.pipeline import distill
from edgeemo.compress.recipes import (
    SCHEMA,
    DistillConfig,
    EarlyStoppingConfig,
    ImageAugmentConfig,
    Recipe,
    StudentConfig,
    load_recipe,
)
from edgeemo.compress.run import Run
from edgeemo.compress.students import load_student, make_student
from edgeemo.compress.students.cost import macs, parameters
from edgeemo.compress.teachers import load_teacher
from edgeemo.compress.teachers.base import TeacherOutput
from edgeemo.compress.train import losses
from edgeemo.compress.train.batches import Batches
from edgeemo.errors import BadArtifact, BadRecipe
from edgeemo.export.job import export
from edgeemo.types import CLASSES
from edgeemo.vision.images import ImageSpec, normalize

STILL = ImageAugmentConfig(
    mirror_p=0,
    turn_degrees=0,
    zoom=0,
    stretch=0,
    shift=0,
    light=0,
    side=0,
    tint=0,
    blur_p=0,
    noise_p=0,
    erase_p=0,
)
SMALL = {"width": 0.25, "size": 32}


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def faces(n=4, size=24, channels=1):
    return torch.rand(n, size, size, channels, generator=generator()) * 255


class Eye:
    """A teacher that goes by how bright the picture's left and right half are."""

    name, licence, task, digest = "eye", "CC0-1.0", "face", "e" * 64

    def __init__(self):
        self.seen = 0

    def label(self, clips):
        self.seen += len(clips)
        x = (
            np.array(
                [[c[:, : c.shape[1] // 2].mean(), c[:, c.shape[1] // 2 :].mean()] for c in clips],
                np.float32,
            )
            / 255
        )
        probs = np.full((len(x), 8), 0.05, np.float32)
        probs[:, :2] += 0.6 * x / x.sum(1, keepdims=True)
        return TeacherOutput(probs=(probs / probs.sum(1, keepdims=True)).astype(np.float32))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Eighty pictures; bright on the left is happiness, on the right neutral, all with votes."""
    rng = np.random.default_rng(2)
    folder = tmp_path_factory.mktemp("faces")
    for part, count in (("train", 60), ("valid", 20)):
        rows = {name: [0] * count for name in VOTES}
        images = []
        for i in range(count):
            image = rng.integers(0, 90, (48, 48), dtype=np.uint8)
            image[:, :24] += np.uint8(120 * (i % 2))
            image[:, 24:] += np.uint8(120 * (1 - i % 2))
            images.append(cv2.imencode(".png", image)[1].tobytes())
            rows["happiness" if i % 2 else "neutral"][i] = 9
            rows["surprise"][i] = 1
        names = [f"{part}{i}.png" for i in range(count)]
        pq.write_table(
            pa.table({"name": names, "image": images, **rows}), folder / f"{part}.parquet"
        )
    return folder


@pytest.fixture(scope="module")
def recipe():
    return Recipe(
        schema=SCHEMA,
        name="tiny-face",
        task="face",
        student=StudentConfig("mobilenetv3-small-face", options=SMALL),
        distill=DistillConfig(
            epochs=3,
            batch=16,
            lr=5e-3,
            ema_decay=0.8,
            loss={"kl": 0.5, "votes": 1.0, "interval": 0.3, "class_consistency": 0.3},
        ),
        image_augment=replace(STILL, zoom=0.05),
        early_stopping=EarlyStoppingConfig("valid.accuracy"),
    )


# --- pictures


@pytest.mark.parametrize("channels", [1, 3])
def test_a_look_that_changes_nothing_gives_what_the_runtime_sees(channels):
    spec = ImageSpec(24, channels, (0.5,) * channels, (0.25,) * channels)
    x = torch.floor(faces(3, 24, channels))
    want = normalize(x.numpy().astype(np.uint8), spec)
    assert torch.equal(image_augment.normalize(x, spec), torch.from_numpy(want))
    found = image_augment.augment_images(x, spec, STILL, generator())
    assert np.allclose(found.numpy(), want, atol=2e-3)


def test_a_mirrored_face_is_mirrored():
    spec, x = ImageSpec(24), faces()
    found = image_augment.augment_images(x, spec, replace(STILL, mirror_p=1), generator())
    assert torch.allclose(found, image_augment.normalize(x.flip(2), spec), atol=2e-3)


def test_a_shift_moves_by_a_share_of_the_side():
    spec, x = ImageSpec(40), torch.zeros(64, 40, 40, 1)
    x[:, 18:22, 18:22] = 255
    found = image_augment.augment_images(x, spec, replace(STILL, shift=0.25), generator())
    light = (found[..., 0] - found.min()).double()
    at = torch.arange(40).double()
    across = (light.sum(1) * at).sum(1) / light.sum((1, 2)) - 19.5
    assert 7 < across.abs().max() < 10.5  # .25 of 40 pixels


def test_changes_are_the_generators_and_stay_in_range():
    spec, x = ImageSpec(24), faces(16)
    one, two = (
        image_augment.augment_images(x, spec, ImageAugmentConfig(), generator(5)) for _ in range(2)
    )
    assert torch.equal(one, two) and one.min() >= -2.01 and one.max() <= 2.01
    assert not torch.equal(
        one, image_augment.augment_images(x, spec, ImageAugmentConfig(), generator(6))
    )


def test_erasing_covers_part_of_each_face():
    spec, x = ImageSpec(40), torch.zeros(30, 40, 40, 1)
    found = image_augment.augment_images(
        x, spec, replace(STILL, erase_p=1, erase_share=0.3), generator()
    )
    covered = (found > -1.99).float().mean((1, 2, 3))
    assert covered[covered > 0].min() > 0 and covered.max() <= 0.36**2


# --- losses


def test_the_tie_pulls_dimensions_to_their_class_and_leaves_the_classes():
    middle = torch.tensor(centers())[:, [0, 2]]
    logits = torch.full((2, 8), -20.0, requires_grad=True)
    with torch.no_grad():
        logits[0, CLASSES.index("happiness")] = logits[1, CLASSES.index("contempt")] = 20.0
    dimensions = torch.tensor([[0.72, 0.74], [0.5, 0.5]], requires_grad=True)
    loss = losses.class_consistency_loss(dimensions, logits, middle)
    loss.backward()
    assert dimensions.grad[0].abs().max() < 1e-6 and logits.grad is None
    assert torch.isfinite(loss) and loss > 0  # contempt: the other classes speak, all alike


# --- students

COSTS = {
    # Parameters; multiply-accumulates of a 96x96 picture. By hand: the papers' layers, one channel
    # in, no wide last layer, and 10 outputs on 576, 960, 1280 and 1024 channels.
    "mobilenetv3-small-face": (926_720 + 577 * 10, 9_799_744),
    "mobilenetv4-conv-small-face": (1_261_088 + 961 * 10, 32_385_984),
    "efficientnet-lite0-face": (3_370_432 + 1281 * 10, 69_199_328),
    "mobilenetv1-face": (3_206_400 + 1025 * 10, 102_957_568),
}


@pytest.mark.parametrize("name", COSTS)
def test_parameters_and_work_are_pinned(name):
    made = make_student(name)
    assert (parameters(made), macs(made)) == COSTS[name]
    assert made.dimensions == ("arousal", "valence") and made.spec.channels == 1
    said = made.eval()(torch.zeros(2, 96, 96, 1))
    assert said.dimensions.shape == (2, 2) and said.logits.shape == (2, 8)


def test_the_shipped_form_fits_in_a_megabyte():
    made = make_student("efficientnet-lite0-face", blocks=11, wide=512, size=80)
    assert (parameters(made), macs(made)) == (763_690, 31_546_320)


def published(student):
    """The weights of a grey student as the package of the ImageNet weights would hold them."""
    state, found = student.state_dict(), {}
    last = len(student.layers) - 1
    for key, value in state.items():
        if not key.startswith("layers."):
            continue
        _, layer, *rest = key.split(".")
        if layer in ("0", str(last)):
            conv, norm = ("_conv_stem", "_bn0") if layer == "0" else ("_conv_head", "_bn1")
        else:
            i, parts = (
                int(layer) - 1,
                [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")],
            )
            conv, norm = (f"_blocks.{i}.{n}" for n in (parts if i else parts[1:])[int(rest[1])])
            rest = rest[2:]
        found[f"{conv if rest[0] == 'conv' else norm}.{rest[1]}"] = value
    # Colour there: three kernels that add up; twice ours, because ours is twice the picture.
    stem = found["_conv_stem.weight"]
    found["_conv_stem.weight"] = 2 * torch.cat([0.5 * stem, 0.2 * stem, 0.3 * stem], 1)
    return found


def test_published_weights_become_a_start(tmp_path):
    torch.manual_seed(4)
    source = make_student("efficientnet-lite0-face", blocks=4, wide=32, size=32).eval()
    path = tmp_path / "published.pth"
    torch.save(published(source), path)
    from edgeemo.compress.train.pretrained import load_pretrained

    other = make_student("efficientnet-lite0-face", blocks=4, wide=32, size=32).eval()
    load_pretrained(other, path)
    x = torch.randn(2, 32, 32, 1)
    assert torch.allclose(other(x).embedding, source(x).embedding, atol=1e-5)
    with pytest.raises(BadArtifact, match="mobilenetv3-small-face"):
        load_pretrained(make_student("mobilenetv3-small-face", **SMALL), path)
    (tmp_path / "noise.pt").write_bytes(b"noise")
    with pytest.raises(BadArtifact, match=r"noise\.pt"):
        load_pretrained(other, tmp_path / "noise.pt")


# --- rows


def test_rows_are_what_the_runtime_would_cut_and_are_labelled_once(table, recipe, tmp_path):
    eye, clips = Eye(), open_dataset(table).clips[:20]
    spec = make_student("mobilenetv3-small-face", **SMALL).spec
    rows = Labeller(eye, spec, recipe, tmp_path).label(clips)
    seen = eye.seen
    again = Labeller(eye, spec, recipe, tmp_path).label(clips)
    assert eye.seen == seen and np.array_equal(again.probs, rows.probs)
    batch = Batches(rows).batch(torch.arange(20))
    from edgeemo.vision.images import preprocess

    want = preprocess(clips[3].image(), None, spec)
    assert batch.features.shape == (20, 32, 32, 1)
    assert np.array_equal(batch.features[3].numpy(), want[0])
    assert np.isnan(rows.dimensions).all() and np.isnan(rows.level).all()
    assert rows.votes[0].sum() == pytest.approx(1)


def test_mixing_mixes_what_was_said_too(table, recipe, tmp_path):
    spec = make_student("mobilenetv3-small-face", **SMALL).spec
    rows = Labeller(Eye(), spec, recipe, tmp_path).label(open_dataset(table).clips[:8])
    plain = Batches(rows).batch(torch.arange(8))
    mixed = Batches(rows).batch(torch.arange(8), replace(STILL, mixup_p=1.0), generator())
    share = float(torch.rand(2, generator=_after(STILL, 8))[1]) / 2
    assert 0 < share < 0.5
    assert torch.allclose(mixed.votes, torch.lerp(plain.votes, plain.votes.flip(0), share))
    assert torch.allclose(mixed.votes.sum(1), torch.ones(8)) and mixed.intervals.isnan().all()


def _after(look, n):
    """A generator that has drawn all that the changes of n pictures take."""
    made = generator()
    image_augment.augment_images(torch.zeros(n, 32, 32, 1), ImageSpec(32), look, made)
    return made


# --- whole runs


@pytest.fixture(scope="module")
def run(table, recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny-face-001"
    made = Run.begin(folder, recipe, {})
    distill(made, open_dataset(table), Eye())
    return made


def test_a_run_of_faces_finishes_and_tells_what_it_is(run):
    facts = run.facts()
    assert facts.task == "face" and facts.window.min_seconds == 0
    assert facts.clips["test"] == 20 and facts.clips["train"] + facts.clips["valid"] == 60
    assert {m.measure for m in facts.metrics} >= {"accuracy on the class most voted for"}
    assert facts.macs_per_second == macs(run.student())
    assert "confidence" not in facts.licence and "Apache" not in facts.data[0].licence
    history = run.history()
    assert history[-1]["train"]["class_consistency"] > 0 and "accuracy" in history[-1]["valid"]
    report = run.report.read_text(encoding="utf-8")
    assert ">nan<" not in report and "votes; predicted" in report


def test_a_run_of_faces_is_exported_and_used(run, table):
    (result,) = export(run.folder)
    session = edgeemo.load(str(result.path))
    assert session.card.task == "face" and session.card.input == "image"
    clip = open_dataset(table).clips[0]
    found = session.predict(clip.image())
    assert found.dominance is None and 0 <= found.valence <= 1
    assert sum(found.classes.values()) == pytest.approx(1, abs=1e-5)
    student = load_student(run.folder / "student.pt")
    from edgeemo.vision.images import preprocess

    with torch.inference_mode():
        said = student(torch.from_numpy(preprocess(clip.image(), None, student.spec)))
    assert found.arousal == pytest.approx(float(said.dimensions[0, 0].clamp(0, 1)), abs=1e-4)


def test_a_recipe_of_speech_does_not_take_faces(table, recipe, tmp_path):
    with pytest.raises(BadRecipe, match="is for face, the teacher 'builtin' for speech"):
        distill(Run.begin(tmp_path / "a", recipe, {}), open_dataset(table), load_teacher("builtin"))
    speech = replace(recipe, task="speech")
    with pytest.raises(BadRecipe, match="is for speech, the data"):
        distill(Run.begin(tmp_path / "b", speech, {}), open_dataset(table), Eye())


def test_the_command_refuses_what_does_not_fit(table, capsys):
    assert main(["distill", "--task", "face"]) == 2
    assert "no faces are shipped" in capsys.readouterr().err
    assert main(["distill", "--task", "speech", "--recipe", "mobilenetv3-small-face"]) == 2
    assert "is for face" in capsys.readouterr().err


def test_the_command_distils_faces(table, tmp_path, capsys):
    text = (
        'schema = 2\ntask = "face"\n[teacher]\nname = "none-face"\n[student]\n'
        'name = "mobilenetv3-small-face"\noptions = { width = 0.25, size = 32 }\n'
        "[distill]\nepochs = 1\nbatch = 16\nloss = { votes = 1.0 }\n"
        '[early_stopping]\nmetric = "valid.accuracy"\n'
    )
    (tmp_path / "tiny.toml").write_text(text, encoding="utf-8")
    out = tmp_path / "run"
    assert (
        main(
            [
                "distill",
                "--recipe",
                str(tmp_path / "tiny.toml"),
                "--task",
                "face",
                "--data",
                str(table),
                "--out",
                str(out),
                "--json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["task"] == "face"


@pytest.mark.parametrize(
    "name",
    [
        "face-teacher",
        "face-teacher-identity",
        "efficientnet-lite0-face",
        "mobilenetv3-small-face",
        "mobilenetv4-conv-small-face",
    ],
)
def test_shipped_recipes_of_faces_name_students_of_faces(name):
    recipe = load_recipe(name)
    made = make_student(recipe.student.name, **recipe.student.options)
    assert recipe.task == "face" and isinstance(made.spec, ImageSpec)
