"""Names of the published encoders and the bundled one, and the paths of their files on this machine."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tessera.base import InputError, exists

BUNDLED = "bundled-nano"
_HUB = "Hugging Face"
_V1_1 = "v1.1"


@dataclass(frozen=True)
class PublishedFile:
    """A published checkpoint.

    Attributes
    ----------
    family : see `InputSpec.family`
    repo, file : repository on the Hugging Face hub and file there; repo is None if the file is not on the hub
    dims : length of the vectors that are kept
    parameters : number in the encoder
    sha256 : first digits of its SHA-256, "" if unknown
    size : bytes, None if unknown
    source : provider whose statistics it was trained with, if its family has several sets
    """

    family: str
    repo: str | None
    file: str
    dims: int
    parameters: int
    sha256: str = ""
    size: int | None = None
    source: str | None = None

    @property
    def where(self) -> str:
        """Where it is published, in words."""
        return f"Google Drive, {self.file}" if self.repo is None else f"{_HUB}, {self.repo}, {self.file}"


def _published(row: dict[str, str]) -> PublishedFile:
    """A row of `published.csv`; an empty cell is what is not known or does not apply."""
    size = int(row["size"]) if row["size"] else None
    numbers = int(row["dims"]), int(row["parameters"])
    return PublishedFile(
        row["family"], row["repo"] or None, row["file"], *numbers, row["sha256"], size, row["source"] or None
    )


with Path(__file__).with_name("published.csv").open(encoding="utf-8", newline="") as _file:
    PUBLISHED = {row["alias"]: _published(row) for row in csv.DictReader(_file)}
"""Alias -> published file."""


def bundled_path() -> Path:
    """The path of the encoder that is part of this package."""
    return Path(__file__).parent / "weights" / f"{BUNDLED}.safetensors"


def identify(sha256: str) -> str | None:
    """The alias of the published file with this SHA-256, None for any other file."""
    for alias, published in PUBLISHED.items():
        if published.sha256 and sha256.startswith(published.sha256):
            return alias
    return None


def published_alias(name: str, source: str | None = None) -> str | None:
    """The alias for a name and a source, None if the name is not a published one.

    Raises
    ------
    InputError
        A source is required but missing, unknown, or does not match the name.
    """
    if name == _V1_1:
        choices = {published.source: alias for alias, published in PUBLISHED.items() if published.source}
        if source not in choices:
            given = "no source" if source is None else f"source {source!r}"
            expected = " or ".join(f"source={one}" for one in choices)
            raise InputError(f"{given} for {name}; expected {expected}, or one of {', '.join(choices.values())}")
        return choices[source]
    if name not in PUBLISHED:
        return None
    bound = PUBLISHED[name].source
    if source not in (None, bound):
        why = "it has one set of statistics, give none" if bound is None else f"it was trained with those of {bound}"
        raise InputError(f"source {source!r} for {name}; {why}")
    return name


def resolve(name_or_path: str | Path | None, source: str | None = None) -> Path:
    """The file of a model on this machine; nothing is downloaded.

    Parameters
    ----------
    name_or_path : None or "bundled-nano" for the bundled weights, the path of a checkpoint, or a published name; a
        file that exists has precedence over a name
    source : "mpc" or "aws" for the name "v1.1"

    Raises
    ------
    InputError
        The file of a published name is not on this machine, the source does not match it, or the path does not exist.
    """
    if name_or_path is None or str(name_or_path) == BUNDLED:
        return bundled_path()
    path = Path(name_or_path)
    if exists(path) and path.is_file():
        return path
    alias = published_alias(str(name_or_path), source)
    if alias is None:
        known = ", ".join((BUNDLED, *PUBLISHED, _V1_1))
        raise InputError(f"no model {str(name_or_path)!r}; expected the path of a checkpoint, or one of {known}")
    held = cached(alias)
    if held is not None:
        return held
    if PUBLISHED[alias].repo is None:
        raise InputError(f"{alias} is only on {PUBLISHED[alias].where}; download it and give its path")
    raise InputError(f"{alias} is not on this machine; tessera models pull {alias} downloads it from {_HUB}")


def cached(alias: str) -> Path | None:
    """The file of a published model in this machine's Hugging Face cache, None if it is missing."""
    published = PUBLISHED[alias]
    if published.repo is None or find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(published.repo, published.file)
    return Path(found) if isinstance(found, str) else None
