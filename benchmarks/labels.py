"""Time and memory of reading labels, beside geopandas and rasterio; and what pixels at the borders of fields do.

python benchmarks/labels.py [--polygons 10000] [--points 1000000] [--side 10000] [--demo demo-output] [--dir DIR]

Every reading is a process of its own, so that its peak memory counts. Polygons are fields of 0.5 to 8 ha with 24
corners on 100 x 100 km that two UTM zones share, as a GeoPackage. The peer does with geopandas and rasterio what tools
that burn one field after the other do: read, project, one mask a field, 200 pixels drawn. Times include the imports.

The borders: fields of the demo's landscape are its connected pieces of one class of the truth, 600 m2 and larger, as
polygons, also drawn some metres beside where they are, each in a direction of its own, as maps and receivers do. A
linear head learns from a part of them, with the pixels at the border dropped or kept, and predicts all pixels of the
others, 10 draws of the fields.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import rasterio
import shapely
import shapely.affinity
from rasterio import features
from rasterio.transform import Affine

from tessera.geo import from_lonlat, to_lonlat, write_vector
from tessera.labels import read_labels
from tessera.learners import learn
from tessera.store import open_store
from tessera.validation import confusion, scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

CORNERS, PER_POLYGON, DRAWS = 24, 200, 10
SHIFTS, AMOUNTS = (0.0, 5.0, 10.0, 20.0), (2, 10)
CENTRE = (6.0, 50.5)


def make_polygons(path: Path, count: int) -> None:
    """Fields of an irregular outline."""
    rng = np.random.default_rng(0)
    x, y = from_lonlat([CENTRE[0]], [CENTRE[1]], 31)
    middle = np.array([x[0], y[0]]) + rng.uniform(-50_000, 50_000, (count, 2))
    radius = np.sqrt(rng.uniform(5_000, 80_000, count) / np.pi)
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    reach = radius[:, None] * rng.uniform(0.8, 1.2, (count, CORNERS))
    ring = middle[:, None] + np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=-1)
    lon, lat = to_lonlat(ring[..., 0], ring[..., 1], 31)
    shapes = np.asarray(shapely.polygons(np.stack([lon, lat], axis=-1)), dtype=object)
    names = np.array([f"crop {number % 12}" for number in range(count)], dtype=object)
    write_vector(path, shapes, {"crop": names}, kind="labels")


def make_points(folder: Path, count: int) -> None:
    """The same points as GeoParquet and as CSV."""
    rng = np.random.default_rng(0)
    lonlat = np.column_stack([rng.uniform(5, 7, count), rng.uniform(50, 51, count)])
    names = np.array([f"crop {number % 12}" for number in range(count)], dtype=object)
    points = np.asarray(shapely.points(lonlat), dtype=object)
    write_vector(folder / "points.parquet", points, {"crop": names}, kind="labels")
    table = pa.table({"lon": lonlat[:, 0], "lat": lonlat[:, 1], "crop": names.tolist()})
    pa.csv.write_csv(table, folder / "points.csv")
    pq.write_table(table, folder / "table.parquet")


def make_raster(path: Path, side: int) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 12, (side // 20 + 1, side // 20 + 1), dtype=np.uint8)
    values = np.kron(coarse, np.ones((20, 20), dtype=np.uint8))[:side, :side]
    place: dict[str, Any] = {"crs": "EPSG:32631", "transform": Affine(10, 0, 600_000, 0, -10, 5_650_000)}
    layout: dict[str, Any] = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    shape: dict[str, Any] = {"count": 1, "height": side, "width": side, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place, **layout) as file:
        file.write(values, 1)


def burn_one_by_one(path: Path) -> int:
    """Labels as a tool takes them that masks one polygon after the other."""
    import geopandas

    frame = geopandas.read_file(path)
    rng = np.random.default_rng(0)
    count = 0
    for zone in (31, 32):
        west, east = 6 * zone - 186, 6 * zone - 180
        middle = frame.geometry.representative_point().x
        for shape in frame[(middle >= west) & (middle < east)].to_crs(32600 + zone).geometry:
            left, bottom, right, top = (np.asarray(shape.bounds) / 10).round()
            size = int(top - bottom) + 2, int(right - left) + 2
            place = Affine(10, 0, (left - 1) * 10, 0, -10, (top + 1) * 10)
            rows, cols = np.nonzero(features.geometry_mask([shape], size, place, invert=True))
            if len(rows) > PER_POLYGON:
                some = rng.choice(len(rows), PER_POLYGON, replace=False)
                rows, cols = rows[some], cols[some]
            to_lonlat(place.c + (cols + 0.5) * 10, place.f - (rows + 0.5) * 10, zone)
            count += len(rows)
    return count


def make(folder: Path) -> dict[str, Any]:
    """All files, in a process of its own: a child's peak memory starts from its parent's."""
    sizes = json.loads((folder / "sizes.json").read_text())
    make_polygons(folder / "fields.gpkg", sizes["polygons"])
    make_points(folder, sizes["points"])
    make_raster(folder / "land.tif", sizes["side"])
    return {}


def once(what: str, path: Path) -> dict[str, Any]:
    """Seconds and peak memory of one reading, in this process."""
    began = time.perf_counter()
    if what == "make":
        return make(path)
    if what == "peer":
        count = burn_one_by_one(path)
    elif what == "raster":
        count = len(read_labels(path))
    else:
        count = len(read_labels(path, "crop", edges="keep" if what == "keep" else "drop"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spent = {"seconds": round(time.perf_counter() - began, 2), "cpu": round(time.process_time(), 2)}
    return {**spent, "labels": count, "peak_mb": round(peak)}


def apart(what: str, path: Path) -> dict[str, Any]:
    """`once` in a process of its own."""
    command = [sys.executable, __file__, "--once", what, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def fields_of(truth: NDArray[np.uint8], place: Affine) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Connected pieces of one class as polygons in metres, and their classes; of 6 pixels and more."""
    found = [
        (shapely.geometry.shape(shape), int(value))
        for shape, value in features.shapes(truth, connectivity=4, transform=place)
    ]
    kept = [(shape, value) for shape, value in found if shape.area >= 600]
    shapes = np.empty(len(kept), dtype=object)
    shapes[:] = [shape for shape, _ in kept]
    return shapes, np.array([value for _, value in kept])


def borders(demo: Path) -> list[str]:
    """Macro-F1 on all pixels of fields that were not learnt from, with border pixels dropped and kept."""
    store = open_store(demo / "store.zarr")
    year = store.years[-1]
    with rasterio.open(demo / "scenes" / "truth.tif") as file:
        truth, place, zone = file.read(1), file.transform, file.crs.to_epsg() - 32600
    shapes, classes = fields_of(truth, place)
    names = [f"c{value}" for value in classes]
    order = {name: number for number, name in enumerate(sorted(set(names)))}
    codes = np.array([order[name] for name in names])

    def vectors(shift: float, edges: str, most: int = PER_POLYGON) -> tuple[NDArray[np.float32], Any, Any]:
        """Vectors, fields and classes, of fields drawn `shift` metres beside where they are, each in a direction."""
        angle = np.random.default_rng(1).uniform(0, 2 * np.pi, len(shapes))
        moved = np.array(
            [
                shapely.affinity.translate(shape, shift * np.cos(turn), shift * np.sin(turn))
                for shape, turn in zip(shapes, angle, strict=True)
            ],
            dtype=object,
        )
        degrees = shapely.transform(moved, lambda p: np.column_stack(to_lonlat(p[:, 0], p[:, 1], zone)))
        rows = [
            {"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": {"crop": name}}
            for shape, name in zip(degrees, names, strict=True)
        ]
        labels = read_labels({"type": "FeatureCollection", "features": rows}, "crop", edges=edges, per_polygon=most)
        assert labels.lonlat is not None
        values = store.sample_points(labels.lonlat, year)
        good = np.isfinite(values).all(axis=1)
        assert labels.groups is not None
        return values[good], labels.groups[good], np.array([order[one] for one in labels.values])[good]

    x, group, y = vectors(0.0, "keep", 100_000)
    lines = [f"{len(shapes)} fields, {len(order)} classes"]
    for shift in SHIFTS:
        held = {edges: vectors(shift, edges) for edges in ("drop", "keep")}
        for per_class in AMOUNTS:
            means: dict[str, list[float]] = {edges: [] for edges in held}
            for draw in range(DRAWS):
                rng = np.random.default_rng(draw)
                chosen = [rng.permutation(np.flatnonzero(codes == code))[:per_class] for code in range(len(order))]
                learnt = np.concatenate(chosen)
                tested = ~np.isin(group, learnt)
                for edges, (rows, of, target) in held.items():
                    mine = np.isin(of, learnt)
                    model = learn("linear", rows[mine], target[mine], len(order), 0)
                    table = confusion(y[tested], model.predict(x[tested]), len(order))
                    means[edges].append(float(scores(table).macro_f1 or 0.0))
            gaps = np.subtract(means["drop"], means["keep"])
            lines.append(
                f"{per_class} fields a class, drawn {shift:g} m beside: macro-F1 {np.mean(means['drop']):.3f} without "
                f"border pixels, {np.mean(means['keep']):.3f} with them, difference {gaps.mean():+.4f} (standard error "
                f"{gaps.std(ddof=1) / np.sqrt(DRAWS):.4f})"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polygons", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--demo", type=Path)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--once", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(once(given.once[0], Path(given.once[1]))))
        return
    if given.demo is not None:
        print("\n".join(borders(given.demo)), flush=True)
    with tempfile.TemporaryDirectory(dir=given.dir) as name:
        folder = Path(name)
        sizes = {"polygons": given.polygons, "points": given.points, "side": given.side}
        (folder / "sizes.json").write_text(json.dumps(sizes))
        apart("make", folder)
        jobs = [
            ("peer", "fields.gpkg", f"{given.polygons:,} polygons, geopandas and rasterio one by one"),
            ("keep", "fields.gpkg", f"{given.polygons:,} polygons, border pixels kept"),
            ("drop", "fields.gpkg", f"{given.polygons:,} polygons, border pixels dropped"),
            ("points", "points.parquet", f"{given.points:,} points, GeoParquet"),
            ("points", "table.parquet", f"{given.points:,} points, Parquet with lon and lat"),
            ("points", "points.csv", f"{given.points:,} points, CSV"),
            ("raster", "land.tif", f"{given.side:,} x {given.side:,} pixels of 12 classes, GeoTIFF"),
        ]
        for what, file, said in jobs:
            found = apart(what, folder / file)
            used = f"{found['seconds']} s, {found['cpu']} s of one core, {found['peak_mb']} MB at most"
            print(f"{said}: {used}, {found['labels']:,} labels", flush=True)


if __name__ == "__main__":
    main()
