"""Our container: one safetensors file with the weights and their input specification."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tessera.base import InputError, check_format, raise_if_machine

from ._whole_file import whole_file
from .checkpoint import TRAINING_FAMILY, TRAINING_PREFIX, Checkpoint, source_of
from .families import family_of
from .shape import Shape
from .spec import InputSpec

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "tessera-encoder"
VERSION = "1"
_OWN_HEADER_LIMIT = 16 * 1024**2
_DTYPES = {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
}


def read_own(file: Path, source: str | None = None) -> Checkpoint:
    """Read our safetensors file.

    Parameters
    ----------
    source : None, or the source that the file must be bound to

    Raises
    ------
    InputError
        It is truncated, damaged, of another format or bound to another source, or its tensors do not fit.
    """
    about, tensors = _parts(file)
    check_format(about, FORMAT, VERSION, str(file))
    try:
        shape, spec, identity = json.loads(about["shape"]), json.loads(about["spec"]), about["identity"]
        sizes, demands = Shape(**shape), InputSpec.from_json(spec)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise InputError(f"{file}: {error}") from None
        raise InputError(f"{file}: shape or specification cannot be read: {error!r}") from None
    name = str(about.get("name", file.stem))
    if source is not None:
        _agree(demands, source, name)
    training: dict[str, Tensor] = {}
    if demands.family == TRAINING_FAMILY:
        training = {key: value for key, value in tensors.items() if key.startswith(TRAINING_PREFIX)}
    encoder = {key: value for key, value in tensors.items() if key not in training}
    checkpoint = Checkpoint(sizes, demands, encoder, name, training)
    if identity != checkpoint.sha256:
        raise InputError(
            f"{file} is damaged: its tensors are of identity {checkpoint.sha256[:12]}; "
            f"expected {identity[:12]}, as they were written"
        )
    return checkpoint


def _parts(file: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    with file.open("rb") as handle:
        claimed = int.from_bytes(handle.read(8), "little")
    if claimed > min(_OWN_HEADER_LIMIT, file.stat().st_size - 8):
        raise InputError(
            f"{file} is truncated or no safetensors file: its header claims {claimed:,} bytes; "
            f"expected at most {_OWN_HEADER_LIMIT:,}, and no more than there are"
        )
    try:
        with safe_open(file, framework="pt") as content:
            about: dict[str, str] = content.metadata() or {}
            return about, {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, MemoryError) as error:
        raise_if_machine(error, file)
        raise InputError(f"{file} is truncated or no safetensors file: {error}") from None


def _agree(spec: InputSpec, source: str, name: str) -> None:
    """Raise InputError if `source` is not that of the statistics."""
    family_of(spec, name).spec(source, name)
    held = source_of(spec, name)
    if held != source:
        whose = "its own" if held is None else f"those of {held}"
        raise InputError(f"source {source!r} for {name}; its statistics are {whose}, give that or none")


def write_checkpoint(checkpoint: Checkpoint, path: str | Path) -> None:
    """Write one self-describing safetensors file atomically; the same checkpoint gives the same bytes."""
    held = {**checkpoint.tensors, **checkpoint.training}
    for name, tensor in held.items():
        if tensor.dtype not in _DTYPES:
            raise InputError(f"{checkpoint.name}: {name} is {tensor.dtype}; expected {', '.join(map(str, _DTYPES))}")
    # wide types first, so that each tensor is aligned to its width
    names = sorted(held, key=lambda name: (-held[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": _about(checkpoint)}
    # the library writes metadata in random order, but the same weights must give the same file
    start = 0
    for name in names:
        tensor = held[name]
        stop = start + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with whole_file(Path(path)) as part, part.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            out.write(held[name].detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _about(checkpoint: Checkpoint) -> dict[str, str]:
    shape = {key: value for key, value in asdict(checkpoint.shape).items() if key != "qk_norm" or value}
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": checkpoint.name,
        "shape": json.dumps(shape),
        "spec": json.dumps(checkpoint.spec.to_json()),
        "identity": checkpoint.sha256,
    }
