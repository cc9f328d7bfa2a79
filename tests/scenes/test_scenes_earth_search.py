"""A real Earth Search item and its pixels, decimated ten times."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from scenes_helpers import EARTH_SEARCH, Catalog

from tessera.base import InputError
from tessera.cubes import S2_BANDS
from tessera.geo import Window
from tessera.scenes import build_cube
from tessera.scenes.rules import SCL_KEPT

WINDOW = Window(29, 22_000, 275_000, 90, 70)
"""Within the tile, off its 100 m grid."""


@pytest.fixture
def catalog(shared: Path, tmp_path: Path) -> Catalog:
    folder = shared / "data" / "earth_search_29RKH"
    if not folder.is_dir():
        pytest.skip("shared/data/earth_search_29RKH is not there")
    (tmp_path / "stac").mkdir()
    made = Catalog(tmp_path / "stac")
    item = json.loads((folder / "S2A_29RKH_20200219_0_L2A.json").read_text())
    for band, key in EARTH_SEARCH.items():
        item["assets"][key]["href"] = f"./{band}.tif"
    made.add(item)
    for band in EARTH_SEARCH:
        shutil.copy(folder / f"{band}.tif", tmp_path / "stac" / item["id"] / f"{band}.tif")
    return made


def warped(path: Path, resampling: Resampling) -> np.ndarray:
    """The window as GDAL itself warps it."""
    left, _, _, top = WINDOW.bounds
    with (
        rasterio.open(path) as file,
        WarpedVRT(
            file,
            crs="EPSG:32629",
            transform=rasterio.transform.Affine(10, 0, left, 0, -10, top),
            width=WINDOW.width,
            height=WINDOW.height,
            resampling=resampling,
        ) as view,
    ):
        return np.asarray(view.read(1))


def test_a_real_item_is_read_as_gdal_reads_it(catalog: Catalog) -> None:
    # The item tells the grid of the full tile and remote copies of assets that are not read; neither matters.
    cube = build_cube(WINDOW, 2020, source=catalog.root)
    folder = catalog.root / "S2A_29RKH_20200219_0_L2A"
    assert cube.s2_doy.tolist() == [50]
    clear = np.isin(warped(folder / "SCL.tif", Resampling.nearest), SCL_KEPT)
    assert clear.mean() > 0
    np.testing.assert_array_equal(np.asarray(cube.s2_mask)[0], clear)
    for number, band in enumerate(S2_BANDS):
        fine = band in ("B04", "B02", "B03", "B08")
        expected = warped(folder / f"{band}.tif", Resampling.nearest if fine else Resampling.bilinear)
        np.testing.assert_array_equal(np.asarray(cube.s2)[0][..., number], np.where(clear, expected, 0), err_msg=band)
    means = np.asarray(cube.s2)[0][clear].mean(axis=0)
    assert means[S2_BANDS.index("B11")] > means[S2_BANDS.index("B02")] > 300
    assert cube.provenance["s2_baselines"] == ["02.14"]


def test_remote_assets_are_refused(catalog: Catalog) -> None:
    name = "S2A_29RKH_20200219_0_L2A"
    remote = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs/29/R/KH/2020/2/x/B02.tif"
    catalog.edit(name, lambda item: item["assets"]["blue"].update(href=remote))
    with pytest.raises(InputError, match=r"asset blue, points to 'https://.*; expected a relative path"):
        build_cube(WINDOW, 2020, source=catalog.root)
