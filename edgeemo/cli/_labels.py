"""What commands that read labels have in common."""

from __future__ import annotations

import argparse


def add_label_scale(parser: argparse.ArgumentParser) -> None:
    """The option for ratings on another scale than 0..1."""
    parser.add_argument(
        "--label-scale",
        nargs=2,
        type=float,
        default=(0.0, 1.0),
        metavar=("LOW", "HIGH"),
        help="lowest and highest rating of arousal, dominance, valence in label tables, for "
        "example 1 5 or -1 1; (x - LOW) / (HIGH - LOW) is the label (default: 0 1)",
    )
