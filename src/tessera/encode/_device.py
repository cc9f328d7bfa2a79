"""Devices, precisions, and preparation of a network for them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tessera.base import InputError
from tessera.models import RecurrentPool, SelfAttention

if TYPE_CHECKING:
    from tessera.models import TwoBackbones

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def parse_device(device: str | None) -> torch.device:
    """A device by name: "cpu", "cuda" or "cuda:<n>"; None takes a GPU if there is one.

    Raises
    ------
    InputError
        The name is unknown, or the GPU does not exist.
    """
    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (index.isascii() and index.isdecimal())):
        raise InputError(f"device {name!r}; expected cpu, cuda or cuda:<number>")
    there = torch.cuda.device_count()
    if kind == "cuda" and int(index or 0) >= there:
        raise InputError(f"device {name!r}; this machine has {there} CUDA device{'s' * (there != 1)}")
    return torch.device(name)


def has_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16 products (AVX512-BF16 or AMX; CUDA from Ampere on)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def parse_precision(precision: str | None, device: torch.device) -> str:
    """ "fp32" or "bf16"; "auto" is bf16 if the device has instructions for it; None is fp32 on a CPU, auto on a GPU.

    Raises
    ------
    InputError
        The name is unknown.
    """
    if precision == "auto" or (precision is None and device.type == "cuda"):
        return "bf16" if has_bf16(device) else "fp32"
    if precision is None:
        return "fp32"
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r}; expected auto, {' or '.join(PRECISIONS)}")
    return precision


class PackedLinear(nn.Module):
    """A linear layer with weights in oneDNN's layout, and its ReLU in the same pass over memory."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), None)
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, self.weight, self.bias, "none", [], "")
        return out

    def relu(self, x: Tensor) -> Tensor:
        """relu(linear(x))."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, self.weight, self.bias, "relu", [], "")
        return out

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        """linear(x) + other."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, other, self.weight, self.bias, "add")
        return out


def _packs(dtype: torch.dtype) -> bool:
    """Whether this build of torch has the packed layer, with the results of the plain one."""
    try:
        layer, x = nn.Linear(16, 8, dtype=dtype), torch.ones(4, 16, dtype=dtype)
        return torch.allclose(PackedLinear(layer.weight, layer.bias)(x), layer(x), atol=0.1)
    except (RuntimeError, AttributeError):
        return False


def _pack(parent: nn.Module, keep: nn.Module) -> None:
    for name, child in parent.named_children():
        if isinstance(child, nn.Linear) and child is not keep:
            setattr(parent, name, PackedLinear(child.weight, child.bias))
        else:
            _pack(child, keep)


def _join(module: nn.Module) -> None:
    """Join products that share an input into one."""
    for part in module.modules():
        if isinstance(part, RecurrentPool):
            part.products = nn.ModuleList(part.cell.joined())
        elif isinstance(part, SelfAttention):
            width = part.in_proj_bias.shape[0]
            with torch.device("meta"):
                part.projection = nn.Linear(width // 3, width)
            part.projection.weight = part.in_proj_weight
            part.projection.bias = part.in_proj_bias


@torch.no_grad()
def prepare(network: TwoBackbones, device: torch.device, precision: str) -> TwoBackbones:
    """A copy of a network for inference on a device.

    The backbones compute in `precision`; the first layer, which reads the bands, and the fusion of the two modalities,
    once a pixel, stay float32.
    """
    dtype = PRECISIONS[precision]
    ready = copy.deepcopy(network).to(device).eval().requires_grad_(False)
    for backbone in (ready.s2_backbone, ready.s1_backbone):
        first = backbone.embedding[0]
        backbone.to(dtype)
        first.to(torch.float32)
        _join(backbone)
        if device.type == "cpu" and dtype is torch.bfloat16 and _packs(dtype):
            _pack(backbone, keep=first)
    return ready
