"""Several processes under torchrun (gloo), or one without it."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor


def start() -> None:
    """Join the group that torchrun has set up; nothing to do without torchrun."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ and not dist.is_initialized():
        dist.init_process_group("gloo")


def finish() -> None:
    """Leave the group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process, 0 without torchrun."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """Number of processes, 1 without torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def barrier() -> None:
    """Wait for all processes."""
    if dist.is_initialized():
        dist.barrier()


def average(tensors: Iterable[Tensor]) -> None:
    """Replace each floating tensor by its mean over the processes, in one message."""
    if world() == 1:
        return
    held = [t for t in tensors if t.is_floating_point()]
    flat = torch.cat([t.detach().reshape(-1) for t in held])
    dist.all_reduce(flat)
    flat /= world()
    for tensor, part in zip(held, torch.split(flat, [t.numel() for t in held]), strict=True):
        tensor.detach().copy_(part.view_as(tensor))


def from_first(value: str) -> str:
    """The first process's `value`, in every process."""
    if world() == 1:
        return value
    held = [value]
    dist.broadcast_object_list(held, src=0)
    return held[0]
