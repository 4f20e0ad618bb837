"""Average the weights of two rounds of one student: what the second learned, and less forgotten.

    python tools/average_weights.py RUN/student.pt EARLIER.pt --share 0.6 -o RUN/student.pt
    python tools/set_prior.py --run RUN --data DATA --prior 0.2

The later round must have begun with the earlier one, so that both lie in one valley. Batch norms
are made part of the weights first, as only then a mean of numbers is a mean of layers. The second
command writes the facts of the run anew.

Source: M. Wortsman et al., Robust fine-tuning of zero-shot models, arXiv 2109.01903.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from edgeemo.cli import exit_status
from edgeemo.compress.students import Student, load_student, save_student
from edgeemo.compress.students.mobilenet import Conv
from edgeemo.compress.train.onnx_weights import neutralize_batchnorm
from edgeemo.errors import BadData
from edgeemo.io.files import check_output


@torch.no_grad()
def folded(student: Student) -> Student:
    """The same student, its batch norms made part of the convolutions before them.

    Args:
        student: changed in place.
    """
    shifts = {}
    for name, layer in student.named_modules():
        if isinstance(layer, Conv):
            norm = layer.norm
            assert norm.running_mean is not None and norm.running_var is not None
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            shifts[name] = norm.bias - norm.running_mean * scale
            layer.conv.weight.mul_(scale.view(-1, 1, 1, 1))
    neutralize_batchnorm(student)
    for name, layer in student.named_modules():
        if isinstance(layer, Conv):
            layer.norm.bias.copy_(shifts[name])
    return student


def averaged(later: Student, earlier: Student, share: float) -> Student:
    """A student between two.

    Args:
        later: folded in place.
        earlier: of the same shape; it is folded, too.
        share: of the later one, 0..1.

    Raises:
        BadData: the share is none, or the two have other layers.
    """
    if not 0 <= share <= 1:
        raise BadData(f"--share {share:g}: expected 0 to 1")
    mine, other = (folded(student).state_dict() for student in (later, earlier))
    differ = [k for k in mine.keys() | other.keys() if k not in mine or k not in other]
    differ += [k for k in mine.keys() & other.keys() if mine[k].shape != other[k].shape]
    if differ:
        raise BadData(f"{min(differ)}: not the same in both students; give two rounds of one")
    for key, value in mine.items():
        if value.is_floating_point():
            value.lerp_(other[key], 1 - share)
    return later


def average(args: argparse.Namespace) -> None:
    """What the command does, from its arguments."""
    check_output(args.out, inputs=(args.later, args.earlier))
    made = averaged(load_student(args.later), load_student(args.earlier), args.share)
    save_student(made, args.out)


def main(argv: Sequence[str] | None = None) -> int:
    """Average; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("later", type=Path)
    parser.add_argument("earlier", type=Path)
    parser.add_argument("--share", type=float, required=True, help="of the later one, 0 to 1")
    parser.add_argument("-o", "--out", type=Path, required=True, help="a student.pt")
    args = parser.parse_args(argv)
    return exit_status(lambda: average(args))


if __name__ == "__main__":
    sys.exit(main())
