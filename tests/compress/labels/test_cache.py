"""The cache of labels: rows by key, written once; a damaged file is made again."""

import logging

import pytest

from edgeemo.compress.labels.cache import LabelCache, sha_of
from edgeemo.errors import BadData


def rows(*keys):
    return {"address": list(keys), "level": [float(len(key)) for key in keys]}


def test_rows_are_found_by_their_key(tmp_path):
    cache = LabelCache(tmp_path / "labels")
    assert cache.cache_keys() == set() and cache.read(["a"]) == {}
    cache.write(rows("a", "bb"))
    cache.write(rows("ccc"))
    assert cache.cache_keys() == {"a", "bb", "ccc"}
    found = cache.read(["ccc", "a", "none"])
    assert {key: row["level"] for key, row in found.items()} == {"a": 1.0, "ccc": 3.0}


def test_a_damaged_file_is_removed_with_a_warning(tmp_path, caplog):
    cache = LabelCache(tmp_path)
    cache.write(rows("a"))
    cache.write(rows("b"))
    damaged = sorted(tmp_path.glob("*.parquet"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with caplog.at_level(logging.WARNING):
        assert len(cache.cache_keys()) == 1
    assert not damaged.exists() and damaged.name in caplog.text


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadData, match="make room"):
        LabelCache(tmp_path / "file").write(rows("a"))


def test_the_key_does_not_depend_on_the_order_of_a_table():
    assert sha_of({"a": 1, "b": [2]}) == sha_of({"b": [2], "a": 1}) != sha_of({"a": 1, "b": [3]})
