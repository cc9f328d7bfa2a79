from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_tiny import LENGTHS, MODELS, observations, tiny

from tessera.embeddings import quantise
from tessera.models import Checkpoint, single_file, write_checkpoint, write_published

RUN = """
import sys
from pathlib import Path

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tessera", "safetensors"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Wall())
import torch

torch.set_num_threads(1)

def refused(module, path, **options):
    try:
        module.load(path, **options)
    except module.InputError as error:
        assert "\\n" not in str(error)
        return str(error)
    raise AssertionError(f"{path} was loaded")

found = {}
for folder in sorted(path for path in Path.cwd().iterdir() if path.is_dir()):
    sys.path.insert(0, str(folder))
    import encoder
    for weights in ("published.pt", "own.safetensors", "plain.pt"):
        network = encoder.load(folder / weights)
        vectors = [encoder.embed(network, *pair) for pair in torch.load("observations.pt", weights_only=True)]
    raw, days = torch.arange(20.0).view(2, 10) * 400, torch.tensor([1, 366])
    found[folder.name] = {
        "vectors": vectors,
        "codes": encoder.quantise(vectors[-1]),
        "s2": encoder.standardise(raw, days, "s2"),
        "s1": encoder.standardise(raw[:, :2].short(), days, "s1_desc"),
        "refused": [refused(encoder, folder / f"{name}.pt") for name in ("missing", "unknown", "other", "shape")],
        "other": encoder.load(folder / "other.pt", exact=False).state_dict(),
    }
    sys.path.pop(0)
    del sys.modules["encoder"]
torch.save(found, "found.pt")
assert not {"tessera", "safetensors"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the files of all families say in a process where the package cannot be imported."""
    root = tmp_path_factory.mktemp("vendored")
    torch.save([observations(*lengths) for lengths in LENGTHS], root / "observations.pt")
    for model in MODELS:
        folder, checkpoint = root / model, tiny(model)
        folder.mkdir()
        (folder / "encoder.py").write_text(single_file(checkpoint))
        write_checkpoint(checkpoint, folder / "own.safetensors")
        write_weights(checkpoint, folder)
    (root / "run.py").write_text(RUN)
    subprocess.run([sys.executable, "-W", "error", "run.py"], cwd=root, check=True)
    content: dict[str, Any] = torch.load(root / "found.pt", weights_only=True)
    return content


def write_weights(checkpoint: Checkpoint, folder: Path) -> None:
    tensors, key = checkpoint.tensors, "dim_reducer.0.bias"
    if checkpoint.spec.family.startswith("v1"):
        # as the published code saves it: compiled, with what only training used and values that are no weights
        state = {f"_orig_mod.{name}": value for name, value in tensors.items()}
        state["_orig_mod.projector.net.1.num_batches_tracked"] = torch.tensor(3)
        torch.save({"model_state_dict": state, "best_val_acc": np.float64(0.5)}, folder / "published.pt")
    else:
        write_published(checkpoint, folder / "published.pt")
    torch.save(tensors, folder / "plain.pt")
    torch.save({name: value for name, value in tensors.items() if name != key}, folder / "missing.pt")
    torch.save({**tensors, "extra.weight": torch.zeros(1)}, folder / "unknown.pt")
    torch.save({**tensors, key: tensors[key] + 1}, folder / "other.pt")
    torch.save({**tensors, key: tensors[key][:1]}, folder / "shape.pt")


@pytest.mark.parametrize("model", MODELS)
def test_a_vendored_file_equals_the_package(model: str, found: dict[str, Any]) -> None:
    checkpoint, got = tiny(model), found[model]
    network = checkpoint.network()
    for lengths, vectors in zip(LENGTHS, got["vectors"], strict=True):
        wanted = network(*observations(*lengths))[:, :16]
        torch.testing.assert_close(vectors, wanted, rtol=1e-6, atol=1e-6)
    spec = checkpoint.spec
    codes, scales = quantise(got["vectors"][-1].numpy(), spec.quantiser.floor, spec.quantiser.low)
    np.testing.assert_array_equal(got["codes"][0].numpy(), codes)
    np.testing.assert_allclose(got["codes"][1].numpy(), scales, rtol=1e-6)
    raw = np.arange(20.0).reshape(2, 10) * 400
    for key, statistics in (("s2", spec.s2), ("s1", spec.s1_desc)):
        bands = len(statistics.mean)
        scaled = (raw[:, :bands] - statistics.mean) / statistics.std
        np.testing.assert_allclose(got[key].numpy(), np.c_[scaled, [1, 366]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_weights_that_are_not_the_right_ones_are_refused(model: str, found: dict[str, Any]) -> None:
    missing, unknown, other, shape = found[model]["refused"]
    assert "missing.pt lacks dim_reducer.0.bias; expected" in missing
    assert "unknown.pt has the unknown extra.weight; expected" in unknown
    assert f"expected {tiny(model).sha256[:12]}, or exact=False" in other
    assert "shape.pt: dim_reducer.0.bias is torch.float32 (1,); expected float32" in shape
    taken = found[model]["other"]["dim_reducer.0.bias"]
    assert torch.equal(taken, tiny(model).tensors["dim_reducer.0.bias"] + 1)


@pytest.mark.parametrize("model", MODELS)
def test_the_text_says_what_it_is_and_holds_one_family(model: str, tmp_path: Path) -> None:
    checkpoint = tiny(model)
    text = single_file(checkpoint)
    assert text == single_file(checkpoint)
    assert checkpoint.sha256 in text
    assert "SPDX-License-Identifier: MIT" in text
    assert "B04, B02, B03, B08" in text
    assert "import tessera" not in text
    assert "import numpy" not in text
    assert "from ." not in text
    classes = {line.split()[1].split("(")[0] for line in text.splitlines() if line.startswith("class ")}
    recurrent = model.startswith("v1")
    assert ("RecurrentPool" in classes) is recurrent
    assert ("Pool" in classes) is not recurrent
    assert ("Teacher" in classes) is (model == "v2-teacher")
    (tmp_path / "encoder.py").write_text(text)
    for command in (["format", "--check", "--line-length", "120"], ["check", "--select", "F,I,E7"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, "--isolated", tmp_path / "encoder.py"], check=True)


def test_a_name_from_a_file_runs_nothing(tmp_path: Path) -> None:
    hostile = '"""\nraise SystemExit(3)\n"""'
    checkpoint = tiny("v2-student", hostile)
    bands = ("\\", hostile, *checkpoint.spec.s2_bands[2:])
    checkpoint = replace(checkpoint, spec=replace(checkpoint.spec, s2_bands=bands))
    space: dict[str, Any] = {"__name__": __name__}
    exec(compile(single_file(checkpoint), "encoder.py", "exec"), space)
    assert space["SPEC"]["s2_bands"] == list(bands)
