"""A run's own confidence: fitted on new people, in the run, the report and every file."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeemo
from edgeemo.artifacts.confidence import describe
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.compress.data import DataSet, shipped_speech
from edgeemo.compress.evaluation.confidence import MIN_CLIPS, degrade, learn_confidence, music
from edgeemo.compress.pipeline import distill
from edgeemo.compress.recipes import AugmentConfig, DataConfig, DistillConfig
from edgeemo.compress.run import Run, RunSummary
from edgeemo.export.job import export
from edgeemo.export.parity import Tolerances
from edgeemo.export.tflite_writer import with_card

GOLDEN = Path(__file__).parents[2] / "golden" / "stream-int8.tflite"
Finished = tuple[Run, RunSummary]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, recipe: Any, ear: Any) -> Finished:
    """A run with some 150 clips of 40 people in its valid part, which a teacher has labelled."""
    small = replace(
        recipe,
        name="sure",
        augment=AugmentConfig(copies=1),
        data=DataConfig(valid=0.6, test=0.1),
        distill=DistillConfig(
            epochs=6,
            pretrain=1,
            batch=16,
            lr=2e-2,
            ema_decay=0.8,
            loss={"ccc": 1, "mse": 1, "kl": 0.3},
        ),
    )
    run = Run.begin(tmp_path_factory.mktemp("runs") / "one", small, {})
    return run, distill(run, DataSet("shipped", shipped_speech().clips), ear())


def test_a_run_says_what_its_confidence_is(finished: Finished) -> None:
    run, facts = finished
    made = facts.calibration.confidence
    assert made is not None and run.facts() == facts
    assert "within 0.15 of the teacher's estimate for the clip as it was recorded" in made.meaning
    assert "80 sounds that are not speech" in made.fitted_on
    assert 0.05 < made.share < 0.95
    # One that never moves from the share would be calibrated too; no worse than what 150 allow.
    assert made.calibration_error < 0.15
    report = run.report.read_text()
    assert escape(made.meaning) in report and "share of near estimates" in report


def test_it_goes_into_the_file_and_falls_off_speech(finished: Finished, tmp_path: Path) -> None:
    run, facts = finished
    # Its labels are those of a random map: how well a file agrees with them is not the matter.
    loose = Tolerances(ccc=0.0)
    files = export(run.folder, out=tmp_path / "a", limits=loose)
    (again,) = export(run.folder, out=tmp_path / "b", limits=loose)
    assert again.path.read_bytes() == files[0].path.read_bytes()
    files += export(run.folder, waveform=True, out=tmp_path / "c", limits=loose)
    speech = [clip.samples() for clip in shipped_speech().clips[::30]]
    rng = np.random.default_rng(9)
    far = [degrade(x, rng)[1] for x in speech]
    tunes = [music(48000, rng) * np.float32(0.2) for _ in range(4)]
    found = []
    for made in files:
        session = edgeemo.load(made.path)
        assert session.card.calibration.confidence == facts.calibration.confidence
        found.append([session.predict(x, gate=None).confidence for x in speech + far + tunes])
    for other in found[1:]:
        assert np.allclose(found[0], other, atol=0.01)
    n = len(speech)
    clean, distant, played = (np.mean(found[0][i : i + n]) for i in (0, n, 2 * n))
    assert clean > distant and clean > 2 * played


def test_a_tflite_file_has_it_too(finished: Finished, tmp_path: Path) -> None:
    _, facts = finished
    golden = read_tflite(GOLDEN)
    card = replace(golden.card, calibration=facts.calibration)
    path = tmp_path / "made.tflite"
    path.write_bytes(with_card(golden.model, card))
    assert path.read_bytes() == with_card(golden.model, card)
    session = edgeemo.load(path, "c")
    made = session.card.calibration.confidence
    assert made is not None and made == facts.calibration.confidence
    values = session.model_input(shipped_speech().clips[0].samples())
    outputs = session.backend.run(values)
    found = made.probability(describe(outputs, values[0]))
    assert session.aggregate([(outputs, values)]).confidence == found
    assert found != max(outputs["probs"][0])


def test_too_few_clips_or_people_have_none(finished: Finished, rows: Any) -> None:
    run, _ = finished
    student = run.student()
    clean = rows.take(rows.copy == 0)
    assert len(clean) < MIN_CLIPS
    assert learn_confidence(student, clean, 1.0, 4.0, 0) is None
    of_one = rows.take(np.zeros(MIN_CLIPS, int))
    assert learn_confidence(student, of_one, 1.0, 4.0, 0) is None
