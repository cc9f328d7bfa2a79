"""Standardise raw values, quantise vectors, and load weights after checking that they are the right ones.

`SPEC`, `IDENTITY` and `network` belong to one encoder.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tessera.base import InputError

from .torch_file import load_torch_file, plain_tensors

if TYPE_CHECKING:
    # `single_file` writes these three above a copy of this text
    SPEC: dict[str, Any] = {}
    IDENTITY = ""

    def network() -> nn.Module:
        """The network, without its weights."""


_STATES = ("model", "model_state", "model_state_dict", "encoder_state_dict")
_TRAINING_ONLY = ("projector.", "segmented_matryoshka_projector.")


def standardise(values: Tensor, days: Tensor, stream: str) -> Tensor:
    """Standardise observations for the network.

    Parameters
    ----------
    values : (..., bands) raw values in the order and units given at the head of this file
    days : (...) day of year, 1 to 366
    stream : "s2", "s1_asc" or "s1_desc"

    Returns
    -------
    (..., bands + 1) float32, the unchanged day last
    """
    mean, std = (torch.tensor(SPEC[stream][key], device=values.device) for key in ("mean", "std"))
    scaled = (values.float() - mean) / (std + 1e-9)
    return torch.cat([scaled, days.to(scaled).unsqueeze(-1)], dim=-1)


@torch.inference_mode()
def embed(encoder: nn.Module, s2: Tensor, s1: Tensor) -> Tensor:
    """Embeddings (N, dims) float32 of standardised observations (N, T, 11) and (N, T', 3)."""
    vectors: Tensor = encoder(s2, s1)[:, : SPEC["dims"]]
    return vectors


def quantise(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Codes (N, dims) int8 and scales (N,) float32; vector = code * scale. Cut prefixes before."""
    peak = vectors.abs().amax(dim=-1).clamp(min=SPEC["quantiser"]["floor"])
    scales = peak / 127
    codes = (vectors / scales.unsqueeze(-1)).round().clamp(SPEC["quantiser"]["low"], 127)
    return codes.to(torch.int8), scales


def load(path: str | Path, *, exact: bool = True) -> nn.Module:
    """Read weights: the published file, a tessera safetensors file, or a plain state dict saved by torch.

    Parameters
    ----------
    path : the file, of which only weights are read
    exact : accept only the weights that this file was made for; False accepts others of the same shapes, which must
        have been trained with the same statistics

    Returns
    -------
    network on the CPU, in evaluation mode

    Raises
    ------
    InputError
        A tensor is missing, unknown or of another shape, or the weights are other ones.
    """
    tensors = _tensors(Path(path))
    with torch.device("meta"):
        encoder = network()
    expected = encoder.state_dict()
    for what, keys in (("lacks", expected.keys() - tensors.keys()), ("has the unknown", tensors.keys() - expected)):
        if keys:
            raise InputError(f"{path} {what} {min(keys)}; expected {len(expected)} tensors, {len(keys)} do not fit")
    for key, tensor in tensors.items():
        if tensor.shape != expected[key].shape or tensor.dtype != torch.float32:
            wanted = f"float32 {tuple(expected[key].shape)}"
            raise InputError(f"{path}: {key} is {tensor.dtype} {tuple(tensor.shape)}; expected {wanted}")
    if exact and (found := _identity(tensors)) != IDENTITY:
        raise InputError(f"{path} holds the weights {found[:12]}; expected {IDENTITY[:12]}, or exact=False")
    encoder.load_state_dict(tensors, strict=True, assign=True)
    return encoder.eval().requires_grad_(False)


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"weights not found: {path}")
    with path.open("rb") as file:
        is_safetensors = file.read(9)[8:] == b"{"
    if is_safetensors:
        return _safetensors(path)
    content = load_torch_file(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}; expected a dict of tensors")
    state = next((content[key] for key in _STATES if isinstance(content.get(key), dict)), content)
    named = {str(key).replace("_orig_mod.", ""): value for key, value in state.items()}
    used = {key: value for key, value in named.items() if not key.startswith(_TRAINING_ONLY)}
    return plain_tensors(used, path, halves=True)


def _safetensors(path: Path) -> dict[str, Tensor]:
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    try:
        for key, about in json.loads(content[8:start]).items():
            if key != "__metadata__" and not key.startswith(_TRAINING_ONLY):
                offset, count = start + about["data_offsets"][0], math.prod(about["shape"])
                kind = {"F32": torch.float32}[about["dtype"]]
                flat = torch.frombuffer(content, dtype=kind, count=count, offset=offset)
                tensors[key] = flat.view(about["shape"])
    except (ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
        raise InputError(f"{path} is truncated or no safetensors file of float32: {error!r}") from None
    return tensors


def _identity(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over the specification and the tensors, by name."""
    total = hashlib.sha256(json.dumps(SPEC, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        kind = str(tensor.dtype).removeprefix("torch.")
        total.update(f"\n{name} {kind} {tuple(tensor.shape)}\n".encode())
        total.update(ctypes.string_at(tensor.data_ptr(), tensor.nbytes))
    return total.hexdigest()
