"""Run by test_labeller.py in each of two processes: what each finds, writes and says."""

import importlib.util
import json
import sys
import time
from pathlib import Path

from edgeemo.compress import distributed
from edgeemo.compress.data import shipped_speech
from edgeemo.compress.labels import labeller, rows
from edgeemo.compress.recipes import SCHEMA, DistillConfig, Recipe, StudentConfig
from edgeemo.errors import EdgeemoError
from edgeemo.features import SPECS

_SHARED = Path(__file__).parents[1] / "conftest.py"
spec = importlib.util.spec_from_file_location("shared", _SHARED)
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)

CLIPS = shipped_speech().clips[:24]


class Late(labeller.LabelCache):
    """Lists what is there only after the other process has written rows."""

    def cache_keys(self):
        while len(list(self.folder.glob("[0-9a-f]*.parquet"))) < 2:
            time.sleep(0.01)
        return super().cache_keys()


def label(cache, kind=None):
    """Rows that this process holds, or the error that it raises."""
    recipe = Recipe(SCHEMA, StudentConfig("probe"), DistillConfig(epochs=1))
    made = labeller.Labeller(shared.Ear(), SPECS["logmel40"], recipe, cache)
    if kind is not None:
        made.cache = kind(made.cache.folder)
    try:
        return len(made.label(CLIPS))
    except EdgeemoError as error:
        return f"{type(error).__name__}: {error}"


def main(out: Path) -> None:
    distributed.start()
    rank = distributed.rank()
    rows.SHARD = 4
    found = {"late": label(out / "late", Late if rank else None)}
    found["two caches"] = label(out / f"cache-{rank}")
    if rank == 0:  # the other process ends here
        found["alone"] = label(out / "alone")
    (out / f"rank{rank}.json").write_text(json.dumps(found))
    distributed.finish()


main(Path(sys.argv[1]))
