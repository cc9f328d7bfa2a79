"""Which dataset tiles and year stores are of: version and variant together, and the model's identity where known."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tessera.base import InputError, read_json
from tessera.embeddings import ModelIdentity
from tessera.store import DATASETS, Dataset, dataset_identity, parse_dataset

if TYPE_CHECKING:
    from pathlib import Path

SIDECAR = "tessera_metadata.json"
"""The file of a tiles folder that names its dataset (geotessera 0.11)."""
_SIDECAR_LIMIT = 1024**2
DIMS = 128
"""Dims of every published dataset."""
_UNPUBLISHED = "0.0"
"""Version of what no published model made; its variant names the model and its digest."""


def dataset_of(model: ModelIdentity) -> Dataset:
    """The dataset of a model: the published one of its name, else version 0.0 and a variant that holds its digest."""
    match = re.fullmatch(r"tessera:v(\d+\.\d+)-([\w.~-]+)", model.name, re.ASCII)
    if match is not None:
        dataset = parse_pair(match[1], match[2], model.name)
        if dataset_identity(dataset, model.dims).sha256 == model.sha256:
            return dataset
    name = re.sub(r"[^\w.~-]+", "-", model.name, flags=re.ASCII)
    return Dataset(_UNPUBLISHED, f"{name}-{model.sha256[:12]}", None)


def version_path(dataset: Dataset) -> str:
    """The version as paths have it: "v1", "v1.1"."""
    return f"v{dataset.version.removesuffix('.0')}"


def sidecar_bytes(model: ModelIdentity) -> bytes:
    """The file that names a tiles folder's dataset, with the model's own identity beside it."""
    dataset = dataset_of(model)
    about = {
        "dataset_version": dataset.version,
        "dataset_version_path": version_path(dataset),
        "dataset_variant": dataset.variant,
        "embeddings_subdir": "global_0.1_degree_representation",
        "tessera_model": model.to_json(),
    }
    return (json.dumps(about, indent=2, sort_keys=True) + "\n").encode()


def read_sidecar(folder: Path) -> tuple[Dataset, ModelIdentity | None] | None:
    """The dataset that a tiles folder names, and the model's own identity where that is told; None without a file."""
    path = folder / SIDECAR
    if not path.exists():
        return None
    about = read_json(path, what="dataset metadata", limit=_SIDECAR_LIMIT, inside=folder)
    dataset = parse_pair(about.get("dataset_version"), about.get("dataset_variant"), str(path))
    return dataset, parse_model(about.get("tessera_model"), dataset, str(path))


def parse_pair(version: object, variant: object, where: str) -> Dataset:
    """The dataset of a version and a variant."""
    texts = [value.strip() for value in (version, variant) if isinstance(value, str)]
    if len(texts) != 2 or not re.fullmatch(r"v?\d{1,3}(\.\d{1,3})?", texts[0], re.ASCII):
        raise InputError(f"{where} names the dataset {version!r} {variant!r}; expected a version and a variant")
    number = texts[0].removeprefix("v")
    number = number if "." in number else f"{number}.0"
    if not re.fullmatch(r"[\w.~-]{1,200}", texts[1], re.ASCII):
        raise InputError(f"{where} names the variant {texts[1][:60]!r}; expected letters, digits, '.', '~' and '-'")
    for dataset in DATASETS:
        if (dataset.version, dataset.variant) == (number, texts[1]):
            return dataset
    return Dataset(number, texts[1], None)


def parse_model(value: object, dataset: Dataset, where: str) -> ModelIdentity | None:
    """The model's own identity beside a dataset's name; it must be the one that the name stands for."""
    if value is None:
        return None
    model = ModelIdentity.from_json(value)
    if dataset_of(model) != dataset:
        raise InputError(f"{where} names {dataset.name} but the model {model.name} ({model.sha256[:12]})")
    return model


def identity_of(
    named: tuple[Dataset, ModelIdentity | None] | None, given: str | None, where: str
) -> tuple[Dataset, ModelIdentity | None]:
    """What embeddings are of, from what lies beside them and what the user said; one must say it, and they must agree.

    The model comes with it where that can be told without knowing the length of its vectors.
    """
    asked = None if given is None else parse_dataset(given)
    if named is None and asked is None:
        raise InputError(f"{where} does not say which dataset it is of; say it with dataset=, such as v1.1-cambridge")
    if named is not None and asked is not None and named[0] != asked:
        raise InputError(f"{where} is of {named[0].name}; {asked.name} was given")
    dataset, model = named if named is not None else (_some(asked), None)
    if model is None and dataset in DATASETS:
        model = dataset_identity(dataset, DIMS, dataset.prefixes)
    return dataset, model


def _some(dataset: Dataset | None) -> Dataset:
    if dataset is None:
        raise InputError("no dataset")
    return dataset


def model_of(dataset: Dataset, model: ModelIdentity | None, dims: int, name: str) -> ModelIdentity:
    """The identity of vectors of `dims`."""
    if model is None:
        return dataset_identity(dataset, dims)
    if model.dims != dims:
        raise InputError(f"{name} has vectors of {dims}; {model.name} has {model.dims}")
    return model
