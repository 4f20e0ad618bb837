"""The README's commands, run in their order in a copy of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
JDK = "/usr/lib/jvm/java-17-openjdk-amd64"
TOOLS = ("make", "aarch64-linux-gnu-gcc", "qemu-aarch64", "clang", "ld.lld", "arm-none-eabi-gcc")


@dataclass(frozen=True)
class Followed:
    """Where they were run, and what each printed."""

    folder: Path
    printed: dict[str, str]


@pytest.fixture(scope="session")
def followed(
    student: Any,
    clip: Any,
    needs: Callable[..., None],
    follow: Callable[..., dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Followed:
    needs(*TOOLS, "java", "javac")
    folder = tmp_path_factory.mktemp("phone") / "elsewhere"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("build", "*.pyc"))
    samples = clip.samples.astype("<f4") / 32768
    (folder / "samples.f32").write_bytes(samples.tobytes())
    jdk = Path(str(shutil.which("javac"))).resolve().parents[1]
    return Followed(folder, follow(folder, {JDK: str(jdk)}))
