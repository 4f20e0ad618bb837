#!/usr/bin/env bash
# Ray Data: of two idle actors on two nodes, one gets both blocks and the other none.
#
# Seen with ray 2.60.0. A pool of two actors, one on each node of a cluster, both alive before the
# first block is sent; two blocks in the driver's node, each a second of work. Blocks that each
# node worked on:
#
#     default                             2 0
#     max_tasks_in_flight_per_actor=1     1 1
#
# By default two blocks may be in flight to an actor, and an actor on the node where a block lies
# goes before an idle one elsewhere; ExecutionOptions.actor_locality_enabled, which is about that, is
# deprecated in this version. With few large blocks half of such a cluster stands still.
# Exit status 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q --disable-pip-version-check 'ray[data]==2.60.0' \
    numpy==2.4.6 pandas==3.1.1 pyarrow==26.0.1
export RAY_USAGE_STATS_ENABLED=0 RAY_TMPDIR=$folder RAY_AUTH_MODE=disabled
export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 # nothing listens but on 127.0.0.1
# Patience on a busy machine.
export RAY_worker_niceness=0 RAY_worker_register_timeout_seconds=300
export RAY_gcs_rpc_server_reconnect_timeout_s=300
venv/bin/python - 2>noise <<'PYTHON' || { tail -5 noise; exit 1; }
import time
from collections import Counter

import ray
from ray.cluster_utils import Cluster
from ray.data import ActorPoolStrategy, DataContext


class Work:
    def __call__(self, batch):
        time.sleep(1)
        return {"node": [ray.get_runtime_context().get_node_id()]}


def blocks(**options):
    """Blocks that each node worked on."""
    rows = ray.data.from_items([{"block": i} for i in range(2)], override_num_blocks=2)
    pool = ActorPoolStrategy(size=2, **options)
    done = rows.map_batches(Work, batch_size=1, num_cpus=1, compute=pool).take_all()
    nodes = Counter(row["node"] for row in done)
    return " ".join(str(count) for _, count in nodes.most_common()) + " 0" * (2 - len(nodes))


def start(attempt):
    """Ray gives the processes of a node 15 s to start; on a busy machine they need more."""
    for _ in range(4):
        try:
            return attempt()
        except Exception as error:
            print(error)
    return attempt()


head = {"num_cpus": 1, "include_dashboard": False, "no_monitor": True}
cluster = start(lambda: Cluster(initialize_head=True, head_node_args=head))
start(lambda: cluster.add_node(num_cpus=1))
ray.init(cluster.address, log_to_driver=False)
DataContext.get_current().wait_for_min_actors_s = 300
found = blocks(), blocks(max_tasks_in_flight_per_actor=1)
ray.shutdown()
cluster.shutdown()
print(f"default                             {found[0]}")
print(f"max_tasks_in_flight_per_actor=1     {found[1]}")
raise SystemExit(found != ("2 0", "1 1"))
PYTHON
