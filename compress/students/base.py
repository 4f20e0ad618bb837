"""What every student is, and the registry by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from edgeemo.errors import BadArtifact, BadRecipe, nearest, one_line
from edgeemo.features import FeatureSpec
from edgeemo.io.files import replacing
from edgeemo.types import DIMENSIONS, SOUNDS
from edgeemo.vision.images import ImageSpec

from ..recipes.checks import check_range


class StudentOutput(NamedTuple):
    """What a student gives for a batch of B clips.

    Attributes:
        dimensions: [B, D], those the student has; about 0..1, not clipped.
        logits: [B, 8], over edgeemo.types.CLASSES; softmax gives probabilities.
        embedding: [B, E], what the heads see; distilled from the teacher's embedding.
        tokens: [B, T', C], one vector each `stride` frames; distilled from the teacher's.
        token_lengths: [B], int64, tokens of each clip that are not padding.
        sounds: [B, 1 + 7], 0..1, share of the clip in which somebody speaks, then that of each of
            edgeemo.types.SOUNDS; None for a student that does not tell.
    """

    dimensions: Tensor
    logits: Tensor
    embedding: Tensor
    tokens: Tensor
    token_lengths: Tensor
    sounds: Tensor | None = None


class Student(nn.Module):
    """A small network from features of speech, or from the picture of a face, to emotion.

    Attributes:
        name: the name under which it is registered.
        dimensions: which of them the student has, in the order of `edgeemo.types.DIMENSIONS`.
        options: the keyword arguments it was made with.
        spec: the features or pictures it expects.
        receptive: frames that one token sees.
        stride: frames from one token to the next.
        adv, classes: the last layers. `adv` (arousal, dominance, valence) gives the dimensions; it
            keeps this name in checkpoints, as the output does in exported files.
        folded: its batch norms do nothing yet; they are part of the weights (onnx_weights.py).
        pruned: channels were taken out, so layers are narrower than the class makes them.
        gives_classes: False where nothing taught `classes`; it is then exported without them.
        sounds: layers from what `hear` gives to a number for speech and for each sound, before
            the logistic function; None where nothing taught them.
    """

    name: ClassVar[str] = ""
    dimensions: ClassVar[tuple[str, ...]] = DIMENSIONS
    folded: bool = False
    pruned: bool = False
    gives_classes: bool = True
    options: Mapping[str, Any]
    spec: FeatureSpec | ImageSpec
    receptive: int
    stride: int
    adv: nn.Linear
    classes: nn.Linear

    def __init__(self) -> None:
        super().__init__()
        self.sounds: nn.Sequential | None = None

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> StudentOutput:
        """Estimate.

        Args:
            features: [B, T, bands], float32, from edgeemo.log_mel with `spec`; or pictures
                [B, size, size, channels] from edgeemo.vision.images.normalize.
            lengths: [B], int64, frames of each clip; the rest of a row is padding and changes
                nothing. None: every clip fills its row.

        Raises:
            NotImplementedError: always; each student has its own.
        """
        raise NotImplementedError

    def normalize_from(self, mean: Tensor, sd: Tensor) -> None:
        """Take mean and standard deviation [bands] of the training features.

        Called once before training. A student whose first layer normalizes by itself ignores it.

        Args:
            mean: [bands].
            sd: [bands], above 0.
        """

    def from_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights as others published them, by the names that they have in this student.

        Raises:
            BadArtifact: this student knows no such weights.
        """
        raise BadArtifact(f"no published weights are known for {self.name}")

    @property
    def head_layers(self) -> tuple[nn.Linear, ...]:
        """Linear layers from the embedding to the outputs, each with head_act; not the outputs."""
        return ()

    @property
    def head_act(self) -> nn.Module:
        """What follows each of head_layers."""
        return nn.ReLU()

    def with_channels(self, channels: Sequence[int], hidden: int) -> Student:
        """The same backbone with these channels of its embedding, and heads yet to be trained.

        Args:
            channels: numbers of the channels, in order.
            hidden: width of the heads' hidden layer.

        Raises:
            BadRecipe: the student cannot select channels of its embedding.
        """
        raise BadRecipe(f"$.heads.embedding: {self.name} keeps its embedding; set it to 0")

    @property
    def heard(self) -> int:
        """Channels of what `hear` gives; 0 for a student that cannot tell sounds."""
        return 0

    def hear(self, features: Tensor) -> Tensor:
        """What the layers of `sounds` see, [B, heard, T', 1]: a vector each `stride` frames.

        Args:
            features: [B, T, bands].

        Raises:
            NotImplementedError: the student cannot tell sounds; `heard` is 0.
        """
        raise NotImplementedError

    def check_sounds(self) -> None:
        """Refuse a recipe's table `sounds` for a student that has no use for it.

        Raises:
            BadRecipe: the student cannot tell sounds.
        """
        if not self.heard:
            raise BadRecipe(f"$.sounds: {self.name} does not tell sounds; wav2small-stream does")

    def add_sounds(self, hidden: int) -> None:
        """Give the student untrained layers for speech and sounds, two of kernel 1.

        Args:
            hidden: channels between the two.

        Raises:
            BadRecipe: the student cannot tell sounds.
        """
        self.check_sounds()
        outputs = nn.Conv2d(hidden, 1 + len(SOUNDS), 1)
        self.sounds = nn.Sequential(nn.Conv2d(self.heard, hidden, 1), nn.ReLU(), outputs)

    @torch.no_grad()
    def take_heads(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        """Replace what lies behind the embedding.

        Args:
            weights: [out, in] of each of `head_layers`, then [3 + 8, in] for both outputs.
            biases: [out] of each.
        """
        last = self.adv, self.classes
        split = [layer.out_features for layer in last]
        whole = zip(weights[:-1], biases[:-1], strict=True)
        parts = zip(weights[-1].split(split), biases[-1].split(split), strict=True)
        for layer, (weight, bias) in zip((*self.head_layers, *last), (*whole, *parts), strict=True):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)


S = TypeVar("S", bound=type[Student])
_STUDENTS: dict[str, type[Student]] = {}


def register_student(name: str) -> Callable[[S], S]:
    """Class decorator: make a student known by `name`.

    Raises:
        ValueError: the name is taken. Two students under one name are a mistake in the code.
    """

    def add(cls: S) -> S:
        if name in _STUDENTS:
            raise ValueError(f"a student {name!r} is registered already: {_STUDENTS[name]}")
        cls.name = name
        _STUDENTS[name] = cls
        return cls

    return add


def student_names() -> tuple[str, ...]:
    """Names that make_student knows, sorted."""
    return tuple(sorted(_STUDENTS))


def make_student(name: str, **options: Any) -> Student:
    """Make an untrained student.

    Args:
        name: one of student_names().
        **options: keyword arguments of that student's class. A whole float is taken for an
            integer where the default is one, because TOML tables hold one kind of number.

    Raises:
        BadRecipe: the name or an option is unknown, or an option is out of range.
    """
    if name not in _STUDENTS:
        raise BadRecipe(f"no student {name!r}; {nearest(name, student_names())}")
    cls = _STUDENTS[name]
    known = inspect.signature(cls).parameters
    for key, value in options.items():
        if key not in known:
            takes = ", ".join(known) or "no options"
            raise BadRecipe(f"student {name} has no option {key!r}; it takes {takes}")
        default = known[key].default
        if isinstance(default, (bool, int)) and isinstance(value, float) and value.is_integer():
            options[key] = type(default)(value)
        _check_option(f"student.options.{key}", options[key], default)
    student = cls(**options)
    student.options = dict(options)
    return student


def _check_option(path: str, value: float, default: float) -> None:
    """Refuse what a layer cannot be made with, by the kind of number that the default is."""
    if path.endswith(".size"):
        return  # ImageSpec knows its range
    if isinstance(default, float):
        check_range(path, value, 0.05, 8)
        return
    check_range(path, value, min(1, default), 4096)
    if not isinstance(value, int):
        raise BadRecipe(f"$.{path}: {value!r}; expected a whole number")


def save_student(student: Student, path: Path) -> None:
    """Write name, options and weights; the file is whole or absent.

    Args:
        student: in any mode, on any device.
        path: a .pt file.
    """
    state = {k: v.detach().cpu().contiguous() for k, v in student.state_dict().items()}
    content: dict[str, object] = {"name": student.name, "options": dict(student.options)}
    content["state"] = state
    content |= {"pruned": True} if student.pruned else {}
    content |= {} if student.gives_classes else {"gives_classes": False}
    if student.sounds is not None:
        content["sounds"] = student.sounds[-1].in_channels
    with replacing(path) as temporary:
        torch.save(content, temporary)


def load_student(path: Path) -> Student:
    """Read what save_student wrote. No code from the file is run.

    Returns:
        The student in evaluation mode.

    Raises:
        BadArtifact: not such a file, or its weights do not fit the student it names.
    """
    try:
        # weights_only refuses everything but tensors and plain values.
        content = torch.load(path, map_location="cpu", weights_only=True)
        student = make_student(content["name"], **content["options"])
        if content.get("pruned"):
            take_shapes(student, content["state"])
            student.pruned = True
        student.gives_classes = content.get("gives_classes", True) is True
        if content.get("sounds"):
            student.add_sounds(int(content["sounds"]))
        student.load_state_dict(content["state"])
    except FileNotFoundError:
        raise BadArtifact(f"{path}: no such file; the run has not finished an epoch") from None
    except BadRecipe as error:
        raise BadArtifact(f"{path}: {error}") from None
    except Exception as error:  # torch raises a dozen kinds on damaged files
        raise BadArtifact(f"{path}: not a student's weights ({one_line(error)})") from None
    return student.eval()


def take_shapes(student: Student, state: Mapping[str, Tensor]) -> None:
    """Make convolutions, linear layers and batch norms as wide as weights that will be loaded.

    The weights are zeros afterwards.

    Args:
        student: changed in place.
        state: weights by name, of a student of the same class.
    """
    for name, module in student.named_modules():
        wanted = state.get(f"{name}.weight")
        weight = getattr(module, "weight", None)
        if wanted is None or weight is None or weight.shape == wanted.shape:
            continue
        if isinstance(module, nn.Linear):
            module.out_features, module.in_features = wanted.shape
        elif isinstance(module, (nn.Conv1d, nn.Conv2d)):
            depthwise = module.groups > 1
            module.out_channels = wanted.shape[0]
            module.in_channels = wanted.shape[0] if depthwise else wanted.shape[1]
            module.groups = wanted.shape[0] if depthwise else 1
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.num_features = wanted.shape[0]
            module.running_mean = torch.zeros(wanted.shape)
            module.running_var = torch.ones(wanted.shape)
        for key in ("weight", "bias"):
            if getattr(module, key, None) is not None:
                setattr(module, key, nn.Parameter(torch.zeros(state[f"{name}.{key}"].shape)))


def unwatched() -> AbstractContextManager[None]:
    """What is computed inside is hidden from tools that trace or change a student's operations.

    Masks exist in training alone. A tool that has seen a whole clip knows operations by module,
    kind and number, and would take those of a mask for others.
    """
    hidden: AbstractContextManager[None] = torch._C.DisableTorchFunction()
    return hidden


def time_mask(lengths: Tensor, frames: int) -> Tensor:
    """Which frames of a batch are clip and which are padding.

    Args:
        lengths: [B], int64, frames of each clip.
        frames: of the padded batch.

    Returns:
        [B, frames], float32: 1 inside each clip, 0 on its padding.
    """
    return (torch.arange(frames, device=lengths.device)[None] < lengths[:, None]).float()
