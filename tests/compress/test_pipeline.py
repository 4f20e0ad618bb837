import json
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeemo.compress.data import DataSet
from edgeemo.compress.exposure import seen_clips
from edgeemo.compress.pipeline import distill, new_student, planned_splits
from edgeemo.compress.recipes import (
    AugmentConfig,
    DataConfig,
    DistillConfig,
    HeadsConfig,
    SoundsConfig,
    StudentConfig,
)
from edgeemo.compress.run import Run, last_run, new_folder
from edgeemo.compress.students import make_student, save_student
from edgeemo.errors import BadArtifact, BadData, BadInput, BadRecipe
from edgeemo.evaluation.metrics import ccc
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


def test_a_student_of_speech_is_trained_by_one_thread(tmp_path, small, some_clips, ear):
    threads, before = {}, torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        distill(
            Run.begin(tmp_path / "run", small, {"data": None}),
            DataSet("some", some_clips),
            ear(),
            progress=lambda what, done, total: threads.update({what: torch.get_num_threads()}),
        )
        assert threads["training"] == 1 and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_finished_run_holds_what_export_needs(finished, some_clips):
    run, facts = finished
    assert run.finished and run.facts() == facts
    assert last_run(run.folder.parent).folder == run.folder
    assert facts.name == "small-one" and facts.licence == "Apache-2.0"
    assert {m.of for m in facts.metrics} >= {"arousal", "dominance", "valence"}
    assert sum(facts.clips.values()) == len(some_clips)
    assert {s.name for s in facts.data} <= {"cremad", "emodb_full", "librispeech", "thorsten"}
    assert facts.trained_on is not None and facts.trained_on.unknown == ("ear",)
    by = dict(
        zip(
            (c.speaker for c in some_clips),
            seen_clips(facts.trained_on, some_clips).by,
            strict=True,
        )
    )
    split = json.loads((run.folder / "split.json").read_text())
    assert {s for s, who in by.items() if who} == {*split["train"], *split["valid"]}
    assert all(m.test_set.endswith("it is not known what taught ear") for m in facts.metrics)
    assert facts.calibration.fitted_on and 0.25 <= facts.calibration.class_temperature <= 8


def test_people_are_in_one_part(finished):
    run, _ = finished
    split = json.loads((run.folder / "split.json").read_text())
    people = [s for part in split.values() for s in part]
    assert len(people) == len(set(people)) and all(split.values())


def test_the_parity_set_is_what_the_student_says_of_its_samples(finished, some_clips):
    run, facts = finished
    held, student = run.parity_set(), run.student()
    assert len(held.ids) == sum(facts.clips.values())  # there are fewer than a run keeps
    split = json.loads((run.folder / "split.json").read_text())
    people = {clip.id: clip.speaker for clip in some_clips}
    chosen_on, judged_by = held.dealt()
    assert {people[id] for id in judged_by.ids} == set(split["test"])
    assert {people[id] for id in chosen_on.ids}.isdisjoint(split["test"])
    # The figure that export shows is that of the run.
    shown = {m.of: m.value for m in facts.metrics if m.measure == "ccc against the teacher"}
    for i, name in enumerate(("arousal", "dominance", "valence")):
        found = ccc(judged_by.dimensions[:, i], judged_by.teacher_dimensions[:, i])
        assert found == pytest.approx(shown[name], abs=2e-3)
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


def test_without_epochs_a_trained_student_gets_new_heads_alone(tmp_path, small, some_clips, ear):
    options = {"width": 16, "pooled": 16, "hidden": 16}
    start = make_student("wav2small-stream", **options)
    save_student(start, tmp_path / "start.pt")
    recipe = replace(
        small,
        student=StudentConfig(start.name, options=options, init_from=str(tmp_path / "start.pt")),
        distill=replace(small.distill, epochs=0, pretrain=0),
        heads=HeadsConfig(hidden=16, steps=20, batch=32),
    )
    run = Run.begin(tmp_path / "run", recipe, {})
    distill(run, DataSet("some", some_clips), ear())
    before, after = start.state_dict(), run.student().state_dict()
    for name, value in before.items():
        is_head = name.startswith(("hidden.", "adv.", "classes."))
        assert torch.equal(value, after[name]) != is_head, name
    assert run.finished and run.history() == []


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


BEGIN = """
import sys, time
from pathlib import Path
from edgeemo.compress.recipes import load_recipe
from edgeemo.compress.run import Run
recipe, folder, start = load_recipe("demo"), Path(sys.argv[1]), float(sys.argv[2])
while time.time() < start:
    pass
for _ in range(20):
    print(Run.begin_next(folder, recipe, {}).folder.name)
try:
    Run.begin(folder / "same", recipe, {})
    print("same")
except Exception as error:
    print(type(error).__name__)
"""


def test_processes_that_begin_at_the_same_moment_get_folders_of_their_own(tmp_path):
    (tmp_path / "same").mkdir()  # an empty folder that the user has made
    start = str(time.time() + 3)
    found = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(tmp_path), start], stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    said = [line for p in found for line in p.communicate()[0].decode().split()]
    names = [name for name in said if name.startswith("demo-")]
    assert len(set(names)) == len(names) == 60
    assert sorted(set(said) - set(names)) == ["BadInput", "same"] and said.count("same") == 1


def test_one_process_works_on_a_run(tmp_path, small, some_clips, ear):
    run = Run.begin(tmp_path / "a", small, {})
    code = (
        "import sys; from edgeemo.compress.run import Run\n"
        "from pathlib import Path\n"
        "with Run(Path(sys.argv[1])).locked():\n    print('here', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, run.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout.readline() == b"here\n"
    with pytest.raises(BadInput, match="another process works on this run"):
        distill(run, DataSet("some", some_clips), ear())
    assert not (run.folder / "split.json").exists()
    other.kill()
    other.communicate()
    with run.locked():
        pass


@pytest.mark.parametrize(
    ("people", "each", "says"),
    [
        (1, 9, "some: 9 clips of 1 person: 1 speaker for 3 splits"),
        (2, 9, "some: 18 clips of 2 people: 2 speakers for 3 splits"),
        (6, 1, "some: 6 clips of 6 people; the split '(valid|test)' gets 1 and needs 2"),
    ],
)
def test_too_few_people_are_told_before_anything(small, some_clips, people, each, says):
    clips = [
        replace(some_clips[0], id=f"{p}-{i}", speaker=f"p{p}", group=f"p{p}")
        for p in range(people)
        for i in range(each)
    ]
    with pytest.raises(BadData, match=says):
        planned_splits(small, DataSet("some", tuple(clips)))


def test_sounds_that_cannot_be_learned_are_told_before_anything(small, some_clips):
    recipe = replace(small, sounds=SoundsConfig())
    with pytest.raises(BadData, match=r"\$\.sounds: no clip of laughter, music in the training"):
        planned_splits(recipe, DataSet("some", some_clips))
    with pytest.raises(BadRecipe, match=r"\$\.sounds: wav2small-17k does not tell sounds"):
        new_student(replace(recipe, student=StudentConfig("wav2small-17k")))


def test_a_damaged_parity_set_is_refused(finished, tmp_path):
    run, _ = finished
    other = tmp_path / "copy"
    (other / "parity").mkdir(parents=True)
    (other / "recipe.toml").write_text((run.folder / "recipe.toml").read_text())
    data = (run.folder / "parity" / "parity.npz").read_bytes()
    (other / "parity" / "parity.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadArtifact, match="parity set"):
        Run(other).parity_set()
