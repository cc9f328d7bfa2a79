"""The held-out labelled sets: pixel-years, labels, groups, and what else other encoders take.

None of them was ever trained on. All are monthly composites: a composite is dated 15 days after the first of its month
and has no orbit, so it is called ascending.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.cubes import S2_BANDS
from tessera.cubes import series_of_arrays as make_series
from tessera.evaluation import scaled_db
from tessera.labels import Labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

MISSING = 65535
MONTH_STARTS = np.array([1, 32, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335], dtype=np.int16)
"""First day of each month in a year of 365 days."""
LEAST = 10
"""Labels that a class needs to be kept."""


@dataclass(frozen=True)
class Held:
    """A labelled set, as monthly steps too, for features that are not ours.

    Attributes
    ----------
    name : of the set and the task
    labelled : what is evaluated
    amounts : of labels
    s2 : (N, T, 10) float32, reflectance x 10000 in the order of `S2_BANDS`; NaN = missing
    db : (N, T, 2) float32, VV and VH; NaN = missing
    month : (N,) int64, 0 to 11, of the first step
    weather : (N, T, 2) float32, kelvin and metres of rain a day (monthly mean); NaN = missing
    terrain : (N, 2) float32, metres and degrees of slope
    cover : (N, T) int64, Dynamic World class, 9 = absent
    true_b8a : whether B8A is its own band and not B08
    note : what was chosen
    """

    name: str
    labelled: Labels
    amounts: tuple[str, ...]
    s2: NDArray[np.float32]
    db: NDArray[np.float32]
    month: NDArray[np.int64]
    weather: NDArray[np.float32]
    terrain: NDArray[np.float32]
    cover: NDArray[np.int64]
    true_b8a: bool
    note: str


def fuel(data: Path) -> list[Held]:
    """fuel_moisture: 2,313 pixels of three months, live fuel moisture in per cent, split by site as it comes."""
    folder = data / "fuel_moisture"
    values, lonlat = np.load(folder / "s1_s2_era5_srtm.npy"), np.load(folder / "latlon.npy")[:, ::-1]
    months = np.load(folder / "month.npy").astype(np.int64)
    bands = ("VV", "VH", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
    s2 = np.rint(values[..., [bands.index(band) for band in S2_BANDS]])
    site = np.unique(np.load(folder / "site.npy"), return_inverse=True)[1].reshape(-1).astype(np.int64)
    return [
        _held(
            "fuel_moisture",
            _Steps(s2, values[..., :2], MONTH_STARTS[months] + np.int16(15)),
            np.load(folder / "target.npy").astype(np.float64),
            "regression",
            group=site,
            lonlat=np.ascontiguousarray(lonlat, dtype=np.float64),
            test=np.load(folder / "is_test.npy") == 1,
            amounts=("31", "78", "157", "473", "1578"),
            month=months[:, 0],
            weather=values[..., 13:15],
            terrain=values[:, 0, 15:17],
            cover=np.load(folder / "dynamic_world.npy").astype(np.int64),
            true_b8a=True,
            note="RMSE in per cent of dry mass; 735 labels of 50 sites tested, 1,578 of 100 others learnt from",
        )
    ]


def corsica(data: Path) -> list[Held]:
    """parcels_corsica_2022: January to December 2022 of one pixel in each of 500 parcels."""
    import pandas as pd

    path = data / "parcels_corsica_2022" / "2022_FRA_LPIS_POLY_110.month.geoparquet"
    table = pd.read_parquet(path)
    table = table[table["timestamp"].dt.year == 2022].sort_values(["sample_id", "timestamp"])
    count = table["sample_id"].nunique()
    one = table.iloc[::12]

    def steps(names: list[str]) -> NDArray[np.float64]:
        out: NDArray[np.float64] = table[names].to_numpy(dtype=np.float64).reshape(count, 12, -1)
        return out

    s2 = steps([f"S2-L2A-{'B08' if band == 'B8A' else band}" for band in S2_BANDS])
    weather = steps(["AGERA5-TMEAN", "AGERA5-PRECIP"])
    code = one["ewoc_code"].to_numpy().astype(str)
    return [
        _held(
            "corsica",
            _Steps(s2, _worldcereal_db(steps(["S1-SIGMA0-VV", "S1-SIGMA0-VH"])), MONTH_STARTS + np.int16(15)),
            np.array([name[:4] for name in code], dtype=object),
            "classification",
            group=np.arange(count, dtype=np.int64),
            lonlat=one[["lon", "lat"]].to_numpy(dtype=np.float64),
            amounts=("5/class", "10/class", "20/class", "50/class", "100%"),
            month=np.zeros(count, dtype=np.int64),
            weather=_agera(weather),
            terrain=one[["elevation", "slope"]].to_numpy(dtype=np.float64),
            note="coarse crops: first four digits of the code, those with 10 parcels or more (9 of 18); "
            "whole 10 km blocks tested; B08 stands in for B8A",
        )
    ]


def africa(data: Path) -> list[Held]:
    """points_africa: December 2016 to November 2017 of 500 points, as two tasks: kind of crop or cover, crop or not."""
    import pandas as pd

    table = pd.read_parquet(data / "points_africa" / "test_public_extractions.parquet")
    months = range(12)

    def steps(form: str) -> NDArray[np.float64]:
        out: NDArray[np.float64] = table[[form.format(i) for i in months]].to_numpy(dtype=np.float64)
        return out

    metres = {band: 10 if band in {"B02", "B03", "B04", "B08"} else 20 for band in S2_BANDS}
    s2 = np.stack([steps(f"OPTICAL-{band}-ts{{}}-{metres[band]}m") for band in S2_BANDS], axis=2)
    db = _worldcereal_db(np.stack([steps(f"SAR-{p}-ts{{}}-20m") for p in ("VV", "VH")], axis=2))
    weather = _agera(
        np.stack([steps("METEO-temperature_mean-ts{}-100m"), steps("METEO-precipitation_flux-ts{}-100m")], axis=2)
    )
    days = MONTH_STARTS[(np.arange(12) + 11) % 12] + np.int16(15)
    shared: dict[str, Any] = {
        "group": np.arange(len(table), dtype=np.int64),
        "lonlat": table[["lon", "lat"]].to_numpy(dtype=np.float64),
        "month": np.full(len(table), 11, dtype=np.int64),
        "weather": weather,
        "terrain": table[["DEM-alt-20m", "DEM-slo-20m"]].to_numpy(dtype=np.float64),
        "true_b8a": True,
        "amounts": ("5/class", "10/class", "20/class", "50/class", "100%"),
    }
    crop = np.where(table["finetune_class"].to_numpy() == "temporary_crops", "crop", "other").astype(object)
    steps_of = _Steps(s2, db, days)
    return [
        _held(
            "africa_cover", steps_of, table["sampling_label"].to_numpy(dtype=object), "classification",
            note="crop or cover with 10 points or more (5 of 13); whole 10 km blocks tested", **shared,
        ),
        _held(
            "africa_crop", steps_of, crop, "classification",
            note="temporary crop or not, 471 against 29; whole 10 km blocks tested", **shared,
        ),
    ]  # fmt: skip


SETS: dict[str, Callable[[Path], list[Held]]] = {"fuel": fuel, "corsica": corsica, "africa": africa}


def read_sets(data: Path, names: list[str]) -> list[Held]:
    """The sets of these names, task by task."""
    for name in names:
        if name not in SETS:
            raise InputError(f"set {name!r}; expected some of {', '.join(SETS)}")
    if not data.is_dir():
        raise InputError(f"no folder {data}; expected the labelled sets")
    return [held for name in names for held in SETS[name](data)]


@dataclass(frozen=True)
class _Steps:
    s2: NDArray[Any]
    db: NDArray[Any]
    day: NDArray[np.int16]


def _held(
    name: str,
    steps: _Steps,
    label: NDArray[Any],
    kind: str,
    *,
    amounts: tuple[str, ...],
    month: NDArray[np.int64],
    weather: NDArray[Any],
    terrain: NDArray[Any],
    note: str,
    group: NDArray[np.int64] | None = None,
    lonlat: NDArray[np.float64] | None = None,
    test: NDArray[np.bool_] | None = None,
    cover: NDArray[np.int64] | None = None,
    true_b8a: bool = False,
) -> Held:
    s2, db, day = steps.s2, steps.db, steps.day
    valid = np.asarray(((s2 > 0) & (s2 < MISSING)).all(axis=2))
    seen = np.isfinite(db).all(axis=2)
    # one polarisation alone would enter as the other at the least backscatter
    db = np.where(seen[..., None], db, np.nan)
    keep = valid.any(axis=1) | seen.any(axis=1)
    if kind == "classification":
        names, counts = np.unique(label[keep].astype(str), return_counts=True)
        keep &= np.isin(label.astype(str), names[counts >= LEAST])
    rows = np.flatnonzero(keep)
    pixels = np.clip(np.nan_to_num(s2), 0, MISSING).astype(np.uint16)
    days = np.broadcast_to(day, valid.shape)
    ascending = np.zeros((len(rows), seen.shape[1]), dtype=np.bool_)
    series = make_series(pixels[rows], valid[rows], days[rows], scaled_db(db[rows]), days[rows], ascending)
    labelled = Labels(
        label[rows],
        kind,
        None if group is None else group[rows],
        None if lonlat is None else lonlat[rows],
        None if test is None else test[rows],
        series,
        name,
    )
    return Held(
        name,
        labelled,
        amounts,
        np.where(valid[rows][..., None], s2[rows], np.nan).astype(np.float32),
        np.where(seen[rows][..., None], db[rows], np.nan).astype(np.float32),
        month[rows],
        weather[rows].astype(np.float32),
        terrain[rows].astype(np.float32),
        (np.full(valid.shape, 9) if cover is None else cover)[rows],
        true_b8a,
        note,
    )


def _worldcereal_db(dn: NDArray[Any]) -> NDArray[np.float64]:
    """WorldCereal Sentinel-1 numbers to dB, 20 log10(DN) - 83; NaN where missing (0 or 65535)."""
    seen = (dn > 0) & (dn < MISSING)
    return np.where(seen, 20 * np.log10(np.where(seen, dn, 1)) - 83, np.nan)


def _agera(weather: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hundredths of kelvin and of millimetres a month to kelvin and metres a day, as ERA5's monthly means are."""
    scaled = weather * np.array([0.01, 0.01 / 1000 / 30.4])
    return np.where(weather < MISSING, scaled, np.nan)
