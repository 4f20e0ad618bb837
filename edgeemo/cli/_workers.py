"""Files read by several processes; rows come in the order of the files.

A worker is `python -m edgeemo.cli._workers`: a line of JSON with the options, then a line for some
files; it answers each with one line. A process that dies takes one file with it, and is replaced.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict

from edgeemo.cli._predictor import Options, Predictor, Row, text_of
from edgeemo.errors import EdgeemoError, one_line
from edgeemo.inputs import Input

_AHEAD = 4  # questions a worker that are asked before their rows are wanted
_FILES = 16  # in a question, if there are many


def rows_of(
    files: Sequence[Input], options: Options, jobs: int
) -> Iterator[tuple[Input, list[Row]]]:
    """The rows of each file, in the order of the files.

    Args:
        files: what to read.
        options: as for `Predictor`.
        jobs: processes.

    Raises:
        EdgeemoError: a model or a package is at fault, not a file.
    """
    pool = _Pool(options)
    size = max(1, min(_FILES, len(files) // (8 * jobs)))
    waiting: deque[tuple[Sequence[Input], Future[list[list[Row]]]]] = deque()
    with ThreadPoolExecutor(jobs) as threads:
        try:
            for at in range(0, len(files) + _AHEAD * jobs * size, size):
                if part := files[at : at + size]:
                    waiting.append((part, threads.submit(pool.rows, part)))
                if waiting and (not part or len(waiting) >= _AHEAD * jobs):
                    first, future = waiting.popleft()
                    yield from zip(first, future.result(), strict=True)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            pool.close()


class _Pool:
    """A process for each thread that asks."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._mine = threading.local()
        self._all: list[subprocess.Popen[str]] = []

    def rows(self, files: Sequence[Input]) -> list[list[Row]]:
        """The rows of each file, from the thread's worker."""
        worker = self._worker()
        assert worker.stdin is not None and worker.stdout is not None
        answer = ""
        try:
            worker.stdin.write(json.dumps([asdict(file) for file in files]) + "\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
        except (OSError, ValueError):
            pass  # it died; the answer is empty
        if not answer.endswith("\n"):
            self._mine.worker = None
            how = worker.wait()
            if len(files) > 1:  # which one it was, a question for each will show
                return [rows for file in files for rows in self.rows([file])]
            reason = f"signal {-how}" if how < 0 else f"exit status {how}"
            error = f"the process that read it ended ({reason})"
            return [[{"path": text_of(files[0].path), "error": error}]]
        found = json.loads(answer)
        if isinstance(found, str):
            raise EdgeemoError(found)
        rows: list[list[Row]] = found
        return rows

    def _worker(self) -> subprocess.Popen[str]:
        worker: subprocess.Popen[str] | None = getattr(self._mine, "worker", None)
        if worker is None:
            command = [sys.executable, "-m", "edgeemo.cli._workers"]
            worker = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="ascii"
            )
            assert worker.stdin is not None
            # A model that was named has said already who it is.
            announce = not self._all and self._options.model is None
            worker.stdin.write(json.dumps([asdict(self._options), announce]) + "\n")
            self._mine.worker = worker
            self._all.append(worker)
        return worker

    def close(self) -> None:
        """End all processes."""
        for worker in self._all:
            if worker.stdin is not None:
                worker.terminate()
                worker.wait()
                for pipe in (worker.stdin, worker.stdout):
                    try:
                        if pipe is not None:
                            pipe.close()
                    except OSError:  # what was not sent to a process that has ended
                        continue


def _work() -> None:
    """Answer files until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what libraries print is no answer
    asked = iter(sys.stdin)
    predictor: Predictor | None = None
    chosen, announce = json.loads(next(asked))
    options = Options(**chosen)
    for line in asked:
        try:
            predictor = predictor or Predictor(options, announce=announce)
            asked_for = (Input(**file) for file in json.loads(line))
            answer: list[list[Row]] | str = [[*predictor.rows(file)] for file in asked_for]
        except EdgeemoError as error:
            answer = str(error) or one_line(error)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _work()
