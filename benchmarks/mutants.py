"""What happens to files that were changed on purpose? Every kind of file that edgeemo reads.

    python benchmarks/mutants.py [onnx tflite ...] --count 20000 --seed 1 --write

A mutant is a sound file of which a few fields were changed, with the digest put right, so that only
the guards stand between it and a runtime. An outcome is one of

    refused     an EdgeemoError of one printable line
    answer      the file was used, and what came out is finite
    traceback   any other exception; an answer that is not finite; an error of several lines
    lost        the process ended by a signal
    slow, large more than 5 s of processor time; more than 500 MB in the process

Only the first two are right; any other gives status 1. What a guard lets pass runs in a process of
its own. None is stored: seed and index make it again. With --write the counts are kept every
hundred, and a run that is given the same seed goes on from them, if no guard was changed since.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import logging
import os
import platform
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._mutant_formats import FORMATS, Format
from edgeemo.errors import EdgeemoError
from edgeemo.io.files import write_text

RESULT = Path(__file__).parent / "results" / "mutants.json"
SECONDS, MEGABYTES = 5.0, 500
RIGHT = ("answer", "refused")
_EXITS = ("answer", "refused", "traceback")


def outcome(run: Callable[[], Any]) -> tuple[str, str]:
    """Name of what happened, and a word on it."""
    try:
        run()
    except EdgeemoError as error:
        return ("refused", "") if str(error).isprintable() else ("traceback", "several lines")
    except BaseException:
        return "traceback", traceback.format_exc()
    return "answer", ""


def apart(run: Callable[[], Any], note: Path) -> tuple[str, str]:
    """The same in a process of its own, with what it took."""
    child = os.fork()
    if child == 0:
        signal.alarm(300)
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        name, word = outcome(run)
        note.write_text(word)
        os._exit(_EXITS.index(name))
    _, status, used = os.wait4(child, 0)
    if os.WIFSIGNALED(status):
        return "lost", signal.Signals(os.WTERMSIG(status)).name
    if used.ru_utime + used.ru_stime > SECONDS:
        return "slow", f"{used.ru_utime + used.ru_stime:.1f} s"
    if used.ru_maxrss > MEGABYTES * 1024:
        return "large", f"{used.ru_maxrss // 1024} MB"
    return _EXITS[os.WEXITSTATUS(status)], note.read_text()


def one(kind: Format, seed: int, index: int, folder: Path) -> tuple[str, str]:
    """Make a mutant, and see what happens to it."""
    rng = Random(f"{seed} {index}")
    while True:
        try:
            data = kind.mutant(rng)
            break
        except Exception:  # the tool that packs it refuses some values; the next one is taken
            continue
    path = folder / f"mutant{kind.suffix}"
    path.write_bytes(data)
    before = time.process_time()
    made: list[Any] = []
    found = outcome(lambda: made.append(kind.read(path)))
    took = time.process_time() - before
    if took > SECONDS:
        return "slow", f"{took:.1f} s in the guard"
    if found[0] == "answer" and kind.use is not None:
        use = kind.use
        return apart(lambda: use(path, *made), folder / "note")
    return found


def outcomes(name: str, count: int, seed: int, first: int = 0) -> Iterator[tuple[int, str, str]]:
    """Index, outcome and a word for all mutants of a format from the first index on.

    They are made in a process that is begun anew when it is lost.
    """
    while first < count:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _keeper(name, first, count, seed, writer)
        os.close(writer)
        with os.fdopen(reader) as lines:
            begun = lines.readline()
            for line in lines:
                index, found, word = json.loads(line)
                first = index + 1
                yield index, found, word
        _, status, used = os.wait4(child, 0)
        if not begun:
            raise SystemExit(f"{name}: no mutant could be made, see above (status {status})")
        if first < count or status:
            yield first, "lost", f"the guard, status {status}"
            first += 1
        elif used.ru_maxrss > 2 * MEGABYTES * 1024:
            yield first - 1, "large", f"{used.ru_maxrss // 1024} MB in the guard"


def _keeper(name: str, first: int, count: int, seed: int, writer: int) -> None:
    logging.disable()
    kind = FORMATS[name]()
    with tempfile.TemporaryDirectory() as folder, os.fdopen(writer, "w", buffering=1) as out:
        out.write("begun\n")
        for index in range(first, count):
            out.write(json.dumps([index, *one(kind, seed, index, Path(folder))]) + "\n")
    os._exit(0)


def main() -> int:
    """Run, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("--count", type=int, default=200, help="of each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"keep the counts in {RESULT.name}")
    args = parser.parse_args()
    guards()
    wrong = 0
    for name in args.formats or FORMATS:
        counts = kept(name, args.seed, args.count) if args.write else Counter[str]()
        for index, found, word in outcomes(name, args.count, args.seed, counts.total()):
            counts[found] += 1
            if found not in RIGHT:
                print(f"{name} {index}: {found}: {word}", flush=True)
            if counts.total() % 1000 == 0:
                print(f"{counts.total()} of {args.count}", file=sys.stderr, flush=True)
            if args.write and counts.total() % 100 == 0:
                keep(name, args.seed, counts)
        wrong += sum(n for found, n in counts.items() if found not in RIGHT)
        print(f"{name}: " + ", ".join(f"{n} {k}" for k, n in counts.most_common()), flush=True)
        if args.write:
            keep(name, args.seed, counts)
    return int(wrong > 0)


@cache
def guards() -> str:
    """Digest of the code that makes, reads and checks mutants; another one begins anew."""
    root = Path(__file__).resolve().parents[1]
    folders = ("edgeemo/artifacts", "edgeemo/io", "edgeemo/backends", "compress/data")
    files = [file for folder in folders for file in sorted((root / folder).glob("*.py"))]
    files += [root / "benchmarks" / f"_{name}.py" for name in ("mutators", "mutant_formats")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def kept(name: str, seed: int, count: int) -> Counter[str]:
    """Outcomes that an earlier run with the same code and seed left; none if there is no such."""
    row = json.loads(RESULT.read_text()).get(name, {}) if RESULT.exists() else {}
    same = row.get("guards") == guards() and row["seed"] == seed and row["count"] <= count
    return Counter(row["outcomes"] if same else {})


def keep(name: str, seed: int, counts: Counter[str]) -> None:
    """Write a format's row beside the others."""
    count = counts.total()
    row = {
        "count": count,
        "seed": seed,
        "command": f"python benchmarks/mutants.py {name} --count {count} --seed {seed} --write",
        "python": platform.python_version(),
        "guards": guards(),
        "outcomes": dict(counts.most_common()),
    }
    with Path(__file__).open() as lock:  # formats may run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        write_text(RESULT, json.dumps(rows | {name: row}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
