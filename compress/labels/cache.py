"""The cache of labels: Parquet files of some hundred rows, each row under the key of what it is.

The key's column is called "address".
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from edgeemo.errors import BadData
from edgeemo.io.files import replacing

LOG = logging.getLogger("edgeemo")


def sha_of(what: Any) -> str:
    """The sha256 of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


class LabelCache:
    """The Parquet files of one folder. A file is written once, whole, and never changed.

    Args:
        folder: made with the first file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def cache_keys(self) -> set[str]:
        """Of all rows. A damaged file is removed with a warning, and its rows are made again."""
        keys: set[str] = set()
        for path in self._files():
            try:
                keys.update(_cache_keys(path))
            except (pa.ArrowException, OSError, KeyError) as error:
                LOG.warning("%s is damaged and is made again (%s)", path, error)
                path.unlink(missing_ok=True)
        return keys

    def read(self, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        """Rows by cache key, as far as they are there."""
        missing, rows = set(keys), {}
        for path in self._files():
            if missing and not missing.isdisjoint(_cache_keys(path)):
                for row in pq.read_table(path).to_pylist():
                    if row["address"] in missing:
                        rows[row["address"]] = row
                missing -= rows.keys()
        return rows

    def write(self, columns: Mapping[str, Any]) -> None:
        """Add rows, given by column; "address" is one of them.

        Raises:
            BadData: the file cannot be written; the message tells what to do.
        """
        path = self.folder / f"{sha_of(columns['address'])[:32]}.parquet"
        try:
            with replacing(path) as temporary:
                pq.write_table(pa.table(dict(columns)), temporary, compression="none")
        except OSError as error:
            raise BadData(
                f"{path} cannot be written ({error.strerror or error}); labels made so far are "
                "kept: make room and run again"
            ) from None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9a-f]*.parquet"))


def _cache_keys(path: Path) -> list[str]:
    keys: list[str] = pq.read_table(path, columns=["address"])["address"].to_pylist()
    return keys
