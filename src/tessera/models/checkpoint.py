"""Checkpoints: the published student container, our safetensors file, and one identity for both.

Containers are told apart by their content, read as weights only and checked key by key before a network sees them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import pickle
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tessera.base import InputError, write_atomic

from .network import Student, StudentShape
from .spec import InputSpec
from .students import STUDENT_SPEC

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

FORMAT = "tessera-encoder"
VERSION = "1"
_OTHERS = {
    ("model_state",): "a v1.1 checkpoint (model_state)",
    ("model_state_dict",): "a v1.0 or v1.1 checkpoint (model_state_dict)",
    ("arch", "encoder_state_dict"): "a v2 teacher (arch, encoder_state_dict)",
}


@dataclass(frozen=True)
class Checkpoint:
    """Weights with what they are bound to.

    Attributes
    ----------
    shape : sizes of the network
    spec : what the weights demand of their input
    tensors : name -> float32 tensor
    name : an alias for messages
    """

    shape: StudentShape
    spec: InputSpec
    tensors: dict[str, Tensor]
    name: str

    def __post_init__(self) -> None:
        if self.spec.family != STUDENT_SPEC.family:
            raise InputError(f"{self.name} is of the family {self.spec.family!r}; expected {STUDENT_SPEC.family!r}")
        if self.spec.dims != self.shape.repr_dim:
            raise InputError(f"{self.name}: {self.shape.repr_dim} dims in the network, {self.spec.dims} specified")
        _check_tensors(self.tensors, self.shape, self.name)

    @property
    def sha256(self) -> str:
        """The model's identity, see `identity_of`."""
        return identity_of(self.tensors, self.spec)

    def network(self) -> Student:
        """The network with these weights, on the CPU, in evaluation mode."""
        with torch.device("meta"):
            network = Student(self.shape)
        network.load_state_dict(self.tensors, strict=True, assign=True)
        return network.eval().requires_grad_(False)


def identity_of(tensors: Mapping[str, Tensor], spec: InputSpec) -> str:
    """SHA-256 over the tensors (by name: dtype, shape, little-endian bytes) and the specification's canonical JSON."""
    total = hashlib.sha256(json.dumps(spec.to_json(), sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        array = tensors[name].detach().cpu().contiguous().numpy()
        total.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        total.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return total.hexdigest()


def _check_tensors(tensors: Mapping[str, Tensor], shape: StudentShape, name: str) -> None:
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in Student(shape).state_dict().items()}
    missing = sorted(expected.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - expected.keys())
    if missing or unknown:
        parts = [
            f"{len(keys)} {what} such as {keys[0]}"
            for what, keys in (("missing", missing), ("unknown", unknown))
            if keys
        ]
        raise InputError(f"{name}: {' and '.join(parts)}; expected the {len(expected)} tensors of a v2 student")
    for key, wanted in expected.items():
        tensor = tensors[key]
        if tuple(tensor.shape) != wanted or tensor.dtype != torch.float32:
            raise InputError(f"{name}: {key} is {tensor.dtype} {tuple(tensor.shape)}; expected float32 {wanted}")
        if not torch.isfinite(tensor).all():
            raise InputError(f"{name}: {key} holds values that are not finite")


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint, whichever container it comes in.

    Raises
    ------
    InputError
        Missing, truncated, a pickle with code in it, another container or version, tensors that do not fit.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"checkpoint not found: {file}")
    with file.open("rb") as handle:
        head = handle.read(9)
    if head[8:9] == b"{":
        return _read_safetensors(file)
    if head[:2] == b"PK":
        return _read_published(file)
    raise InputError(f"{file} is no checkpoint: it starts with {head[:4]!r}; expected a torch or safetensors file")


def _read_published(file: Path) -> Checkpoint:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"{file} holds more than weights and is not loaded: {_reason(error)}") from None
    except Exception as error:  # a damaged pickle fails in whichever way its next byte says
        raise InputError(f"{file} is truncated or no torch checkpoint: {_reason(error)}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file} holds a {type(content).__name__}; expected a dict with args and model")
    for keys, what in _OTHERS.items():
        if all(key in content for key in keys):
            raise InputError(f"{file} is {what}; expected a v2 student (args, model)")
    if not {"args", "model"} <= content.keys():
        found = ", ".join(sorted(map(str, content))[:6])
        raise InputError(f"{file} has the keys {found}; expected a v2 student (args, model)")
    args, tensors = content["args"], content["model"]
    args = vars(args) if isinstance(args, argparse.Namespace) else args
    if not isinstance(args, dict) or not isinstance(tensors, dict):
        raise InputError(f"{file}: args or model is no dict; expected a v2 student")
    qk_norm = args.get("enable_qk_norm")
    if not isinstance(qk_norm, int | None) or qk_norm:
        raise InputError(f"{file} is a student with QK-norm; expected one without, as all released students are")
    shape = StudentShape(**{field.name: args.get(field.name, field.default) for field in fields(StudentShape)})
    spec = replace(STUDENT_SPEC, dims=shape.repr_dim, prefix_dims=_prefixes(args.get("matryoshka_dims"), shape, file))
    for key, value in tensors.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise InputError(f"{file}: model holds values that are no tensors; expected a tensor for each name")
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise InputError(f"{file}: {key} is no plain tensor; expected float32 in memory")
    return Checkpoint(shape, spec, tensors, file.stem)


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:120]


def _prefixes(text: Any, shape: StudentShape, file: Path) -> tuple[int, ...]:
    if text is None:
        return (*(size for size in STUDENT_SPEC.prefix_dims if size < shape.repr_dim), shape.repr_dim)
    try:
        sizes = {int(part) for part in (text.split(",") if isinstance(text, str) else text)} | {shape.repr_dim}
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{file}: matryoshka_dims {text!r}; expected whole numbers such as 16,32,64,128") from None
    if min(sizes) < 1 or max(sizes) > shape.repr_dim:
        raise InputError(f"{file}: matryoshka_dims {text!r}; expected 1 to {shape.repr_dim}")
    return tuple(sorted(sizes))


def _read_safetensors(file: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as content:
            about = content.metadata() or {}
            tensors = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{file} is truncated or no safetensors file: {error}") from None
    if about.get("format") != FORMAT or about.get("version") != VERSION:
        raise InputError(
            f"{file} has format {about.get('format')!r} {about.get('version')!r}; expected {FORMAT!r} {VERSION!r}"
        )
    try:
        shape, spec = json.loads(about["shape"]), json.loads(about["spec"])
        sizes, demands = StudentShape(**shape), InputSpec.from_json(spec)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise InputError(f"{file}: {error}") from None
        raise InputError(f"{file}: shape or specification cannot be read: {error!r}") from None
    return Checkpoint(sizes, demands, tensors, str(about.get("name", file.stem)))


def write_checkpoint(checkpoint: Checkpoint, path: str | Path) -> None:
    """Write one self-describing safetensors file, whole or not at all; the same checkpoint gives the same bytes."""
    tensors = {name: checkpoint.tensors[name].contiguous() for name in sorted(checkpoint.tensors)}
    header: dict[str, Any] = {
        "__metadata__": {
            "format": FORMAT,
            "version": VERSION,
            "name": checkpoint.name,
            "shape": json.dumps(asdict(checkpoint.shape)),
            "spec": json.dumps(checkpoint.spec.to_json()),
        }
    }
    # the library orders metadata at random, and the same weights must give the same file
    start = 0
    for name, tensor in tensors.items():
        size = math.prod(tensor.shape) * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(tensor.numpy().astype("<f4", copy=False).tobytes() for tensor in tensors.values())
    write_atomic(Path(path), len(text).to_bytes(8, "little") + text + data)
