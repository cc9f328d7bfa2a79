"""True values of each pixel-year, for regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._optical import at_days

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._climate import Climate
    from ._growth import Land, Plants
    from ._optical import Traits

    Floats = NDArray[np.float64]

_YEAR = 73
_DRY_FUEL = 8.0
"""Moisture of dead herbs, per cent."""


def latents(
    land: Land,
    climate: Climate,
    plants: Plants,
    traits: Traits,
    soil: Floats,
    end: Floats,
    last: Floats,
    south: NDArray[np.bool_],
) -> dict[str, tuple[str, Floats]]:
    """Name -> (unit, (n,) values) over the 365 days before `end`, and on the day `last` of the last clear sight."""
    n = len(end)
    steps = np.clip((end / 5).astype(np.int64)[:, None] - _YEAR + np.arange(_YEAR), 0, climate.snow.shape[1] - 1)
    rows = np.arange(n)[:, None]
    value = land.value
    free = (1 - value["water"]) * (1 - value["built"])
    tree_like = np.clip((value["height"] - 1) / 3, 0, 1)
    woody_cover, herb_cover = free * value["woody"], free * (1 - value["woody"]) * value["herb"]
    w, h = woody_cover[:, None], herb_cover[:, None]
    states: dict[str, tuple[str, Floats]] = {}
    lai = w * plants.woody + h * plants.herb
    dead = w * plants.woody_dead + h * plants.herb_dead
    woody_mass = w * plants.woody * traits.woody.mass[:, None]
    herb_mass = h * plants.herb * traits.herb.mass[:, None]
    old_mass = h * plants.herb_dead * traits.herb.dead_mass[:, None]
    green_mass = woody_mass + herb_mass
    water = (woody_mass * plants.woody_moisture + herb_mass * plants.herb_moisture) / 100
    live = 100 * water / np.maximum(green_mass, 1e-5)
    fuel = (100 * water + _DRY_FUEL * old_mass) / np.maximum(green_mass + old_mass, 1e-5)
    chlorophyll = w * plants.woody * traits.woody.green[:, None] * plants.woody_colour
    chlorophyll = chlorophyll + h * plants.herb * traits.herb.green[:, None] * plants.herb_colour
    states["leaf_area"] = ("m2/m2", lai)
    states["canopy_chlorophyll"] = ("g/m2", chlorophyll / 100)
    states["leaf_chlorophyll"] = ("ug/cm2", np.where(lai > 0.02, chlorophyll / np.maximum(lai, 0.02), np.nan))
    states["canopy_water"] = ("kg/m2", 10 * water)
    states["canopy_dry_matter"] = ("kg/m2", 10 * green_mass)
    states["live_fuel_moisture"] = ("per cent", np.where(lai > 0.02, live, np.nan))
    states["fuel_moisture_with_cured"] = ("per cent", np.where(lai + dead > 0.02, fuel, np.nan))
    states["shrub_fuel_moisture"] = ("per cent", np.where(w > 0.03, plants.woody_moisture, np.nan))
    states["brown_share"] = ("1", np.where(lai + dead > 0.05, dead / np.maximum(lai + dead, 1e-3), np.nan))
    cover = 1 - np.exp(-0.5 * plants.herb)
    states["green_cover"] = ("1", w * (1 - np.exp(-0.5 * plants.woody)) + h * cover)
    states["bare_cover"] = (
        "1",
        free[:, None] * (1 - w / np.maximum(free[:, None], 1e-3)) * (1 - value["herb"][:, None] * cover),
    )
    states["surface_moisture"] = ("1", climate.surface)
    states["root_moisture"] = ("1", climate.deep)
    states["snow_cover"] = ("1", climate.snow)
    states["flooded"] = ("1", plants.flood * free[:, None])
    out: dict[str, tuple[str, Floats]] = {}
    for name, (unit, field) in states.items():
        year = np.broadcast_to(field, climate.snow.shape)[rows, steps]
        empty = np.isnan(year).all(axis=1)
        year = np.where(empty[:, None], 0.0, year)
        for statistic, take in (("mean", np.nanmean), ("least", np.nanmin), ("most", np.nanmax)):
            out[f"{name}_{statistic}"] = (unit, np.where(empty, np.nan, take(year, axis=1)))
        out[f"{name}_last"] = (unit, at_days(np.broadcast_to(field, climate.snow.shape), np.arange(n), last))
    year_lai = lai[rows, steps]
    low, top = year_lai.min(axis=1), year_lai.max(axis=1)
    swing = top - low
    moves = swing > 0.25
    half = low + 0.5 * swing
    above = year_lai > half[:, None]
    up = above & ~np.roll(above, 1, axis=1)
    peak = year_lai.argmax(axis=1)
    offsets = (np.arange(_YEAR)[None] - peak[:, None]) % _YEAR
    # nearest crossing before and after the peak, round the year
    before = np.where(~above, (-offsets) % _YEAR, 2 * _YEAR).min(axis=1)
    after = np.where(~above, offsets, 2 * _YEAR).min(axis=1)
    turned = np.where(south, 182.0, 0.0)
    for name, step in (("green_up", peak - before), ("peak", peak), ("senescence", peak + after)):
        day = (end - 365 + 5.0 * step + 2.5 - turned) % 365
        angle = 2 * np.pi * day / 365
        out[f"{name}_sin"] = ("1", np.where(moves, np.sin(angle), np.nan))
        out[f"{name}_cos"] = ("1", np.where(moves, np.cos(angle), np.nan))
    out["seasons"] = ("1", np.where(moves, np.minimum(up.sum(axis=1), 6), 0).astype(np.float64))
    out["tree_cover"] = ("1", woody_cover * tree_like)
    out["shrub_cover"] = ("1", woody_cover * (1 - tree_like))
    out["grass_cover"] = ("1", herb_cover * (land.crop == 0))
    out["crop_cover"] = ("1", herb_cover * (land.crop > 0))
    out["water_cover"] = ("1", value["water"])
    out["built_cover"] = ("1", (1 - value["water"]) * value["built"])
    out["evergreen_share"] = ("1", np.where(woody_cover > 0.03, value["evergreen"], np.nan))
    out["soil_brightness"] = ("1", soil.mean(axis=1))
    out["soil_redness"] = ("1", soil[:, 0] - soil[:, 1])
    out["height"] = ("m", np.where(woody_cover > 0.03, value["height"], np.where(herb_cover > 0.1, 0.3, 0.0)))
    out["woody_volume"] = ("m", woody_cover * value["height"])
    snowy = (climate.snow[rows, steps] > 0.3).sum(axis=1) * 5.0
    out["snow_days"] = ("d", snowy)
    temperature = climate.temperature[rows, steps]
    out["temperature_mean"] = ("C", temperature.mean(axis=1))
    out["temperature_swing"] = ("C", temperature.max(axis=1) - temperature.min(axis=1))
    out["water_year"] = ("mm", climate.water[rows, steps].sum(axis=1))
    out["irrigated"] = ("1", land.irrigated.astype(np.float64))
    out["burnt"] = ("1", plants.char[rows, steps].max(axis=1))
    return out
