"""A causal student as one step: frames of one token and the states in, token and next states out.

A convolution that sees the past alone pads with zeros before the first frame. In a step, what it
pads with comes from outside instead: the last frames that it saw. Nothing else changes, so a stream
of steps gives the numbers that the whole clip gives.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from edgeemo.artifacts.step_model import MEAN, NEXT, STATE, TOKEN
from edgeemo.compress.students import Student
from edgeemo.errors import BadInput
from edgeemo.features import FeatureSpec

from .outputs import output_names, outputs_of


class Step(nn.Module):
    """One hop of a student, with the outputs of an artifact but for the sounds.

    Attributes:
        hop: frames of a step.
        bands: of a frame.
        states: shapes of the states, [1, channels, frames, bands] each.
        pooled: width of token and mean.

    Args:
        student: causal, in evaluation mode; it is copied.
        temperature: what class logits are divided by before the softmax.

    Raises:
        BadInput: the student is not causal.
    """

    def __init__(self, student: Student, temperature: float) -> None:
        super().__init__()
        self.student, self.temperature, self.hop = deepcopy(student), temperature, student.stride
        # A share of the window would need one more mean among the states.
        self.student.sounds = None
        # Layers that pad with the past say by how many frames.
        layers = [m for m in self.student.modules() if getattr(m, "past", 0)]
        if not layers or not isinstance(student.spec, FeatureSpec):
            raise BadInput(
                f"{student.name} looks ahead, so it has no steps; wav2small-stream is causal"
            )
        self.bands = student.spec.bands
        self._given: dict[nn.Module, Tensor] = {}
        self._kept: dict[nn.Module, Tensor] = {}
        self._layers = [(layer, int(layer.past)) for layer in layers]  # type: ignore[arg-type]
        self._mean: Tensor | None = None
        for layer in layers:
            layer.past = 0  # type: ignore[assignment]
            layer.register_forward_pre_hook(self._join)
        for layer in self.student.modules():
            if isinstance(layer, nn.Linear):
                layer.register_forward_pre_hook(self._head)
        self.states, self.pooled = self._shapes(student)

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs: features, mean, states."""
        return ["features", MEAN, *(f"{STATE}{i}" for i in range(len(self.states)))]

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs: adv, probs (if there), token, next states."""
        own = output_names(self.student)
        return [*own, TOKEN, *(f"{NEXT}{i}" for i in range(len(self.states)))]

    def examples(self) -> tuple[Tensor, ...]:
        """Inputs for tracing."""
        return (
            torch.zeros(1, self.hop, self.bands),
            torch.zeros(1, self.pooled),
            *(torch.zeros(shape) for shape in self.states),
        )

    def forward(self, features: Tensor, mean: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """[1, hop, bands], [1, pooled] and the states to the outputs, in the order of `outputs`.

        Args:
            features: [1, hop, bands].
            mean: [1, pooled], of the tokens so far.
            states: what each causal layer has kept.
        """
        self._given = {layer: s for (layer, _), s in zip(self._layers, states, strict=True)}
        self._kept, self._mean = {}, mean
        found = self.student(features, None)
        # One token, so its mean is itself.
        return (
            *outputs_of(self.student, found, self.temperature),
            found.embedding,
            *(self._kept[layer] for layer, _ in self._layers),
        )

    def _join(self, layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """Put what a layer saw last before what it sees now."""
        x = given[0]
        if layer in self._given:
            x = torch.cat([self._given[layer], x], dim=2)
            self._kept[layer] = x[:, :, -self._given[layer].shape[2] :]
        return (x, *given[1:])

    def _head(self, layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Let the first linear layer see the mean of all tokens in place of this one."""
        mean, self._mean = self._mean, None
        return None if mean is None else (mean, *given[1:])

    def _shapes(self, student: Student) -> tuple[list[tuple[int, ...]], int]:
        """Shapes of the states, learned from one look at the whole student."""
        seen: dict[nn.Module, Tensor] = {}
        hooks = [
            layer.register_forward_pre_hook(lambda m, given: seen.update({m: given[0]}))
            for layer in student.modules()
            if getattr(layer, "past", 0)
        ]
        with torch.no_grad():
            found = student(torch.zeros(1, self.hop, self.bands), None)
        for hook in hooks:
            hook.remove()
        shapes: list[tuple[int, ...]] = [
            (1, x.shape[1], past, x.shape[3])
            for x, (_, past) in zip(seen.values(), self._layers, strict=True)
        ]
        return shapes, int(found.embedding.shape[1])


class StepPicture(nn.Module):
    """A step with channels last: features [1, hop, bands, 1], states [1, frames, bands, channels].

    Args:
        step: the step.
    """

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step

    def examples(self) -> tuple[Tensor, ...]:
        """Inputs for tracing."""
        features, mean, *states = self.step.examples()
        return (features[..., None], mean, *(s.permute(0, 2, 3, 1).contiguous() for s in states))

    def forward(self, features: Tensor, mean: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """See Step.forward."""
        first = [s.permute(0, 3, 1, 2) for s in states]
        outputs = self.step(features[..., 0], mean, *first)
        plain = len(outputs) - len(states)  # the next states come last
        return *outputs[:plain], *(s.permute(0, 2, 3, 1) for s in outputs[plain:])
