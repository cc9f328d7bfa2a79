"""What an encoder's file may be written over: only a file of the same weights, unless the caller says so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tessera.base import check_output, open_regular

from .load import open_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .checkpoint import Checkpoint

_TAIL = 1 << 20
"""Bytes at the end of a graph or a module in which its identity stands."""


def check_encoder(
    path: str | Path, checkpoint: Checkpoint, *, inputs: Iterable[object] = (), overwrite: bool = False
) -> Path:
    """Look at the path that an encoder is about to be written to; a file of the same weights may be replaced.

    Parameters
    ----------
    path : ending in .safetensors, .pt, .onnx or .py
    checkpoint : what is written
    inputs, overwrite : as `tessera.base.check_output` takes them

    Raises
    ------
    InputError
        The path can be no file, or holds something else.
    """
    return check_output(
        path,
        "encoder of these weights",
        inputs=inputs,
        ours=lambda found: holds_encoder(found, checkpoint),
        overwrite=overwrite,
    )


def holds_encoder(path: Path, checkpoint: Checkpoint) -> bool:
    """Whether a file holds these very weights, in the container that its ending says.

    Raises
    ------
    InputError
        It is no encoder.
    """
    if path.suffix in (".onnx", ".py"):
        with open_regular(path, what="encoder") as file:
            size = file.seek(0, os.SEEK_END)
            text = b""
            for start in {0, max(0, size - _TAIL)}:
                file.seek(start)
                text += file.read(_TAIL)
        return checkpoint.sha256.encode() in text
    return open_checkpoint(str(path), checkpoint.source).sha256 == checkpoint.sha256
