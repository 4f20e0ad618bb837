"""Structured pruning: the channels that matter least are taken out, so work and bytes really fall.

Which layers must lose the same channels is not written down for each student, it is found by
trial: a channel that a layer makes is changed, and what other layers then read tells where it goes.
So a shortcut, a gate or a depthwise convolution needs no rule of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from edgeemo.errors import BadRecipe

from ..students.base import Student, take_shapes
from ..students.cost import input_shape

_FRAMES = 32  # of the trial's input: one token of the students that shrink time most
_ROWS = 256  # channels that are tried at once
_SEED = 1


@dataclass
class Group:
    """Channels that can only be removed from all of these layers at once.

    Attributes:
        makers: names of the layers that make them.
        size: number of channels.
        readers: by the name of a layer, bool [size, inputs]: which of its inputs go with a channel.
        carriers: batch norms, depthwise convolutions and slopes that hand on each channel alone.
        whole: the student needs all of them.
    """

    makers: list[str]
    size: int
    readers: dict[str, Tensor] = field(default_factory=dict)
    carriers: list[str] = field(default_factory=list)
    whole: bool = False


def remove_channels(student: Student, share: float, clips: Sequence[Tensor]) -> Student:
    """A smaller student without the channels that move the least of what is computed from them.

    A channel weighs what its spread over real clips contributes to the layers that read it, as a
    share of all that they read. Each group of channels loses the same share.

    Args:
        student: trained; it is not changed.
        share: of the channels, above 0 and below 1. What remains is rounded to the largest of 8,
            4 or 2 that divides a layer's width, because kernels work on such blocks.
        clips: features of real clips, each [1, frames, bands].

    Returns:
        A student with fewer channels, marked as pruned, in evaluation mode; to be trained on.

    Raises:
        BadRecipe: at that share no channel goes.
    """
    return without(student, choose_channels(student, share, clips))


def choose_channels(
    student: Student, share: float, clips: Sequence[Tensor]
) -> list[tuple[Group, Tensor]]:
    """Each group with the numbers of the channels that stay; see `remove_channels`.

    Args:
        student: trained; it is not changed.
        share: of the channels, above 0 and below 1.
        clips: features of real clips, each [1, frames, bands].

    Raises:
        BadRecipe: at that share no channel goes.
    """
    moved = _contributions(student, clips)
    kept: list[tuple[Group, Tensor]] = []
    for group in find_groups(student):
        weight = torch.zeros(group.size, dtype=torch.float64)
        for name, columns in group.readers.items():
            weight += columns.double() @ moved[name]
        order = weight.argsort(descending=True, stable=True)
        kept.append((group, order[: _left(group.size, share)].sort().values))
    if all(len(keep) == group.size for group, keep in kept):
        raise BadRecipe(
            f"$.prune.share: {share:g} takes no channel of {student.name}; give a larger share"
        )
    return kept


def find_groups(student: Student) -> list[Group]:
    """Groups of channels that a student can lose, in the order of its layers."""
    trial = _Trial(student)
    found: list[Group] = []
    for name in trial.mixing:
        group = trial.follow(name)
        for other in [g for g in found if _meet(g, group)]:
            found.remove(other)
            group = Group(
                other.makers + group.makers,
                group.size,
                other.readers | group.readers,
                list(dict.fromkeys(other.carriers + group.carriers)),
                other.whole or group.whole or not _agree(other, group),
            )
        found.append(group)
    return [g for g in found if g.readers and not g.whole]


def _meet(one: Group, two: Group) -> bool:
    shared = one.readers.keys() & two.readers.keys()
    return not set(one.carriers).isdisjoint(two.carriers) or any(
        bool((one.readers[r].any(0) & two.readers[r].any(0)).any()) for r in shared
    )


def _agree(one: Group, two: Group) -> bool:
    shared = one.readers.keys() & two.readers.keys()
    return one.size == two.size and all(torch.equal(one.readers[r], two.readers[r]) for r in shared)


class _Trial:
    """A student with fresh weights in which one channel of one layer can be changed.

    Layers that mix channels give what they gave before, whatever they read: so a change reaches
    the layers that read the channel itself, and no others.
    """

    def __init__(self, student: Student) -> None:
        # Doubles tell a small change from a sum in another order.
        self.student = copy.deepcopy(student).cpu().double().eval()
        self.layers = {n: m for n, m in self.student.named_modules() if isinstance(m, _KNOWN)}
        self.mixing = [n for n, m in self.layers.items() if _mixes(m)]
        self.read: dict[str, Tensor] = {}
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(_SEED)
            # A trained norm may have silenced a channel; the trial must see where it would go.
            for module in self.layers.values():
                module.reset_parameters()
                if _carries(module) and module.weight.ndim > 1:
                    # Means of what comes in: signs of their own could end below 0 in a ReLU.
                    module.weight.abs_().div_(module.weight[:1].numel() * module.weight.mean())
                elif isinstance(module, _NORMS) and module.bias is not None:
                    module.bias.fill_(2)  # inside a ReLU6, so that no channel is silent
            self.example = torch.randn(input_shape(student, _FRAMES), dtype=torch.float64)
            self._watch()
            self.student(self.example, None)
        self.before = dict(self.read)

    def _watch(self) -> None:
        self.held: dict[str, Tensor] = {}
        self.at, self.channels = "", range(0)
        for name, module in self.layers.items():
            module.__dict__["forward"] = self._recorded(name, module, module.forward)

    def _recorded(
        self, name: str, module: nn.Module, forward: Callable[[Tensor], Tensor]
    ) -> Callable[[Tensor], Tensor]:
        def run(x: Tensor) -> Tensor:
            self.read[name] = x
            if not _mixes(module):
                return forward(x)
            if name not in self.held:
                self.held[name] = forward(x)
            held = self.held[name]
            return self._changed(held, _axis(module)) if name == self.at else held

        return run

    def _changed(self, held: Tensor, axis: int) -> Tensor:
        """A row for each channel that is tried; all else goes on with the one row it has."""
        result = held.repeat(len(self.channels), *[1] * (held.ndim - 1))
        for row, channel in enumerate(self.channels):
            part = result[row].movedim(axis - (axis > 0), 0)[channel]
            # Positive, because a ReLU hides all else; below 6, because a ReLU6 hides that.
            part.copy_(0.5 + part.abs().clamp(max=2) + torch.rand_like(part))
        return result

    @torch.no_grad()
    def follow(self, name: str) -> Group:
        """Where the channels that a layer makes go."""
        size = self.layers[name].weight.shape[0]
        seen: dict[str, list[Tensor]] = {n: [] for n in self.layers}
        plain = self.student(self.example, None)
        group = Group([name], size)
        with torch.random.fork_rng():
            torch.manual_seed(_SEED)
            for first in range(0, size, _ROWS):
                self.at, self.channels = name, range(first, min(first + _ROWS, size))
                said = self.student(self.example, None)
                for reader in self.layers:
                    seen[reader].append(self._moved(reader))
                group.whole |= bool((said.dimensions != plain.dimensions).any())
                group.whole |= bool((said.logits != plain.logits).any())
        self.at = ""
        for reader, parts in seen.items():
            columns = torch.cat(parts)
            if columns.any():
                self._add(group, reader, columns)
        return group

    def _add(self, group: Group, reader: str, columns: Tensor) -> None:
        # A reader of some of the channels only, or of a mixture of all, cannot do without any.
        several = group.size > 1
        group.whole |= not bool(columns.any(1).all()) or (several and bool(columns.all(1).any()))
        if _mixes(self.layers[reader]):
            group.readers[reader] = columns
        elif _carries(self.layers[reader]):
            group.carriers.append(reader)
            same = torch.equal(columns, torch.eye(group.size, dtype=torch.bool))
            group.whole |= not same
        else:
            group.whole = True

    def _moved(self, reader: str) -> Tensor:
        """Bool [channels that are tried, inputs]: which inputs are not what they were."""
        now, before = self.read[reader], self.before[reader]
        axis = _axis(self.layers[reader]) % now.ndim
        others = [d for d in range(1, now.ndim) if d != axis]
        apart = (now - before).abs()
        found = (apart.amax(others) if others else apart) > 1e-9 * before.abs().max()
        return found.expand(len(self.channels), -1)


_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_KNOWN = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.PReLU, *_NORMS)


def _mixes(module: nn.Module) -> bool:
    """Whether each output of a layer depends on all inputs."""
    return isinstance(module, nn.Linear) or (
        isinstance(module, (nn.Conv1d, nn.Conv2d)) and module.groups == 1
    )


def _carries(module: nn.Module) -> bool:
    """Whether a layer hands on each channel by itself."""
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        return module.groups == module.in_channels == module.out_channels
    return isinstance(module, (nn.PReLU, *_NORMS))


def _axis(module: nn.Module) -> int:
    return -1 if isinstance(module, nn.Linear) else 1


@torch.no_grad()
def _contributions(student: Student, clips: Sequence[Tensor]) -> dict[str, Tensor]:
    """By layer, [inputs]: the share of each input in what moves the layer's results."""
    sums: dict[str, list[Tensor]] = {}
    layers = {n: m for n, m in student.named_modules() if _mixes(m)}

    def watch(name: str, x: Tensor, axis: int) -> None:
        flat = x.movedim(axis, -1).flatten(0, -2).double()
        sums.setdefault(name, []).append(
            torch.stack([torch.full_like(flat[0], len(flat)), flat.sum(0), (flat**2).sum(0)])
        )

    with _reading(student, layers, watch):
        for clip in clips:
            student(clip, None)
    found = {}
    for name, module in layers.items():
        count, total, squares = torch.stack(sums[name]).sum(0)
        spread = (squares / count - (total / count) ** 2).clamp(min=0)
        weight: Tensor = module.weight.double()
        moved = spread * (weight**2).movedim(1, 0).flatten(1).sum(1)
        found[name] = moved / moved.sum().clamp(min=1e-30)
    return found


@contextmanager
def _reading(
    student: Student, layers: Mapping[str, nn.Module], watch: Callable[[str, Tensor, int], None]
) -> Iterator[None]:
    """Show what layers read, with the student in evaluation mode."""
    training = student.training
    hooks = [
        m.register_forward_pre_hook(lambda module, given, n=n: watch(n, given[0], _axis(module)))
        for n, m in layers.items()
    ]
    try:
        student.eval()
        yield
    finally:
        student.train(training)
        for hook in hooks:
            hook.remove()


def _left(size: int, share: float) -> int:
    step = next(n for n in (8, 4, 2, 1) if size % n == 0)
    return max(step, round(size * (1 - share) / step) * step)


def without(student: Student, kept: Sequence[tuple[Group, Tensor]]) -> Student:
    """A copy with the weights of the kept channels alone, marked as pruned.

    Args:
        student: it is not changed.
        kept: each group with the numbers of the channels that stay.
    """
    state = {k: v.clone() for k, v in student.state_dict().items()}
    columns: dict[str, Tensor] = {}
    for group, keep in kept:
        lost = torch.ones(group.size, dtype=torch.bool)
        lost[keep] = False
        for name, reads in group.readers.items():
            gone = reads[lost].any(0)
            columns[name] = columns.get(name, torch.zeros_like(gone)) | gone
        for name in (*group.makers, *group.carriers):
            for key in ("weight", "bias", "running_mean", "running_var"):
                if f"{name}.{key}" in state:
                    state[f"{name}.{key}"] = state[f"{name}.{key}"][keep]
    for name, gone in columns.items():
        state[f"{name}.weight"] = state[f"{name}.weight"][:, ~gone]
    smaller = copy.deepcopy(student)
    take_shapes(smaller, state)
    smaller.load_state_dict(state)
    smaller.pruned = True
    return smaller.eval()
