"""The example compiles as its README says, strictly and for 32 bits too; its frames are ours."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio

HERE = Path(__file__).parent
CLIP = need("speech/emodb_full/03a01Wa.flac")
STRICT = "-Wall -Wextra -Wconversion -Wdouble-promotion -Werror"
BITS_32 = "-m32 -msse2 -mfpmath=sse"


def has_32_bits(folder: Path) -> bool:
    """Whether gcc can link for 32 bits (Debian: gcc-12-multilib)."""
    (folder / "x.c").write_text('#include <stdio.h>\nint main(void) { return puts("") < 0; }\n')
    command = ["gcc", "-m32", "x.c", "-o", "x"]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0


@pytest.mark.parametrize("more", ["", BITS_32], ids=["64 bits", "32 bits"])
def test_frames_are_those_of_log_mel(more: str, tmp_path: Path) -> None:
    if more and not has_32_bits(tmp_path):
        pytest.skip("gcc links nothing for 32 bits; .ci/run installs gcc-12-multilib as root")
    said = re.search(r"^gcc .*$", (HERE / "README.md").read_text(), re.MULTILINE)
    assert said
    command = said[0].replace("-o features", f"-o {tmp_path / 'features'} {STRICT} {more}")
    subprocess.run(["bash", "-c", command], cwd=HERE, check=True)
    samples = read_audio(CLIP, 16000)
    shorts = np.round(samples * 32768).astype("<i2")
    run = subprocess.run(
        [tmp_path / "features"], input=shorts.tobytes(), capture_output=True, check=True
    )
    rows = [line.split() for line in run.stdout.decode().splitlines()]
    assert np.array_equal(np.array(rows, np.float32), edgeemo.log_mel(shorts))
