"""The containers of the published checkpoints: recognised by their content, read and written.

=========  =========================================================  ==========================================
family     container                                                  what it lacks
=========  =========================================================  ==========================================
student    `args`, `model`                                            -
teacher    `arch`, `encoder_state_dict`                               -
v1.0       `model_state` or `model_state_dict`, tensors of training   heads
v1.1       as v1.0                                                    heads, whose statistics it was trained with
=========  =========================================================  ==========================================
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tessera.base import InputError

from ._whole_file import whole_file
from .checkpoint import TRAINING_FAMILY, TRAINING_PREFIX, Checkpoint
from .families import FAMILIES
from .shape import Shape
from .spec import short
from .specs import STUDENT_SPEC
from .torch_file import plain_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from .spec import InputSpec

_ENCODER = ("s2_backbone.", "s1_backbone.", "dim_reducer.")
_STATES = ("model_state", "model_state_dict")
_COMPILED = "_orig_mod."
_HEADS = {"v1.0-early": 8, "v1.0": 4, "v1.1": 4}
_RELEASED = {
    "v1.0-early": Shape(128, 8, 8, 4096, 128),
    "v1.0": Shape(128, 4, 4, 4096, 128),
    "v1.1": Shape(192, 4, 4, 2048, 192),
}
"""The one released size of each width; another number of layers means that some were lost."""
_EXPECTED = "expected a v2 student (args, model), the v2 teacher (arch, encoder_state_dict) or v1 (model_state)"
_MAX_SEQ_LEN = 256


def parse_published(
    content: Any, file: Path, source: str | None, name: str, published: str | None = None
) -> Checkpoint:
    """A checkpoint from the content of a published file.

    Parameters
    ----------
    content : result of torch.load
    file : for messages
    source : provider whose statistics to bind, if the family needs it
    name, published : see `Checkpoint`

    Raises
    ------
    InputError
        The container is another one, sizes are invalid, a tensor is missing, unknown or of another shape, or `source`
        is missing or does not apply.
    """
    if not isinstance(content, dict):
        raise InputError(f"{file} holds a {type(content).__name__}; {_EXPECTED}")
    training: dict[str, Tensor] = {}
    if {"args", "model"} <= content.keys():
        shape, spec = _of_student(content["args"], file, source, name)
        tensors = plain_tensors(content["model"], file)
    elif {"arch", "encoder_state_dict"} <= content.keys():
        shape, spec = _of_teacher(content["arch"], file, source, name)
        tensors = plain_tensors(content["encoder_state_dict"], file, halves=True)
    else:
        state = next((content[key] for key in _STATES if key in content), None)
        if state is None and any(isinstance(key, str) and _COMPILED_OR_BARE.match(key) for key in content):
            state = content
        if state is None:
            keys = sorted(key[:40] if isinstance(key, str) else short(key) for key in content)
            raise InputError(f"{file} has the keys {', '.join(keys[:6])}; {_EXPECTED}")
        tensors, others = _split_v1(state, file)
        family = _v1_family(tensors, file)
        shape, spec = _of_v1(family, tensors, file, source, name)
        if family == TRAINING_FAMILY:
            training = plain_tensors({k: v for k, v in others.items() if k.startswith(TRAINING_PREFIX)}, file)
    return Checkpoint(shape, spec, tensors, name, training, published)


_COMPILED_OR_BARE = re.compile(rf"({re.escape(_COMPILED)})?(s1|s2)_backbone\.")


def _bound(family: str, shape: Shape, source: str | None, name: str, prefixes: tuple[int, ...] = ()) -> InputSpec:
    """The specification that the published code uses for weights of these sizes."""
    spec = FAMILIES[family].spec(source, name)
    dims = min(spec.dims, shape.repr_dim) if family == "v1.1" else shape.repr_dim
    return replace(spec, dims=dims, prefix_dims=prefixes or (dims,))


def _of_student(args: Any, file: Path, source: str | None, name: str) -> tuple[Shape, InputSpec]:
    args = vars(args) if isinstance(args, argparse.Namespace) else args
    if not isinstance(args, dict):
        raise InputError(f"{file}: args is no dict but a {type(args).__name__}; expected those of a v2 student")
    qk_norm = args.get("enable_qk_norm")
    if not isinstance(qk_norm, int | None):
        raise InputError(f"{file}: enable_qk_norm {short(qk_norm)}; expected true or false")
    sizes = {field.name: args.get(field.name, field.default) for field in fields(Shape) if field.name != "qk_norm"}
    shape = _shape(sizes, file, qk_norm=bool(qk_norm))
    return shape, _bound("v2-student", shape, source, name, _prefixes(args.get("matryoshka_dims"), shape, file))


def _of_teacher(arch: Any, file: Path, source: str | None, name: str) -> tuple[Shape, InputSpec]:
    if not isinstance(arch, dict):
        raise InputError(f"{file}: arch is no dict but a {type(arch).__name__}; expected that of the v2 teacher")
    if arch.get("final_layernorm") is not True:
        raise InputError(
            f"{file} is a teacher with final_layernorm {short(arch.get('final_layernorm'))}; expected True"
        )
    sizes = {field.name: arch.get(field.name) for field in fields(Shape) if field.name != "qk_norm"}
    shape = _shape(sizes, file)
    return shape, _bound("v2-teacher", shape, source, name)


def _split_v1(state: Any, file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The encoder's tensors and the other content of a v1 file; names without the prefix of torch.compile."""
    if not isinstance(state, dict):
        raise InputError(f"{file} holds a {type(state).__name__} of weights; expected a dict of tensors")
    clean: dict[str, Any] = {}
    for key, value in state.items():
        short = str(key).replace(_COMPILED, "")
        if short in clean:
            raise InputError(f"{file} has {short} twice, with and without {_COMPILED}; expected it once")
        clean[short] = value
    encoder = {key: value for key, value in clean.items() if key.startswith(_ENCODER)}
    return plain_tensors(encoder, file, halves=True), {k: v for k, v in clean.items() if k not in encoder}


def _v1_family(tensors: Mapping[str, Tensor], file: Path) -> str:
    cell = "_backbone.attn_pool.temporal_context."
    if any(f"{cell}weight_ih_l0" in key for key in tensors):
        return "v1.0-early"
    if not any(f"{cell}gru_cell." in key for key in tensors):
        raise InputError(f"{file} has no tensors {cell[1:]}...; expected the recurrent pooling of v1.0 or v1.1")
    return "v1.1" if any(key.startswith(("dim_reducer.1.", "dim_reducer.4.")) for key in tensors) else "v1.0"


def _of_v1(
    family: str, tensors: Mapping[str, Tensor], file: Path, source: str | None, name: str
) -> tuple[Shape, InputSpec]:
    last = 4 if family == "v1.1" else 0
    width = _commonest(tensors, r"s[12]_backbone\.(embedding\.[02]\..*|.*\.norm[12]\..*)", file)
    if width % 4:
        raise InputError(f"{file} is of {FAMILIES[family].title} {width} wide; expected a multiple of 4")
    layers = [int(found[1]) for key in tensors if (found := re.match(r"s._backbone\.\w+\.layers\.(\d{1,6})\.", key))]
    sizes = {
        "latent_dim": width // 4,
        "num_layers": 1 + max(layers, default=-1),
        "nhead": _HEADS[family],
        "dim_feedforward": _commonest(tensors, r"s[12]_backbone\..*\.linear1\..*", file),
        "repr_dim": _commonest(tensors, rf"dim_reducer\.{last}\..*", file),
    }
    shape, released = _shape(sizes, file), _RELEASED[family]
    if shape.width == released.width and shape.num_layers != released.num_layers:
        raise InputError(
            f"{file} has {shape.num_layers} layers, {shape.width} wide; "
            f"expected {released.num_layers}, as {FAMILIES[family].title} of that width has"
        )
    return shape, _bound(family, shape, source, name)


def _commonest(tensors: Mapping[str, Tensor], pattern: str, file: Path) -> int:
    """The most common first size of these tensors, so that a misshapen tensor is reported instead of its neighbours."""
    known = re.compile(pattern)
    sizes = Counter(value.shape[0] for key, value in tensors.items() if value.ndim and known.fullmatch(key))
    if not sizes:
        raise InputError(f"{file} has no tensor {pattern.replace(chr(92), '')}; expected a v1.0 or v1.1 encoder")
    return sizes.most_common(1)[0][0]


def _shape(sizes: Mapping[str, Any], file: Path, *, qk_norm: bool = False) -> Shape:
    try:
        return Shape(**sizes, qk_norm=qk_norm)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _prefixes(text: Any, shape: Shape, file: Path) -> tuple[int, ...]:
    if text is None:
        return (*(size for size in STUDENT_SPEC.prefix_dims if size < shape.repr_dim), shape.repr_dim)
    try:
        sizes = {int(part) for part in (text.split(",") if isinstance(text, str) else text)} | {shape.repr_dim}
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{file}: matryoshka_dims {short(text)}; expected whole numbers such as 16,32,64,128"
        ) from None
    if min(sizes) < 1 or max(sizes) > shape.repr_dim:
        raise InputError(f"{file}: matryoshka_dims {short(text)}; expected 1 to {shape.repr_dim}")
    return tuple(sorted(sizes))


def write_published(checkpoint: Checkpoint, path: str | Path) -> None:
    """Write the container that the published code loads, atomically.

    Raises
    ------
    InputError
        The checkpoint has statistics, sampling, dims or heads that differ from the published ones, which the container
        cannot record.
    """
    shape, spec, family = checkpoint.shape, checkpoint.spec, checkpoint.spec.family
    prefixes = spec.prefix_dims if family == "v2-student" else ()
    known = any(_bound(family, shape, source, "", prefixes) == spec for source in FAMILIES[family].specs)
    if not known or shape.nhead != _HEADS.get(family, shape.nhead):
        raise InputError(
            f"{checkpoint.name} has statistics, sampling, dims or heads of its own, which the published container of "
            f"{FAMILIES[family].title} cannot record; expected a file that ends with .safetensors"
        )
    with whole_file(Path(path)) as part:
        torch.save(_content(checkpoint), part)


def _content(checkpoint: Checkpoint) -> dict[str, Any]:
    shape, family = checkpoint.shape, checkpoint.spec.family
    weights = {key: _alone(value) for key, value in {**checkpoint.tensors, **checkpoint.training}.items()}
    sizes = {field.name: getattr(shape, field.name) for field in fields(Shape) if field.name != "qk_norm"}
    if family == "v2-student":
        nested = ",".join(map(str, checkpoint.spec.prefix_dims))
        more = {"max_seq_len": _MAX_SEQ_LEN, "matryoshka_dims": nested, "enable_qk_norm": shape.qk_norm}
        return {"args": {**sizes, **more}, "model": weights}
    if family == "v2-teacher":
        return {"arch": {**sizes, "final_layernorm": True}, "encoder_state_dict": weights}
    if family == "v1.1":
        return {"model_state": weights, "config": {"latent_dim": shape.latent_dim}}
    return {"epoch": 0, "step": 0, "model_state_dict": weights, "config": {}}


def _alone(tensor: Tensor) -> Tensor:
    """The same memory in a separate storage, because torch.save writes whole storages, such as all of a mapped file."""
    tensor = tensor.contiguous()
    storage, size = tensor.untyped_storage(), tensor.numel() * tensor.element_size()
    if storage.nbytes() == size:
        return tensor
    start = tensor.storage_offset() * tensor.element_size()
    part: torch.UntypedStorage = storage[start : start + size]
    return torch.empty(0, dtype=tensor.dtype).set_(part, 0, tensor.shape, tensor.stride())
