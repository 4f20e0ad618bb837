"""Label tars by Ray Data, on the cores of one machine or of many that see the same disk.

    python ray_label.py --data TARS --recipe R.toml --out LABELS --actors 8 [--address HOST:PORT]

The labels are those of `edgeemo label`, byte for byte; a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeemo.compress.labels.layout import LeftOut, MadeUnit
from edgeemo.compress.labels.units import UnitLabeller, find_units, root_of, write_manifest
from edgeemo.compress.pipeline import new_student
from edgeemo.compress.recipes import Recipe, load_recipe
from edgeemo.compress.teachers import load_teacher
from edgeemo.errors import require


class Labeller:
    """Lives in an actor: loads the teacher once, then labels tar after tar."""

    def __init__(self, data: Path, recipe: Recipe, out: Path) -> None:
        self.units = {unit.name: unit for unit in find_units(data)}
        self.root = root_of(data)
        teacher = load_teacher(recipe.teacher.name)
        self.labeller = UnitLabeller(teacher, new_student(recipe).spec, recipe, out)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        (name,) = batch["unit"]
        outcome = self.labeller.try_label(self.units[name], self.root)
        return {"outcome": [json.dumps(asdict(outcome))], "folder": [str(self.labeller.folder)]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "recipe", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--actors", type=int, default=2, help="each takes a core")
    parser.add_argument("--address", help="of a running cluster; without it one is started here")
    args = parser.parse_args()
    ray = require("ray", "cluster")  # switches its telemetry off
    data = require("ray.data", "cluster")
    start = {} if args.address else {"num_cpus": args.actors, "include_dashboard": False}
    ray.init(args.address, **start)
    data.DataContext.get_current().enable_progress_bars = False
    names = [unit.name for unit in find_units(args.data)]
    rows = data.from_items([{"unit": name} for name in names], override_num_blocks=len(names))
    # One tar at a time: actors near the driver would otherwise queue those that others could take.
    pool = data.ActorPoolStrategy(size=args.actors, max_tasks_in_flight_per_actor=1)
    given = (args.data.resolve(), load_recipe(args.recipe), args.out.resolve())
    labelled = rows.map_batches(
        Labeller, batch_size=1, num_cpus=1, compute=pool, fn_constructor_args=given
    )
    outcomes: dict[str, MadeUnit | LeftOut] = {}
    for row in labelled.iter_rows():
        values = json.loads(row["outcome"])
        outcomes[values["name"]] = (MadeUnit if "digest" in values else LeftOut)(**values)
        print(f"{len(outcomes)} of {len(names)}: {values['name']}", flush=True)
    ordered = [outcomes[name] for name in names]
    made = write_manifest(Path(row["folder"]), (1, 1), len(names), root_of(args.data), ordered)
    ray.shutdown()
    for left in made.left_out:
        print(f"left out {left.name}: {left.why}")
    return 1 if made.left_out or any(unit.skipped for unit in made.units) else 0


if __name__ == "__main__":
    raise SystemExit(main())
