"""Small stores of every layout, and what Python reads of them, for the page's tests: web/tests/fixtures/store/.

Two zones on both sides of 6 E, two years, pixels without data and never written. Write them anew with
`python tests/page/store_fixtures.py`.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from tessera.catalogue import write_manifest
from tessera.geo import NORTH, WEST, Window, from_lonlat, to_lonlat
from tessera.preview import read_overview, update_preview
from tessera.shards import Layout
from tessera.store import open_store
from tessera.testing import SMALL_LAYOUT, SMALL_MODEL, random_embeddings, small_store

if TYPE_CHECKING:
    from tessera.store import Store

FOLDER = Path(__file__).resolve().parents[2] / "web" / "tests" / "fixtures" / "store"
YEARS = (2023, 2021)  # in order of arrival
_PLACE = (6.0, 50.0)
_SIDE = 40
_NEEDLESS = {"x", "y", "band", "band_d2", "observation_counts", "state", "colours.json"}


def windows() -> list[Window]:
    """A window west of 6 E in zone 31, and one east of it in zone 32; both reach over cells and over the seam."""
    found = []
    for zone, west in ((31, -_SIDE + 4), (32, -4)):
        x, y = from_lonlat(*_PLACE, zone)
        north = int(y // 10) // 128 * 128 + _SIDE // 2  # over the border of two cells
        found.append(Window(zone, int(x // 10) + west, north, _SIDE, _SIDE))
    return found


def _south() -> float:
    """Latitude of the border of cells that the windows reach over."""
    window = windows()[0]
    return float(to_lonlat(window.west * 10.0, (window.north - _SIDE // 2) * 10.0, window.zone)[1])


def fill(store: Store) -> Store:
    """Write both windows in both years, the second year with other pixels."""
    for n, year in enumerate(YEARS):
        for k, window in enumerate(windows()):
            moved = replace(window, north=window.north - 8 * n)
            store.write(random_embeddings(moved, 10 * n + k, not_written=0.1), year)
    return store


def make(folder: Path) -> dict[str, Path]:
    """Name -> folder of a store of each layout."""
    ours = fill(small_store(folder / "ours", zones=(31, 32)))
    layout = Layout.published(SMALL_LAYOUT.dims, SMALL_LAYOUT.prefixes)
    fill(small_store(folder / "published", zones=(31, 32), layout=layout))
    (folder / "published" / "tessera.json").unlink()
    return {"ours": folder / "ours", "published": folder / "published", "year": _year_store(ours, folder / "2023.zarr")}


def _year_store(store: Store, path: Path) -> Path:
    """An older `tessera:` store: one year, arrays (H, W, B) of their own corner, chunks of 4 pixels, NaN = no data."""
    about = {"tessera:dataset_version": "v0", "tessera:year": YEARS[0]}
    root = zarr.create_group(store=str(path), zarr_format=3, attributes=about)
    for window in windows():
        west, north = window.west // 64 * 64, -(-window.north // 64) * 64
        place = [10.0, 0.0, west * 10.0, 0.0, -10.0, north * 10.0]
        where = {"tessera:utm_zone": window.zone, "proj:code": f"EPSG:{32600 + window.zone}"}
        group = root.create_group(f"utm{window.zone}", attributes={**about, **where, "spatial:transform": place})
        form: dict[str, Any] = {"compressors": BloscCodec(typesize=1, cname="zstd", clevel=3, shuffle="bitshuffle")}
        dims = store.dims
        codes = group.create_array(
            "embeddings", shape=(128, 128, dims), chunks=(4, 4, dims), shards=(64, 64, dims), dtype="int8", **form
        )
        scales = group.create_array(
            "scales", shape=(128, 128), chunks=(4, 4), shards=(64, 64), dtype="float32", fill_value=np.nan, **form
        )
        held = store.read_window(window, YEARS[0])
        row, col = north - window.north, window.west - west
        box = slice(row, row + window.height), slice(col, col + window.width)
        codes[box] = np.where(held.valid[..., None], held.codes, np.int8(0))
        scales[box] = np.where(held.valid, held.scales, np.float32(np.nan))
    return path


def expected(store: Store) -> dict[str, Any]:
    """Windows and points of the store of our layout, as Python reads them."""
    found: dict[str, Any] = {"model": SMALL_MODEL.to_json(), "windows": [], "points": points(store)}
    for year in YEARS:
        for window in windows():
            wide = Window(window.zone, window.west - 3, window.north + 5, window.width + 9, window.height + 7)
            held = store.read_window(wide, year)
            place = {"zone": wide.zone, "row": NORTH - wide.north, "col": wide.west - WEST}
            size = {"height": wide.height, "width": wide.width}
            codes, scales = held.codes.tobytes(), held.scales.astype("<f4").tobytes()
            found["windows"].append(
                {"window": {**place, **size}, "year": year, "codes": _text(codes), "scales": _text(scales)}
            )
    return found


def points(store: Store) -> list[dict[str, Any]]:
    """Points on both sides of the seam."""
    found: list[dict[str, Any]] = []
    rng = np.random.default_rng(3)
    lonlat = np.column_stack([rng.uniform(5.996, 6.004, 60), rng.uniform(_south() - 0.0015, _south() + 0.0015, 60)])
    for year in YEARS:
        vectors = store.sample_codes(lonlat, year)
        found.append(
            {
                "year": year,
                "lonlat": lonlat.tolist(),
                "codes": _text(vectors.codes.tobytes()),
                "scales": _text(vectors.scales.astype("<f4").tobytes()),
            }
        )
    return found


def overviews(store: Store) -> list[dict[str, Any]]:
    """Means and pictures of the windows, as Python and zarr read them; rows and columns are of overview pixels."""
    found: list[dict[str, Any]] = []
    for year in YEARS:
        for window in windows():
            for level in (160, 1280):
                side = level // 10
                means = read_overview(store, window, year, level=level)
                row, col = (NORTH - window.north) // side, (window.west - WEST) // side
                height, width = means.shape[:2]
                entry: dict[str, Any] = {"year": year, "zone": window.zone, "level": level, "row": row, "col": col}
                entry |= {"height": height, "width": width, "values": _text(means.values.astype("<f4").tobytes())}
                entry["valid"] = np.rint(means.valid.values * side**2).astype(int).reshape(-1).tolist()
                if level == 160:
                    root = zarr.open_group(f"{store.objects.root}/overviews/utm{window.zone}/d160", mode="r")
                    box = (store.years.index(year), slice(row, row + height), slice(col, col + width))
                    picture: Any = root["rgb"]
                    entry["rgba"] = np.asarray(picture[box]).reshape(-1).tolist()
                found.append(entry)
    return found


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pack(folder: Path, path: Path, parts_of_store: tuple[str, ...] = ("tessera.json", "zarr.json", "utm")) -> None:
    """A zip of what readers need of a store: metadata, time axes and shards."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(folder.rglob("*")):
            key = file.relative_to(folder).as_posix()
            parts = key.split("/")
            is_needed = parts[0].startswith(parts_of_store) and not set(parts) & _NEEDLESS
            if file.is_file() and is_needed:
                archive.writestr(zipfile.ZipInfo(key), file.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """Write the fixtures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp())
    try:
        folders = make(scratch)
        write_manifest(open_store(folders["ours"]))
        shutil.move(folders["ours"] / "manifest.parquet", FOLDER / "manifest.parquet")
        ours = open_store(folders["ours"])
        update_preview(ours)
        pack(folders["ours"], FOLDER / "overviews.zip", ("overviews",))
        (FOLDER / "overviews.json").write_text(json.dumps(overviews(ours)))
        for name, folder in folders.items():
            pack(folder, FOLDER / f"{name}.zip")
        (FOLDER / "expected.json").write_text(json.dumps(expected(open_store(folders["ours"]))))
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
