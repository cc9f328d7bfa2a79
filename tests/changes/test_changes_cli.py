"""`tessera change`: what it prints, what it writes, and what it refuses before it reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from changes_made import years_store

pytest.importorskip("rasterio")
Run = Callable[..., tuple[int, str, str]]
AREA = "4.941,49.664,4.960,49.671"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    years_store(folder / "store.zarr")
    return folder


def test_the_command_tells_what_changed(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.tif"
    code, text, _ = run("change", folder / "store.zarr", "--years", "2021,2022", "--bbox", AREA, "-o", out)
    assert code == 0
    assert text.startswith("2021 to 2022: ")
    assert "a pixel has changed above a cosine distance of" in text
    assert f"saved: {tmp_path / 'c.png'}, {out}" in text
    code, text, _ = run(
        "change", folder / "store.zarr", "--years", "2021,2022", "--bbox", AREA, "-o", out, "--json", "--no-png"
    )
    said = json.loads(text)
    assert said["moved"][0]["threshold"]["source"] == "robust"
    assert said["files"] == [str(out)]


def test_bad_calls_are_one_line(run: Run, folder: Path, tmp_path: Path) -> None:
    store = folder / "store.zarr"
    for arguments, said in (
        (("--years", "2021,x", "--bbox", AREA), "expected years with commas, such as 2021,2022"),
        (("--years", "2021", "--bbox", AREA), "expected 2 to 40 years"),
        (("--years", "2021,2022"), "expected one of --bbox, --aoi and --polygons"),
        (("--years", "2021,2022", "--bbox", AREA, "--aoi", "a.gpkg"), "expected exactly one of --bbox, --aoi"),
        (("--years", "2021,2022", "--bbox", AREA, "--head", tmp_path / "no.json"), "no.json"),
        (("--years", "2021,2022", "--bbox", AREA, "--reference", "a.csv", "--reference-columns", "a"), "two columns"),
        (("--years", "2021,2022", "--bbox", AREA, "--table", "t.xlsx", "--polygons", "p.gpkg"), ".csv or .parquet"),
    ):
        code, out, error = run("change", store, "-o", tmp_path / "c.tif", *arguments)
        assert (code, out) == (2, "")
        assert said in error.strip().splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
