"""What do many hours cost: memory, processor time and start of training, and labelling?

    python benchmarks/scale.py [--hours 1 4 16 64] [--against PYTHON] [--out FOLDER]
    python benchmarks/scale.py --hours 1 16 --clips 120 --rows 2800     (on a busy machine)

One hour is made from the shipped speech, changed in speed, level and noise, as FLAC in four tars,
and labelled for real, in one go and in two parts. Further hours are copies of its labels under
other names of clips and people: reading and training cost what real ones cost. Each row is a
process of its own with one thread; processor seconds and peak memory, because the machine may have
other work. At the largest number of hours an epoch is cut off after as many rows as the one before
has, with --rows everywhere; --clips makes less real sound, whose labels are copied more often.
PYTHON is an interpreter that imports another version of edgeemo, which trains on the same rows in
memory, in turns with this one.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
HOUR, TARS, SECONDS = 1077, 4, 3.35
"""Clips of an hour, tars that they lie in, and their length."""

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


def make_tars(folder: Path, count: int) -> float:
    """Tars of so many clips of changed speech; hours of sound in them."""
    import soundfile

    from edgeemo.compress.data import shipped_speech
    from edgeemo.compress.data.augment import add_at_snr, change_speed, colored_noise

    rng = np.random.default_rng(1)
    clips = shipped_speech().clips
    samples = 0
    for number in range(TARS):
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(folder / f"{number}.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
            for i in range(number, count, TARS):
                clip = clips[i % len(clips)]
                sound = change_speed(clip.samples(), rng.uniform(0.9, 1.1))
                sound = np.resize(sound, int(SECONDS * 16_000))
                noise = colored_noise(len(sound), 1.0, rng)
                sound = add_at_snr(sound * rng.uniform(0.3, 1), noise, rng.uniform(15, 40))
                data = io.BytesIO()
                soundfile.write(data, np.clip(sound, -1, 1), 16_000, format="FLAC")
                speaker = f"{clip.speaker.replace('/', '-')}-{i // len(clips)}"
                labels = json.dumps({"speaker": speaker}).encode()
                for name, content in (
                    (f"{i:05d}.flac", data.getvalue()),
                    (f"{i:05d}.json", labels),
                ):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
                samples += len(sound)
    return samples / 16_000 / 3600


def multiply(labels: Path, times: int, out: Path) -> None:
    """The labels under so many other names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from edgeemo.compress.labels.layout import UNCOMPRESSED

    (folder,) = labels.iterdir()
    made = out / folder.name
    made.mkdir(parents=True)
    shutil.copy(folder / "settings.json", made)
    manifest = json.loads((folder / "part-00001-of-00001.json").read_text())
    units = manifest["units"]
    manifest["units"] = []
    for hour in range(times):
        for unit in units:
            digest = hashlib.sha256(f"{unit['digest']}{hour}".encode()).hexdigest()[:32]
            table = pq.read_table(folder / f"{unit['digest']}.parquet")
            for name in ("address", "group"):
                values = [f"{v}-{hour}" for v in table[name].to_pylist()]
                table = table.set_column(table.column_names.index(name), name, pa.array(values))
            pq.write_table(table, made / f"{digest}.parquet", row_group_size=256, **UNCOMPRESSED)
            manifest["units"].append(unit | {"digest": digest, "name": f"{hour}/{unit['name']}"})
    manifest["listed"] = len(manifest["units"])
    (made / "part-00001-of-00001.json").write_text(json.dumps(manifest))


def cpu() -> float:
    """Processor seconds of this process, its threads too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_gb() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


class Enough(Exception):
    """So many steps were made as were asked for."""


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
    total = sum(len(group.rows) for group in rows.train)
    begun = cpu()

    def stop(what: str, done: int, total: int) -> None:
        if most is not None and done >= most:
            raise Enough

    try:
        fit(new_student(loaded), rows, valid, loaded, progress=stop)
    except Enough:
        total = most or total
    return {
        "rows": total,
        "CPU s": round(cpu() - begun, 2),
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
    begun = cpu()
    fit(student, training, valid, loaded)
    return {"CPU s": round(cpu() - begun, 2), "peak GB": round(peak_gb(), 3)}


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
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "edgeemo", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=sys.stderr, env=os.environ | ONE_THREAD)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, after.ru_maxrss / 1e6


def label(data: Path, out: Path, recipe: Path, clips: int) -> dict[str, Any]:
    """Label the tars in one go and in two parts: cost, and whether the bytes are the same."""
    hours = make_tars(data, clips)
    common = ("label", "--data", data, "--recipe", recipe)
    used, peak = edgeemo(*common, "--out", out / "one")
    for part in ("1/2", "2/2"):
        edgeemo(*common, "--out", out / "parts", "--part", part)
    one, two = (
        {f.name: f.read_bytes() for f in (out / name).rglob("*.parquet")}
        for name in ("one", "parts")
    )
    return {
        "hours": round(hours, 3),
        "CPU s": round(used, 1),
        "hours a core-hour": round(hours * 3600 / used, 1),
        "peak GB": round(peak, 3),
        "parts have the same bytes": one == two,
    }


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


def measure(args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """All rows of the table."""
    hours, against = args.hours, args.against
    recipe = out / "scale.toml"
    out.mkdir(parents=True, exist_ok=True)
    recipe.write_text(RECIPE)
    old = RECIPE.replace("schema = 2", "schema = 1").replace("[distill]", "[distil]")
    (out / "old.toml").write_text(old)
    results: dict[str, Any] = {"labelling": label(out / "tars", out / "labels", recipe, args.clips)}
    rows: dict[int, dict[str, Any]] = {}
    for count in hours:
        many, packed = out / "many", out / f"packed-{count}"
        multiply(out / "labels" / "one", round(count * HOUR / args.clips), many)
        used, peak = edgeemo("label", "--pack", many, "--out", packed)
        shutil.rmtree(many)
        cut = (args.rows,) if args.rows else ()
        if not cut and count == hours[-1] and len(hours) > 2:
            cut = (rows[hours[-2]]["rows"],)
        rows[count] = {"pack CPU s": round(used, 1), "pack peak GB": round(peak, 2)}
        rows[count] |= worker("train", packed, recipe, *cut)
        print(count, rows[count], file=sys.stderr)
        if count > 4:
            shutil.rmtree(packed)
    results["training"] = [{"hours": count} | row for count, row in rows.items()]
    first = out / f"packed-{hours[0]}"
    if not args.rows:
        results["kill"] = kill(first, out / "runs", recipe)
    if against is not None and not args.rows:
        compared = out / f"packed-{hours[min(1, len(hours) - 1)]}"
        keep_rows(compared, recipe)
        turns: list[tuple[float, float]] = []
        for _ in range(3):
            base = worker("memory", compared, recipe, python=str(against))["CPU s"]
            turns.append((worker("train", compared, recipe)["CPU s"], base))
        results["against"] = {
            "turns": turns,
            "ratio": round(statistics.median(ours / theirs for ours, theirs in turns), 3),
        }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--clips", type=int, default=HOUR)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--against", type=Path)
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
        results = measure(args, out)
    command = f"python benchmarks/scale.py --hours {' '.join(map(str, args.hours))}"
    command += f" --clips {args.clips}" if args.clips != HOUR else ""
    command += f" --rows {args.rows}" if args.rows else ""
    command += " --against PYTHON" if args.against else ""
    text = json.dumps({"command": command, **results}, indent=1)
    print(text)
    (ROOT / "benchmarks" / "results" / "scale.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
