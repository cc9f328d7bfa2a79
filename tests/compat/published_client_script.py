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
    answers["one"] = store.sample_at(lon, lat, year, search_px=0)
    patch, transform, crs = store.read_patch(lon, lat, year, 16, depth=question["depth"])
    answers |= {"patch": patch, "patch_transform": np.asarray(transform)[:6], "patch_crs": str(crs)}
    if "directory" in question:
        options: Any = {"bands": question["picked"], "strip_rows": 50}
        answers["files"] = store.export_geotiffs(bbox, year, question["directory"], **options)
        answers["planned"] = len(store.export_geotiffs(bbox, year, question["directory"], dry_run=True, **options))
    return answers


def ask_zone(question: dict[str, Any]) -> dict[str, Any]:
    """A zone's dataset and its accessor, asked in the zone's own metres."""
    from geotessera.store import GeoTesseraZarr

    dataset = GeoTesseraZarr(question["store"]).open_zone(zone=question["zone"])
    zone, year, bbox = dataset.tessera, question["year"], tuple(question["bounds"])
    region, transform = zone.read_region(bbox, year)
    codes, scales, _ = zone.read_region_quantized(bbox, year)
    places = [tuple(place) for place in question["places"]]
    return {
        "bands": zone.n_bands,
        "years": np.asarray(zone.years),
        "crs": str(zone.crs),
        "region": region,
        "transform": np.asarray(transform)[:6],
        "codes": codes,
        "scales": scales,
        "strips": np.concatenate([block for block, *_ in zone.iter_region(bbox, year, strip_rows=40)]),
        "points": zone.sample_points(places, year),
        "one": zone.sample_at(*places[0], year, search_px=0),
        "state": zone.probe(*places[0], year, search_px=0)[1],
        "xarray": dataset.sel(time=year).sel(x=[places[0][0]], y=[places[0][1]], method="nearest").embeddings.values,
    }


def ask_stock(question: dict[str, Any]) -> dict[str, Any]:
    """Plain zarr-python and xarray, by path or over https, where a store cannot be listed."""
    import xarray
    import zarr
    from obstore.store import HTTPStore
    from zarr.storage import ObjectStore

    (zone, rows, cols), time = question["window"], question["time"]
    location: Any = question["store"]
    remote = location.startswith("https://")
    if remote:
        location = ObjectStore(HTTPStore.from_url(location), read_only=True)
    group: Any = zarr.open_group(location, mode="r", use_consolidated=remote)[f"utm{zone:02d}"]
    box = slice(*rows), slice(*cols)
    dataset = xarray.open_zarr(location, group=f"utm{zone:02d}", consolidated=remote, chunks=None)
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


ASK = {"zarr": ask_zarr_client, "zone": ask_zone, "stock": ask_stock, "tiles": ask_tiles, "write": write_store}


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
