"""tessera demo: the whole way once, offline: scenes, cube, embeddings, store, labels, map, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from tessera.base import InputError, check_folder, read_json, require, write_atomic

from .terminal import step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.geo import Window
    from tessera.heads import Head
    from tessera.store import Store

_YEAR = 2023
_LABELS = 40
_MARK = "demo.json"
_NEXT = """
Next, with an area of your own:
  tessera cube build --source SCENES --bbox WEST,SOUTH,EAST,NORTH --year YEAR -o cube.zarr
  tessera embed cube.zarr -o store.zarr
  tessera fit store.zarr LABELS.geojson --column CLASS -o head.json
  tessera map store.zarr --head head.json --bbox WEST,SOUTH,EAST,NORTH -o map.tif
  tessera report --head head.json --map map.tif -o report.html
SCENES is the folder of a static STAC catalogue, such as {scenes}. In a browser, look at what was made here:
  tessera serve {store}
"""


def demo(
    folder: Annotated[Path, typer.Option("--dir", help="Where to put everything.")] = Path("tessera-demo"),
    size: Annotated[int, typer.Option(help="Side of the simulated square, pixels of 10 m.", min=64, max=1024)] = 256,
    seed: Annotated[int, typer.Option(help="Another seed, another landscape.")] = 7,
) -> None:
    """Go the whole way once, offline, with the bundled weights: simulate scenes, embed them, map land cover.

    Writes scenes/, cube.zarr, store.zarr, labels.geojson, head.json, map.tif, map.png, report.html and report.json.
    What is there already from the same demo is used again.

    Example: tessera demo --dir tessera-demo
    """
    require("rasterio", extra="scenes", purpose="the demo")
    from tessera.catalogue import write_manifest
    from tessera.cubes import open_cube
    from tessera.encode import load_encoder
    from tessera.geo import Cell, Window
    from tessera.heads import fit
    from tessera.scale import embed_cube
    from tessera.scenes import build_cube
    from tessera.simulator import CLASSES, COLOURS, read_truth, simulate
    from tessera.store import create_store, open_store

    corner = Cell(31, 64, 548).window
    window = Window(31, corner.west + 256, corner.north - 256, size, size)
    encoder = load_encoder(precision="auto")
    _claim(folder, {"size": size, "seed": seed, "year": _YEAR, "model": encoder.identity.sha256})
    scenes, cube_path, store_path = folder / "scenes", folder / "cube.zarr", folder / "store.zarr"
    with step(f"1/7 Simulating a year of scenes, {size} x {size} pixels") as progress:
        if not scenes.exists():
            simulate(scenes, window, _YEAR, seed=seed, progress=progress)
    with step("2/7 Reading the scenes into a cube") as progress:
        if not cube_path.exists():
            build_cube(window, _YEAR, source=scenes, out=cube_path, progress=progress)
    cube = open_cube(cube_path)
    store = open_store(store_path) if store_path.exists() else create_store(store_path, model=encoder)
    with step(f"3/7 Embedding with {encoder.identity.name} into a store", unit="px") as progress:
        embed_cube(store, encoder, cube, _YEAR, encoder.options(), progress=progress)
        write_manifest(store)
    truth = read_truth(scenes)
    labels, rows, cols = _label_points(truth, CLASSES, window, seed)
    write_atomic(folder / "labels.geojson", json.dumps(labels, indent=1).encode())
    colours = {name: f"#{r:02x}{g:02x}{b:02x}" for name, (r, g, b) in zip(CLASSES, COLOURS, strict=True)}
    with step(f"4/7 Fitting a linear head on {_LABELS} labelled points"):
        head = fit(store, folder / "labels.geojson", "class", year=_YEAR, colours=colours)
        head.save(folder / "head.json", overwrite=True)
    with step("5/7 Mapping") as progress:
        head.map(store, window, _YEAR, out=folder / "map.tif", png=False, overwrite=True, progress=progress)
    with step("6/7 Comparing with the truth"):
        report = _compare(folder, store, head, window, truth, CLASSES, colours, labelled=(rows, cols))
        write_atomic(folder / "report.json", json.dumps(report, indent=2).encode())
    with step("7/7 Writing the report"):
        head.write_report(folder / "report.html", folder / "map.tif", overwrite=True)
    print(
        f"\nOn {report['pixels']:,} pixels that were not labelled the map agrees with the simulated truth on "
        f"{report['accuracy']:.1%} (balanced {report['balanced_accuracy']:.1%}, macro-F1 {report['macro_f1']:.3f})."
    )
    print(f"Open {folder / 'report.html'} in a browser; see also {folder / 'map.png'} and {folder / 'report.json'}.")
    print(_NEXT.format(scenes=scenes, store=store_path))


def _claim(folder: Path, about: dict[str, Any]) -> None:
    """Mark a folder as this demo's, or recognise it."""
    if not folder.exists():
        check_folder(folder, "folder")
    elif not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder, new or of an earlier demo")
    mark = folder / _MARK
    if mark.exists():
        found = read_json(mark, what="demo mark")
        if found != about:
            raise InputError(f"{folder} holds a demo of {found}; this one is {about}; choose another --dir")
    elif folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is there already and holds no demo; choose another --dir")
    else:
        write_atomic(mark, json.dumps(about).encode())


def _label_points(
    truth: NDArray[np.uint8], classes: tuple[str, ...], window: Window, seed: int
) -> tuple[dict[str, Any], NDArray[np.int64], NDArray[np.int64]]:
    """Points with their true class as GeoJSON, as evenly over the classes as they go, and their rows and columns."""
    from tessera.geo import PIXEL_SIZE, to_lonlat

    rng = np.random.default_rng([seed, 40])
    pools = [rng.permutation(np.flatnonzero(truth.reshape(-1) == code)) for code in range(len(classes))]
    chosen: list[int] = []
    turn = 0
    while len(chosen) < _LABELS and any(turn < len(pool) for pool in pools):
        chosen += [int(pool[turn]) for pool in pools if turn < len(pool)][: _LABELS - len(chosen)]
        turn += 1
    rows, cols = np.divmod(np.asarray(sorted(chosen)), truth.shape[1])
    lon, lat = to_lonlat((window.west + cols + 0.5) * PIXEL_SIZE, (window.north - rows - 0.5) * PIXEL_SIZE, window.zone)
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [round(float(x), 7), round(float(y), 7)]},
            "properties": {"class": classes[int(truth[row, col])]},
        }
        for x, y, row, col in zip(lon, lat, rows, cols, strict=True)
    ]
    return {"type": "FeatureCollection", "features": features}, rows, cols


def _compare(
    folder: Path,
    store: Store,
    head: Head,
    window: Window,
    truth: NDArray[np.uint8],
    classes: tuple[str, ...],
    colours: dict[str, str],
    *,
    labelled: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> dict[str, Any]:
    """Score the map where nothing was labelled, and draw false colour, map and truth side by side."""
    from tessera.figures import draw_panels, false_colour
    from tessera.labels import NO_DATA
    from tessera.validation import confusion, scores

    values = store.read_region(window, _YEAR).values
    index = head.predict(values)
    code_of = np.full(256, NO_DATA, dtype=np.uint8)
    for value, name in zip(head.values, head.classes, strict=True):
        code_of[value] = classes.index(name)
    mapped = code_of[index]
    scored = mapped != NO_DATA
    no_data = int((~scored).sum())
    scored[labelled] = False
    found = scores(confusion(truth[scored], mapped[scored], len(classes)))
    legend = [(name, colours[name]) for name in classes]
    panels = [
        ("embeddings, false colour", false_colour(values)),
        (f"map from {len(labelled[0])} labels", mapped),
        ("simulated truth", truth),
    ]
    draw_panels(folder / "map.png", panels, legend, overwrite=True)
    return {
        "what": "land cover of a simulated landscape: agreement with the simulator's truth, unlabelled pixels only",
        "model": store.model.to_json(),
        "labels": len(labelled[0]),
        "pixels": int(scored.sum()),
        "pixels_without_data": no_data,
        "accuracy": float(found.accuracy),
        "balanced_accuracy": float(found.balanced_accuracy),
        "macro_f1": float(found.macro_f1),
        "f1": {name: round(float(value), 4) for name, value in zip(classes, found.f1, strict=True)},
    }
