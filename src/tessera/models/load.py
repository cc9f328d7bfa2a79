"""Reading a checkpoint by path or name, in any container."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tessera.base import InputError, open_regular, raise_if_machine

from .containers import parse_published
from .names import BUNDLED, PUBLISHED, identify, published_alias, resolve
from .own_file import read_own
from .torch_file import digest_of, load_torch_file

if TYPE_CHECKING:
    from .checkpoint import Checkpoint


def read_checkpoint(path: str | Path, source: str | None = None) -> Checkpoint:
    """Read a checkpoint in any container; it is recognised by its content, not its name.

    Parameters
    ----------
    path : a published file of any version, or our safetensors file
    source : "mpc" or "aws", if the file does not say which statistics it was trained with (v1.1)

    Raises
    ------
    InputError
        The file is missing, truncated, damaged, a pickle with code or another container; tensors do not fit; or the
        source is missing, unknown, or given where none applies.
    """
    return _read(Path(path), source, None)


def open_checkpoint(name_or_path: str | Path | None = None, source: str | None = None) -> Checkpoint:
    """Read a checkpoint that is on this machine, by name or by path.

    Parameters
    ----------
    name_or_path, source : see `resolve`; None for the bundled weights

    Raises
    ------
    InputError
        See `resolve` and `read_checkpoint`; or the file is not the one published under that name.
    """
    path = resolve(name_or_path, source)
    alias = None
    if name_or_path not in (None, BUNDLED) and not Path(str(name_or_path)).is_file():
        alias = published_alias(str(name_or_path), source)
    return _read(path, source, alias)


def _read(file: Path, source: str | None, alias: str | None) -> Checkpoint:
    try:
        with open_regular(file, what="checkpoint") as handle:
            head = handle.read(9)
    except FileNotFoundError:
        raise InputError(f"checkpoint not found: {file}") from None
    except OSError as error:
        raise_if_machine(error, file)
        raise InputError(f"checkpoint {file} cannot be read: {error.strerror or error}") from None
    if head[8:9] == b"{":
        return read_own(file, source)
    if head[:2] != b"PK":
        raise InputError(f"{file} is no checkpoint: it starts with {head[:4]!r}; expected a torch or safetensors file")
    digest = digest_of(file)
    published = identify(digest)
    expected = PUBLISHED[alias].sha256 if alias is not None else ""
    if not digest.startswith(expected):
        raise InputError(
            f"{file} has SHA-256 {digest[:8]}...; expected {expected}..., as {alias} was published; "
            f"tessera models pull {alias} replaces it"
        )
    known = published or alias
    if known is not None:
        published_alias(known, source)
        source = PUBLISHED[known].source or source
    return parse_published(load_torch_file(file), file, source, known or file.stem, published)
