"""What do many hours cost: memory, processor time and start of training, and labelling?

    python benchmarks/scale.py [label train kill against ray] [--hours 1 4 16 64] [--out FOLDER]
    python benchmarks/scale.py against --against PYTHON
    python benchmarks/scale.py label train --clips 120 --rows 2800     (on a busy machine)

One hour is made from the shipped speech, changed in speed, level and noise, as FLAC in tars, and
labelled for real, in one go, in two parts and by Ray. Further hours are copies of its labels under
other names of clips and people: reading and training cost what real ones cost. Each row is a
process of its own with one thread; processor seconds and peak memory, because the machine may have
other work. Labelling is counted without its start, which is that of a second run that finds all
done. At the largest number of hours an epoch is cut off after as many rows as the one before
has, with --rows everywhere; --clips makes less real sound, whose labels are copied more often.
PYTHON is an interpreter that imports another version of edgeemo, which trains on the same rows in
memory, in turns with this one; the steps of an epoch are counted, not what precedes them.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _scale_rows import HOUR, make_tars, multiply

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
RECIPE = """
schema = 2
name = "scale"
[teacher]
name = "builtin"
[student]
name = "wav2small-stream"
[distill]
pretrain = 0
epochs = 1
batch = 32
lr = 3e-3
loss = { ccc = 1.0, mse = 1.0, std_match = 0.2, kl = 0.3, embedding = 0.3, tokens = 0.3 }
"""


def cpu(who: int = resource.RUSAGE_SELF) -> float:
    """Processor seconds of this process, its threads too."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def peak_gb() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


class Enough(Exception):
    """So many steps were made as were asked for."""


class Steps:
    """The processor seconds of the steps of an epoch after the first, and what rows they had."""

    def __init__(self, most: int | None = None) -> None:
        self.most, self.begun, self.seconds, self.done = most, 0.0, 0.0, 0

    def __call__(self, what: str, done: int, total: int) -> None:
        self.begun = self.begun or cpu()
        self.seconds, self.done = cpu() - self.begun, done
        if self.most is not None and done >= self.most:
            raise Enough


def train(packed: Path, recipe: Path, most: int | None) -> dict[str, Any]:
    """One epoch of a stream, or its first `most` rows; in this process."""
    from edgeemo.compress.labels.packed import Packed
    from edgeemo.compress.labels.packed_split import split_packed
    from edgeemo.compress.pipeline import new_student
    from edgeemo.compress.recipes import load_recipe
    from edgeemo.compress.train.loop import fit

    loaded = load_recipe(recipe)
    begun, clock = cpu(), time.monotonic()
    rows = split_packed(Packed(packed), loaded)
    valid, _, _ = rows.valid, rows.test, rows.sample
    start = {"start CPU s": round(cpu() - begun, 2), "start s": round(time.monotonic() - clock, 2)}
    steps = Steps(most)
    begun = cpu()
    with contextlib.suppress(Enough):
        fit(new_student(loaded), rows, valid, loaded, progress=steps)
    return {
        "rows": steps.done,
        "CPU s": round(cpu() - begun, 2),
        "steps CPU s": round(steps.seconds, 2),
        "peak GB": round(peak_gb(), 3),
        **start,
    }


def train_in_memory(packed: Path, recipe: Path) -> dict[str, Any]:
    """The same epoch with all rows in memory, by this version or by one before 0.2; its CPU."""
    rows = np.load(packed / "rows.npz")
    try:
        from edgeemo.compress.labels.dataset import LabelledDataset as Rows
        from edgeemo.compress.labels.dataset import Ragged
        from edgeemo.compress.pipeline import new_student
        from edgeemo.compress.recipes import load_recipe
        from edgeemo.compress.train.loop import fit

        new = True
    except ImportError:
        from edgeemo.compress.distil import new_student
        from edgeemo.compress.labelled import Labelled as Rows
        from edgeemo.compress.labelled import Ragged
        from edgeemo.compress.recipe_file import load_recipe
        from edgeemo.compress.training import fit

        new = False
    loaded = load_recipe(recipe if new else recipe.with_name("old.toml"))
    student = new_student(loaded)

    def part(name: str) -> Any:
        from edgeemo.compress.data.clips import Clip, Span

        n = len(rows[f"{name}.adv"])
        clips = np.empty(n, dtype=object)
        clips[:] = [Clip(str(i), "a", f"a/{i}", Span(Path("x"))) for i in range(n)]
        adv = "dimensions" if new else "adv"
        ragged = {
            k: Ragged(*(rows[f"{name}.{k}.{v}"] for v in ("values", "starts", "lengths")))
            for k in ("features", "tokens")
        }
        nan = np.full((n, 3), np.nan, np.float32)
        return Rows(
            spec=student.spec,
            clips=clips,
            copy=np.zeros(n, np.int64),
            partner=np.full(n, ""),
            level=np.zeros(n, np.float32),
            probs=rows[f"{name}.probs"],
            embedding=rows[f"{name}.embedding"],
            token_rate=float(rows["rate"]),
            votes=np.full((n, 8), np.nan, np.float32),
            votes_weight=np.ones(n, np.float32),
            intervals=np.full((n, 3, 2), np.nan, np.float32),
            **{adv: rows[f"{name}.adv"], f"human_{adv}": nan},
            **ragged,
        )

    training, valid = part("train"), part("valid")
    steps = Steps()
    fit(student, training, valid, loaded, progress=steps)
    return {"steps CPU s": round(steps.seconds, 2), "peak GB": round(peak_gb(), 3)}


def keep_rows(packed: Path, recipe: Path) -> None:
    """The rows of the stream as arrays that every version can read."""
    from edgeemo.compress.labels.packed import Packed
    from edgeemo.compress.labels.packed_split import split_packed
    from edgeemo.compress.recipes import load_recipe

    split = split_packed(Packed(packed), load_recipe(recipe))
    found: dict[str, Any] = {}
    for name, rows in (("train", split.read(split.train)), ("valid", split.valid)):
        for ragged in ("features", "tokens"):
            held = getattr(rows, ragged)
            for value in ("values", "starts", "lengths"):
                found[f"{name}.{ragged}.{value}"] = getattr(held, value)
        found |= {f"{name}.{k}": v for k, v in (("adv", rows.dimensions), ("probs", rows.probs))}
        found[f"{name}.embedding"] = rows.embedding
        found["rate"] = rows.token_rate
    np.savez(packed / "rows.npz", **found)


def worker(kind: str, *arguments: Any, python: str = sys.executable) -> dict[str, Any]:
    """One measurement in a process of its own."""
    given = [str(a) for a in arguments]
    command = [python, str(Path(__file__).resolve()), "--worker", kind, *given]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ | ONE_THREAD)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def edgeemo(*arguments: Any) -> tuple[float, float]:
    """Run a command; its processor seconds and largest memory, GB."""
    before = cpu(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "edgeemo", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=sys.stderr, env=os.environ | ONE_THREAD)
    used = cpu(resource.RUSAGE_CHILDREN) - before
    return used, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


def label(out: Path, recipe: Path, clips: int) -> dict[str, Any]:
    """Label the tars in one go and in two parts: cost, and whether the bytes are the same."""
    hours = make_tars(out / "tars", clips)
    common = ("label", "--data", out / "tars", "--recipe", recipe)
    used, peak = edgeemo(*common, "--out", out / "labels")
    start, _ = edgeemo(*common, "--out", out / "labels")
    for part in ("1/2", "2/2"):
        edgeemo(*common, "--out", out / "parts", "--part", part)
    return {
        "hours": round(hours, 3),
        "CPU s": round(used, 1),
        "start CPU s": round(start, 1),
        "hours a core-hour": round(hours * 3600 / (used - start), 1),
        "peak GB": round(peak, 3),
        "parts have the same bytes": rows_of(out / "labels") == rows_of(out / "parts"),
    }


def rows_of(folder: Path) -> dict[str, bytes]:
    """Content of all files of labels, by name."""
    return {f.name: f.read_bytes() for f in folder.rglob("*.parquet")}


def ray(out: Path, recipe: Path) -> dict[str, Any]:
    """The same by Ray: cost of actors and of all that it starts, and whether the bytes are."""
    adopt_orphans()
    script = ROOT / "examples" / "cluster" / "ray_label.py"
    command = [script, "--data", out / "tars", "--recipe", recipe, "--out", out / "ray"]
    with tempfile.TemporaryDirectory(prefix="ray-") as temporary:
        (Path(temporary) / "token").write_text(secrets.token_hex(32))  # of this cluster alone
        environment = os.environ | ONE_THREAD
        environment |= {"RAY_TMPDIR": temporary, "RAY_AUTH_TOKEN_PATH": f"{temporary}/token"}
        # All ports on loopback alone; as nice as what it is compared with.
        environment |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}
        times = []
        for _ in range(2):
            before = cpu(resource.RUSAGE_CHILDREN)
            line = [sys.executable, *map(str, command)]
            subprocess.run(line, check=True, stdout=sys.stderr, env=environment)
            end_orphans()
            times.append(cpu(resource.RUSAGE_CHILDREN) - before)
    used, start = times
    return {
        "CPU s": round(used, 1),
        "start CPU s": round(start, 1),
        "same bytes": rows_of(out / "labels") == rows_of(out / "ray"),
    }


def adopt_orphans() -> None:
    """Processes whose parent ends become children of this one, so that their time is counted."""
    become_reaper = 36  # PR_SET_CHILD_SUBREAPER
    ctypes.CDLL(None).prctl(become_reaper, 1, 0, 0, 0)


def end_orphans() -> None:
    """End them."""
    while children := Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        for child in map(int, children):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def kill(packed: Path, out: Path, recipe: Path) -> dict[str, Any]:
    """Whether a run that is killed within an epoch ends as one that is not."""
    common = ["distill", "--labels", packed, "--recipe", recipe]
    edgeemo(*common, "--out", out / "whole")
    often = ("--checkpoint-minutes", "0.05")
    command = [sys.executable, "-m", "edgeemo", *common, "--out", out / "cut", *often]
    child = subprocess.Popen([str(c) for c in command], env=os.environ | ONE_THREAD)
    while not (out / "cut" / "checkpoints" / "last.pt").exists() and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    killed = child.wait() == -signal.SIGKILL
    within = not (out / "cut" / "metrics.jsonl").read_text()
    edgeemo("distill", "--resume", out / "cut")
    return worker("compare", out / "whole", out / "cut") | {
        "killed within the epoch": killed and within
    }


def compare(one: Path, two: Path) -> dict[str, Any]:
    """Whether two runs have the same weights and history."""
    import torch

    from edgeemo.compress.run import Run

    a, b = (Run(f).student().state_dict() for f in (one, two))
    same = all(torch.equal(v, b[k]) for k, v in a.items())
    return {"same bits": same and Run(one).history() == Run(two).history()}


def packed_hours(out: Path, hours: float, clips: int) -> tuple[Path, dict[str, Any]]:
    """So many hours of packed labels, and what packing cost."""
    packed = out / f"packed-{hours}"
    if (packed / "index.json").exists():
        return packed, {}
    multiply(out / "labels", max(1, round(hours * HOUR / clips)), out / "many")
    used, peak = edgeemo("label", "--pack", out / "many", "--out", packed)
    shutil.rmtree(out / "many")
    return packed, {"pack CPU s": round(used, 1), "pack peak GB": round(peak, 2)}


def training(args: argparse.Namespace, out: Path, recipe: Path) -> list[dict[str, Any]]:
    """An epoch, or some rows of one, for each number of hours."""
    rows: list[dict[str, Any]] = []
    for count in args.hours:
        packed, cost = packed_hours(out, count, args.clips)
        cut = (args.rows,) if args.rows else ()
        if not cut and count == args.hours[-1] and len(rows) > 1:
            cut = (rows[-1]["rows"],)
        rows.append({"hours": count} | cost | worker("train", packed, recipe, *cut))
        print(rows[-1], file=sys.stderr)
        shutil.rmtree(packed)
    return rows


def compare_memory(
    out: Path, recipe: Path, hours: float, clips: int, other: Path
) -> dict[str, Any]:
    """Steps of an epoch of the stream, and in memory by another version, in turns."""
    packed, _ = packed_hours(out, hours, clips)
    keep_rows(packed, recipe)
    turns: list[tuple[float, float]] = []
    for _ in range(3):
        theirs = worker("memory", packed, recipe, python=str(other))["steps CPU s"]
        turns.append((worker("train", packed, recipe)["steps CPU s"], theirs))
    ratio = statistics.median(ours / theirs for ours, theirs in turns)
    return {"hours": hours, "turns": turns, "ratio": round(ratio, 3)}


def measure(args: argparse.Namespace, out: Path) -> None:
    """The parts that are asked for; each is added to the results when it is done."""
    recipe = out / "scale.toml"
    recipe.write_text(RECIPE)
    old = (
        RECIPE.replace("schema = 2", "schema = 1")
        .replace("[distill]", "[distil]")
        .replace("std_match", "spread")
    )
    (out / "old.toml").write_text(old)
    path = ROOT / "benchmarks" / "results" / "scale.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for what in args.what:
        if what == "label" or not (out / "labels").exists():
            results["label"] = label(out, recipe, args.clips)
        if what == "train":
            results[what] = training(args, out, recipe)
        elif what == "kill":
            results[what] = kill(packed_hours(out, 1, args.clips)[0], out / "runs", recipe)
        elif what == "against":
            results[what] = compare_memory(out, recipe, args.compared, args.clips, args.against)
        elif what == "ray":
            plain, found = results["label"], ray(out, recipe)
            ours, theirs = (x["CPU s"] - x["start CPU s"] for x in (plain, found))
            results[what] = found | {"speed of label's": round(ours / theirs, 3)}
        path.write_text(json.dumps(results, indent=1) + "\n")
        print(what, results[what], file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["label", "train", "kill", "ray"])
    parser.add_argument("--hours", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--clips", type=int, default=HOUR)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--compared", type=int, default=4, help="hours of against")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", nargs="+")
    args = parser.parse_args()
    if args.worker:
        kind, *given = args.worker
        if kind == "train":
            most = int(given[2]) if len(given) > 2 else None
            print(json.dumps(train(Path(given[0]), Path(given[1]), most)))
        else:
            run = {"memory": train_in_memory, "compare": compare}[kind]
            print(json.dumps(run(Path(given[0]), Path(given[1]))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        out = args.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        measure(args, out)


if __name__ == "__main__":
    main()
