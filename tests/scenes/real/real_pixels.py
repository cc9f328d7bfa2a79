"""Real pixels of four places, as reflectances and linear power on the 10 m lattice.

Where a place lacks a band, its numbers are real numbers of another band, turned so that no two bands are alike; B08
stands for B8A. Every 20 m band is made of the pixels in even rows and columns, counted from a corner of the 20 m grid.
All four places lie on the 10 m lattice by themselves (`on_lattice`), and no pixel is moved, but for the ones of
`earth_search_29RKH`: its files hold every tenth pixel of a tile, which are laid side by side from the tile's corner on.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tessera.geo import Window

FINE = ("B02", "B03", "B04", "B08")
COARSE = ("B05", "B06", "B07", "B8A", "B11", "B12")
MISSING = 65535


@dataclass(frozen=True)
class Pass:
    """A Sentinel-1 image: linear power (H, W) float32, NaN = no data; None = polarisation not there."""

    moment: dt.datetime
    orbit: str
    vv: NDArray[np.float32] | None
    vh: NDArray[np.float32] | None


@dataclass(frozen=True)
class Ground:
    """What a place looks like.

    Attributes
    ----------
    tile : MGRS tile that holds it
    window : the pixels of its fine bands
    moments : of its Sentinel-2 images
    bands : band -> (T, H, W) uint16, or (T, H / 2, W / 2) for a 20 m band; reflectance x 10000, 0 = missing
    scl : (T, H / 2, W / 2) uint8
    passes : Sentinel-1 images
    """

    tile: str
    window: Window
    moments: tuple[dt.datetime, ...]
    bands: dict[str, NDArray[np.uint16]]
    scl: NDArray[np.uint8]
    passes: tuple[Pass, ...] = ()

    def only(self, *days: int) -> Ground:
        """Some of its Sentinel-2 images, and none of Sentinel-1."""
        pick = list(days)
        return replace(
            self,
            moments=tuple(self.moments[day] for day in days),
            bands={band: image[pick] for band, image in self.bands.items()},
            scl=self.scl[pick],
            passes=(),
        )


def _open(shared: Path, name: str) -> Any:
    xarray = pytest.importorskip("xarray")
    path = shared / "data" / name
    if not path.is_file():
        pytest.skip(f"shared/data/{name} is not there")
    return xarray.open_dataset(path, mask_and_scale=False)


def _days(data: Any, hour: int, minute: int) -> list[dt.datetime]:
    days = [dt.date.fromisoformat(str(moment)[:10]) for moment in data.t.values]
    return [dt.datetime.combine(day, dt.time(hour, minute, 31), dt.UTC) for day in days]


def on_lattice(data: Any, zone: int) -> Window:
    """The window of a grid of pixel centres; fails where the grid is not the lattice's."""
    x, y = np.asarray(data.x.values), np.asarray(data.y.values)
    assert (np.diff(x) == 10).all()
    assert (np.diff(y) == -10).all()
    left, top = x[0] - 5, y[0] + 5
    assert (left % 10, top % 10) == (0, 0), "off the lattice"
    return Window(zone, int(left) // 10, int(top) // 10, x.size, y.size)


def _numbers(data: Any, name: str) -> NDArray[np.uint16]:
    """As the README tells: uint16, 65535 = missing; the files say int16."""
    return np.asarray(data[name].values).astype(np.uint16)


def _reflectance(numbers: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return np.where(numbers == MISSING, 0, numbers).astype(np.uint16)


def power(numbers: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Linear power of digital numbers: dB = 20 log10(DN) - 83, so power = DN^2 / 10^8.3."""
    value = numbers.astype(np.float64) ** 2 / 10**8.3
    return np.where((numbers == 0) | (numbers == MISSING), np.nan, value).astype(np.float32)


def _coarse(image: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(image[:, ::2, ::2])


def _on_sensor_grids(fine: dict[str, NDArray[np.uint16]]) -> dict[str, NDArray[np.uint16]]:
    return {band: _coarse(image) if band in COARSE else image for band, image in fine.items()}


def _made_classes(bands: dict[str, NDArray[np.uint16]]) -> NDArray[np.uint8]:
    """A scene classification of the pixels' own numbers, with a cloud and its shadow that wander from date to date."""
    dates, height, width = bands["B05"].shape
    rows, cols = np.mgrid[:height, :width]
    classes = np.zeros((dates, height, width), dtype=np.uint8)
    for date in range(dates):
        red, nir = (bands[band][date][::2, ::2].astype(np.int64) for band in ("B04", "B08"))
        kind = np.where(nir > 2 * red, 4, np.where(nir < red, 6, 5))
        kind[(rows + 2 * cols + 7 * date) % 31 == 0] = 7
        kind[(rows + cols + 5 * date) % 37 == 0] = 11
        cloud = (rows - 13 * date % height) ** 2 + (cols - 29 * date % width) ** 2 < (3 + date) ** 2
        kind[np.roll(cloud, 6, axis=1)] = 3
        kind[cloud] = np.where((rows + cols)[cloud] % 3 == 0, 8, 9)
        kind[(rows * 5 + cols + date) % 53 == 0] = 10
        kind[(rows + cols * 3 + date) % 101 == 0] = 2
        kind[(red == 0) | (nir == 0)] = 0
        classes[date] = kind
    return classes


def belgium(shared: Path) -> Ground:
    """Twelve monthly composites, each dated by its 15th day after the first; a synthetic scene classification.

    Their real backscatter is sigma0, which stands for gamma0; passes go up and down by turns.
    """
    data = _open(shared, "belgium_2021/worldcereal_preprocessed_inputs.nc")
    names = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12")
    fine = {band: _reflectance(_numbers(data, f"S2-L2A-{band}")) for band in names}
    fine["B8A"] = fine["B08"]
    bands = _on_sensor_grids(fine)
    moments = [moment + dt.timedelta(days=15) for moment in _days(data, 10, 50)]
    vv, vh = (power(_numbers(data, f"S1-SIGMA0-{name}")) for name in ("VV", "VH"))
    passes = [
        Pass(moment.replace(hour=17 - 12 * (date % 2)), ("ascending", "descending")[date % 2], vv[date], vh[date])
        for date, moment in enumerate(moments)
    ]
    return Ground("31UFS", on_lattice(data, 31), tuple(moments), bands, _made_classes(bands), tuple(passes))


def _turned(real: dict[str, NDArray[np.uint16]], like: dict[str, str]) -> dict[str, NDArray[np.uint16]]:
    """Substitutes for missing bands: another band, each turned in a way of its own."""
    fine = dict(real)
    for number, (band, origin) in enumerate(like.items(), 1):
        fine[band] = np.roll(real[origin], (number, 2 * number), axis=(1, 2))
    return fine


def _real_classes(data: Any, first_row: int) -> NDArray[np.uint8]:
    """The real scene classification on its own 20 m grid; fails where it is not of 20 m."""
    fine = _numbers(data, "S2-L2A-SCL").astype(np.uint8)[:, first_row:]
    fine = fine[:, : fine.shape[1] // 2 * 2]
    coarse = _coarse(fine)
    assert np.array_equal(coarse.repeat(2, axis=1).repeat(2, axis=2), fine)
    return coarse


def dated(shared: Path) -> Ground:
    """Twelve single acquisitions with their real scene classification, and ten of Sentinel-1 on other days.

    B04 B08 B11 are real.
    """
    data = _open(shared, "dated_cdse/results_cdse_sentinel2_l2a.nc")
    real = {band: _reflectance(_numbers(data, f"S2-L2A-{band}")) for band in ("B04", "B08", "B11")}
    like = {"B02": "B04", "B03": "B04", "B05": "B11", "B06": "B08", "B07": "B08", "B12": "B11"}
    fine = _turned(real, like) | {"B8A": real["B08"]}
    radar = _open(shared, "dated_cdse/results_cdse_sentinel1_grd.nc")
    window = on_lattice(data, 31)
    assert on_lattice(radar, 31) == window
    vv, vh = (power(_numbers(radar, f"S1-SIGMA0-{name}")) for name in ("VV", "VH"))
    passes = []
    for date, moment in enumerate(_days(radar, 17, 25)):
        up = date % 2 == 0
        moment = moment if up else moment.replace(hour=5)
        passes.append(Pass(moment, "ascending" if up else "descending", vv[date], vh[date]))
    moments = tuple(_days(data, 10, 46))
    return Ground("31UFS", window, moments, _on_sensor_grids(fine), _real_classes(data, 0), tuple(passes))


def autumn(shared: Path) -> Ground:
    """Nineteen single acquisitions, B02 B03 B04 B08 and the classes real; their first row is odd, and left out."""
    data = _open(shared, "dated_cdse/resources_test_optical_cube.nc")
    names = ("B02", "B03", "B04", "B08")
    whole = on_lattice(data, 31)
    assert whole.north % 2 == 1
    window = Window(31, whole.west, whole.north - 1, whole.width, (whole.height - 1) // 2 * 2)
    real = {band: _reflectance(_numbers(data, f"S2-L2A-{band}"))[:, 1 : 1 + window.height] for band in names}
    like = {"B05": "B04", "B06": "B08", "B07": "B08", "B11": "B03", "B12": "B02"}
    fine = _turned(real, like) | {"B8A": real["B08"]}
    return Ground("31UES", window, tuple(_days(data, 10, 50)), _on_sensor_grids(fine), _real_classes(data, 1))


def sahara(shared: Path, side: int = 160, row: int = 320, col: int = 700) -> Ground:
    """A piece of a real Earth Search item, all ten bands and classes real, each on its own grid."""
    rasterio = pytest.importorskip("rasterio")
    folder = shared / "data" / "earth_search_29RKH"
    if not folder.is_dir():
        pytest.skip("shared/data/earth_search_29RKH is not there")

    def cut(band: str) -> NDArray[Any]:
        step = 1 if band in FINE else 2
        with rasterio.open(folder / f"{band}.tif") as file:
            assert (file.transform.c, file.transform.f) == (199_980.0, 2_800_020.0)
            image = file.read(1)
        return np.asarray(image[row // step : (row + side) // step, col // step : (col + side) // step])[None]

    window = Window(29, 19_998 + col, 280_002 - row, side, side)
    moment = dt.datetime(2020, 2, 19, 11, 34, 25, tzinfo=dt.UTC)
    return Ground("29RKH", window, (moment,), {band: cut(band) for band in (*FINE, *COARSE)}, cut("SCL"))
