"""Tables of a recipe for what comes after distillation, and for the epoch that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgeemo.errors import BadRecipe

from .checks import check_losses, check_range


@dataclass(frozen=True)
class FinetuneConfig:
    """How the student is fine-tuned on annotated clips (compress/stages/finetune.py).

    Attributes:
        copies: of each annotated clip, made as `augment` says; as many rows of others are added.
        epochs: with the weights of `loss`.
        lr: peak of that training.
        loss: weights by name, see LOSSES.
    """

    copies: int = 16
    epochs: int = 2
    lr: float = 1e-3
    loss: Mapping[str, float] = field(
        default_factory=lambda: {"ccc": 1.0, "mse": 5.0, "kl": 0.5, "embedding": 1.0, "tokens": 1.0}
    )

    def __post_init__(self) -> None:
        check_range("finetune.copies", self.copies, 1, 1000)
        check_range("finetune.epochs", self.epochs, 1, 100_000)
        check_range("finetune.lr", self.lr, 1e-8, 1)
        check_losses("finetune.loss", self.loss)


@dataclass(frozen=True)
class HeadsConfig:
    """How a student gets its heads, on the embedding of a frozen backbone (stages/heads.py).

    Attributes:
        embedding: channels of the embedding that are kept, those from which the teacher's is best
            rebuilt; 0 keeps all.
        hidden: width of the layer behind the kept channels.
        steps: of AdamW, in which the student's heads learn a wide ensemble's outputs.
        batch: rows of a step, half of them with ratings.
        lr: peak rate.
        noise: standard deviation of noise on the standardized embedding.
    """

    embedding: int = 0
    hidden: int = 64
    steps: int = 1000
    batch: int = 512
    lr: float = 1e-2
    noise: float = 0.3

    def __post_init__(self) -> None:
        check_range("heads.embedding", self.embedding, 0, 100_000)
        for name in ("hidden", "steps", "batch"):
            check_range(f"heads.{name}", getattr(self, name), 1, 100_000)
        check_range("heads.lr", self.lr, 1e-8, 1)
        check_range("heads.noise", self.noise, 0, 1000)


@dataclass(frozen=True)
class SoundsConfig:
    """How a frozen student learns to tell speech and sounds (compress/stages/sounds.py).

    Attributes:
        hidden: channels between the two layers that are trained.
        steps: of AdamW.
        batch: tokens of a step.
        lr: peak rate.
    """

    hidden: int = 32
    steps: int = 3000
    batch: int = 1024
    lr: float = 3e-3

    def __post_init__(self) -> None:
        for name in ("hidden", "steps", "batch"):
            check_range(f"sounds.{name}", getattr(self, name), 1, 100_000)
        check_range("sounds.lr", self.lr, 1e-8, 1)


@dataclass(frozen=True)
class EarlyStoppingConfig:
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
                f"$.early_stopping.metric: {self.metric!r} would choose the checkpoint on the test "
                "speakers, and their figure would mean nothing; use valid.ccc.mean"
            )
        if self.metric != "last" and not self.metric.startswith("valid."):
            raise BadRecipe(
                f"$.early_stopping.metric: {self.metric!r}; expected valid.<figure> or last"
            )
        if self.metric == "last" and self.patience:
            raise BadRecipe(
                f"$.early_stopping.patience: {self.patience}; nothing ends early with 'last'"
            )
        check_range("early_stopping.patience", self.patience, 0, 100_000)


@dataclass(frozen=True)
class PruneConfig:
    """What is taken away after training, and how the rest learns to do without.

    Attributes:
        kind: "channels" takes whole channels out of the layers: less work, a smaller file.
            "weights" sets the smallest weights of each layer to 0 (NNCF); the file and the work
            stay as they are, and only a runtime that skips zeros gains by it.
        share: of the channels or of the weights.
        epochs: of training afterwards, with the weights of `distill.loss`.
        lr: peak of that training.
    """

    kind: Literal["channels", "weights"] = "channels"
    share: float = 0.25
    epochs: int = 8
    lr: float = 1e-3

    def __post_init__(self) -> None:
        check_range("prune.share", self.share, 0.01, 0.95)
        check_range("prune.epochs", self.epochs, 1, 100_000)
        check_range("prune.lr", self.lr, 1e-8, 1)


@dataclass(frozen=True)
class QatConfig:
    """Training with the rounding of a file at the very end.

    Attributes:
        epochs: with the weights of `distill.loss`; in int4 the student as it was teaches itself.
        lr: peak; small, because the student has learned all but the rounding.
        weights: "int8" (NNCF), or "int4" for what `edgeemo export --int4` gives four bits.
    """

    epochs: int = 4
    lr: float = 1e-4
    weights: Literal["int8", "int4"] = "int8"

    def __post_init__(self) -> None:
        check_range("qat.epochs", self.epochs, 1, 100_000)
        check_range("qat.lr", self.lr, 1e-8, 1)
