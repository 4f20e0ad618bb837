"""The command itself, in this process, with a teacher that the test writes."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgeemo.cli import main
from edgeemo.compress.data import shipped_speech
from edgeemo.compress.run import Run, last_run

ROOT = Path(__file__).resolve().parents[2]

# The fixture traces a module, and the command loads it, in whichever test comes first.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit")

RECIPE = """
schema = 2
name = "tiny"
[data]
clip_seconds = 1.0
[student]
name = "mobilenetv3-small"
[student.options]
width = 0.25
[distill]
epochs = {epochs}
batch = 32
"""

TEACHER = """
schema = 1
kind = "torchscript"
name = "loudness"
licence = "CC0 1.0"
model = "teacher.pt"
[adv]
order = ["arousal", "dominance", "valence"]
"""


class Loudness(nn.Module):
    """Level, zero crossings and roughness of the wave as arousal, dominance, valence."""

    def forward(self, wave: Tensor) -> Tensor:
        level = wave.abs().mean(1)
        crossings = (wave[:, 1:] * wave[:, :-1] < 0).float().mean(1)
        rough = (wave[:, 1:] - wave[:, :-1]).abs().mean(1)
        return torch.stack([level * 5, crossings * 2, 1 - rough * 5], dim=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Teacher, recipes, and a corpus of four people with one file that cannot be read."""
    made = tmp_path_factory.mktemp("cli")
    wave = torch.zeros(1, 16000)
    torch.jit.trace(Loudness(), wave).save(str(made / "teacher.pt"))
    (made / "teacher.toml").write_text(TEACHER)
    for name, epochs in (("short", 2), ("long", 200)):
        (made / f"{name}.toml").write_text(RECIPE.replace("{epochs}", str(epochs)))
    corpus = made / "corpus"
    corpus.mkdir()
    lines = ["path,speaker,emotion"]
    for clip in shipped_speech().clips:
        if clip.speaker in ("emodb/03", "emodb/08", "emodb/09", "emodb/10", "emodb/11"):
            (corpus / clip.span.path.name).write_bytes(clip.span.read())
            lines.append(f"{clip.span.path.name},{clip.speaker[-2:]},{clip.emotion}")
    (corpus / "broken.wav").write_bytes(b"RIFF")
    lines.append("broken.wav,03,anger")
    (corpus / "labels.csv").write_text("\n".join(lines) + "\n")
    return made


def arguments(folder, recipe, out):
    return [
        "distill",
        "--recipe",
        str(folder / recipe),
        "--data",
        str(folder / "corpus"),
        "--teacher",
        str(folder / "teacher.toml"),
        "--out",
        str(out),
    ]


@pytest.fixture
def quiet_logger():
    """The command gives the logger a handler on this test's stderr; take it away again."""
    yield
    logging.getLogger("edgeemo").handlers.clear()


def test_distill_leaves_a_run_and_prints_what_came_out(folder, capsys, quiet_logger):
    out = folder / "runs" / "one"
    assert main([*arguments(folder, "short.toml", out), "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["run"] == str(out) and Path(found["report"]).is_file()
    assert found["skipped"] == 1 and "broken.wav" in said.err
    assert [t["name"] for t in found["teachers"]] == ["loudness"]
    assert "training" in said.err and "labelling" in said.err
    run = last_run(out.parent)
    assert run.folder == out and run.facts().student == "mobilenetv3-small"
    for option in ("--recipe", "--data", "--teacher"):
        assert main(["distill", "--resume", str(out), option, "other"]) == 2
        assert f"goes on as the run began; leave {option} out" in capsys.readouterr().err
    assert main(["distill", "--resume", str(out)]) == 2
    assert "is finished; export it" in capsys.readouterr().err


def test_distill_prints_lines_for_people(folder, capsys, quiet_logger):
    assert main(arguments(folder, "short.toml", folder / "runs" / "two")) == 0
    text = capsys.readouterr().out
    for word in ("parameters", "M MAC a second", "arousal", "mean level alone", "Report:", "-int8"):
        assert word in text, word


def test_the_next_command_writes_what_was_trained_for(folder, capsys, quiet_logger):
    recipe = folder / "four.toml"
    short = (folder / "short.toml").read_text()
    recipe.write_text(short + '[qat]\nweights = "int4"\nepochs = 1\nlr = 1e-4\n')
    out = folder / "runs" / "of four bits"
    assert main(arguments(folder, recipe.name, out)) == 0
    assert f"Next: edgeemo export '{out}' --int4\n" in capsys.readouterr().out


@pytest.mark.slow
def test_interrupted_distill_says_how_to_go_on(folder):
    out = folder / "runs" / "cut"
    command = [sys.executable, "-m", "edgeemo", *arguments(folder, "long.toml", out)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as child:
        deadline = time.monotonic() + 60
        while not (out / "checkpoints" / "last.pt").is_file() and time.monotonic() < deadline:
            time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert f"go on with: edgeemo distill --resume {out}" in err
    run = Run(out)
    assert not run.finished and run.recipe.distill.epochs == 200
    epochs = len(run.history())
    text = (out / "recipe.toml").read_text()
    assert 0 < epochs < 200 and 'name = "tiny"' in text


def test_a_corpus_that_the_data_lack_is_told(folder, capsys, quiet_logger, monkeypatch):
    text = (folder / "short.toml").read_text()
    (folder / "more.toml").write_text(f"{text}[augment]\ncorpus_copies = {{ emotal = 3 }}\n")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "begin", stop)
    assert main(arguments(folder, "more.toml", folder / "runs" / "none")) == 130
    err = capsys.readouterr().err
    assert "$.augment.corpus_copies.emotal: no such corpus in the data; there is: " in err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--recipe", "nothing"], "no recipe 'nothing'"),
        (["--data", "/nowhere"], "/nowhere"),
        (["--teacher", "nobody"], "nobody"),
        (["--test-speakers", "3"], "test speaker '3' is not one person"),
        (["--folds", "9"], "9 folds of 5 speakers; expected 2 to 5"),
        (["--fold-column", "fold"], "no value in the column 'fold'"),
        (["--repeats", "3"], "give --folds N too"),
        (["--folds", "0"], "--folds is 0; expected 2 or more"),
        (["--folds", "2", "--repeats", "0"], "--repeats is 0; expected 1 or more"),
        (["--folds", "2", "--jobs", "-1"], "--jobs is -1; expected 1 or more"),
        (["--folds", "2", "--test-speakers", "03"], "give one of"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line_and_leave_nothing(
    folder, capsys, change, message, quiet_logger
):
    out = folder / "runs" / "none"
    given = arguments(folder, "short.toml", out)
    assert main([*given, *change]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not out.exists()
