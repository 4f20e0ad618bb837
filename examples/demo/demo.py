"""The whole way in three commands: distill, export --int8, predict, on speech that is shipped."""

import subprocess
import sys
import time
from pathlib import Path

import edgeemo
from edgeemo.compress.data import shipped_speech
from edgeemo.compress.run import last_run

# Two people say the same sentence angrily and sadly; the student may have heard one of them.
CLIPS = [clip.span.path for clip in shipped_speech() if clip.corpus == "cremad"]


def command(*arguments: str | Path) -> None:
    """Show a command and run it; the demo ends where a command fails."""
    words = ["edgeemo", *map(str, arguments)]
    print(f"\n$ {' '.join(words[:6])}{' ...' if len(words) > 6 else ''}", flush=True)
    status = subprocess.run([sys.executable, "-m", *words]).returncode
    if status:
        sys.exit(status)


started = time.monotonic()
command("distill")
run = last_run().folder
command("export", run, "--int8")
(model,) = (run / "export").glob("*-int8.onnx")
command("predict", "--model", model, *CLIPS)

card = edgeemo.load(model).card
minutes, seconds = divmod(round(time.monotonic() - started), 60)
print(f"\nDone in {minutes} min {seconds} s.")
print(f"Model:  {model}, {model.stat().st_size:,} bytes")
for metric in card.metrics:
    print(f"        {metric.measure} of {metric.of}: {metric.value:.3f} on {metric.test_set}")
print(f"Report: {run / 'report.html'}")
