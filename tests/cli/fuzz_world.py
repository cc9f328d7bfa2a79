"""For the fuzz of the command line: right inputs, odd ones, and what a parameter usually takes."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import stat
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from tessera.cubes import export_dpixel, write_cube
from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Cell, Window, to_lonlat
from tessera.heads import fit
from tessera.scenes import build_cube
from tessera.shards import Layout
from tessera.simulator import simulate
from tessera.store import create_store

YEAR = 2023
WINDOW = Window(31, Cell(31, 500, 4300, 128).window.west + 10, Cell(31, 500, 4300, 128).window.north + 20, 24, 20)
_MODEL = ModelIdentity("test", "ab" * 32, 8, (2, 8))
_CONFIG = """out = "{out}"
[data]
blocks = "{blocks}"
[plan]
steps = 2
batch = 8
"""


@dataclass(frozen=True)
class World:
    """`inputs` must stay as they are, `store` is to be copied, `good` has values by name, `odd` paths and texts."""

    inputs: Path
    store: Path
    good: dict[str, str]
    odd: tuple[str, ...]

    def digest(self) -> str:
        """SHA-256 over names, kinds, times and contents of all inputs."""
        return digest(self.inputs)


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        told = [os.fsencode(path.relative_to(folder)), oct(about.st_mode).encode()]
        if path.is_symlink():
            told.append(os.fsencode(path.readlink()))
        elif stat.S_ISREG(about.st_mode):
            told.append(str(about.st_size).encode())
            if about.st_size < 1 << 24:
                told.append(path.read_bytes())
        found.update(b"\0".join(told) + b"\n")
    return found.hexdigest()


def make_world(folder: Path) -> World:
    """Write it all: a store, a cube, scenes, labels, a head, configurations, and files that are none of them."""
    inputs = folder / "inputs"
    inputs.mkdir(parents=True)
    rng = np.random.default_rng(7)
    store = create_store(folder / "store.zarr", 8, _MODEL, zones=(31,), layout=Layout(8, (2,), shard=128, chunk=32))
    scales = rng.uniform(0.01, 0.9, WINDOW.shape).astype(np.float32)
    codes = rng.integers(-127, 128, (*WINDOW.shape, 8), dtype=np.int8)
    counts = rng.integers(0, 40, (*WINDOW.shape, 3)).astype(np.uint16)
    store.write(Embeddings(codes, scales, counts, _MODEL, WINDOW.grid), YEAR)
    days = [date(YEAR, month, 15) for month in (3, 6, 9)]
    simulate(inputs / "scenes", WINDOW, YEAR, s2_dates=days, s1_dates=(days[:1], days[1:2]))
    cube = build_cube(WINDOW, YEAR, source=inputs / "scenes", out=inputs / "cube.zarr")
    write_cube(replace(cube, grid=None), inputs / "nowhere.zarr")
    export_dpixel(cube, inputs / "dpixel")
    points = _labels(inputs, rng)
    head = fit(store, points, column="class", year=YEAR)
    head.save(inputs / "head.json")
    (inputs / "run.toml").write_text(_CONFIG.format(out=folder / "trained.safetensors", blocks=inputs / "blocks"))
    west, south, east, north = WINDOW.lonlat_bounds
    bbox = f"{west:.5f},{south:.5f},{east:.5f},{north:.5f}"
    good = {name: str(inputs / file) for name, file in _FILES.items()} | _TEXTS | {"bbox": bbox}
    return World(inputs, folder / "store.zarr", good, _odd(inputs))


_FILES = {
    "labels": "labels.geojson",
    "head": "head.json",
    "aoi": "area.geojson",
    "points": "labels.csv",
    "zonal": "area.geojson",
    "places": "labels.geojson",
    "cubes": "cube.zarr",
    "path": "cube.zarr",
    "folder": "dpixel",
    "config": "run.toml",
    "source": "scenes",
    "scenes": "scenes.parquet",
    "colours": "colours.json",
    "cert": "cert.pem",
    "key": "cert.pem",
}
_TEXTS = {
    "year": str(YEAR),
    "column": "class",
    "dims": "2",
    "tile": "grid_3.05_38.75",
    "model": "bundled-nano",
    "name": "v2-nano",
    "encoder": "bundled-nano",
    "crs": "EPSG:32631",
    "resolution": "10",
    "search": "1",
    "split": "random",
    "heads": "linear",
    "draws": "2",
    "kind": "classification",
    "workers": "1",
    "every": "8",
    "simulate": "0",
    "steps": "1",
    "first": f"{YEAR}-01-01",
    "last": f"{YEAR}-12-31",
    "west": "664000",
    "north": "5612120",
    "size": "64",
    "port": "0",
    "device": "cpu",
}


def _labels(inputs: Path, rng: np.random.Generator) -> str:
    x, y = rng.integers(0, 24, 30) + 0.5, rng.integers(0, 20, 30) + 0.5
    lon, lat = to_lonlat((WINDOW.west + x) * 10, (WINDOW.north - y) * 10, 31)
    names = ["wheat", "Łąka", "水田"]
    features = [
        {
            "type": "Feature",
            "properties": {"class": names[index % 3], "plot": index},
            "geometry": {"type": "Point", "coordinates": [float(a), float(b)]},
        }
        for index, (a, b) in enumerate(zip(lon, lat, strict=True))
    ]
    path = inputs / "labels.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    with (inputs / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "lon", "lat", "class\x1b[2J"])
        table.writerows([index, a, b, names[index % 3]] for index, (a, b) in enumerate(zip(lon, lat, strict=True)))
    west, south, east, north = WINDOW.lonlat_bounds
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    area = {
        "type": "Feature",
        "properties": {"name": "a\x1b]0;b\x07"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    (inputs / "area.geojson").write_text(json.dumps(area))
    return str(path)


def _odd(inputs: Path) -> tuple[str, ...]:
    """Files and names that no command expects, and texts that are no path."""
    odd = inputs / "odd"
    odd.mkdir()
    (odd / "empty.json").touch()
    (odd / "noise.bin").write_bytes(bytes(range(256)) * 16)
    (odd / "noise.tif").write_bytes(b"II*\0" + bytes(range(256)))
    (odd / "null.json").write_text("null")
    (odd / "deep.json").write_text("[" * 5000)
    (odd / "half.geojson").write_text('{"type": "Point", "coordinates": [5, 50], "a": "\\ud800"}')
    (odd / "attack.json").write_text(
        '{"type": "\\u001b[2J\\u0007", "format": "\\u001b]0;x\\u0007", "classes": ["\\u009b2J"]}'
    )
    (odd / "attack.csv").write_text("lon,lat,\x1b[2J\n\x1b[31mx,1,2\n")
    (odd / "attack.toml").write_text('"\\u001b[2J" = "\\u0007"\n')
    (odd / "utf16.json").write_bytes('{"a": 1}'.encode("utf-16"))
    (odd / "latin.csv").write_bytes("lon,lat,class\n3,38,épi\n".encode("latin-1"))
    (odd / "Łąka 水田.geojson").write_text((inputs / "area.geojson").read_text())
    (odd / "\x1b[2Jname.json").write_text("{}")
    (odd / os.fsdecode(b"\xff.tif")).write_bytes(b"x")
    (odd / "folder").mkdir()
    (odd / "dangling").symlink_to("nothing")
    (odd / "loop").symlink_to("loop")
    os.mkfifo(odd / "pipe")
    with (odd / "huge.parquet").open("wb") as file:
        file.write(b"PAR1")
        file.truncate(1 << 36)
    files = [str(path) for path in sorted(odd.iterdir())]
    texts = ["", " ", ".", "..", "/", "~", "nothing", "-", "--", "*", "NaN", "nan,nan,nan,nan", "1,2", "181,91,182,92"]
    texts += [
        "x" * 300,
        "x" * 70_000,
        "\x1b[2J\x07",
        "\u202e水",
        "\udcff",
        "a\nb",
        "9" * 400,
        "1e400,0,1,1",
        "null",
        "[]",
    ]
    texts += ["/dev/zero", "/dev/null", "/proc/self/environ", "/proc/nothing/x", "file:///etc/passwd", "http://[::bad"]
    texts += [
        "ftp://x/y",
        "stac:",
        "stac:x",
        "vN.9",
        "EPSG:999999",
        "grid_999_999",
        "utm99_e0_n0",
        "2023-02-30",
        "cuda:99",
    ]
    return (*files, *texts)
