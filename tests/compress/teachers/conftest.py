"""Tiny checkpoints of the published classes, made here: two layers, 32 wide, random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from safetensors.torch import save_file

SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
BASE = {"feat_extract_norm": "group", "do_stable_layer_norm": False}


def shaken(model, seed: int = 0):
    """Weights large enough that every mistake moves the output; eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            scale = 0.3 if parameter.ndim > 1 else 0.1
            parameter.copy_(noise * scale + (1.0 if parameter.ndim == 1 else 0.0) * 0.5)
    return model.eval()


def write(folder: Path, state, config: dict, file: str = "model.safetensors") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    plain = {name: value.detach().clone().contiguous() for name, value in state.items()}
    if file.endswith("safetensors"):
        save_file(plain, folder / file)
    else:
        torch.save(plain, folder / file)
    return folder


def tensor(seed: int, *shape: int, scale: float = 0.3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


@pytest.fixture(scope="session")
def clips() -> list[np.ndarray]:
    """Five clips of different lengths, level and colour; the shortest gives a few frames."""
    rng = np.random.default_rng(7)
    made = []
    for length, level in [(9000, 0.02), (2300, 0.3), (16000, 0.1), (4321, 0.05), (2300, 0.01)]:
        noise = rng.standard_normal(length + 4)
        smooth = np.convolve(noise, rng.random(5), mode="valid")
        made.append((level * (smooth + 0.3 * rng.standard_normal())).astype(np.float32))
    return made


@pytest.fixture(scope="session")
def tiny():
    """The helpers above, for test modules."""
    return type(
        "Tiny",
        (),
        {
            "SHAPE": SHAPE,
            "LARGE": LARGE,
            "BASE": BASE,
            "shaken": staticmethod(shaken),
            "write": staticmethod(write),
            "tensor": staticmethod(tensor),
        },
    )
