"""What do many streams cost in one program: streams a core, KB a stream, delay of a service?

    python benchmarks/programs.py [--streams 50]
    python benchmarks/programs.py --service [--streams 50] [--seconds 20]

Each row is measured in a process of its own with one thread. Streams a core: processor time of one
minute of shipped speech in blocks of 20 ms. KB a stream: growth of resident memory by so many
streams, twice, that have 4 s of sound behind them. The service is one process that takes WebSocket
connections on loopback, each with blocks of 20 ms at real speed, from clients in another process;
the delay is the clock from when a block was sent until its estimate is back. On a machine that does
other work, too, that is the delay of the others, unless the service and its clients go first; on
one core together, as root:

    chrt -f 1 taskset -c 0 python benchmarks/programs.py --service
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgeemo import Session, Stream, load
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.errors import require
from edgeemo.io.files import write_text

MODEL = "wav2small-stream"
ROWS = (
    ("c", 16_000, "energy"),
    ("c", 48_000, "energy"),
    ("c", 16_000, "silero"),
    ("c", 16_000, None),
    ("onnx", 16_000, "energy"),
    ("tflite", 16_000, "energy"),
)
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def minute(rate: int = 16_000) -> np.ndarray[Any, np.dtype[np.float32]]:
    """One minute of shipped speech."""
    files = sorted(need("speech/librispeech").glob("*.ogg"))
    sound = np.concatenate([read_audio(file, rate) for file in files])
    return np.resize(sound, 60 * rate)


def resident() -> int:
    """Memory of this process, bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cost(backend: str, rate: int, gate: str | None, streams: int) -> dict[str, Any]:
    """One row of the table; in this process.

    Args:
        backend: what runs the model.
        rate: of the sound, Hz.
        gate: as for `Session.stream`.
        streams: how many share the memory.
    """
    session, sound = load(MODEL, backend), minute(rate)
    blocks = np.split(sound, 60 * 50)
    with session.stream(rate, gate=gate) as stream:
        for block in blocks[:500]:
            stream.push(block)
        begun = time.process_time()
        for block in blocks:
            stream.push(block)
        used = time.process_time() - begun
    many: list[Stream] = []

    def more() -> int:
        for _ in range(2 * streams):
            many.append(session.stream(rate, gate=gate))
            for block in blocks[:200]:
                many[-1].push(block)
        return resident()

    # The first ones fill up memory that the program had and does not use.
    grown = -(more() - more()) / (2 * streams) / 1024
    return {
        "backend": backend,
        "rate": rate,
        "gate": gate or "none",
        "streams a core": round(60 / used),
        "KB a stream": round(grown),
    }


async def serve(session: Session, ready: asyncio.Future[int], done: asyncio.Event) -> None:
    """The service of docs/guides/programs.md: a block in, its estimates out."""

    async def listen(socket: Any) -> None:
        with session.stream() as stream, suppress(closed):
            async for packet in socket:
                for emotion in stream.push(np.frombuffer(packet, np.int16)):
                    await socket.send(json.dumps({"end": emotion.end, "arousal": emotion.arousal}))

    server = require("websockets.asyncio.server", "dev").serve
    closed = require("websockets.exceptions", "dev").ConnectionClosed
    async with server(listen, "127.0.0.1", 0, compression=None) as running:
        ready.set_result(running.sockets[0].getsockname()[1])
        await done.wait()


async def _service(streams: int, seconds: float) -> dict[str, Any]:
    ready, done = asyncio.get_running_loop().create_future(), asyncio.Event()
    server = asyncio.create_task(serve(load(MODEL), ready, done))
    port = await ready
    command = [sys.executable, __file__, "--clients", str(port)]
    command += ["--streams", str(streams), "--seconds", str(seconds)]
    cpu = time.process_time()
    clients = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    out, _ = await clients.communicate()
    used = time.process_time() - cpu
    done.set()
    await server
    first = os.sched_getscheduler(0) == os.SCHED_FIFO
    return {
        **json.loads(out),
        "cores of service and clients together": len(os.sched_getaffinity(0)),
        "goes before other work": first,
        "processor seconds a second of all streams' sound": round(used / seconds, 3),
        "load of the machine meanwhile": round(os.getloadavg()[0], 1),
    }


async def clients(port: int, streams: int, seconds: float) -> dict[str, Any]:
    """Send sound at real speed over many connections; what came back, and how late.

    Args:
        port: of the service.
        streams: how many connections.
        seconds: of sound on each.
    """
    connect = require("websockets.asyncio.client", "dev").connect
    packets = [p.tobytes() for p in np.split((minute() * 32767).astype(np.int16), 60 * 50)]
    delays: list[float] = []

    async def one(number: int) -> None:
        # People do not begin to speak at one moment.
        await asyncio.sleep(number / streams)
        sent: dict[int, float] = {}
        async with connect(f"ws://127.0.0.1:{port}", compression=None) as socket:

            async def receive() -> None:
                async for message in socket:
                    # The block that completed the estimate's window.
                    packet = math.ceil(json.loads(message)["end"] * 50 - 1e-6)
                    delays.append(time.perf_counter() - sent[packet])

            receiver = asyncio.create_task(receive())
            begun = time.perf_counter()
            for i in range(1, round(seconds * 50) + 1):
                await asyncio.sleep(max(0.0, begun + i / 50 - time.perf_counter()))
                sent[i] = time.perf_counter()
                await socket.send(packets[i % len(packets)])
            await asyncio.sleep(0.5)
            await socket.close()
            await receiver

    await asyncio.gather(*(one(i) for i in range(streams)))
    found = np.array(delays) * 1e3
    return {
        "streams": streams,
        "estimates": len(found),
        "ms, median": round(float(np.median(found)), 1),
        "ms, 99 percent": round(float(np.percentile(found, 99)), 1),
    }


def main() -> None:
    """Print the rows, or the service's, and keep them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--service", action="store_true")
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--clients", type=int, metavar="PORT", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row is not None:
        print(json.dumps(cost(*ROWS[args.row], args.streams)))
    elif args.clients is not None:
        print(json.dumps(asyncio.run(clients(args.clients, args.streams, args.seconds))))
    elif args.service:
        keep("service", asyncio.run(_service(args.streams, args.seconds)))
    else:
        here = [sys.executable, __file__, "--streams", str(args.streams)]
        keep("rows", [_in_a_process([*here, "--row", str(i)]) for i in range(len(ROWS))])


def _in_a_process(command: list[str]) -> dict[str, Any]:
    run = subprocess.run(command, env=os.environ | ONE_THREAD, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(run.stdout))


def keep(part: str, result: object) -> None:
    """Print a part of the results and write it beside the other.

    Args:
        part: "rows" or "service".
        result: what was measured.
    """
    print(json.dumps(result, indent=1))
    path = Path(__file__).parent / "results" / "programs.json"
    document = json.loads(path.read_text()) if path.exists() else {}
    document |= {"command": "python benchmarks/programs.py", "model": MODEL, part: result}
    write_text(path, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
