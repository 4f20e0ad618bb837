"""Two processes under torchrun: they share labels and batches, and end with equal weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("two_processes.py")


@pytest.mark.slow
def test_two_processes_end_equal_and_share_the_work(tmp_path):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        str(WORKER),
        str(tmp_path),
    ]
    found = subprocess.run(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    one, two = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1))
    assert one["weights"] == two["weights"] and one["history"] == two["history"]
    # Each has heard a part of the clips (and the probe), both hold all rows.
    assert one["rows"] == two["rows"] == 57
    assert one["heard"] + two["heard"] <= one["rows"] + 2 * 20
    assert min(one["heard"], two["heard"]) >= 16 + 16
    # The mean of the two gradients is that of a whole batch where the loss is a mean over clips
    # and no norm looks at its batch: one process must then come out almost equal.
    subprocess.run(
        [sys.executable, str(WORKER), str(tmp_path / "alone")],
        check=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": ROOT},
    )
    alone = json.loads((tmp_path / "alone" / "rank0.json").read_text())
    assert torch.allclose(torch.tensor(alone["plain"]), torch.tensor(one["plain"]), atol=2e-5)
    assert not torch.equal(torch.tensor(one["plain"]), torch.tensor(one["first"]))
