"""What a recipe says: its tables, with ranges and defaults. Read and written by file.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgeemo.errors import BadRecipe, printable
from edgeemo.io.files import is_plain

from .checks import check_losses, check_pair, check_range
from .stage_tables import (
    EarlyStoppingConfig,
    FinetuneConfig,
    HeadsConfig,
    PruneConfig,
    QatConfig,
    SoundsConfig,
)

_MOST_NAME = 100

SCHEMA = 2
"""Version of the keys that this edgeemo writes; `upgrade` reads those before it."""


@dataclass(frozen=True)
class DataConfig:
    """Clips and splits.

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
        check_range("data.clip_seconds", self.clip_seconds, 0.2, 60)
        check_range("data.valid", self.valid, 0.01, 0.8)
        check_range("data.test", self.test, 0, 0.8)
        check_range("data.valid + data.test", self.valid + self.test, 0, 0.9)

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of train, valid and test."""
        return 1 - self.valid - self.test, self.valid, self.test


@dataclass(frozen=True)
class TeacherConfig:
    """The teacher.

    Attributes:
        name: a name, path or TOML that load_teacher knows; or "own", the student with the weights
            of `student.init_from`: it learns to say of changed copies what it said of the clips.
        dimensions: with "own", another teacher whose arousal, dominance, valence and classes of the
            clip as it is take the place of the student's; "" keeps those.
        tokens_per_second: the teacher's tokens are averaged down to at most this rate before they
            are kept, because at 50 a second they fill the disk; 0 keeps none.
    """

    name: str = "builtin"
    dimensions: str = ""
    tokens_per_second: float = 12.5

    def __post_init__(self) -> None:
        if self.dimensions == "own":
            raise BadRecipe("$.teacher.dimensions: 'own' has its own; name another teacher")
        if self.dimensions and self.name != "own":
            raise BadRecipe(
                f"$.teacher.dimensions: {self.dimensions!r} stands beside the teacher 'own' alone; "
                f"{self.name!r} has dimensions"
            )
        check_range("teacher.tokens_per_second", self.tokens_per_second, 0, 1000)


@dataclass(frozen=True)
class AugmentConfig:
    """How copies of a clip are augmented for the teacher to label. Each `*_p` is a probability.

    Attributes:
        copies: copies of each training clip; copy 0 is the clip as it is.
        corpus_copies: copies of each clip of some corpora, by name, in place of `copies`: what a
            small corpus alone can teach is heard more often.
        gain_db: smallest and largest change of level.
        mixup_p: mix with another clip; mixup_share: its largest share.
        noise_p: add noise; snr_db: smallest and largest ratio.
        babble_p: of the noise, the share that is another clip.
        reverb_p: put the voice into a room; rt60: shortest and longest decay, seconds.
        band_p: cut the band; low_hz, high_hz: ranges of the two edges.
        microphone_p: another microphone; microphone_db: its largest rise or fall in a band.
        speed_p: play faster or slower (pitch goes along); speed: range of the factor.
        targets: what the teacher is given: "changed", the copy; "clean", the clip before the
            change, so that a student learns what a change leaves of a voice. The words of both must
            be the same, so mixup_p is 0 then; of a copy at another speed the teacher is given the
            clip at that speed, which is another voice.
        babble_voices: fewest and most voices that the second clip behind a voice becomes.
        direct_db: direct sound over the tail of a room, smallest and largest.
        telephone_p: 300 to 3400 Hz, 8 bits of the mu-law.
        clip_p: cut off what is louder than the peak less clip_db (smallest and largest).
    """

    copies: int = 1
    corpus_copies: Mapping[str, int] = field(default_factory=dict)
    gain_db: tuple[float, float] = (-6.0, 6.0)
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
    microphone_p: float = 0.0
    microphone_db: float = 8.0
    speed_p: float = 0.3
    speed: tuple[float, float] = (0.9, 1.1)
    targets: Literal["changed", "clean"] = "changed"
    babble_voices: tuple[int, int] = (1, 1)
    direct_db: tuple[float, float] = (-3.0, 12.0)
    telephone_p: float = 0.0
    clip_p: float = 0.0
    clip_db: tuple[float, float] = (6.0, 24.0)

    def __post_init__(self) -> None:
        check_range("augment.copies", self.copies, 1, 1000)
        for corpus, copies in self.corpus_copies.items():
            check_range(f"augment.corpus_copies.{corpus}", copies, 1, 1000)
        check_pair("augment.gain_db", self.gain_db, -40, 40)
        check_range("augment.microphone_db", self.microphone_db, 0, 40)
        for name in (*(name for name in vars(self) if name.endswith("_p")), "mixup_share"):
            check_range(f"augment.{name}", getattr(self, name), 0, 1)
        check_pair("augment.snr_db", self.snr_db, -20, 80)
        check_pair("augment.rt60", self.rt60, 0.05, 5)
        check_pair("augment.low_hz", self.low_hz, 10, 4000)
        check_pair("augment.high_hz", self.high_hz, 500, 7990)
        if self.band_p and self.low_hz[1] >= self.high_hz[0]:
            raise BadRecipe(
                f"$.augment.high_hz: {list(self.high_hz)}; begins below the end of low_hz, "
                f"{list(self.low_hz)}, and little would be left of a voice: keep the ranges apart"
            )
        check_pair("augment.speed", self.speed, 0.5, 2)
        check_pair("augment.babble_voices", self.babble_voices, 1, 20)
        check_pair("augment.direct_db", self.direct_db, -40, 40)
        check_pair("augment.clip_db", self.clip_db, 0, 60)
        if self.targets == "clean" and self.mixup_p:
            raise BadRecipe(
                f"$.augment.mixup_p: {self.mixup_p:g}; with targets 'clean' the teacher is given "
                "other words than the student: set it to 0"
            )


@dataclass(frozen=True)
class ImageAugmentConfig:
    """Changes of pictures of faces at each step. Each `*_p` is a probability; 0 changes nothing.

    Attributes:
        mirror_p: left and right change places.
        turn_degrees: largest turn, either way.
        zoom: largest change of size, as a share.
        stretch: largest change of width against height, as a share.
        shift: largest move, as a share of the side.
        light: largest change of exposure and contrast (natural log) and, a third of it, brightness.
        side: largest light from one side, as a share of white.
        tint: largest change of each color against the others (natural log), with 3 channels.
        blur_p, noise_p: blur over 3 pixels; noise of up to `noise`, as a share of white.
        focus_p, focus: blur of a lens out of focus, or of motion, and its largest standard
            deviation as a share of the side.
        dark_p, dark: darkness, and the least share of the light that is left.
        coarse_p, coarse: fewer pixels, and the least share of the side that is left; half of these
            pictures are also compressed as JPEG does.
        erase_p, erase_share: a gray rectangle, and its longest side as a share of the picture's.
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
    noise: float = 0.05
    focus_p: float = 0.0
    focus: float = 0.04
    dark_p: float = 0.0
    dark: float = 0.15
    coarse_p: float = 0.0
    coarse: float = 0.3
    erase_p: float = 0.25
    erase_share: float = 0.35
    mixup_p: float = 0.0

    def __post_init__(self) -> None:
        for name in (
            "mirror_p",
            "blur_p",
            "noise_p",
            "noise",
            "focus_p",
            "dark_p",
            "coarse_p",
            "erase_p",
            "mixup_p",
        ):
            check_range(f"image_augment.{name}", getattr(self, name), 0, 1)
        check_range("image_augment.focus", self.focus, 0, 0.2)
        for name in ("dark", "coarse"):
            check_range(f"image_augment.{name}", getattr(self, name), 0.05, 1)
        check_range("image_augment.turn_degrees", self.turn_degrees, 0, 90)
        for name in ("zoom", "stretch", "shift"):
            check_range(f"image_augment.{name}", getattr(self, name), 0, 0.5)
        for name in ("light", "side", "tint"):
            check_range(f"image_augment.{name}", getattr(self, name), 0, 2)
        check_range("image_augment.erase_share", self.erase_share, 0.1, 1)


@dataclass(frozen=True)
class StudentConfig:
    """The student.

    Attributes:
        name: a registered student.
        features: name of the spec that the student expects, checked; empty leaves it to it.
        options: keyword arguments of the student's class.
        init_from: whose weights it begins with: a student.pt, or weights as others published them
            where the student knows how to read them, as far as names and shapes are the same; an
            exported ONNX file, or the name of a shipped model, of the same shape; empty draws
            them from the seed.
    """

    name: str
    features: str = ""
    options: Mapping[str, float] = field(default_factory=dict)
    init_from: str = ""


@dataclass(frozen=True)
class DistillConfig:
    """The training.

    Attributes:
        pretrain: epochs with the weights of `pretrain_loss`, before `epochs` with those of `loss`.
        epochs: epochs with the weights of `loss`; 0 leaves the weights of `student.init_from` as
            they are, for the stages that follow.
        batch: clips in a batch, over all processes.
        lr: peak; each stage warms up and falls by a cosine to 0.
        pretrain_lr: peak of the first stage; 0 takes `lr`.
        warmup: share of a stage in which the rate climbs.
        weight_decay: of AdamW, on matrices and kernels alone.
        clip_grad: largest norm of the gradient.
        ema_decay: decay of the averaged weights, which are what is evaluated and saved.
        temperature: softens both class distributions in the `kl` loss.
        token_lag: seconds by which a causal student's tokens may follow the teacher's.
        prior: how much of the training rows' prior of the classes the student leaves out, from 0
            (its probabilities hold where classes are as frequent as in training) to 1 (where all
            are equally frequent).
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
    ema_decay: float = 0.995
    temperature: float = 2.0
    token_lag: float = 0.0
    pretrain_lr: float = 0.0
    prior: float = 0.0

    def __post_init__(self) -> None:
        check_range("distill.epochs", self.epochs, 0, 100_000)
        check_range("distill.pretrain", self.pretrain, 0, 100_000)
        check_range("distill.batch", self.batch, 2, 100_000)
        check_range("distill.lr", self.lr, 1e-8, 1)
        check_range("distill.pretrain_lr", self.pretrain_lr, 0, 1)
        check_range("distill.warmup", self.warmup, 0, 0.9)
        check_range("distill.weight_decay", self.weight_decay, 0, 10)
        check_range("distill.clip_grad", self.clip_grad, 1e-6, 1e6)
        check_range("distill.ema_decay", self.ema_decay, 0, 0.99999)
        check_range("distill.temperature", self.temperature, 0.5, 20)
        check_range("distill.token_lag", self.token_lag, 0, 10)
        check_range("distill.prior", self.prior, 0, 1)
        for table in ("loss", "pretrain_loss"):
            check_losses(f"distill.{table}", getattr(self, table))


@dataclass(frozen=True)
class SpecAugmentConfig:
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
        check_range("spec_augment.crop", self.crop, 0.1, 1)
        check_range("spec_augment.gain_db", self.gain_db, 0, 20)
        for name in ("time", "band"):
            check_range(f"spec_augment.{name}_masks", getattr(self, f"{name}_masks"), 0, 10)
            check_range(f"spec_augment.{name}_share", getattr(self, f"{name}_share"), 0, 0.9)


@dataclass(frozen=True)
class Recipe:
    """A run, completely. Every random choice derives from `seed`.

    Attributes:
        open: what comes out may be sold and passed on; a corpus, teacher or start whose licence
            does not allow it, or is not known, is refused before anything is trained.
        finetune: after distillation, fine-tune on annotated clips; without the table, or where
            there are none, there is no such stage.
        heads: then replace the student's heads by ones trained on its frozen backbone; without
            the table the heads stay as they came out of training.
        prune: then take channels or weights away; without the table all stay.
        qat: then train with the rounding of a file; without the table only export rounds.
        sounds: at last teach the student, whose other layers stay as they are, to tell speech and
            sounds; without the table it does not tell them.
    """

    schema: int
    student: StudentConfig
    distill: DistillConfig
    name: str = "run"
    task: Literal["speech", "face"] = "speech"
    seed: int = 1
    open: bool = False
    data: DataConfig = field(default_factory=DataConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    spec_augment: SpecAugmentConfig = field(default_factory=SpecAugmentConfig)
    image_augment: ImageAugmentConfig = field(default_factory=ImageAugmentConfig)
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)
    finetune: FinetuneConfig | None = None
    heads: HeadsConfig | None = None
    prune: PruneConfig | None = None
    qat: QatConfig | None = None
    sounds: SoundsConfig | None = None

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise BadRecipe(f"$.schema: {self.schema}; this edgeemo reads 1 to {SCHEMA}")
        plain = is_plain(self.name) and self.name.isprintable() and "\\" not in self.name
        if not plain or self.name.startswith((".", "-")) or len(self.name) > _MOST_NAME:
            raise BadRecipe(
                f"$.name: {printable(repr(self.name), 80)}; expected a plain name, no path, of at "
                f"most {_MOST_NAME} characters: the folder of a run is called so"
            )
        check_range("seed", self.seed, 0, 2**31)
        if not self.distill.epochs and (
            self.distill.pretrain or not self.student.init_from or not (self.heads or self.sounds)
        ):
            raise BadRecipe(
                "$.distill.epochs: 0 is for a trained student that gets new heads alone: give "
                "$.student.init_from, the table $.heads or $.sounds, and no $.distill.pretrain"
            )
        zeros = self.prune is not None and self.prune.kind == "weights"
        if zeros and self.qat is not None and self.qat.weights == "int4":
            raise BadRecipe(
                "$.qat.weights: 'int4' does not keep the zeros of $.prune.kind 'weights'; prune "
                "'channels', or leave out one of the two"
            )
