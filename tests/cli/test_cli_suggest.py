"""tessera suggest in a shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tessera.geo import Cell
from tessera.testing import random_embeddings, small_store


def test_suggest_writes_points_and_a_picture(tmp_path: Path, run: Any) -> None:
    window = Cell(31, 500, 4300, 128).window
    small_store(tmp_path / "store.zarr").write(random_embeddings(window), 2024)
    west, south, east, north = window.lonlat_bounds
    box = f"{west},{south},{east},{north}"
    out, png = tmp_path / "visit.geojson", tmp_path / "visit.png"
    code, text, err = run("suggest", tmp_path / "store.zarr", "--bbox", box, "-n", 3, "-o", out, "--png", png)
    assert (code, err.count("Traceback")) == (0, 0), err
    assert len(json.loads(out.read_text())["features"]) == 3
    assert png.read_bytes()[:4] == b"\x89PNG"
    assert "3 points of" in text
    code, _, err = run("suggest", tmp_path / "store.zarr", "-n", 3, "-o", out)
    assert (code, "expected exactly one of --bbox, --aoi" in err) == (2, True)
    code, _, err = run("suggest", tmp_path / "store.zarr", "--bbox", box, "--labels", out, "-o", out)
    assert (code, "without --column" in err) == (2, True)
