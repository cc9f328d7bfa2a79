"""Published datasets by name: which runs exist, where they lie, and how they differ."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from tessera.base import InputError
from tessera.embeddings import ModelIdentity

PREFIX = "tessera:"
MIRROR = "https://s3.us-west-2.amazonaws.com/us-west-2.opendata.source.coop/tessera/tessera"
"""The objects behind https://data.source.coop/tessera/tessera, without its gateway, which is slow under load."""


@dataclass(frozen=True)
class Dataset:
    """One inference run of a published model. Runs do not interoperate, even within one version.

    Attributes
    ----------
    version, variant : its identity; the version alone is none
    folder : of its store under `zarr/` of the mirror, None where there is none
    tiles : of its tiles under `npy/` of the mirror, None where there are none
    icechunk : URL of its repository, None where there is none
    prefixes : Matryoshka prefixes that it keeps as arrays
    """

    version: str
    variant: str
    folder: str | None
    tiles: str | None = None
    icechunk: str | None = None
    prefixes: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Its name, such as "tessera:v1.1-dclimate"."""
        return f"{PREFIX}v{self.version}-{self.variant}"


DATASETS = (
    Dataset("1.0", "vultr", "v1", "v1"),
    Dataset("1.1", "dclimate", "v1.1-dclimate", icechunk="s3://tessera-embeddings/v1.1/dclimate.icechunk"),
    Dataset("1.1", "cambridge", "v1.1", "v1.1-cam"),
    Dataset("2.0", "2B-L~beta1", "v2-2B-L~beta1", "v2-2B-L~beta1", prefixes=(4, 16)),
    Dataset("2.0", "2B-L~beta2", "v2-2B-L~beta2", "v2-2B-L~beta2", prefixes=(4, 16)),
)
"""As geotessera 0.11.0 lists them; the first of a version is its default."""


def parse_dataset(name: str) -> Dataset:
    """The dataset of a name: "tessera:v1.1-dclimate", "v1.1-dclimate", or "v1.1" for the default run of a version.

    Raises
    ------
    InputError
        There is no such dataset.
    """
    wanted = name.removeprefix(PREFIX).removeprefix("v")
    version, dash, variant = wanted.partition("-")
    if version in ("1", "2"):
        version = f"{version}.0"
    for dataset in DATASETS:
        if dataset.version == version and (variant == dataset.variant or not dash):
            return dataset
    known = ", ".join(dataset.name for dataset in DATASETS)
    raise InputError(f"dataset {name!r}; expected one of {known}")


def dataset_identity(dataset: Dataset, dims: int, prefixes: tuple[int, ...] = ()) -> ModelIdentity:
    """The identity of a run's embeddings. The weights of published runs are not told, so it is a digest of the name."""
    return ModelIdentity(dataset.name, hashlib.sha256(dataset.name.encode()).hexdigest(), dims, prefixes)


def dataset_url(dataset: Dataset) -> str:
    """Where its Zarr store lies: under $TESSERA_DATASETS where that is set, else on the public mirror."""
    if dataset.folder is None:
        raise InputError(f"{dataset.name} is not published as a Zarr store")
    return f"{os.environ.get('TESSERA_DATASETS', MIRROR).rstrip('/')}/zarr/{dataset.folder}"
