"""Run by test_parallel.py in each process: label, train, write what came out."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from edgeemo.compress import distributed
from edgeemo.compress.data import shipped_speech
from edgeemo.compress.labels import labeller
from edgeemo.compress.labels import rows as label_rows
from edgeemo.compress.recipes import SCHEMA, DistillConfig, Recipe, StudentConfig
from edgeemo.compress.students import Student, StudentOutput, make_student, register_student
from edgeemo.compress.train.loop import fit, seeded_student
from edgeemo.features import SPECS

spec = importlib.util.spec_from_file_location("shared", Path(__file__).with_name("conftest.py"))
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)


@register_student("plain")
class Plain(Student):
    """Nothing in it looks at other clips of a batch."""

    def __init__(self):
        super().__init__()
        self.options, self.spec, self.stride, self.receptive = {}, SPECS["logmel40"], 1, 1
        self.adv, self.classes = nn.Linear(40, 3), nn.Linear(40, 8)

    def forward(self, features, lengths=None):
        x = features.sum(1) / lengths[:, None] / 10 + 1
        return StudentOutput(self.adv(x), self.classes(x), x, features, lengths)


def flat(student):
    return torch.cat([v.double().flatten() for v in student.state_dict().values()]).tolist()


def main(out: Path) -> None:
    out.mkdir(exist_ok=True)
    distributed.start()
    label_rows.SHARD = 8
    recipe = Recipe(
        schema=SCHEMA,
        student=StudentConfig("probe"),
        distill=DistillConfig(epochs=2, batch=18, lr=1e-2),
    )
    teacher = shared.Ear()
    made = labeller.Labeller(teacher, SPECS["logmel40"], recipe, out / "labels")
    rows = made.label(shipped_speech().clips[::5])
    groups = sorted(set(rows.column("group")))
    train, valid = rows.of_groups(groups[::2]), rows.of_groups(groups[1::2])
    fitted = fit(seeded_student(lambda: make_student("probe"), 1), train, valid, recipe, out)
    mse = replace(recipe, distill=replace(recipe.distill, loss={"mse": 1.0}, clip_grad=1e3))
    even = train.take(torch.arange(len(train) // 2 * 2).numpy())
    plain = seeded_student(lambda: make_student("plain"), 1)
    first = flat(plain)
    after = fit(plain, even, valid, replace(mse, distill=replace(mse.distill, batch=len(even))))
    found = {
        "weights": flat(fitted.student),
        "history": fitted.history,
        "rows": len(rows),
        "heard": teacher.heard,
        "plain": flat(after.student),
        "first": first,
    }
    (out / f"rank{distributed.rank()}.json").write_text(json.dumps(found))
    distributed.finish()


main(Path(sys.argv[1]))
