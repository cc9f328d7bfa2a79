"""The real sets of `heads.py`: labels, embeddings of the bundled encoder, and raw bands of the same pixels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

import belgium
import worth_features
from tessera.base import InputError
from tessera.evaluation import encode_series
from tessera.labels import NO_DATA, Labels
from worth_data import read_sets

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.encode import Encoder

OURS, RAW = "embeddings", "raw bands"
STEP = 2
"""Every second pixel of a scene, in both directions: neighbours say the same thing over."""
BLOCK = 20
"""Pixels of 10 m, the side of the blocks that a scene of one square kilometre is held out by."""
AMOUNTS = ("5/class", "10/class", "20/class", "50/class")
LAND_USE = {2: "forest", 3: "grassland", 4: "shrubland", 8: "artificial"}
"""Of Slovenia's map, the classes with 100 pixels or more (cultivated land has 11)."""


@dataclass(frozen=True)
class RealSet:
    """One task on real pixels.

    Attributes
    ----------
    name : of the set and the task
    labels : the labels, with the groups or places that are held out
    features : name -> (N, D) float32, the first one compared with the others
    amounts : of labels
    split : as of `evaluate`
    block_km : side of the blocks of places
    note : what to know of the set
    """

    name: str
    labels: Labels
    features: dict[str, NDArray[np.float32]]
    amounts: tuple[str, ...]
    split: str
    block_km: float | None
    note: str


def _of_worth(name: str, data: Path, encoder: Encoder) -> list[RealSet]:
    """Fuel moisture, Corsica and Africa as `worth.py` reads them."""
    out = []
    for held in read_sets(data, [name]):
        if held.labelled.series is None:
            raise InputError(f"{held.name} has no observations")
        features = {OURS: encode_series(encoder, held.labelled.series), RAW: worth_features.raw_bands(held)}
        block = None if held.labelled.kind == "regression" else 10.0
        out.append(RealSet(held.name, held.labelled, features, held.amounts, "auto", block, held.note))
    return out


def _belgium(data: Path, encoder: Encoder) -> list[RealSet]:
    """A square kilometre of farmland; its labels are another model's map, and its pixels were trained on."""
    folder = data / "belgium_2021"
    cube = belgium.read_cube(xarray.open_dataset(folder / "worldcereal_preprocessed_inputs.nc", mask_and_scale=False))
    target, names = belgium.read_reference(folder)
    stacks = {OURS: encoder.encode(cube).values(), RAW: belgium.raw_bands(cube)}
    good = (target != NO_DATA) & np.logical_and.reduce([np.isfinite(stack).all(axis=-1) for stack in stacks.values()])
    named = np.array([*names, ""], dtype=object)[np.where(good, target, len(names))]
    note = (
        "in-domain: the bundled weights were trained on these pixels, without labels; weak labels: another model's map "
        "of crops; 200 m blocks tested"
    )
    return [_scene("belgium", named, stacks, note)]


def _slovenia(data: Path, encoder: Encoder) -> list[RealSet]:  # noqa: ARG001 - one shape for all
    """A square kilometre with the land use of the farm register; of its 68 dates NDVI alone is there."""
    folder = data / "slovenia_lulc"
    ndvi, valid = np.load(folder / "NDVI.npy")[..., 0], np.load(folder / "IS_VALID.npy")[..., 0].astype(np.bool_)
    dates = [datetime.fromisoformat(text) for text in json.loads((folder / "timestamps.json").read_text())]
    month = np.array([date.month - 1 for date in dates])
    code = np.load(folder / "LULC.npy")[..., 0]
    seen = valid & np.isfinite(ndvi)
    months = np.full((*code.shape, 12), np.nan)
    for index in range(12):
        count = seen[month == index].sum(axis=0)
        total = np.where(seen, ndvi, 0)[month == index].sum(axis=0)
        months[..., index] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    mean = np.nanmean(months, axis=-1, keepdims=True)
    stacks = {"NDVI": np.where(np.isfinite(months), months, mean).astype(np.float32)}
    named = np.array([LAND_USE.get(int(value), "") for value in code.reshape(-1)], dtype=object).reshape(code.shape)
    note = (
        "land use of 2015 to 2017; of its Sentinel-2 dates NDVI alone is there, so that it has no embeddings: monthly "
        "means of NDVI; 200 m blocks tested"
    )
    return [_scene("slovenia", named, stacks, note)]


def _scene(name: str, named: NDArray[Any], stacks: dict[str, NDArray[np.float32]], note: str) -> RealSet:
    """Every second labelled pixel, grouped by block."""
    row, column = np.indices(named.shape)
    kept = (named != "") & (row % STEP == 0) & (column % STEP == 0)
    group = ((row // BLOCK) * named.shape[1] + column // BLOCK)[kept].astype(np.int64)
    labels = Labels(named[kept], groups=group, source=name)
    return RealSet(name, labels, {key: stack[kept] for key, stack in stacks.items()}, AMOUNTS, "group", None, note)


SETS = ("belgium", "slovenia", "corsica", "africa", "fuel")


def read_real(name: str, data: Path, encoder: Encoder) -> list[RealSet]:
    """The tasks of a set.

    Raises
    ------
    InputError
        There is no such set, or its files are not there.
    """
    if name not in SETS:
        raise InputError(f"set {name!r}; expected some of {', '.join(SETS)}")
    if not data.is_dir():
        raise InputError(f"no folder {data}; expected the labelled sets")
    if name == "belgium":
        return _belgium(data, encoder)
    return _slovenia(data, encoder) if name == "slovenia" else _of_worth(name, data, encoder)
