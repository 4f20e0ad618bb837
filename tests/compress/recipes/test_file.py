from pathlib import Path

import pytest

from edgeemo.compress.recipes import dump_recipe, load_recipe, recipe_names
from edgeemo.compress.recipes.file import FOLDER
from edgeemo.compress.students import make_student, student_names
from edgeemo.errors import BadRecipe
from edgeemo.vision.images import ImageSpec

LEAST = 'schema = 2\n[student]\nname = "x"\n[distill]\nepochs = 1\n'


@pytest.fixture
def read(tmp_path: Path):
    def load(text: str):
        path = tmp_path / "r.toml"
        path.write_text(text)
        return load_recipe(path)

    return load


def test_every_shipped_recipe_is_read_and_written_back_equal(read):
    assert {"demo", "wav2small", "wav2small-17k"} <= set(recipe_names())
    assert {p.stem for p in FOLDER.rglob("*.toml")} == set(recipe_names())
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.student.name in student_names()
        assert read(dump_recipe(recipe)) == recipe


def test_defaults_and_odd_values_survive_writing(read):
    recipe = read(LEAST + "loss = { ccc = 1, kl = 1e-3 }\n[student.options]\nwidth = 0.5\n")
    assert recipe.distill.loss == {"ccc": 1.0, "kl": 0.001}
    assert recipe.name == "r" and read(dump_recipe(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            LEAST.replace("schema = 2", "schema = 3"),
            r"schema: 3, this edgeemo reads 1 to 2; update",
        ),
        (LEAST.replace("schema = 2", "schema = 0"), r"schema: 0; this edgeemo reads 1 to 2"),
        (LEAST + "epoch = 2\n", r"distill.epoch: unknown key; did you mean 'epochs'"),
        (LEAST.replace("epochs = 1", "epochs = true"), r"distill.epochs: expected int"),
        (LEAST.replace("epochs = 1", "epochs = 0"), r"distill.epochs: 0 is for a trained student"),
        (LEAST.replace("epochs = 1", "epochs = -1"), r"distill.epochs: -1; expected 0 to"),
        (LEAST + "lr = 5.0\n", r"distill.lr: 5; expected"),
        (LEAST + "loss = { cc = 1.0 }\n", r"distill.loss.cc: unknown loss; did you mean 'ccc'"),
        (LEAST + "loss = { ccc = 0.0 }\n", r"every weight is 0"),
        (LEAST + '[early_stopping]\nmetric = "test.ccc.mean"\n', r"test speakers"),
        (LEAST + '[early_stopping]\nmetric = "ccc"\n', r"expected valid"),
        (
            LEAST + '[early_stopping]\nmetric = "last"\npatience = 2\n',
            r"patience: 2; nothing ends early",
        ),
        (LEAST + "prior = 1.0000001\n", r"distill.prior: 1.0000001; expected 0 to 1"),
        ("seed = 2147483649\n" + LEAST, r"seed: 2147483649; expected 0 to 2147483648"),
        (
            LEAST + "[augment]\nlow_hz = [300, 900]\nhigh_hz = [800, 4000]\n",
            r"augment.high_hz: \[800.0, 4000.0\]; begins below the end of low_hz",
        ),
        (LEAST + "[augment]\nsnr_db = [9.0, 1.0]\n", r"augment.snr_db: \[9.0, 1.0\]"),
        (
            LEAST + "[augment]\ntargets = 'clean'\n",
            r"augment.mixup_p: 0.2; with targets 'clean' the teacher is given other words",
        ),
        (LEAST + "[data]\nvalid = 0.5\ntest = 0.5\n", r"data.valid \+ data.test"),
        (LEAST.replace("[distill]\nepochs = 1\n", ""), r"\$.distill: missing"),
        ("schema = ", r"not TOML"),
        (LEAST.replace("[student]", "a = " + "1" * 400 + "\n[student]"), r"more than 64 bits"),
        (LEAST.replace("[student]", "a = " + "[" * 3000 + "\n[student]"), r"not TOML"),
        *(
            (f'name = "{name}"\n' + LEAST, r"\$\.name: .*expected a plain name")
            for name in ("../../x", "/x", "..", "a/b", ".hidden", "-rf", "a\\\\b", "x" * 101)
        ),
        ('name = "a\\u001b[2J"\n' + LEAST, r"\$\.name: expected one line"),
    ],
)
def test_faults_are_named_with_their_path(read, text, message):
    with pytest.raises(BadRecipe, match=message) as found:
        read(text)
    assert "r.toml" in str(found.value)


def test_a_recipe_that_is_not_there():
    with pytest.raises(BadRecipe, match="did you mean 'demo'"):
        load_recipe("demoo")
    with pytest.raises(BadRecipe, match="no such file"):
        load_recipe("nowhere/x.toml")


@pytest.mark.parametrize(
    "name",
    [
        "face-teacher",
        "face-teacher-identity",
        "efficientnet-lite0-face",
        "mobilenetv1-face",
        "mobilenetv1-face-on",
        "mobilenetv3-small-face",
        "mobilenetv4-conv-small-face",
    ],
)
def test_shipped_recipes_of_faces_name_students_of_faces(name):
    recipe = load_recipe(name)
    made = make_student(recipe.student.name, **recipe.student.options)
    assert recipe.task == "face" and isinstance(made.spec, ImageSpec)
