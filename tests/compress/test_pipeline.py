import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeemo.artifacts.card import Source
from edgeemo.compress.data import DataSet
from edgeemo.compress.pipeline import distill
from edgeemo.compress.recipes import AugmentConfig, DataConfig, DistillConfig
from edgeemo.compress.run import Run, last_run, new_folder, weights_licence
from edgeemo.errors import BadArtifact, BadData, BadInput
from edgeemo.features import log_mel


@pytest.fixture(scope="module")
def small(recipe):
    part = DistillConfig(
        epochs=3,
        pretrain=1,
        batch=16,
        lr=2e-2,
        ema_decay=0.8,
        loss={"ccc": 1, "mse": 1, "kl": 0.3, "votes": 0.2},
    )
    return replace(
        recipe,
        name="Small one",
        distill=part,
        augment=AugmentConfig(copies=2),
        data=DataConfig(valid=0.4, test=0.2),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small, some_clips, ear):
    folder = tmp_path_factory.mktemp("runs") / "one"
    run = Run.begin(folder, small, {"data": None})
    facts = distill(run, DataSet("some", some_clips), ear())
    return run, facts


def test_a_finished_run_holds_what_export_needs(finished, some_clips):
    run, facts = finished
    assert run.finished and run.facts() == facts
    assert last_run(run.folder.parent).folder == run.folder
    assert facts.name == "small-one" and facts.licence == "Apache-2.0"
    assert {m.of for m in facts.metrics} >= {"arousal", "dominance", "valence"}
    assert sum(facts.clips.values()) == len(some_clips)
    assert {s.name for s in facts.data} <= {"cremad", "emodb_full", "librispeech", "thorsten"}
    assert facts.calibration.fitted_on and 0.25 <= facts.calibration.class_temperature <= 8


def test_people_are_in_one_part(finished):
    run, _ = finished
    split = json.loads((run.folder / "split.json").read_text())
    people = [s for part in split.values() for s in part]
    assert len(people) == len(set(people)) and all(split.values())


def test_the_parity_set_is_what_the_student_says_of_its_samples(finished):
    run, facts = finished
    held, student = run.held(), run.student()
    assert len(held.ids) == facts.clips["test"] + facts.clips["valid"]
    for i in range(0, len(held.ids), 4):
        assert np.array_equal(log_mel(held.samples[i]), held.features[i])
        with torch.inference_mode():
            said = student(torch.from_numpy(held.features[i])[None])
        assert np.allclose(said.dimensions[0], held.dimensions[i], atol=1e-6)
        probs = (said.logits[0] / facts.calibration.class_temperature).softmax(0)
        assert np.allclose(probs, held.probs[i], atol=1e-5)
    assert np.isfinite(held.teacher_dimensions).all()


def test_the_report_stands_alone_and_says_what_it_must(finished):
    run, facts = finished
    text = run.report.read_text()
    assert not re.search(r"<script|src=|href=|@import|url\(", text)
    for word in ("hiring", "Not validated for", "mean level alone", "ear", "CC0", "epochs = 3"):
        assert word in text, word
    plots = re.findall(r"<svg.*?</svg>", text, re.S)
    assert len(plots) >= 6
    for plot in plots:
        ET.fromstring(plot)
    scatter = next(p for p in plots if "arousal, teacher" in p)
    assert scatter.count("<circle") == facts.clips["test"]


def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    finished, tmp_path, small, some_clips, ear
):
    data = DataSet("some", some_clips)

    def stop(what, done, total):
        if what == "training" and done > total / 2:
            raise KeyboardInterrupt

    run = Run.begin(tmp_path / "cut", small, {})
    with pytest.raises(KeyboardInterrupt):
        distill(run, data, ear(), progress=stop)
    assert not run.finished
    with pytest.raises(BadArtifact, match="--resume"):
        run.facts()
    teacher = ear()
    facts = distill(run, data, teacher)
    assert teacher.heard == 0  # all labels were kept
    whole, known = finished
    assert facts == known
    for name in ("metrics.jsonl", "report.html"):
        assert (run.folder / name).read_text() == (whole.folder / name).read_text()


def test_a_run_refuses_other_data_and_a_folder_in_use(tmp_path, small, some_clips, ear):
    run = Run.begin(tmp_path / "a", small, {})
    (run.folder / "split.json").write_text('{"train": [], "valid": [], "test": []}')
    with pytest.raises(BadData, match="other speakers"):
        distill(run, DataSet("some", some_clips), ear())
    with pytest.raises(BadInput, match="not empty"):
        Run.begin(tmp_path / "a", small, {})
    with pytest.raises(BadInput, match="not a run"):
        Run(tmp_path)
    with pytest.raises(BadInput, match="no finished run"):
        last_run(tmp_path)
    for name in ("../../etc", "..", ""):
        (tmp_path / "last").write_text(name)
        with pytest.raises(BadInput, match="name of a folder"):
            last_run(tmp_path)
    assert new_folder("a", tmp_path).name == "a-001"


def test_a_damaged_parity_set_is_refused(finished, tmp_path):
    run, _ = finished
    other = tmp_path / "copy"
    (other / "parity").mkdir(parents=True)
    (other / "recipe.toml").write_text((run.folder / "recipe.toml").read_text())
    data = (run.folder / "parity" / "parity.npz").read_bytes()
    (other / "parity" / "parity.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadArtifact, match="parity set"):
        Run(other).held()


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("CC0 1.0", True),
        ("CC BY 4.0", True),
        ("ODbL 1.0 and DbCL 1.0", True),
        ("CC BY-NC-SA 4.0", False),
        ("research use; no licence stated", False),
        ("not stated", False),
        ("MIT by its card; the WavLM weights it starts from: not settled", False),
        ("OpenRAIL; its card says no commercial use", False),
    ],
)
def test_weights_are_free_only_if_all_that_taught_them_is(licence, free):
    found = weights_licence((Source("a", "CC0 1.0"), Source("b", licence)), ())
    assert (found == "Apache-2.0") == free
    assert free or f"b: {licence}" in found
