"""Runs inside the published client's environment: asks it, and plain zarr and xarray, for what the tests compare.

published_client_script.py QUESTIONS.json ANSWERS.npz
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def ask_zarr_client(question: dict[str, Any]) -> dict[str, Any]:
    from geotessera.store import GeoTesseraZarr

    store = GeoTesseraZarr(question["store"])
    year, points = question["year"], [tuple(point) for point in question["points"]]
    answers: dict[str, Any] = {
        "years": np.asarray(store.years),
        "bands": store.n_bands,
        "depths": np.asarray(sorted(store.depths)),
        "model": store.model_version,
        "points": store.sample_points(points, year, progress=False, search_px=0),
        "states": np.asarray([store.probe(lon, lat, year, search_px=0)[1] for lon, lat in question["probes"]]),
    }
    if question["depth"]:
        answers["prefix"] = store.sample_points(points, year, progress=False, search_px=0, depth=question["depth"])
    bbox = tuple(question["bbox"])
    region, transform, crs = store.read_region(bbox, year)
    codes, scales, _, _ = store.read_region_quantized(bbox, year)
    answers |= {"region": region, "transform": np.asarray(transform)[:6], "crs": str(crs)}
    answers |= {"codes": codes, "scales": scales}
    answers["strips"] = np.concatenate([block for block, *_ in store.iter_region(bbox, year, strip_rows=50)])
    lon, lat = question["probes"][0]
    patch = store.read_patch(lon, lat, year, 16)
    answers["patch"] = np.asarray(patch[0] if isinstance(patch, tuple) else patch)
    zone = store.open_zone(lon=lon)
    answers["accessor_bands"] = zone.tessera.n_bands
    answers["accessor_years"] = np.asarray(zone.tessera.years)
    return answers


def ask_stock(question: dict[str, Any]) -> dict[str, Any]:
    """Plain zarr-python and xarray, by path."""
    import xarray
    import zarr

    (zone, rows, cols), time = question["window"], question["time"]
    group = zarr.open_group(question["store"], mode="r")[f"utm{zone:02d}"]
    box = slice(*rows), slice(*cols)
    dataset = xarray.open_zarr(question["store"], group=f"utm{zone:02d}", consolidated=False, chunks=None)
    picked = dataset.isel(time=time, y=box[0], x=box[1])
    return {
        "zarr_codes": np.moveaxis(group["embeddings"][(time, slice(None), *box)], 0, -1),
        "zarr_scales": group["scales"][(time, *box)],
        "xarray_codes": np.moveaxis(picked.embeddings.values, 0, -1),
        "xarray_x": picked.x.values,
        "xarray_y": picked.y.values,
        "zarr_version": zarr.__version__,
    }


def ask_tiles(question: dict[str, Any]) -> dict[str, Any]:
    """Tiles in a folder, offline."""
    from geotessera import GeoTessera

    client = GeoTessera(
        dataset_version=question["version"],
        dataset_variant=question["variant"],
        embeddings_dir=question["folder"],
        registry_dir=question["registry"],
    )
    answers: dict[str, Any] = {}
    for number, (lon, lat) in enumerate(question["tiles"]):
        values, crs, transform = client.fetch_embedding(lon, lat, question["year"])
        answers |= {f"tile{number}": values, f"crs{number}": str(crs), f"transform{number}": np.asarray(transform)[:6]}
    points = [tuple(point) for point in question["points"]]
    answers["points"] = client.sample_embeddings_at_points(points, question["year"], auto_download=False)
    return answers


def write_store(question: dict[str, Any]) -> dict[str, Any]:
    """A store by the published registry tool, from tiles; its shards are made smaller, which its format allows."""
    import geotessera.zarr as writer
    from geotessera import registry_cli

    writer.SHARD_SIZE = question["shard"]
    source, out = question["folder"], question["out"]
    steps = (
        ["zarr-init", source, "--years", str(question["year"]), "--output", out, *question["options"]],
        ["zarr-fill", source, out, "--workers", "1"],
        ["zarr-consolidate", out],
    )
    for step in steps:
        sys.argv = ["geotessera-registry", *step]
        try:
            code = registry_cli.main()
        except SystemExit as stopped:
            code = stopped.code
        if code:
            sys.exit(f"{step[0]} exits {code}")
    return {"done": True}


ASK = {"zarr": ask_zarr_client, "stock": ask_stock, "tiles": ask_tiles, "write": write_store}


def main() -> None:
    asked, out = sys.argv[1:]
    questions = json.loads(Path(asked).read_text())
    answers: dict[str, Any] = {}
    for name, question in questions.items():
        found = ASK[question["kind"]](question)
        answers |= {f"{name}/{key}": value for key, value in found.items()}
    np.savez(out, **answers)


if __name__ == "__main__":
    main()
