"""Names of the published encoders and of the bundled one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tessera.base import InputError

BUNDLED = "bundled-nano"


@dataclass(frozen=True)
class PublishedFile:
    """A published checkpoint: repository and file on the Hugging Face hub, and how its SHA-256 begins."""

    repo: str
    file: str
    sha256: str


PUBLISHED = {
    f"v2-{name}": PublishedFile(f"geotessera/TESSERA-V-2.0-2B-{letter}", f"ckpt/student_{name}.pt", digest)
    for name, letter, digest in (
        ("nano", "N", "bc9929e3"),
        ("small", "S", "92619d4f"),
        ("medium", "M", "3823be7d"),
        ("large", "L", "b5f20239"),
    )
}
"""Alias -> where the released student lies."""


def bundled_path() -> Path:
    """The file of the encoder that comes with this package."""
    return Path(__file__).parent / "weights" / f"{BUNDLED}.safetensors"


def resolve(name_or_path: str | Path | None) -> Path:
    """The file of a model.

    Parameters
    ----------
    name_or_path : None or "bundled-nano" for the bundled weights, or the path of a checkpoint

    Raises
    ------
    InputError
        A published name (its file must be given by path), or a path where nothing is.
    """
    if name_or_path is None or str(name_or_path) == BUNDLED:
        return bundled_path()
    path = Path(name_or_path)
    if path.exists():
        return path
    published = PUBLISHED.get(str(name_or_path))
    if published is not None:
        raise InputError(
            f"{name_or_path} is not on this machine; download {published.file} of {published.repo} from the "
            f"Hugging Face hub and give its path"
        )
    known = ", ".join((BUNDLED, *PUBLISHED))
    raise InputError(f"no model {str(name_or_path)!r}; expected the path of a checkpoint, or one of {known}")
