"""The map of a landscape: parcels with straight edges, hedges, roads, woods, a river and a lake, a town."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ._burns import make_scars
from ._noise import blur, smooth_noise, stream
from ._roads import cover_of, make_roads
from ._trees import make_trees
from .classes import ARABLE, BARE, BARLEY, BEET, BUILT, CONIFER, DECIDUOUS, GRASS, MAIZE, RAPESEED, WATER, WHEAT
from .quarters import NO_ZONE, make_quarters, town_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._burns import Scar
    from ._noise import Field
    from ._roads import Road
    from ._trees import Trees
    from .options import LandscapeOptions

_SHARES = {WHEAT: 0.25, BARLEY: 0.09, RAPESEED: 0.1, MAIZE: 0.17, BEET: 0.12, GRASS: 0.24, BARE: 0.03}
"""Shares of the parcels: lowland farming of north-western Europe."""
_DISTRICT = 80
"""Pixels between the centres of districts; parcels within a district share a direction."""
_STRIP, _LENGTH = 11.0, 20.0
"""Median sides of a parcel, pixels: 110 m x 200 m, 2.2 hectares."""


@dataclass(frozen=True)
class Landscape:
    """A map of land cover.

    Attributes
    ----------
    cover : (H, W) uint8, class codes: the truth
    unit : (H, W) int32, index of the field, stand or water body that a pixel belongs to
    unit_class : (U,) uint8, class of each unit
    texture : (H, W) float32, variation within units, mean 0 and deviation 1
    town : (N, 4) float32, shares of roof, bright roof, asphalt and garden in the built-up pixels, in row-major order
    parcel : (U,) int32, the parcel in which each unit lies; None where the units of a year are those of any year
    walls : (N,) float32, factor on what walls scatter; None = 1
    zone : (H, W) uint8, the local climate zone of built-up pixels
    roads, road : lines, and the share of each pixel that they cover (H, W) float32
    trees : heights and biomass
    scars : fires
    """

    cover: NDArray[np.uint8]
    unit: NDArray[np.int32]
    unit_class: NDArray[np.uint8]
    texture: Field
    town: Field
    parcel: NDArray[np.int32] | None = None
    walls: Field | None = None
    zone: NDArray[np.uint8] | None = None
    roads: tuple[Road, ...] = ()
    road: Field | None = None
    trees: Trees | None = None
    scars: tuple[Scar, ...] = ()


def make_landscape(seed: int, shape: tuple[int, int], options: LandscapeOptions | None = None) -> Landscape:
    """The landscape of a seed: (H, W) pixels of 10 m; without options the same as in earlier releases."""
    rng = stream(seed, "landscape")
    district, parcel = _parcels(rng, shape)
    cover = _crops(rng, parcel)
    edge = _edges(parcel)
    hedged = rng.random(int(parcel.max()) + 1) < rng.uniform(0.08, 0.3)
    if options is not None and options.year_seed is not None:
        _rotate(options.year_seed, parcel, cover)
    _woods(rng, parcel, cover)
    cover[edge & hedged[parcel] & (cover != CONIFER)] = DECIDUOUS
    zone = None
    if options is not None and options.towns:
        zone = make_quarters(seed, shape)
        cover[zone != NO_ZONE] = BUILT
    else:
        _town(rng, cover)
    roads = _edges(district) & (rng.random(int(district.max()) + 1) < 0.5)[district]
    lines: tuple[Road, ...] = ()
    road: Field | None = None
    if options is not None and options.roads:
        lines = make_roads(seed, shape)
        road = cover_of(lines, shape)
        roads = road >= 0.5
    cover[roads] = BUILT
    _water(rng, cover)
    unit, unit_class, first = _units(cover, parcel)
    texture = 0.8 * smooth_noise(rng, shape, 14.0, 5.0) + 0.6 * rng.standard_normal(shape, dtype=np.float32)
    roads &= cover == BUILT
    land = Landscape(cover, unit, unit_class, texture.astype(np.float32), _surfaces(rng, cover, roads))
    if options is None:
        return land
    if zone is not None:
        town, walls = town_of(seed, zone, cover)
        land = replace(land, town=town, walls=walls, zone=zone)
    return replace(
        land,
        parcel=None if options.year_seed is None else parcel.ravel()[first],
        roads=lines,
        road=road,
        trees=make_trees(seed, cover) if options.trees else None,
        scars=make_scars(seed, cover, options.burns),
    )


def _rotate(year_seed: int, parcel: NDArray[np.int32], cover: NDArray[np.uint8]) -> None:
    """Deal the crops of a year anew to the fields that are tilled."""
    count = int(parcel.max()) + 1
    crop = np.zeros(count, dtype=np.uint8)
    crop[parcel] = cover
    tilled = np.flatnonzero(np.isin(crop, ARABLE))
    crop[tilled] = stream(year_seed, "crops").permutation(crop[tilled])
    cover[:] = crop[parcel]


def _parcels(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Districts and their parcels: strips along the direction of a district, each cut across."""
    height, width = shape
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
    seeds = [
        ((i + rng.uniform(0.1, 0.9)) * _DISTRICT, (j + rng.uniform(0.1, 0.9)) * _DISTRICT)
        for i in range(-1, height // _DISTRICT + 2)
        for j in range(-1, width // _DISTRICT + 2)
    ]
    district = np.zeros(shape, dtype=np.int32)
    nearest = np.full(shape, np.inf, dtype=np.float32)
    for index, (row, col) in enumerate(seeds):
        distance = (rows - np.float32(row)) ** 2 + (cols - np.float32(col)) ** 2
        closer = distance < nearest
        district[closer] = index
        nearest[closer] = distance[closer]
    parcel = np.zeros(height * width, dtype=np.int64)
    main_angle = rng.uniform(0, np.pi)
    order = np.argsort(district, axis=None, kind="stable")
    ends = np.searchsorted(district.ravel()[order], np.arange(len(seeds) + 1))
    count = 0
    for index in range(len(seeds)):
        angle = main_angle + rng.normal(0.0, 0.35)
        strips = np.cumsum(_STRIP * rng.lognormal(0.0, 0.4, 60))
        cuts = np.cumsum(_LENGTH * rng.lognormal(0.0, 0.45, (61, 30)), axis=1)
        pixels = order[ends[index] : ends[index + 1]]
        if not pixels.size:
            continue
        y, x = rows.ravel()[pixels], cols.ravel()[pixels]
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        strip = np.searchsorted(strips, across - across.min())
        block = (cuts[strip] < (along - along.min())[:, None]).sum(axis=1)
        parcel[pixels] = count + strip * 31 + block
        count += 61 * 31
    return district, np.unique(parcel, return_inverse=True)[1].reshape(shape).astype(np.int32)


def _edges(label: NDArray[np.int32]) -> NDArray[np.bool_]:
    edge = np.zeros(label.shape, dtype=np.bool_)
    edge[:, 1:] |= label[:, 1:] != label[:, :-1]
    edge[1:] |= label[1:] != label[:-1]
    return edge


def _crops(rng: np.random.Generator, parcel: NDArray[np.int32]) -> NDArray[np.uint8]:
    """A crop for each parcel, dealt like cards so that a small window has the right shares too."""
    count = int(parcel.max()) + 1
    codes = np.array(list(_SHARES), dtype=np.uint8)
    shares = np.array(list(_SHARES.values())) * rng.lognormal(0.0, 0.25, len(codes))
    deck = codes[np.searchsorted(np.cumsum(shares / shares.sum()), (np.arange(count) + 0.5) / count, side="left")]
    if count > 2 * len(codes):
        deck[: len(codes)] = codes
    return np.asarray(rng.permutation(deck)[parcel], dtype=np.uint8)


def _woods(rng: np.random.Generator, parcel: NDArray[np.int32], cover: NDArray[np.uint8]) -> None:
    """Woods with irregular edges, and some that fill a parcel; a part is coniferous."""
    shape = cover.shape
    height, width = shape
    field = smooth_noise(rng, (height, width), 60.0, 14.0)
    wood = field > np.quantile(field, 1.0 - rng.uniform(0.1, 0.2))
    kind = smooth_noise(rng, (height, width), 45.0)
    conifer = kind > np.quantile(kind[wood], rng.uniform(0.45, 0.65))
    planted = (rng.random(int(parcel.max()) + 1) < 0.03)[parcel]
    cover[wood | planted] = DECIDUOUS
    cover[(wood | planted) & conifer] = CONIFER


def _town(rng: np.random.Generator, cover: NDArray[np.uint8]) -> None:
    height, width = cover.shape
    side = min(height, width)
    field = np.full(cover.shape, -1.0, dtype=np.float32)
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(max(1, round(1.5 * height * width / 256**2))):
        row, col = rng.uniform(0.15, 0.85) * height, rng.uniform(0.15, 0.85) * width
        radius = min(rng.uniform(16.0, 36.0), 0.2 * side)
        distance = ((rows - row) ** 2 + (cols - col) ** 2) / radius**2
        np.maximum(field, np.exp(-distance).astype(np.float32), out=field)
    field += 0.2 * smooth_noise(rng, (height, width), 9.0)
    cover[(field > 0.45) & (cover != CONIFER)] = BUILT


def _water(rng: np.random.Generator, cover: NDArray[np.uint8]) -> None:
    """A river that crosses the window, and a lake or two."""
    height, width = cover.shape
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0.0, np.pi)
    x, y = cols - width * rng.uniform(0.25, 0.75), rows - height * rng.uniform(0.25, 0.75)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    bend = sum(
        size * np.sin(2 * np.pi * along / length + rng.uniform(0, 2 * np.pi))
        for size, length in ((rng.uniform(6, 16), rng.uniform(90, 200)), (rng.uniform(2, 5), rng.uniform(30, 60)))
    )
    distance = np.abs(across - bend)
    half = rng.uniform(1.0, 2.6)
    cover[(distance < half + 2.0) & (cover != BUILT)] = GRASS
    cover[distance < half] = WATER
    field = smooth_noise(rng, (height, width), 26.0, 7.0)
    cover[field > np.quantile(field, 1.0 - rng.uniform(0.006, 0.02))] = WATER


def _units(
    cover: NDArray[np.uint8], parcel: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]:
    """The unit of each pixel, the class of each unit, and a pixel of each."""
    key = cover.astype(np.int64) * (int(parcel.max()) + 1) + parcel
    key[cover == WATER] = -1
    key[cover == BUILT] = -2
    _, first, unit = np.unique(key, return_index=True, return_inverse=True)
    return unit.reshape(cover.shape).astype(np.int32), cover.ravel()[first], first


def _surfaces(rng: np.random.Generator, cover: NDArray[np.uint8], roads: NDArray[np.bool_]) -> Field:
    """Shares of roof, bright roof, asphalt and garden in built-up pixels; streets form a rotated grid."""
    height, width = cover.shape
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0.0, np.pi)
    along, across = cols * np.cos(angle) + rows * np.sin(angle), rows * np.cos(angle) - cols * np.sin(angle)
    street = ((along % 9.0) < 1.2) | ((across % 13.0) < 1.2)
    raw = rng.standard_gamma(0.55, (height, width, 4), dtype=np.float32) + np.float32(0.02)
    raw *= np.array([1.3, 0.25, 0.7, 1.5], dtype=np.float32)
    raw *= np.exp(0.5 * smooth_noise(rng, (height, width), 12.0))[..., None] ** np.array(
        [1, 1, 1, -1], dtype=np.float32
    )
    raw[street, 2] += 2.0
    raw = blur(raw, 0.12)
    raw[roads] = np.array([0.03, 0.01, 0.6, 0.36], dtype=np.float32)
    shares = raw / raw.sum(axis=-1, keepdims=True)
    return np.ascontiguousarray(shares[cover == BUILT], dtype=np.float32)
