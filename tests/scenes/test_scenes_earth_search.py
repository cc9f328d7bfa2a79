"""A real Earth Search item and its pixels, decimated ten times."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from scenes_helpers import EARTH_SEARCH, Catalog

from tessera.base import InputError
from tessera.cubes import S2_BANDS, SCL_KEPT
from tessera.geo import Window
from tessera.scenes import build_cube, remove_offset

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


def plain(item: dict[str, Any]) -> None:
    """The item as if its baseline had the offset, without what tells where it came from."""
    item["links"] = []
    item["assets"] = {key: item["assets"][key] for key in EARTH_SEARCH.values()}
    item["properties"]["s2:processing_baseline"] = "05.09"
    for key in ("earthsearch:s3_path", "earthsearch:boa_offset_applied"):
        del item["properties"][key]


def whole(item: dict[str, Any]) -> None:
    item["properties"]["s2:processing_baseline"] = "05.09"


def applied(item: dict[str, Any]) -> None:
    plain(item)
    item["properties"]["earthsearch:boa_offset_applied"] = True


def linked(item: dict[str, Any]) -> None:
    plain(item)
    item["links"] = [{"rel": "canonical", "href": "s3://sentinel-cogs/sentinel-s2-l2a-cogs/29/R/KH/x.json"}]


def copied(item: dict[str, Any]) -> None:
    plain(item)
    origin = {"from": {"href": "https://sentinel-cogs.s3.us-west-2.amazonaws.com/x/B02.tif"}}
    item["assets"]["blue"]["alternate"] = origin


def original(item: dict[str, Any]) -> None:
    applied(item)
    item["assets"]["blue"]["alternate"] = {"s3": {"href": "s3://sentinel-s2-l2a/tiles/29/R/KH/B02.jp2"}, "odd": 3}


@pytest.mark.parametrize(
    ("change", "offset"),
    [(whole, False), (plain, True), (applied, False), (linked, False), (copied, False), (original, True)],
)
def test_harmonised_pixels_lose_the_offset_only_once(catalog: Catalog, change: Any, offset: bool) -> None:
    before = np.asarray(build_cube(WINDOW, 2020, source=catalog.root).s2)
    catalog.edit("S2A_29RKH_20200219_0_L2A", change)
    after = np.asarray(build_cube(WINDOW, 2020, source=catalog.root).s2)
    np.testing.assert_array_equal(after, remove_offset(before, offset))


def test_a_note_on_the_offset_that_is_none(catalog: Catalog) -> None:
    def change(item: dict[str, Any]) -> None:
        item["properties"]["earthsearch:boa_offset_applied"] = "yes"

    catalog.edit("S2A_29RKH_20200219_0_L2A", change)
    with pytest.raises(InputError, match="boa_offset_applied 'yes'; expected true or false"):
        build_cube(WINDOW, 2020, source=catalog.root)
