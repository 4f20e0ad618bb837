"""The card of a model: what it is, what its outputs mean, and what it may be used for.

A card lives inside every artifact as JSON, so that a file which is passed on keeps its licence,
its order of outputs and its limits. Reading is strict: an unknown key is refused with its path.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from edgeemo.artifacts.confidence import Confidence
from edgeemo.artifacts.trained_on import TrainedOn
from edgeemo.errors import BadArtifact, BadInput, printable
from edgeemo.features import FeatureSpec
from edgeemo.io import schema
from edgeemo.io.loading import parse_json
from edgeemo.types import CLASSES
from edgeemo.vision.images import ImageSpec

SCHEMA = 1
"""Version of the card's layout that this edgeemo writes and reads."""

MAX_BYTES = 64 * 1024
"""Largest card that is read, in bytes of JSON; a real one has some 4 KB."""

_MOST = 1e6  # of any figure on a card

MISUSE = (
    "Not for judging people: no hiring, no policing, no grading, no lie detection, no diagnosis. "
    "In the European Union inferring emotions at work and in schools is forbidden, "
    "save for medical and safety reasons (Regulation 2024/1689, article 5)."
)
INTENDED_USE = (
    "Estimates how annotators would perceive a stretch of speech, on the device where it is "
    "heard, for research and for interfaces that serve the person who speaks. "
    "It is not what a person feels."
)
INTENDED_USE_FACE = (
    "Estimates how annotators would perceive the expression of a face, on the device that sees it, "
    "for research and for interfaces that serve the person who is seen. "
    "It is not what a person feels."
)
NOT_VALIDATED_FOR = ("autistic people", "children", "people with speech differences")
NOT_VALIDATED_FOR_FACE = ("autistic people", "children", "people with facial differences or palsy")


@dataclass(frozen=True)
class Output:
    """One output tensor.

    Attributes:
        name: name of the tensor in the file.
        labels: what each value means, in order.
        low: smallest value that makes sense (estimates are clipped to it).
        high: largest value that makes sense.
    """

    name: str
    labels: tuple[str, ...]
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class ReceptiveField:
    """How much speech the model looks at.

    Attributes:
        receptive_seconds: span of sound that one token of the model sees.
        min_seconds: shortest clip that gives an estimate; shorter ones are refused.
    """

    receptive_seconds: float
    min_seconds: float


@dataclass(frozen=True)
class Quantization:
    """How numbers are stored.

    Attributes:
        kind: "none" (float32) or "int8" (8-bit activations and weights).
        rule: how activation ranges were chosen, for example "minmax"; empty for float.
        weight_bits: bits that weights use; 7 of 8 for ONNX, so that x86 processors without VNNI
            do not saturate; 4 where convolutions across channels have so few, and the rest 8.
        float_layers: what was left in float because parity asked for it.
    """

    kind: Literal["none", "int8"] = "none"
    rule: str = ""
    weight_bits: int = 32
    float_layers: tuple[str, ...] = ()

    @property
    def precision(self) -> str:
        """For people: "float", "int8" or, with weights of four bits, "int4"."""
        if self.kind == "none":
            return "float"
        return "int4" if self.weight_bits == 4 else "int8"


@dataclass(frozen=True)
class Source:
    """A teacher or a corpus that went into the weights, with its licence."""

    name: str
    licence: str


@dataclass(frozen=True)
class Metric:
    """One measured figure.

    Attributes:
        test_set: what it was measured on; say how speakers were kept apart.
        measure: for example "ccc".
        of: the output it is about, for example "valence", or "classes".
        value: the figure.
        spread: standard deviation over folds or seeds, or None.
        human_ceiling: what one annotator reaches against the others, or None where unknown.
        baseline: what the mean level of the sound alone reaches, or None.
        command: the command that makes the figure again.
    """

    test_set: str
    measure: str
    of: str
    value: float
    spread: float | None = None
    human_ceiling: float | None = None
    baseline: float | None = None
    command: str = ""


@dataclass(frozen=True)
class Calibration:
    """How confidence was calibrated.

    Attributes:
        class_temperature: what the class logits were divided by before the softmax (it is
            inside the file already).
        fitted_on: the labels it was fitted on; empty if it was left at 1.
        confidence: what an estimate's confidence is, and how it is computed; None in files for
            which nothing was fitted, where it is the probability of the likeliest class.
        class_prior: shares of the classes, in the order of the output, for which the probabilities
            hold. Where classes have other shares, multiply by those over these, and divide by the
            sum. Empty where it is not known.
    """

    class_temperature: float = 1.0
    fitted_on: str = ""
    confidence: Confidence | None = None
    class_prior: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            BadArtifact: shares of a number of classes that no model has, or that are none.
        """
        shares = self.class_prior
        fits = all(0 < share <= 1 for share in shares) and abs(sum(shares) - 1) < 1e-3
        if shares and (len(shares) != len(CLASSES) or not fits):
            raise BadArtifact(
                f"$.calibration.class_prior: {len(shares)} shares that sum to {sum(shares):g}; "
                f"expected {len(CLASSES)} above 0 that sum to 1, or none"
            )


@dataclass(frozen=True)
class Card:
    """All that a user must know about a model, and all that the runtime must check.

    Attributes:
        schema: version of this layout.
        name: short name, lower case, digits and hyphens.
        task: "speech" or "face".
        input: "features" (log-mel frames of `spec`, [1, frames, bands]) or "samples"
            (sound at `spec.sample_rate`, [1, samples], -1..1); for a face "image"
            ([1, size, size, channels], as `edgeemo.vision.images.preprocess` gives it).
        spec: the front end that the model was trained on: FeatureSpec or, for a face, ImageSpec.
        window: span and shortest clip, in seconds; both 0 for a face.
        outputs: output tensors in order.
        quantization: how numbers are stored.
        teachers: whose outputs the model learned.
        data: corpora that were used, with licences.
        licence: licence of the weights.
        metrics: measured figures.
        calibration: of the class probabilities.
        parameters: trained numbers.
        macs_per_second: multiply-accumulates for one second of sound, without the front end; for a
            face, of one picture.
        arena_bytes: working memory on a microcontroller, or None where not measured.
        intended_use: in plain words.
        misuse: in plain words.
        not_validated_for: groups for which nothing was measured.
        digest: sha256 (hex) of the file's content without the card; see the writer.
        min_edgeemo: first version of edgeemo that reads the file.
        hop: frames of one call, for a causal model whose file is one step with its states
            outside; 0 for a file that takes whole clips.
        recipe: sha256 (hex) of the recipe file that the model was made by; for a shipped model of
            its provenance, which names the recipes of all rounds. Empty where it is not known.
        attributions: who must be named with the model, a text for each source that asks for it.
        trained_on: which speakers and clips taught the model and its teachers; None where that is
            not known.
        embedding: length of the vector that `Session.embed` gives; 0 for a file that gives none.
    """

    schema: int
    name: str
    task: Literal["speech", "face"]
    input: Literal["features", "samples", "image"]
    spec: FeatureSpec | ImageSpec
    window: ReceptiveField
    outputs: tuple[Output, ...]
    quantization: Quantization
    teachers: tuple[Source, ...]
    data: tuple[Source, ...]
    licence: str
    metrics: tuple[Metric, ...]
    calibration: Calibration
    parameters: int
    macs_per_second: int
    arena_bytes: int | None
    intended_use: str
    misuse: str
    not_validated_for: tuple[str, ...]
    digest: str
    min_edgeemo: str
    hop: int = 0
    recipe: str = ""
    attributions: tuple[str, ...] = ()
    trained_on: TrainedOn | None = None
    embedding: int = 0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            BadArtifact: a value is out of range; the message has its path.
        """
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,63}", self.name):
            raise BadArtifact(
                f"$.name: expected lower case letters, digits, dots and hyphens, got {self.name!r}"
            )
        if not re.fullmatch(r"[0-9a-f]{64}", self.digest):
            raise BadArtifact(f"$.digest: expected 64 hex digits, got {self.digest!r:.80}")
        if not re.fullmatch(r"([0-9a-f]{64})?", self.recipe):
            raise BadArtifact(
                f"$.recipe: expected 64 hex digits or nothing, got {self.recipe!r:.80}"
            )
        if not re.fullmatch(r"\d{1,4}\.\d{1,4}(\.\d{1,4})?", self.min_edgeemo):
            raise BadArtifact(f"$.min_edgeemo: expected 1.2.3, got {self.min_edgeemo!r:.40}")
        for path, value, low, high in (
            ("window.receptive_seconds", self.window.receptive_seconds, 0, 3600),
            ("window.min_seconds", self.window.min_seconds, 0, 3600),
            ("calibration.class_temperature", self.calibration.class_temperature, 1e-3, 1e3),
            ("parameters", self.parameters, 0, 1e12),
            ("macs_per_second", self.macs_per_second, 0, 1e15),
            ("hop", self.hop, 0, 10_000),
            ("embedding", self.embedding, 0, 1e6),
        ):
            if not low <= value <= high:
                raise BadArtifact(f"$.{path}: expected {low:g} to {high:g}, got {value:g}")
        if (self.task == "face", self.task == "face") != (
            isinstance(self.spec, ImageSpec),
            self.input == "image",
        ):
            raise BadArtifact(
                f"$.task: {self.task!r} does not go with input {self.input!r} and "
                f"a spec of {type(self.spec).__name__}"
            )
        _check_outputs(self.outputs)
        for metric in self.metrics:
            for figure in (metric.value, metric.spread, metric.human_ceiling, metric.baseline):
                if figure is not None and abs(figure) > _MOST:
                    raise BadArtifact(
                        f"$.metrics: a figure of {figure:g}; at most {_MOST:g} is one"
                    )

    @property
    def features(self) -> FeatureSpec:
        """The spec of a model of speech.

        Raises:
            BadInput: this is a model of faces.
        """
        if not isinstance(self.spec, FeatureSpec):
            raise BadInput(f"{self.name} looks at faces; this needs a model of speech")
        return self.spec

    @property
    def image(self) -> ImageSpec:
        """The spec of a model of faces.

        Raises:
            BadInput: this is a model of speech.
        """
        if not isinstance(self.spec, ImageSpec):
            raise BadInput(f"{self.name} listens to speech; this needs a model of faces")
        return self.spec

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of the input; None stands for any number of frames or samples."""
        if isinstance(self.spec, ImageSpec):
            return (1, self.spec.size, self.spec.size, self.spec.channels)
        return (1, None) if self.input == "samples" else (1, None, self.spec.bands)

    @property
    def work(self) -> str:
        """Multiply-accumulates in words, for example "4.82 M MAC a second of sound"."""
        each = "face" if self.task == "face" else "second of sound"
        return f"{self.macs_per_second / 1e6:.2f} M MAC a {each}"

    def output(self, name: str) -> Output | None:
        """The output of that name, or None if the model does not give it."""
        return next((o for o in self.outputs if o.name == name), None)

    def labels(self, name: str) -> tuple[str, ...]:
        """The labels of the output of that name; none if the model does not give it."""
        found = self.output(name)
        return () if found is None else found.labels


_MOST_LABEL = 64  # characters; a line of the terminal shows several


def _check_outputs(outputs: tuple[Output, ...]) -> None:
    names = [o.name for o in outputs]
    if not names or len(set(names)) != len(names):
        raise BadArtifact(f"$.outputs: expected one or more different names, got {names}")
    for i, output in enumerate(outputs):
        if not output.labels or len(set(output.labels)) != len(output.labels):
            raise BadArtifact(f"$.outputs[{i}].labels: expected one or more different labels")
        if any(not label.strip() or len(label) > _MOST_LABEL for label in output.labels):
            raise BadArtifact(
                f"$.outputs[{i}].labels: expected 1 to {_MOST_LABEL} characters, not all blank"
            )
        if not -_MOST <= output.low < output.high <= _MOST:
            raise BadArtifact(
                f"$.outputs[{i}]: low must be under high, both at most {_MOST:g} in size, "
                f"got {output.low:g} and {output.high:g}"
            )


def to_json(card: Card) -> str:
    """One line of JSON: sorted keys, so that the same card gives the same bytes.

    What is not known has no key: a card must stay small in a file of 100 KB.
    """
    plain = schema.write(card, brief=True)
    return json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str | bytes, where: str = "card") -> Card:
    """Read a card.

    Args:
        text: JSON as `to_json` writes it, at most MAX_BYTES.
        where: name of the file, for messages.

    Returns:
        The card, checked.

    Raises:
        BadArtifact: not JSON, too large, another schema, an unknown, missing or wrong key (with
            its path), or a file that asks for a newer edgeemo.
    """
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_BYTES:
        raise BadArtifact(f"{where}: the card has {len(raw)} bytes; at most {MAX_BYTES} are read")
    value = parse_json(raw, BadArtifact, f"{where}: the card")
    # The schema's number comes first: a newer card may have keys that we cannot judge.
    version = value.get("schema") if isinstance(value, dict) else None
    if version != SCHEMA or isinstance(version, bool):
        raise BadArtifact(
            f"{where}: the card says schema {printable(repr(version), 20)}, "
            f"this edgeemo reads {SCHEMA}; update edgeemo"
        )
    try:
        card = schema.read(Card, value, BadArtifact)
    except (BadArtifact, BadInput) as error:
        raise BadArtifact(f"{where}: card: {error}") from None
    _check_version(card, where)
    return card


def _check_version(card: Card, where: str) -> None:
    from edgeemo import __version__ as ours

    def number(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", text)[:3])

    if number(card.min_edgeemo) > number(ours):
        needs = f"needs edgeemo {card.min_edgeemo} or later"
        raise BadArtifact(f"{where}: {needs}, this is {ours}; update edgeemo")
