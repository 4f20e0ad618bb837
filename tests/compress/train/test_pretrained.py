"""Weights that others published become those of a student."""

import pytest
import torch

from edgeemo.compress.students import make_student
from edgeemo.compress.train.pretrained import load_pretrained
from edgeemo.errors import BadArtifact
from tests.compress.faces import SMALL


def published(student):
    """The weights of a grey student as the package of the ImageNet weights would hold them."""
    state, found = student.state_dict(), {}
    last = len(student.layers) - 1
    for key, value in state.items():
        if not key.startswith("layers."):
            continue
        _, layer, *rest = key.split(".")
        if layer in ("0", str(last)):
            conv, norm = ("_conv_stem", "_bn0") if layer == "0" else ("_conv_head", "_bn1")
        else:
            i, parts = (
                int(layer) - 1,
                [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")],
            )
            conv, norm = (f"_blocks.{i}.{n}" for n in (parts if i else parts[1:])[int(rest[1])])
            rest = rest[2:]
        found[f"{conv if rest[0] == 'conv' else norm}.{rest[1]}"] = value
    # Colour there: three kernels that add up; twice ours, because ours is twice the picture.
    stem = found["_conv_stem.weight"]
    found["_conv_stem.weight"] = 2 * torch.cat([0.5 * stem, 0.2 * stem, 0.3 * stem], 1)
    return found


def test_published_weights_become_a_start(tmp_path):
    torch.manual_seed(4)
    source = make_student("efficientnet-lite0-face", blocks=4, wide=32, size=32).eval()
    path = tmp_path / "published.pth"
    torch.save(published(source), path)
    other = make_student("efficientnet-lite0-face", blocks=4, wide=32, size=32).eval()
    load_pretrained(other, path)
    x = torch.randn(2, 32, 32, 1)
    assert torch.allclose(other(x).embedding, source(x).embedding, atol=1e-5)
    with pytest.raises(BadArtifact, match="mobilenetv3-small-face"):
        load_pretrained(make_student("mobilenetv3-small-face", **SMALL), path)
    (tmp_path / "noise.pt").write_bytes(b"noise")
    with pytest.raises(BadArtifact, match=r"noise\.pt"):
        load_pretrained(other, tmp_path / "noise.pt")


def test_a_start_of_another_shape_names_the_layer(tmp_path):
    from edgeemo.compress.students import save_student

    save_student(make_student("mobilenetv3-small-face", **SMALL), tmp_path / "student.pt")
    other = make_student("mobilenetv3-small-face", **(SMALL | {"width": 0.5}))
    with pytest.raises(
        BadArtifact,
        match=r"student\.pt: layer layers\.\d+\..*weight has the shape \[.*\], that of "
        r"mobilenetv3-small-face \[.*\]; give \$\.student\.name and",
    ):
        load_pretrained(other, tmp_path / "student.pt")


def test_published_weights_of_which_no_layer_fits_name_the_first(tmp_path):
    torch.manual_seed(4)
    wide = make_student("efficientnet-lite0-face", blocks=1, wide=32, size=32)
    state = published(wide)
    torch.save(
        {
            key: value.flatten(1).repeat(1, 2) if value.ndim == 4 else value
            for key, value in state.items()
            if key != "_conv_stem.weight"
        }
        | {"_conv_stem.weight": state["_conv_stem.weight"][:, :, :2]},
        tmp_path / "cut.pth",
    )
    with pytest.raises(BadArtifact, match=r"layer layers\.0\.conv\.weight has the shape"):
        load_pretrained(wide, tmp_path / "cut.pth")


def test_a_shorter_student_starts_from_the_first_layers(tmp_path):
    from edgeemo.compress.students import save_student

    whole = make_student("mobilenetv1-face", width=0.25, size=32)
    save_student(whole, tmp_path / "student.pt")
    first = make_student("mobilenetv1-face", width=0.25, size=32, pairs=4)
    load_pretrained(first, tmp_path / "student.pt")
    assert len(first.layers) == 9
    assert all(
        torch.equal(value, whole.state_dict()[key])
        for key, value in first.state_dict().items()
        if key.startswith("layers.")
    )


@pytest.mark.parametrize("name", ["student.pt", "faceres.json", "start.onnx"])
def test_a_start_that_is_not_there_says_where_it_was_sought(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    student = make_student("mobilenetv1-face", **SMALL)
    with pytest.raises(BadArtifact, match=rf"^{name}: no such file, seen from {tmp_path}; give"):
        load_pretrained(student, name)
