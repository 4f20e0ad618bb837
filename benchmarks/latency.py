"""What do the shipped models cost, beside onnxruntime, LiteRT and librosa's front end?

    python benchmarks/latency.py

is `edgeemo bench --json`, with the check that all peers did the same work, and keeps the result in
benchmarks/results/latency.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from _usage import no_arguments

RESULT = Path(__file__).parent / "results" / "latency.json"
# Between files of two formats int8 rounds in other places.
CLOSE = {"speech": 0.02, "face": 0.15}


def main() -> None:
    no_arguments(__doc__)
    command = [sys.executable, "-m", "edgeemo", "bench", "--json"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [json.loads(line) for line in printed.splitlines()]
    for row in rows:
        print(f"{row['model']:26}{row['peer']:22}{row['ms']:8.2f} ms{row['peak_mb']:8.1f} MB")
        assert row["apart"] < CLOSE[row["task"]], f"{row['peer']}: {row['apart']:.3f} apart"
    shared = ("machine", "protocol", "metrics")  # the same in all rows, or a card's
    RESULT.write_text(
        json.dumps(
            {
                "machine": rows[0]["machine"],
                "protocol": rows[0]["protocol"],
                "command": "python benchmarks/latency.py",
                "rows": [{k: v for k, v in row.items() if k not in shared} for row in rows],
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
