"""Freed memory stays with the process, where the C library can be asked for that."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import ctypes, resource
from edgeemo.compress.train.memory import keep_freed_memory
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]
def use():
    block = library.malloc(ctypes.c_size_t(1 << 24))
    ctypes.memset(block, 1, 1 << 24)
    library.free(block)
{call}
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Page faults of five uses of 16 MB, one after the other."""


def faults(call: str) -> int:
    found = subprocess.run(
        [sys.executable, "-c", COUNT.format(call=call)], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_memory_is_not_cleared_anew() -> None:
    assert faults("assert keep_freed_memory()") < 10
    assert faults("") >= 5  # of a page each at the very least, huge ones
