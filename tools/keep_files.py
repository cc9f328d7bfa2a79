"""Make small files of every kind that users keep, with what this version reads in them, for tests of later versions.

    python tools/keep_files.py tests/kept/before-redrawing

The files in that folder were made by version 0.1.0 at commit f34efa4, the last one before the rooms were redrawn. They
are never made anew: `tests/test_kept.py` opens them with today's code. A later version keeps its files in a folder of
its own name, made by this tool as that version has it. Only public verbs and commands are used. The folder's `years`
is a year store, which later versions read and no longer write.

The kept work was stopped where a run can be stopped: a cube whose days are all read and that is not put together yet,
and a store whose second cell is embedded and not written yet.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import tessera
from tessera.cubes import series_of_cube
from tessera.geo import Cell, to_lonlat
from tessera.preview import read_overview
from tessera.scale import embed_cube
from tessera.scenes import read_scenes
from tessera.shards import Layout

YEAR, EARLIER = 2023, 2022
SHARD, CHUNK, DIMS, PREFIX = 128, 32, 32, 16
CORNER = Cell(31, 64 * 8, 548 * 8, SHARD).window
WINDOW = tessera.Window(31, CORNER.west + 98, CORNER.north + 8, 24, 20)
"""The upper 8 rows in one cell, the lower 12 in another: a chunk of each."""
S2_DATES, S1_DATES = 7, 4
CONFIG = f"""out = "tiny.safetensors"
[data]
blocks = "blocks"
[encoder]
latent_dim = 4
num_layers = 1
nhead = 2
dim_feedforward = 16
repr_dim = {DIMS}
[objective]
width = 16
prefixes = [{PREFIX}, {DIMS}]
[plan]
steps = 40
batch = 32
draws = 6
save_every = 20
log_every = 10
[machine]
accelerator = "cpu"
"""
ENCODER = ("--model", "tiny.safetensors", "--device", "cpu", "--precision", "fp32")
EVALUATE = ("--labels", "4/class,100%", "--heads", "linear,forest", "--split", "random", "--draws", 3)


class StoppedError(Exception):
    """Stands for a stop of the process."""


def command(*arguments: object) -> None:
    """Run a command of tessera in this folder."""
    words = [str(argument) for argument in arguments]
    print("tessera", *words, flush=True)
    subprocess.run([sys.executable, "-m", "tessera", *words], check=True)


def main() -> None:
    """Make everything in a folder that does not exist yet."""
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True)
    os.chdir(out)
    os.environ["OMP_NUM_THREADS"] = "1"
    expected: dict[str, Any] = {}
    _scenes_and_cubes(expected)
    _encoder()
    _store(expected)
    _work()
    _exports()
    _heads()
    np.savez_compressed("expected.npz", **{name: value for name, value in expected.items() if _is_array(value)})
    plain = {name: value for name, value in expected.items() if not _is_array(value)}
    Path("expected.json").write_text(json.dumps(plain, indent=1) + "\n")
    print(sum(path.stat().st_size for path in out.rglob("*") if path.is_file()), "bytes")


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _bbox() -> str:
    return ",".join(f"{value:.6f}" for value in WINDOW.lonlat_bounds)


def _scenes_and_cubes(expected: dict[str, Any]) -> None:
    """scenes.parquet, cube.zarr, dpixel/, built.zarr.part, points.geojson, squares.geojson, blocks/."""
    made = tessera.simulate("scenes", WINDOW, YEAR, seed=3, s2_dates=S2_DATES, s1_dates=S1_DATES)
    _labels(made.truth, made.classes)
    command("cube", "scenes", "--source", "scenes", "--year", YEAR, "--bbox", _bbox(), "-o", "scenes.parquet")
    table = read_scenes("scenes.parquet")
    expected["scenes_sha256"] = table.sha256
    expected["scenes_ids"] = [scene.id for scene in table.scenes]
    cube = tessera.build_cube(WINDOW, YEAR, source="scenes", out="cube.zarr")
    tessera.export_dpixel(cube, "dpixel")

    def stop(done: int, total: int) -> None:
        if done == total:
            raise StoppedError

    try:
        tessera.build_cube(WINDOW, YEAR, source="scenes", out="built.zarr", progress=stop)
    except StoppedError:
        print("built.zarr.part: every day is there")
    for folder in ("sentinel-2-l2a", "sentinel-1-rtc"):
        # the table beside the days has been asked for; no day is read again
        shutil.rmtree(Path("scenes") / folder)
    (Path("scenes") / "truth.tif").unlink()
    expected["cube_sha256"] = cube.sha256
    expected["series_sha256"] = series_of_cube(cube, 2, 2).digest()
    command("blocks", "cube.zarr", "--every", 2, "--minimum", 2, "--s2", 16, "--s1", 16, "-o", "blocks")


def _labels(truth: np.ndarray[Any, Any], classes: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    chosen: list[tuple[int, int, str]] = []
    for code in np.unique(truth):
        places = np.argwhere(truth == code)
        chosen += [(int(r), int(c), classes[code]) for r, c in rng.permutation(places)[:14]]
    features: list[dict[str, Any]] = []
    squares: list[dict[str, Any]] = []
    for row, col, name in chosen:
        lon, lat = _degrees(col + 0.5, row + 0.5)
        features.append(_feature("Point", [lon, lat], {"class": name, "plot": len(features)}))
    for first in (0, 12):
        corners = ((2, first + 2), (11, first + 2), (11, first + 9), (2, first + 9), (2, first + 2))
        squares.append(_feature("Polygon", [[list(_degrees(*corner)) for corner in corners]], {"plot": first}))
    for name, made in (("points", features), ("squares", squares)):
        Path(f"{name}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": made}))


def _degrees(x: float, y: float) -> tuple[float, float]:
    lon, lat = to_lonlat((WINDOW.west + x) * 10, (WINDOW.north - y) * 10, WINDOW.zone)
    return round(float(lon), 8), round(float(lat), 8)


def _feature(kind: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def _encoder() -> None:
    """tiny.safetensors with its log, and half.state, its state after half of the steps."""
    Path("tiny.toml").write_text(CONFIG)
    command("pretrain", "tiny.toml")
    Path("tiny.safetensors.state.before").rename("half.state")
    Path("tiny.safetensors.state").unlink()


def _store(expected: dict[str, Any]) -> None:
    """store.zarr: two years, prefix, counts, manifest, preview."""
    encoder = tessera.load_encoder("tiny.safetensors", device="cpu")
    store = _new_store("store.zarr", encoder)
    with tempfile.TemporaryDirectory() as folder:
        scenes = tessera.simulate(f"{folder}/scenes", WINDOW, EARLIER, seed=3, s2_dates=S2_DATES, s1_dates=S1_DATES)
        earlier = tessera.build_cube(WINDOW, EARLIER, source=scenes.path)
    made = encoder.encode(earlier)
    empty = np.zeros(made.scales.shape, bool)
    empty[5:10, 3:9] = True
    codes, scales = np.where(empty[..., None], np.int8(0), made.codes), np.where(empty, np.float32(np.nan), made.scales)
    store.write(replace(made, codes=codes, scales=scales), EARLIER)
    command("embed", "cube.zarr", "-o", "store.zarr", *ENCODER)
    command("store", "preview", "store.zarr", "--year", YEAR, "-o", "preview.png")
    store = tessera.open_store("store.zarr")
    for year in store.years:
        found = store.read_window(WINDOW, year)
        expected |= {f"codes_{year}": found.codes, f"scales_{year}": found.scales, f"counts_{year}": found.counts}
    for level in (160, 1280):
        overview = read_overview(store, WINDOW, YEAR, level)
        expected |= {f"overview_{level}": overview.values, f"share_{level}": overview.coords["valid"].values}
    window = [WINDOW.zone, WINDOW.west, WINDOW.north, WINDOW.width, WINDOW.height]
    expected |= {"window": window, "bbox": _bbox(), "prefix": PREFIX}
    expected["model_sha256"] = store.model.sha256
    expected["cells"] = [cell.name for cell in store.cells(YEAR)]


def _new_store(path: str, encoder: tessera.Encoder) -> tessera.Store:
    layout = Layout(DIMS, (PREFIX,), shard=SHARD, chunk=CHUNK)
    return tessera.create_store(path, DIMS, encoder, zones=(31,), layout=layout)


def _work() -> None:
    """begun.zarr, a store whose second cell was not written when its run was stopped."""
    encoder = tessera.load_encoder("tiny.safetensors", device="cpu", precision="fp32")
    store = _new_store("begun.zarr", encoder)
    written: list[int] = []
    write = tessera.Store.write

    def stop(self: tessera.Store, *arguments: Any, **options: Any) -> Any:
        if written:
            raise StoppedError
        written.append(1)
        return write(self, *arguments, **options)

    tessera.Store.write = stop  # type: ignore[method-assign]
    try:
        embed_cube(store, encoder, tessera.open_cube("cube.zarr"), YEAR, encoder.options())
    except StoppedError:
        print("begun.zarr: one cell written, the block of the other kept")
    finally:
        tessera.Store.write = write  # type: ignore[method-assign]


def _exports() -> None:
    """What `tessera get` writes: tables and GeoTIFF."""
    get = ("get", "store.zarr", "--year", YEAR)
    for suffix in ("csv", "parquet"):
        command(*get, "--points", "points.geojson", "--dims", PREFIX, "-o", f"points.{suffix}")
        command(*get, "--zonal", "squares.geojson", "--dims", PREFIX, "-o", f"squares.{suffix}")
    command(*get, "--bbox", _bbox(), "--dims", PREFIX, "-o", "region.tif")
    command(*get, "--bbox", _bbox(), "--quantised", "-o", "codes.tif")


def _heads() -> None:
    """head.json, map.tif with what lies beside it, worth/."""
    fit = ("--column", "class", "--year", YEAR, "--split", "random")
    command("fit", "store.zarr", "points.geojson", *fit, "-o", "head.json")
    command("map", "store.zarr", "--head", "head.json", "--bbox", _bbox(), "-o", "map.tif")
    command("evaluate", "store.zarr", "points.geojson", "--column", "class", "--year", YEAR, *EVALUATE, "-o", "worth")
    for picture in ("map.png", "worth/curves.png"):
        Path(picture).unlink()


if __name__ == "__main__":
    main()
