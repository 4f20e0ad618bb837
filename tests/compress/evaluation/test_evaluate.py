"""How well predictions agree with teacher and annotators."""

from dataclasses import replace

import numpy as np
import pytest

from edgeemo.compress.data.clips import Clip, Span
from edgeemo.compress.evaluation.evaluate import (
    Predictions,
    by_group,
    evaluate,
    inter_rater_ccc,
    level_baseline,
    top_class,
)
from edgeemo.evaluation.metrics import ccc

RNG = np.random.default_rng(2)


def test_a_perfect_student_agrees_and_a_shuffled_one_does_not(rows):
    logits = np.log(rows.probs.astype(float) + 1e-9)
    found = evaluate(Predictions(rows.dimensions.astype(float), logits), rows)
    assert found["ccc"]["mean"] == pytest.approx(1) and found["mse"] == 0
    assert found["kl"] == pytest.approx(0, abs=1e-3)
    other = evaluate(Predictions(rows.dimensions[::-1].astype(float), logits[::-1]), rows)
    assert other["ccc"]["mean"] < 0.5 and other["kl"] > 0.01


def test_top_class_takes_no_side_in_a_tie():
    votes = np.array([[0, 1, 0], [0.5, 0.5, 0], [np.nan] * 3, [0.2, 0.2, 0.6]], np.float32)
    assert top_class(votes).tolist() == [1, -1, -1, 2]


def test_level_baseline_sees_the_level_alone(rows):
    level = rows.level.astype(np.float64)
    loud = rows.with_dimensions(np.stack([level, -level, RNG.normal(size=len(rows))], axis=1))
    found = level_baseline(loud, loud)
    assert found["arousal"] == pytest.approx(1, abs=1e-4)
    assert found["dominance"] == pytest.approx(1, abs=1e-4)
    assert found["valence"] < 0.3
    assert level_baseline(loud, loud, human=True) == {}


def test_human_ceiling_is_one_against_the_rest(rows, tmp_path):
    ratings = RNG.normal(size=(12, 3)) + RNG.normal(size=(12, 1))
    clips = np.empty(12, object)
    clips[:] = [
        Clip(
            f"{i}",
            "x",
            "x/1",
            Span(tmp_path),
            tags={
                f"r{r + 1}_{d}": str(ratings[i, r])
                for r in range(3)
                for d in ("arousal", "dominance", "valence")
            },
        )
        for i in range(12)
    ]
    want = np.mean([ccc(ratings[:, r], np.delete(ratings, r, axis=1).mean(1)) for r in range(3)])
    part = replace(rows.take(np.arange(12)), clips=clips)
    assert inter_rater_ccc(part) == pytest.approx(
        dict.fromkeys(("arousal", "dominance", "valence", "mean"), want)
    )
    assert inter_rater_ccc(rows) == {}


def test_groups_are_judged_apart_and_small_ones_left_out(rows):
    said = Predictions(rows.dimensions.astype(float), np.zeros((len(rows), 8)))
    found = by_group(said, rows, "corpus")
    assert {"emodb_full", "librispeech"} <= set(found)
    corpora = rows.column("corpus")
    assert all(f["clips"] == (corpora == name).sum() >= 8 for name, f in found.items())
    assert by_group(said, rows, "speaker", least=1000) == {}
