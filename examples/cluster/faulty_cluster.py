"""Run by test_ray_label.py: ray_label.py where an actor is killed, or a node of two.

python faulty_cluster.py actor|node TEMPORARY ARGUMENTS OF ray_label.py
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray_label

from edgeemo.errors import require


class Mortal(ray_label.Labeller):
    """The first of the actors is killed at its second tar."""

    calls = 0

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        if self.calls == 2 and is_first(self.labeller.folder.parent / "killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


class Placed(ray_label.Labeller):
    """The second node waits at its second tar to be killed; until then the first one waits."""

    calls = 0

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        ray = require("ray", "cluster")
        out = self.labeller.folder.parent
        self.calls += 1
        if ray.get_runtime_context().get_node_id() == (out / "second").read_text():
            if self.calls == 2:
                (out / "doomed").touch()
                time.sleep(3600)
        else:
            wait_for(out / "doomed")
        return super().__call__(batch)


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def is_first(path: Path) -> bool:
    """Whether nobody was here before."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@contextmanager
def two_nodes(out: Path) -> Iterator[str]:
    """A cluster of two nodes of one core each; the second one is killed when it asks for it."""
    Cluster = require("ray.cluster_utils", "cluster").Cluster
    head = {"num_cpus": 1, "include_dashboard": False, "no_monitor": True}
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    second = patiently(lambda: cluster.add_node(num_cpus=1))
    (out / "second").write_text(second.node_id)

    def kill() -> None:
        wait_for(out / "doomed")
        cluster.remove_node(second, allow_graceful=False)
        (out / "killed").touch()

    threading.Thread(target=kill, daemon=True).start()
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def patiently(start: Callable[[], Any]) -> Any:
    """Ray gives the processes of a node 15 s to start; on a busy machine they need more."""
    for _ in range(4):
        try:
            return start()
        except Exception as error:
            print(f"again: {error}")
    return start()


@contextmanager
def no_orphans() -> Iterator[None]:
    """Whatever Ray has started ends here."""
    become_reaper = 36  # PR_SET_CHILD_SUBREAPER: orphans become children of this process
    ctypes.CDLL(None).prctl(become_reaper, 1, 0, 0, 0)
    try:
        yield
    finally:
        while children := Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            for child in map(int, children):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def main(fault: str, temporary: Path, *arguments: str) -> int:
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(temporary / "token"),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # all ports on loopback alone
        "RAY_TMPDIR": str(temporary),
        "RAY_raylet_start_wait_time_s": "20",
        "RAY_worker_register_timeout_seconds": "300",
        "RAY_gcs_rpc_server_reconnect_timeout_s": "300",
        "RAY_worker_niceness": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    (temporary / "token").write_text(os.urandom(32).hex())
    sys.argv[1:] = arguments
    out = Path(arguments[arguments.index("--out") + 1])
    out.mkdir()
    if fault == "actor":
        ray_label.Labeller = Mortal  # type: ignore[misc]
        return ray_label.main()
    ray_label.Labeller = Placed  # type: ignore[misc]
    with two_nodes(out) as address:
        sys.argv += ["--address", address]
        return ray_label.main()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with no_orphans():
        status = main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
    raise SystemExit(status)
