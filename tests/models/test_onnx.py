from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_tiny import LENGTHS, MODELS, observations, tiny
from torch import Tensor

from tessera.base import InputError, TesseraError
from tessera.models import InputSpec, export_onnx, read_checkpoint
from tessera.models import onnx as export
from tessera.models._onnx_graph import Graph

onnx: Any = pytest.importorskip("onnx")
onnxruntime: Any = pytest.importorskip("onnxruntime")


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(session: Any, s2: Any, s1: Any) -> Any:
    return session.run(["embedding"], {"s2": np.asarray(s2), "s1": np.asarray(s1)})[0]


@pytest.mark.parametrize("model", MODELS)
def test_one_file_gives_what_the_network_gives_for_any_batch_and_lengths(model: str, tmp_path: Path) -> None:
    checkpoint = tiny(model)
    network = checkpoint.network()
    export_onnx(checkpoint, tmp_path / "a.onnx")
    file = session(tmp_path / "a.onnx")
    for lengths in LENGTHS:
        s2, s1 = observations(*lengths)
        wanted = network(s2, s1)[:, :16].numpy()
        assert wanted.std() > 0.1
        np.testing.assert_allclose(run(file, s2, s1), wanted, rtol=1e-4, atol=1e-5)


def test_the_order_of_observations_matters_where_the_network_is_recurrent(tmp_path: Path) -> None:
    s2, s1 = observations(2, 8, 8)
    for model, matters in (("v1.0-early", True), ("v1.0", True), ("v2-student", False)):
        export_onnx(tiny(model), tmp_path / "a.onnx")
        one, other = (run(session(tmp_path / "a.onnx"), x, s1) for x in (s2, s2.flip(1)))
        assert bool(np.abs(one - other).max() > 1e-3) is matters


@pytest.mark.parametrize("model", ["v1.1", "v2-student"])
def test_a_file_says_what_it_is_and_is_the_same_each_time(model: str, tmp_path: Path) -> None:
    checkpoint = tiny(model)
    export_onnx(checkpoint, tmp_path / "a.onnx")
    export_onnx(checkpoint, tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]
    content = onnx.load(tmp_path / "a.onnx")
    about = {entry.key: entry.value for entry in content.metadata_props}
    assert about["format"] == "tessera-encoder-onnx"
    assert about["family"] == checkpoint.spec.family
    assert about["identity"] == checkpoint.sha256
    assert about["name"] == "tiny"
    assert InputSpec.from_json(json.loads(about["spec"])) == checkpoint.spec
    assert json.loads(about["prefix_dims"]) == list(checkpoint.spec.prefix_dims)

    def axes(value: Any) -> list[Any]:
        return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]

    assert {value.name: axes(value) for value in (*content.graph.input, *content.graph.output)} == {
        "s2": ["batch", "time", 11],
        "s1": ["batch", "time1", 3],
        "embedding": ["batch", 16],
    }
    assert content.graph.input[0].doc_string.startswith("standardised B04, B02")


@pytest.mark.parametrize("name", ["v2_tiny", "v2_nano", "v1_1", "v1_0_qat"])
def test_reference_fixtures_are_met(name: str, checkpoints: Path, shared: Path, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(checkpoints / f"{name}.pt", **({"source": "mpc"} if name == "v1_1" else {}))
    export_onnx(checkpoint, tmp_path / "a.onnx")
    file = session(tmp_path / "a.onnx")
    count = 0
    for path in sorted((shared / "fixtures" / "expected").glob(f"{name}*.npz")):
        with np.load(path) as held:
            cases = [key[2:] for key in held if key in ("s2", "s2_a", "s2_b", "s2_c")]
            for case in cases if path.stem in (name, f"{name}_short") else ():
                wanted = held[("emb192" if name == "v1_1" else "emb") + case][:, : checkpoint.spec.dims]
                got = run(file, held[f"s2{case}"], held[f"s1{case}"])
                np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
                count += 1
    assert count == (2 if name == "v1_0_qat" else 3)


def test_what_cannot_be_written_is_one_line_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tiny("v1.0")
    constant = Graph.constant

    def wrong(graph: Graph, name: str, value: Tensor) -> str:
        return constant(graph, name, value + 0.01 if name == "dim_reducer.0.bias" else value)

    with monkeypatch.context() as patch:
        patch.setattr(Graph, "constant", wrong)
        with pytest.raises(TesseraError, match=r"differs from the network by 0\.0") as caught:
            export_onnx(checkpoint, tmp_path / "a.onnx")
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(export, "_LIMIT", 1000)
    with pytest.raises(InputError, match=r"tiny has 0\.0 GiB of weights; one ONNX file holds at most 2 GiB"):
        export_onnx(checkpoint, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
