"""Files that an earlier version wrote open, and give the same values; `tools/keep_files.py` says how they were made.

Only public verbs and commands are used here. Every check is run twice: on the files as they are, and on a copy in which
one byte is another, where it must fail.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tessera
from tessera.catalogue import read_manifest
from tessera.cubes import series_of_cube
from tessera.exchange import import_year_store
from tessera.pretrain import open_blocks
from tessera.preview import read_overview, update_preview
from tessera.scale import embed_cube
from tessera.scenes import read_scenes

KEPT = Path(__file__).parent / "kept" / "before-redrawing"
TOLD = json.loads((KEPT / "expected.json").read_text())
BBOX, PREFIX = TOLD["bbox"], TOLD["prefix"]
_ZONE, _WEST, _NORTH, _WIDTH, _HEIGHT = TOLD["window"]
WINDOW = tessera.Window(_ZONE, _WEST, _NORTH, _WIDTH, _HEIGHT)
YEAR, EARLIER = 2023, 2022
ENCODER = ("--model", "tiny.safetensors", "--device", "cpu", "--precision", "fp32")
COMPRESSED = ("x", "y", "time", "band", "band_d16", "stream")
"""Arrays whose bytes are those of a compressor's version."""

_VERSION = re.compile(rb'"(?:geoemb:build_version|software)": ?"[^"]*"')

Run = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Check:
    """One kind of file.

    Attributes
    ----------
    opens : what reads a copy of the files, in the current folder, and compares
    damaged : file in which a byte is changed
    at : which byte, from the end where negative
    """

    opens: Callable[[Run], None]
    damaged: str
    at: int


def expected(name: str) -> Any:
    with np.load(KEPT / "expected.npz", allow_pickle=False) as file:
        return file[name]


def ok(run: Run, *arguments: object) -> str:
    code, out, err = run(*arguments)
    assert code == 0, err
    return out


def same(one: Any, other: Any) -> None:
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one, other)


def values(year: int, dims: int | None = None) -> Any:
    """The float32 vectors of a year, from the expected codes and scales."""
    codes, scales = expected(f"codes_{year}")[..., :dims], expected(f"scales_{year}")
    found = codes.astype(np.float32) * scales[..., None]
    return np.where(np.isfinite(scales)[..., None], found, np.float32(np.nan))


def files_of(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if "locks/" not in name}


def near(found: tessera.Embeddings, year: int) -> None:
    """Embeddings of the kept encoder: another processor may round a code in a thousand to its neighbour."""
    codes, scales = expected(f"codes_{year}"), expected(f"scales_{year}")
    same(np.isnan(found.scales), np.isnan(scales))
    np.testing.assert_allclose(found.scales, scales, rtol=1e-4)
    apart = np.abs(found.codes.astype(int) - codes)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.001
    same(found.counts, expected(f"counts_{year}"))


def check_store(run: Run) -> None:
    store = tessera.open_store("store.zarr")
    assert store.years == (EARLIER, YEAR)
    assert (store.dims, store.model.sha256, store.zones) == (32, TOLD["model_sha256"], (31,))
    assert [cell.name for cell in store.cells(YEAR)] == TOLD["cells"]
    for year in store.years:
        found = store.read_window(WINDOW, year)
        for name in ("codes", "scales", "counts"):
            same(getattr(found, name), expected(f"{name}_{year}"))
        same(store.read_region(WINDOW, year).values, values(year))
        same(store.read_region(WINDOW, year, PREFIX).values, values(year, PREFIX))


def check_prefix(run: Run) -> None:
    """The prefix has objects of its own, which a reader of regions reads; the check compares all of them."""
    assert "verdict  sound" in ok(run, "store", "check", "store.zarr")


def check_points(run: Run) -> None:
    features = json.loads(Path("points.geojson").read_text())["features"]
    lonlat = [feature["geometry"]["coordinates"] for feature in features]
    with Path("points.csv").open() as file:
        rows = list(csv.reader(file))
    head, body = rows[0], rows[1:]
    sampled = tessera.open_store("store.zarr").sample_points(lonlat, YEAR, PREFIX)
    columns = [at for at, name in enumerate(head) if name.startswith("e")]
    assert len(columns) == PREFIX
    same(np.array([[row[at] for at in columns] for row in body], dtype=np.float32), sampled)


def check_tables(run: Run) -> None:
    """Tables that today's code writes say what the kept ones say, and take their place unasked."""
    for name in ("points", "squares"):
        kept = Path(f"{name}.csv").read_bytes()
        option = "--points" if name == "points" else "--zonal"
        ok(run, "get", "store.zarr", "--year", YEAR, option, f"{name}.geojson", "--dims", PREFIX, "-o", f"{name}.csv")
        assert Path(f"{name}.csv").read_bytes() == kept


def check_parquet(run: Run) -> None:
    import pyarrow.parquet as pq

    for name in ("points", "squares"):
        path, option = Path(f"{name}.parquet"), "--points" if name == "points" else "--zonal"
        kept = pq.read_table(path)
        ok(run, "get", "store.zarr", "--year", YEAR, option, f"{name}.geojson", "--dims", PREFIX, "-o", path)
        assert pq.read_table(path).equals(kept)


def check_geotiff(run: Run) -> None:
    for name, options in (("region", ("--dims", PREFIX)), ("codes", ("--quantised",))):
        paths = ("region.tif",) if name == "region" else ("codes.tif", "codes_scales.tif")
        kept = [raster(path) for path in paths]
        ok(run, "get", "store.zarr", "--year", YEAR, "--bbox", BBOX, *options, "-o", f"{name}.tif")
        for path, before in zip(paths, kept, strict=True):
            assert_same_raster(raster(path), before)


def raster(path: str) -> tuple[Any, ...]:
    rasterio = pytest.importorskip("rasterio")
    with rasterio.open(path, driver="GTiff") as file:
        return file.read(), file.crs, file.transform, file.nodata, file.overviews(1), file.is_tiled


def assert_same_raster(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    same(one[0], other[0])
    # no data may be NaN
    assert str(one[1:]) == str(other[1:])


def check_overviews(run: Run) -> None:
    store = tessera.open_store("store.zarr")
    for level in (160, 1280):
        found = read_overview(store, WINDOW, YEAR, level)
        assert found.attrs["current"]
        same(found.values, expected(f"overview_{level}"))
        same(found.coords["valid"].values, expected(f"share_{level}"))


def check_preview_is_up_to_date(run: Run) -> None:
    before = files_of(Path("store.zarr"))
    report = update_preview(tessera.open_store("store.zarr"), (YEAR,))
    assert (report.cells_made, report.cells_kept, report.fitted) == (0, 2, False)
    assert (report.shards_painted, report.chunks) == (0, 0)
    assert files_of(Path("store.zarr")) == before


def check_manifest(run: Run) -> None:
    store = tessera.open_store("store.zarr")
    for year in store.years:
        rows = read_manifest(store, None, year).table
        assert sorted(rows["cell"].to_pylist()) == TOLD["cells"]
        assert set(rows["model_sha256"].to_pylist()) == {TOLD["model_sha256"]}
        assert sum(rows["valid"].to_pylist()) == int(np.isfinite(expected(f"scales_{year}")).sum())


def check_same_bytes(run: Run) -> None:
    """A store written today from the same embeddings has the same bytes; its version and what is derived aside."""
    kept = tessera.open_store("store.zarr")
    made = tessera.create_store("again.zarr", kept.dims, kept.model, zones=kept.zones, layout=kept.layout)
    for year in kept.years:
        parts = [expected(f"{name}_{year}") for name in ("codes", "scales", "counts")]
        for cell in kept.cells(year):
            # each cell's record says what its part was made from
            record = kept.commit(cell, year)
            assert record is not None
            inside = cell.window.intersection(WINDOW)
            assert inside is not None
            rows, cols = inside.slices_in(WINDOW)
            provenance = record.inputs[0]["provenance"]
            codes, scales, counts = (part[rows, cols] for part in parts)
            made.write(tessera.Embeddings(codes, scales, counts, kept.model, inside.grid, provenance), year)
    derived = ("overviews/", "global_rgb/", "manifest.parquet", ".tessera/")
    ours, theirs = (
        {
            name: _VERSION.sub(b"", data)
            for name, data in files_of(Path(folder)).items()
            if not name.startswith(derived) and not (name.endswith("c/0") and name.split("/")[1] in COMPRESSED)
        }
        for folder in ("again.zarr", "store.zarr")
    )
    assert sorted(ours) == sorted(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []


def check_year_store(run: Run) -> None:
    model = tessera.open_store("store.zarr").model
    made = tessera.create_store("imported.zarr", model.dims, model, zones=(31,))
    report = import_year_store("years/2023.zarr", made)
    assert report.failed == []
    found = made.read_window(WINDOW, YEAR)
    same(found.codes, expected(f"codes_{YEAR}"))
    same(found.scales, expected(f"scales_{YEAR}"))


def check_cube(run: Run) -> None:
    cube = tessera.open_cube("cube.zarr")
    assert cube.sha256 == TOLD["cube_sha256"]
    assert cube.grid == WINDOW.grid
    assert_is_dpixel(cube)


def assert_is_dpixel(cube: tessera.PixelCube) -> None:
    names = {"s2": "bands", "s2_mask": "masks", "s2_doy": "doys", "s1_asc": "sar_ascending"}
    names |= {"s1_asc_doy": "sar_ascending_doy", "s1_desc": "sar_descending", "s1_desc_doy": "sar_descending_doy"}
    for ours, theirs in names.items():
        np.testing.assert_array_equal(np.asarray(getattr(cube, ours)), np.load(f"dpixel/{theirs}.npy"))


def check_dpixel(run: Run) -> None:
    tessera.export_dpixel(tessera.open_cube("cube.zarr"), "exported")
    assert files_of(Path("exported")) == files_of(Path("dpixel"))
    assert_is_dpixel(tessera.open_cube("dpixel"))


def check_blocks(run: Run) -> None:
    blocks = open_blocks("blocks", verify=True)
    series = series_of_cube(tessera.open_cube("cube.zarr"), 2, 2)
    assert series.digest() == TOLD["series_sha256"]
    assert len(blocks) == len(series)
    ok(run, "blocks", "cube.zarr", *("--every", 2, "--minimum", 2, "--s2", 16, "--s1", 16, "-o", "again"))
    kept, made = (json.loads((Path(name) / "index.json").read_text()) for name in ("blocks", "again"))
    assert made["blocks"] == kept["blocks"]


def check_scenes(run: Run) -> None:
    table = read_scenes("scenes.parquet")
    assert table.sha256 == TOLD["scenes_sha256"]
    assert [scene.id for scene in table.scenes] == TOLD["scenes_ids"]


def check_encoder(run: Run) -> None:
    encoder = tessera.load_encoder("tiny.safetensors", device="cpu", precision="fp32")
    assert encoder.identity.sha256 == TOLD["model_sha256"]
    near(encoder.encode(tessera.open_cube("cube.zarr")), YEAR)


def check_pretraining_goes_on(run: Run) -> None:
    kept = json.loads(Path("tiny.safetensors.json").read_text())
    for name in ("tiny.safetensors", "tiny.safetensors.json"):
        Path(name).unlink()
    Path("half.state").rename("tiny.safetensors.state")
    out = ok(run, "pretrain", "tiny.toml")
    made = json.loads(Path("tiny.safetensors.json").read_text())
    assert made["run"] == kept["run"]
    # the first half is the kept log itself, the second was computed now
    half = len(kept["log"]) // 2
    assert [log["step"] for log in made["log"]] == [log["step"] for log in kept["log"]]
    assert made["log"][:half] == kept["log"][:half], out
    for one, other in zip(made["log"][half:], kept["log"][half:], strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=0.02)


def check_head(run: Run) -> None:
    head = tessera.load_head("head.json")
    with Path("map.classes.csv").open() as file:
        classes = list(csv.DictReader(file))
    assert [(row["value"], row["name"]) for row in classes] == [
        (str(value), name) for value, name in zip(head.values, head.classes, strict=True)
    ]
    kept, beside = raster("map.tif"), Path("map.classes.csv").read_bytes()
    ok(run, "map", "store.zarr", "--head", "head.json", "--bbox", BBOX, "-o", "map.tif")
    assert_same_raster(raster("map.tif"), kept)
    assert Path("map.classes.csv").read_bytes() == beside


def check_head_is_fitted_again(run: Run) -> None:
    """A head that is fitted today takes the place of the kept one, and maps as it does on all but a few pixels."""
    kept = raster("map.tif")[0]
    fit = ("--column", "class", "--year", YEAR, "--split", "random")
    ok(run, "fit", "store.zarr", "points.geojson", *fit, "-o", "head.json")
    ok(run, "map", "store.zarr", "--head", "head.json", "--bbox", BBOX, "-o", "map.tif")
    assert (raster("map.tif")[0] == kept).mean() > 0.99


def check_pictures(run: Run) -> None:
    """A picture of its own kind is replaced unasked, another one is not."""
    ok(run, "store", "preview", "store.zarr", "--year", YEAR, "-o", "preview.png")


def check_evaluation(run: Run) -> None:
    """An evaluation of its own kind is replaced unasked."""
    before = Path("worth/evaluation.json").read_text()
    options = ("--labels", "4/class,100%", "--heads", "linear", "--split", "random", "--draws", 3)
    where = ("evaluate", "store.zarr", "points.geojson", "--column", "class", "--year", YEAR)
    ok(run, *where, *options, "-o", "worth")
    kept, made = json.loads(before), json.loads(Path("worth/evaluation.json").read_text())
    for name in ("kind", "column", "classes", "labels", "groups", "draws"):
        assert made[name] == kept[name]


def check_begun_cube(run: Run) -> None:
    """No scene is there any more: the days are those of the kept work (a promise of this version alone)."""
    made = tessera.build_cube(WINDOW, YEAR, source="scenes", out="built.zarr")
    assert made.sha256 == TOLD["cube_sha256"]
    assert made.provenance == tessera.open_cube("cube.zarr").provenance
    assert not Path("built.zarr.part").exists()


def check_begun_store(run: Run) -> None:
    ok(run, "embed", "cube.zarr", "-o", "begun.zarr", *ENCODER)
    near(tessera.open_store("begun.zarr").read_window(WINDOW, YEAR), YEAR)
    assert list(Path("begun.zarr/.tessera/work").rglob("*")) == []


CHECKS = {
    "store": Check(check_store, "store.zarr/utm31/embeddings/c/0/0/2910/392", 300),
    "prefix": Check(check_prefix, "store.zarr/utm31/embeddings_d16/c/1/0/2910/392", 300),
    "points": Check(check_points, "points.csv", -10),
    "tables": Check(check_tables, "squares.csv", -10),
    "parquet": Check(check_parquet, "store.zarr/utm31/scales/c/1/2910/392", 300),
    "geotiff": Check(check_geotiff, "codes_scales.tif", 2000),
    "overviews": Check(check_overviews, "store.zarr/overviews/utm31/d160/embeddings/c/1/0/45/6", -40),
    "preview": Check(check_preview_is_up_to_date, "store.zarr/commits/2023/utm31_e512_n4384.json", 0),
    "manifest": Check(check_manifest, "store.zarr/manifest.parquet", -200),
    "same bytes": Check(check_same_bytes, "store.zarr/utm31/scales/zarr.json", 100),
    "year store": Check(check_year_store, "years/2023.zarr/utm31/scales/c/0/0", -10),
    "cube": Check(check_cube, "dpixel/bands.npy", -10),
    "d-pixel": Check(check_dpixel, "dpixel/masks.npy", -10),
    "blocks": Check(check_blocks, "blocks/block-00000.bin", 100),
    "scenes": Check(check_scenes, "scenes.parquet", 200),
    "encoder": Check(check_encoder, "tiny.safetensors", -10),
    "pretraining": Check(check_pretraining_goes_on, "half.state", 2000),
    "head": Check(check_head, "map.classes.csv", -6),
    "head again": Check(check_head_is_fitted_again, "head.json", 10),
    "picture": Check(check_pictures, "preview.png", 50),
    "evaluation": Check(check_evaluation, "worth/evaluation.json", 3),
    "begun cube": Check(check_begun_cube, "built.zarr.part/work.json", 30),
    "begun store": Check(check_begun_store, "begun.zarr/utm31/scales/c/0/2910/392", 300),
}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files, as the current folder."""
    copy = tmp_path / "kept"
    shutil.copytree(KEPT, copy)
    monkeypatch.chdir(copy)
    return copy


@pytest.mark.parametrize("name", CHECKS)
def test_what_the_version_before_wrote_opens_and_gives_the_same_values(name: str, kept: Path, run: Run) -> None:
    CHECKS[name].opens(run)


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_fails_where_a_byte_is_another(name: str, kept: Path, run: Run) -> None:
    check = CHECKS[name]
    path = kept / check.damaged
    data = bytearray(path.read_bytes())
    data[check.at] ^= 1
    path.write_bytes(data)
    with pytest.raises((AssertionError, tessera.TesseraError)):
        check.opens(run)


def test_a_block_that_was_finished_is_taken_up(kept: Path) -> None:
    """A code of the kept block is changed, and the store that is finished from it has that code."""
    [block] = kept.glob("begun.zarr/.tessera/work/*/*.block")
    content = block.read_bytes()[32:]
    assert block.read_bytes()[:32] == hashlib.sha256(content).digest()
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        parts = dict(file)
    codes = parts["codes"][3, 4]
    codes += np.where(codes > 0, -1, 1).astype(np.int8)
    changed = io.BytesIO()
    np.savez(changed, **parts)
    block.write_bytes(hashlib.sha256(changed.getvalue()).digest() + changed.getvalue())
    encoder = tessera.load_encoder("tiny.safetensors", device="cpu", precision="fp32")
    store = tessera.open_store("begun.zarr")
    cube = tessera.open_cube("cube.zarr")
    assert embed_cube(store, encoder, cube, YEAR, encoder.options()) == (1, 1)
    # the block is of the lower cell, which begins with row 8
    same(tessera.open_store("begun.zarr").read_window(WINDOW, YEAR).codes[8 + 3, 4], codes)
    assert (codes != expected(f"codes_{YEAR}")[8 + 3, 4]).all()
