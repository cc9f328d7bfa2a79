"""`tessera labels osm`: what it prints, and what it refuses before it reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from osm_files import AREA, RULES, town

Run = Callable[..., tuple[int, str, str]]


def test_the_command_tells_what_it_made(run: Run, tmp_path: Path) -> None:
    source, out = town(tmp_path / "town.osm.pbf"), tmp_path / "labels.parquet"
    code, text, _ = run("labels", "osm", source, "--bbox", AREA, "--tags", RULES, "-o", out)
    assert code == 0
    assert "forest  3         88.0" in text
    assert "note: forest and road overlap on 0.14 ha, in 1 pairs of features" in text
    assert "note: relation 3 left out: their ways do not close to rings" in text
    assert "licence: \N{COPYRIGHT SIGN} OpenStreetMap contributors" in text
    code, text, _ = run("labels", "osm", source, "--bbox", AREA, "--tags", RULES, "-o", out, "--json")
    said = json.loads(text)
    assert said["classes"][1] == {
        "class": "road",
        "tags": "highway=*",
        "features": 4,
        "hectares": said["classes"][1]["hectares"],
    }
    assert said["out"] == str(out)
    code, text, _ = run("labels", out, "--column", "class", "--json")
    assert code == 0
    assert "forest" in text


def test_bad_calls_are_one_line(run: Run, tmp_path: Path) -> None:
    source, kept = town(tmp_path / "town.osm.pbf"), tmp_path / "mine.parquet"
    kept.write_text("mine")
    for arguments, said in (
        (("-o", kept, "--tags", RULES), "exists and is no earlier labels"),
        (("-o", tmp_path / "a.shp", "--tags", RULES), "expected a path that ends in .parquet"),
        (("-o", source, "--tags", RULES), "expected a path that ends in"),
        (("-o", tmp_path / "a.gpkg", "--tags", "forest"), "is no tag"),
        (("-o", tmp_path / "a.gpkg"), "expected one of --tags and --classes"),
        (("-o", tmp_path / "a.gpkg", "--classes", tmp_path / "none.toml"), "none.toml"),
        (("-o", tmp_path / "a.gpkg", "--tags", "power=line"), "no feature of line:power=line"),
    ):
        code, out, error = run("labels", "osm", source, "--bbox", AREA, *arguments)
        assert (code, out) == (2, "")
        assert said in error.strip().splitlines()[-1]
    assert kept.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.parquet", "town.osm.pbf"]
