"""What a file of an encoder may overwrite: only a file of the same weights, unless the caller sets `overwrite`."""

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
"""Last bytes of a graph or a module that contain its identity."""


def check_encoder(
    path: str | Path, checkpoint: Checkpoint, *, inputs: Iterable[object] = (), overwrite: bool = False
) -> Path:
    """Check the output path of an encoder; a file of the same weights may be replaced.

    Parameters
    ----------
    path : ending in .safetensors, .pt, .onnx or .py
    checkpoint : what will be written
    inputs, overwrite : see `tessera.base.check_output`

    Raises
    ------
    InputError
        The path cannot be a file, or has other content.
    """
    return check_output(
        path,
        "encoder of these weights",
        inputs=inputs,
        ours=lambda found: holds_encoder(found, checkpoint),
        overwrite=overwrite,
    )


def holds_encoder(path: Path, checkpoint: Checkpoint) -> bool:
    """Whether a file has exactly these weights, in the container of its suffix.

    Raises
    ------
    InputError
        It is not an encoder.
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
