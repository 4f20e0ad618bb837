"""Several processes under torchrun (gloo), or one without it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from edgeemo.errors import EdgeemoError, one_line

TIMEOUT = timedelta(days=1)
"""How long processes wait for each other: shares of labelling are equal in rows, not in hours."""

T = TypeVar("T")


def start() -> None:
    """Join the group that torchrun has set up; nothing to do without torchrun."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ and not dist.is_initialized():
        dist.init_process_group("gloo", timeout=TIMEOUT)


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


@contextmanager
def _others() -> Iterator[None]:
    """Say that another process is gone, in place of what gloo says of its connection."""
    try:
        yield
    except RuntimeError as error:
        raise EdgeemoError(
            f"another process of this training is gone ({one_line(error)}); its own message says "
            "why: put that right and start all of them again"
        ) from None


def barrier() -> None:
    """Wait for all processes.

    Raises:
        EdgeemoError: one of them has ended.
    """
    if dist.is_initialized():
        with _others():
            dist.barrier()


def is_mine(key: str) -> bool:
    """Whether work under a key falls to this process: to one process alone, whatever it lists.

    Args:
        key: a sha256 in hex.
    """
    return int(key[:16], 16) % world() == rank()


def gather(value: T) -> list[T]:
    """The value of each process, in every process, by rank.

    Args:
        value: anything that can be pickled; the processes are one program, which trusts itself.

    Raises:
        EdgeemoError: another process has ended.
    """
    if world() == 1:
        return [value]
    values: list[T] = [value] * world()
    with _others():
        dist.all_gather_object(values, value)
    return values


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


def add_up(*tensors: Tensor) -> None:
    """Replace each tensor by its sum over the processes."""
    if world() > 1:
        for tensor in tensors:
            dist.all_reduce(tensor)


def from_first(value: str) -> str:
    """The first process's `value`, in every process."""
    if world() == 1:
        return value
    held = [value]
    dist.broadcast_object_list(held, src=0)
    return held[0]
