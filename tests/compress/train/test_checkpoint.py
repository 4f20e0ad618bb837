"""Going on from a checkpoint gives the same bits; a foreign one is refused."""

import json
from dataclasses import replace

import pytest
import torch

from edgeemo.compress.students import load_student
from edgeemo.compress.train.loop import fit
from edgeemo.errors import BadArtifact, BadRecipe


@pytest.mark.parametrize("stop_after", [1, 3])
def test_resume_gives_the_same_bits(parts, busy, tmp_path, stop_after):
    def run(out, **more):
        return fit(probe(), *parts, busy, out, **more)

    whole = run(tmp_path / "whole")

    def interrupt(what, done, total):
        if done * 5 > stop_after * total + 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", progress=interrupt)
    lines = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert 0 < len(lines) < 5
    resumed = run(tmp_path / "cut", resume=True)
    for name in ("metrics.jsonl", "student.pt"):
        one, two = (tmp_path / f / name for f in ("whole", "cut"))
        if name.endswith("jsonl"):
            assert one.read_text() == two.read_text()
            assert [json.loads(line)["epoch"] for line in one.read_text().splitlines()] == [
                0,
                1,
                2,
                3,
                4,
            ]
    pairs = zip(
        whole.student.state_dict().items(), resumed.student.state_dict().items(), strict=True
    )
    assert all(k == j and torch.equal(v, w) for (k, v), (j, w) in pairs)
    kept = load_student(tmp_path / "cut" / "student.pt").state_dict()
    assert all(torch.equal(v, kept[k]) for k, v in whole.student.state_dict().items())


from tests.compress.train.conftest import probe


def test_resume_refuses_another_recipe_and_foreign_files(parts, busy, tmp_path):
    short = replace(busy, distill=replace(busy.distill, epochs=1, pretrain=0))
    fit(probe(), *parts, short, tmp_path)
    with pytest.raises(BadRecipe, match="belongs to another recipe"):
        fit(probe(), *parts, busy, tmp_path, resume=True)
    (tmp_path / "checkpoints" / "last.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(BadArtifact, match="not a checkpoint"):
        fit(probe(), *parts, short, tmp_path, resume=True)
    (tmp_path / "student.pt").write_bytes(b"no")
    with pytest.raises(BadArtifact, match="not a student"):
        load_student(tmp_path / "student.pt")
