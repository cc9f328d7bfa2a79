"""The ONNX graph of a network, built from its modules one by one.

Tensors of a module keep their published names (transposed where a product needs it), so that a graph can be compared
with the checkpoint.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tessera.base import TesseraError

from ._teacher import Teacher
from ._v1 import V1
from .layers import S1_CHANNELS, S2_CHANNELS, JointLayer, Layers, SelfAttention, SplitLayer
from .recurrent import RecurrentPool, ResetFirstCell
from .student import Student

if TYPE_CHECKING:
    from .layers import Backbone, HeadNorm, TwoBackbones


class Graph:
    """Nodes and constants in the order in which they are added; values are identified by name."""

    def __init__(self, onnx: Any, network: nn.Module) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.path = {module: name for name, module in network.named_modules()}
        self._indices: dict[tuple[int, ...], str] = {}

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add one operation and return the name of its (first) output."""
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def split(self, x: str, *sizes: int) -> list[str]:
        """Parts along the last axis."""
        names = [f"split_{len(self.nodes)}_{part}" for part in range(len(sizes))]
        node = self.onnx.helper.make_node("Split", [x, self.indices(*sizes)], names, name=names[0], axis=-1)
        self.nodes.append(node)
        return names

    def constant(self, name: str, value: Tensor) -> str:
        """Add a tensor."""
        self.constants.append(self.onnx.numpy_helper.from_array(value.detach().contiguous().numpy(), name))
        return name

    def weight(self, module: nn.Module, name: str, *, transposed: bool = False) -> str:
        """Add a tensor of a module, under its published name."""
        value: Tensor = getattr(module, name)
        return self.constant(f"{self.path[module]}.{name}".lstrip("."), value.t() if transposed else value)

    def indices(self, *values: int) -> str:
        """A list of integers: axes, or a shape in which 0 keeps an axis and -1 takes the rest."""
        if values not in self._indices:
            self._indices[values] = self.constant(f"indices_{len(self._indices)}", torch.tensor(values))
        return self._indices[values]


def encoder(graph: Graph, network: TwoBackbones, dims: int) -> str:
    """Add a whole network to a graph with inputs `s2` and `s1`, keep `dims` of its vector; the embedding's name.

    Raises `TesseraError` where a part of the network has no translation to ONNX here.
    """
    s2 = _backbone(graph, network.s2_backbone, "s2", S2_CHANNELS)
    s1 = _backbone(graph, network.s1_backbone, "s1", S1_CHANNELS)
    if isinstance(network, Teacher):
        pair = [graph.node("Unsqueeze", part, graph.indices(1)) for part in (s2, s1)]
        tokens = graph.node("Add", graph.node("Concat", *pair, axis=1), graph.weight(network, "fusion_modality_embed"))
        fused = graph.node("Flatten", _layers(graph, network.fusion_transformer.layers, tokens))
    elif isinstance(network, (Student, V1)):
        fused = graph.node("Concat", s2, s1, axis=1)
    else:
        raise TesseraError(f"no ONNX graph is known for {type(network).__name__}")
    embedding = _sequence(graph, network.dim_reducer, fused)
    return graph.node("Slice", embedding, graph.indices(0), graph.indices(dims), graph.indices(1))


def _backbone(graph: Graph, backbone: Backbone, x: str, channels: int) -> str:
    bands, days = graph.split(x, channels, 1)
    code = _day_code(graph, days, backbone.width)
    tokens = graph.node("Add", _sequence(graph, backbone.embedding, bands), code)
    stack = backbone.transformer_encoder
    tokens = _layers(graph, stack if isinstance(stack, Layers) else stack.get_submodule("layers"), tokens)
    pool = backbone.attn_pool
    scores = _states(graph, pool, tokens) if isinstance(pool, RecurrentPool) else tokens
    weights = graph.node("Softmax", _linear(graph, pool.query, scores), axis=1)
    pooled = graph.node("MatMul", graph.node("Transpose", weights, perm=[0, 2, 1]), tokens)
    return graph.node("Squeeze", pooled, graph.indices(1))


def _day_code(graph: Graph, days: str, width: int) -> str:
    rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(1e4) / width))
    angles = graph.node("Mul", days, graph.constant(f"{days}_rates", rates))
    waves = [graph.node("Unsqueeze", graph.node(wave, angles), graph.indices(-1)) for wave in ("Sin", "Cos")]
    return graph.node("Reshape", graph.node("Concat", *waves, axis=-1), graph.indices(0, 0, width))


def _states(graph: Graph, pool: RecurrentPool, tokens: str) -> str:
    """The states of a pass over time, (N, T, width), normalised if the pool does so."""
    cell = pool.cell
    if isinstance(cell, ResetFirstCell):
        # the operator applies z to the old state, this cell to the new one: sigmoid(-a) = 1 - sigmoid(a)
        z, r, n = (cell.get_parameter(f"W_i{gate}.weight") for gate in "zrh")
        of_token = [-z, r, n]
        z, r, n = (cell.get_parameter(f"W_h{gate}.weight") for gate in "zrh")
        of_state = [-z, r, n]
        biases = [-cell.b_z, cell.b_r, cell.b_h, *[torch.zeros_like(cell.b_h)] * 3]
    else:
        # torch orders the gates r, z, n and the operator z, r, h
        order = (1, 0, 2)
        of_token, of_state, token_bias, state_bias = (
            [part.chunk(3)[gate] for gate in order]
            for part in (cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0, cell.bias_hh_l0)
        )
        biases = [*token_bias, *state_bias]
    packed = [
        graph.constant(f"{graph.path[cell]}.{name}", torch.cat(parts).unsqueeze(0))
        for name, parts in (("W", of_token), ("R", of_state), ("B", biases))
    ]
    states = graph.node(
        "GRU",
        graph.node("Transpose", tokens, perm=[1, 0, 2]),
        *packed,
        hidden_size=pool.query.in_features,
        linear_before_reset=0 if isinstance(cell, ResetFirstCell) else 1,
    )
    states = graph.node("Transpose", graph.node("Squeeze", states, graph.indices(1)), perm=[1, 0, 2])
    return _norm(graph, pool.layer_norm, states) if isinstance(pool.layer_norm, nn.LayerNorm) else states


def _layers(graph: Graph, layers: nn.Module, x: str) -> str:
    for layer in layers.children():
        if not isinstance(layer, (JointLayer, SplitLayer)):
            raise TesseraError(f"no ONNX graph is known for {type(layer).__name__}")
        x = _layer(graph, layer, x)
    return x


def _layer(graph: Graph, layer: JointLayer | SplitLayer, x: str) -> str:
    def attention(y: str) -> str:
        return _attention(graph, layer.self_attn if isinstance(layer, JointLayer) else layer, y)

    def feed_forward(y: str) -> str:
        return _linear(graph, layer.linear2, graph.node("Relu", _linear(graph, layer.linear1, y)))

    pre_norm = isinstance(layer, SplitLayer) and layer.pre_norm
    for norm, half in ((layer.norm1, attention), (layer.norm2, feed_forward)):
        if pre_norm:
            x = graph.node("Add", x, half(_norm(graph, norm, x)))
        else:
            x = _norm(graph, norm, graph.node("Add", x, half(x)))
    return x


def _attention(graph: Graph, module: SelfAttention | SplitLayer, x: str) -> str:
    def heads(part: str) -> str:
        return graph.node("Reshape", part, graph.indices(0, 0, module.heads, -1))

    if isinstance(module, SelfAttention):
        weight, bias = graph.weight(module, "in_proj_weight", transposed=True), graph.weight(module, "in_proj_bias")
        joint = graph.node("Add", graph.node("MatMul", x, weight), bias)
        q, k, v = (heads(part) for part in graph.split(joint, *[module.out_proj.in_features] * 3))
    else:
        q, k, v = (heads(_linear(graph, part, x)) for part in (module.q_proj, module.k_proj, module.v_proj))
        q, k = _head_norm(graph, module.q_norm, q), _head_norm(graph, module.k_norm, k)
    channels = module.out_proj.in_features // module.heads
    scale = graph.constant(f"{graph.path[module]}.scale", torch.tensor(channels**-0.5))
    q = graph.node("Mul", graph.node("Transpose", q, perm=[0, 2, 1, 3]), scale)
    logits = graph.node("MatMul", q, graph.node("Transpose", k, perm=[0, 2, 3, 1]))
    mixed = graph.node("MatMul", graph.node("Softmax", logits, axis=-1), graph.node("Transpose", v, perm=[0, 2, 1, 3]))
    mixed = graph.node("Reshape", graph.node("Transpose", mixed, perm=[0, 2, 1, 3]), graph.indices(0, 0, -1))
    return _linear(graph, module.out_proj, mixed)


def _head_norm(graph: Graph, norm: HeadNorm, x: str) -> str:
    square = graph.node("ReduceMean", graph.node("Mul", x, x), axes=[-1], keepdims=1)
    least = graph.constant(f"{graph.path[norm]}.eps", torch.tensor(torch.finfo(torch.float32).eps))
    length = graph.node("Sqrt", graph.node("Add", square, least))
    return graph.node("Mul", graph.node("Div", x, length), graph.weight(norm, "weight"))


def _sequence(graph: Graph, modules: nn.Sequential, x: str) -> str:
    for module in modules:
        if isinstance(module, nn.Linear):
            x = _linear(graph, module, x)
        elif isinstance(module, nn.LayerNorm):
            x = _norm(graph, module, x)
        elif isinstance(module, nn.ReLU):
            x = graph.node("Relu", x)
        elif not isinstance(module, nn.Dropout):
            raise TesseraError(f"no ONNX operation is known for {type(module).__name__}")
    return x


def _linear(graph: Graph, linear: nn.Linear, x: str) -> str:
    product = graph.node("MatMul", x, graph.weight(linear, "weight", transposed=True))
    return graph.node("Add", product, graph.weight(linear, "bias"))


def _norm(graph: Graph, norm: nn.LayerNorm, x: str) -> str:
    if norm.elementwise_affine:
        scale, shift = graph.weight(norm, "weight"), graph.weight(norm, "bias")
    else:
        ones = torch.ones(norm.normalized_shape)
        scale = graph.constant(f"{graph.path[norm]}.weight", ones)
        shift = graph.constant(f"{graph.path[norm]}.bias", torch.zeros_like(ones))
    return graph.node("LayerNormalization", x, scale, shift, axis=-1, epsilon=norm.eps)
