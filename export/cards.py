"""Cards of new models: what is the same on all of them, written once."""

from __future__ import annotations

from typing import Any

from edgeemo.artifacts.card import (
    INTENDED_USE,
    INTENDED_USE_FACE,
    MISUSE,
    NOT_VALIDATED_FOR,
    NOT_VALIDATED_FOR_FACE,
    SCHEMA,
    Card,
    Output,
    Quantization,
)
from edgeemo.compress.run import RunSummary
from edgeemo.compress.students import make_student
from edgeemo.features import FeatureSpec
from edgeemo.types import CLASSES, SOUNDS
from edgeemo.vision.images import ImageSpec

MIN_EDGEEMO = "0.1.0"
"""First version that reads what this one writes; raise it with the card's schema."""


def make_card(
    name: str,
    spec: FeatureSpec | ImageSpec,
    dimensions: tuple[str, ...],
    classes: bool = True,
    sounds: bool = False,
    **fields: Any,
) -> Card:
    """A card; writers set quantization and digest.

    Args:
        name: of the model.
        spec: what it takes, which also tells the task.
        dimensions: that it gives.
        classes: whether it gives classes too.
        sounds: whether it tells speech and sounds too.
        fields: all others of Card that have no default here: window, teachers, data, licence,
            metrics, calibration, parameters and macs_per_second, perhaps recipe.
    """
    face = isinstance(spec, ImageSpec)
    outputs = (Output("adv", dimensions), *([Output("probs", CLASSES)] if classes else []))
    outputs += (Output("sounds", ("speech", *SOUNDS)),) if sounds else ()
    return Card(
        schema=SCHEMA,
        name=name,
        task="face" if face else "speech",
        input="image" if face else "features",
        spec=spec,
        outputs=outputs,
        quantization=Quantization(),
        arena_bytes=None,
        intended_use=INTENDED_USE_FACE if face else INTENDED_USE,
        misuse=MISUSE,
        not_validated_for=NOT_VALIDATED_FOR_FACE if face else NOT_VALIDATED_FOR,
        digest="0" * 64,
        min_edgeemo=MIN_EDGEEMO,
        **fields,
    )


def card_of_run(facts: RunSummary) -> Card:
    """The card of a run's student."""
    return make_card(
        facts.name,
        facts.spec,
        make_student(facts.student, **facts.options).dimensions,
        facts.classes,
        facts.sounds,
        window=facts.window,
        teachers=facts.teachers,
        data=facts.data,
        licence=facts.licence,
        metrics=facts.metrics,
        calibration=facts.calibration,
        parameters=facts.parameters,
        macs_per_second=facts.macs_per_second,
        recipe=facts.recipe,
        attributions=facts.attributions,
        trained_on=facts.trained_on,
    )
