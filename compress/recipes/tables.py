"""What a recipe says: its tables, with ranges and defaults. Read and written by recipe_file.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from edgeemo.errors import BadRecipe

SCHEMA = 1

LOSSES = (
    "ccc",
    "mse",
    "human",
    "spread",
    "kl",
    "votes",
    "interval",
    "tie",
    "pair",
    "embedding",
    "tokens",
)
"""Names that a table of loss weights may hold; what is not named weighs 0."""


@dataclass(frozen=True)
class DataPart:
    """What is heard or seen.

    Attributes:
        clip_seconds: longer clips are cut, shorter ones are masked.
        valid: share of the speakers that chooses the checkpoint.
        test: share of the speakers that nothing is chosen on; not asked where the makers of a
            corpus of faces put some of it aside.
    """

    clip_seconds: float = 4.0
    valid: float = 0.15
    test: float = 0.15

    def __post_init__(self) -> None:
        _between("data.clip_seconds", self.clip_seconds, 0.2, 60)
        _between("data.valid", self.valid, 0.01, 0.8)
        _between("data.test", self.test, 0, 0.8)
        _between("data.valid + data.test", self.valid + self.test, 0, 0.9)


@dataclass(frozen=True)
class TeacherPart:
    """Who labels.

    Attributes:
        name: a name, path or TOML that load_teacher knows.
        tokens_per_second: the teacher's tokens are averaged down to at most this rate before they
            are kept, because at 50 a second they fill the disk; 0 keeps none.
    """

    name: str = "builtin"
    tokens_per_second: float = 12.5

    def __post_init__(self) -> None:
        _between("teacher.tokens_per_second", self.tokens_per_second, 0, 1000)


@dataclass(frozen=True)
class AugmentPart:
    """How copies of a clip are changed before the teacher hears them. Each `*_p` is a probability.

    Attributes:
        copies: copies of each training clip; copy 0 is the clip as it is.
        gain_db: largest change of level, up or down.
        mixup_p: mix with another clip; mixup_share: its largest share.
        noise_p: add noise; snr_db: smallest and largest ratio.
        babble_p: of the noise, the share that is another clip.
        reverb_p: put the voice into a room; rt60: shortest and longest decay, seconds.
        band_p: cut the band; low_hz, high_hz: ranges of the two edges.
        speed_p: play faster or slower (pitch goes along); speed: range of the factor.
    """

    copies: int = 1
    gain_db: float = 6.0
    mixup_p: float = 0.2
    mixup_share: float = 0.5
    noise_p: float = 0.4
    snr_db: tuple[float, float] = (0.0, 30.0)
    babble_p: float = 0.3
    reverb_p: float = 0.3
    rt60: tuple[float, float] = (0.15, 0.8)
    band_p: float = 0.2
    low_hz: tuple[float, float] = (50.0, 400.0)
    high_hz: tuple[float, float] = (3000.0, 7500.0)
    speed_p: float = 0.3
    speed: tuple[float, float] = (0.9, 1.1)

    def __post_init__(self) -> None:
        _between("augment.copies", self.copies, 1, 1000)
        _between("augment.gain_db", self.gain_db, 0, 40)
        for name in ("mixup_p", "mixup_share", "noise_p", "babble_p", "reverb_p", "band_p",
                     "speed_p"):  # fmt: skip
            _between(f"augment.{name}", getattr(self, name), 0, 1)
        _range("augment.snr_db", self.snr_db, -20, 80)
        _range("augment.rt60", self.rt60, 0.05, 5)
        _range("augment.low_hz", self.low_hz, 10, 4000)
        _range("augment.high_hz", self.high_hz, 500, 7990)
        _range("augment.speed", self.speed, 0.5, 2)


@dataclass(frozen=True)
class LookPart:
    """Changes of pictures of faces at each step. Each `*_p` is a probability; 0 changes nothing.

    Attributes:
        mirror_p: left and right change places.
        turn_degrees: largest turn, either way.
        zoom: largest change of size, as a share.
        stretch: largest change of width against height, as a share.
        shift: largest move, as a share of the side.
        light: largest change of exposure and contrast (natural log) and, a third of it, brightness.
        side: largest light from one side, as a share of white.
        tint: largest change of each colour against the others (natural log), with 3 channels.
        blur_p, noise_p: blur over 3 pixels; noise of up to 5 % of white.
        erase_p, erase_share: a grey rectangle, and its longest side as a share of the picture's.
        mixup_p: pictures of a batch are mixed in pairs, and what people and teacher said of them.
    """

    mirror_p: float = 0.5
    turn_degrees: float = 12.0
    zoom: float = 0.12
    stretch: float = 0.06
    shift: float = 0.06
    light: float = 0.3
    side: float = 0.2
    tint: float = 0.15
    blur_p: float = 0.15
    noise_p: float = 0.2
    erase_p: float = 0.25
    erase_share: float = 0.35
    mixup_p: float = 0.0

    def __post_init__(self) -> None:
        for name in ("mirror_p", "blur_p", "noise_p", "erase_p", "mixup_p"):
            _between(f"look.{name}", getattr(self, name), 0, 1)
        _between("look.turn_degrees", self.turn_degrees, 0, 90)
        for name in ("zoom", "stretch", "shift"):
            _between(f"look.{name}", getattr(self, name), 0, 0.5)
        for name in ("light", "side", "tint"):
            _between(f"look.{name}", getattr(self, name), 0, 2)
        _between("look.erase_share", self.erase_share, 0.1, 1)


@dataclass(frozen=True)
class StudentPart:
    """Who learns.

    Attributes:
        name: a registered student.
        features: name of the spec that the student expects, checked; empty leaves it to it.
        options: keyword arguments of the student's class.
        start: whose weights it begins with: a student.pt, or weights as others published them
            where the student knows how to read them, as far as names and shapes are the same; an
            exported ONNX file, or the name of a shipped model, of the same shape; empty draws
            them from the seed.
    """

    name: str
    features: str = ""
    options: Mapping[str, float] = field(default_factory=dict)
    start: str = ""


@dataclass(frozen=True)
class DistilPart:
    """How it learns.

    Attributes:
        pretrain: epochs with the weights of `pretrain_loss`, before `epochs` with those of `loss`.
        epochs: epochs with the weights of `loss`.
        batch: clips in a batch, over all processes.
        lr: peak; each stage warms up and falls by a cosine to 0.
        pretrain_lr: peak of the first stage; 0 takes `lr`.
        warmup: share of a stage in which the rate climbs.
        weight_decay: of AdamW, on matrices and kernels alone.
        clip_grad: largest norm of the gradient.
        average: decay of the averaged weights, which are what is evaluated and saved.
        temperature: softens both class distributions in the `kl` loss.
        token_lag: seconds by which a causal student's tokens may follow the teacher's.
        loss, pretrain_loss: weights by name, see LOSSES.
    """

    epochs: int
    batch: int = 64
    lr: float = 1e-3
    loss: Mapping[str, float] = field(default_factory=lambda: {"ccc": 1.0, "mse": 0.5})
    pretrain: int = 0
    pretrain_loss: Mapping[str, float] = field(
        default_factory=lambda: {"embedding": 1.0, "tokens": 1.0, "ccc": 0.2}
    )
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip_grad: float = 1.0
    average: float = 0.995
    temperature: float = 2.0
    token_lag: float = 0.0
    pretrain_lr: float = 0.0

    def __post_init__(self) -> None:
        _between("distil.epochs", self.epochs, 1, 100_000)
        _between("distil.pretrain", self.pretrain, 0, 100_000)
        _between("distil.batch", self.batch, 2, 100_000)
        _between("distil.lr", self.lr, 1e-8, 1)
        _between("distil.pretrain_lr", self.pretrain_lr, 0, 1)
        _between("distil.warmup", self.warmup, 0, 0.9)
        _between("distil.weight_decay", self.weight_decay, 0, 10)
        _between("distil.clip_grad", self.clip_grad, 1e-6, 1e6)
        _between("distil.average", self.average, 0, 0.99999)
        _between("distil.temperature", self.temperature, 0.5, 20)
        _between("distil.token_lag", self.token_lag, 0, 10)
        for table in ("loss", "pretrain_loss"):
            _check_losses(f"distil.{table}", getattr(self, table))


@dataclass(frozen=True)
class RatedPart:
    """How the student goes on with those who were rated (compress/stages/finetune.py).

    Attributes:
        copies: of each rated clip, made as `augment` says; as many rows of others are heard.
        epochs: with the weights of `loss`.
        lr: peak of that training.
        loss: weights by name, see LOSSES.
    """

    copies: int = 16
    epochs: int = 2
    lr: float = 1e-3
    loss: Mapping[str, float] = field(
        default_factory=lambda: {
            "ccc": 1.0, "mse": 5.0, "kl": 0.5, "embedding": 1.0, "tokens": 1.0
        }
    )  # fmt: skip

    def __post_init__(self) -> None:
        _between("rated.copies", self.copies, 1, 1000)
        _between("rated.epochs", self.epochs, 1, 100_000)
        _between("rated.lr", self.lr, 1e-8, 1)
        _check_losses("rated.loss", self.loss)


@dataclass(frozen=True)
class HeadsPart:
    """How a student gets its heads, on an embedding that is held still (compress/stages/heads.py).

    Attributes:
        embedding: channels of the embedding that are kept, those from which the teacher's is best
            rebuilt; 0 keeps all.
        hidden: width of the layer behind the kept channels.
        steps: of AdamW, in which the student's heads learn a wide ensemble's outputs.
        batch: rows of a step, half of them with ratings.
        lr: peak rate.
        noise: standard deviation of noise on the standardised embedding.
    """

    embedding: int = 0
    hidden: int = 64
    steps: int = 1000
    batch: int = 512
    lr: float = 1e-2
    noise: float = 0.3

    def __post_init__(self) -> None:
        _between("heads.embedding", self.embedding, 0, 100_000)
        for name in ("hidden", "steps", "batch"):
            _between(f"heads.{name}", getattr(self, name), 1, 100_000)
        _between("heads.lr", self.lr, 1e-8, 1)
        _between("heads.noise", self.noise, 0, 1000)


@dataclass(frozen=True)
class RegularPart:
    """Changes of the features at each step; the labels stay, so keep them mild.

    Attributes:
        crop: smallest share of a clip's frames that is kept, cut at random; 1 keeps all.
        gain_db: largest change of level.
        time_masks, time_share: masks over time, and the largest share of a clip each covers.
        band_masks, band_share: the same over the bands.
    """

    crop: float = 1.0
    gain_db: float = 0.0
    time_masks: int = 0
    time_share: float = 0.1
    band_masks: int = 0
    band_share: float = 0.15

    def __post_init__(self) -> None:
        _between("regular.crop", self.crop, 0.1, 1)
        _between("regular.gain_db", self.gain_db, 0, 20)
        for name in ("time", "band"):
            _between(f"regular.{name}_masks", getattr(self, f"{name}_masks"), 0, 10)
            _between(f"regular.{name}_share", getattr(self, f"{name}_share"), 0, 0.9)


@dataclass(frozen=True)
class StopPart:
    """Which epoch is kept.

    Attributes:
        metric: a figure of the valid speakers; larger is better unless it ends in "loss" or "kl".
            "last" keeps the last epoch: the rate has fallen to 0 by then, and few speakers choose
            worse than that.
        patience: epochs without a better one after which training ends; 0 never ends early.
    """

    metric: str = "valid.ccc.mean"
    patience: int = 0

    def __post_init__(self) -> None:
        if self.metric.startswith("test"):
            raise BadRecipe(
                f"$.stop.metric: {self.metric!r} would choose the checkpoint on the test speakers, "
                "and their figure would mean nothing; use valid.ccc.mean"
            )
        if self.metric != "last" and not self.metric.startswith("valid."):
            raise BadRecipe(f"$.stop.metric: {self.metric!r}; expected valid.<figure> or last")
        if self.metric == "last" and self.patience:
            raise BadRecipe(f"$.stop.patience: {self.patience}; nothing ends early with 'last'")
        _between("stop.patience", self.patience, 0, 100_000)


@dataclass(frozen=True)
class PrunePart:
    """What is taken away after training, and how the rest learns to do without.

    Attributes:
        kind: "channels" takes whole channels out of the layers: less work, a smaller file.
            "weights" sets the smallest weights of each layer to 0 (NNCF); the file and the work
            stay as they are, and only a runtime that skips zeros gains by it.
        share: of the channels or of the weights.
        epochs: of training afterwards, with the weights of `distil.loss`.
        lr: peak of that training.
    """

    kind: Literal["channels", "weights"] = "channels"
    share: float = 0.25
    epochs: int = 8
    lr: float = 1e-3

    def __post_init__(self) -> None:
        _between("prune.share", self.share, 0.01, 0.95)
        _between("prune.epochs", self.epochs, 1, 100_000)
        _between("prune.lr", self.lr, 1e-8, 1)


@dataclass(frozen=True)
class QatPart:
    """Training with the rounding of int8 at the very end (NNCF).

    Attributes:
        epochs: with the weights of `distil.loss`.
        lr: peak; small, because the student has learned all but the rounding.
    """

    epochs: int = 4
    lr: float = 1e-4

    def __post_init__(self) -> None:
        _between("qat.epochs", self.epochs, 1, 100_000)
        _between("qat.lr", self.lr, 1e-8, 1)


@dataclass(frozen=True)
class Recipe:
    """A run, completely. Every random choice derives from `seed`.

    Attributes:
        rated: after training, go on for a while with those whose speech was rated; without the
            table, or where nobody was, there is no such stage.
        heads: then replace the student's heads by ones trained on its embedding, which
            is held still; without the table the heads stay as they came out of training.
        prune: then take channels or weights away; without the table all stay.
        qat: at last train with the rounding of int8; without the table only export rounds.
    """

    schema: int
    student: StudentPart
    distil: DistilPart
    name: str = "run"
    task: Literal["speech", "face"] = "speech"
    seed: int = 1
    data: DataPart = field(default_factory=DataPart)
    teacher: TeacherPart = field(default_factory=TeacherPart)
    augment: AugmentPart = field(default_factory=AugmentPart)
    regular: RegularPart = field(default_factory=RegularPart)
    look: LookPart = field(default_factory=LookPart)
    stop: StopPart = field(default_factory=StopPart)
    rated: RatedPart | None = None
    heads: HeadsPart | None = None
    prune: PrunePart | None = None
    qat: QatPart | None = None

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise BadRecipe(f"$.schema: {self.schema}; this edgeemo reads {SCHEMA}")
        _between("seed", self.seed, 0, 2**31)


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise BadRecipe(f"$.{name}: {value:g}; expected {low:g} to {high:g}")


def _range(name: str, pair: tuple[float, float], low: float, high: float) -> None:
    if not low <= pair[0] <= pair[1] <= high:
        raise BadRecipe(
            f"$.{name}: {list(pair)}; expected [smallest, largest] inside {low:g} to {high:g}"
        )


def _check_losses(name: str, weights: Mapping[str, float]) -> None:
    for key, weight in weights.items():
        if key not in LOSSES:
            near = get_close_matches(key, LOSSES, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(LOSSES)}"
            raise BadRecipe(f"$.{name}.{key}: unknown loss; {hint}")
        _between(f"{name}.{key}", weight, 0, 1000)
    if not any(weights.values()):
        raise BadRecipe(f"$.{name}: every weight is 0; nothing would be learned")
