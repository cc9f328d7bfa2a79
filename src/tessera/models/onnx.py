"""Export to ONNX: one file for any batch size and lengths, compared with the network before it is written."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tessera.base import InputError, TesseraError, require, write_atomic

from ._onnx_graph import Graph, encoder
from .layers import S1_CHANNELS, S2_CHANNELS

if TYPE_CHECKING:
    from .checkpoint import Checkpoint
    from .layers import TwoBackbones

FORMAT = "tessera-encoder-onnx"
VERSION = "1"
_OPSET = 17  # the first with LayerNormalization; a fixed one gives the same bytes whatever version of onnx writes them
_IR_VERSION = 8
_LIMIT = 2**31 - 2**20  # bytes: a protocol buffer ends at 2 GiB, and the graph needs some of it
_TRIALS = ((2, 5, 3), (3, 1, 12))  # batch, time, time1
_TOLERANCE = 1e-4


def export_onnx(checkpoint: Checkpoint, path: str | Path) -> None:
    """Write a network as one ONNX file; the same checkpoint gives the same bytes.

    Inputs are `s2` (batch, time, 11) and `s1` (batch, time1, 3), float32: standardised bands and the day of year; every
    axis but the last may have any size from 1. Output is `embedding` (batch, dims) float32. The metadata hold name,
    family, identity and specification. If onnxruntime is installed, its results must match those of the network.

    Parameters
    ----------
    checkpoint : weights of any family
    path : the file to write, replaced only after all checks have passed

    Raises
    ------
    InputError
        The extra `onnx` is not installed, or the weights exceed the 2 GiB that one ONNX file holds.
    TesseraError
        The results of onnxruntime differ from those of the network.
    """
    size = 4 * sum(tensor.numel() for tensor in checkpoint.tensors.values())
    if size > _LIMIT:
        raise InputError(f"{checkpoint.name} has {size / 2**30:.1f} GiB of weights; one ONNX file holds at most 2 GiB")
    onnx = require("onnx", extra="onnx", purpose="export to ONNX")
    network = checkpoint.network()
    model = _model(onnx, checkpoint, network)
    content = model.SerializeToString(deterministic=True)
    del model
    onnx.checker.check_model(content, full_check=True)
    if find_spec("onnxruntime") is not None:
        _compare(content, network, checkpoint)
    write_atomic(Path(path), content)


def _model(onnx: Any, checkpoint: Checkpoint, network: TwoBackbones) -> Any:
    """The model with its graph, its description and its metadata."""
    helper, spec = onnx.helper, checkpoint.spec
    graph = Graph(onnx, network)
    embedding = encoder(graph, network, spec.dims)
    inputs = [
        helper.make_tensor_value_info(
            name,
            onnx.TensorProto.FLOAT,
            ("batch", time, len(bands) + 1),
            f"standardised {', '.join(bands)} and the day of year",
        )
        for name, time, bands in (("s2", "time", spec.s2_bands), ("s1", "time1", spec.s1_bands))
    ]
    graph.node("Identity", embedding, output="embedding")
    output = helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ("batch", spec.dims))
    model = helper.make_model(
        helper.make_graph(graph.nodes, "tessera", inputs, [output], graph.constants),
        producer_name="tessera",
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )
    about = {
        "format": FORMAT,
        "version": VERSION,
        "name": checkpoint.name,
        "family": spec.family,
        "identity": checkpoint.sha256,
        "shape": json.dumps(asdict(checkpoint.shape)),
        "spec": json.dumps(spec.to_json()),
        "prefix_dims": json.dumps(spec.prefix_dims),
    }
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value)
    return model


def _compare(content: bytes, network: TwoBackbones, checkpoint: Checkpoint) -> None:
    onnxruntime = import_module("onnxruntime")

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # its threads spin while they wait, and there is little to do
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    for batch, *lengths in _TRIALS:
        s2, s1 = (
            torch.cat(
                [
                    torch.randn(batch, time, channels, generator=generator),
                    torch.randint(1, 367, (batch, time, 1), generator=generator),
                ],
                dim=-1,
            )
            for time, channels in zip(lengths, (S2_CHANNELS, S1_CHANNELS), strict=True)
        )
        (got,) = session.run(["embedding"], {"s2": s2.numpy(), "s1": s1.numpy()})
        wanted = network(s2, s1)[:, : checkpoint.spec.dims]
        if not torch.allclose(torch.from_numpy(got), wanted, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise TesseraError(
                f"{checkpoint.name} in ONNX differs from the network by {(torch.from_numpy(got) - wanted).abs().max()}"
                f" for {batch} pixels of {lengths[0]} and {lengths[1]} observations; nothing was written"
            )
