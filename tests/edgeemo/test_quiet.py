"""Libraries are silent, Python is not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from edgeemo.quiet import quiet

PROGRAM = """
import os, sys, threading
from edgeemo.quiet import quiet
print("before", file=sys.stderr)
with quiet():
    os.write(2, b"a library\\n")
    print("inside", file=sys.stderr)
    thread = threading.Thread(target=lambda: print("a thread", file=sys.stderr))
    thread.start(); thread.join()
    with quiet():
        os.write(2, b"again\\n")
    os.write(2, b"still\\n")
os.write(2, b"after\\n")
print("end", file=sys.stderr)
"""


def test_what_python_prints_is_kept() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert run.stderr.splitlines() == ["before", "inside", "a thread", "after", "end"]


def test_threads_leave_it_as_it_was() -> None:
    before, target = sys.stderr, os.fstat(2).st_ino

    def many() -> None:
        for _ in range(100):
            with quiet():
                print("", end="", file=sys.stderr)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stderr is before and os.fstat(2).st_ino == target
