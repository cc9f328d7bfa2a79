"""The command line from end to end: a small demo, then each command on what it left."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tessera.cubes import open_cube, write_cube

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "out"
    command = [sys.executable, "-m", "tessera", "demo", "--dir", str(folder), "--size", "96"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "agrees with the simulated truth" in done.stdout
    assert "tessera cube build" in done.stdout
    for number in range(1, 8):
        assert f"{number}/7" in done.stderr
    return folder


def bbox_of(demo: Path) -> str:
    import rasterio

    from tessera.geo import to_lonlat

    with rasterio.open(demo / "map.tif") as raster:
        left, bottom, right, top = raster.bounds
    x, y = np.array([left + 200, right - 200]), np.array([bottom + 200, top - 200])
    lon, lat = to_lonlat(x, y, 31)
    return f"{lon[0]:.6f},{lat[0]:.6f},{lon[1]:.6f},{lat[1]:.6f}"


def test_the_demo_makes_a_map_that_beats_the_commonest_class_by_far(demo: Path) -> None:
    import rasterio

    report = json.loads((demo / "report.json").read_text())
    assert report["labels"] == 40
    assert report["pixels"] == 96 * 96 - 40
    with rasterio.open(demo / "scenes" / "truth.tif") as raster:
        truth = raster.read(1)
    commonest = np.bincount(truth.reshape(-1)).max() / truth.size
    assert report["accuracy"] > commonest + 0.1
    assert report["balanced_accuracy"] > 0.5
    with rasterio.open(demo / "map.tif") as raster:
        mapped = raster.read(1)
        assert raster.shape == (96, 96)
        assert len(raster.colormap(1)) == 256
        names = json.loads(raster.tags()["TESSERA_CLASSES"])
    head = json.loads((demo / "head.json").read_text())
    assert names == head["classes"]
    assert mapped.max() < len(names)
    assert (demo / "map.png").stat().st_size > 10_000
    page = (demo / "report.html").read_text(encoding="utf-8")
    assert all(f'id="{part}"' in page for part in ("map", "areas", "accuracy", "classes", "methods"))


def test_the_demo_again_uses_what_is_there_and_ends_with_the_same_bytes(demo: Path, run: Run) -> None:
    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(demo.rglob("*")) if path.is_file()}

    before = files()
    code, out, _ = run("demo", "--dir", demo, "--size", 96)
    assert code == 0
    assert "agrees" in out
    after = files()
    assert sorted(before) == sorted(after)
    assert [path for path in before if before[path] != after[path]] == []
    code, _, err = run("demo", "--dir", demo, "--size", 64)
    assert code == 2
    assert "choose another --dir" in err
    code, _, err = run("demo", "--dir", demo.parent, "--size", 64)
    assert code == 2
    assert "holds no demo" in err


def test_the_way_by_hand_gives_what_the_demo_gave(demo: Path, tmp_path: Path, run: Run) -> None:
    bbox = bbox_of(demo)
    code, out, _ = run(
        "cube", "build", "--source", demo / "scenes", "--bbox", bbox, "--year", 2023, "-o", tmp_path / "c"
    )
    assert code == 0
    assert "Sentinel-2" in out
    code, out, _ = run("cube", "info", tmp_path / "c", "--json")
    about = json.loads(out)
    assert about["crs"] == "EPSG:32631"
    assert 0 < about["sentinel_2_clear_fraction"] < 1
    assert about["provenance"]["year"] == 2023
    code, out, _ = run("embed", tmp_path / "c", "-o", tmp_path / "s")
    assert code == 0
    assert "1 cell written, 0 already there; 100% of its pixels have data" in out
    code, out, _ = run("embed", tmp_path / "c", "-o", tmp_path / "s")
    assert "0 cells written, 1 already there" in out
    code, _, err = run("get", tmp_path / "s", "--bbox", "8,50,8.001,50.001", "-o", tmp_path / "e.npy")
    assert code == 2
    assert "holds nothing of 2023" in err
    assert "its data lie within" in err
    assert not (tmp_path / "e.npy").exists()
    code, out, _ = run("store", "info", tmp_path / "s")
    assert "bundled-nano" in out
    assert "utm31_e64_n548" in out
    code, out, _ = run("fit", tmp_path / "s", demo / "labels.geojson", "--column", "class", "-o", tmp_path / "h.json")
    assert code == 0
    assert "macro-F1" in out
    wide = run(
        "map", tmp_path / "s", "--head", tmp_path / "h.json", "--bbox", "5.2,50.65,5.27,50.7", "-o", tmp_path / "w.tif"
    )
    assert "of the map's rectangle has no class" in wide[1]
    code, out, _ = run("map", tmp_path / "s", "--head", tmp_path / "h.json", "--bbox", bbox, "-o", tmp_path / "m.tif")
    assert code == 0
    assert (tmp_path / "m.tif").exists()
    files = out.splitlines()[-1].removeprefix("saved: ").split(", ")
    assert sorted(files) == sorted(str(path) for path in tmp_path.glob("m.*"))
    assert (tmp_path / "m.png").exists()
    code, out, _ = run("get", tmp_path / "s", "--bbox", bbox, "-o", tmp_path / "r.npy")
    assert code == 0
    mine = np.load(tmp_path / "r.npy")
    code, _, _ = run("get", demo / "store.zarr", "--bbox", bbox, "-o", tmp_path / "d.npy")
    theirs = np.load(tmp_path / "d.npy")
    assert mine.shape == theirs.shape
    assert np.array_equal(np.isnan(mine), np.isnan(theirs))
    both = np.stack([mine, theirs])[:, ~np.isnan(mine).any(axis=2)].astype(np.float64)
    both /= np.linalg.norm(both, axis=2, keepdims=True)
    # the demo encodes in float32, the command in bfloat16 where the processor has it
    assert (both[0] * both[1]).sum(axis=1).min() > 0.9998


def test_get_points_and_region_formats(demo: Path, tmp_path: Path, run: Run) -> None:
    code, out, _ = run("get", demo / "store.zarr", "--points", demo / "labels.geojson", "-o", tmp_path / "p.csv")
    assert code == 0
    assert "40 points, 40 with data" in out
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert len(lines) == 41
    assert lines[0].startswith('"lon","lat","class","e0"')
    assert "rapeseed" in "".join(lines)
    lon, lat = json.loads((demo / "labels.geojson").read_text())["features"][0]["geometry"]["coordinates"]
    (tmp_path / "swapped.csv").write_text(f"lon,lat\n{lat},{lon}\n")
    code, out, _ = run("get", demo / "store.zarr", "--points", tmp_path / "swapped.csv", "-o", tmp_path / "p.parquet")
    assert (
        "1 points, 0 with data; latitude seems to come first: 1 of 1 places tried with both exchanged have data" in out
    )
    code, out, _ = run("get", demo / "store.zarr", "--bbox", bbox_of(demo), "-o", tmp_path / "r.tif")
    assert code == 0
    assert "128 dims" in out


def test_a_cube_goes_to_a_dpixel_folder_and_back(demo: Path, tmp_path: Path, run: Run) -> None:
    assert run("cube", "export", demo / "cube.zarr", "-o", tmp_path / "d")[0] == 0
    code, out, _ = run("cube", "info", demo / "cube.zarr", "--json")
    original = json.loads(out)
    west, north = original["transform"][2], original["transform"][5]
    place = ["--crs", "EPSG:32631", "--west", west, "--north", north, "--year", 2023]
    assert run("cube", "import", tmp_path / "d", *place, "-o", tmp_path / "c")[0] == 0
    code, out, _ = run("cube", "info", tmp_path / "c", "--json")
    assert json.loads(out)["sha256"] == original["sha256"]
    assert run("cube", "info", tmp_path / "c")[1].startswith("height")
    code, _, err = run("embed", tmp_path / "d", "-o", tmp_path / "s", "--year", 2023)
    assert code == 2
    assert "no CRS and no transform" in err


def test_models_are_listed_and_described(run: Run) -> None:
    code, out, _ = run("models", "list")
    assert code == 0
    assert "bundled-nano" in out
    assert "TESSERA-V-2.0-2B-M" in out
    assert len(json.loads(run("models", "list", "--json")[1])) == 10
    code, out, _ = run("models", "info")
    assert "1,066,402" in out
    assert json.loads(run("models", "info", "--json")[1])["input"]["s2_bands"][0] == "B04"


def commands() -> list[list[str]]:
    return [
        ["demo"],
        ["cube", "build"],
        ["cube", "import"],
        ["cube", "export"],
        ["cube", "info"],
        ["embed"],
        ["models", "list"],
        ["models", "info"],
        ["models", "pull"],
        ["models", "convert"],
        ["store", "info"],
        ["get"],
        ["labels"],
        ["labels", "file"],
        ["fit"],
        ["map"],
    ]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help_with_one_worked_example(command: list[str], run: Run) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert out.count("Example: tessera ") == 1
    assert f"Example: tessera {' '.join(command)}" in re.sub(r"\s+", " ", out)


def test_no_command_is_listed_that_does_not_exist(run: Run) -> None:
    listed = set(re.findall(r"^[│ ]+(\w+)  ", run("--help")[1], re.MULTILINE))
    known = {"demo", "cube", "embed", "models", "store", "get", "fit", "map", "serve"}
    assert known | {"evaluate", "pretrain", "distill"} <= listed
    assert not {"search", "plan"} & listed
    assert run("--version")[1].startswith("tessera 0.")


def test_mistakes_are_one_line_and_exit_2(demo: Path, tmp_path: Path, run: Run, checkpoints: Path) -> None:
    store, scenes, labels = demo / "store.zarr", demo / "scenes", demo / "labels.geojson"
    (tmp_path / "short").mkdir()
    mistakes: list[tuple[list[object], str]] = [
        (["cube", "build", "--source", scenes, "--bbox", "5,84.5,6,85", "--year", 2023, "-o", tmp_path / "c"], "85 N"),
        (["cube", "build", "--source", scenes, "--year", 2023, "-o", tmp_path / "c"], "exactly one of"),
        (["cube", "build", "--source", "none", "--bbox", "5,50,6,51", "--year", 2023, "-o", tmp_path / "c"], "none"),
        (["cube", "info", tmp_path / "none"], "not found"),
        (["cube", "import", tmp_path / "short", "-o", tmp_path / "c"], "lacks bands.npy"),
        (
            ["embed", demo / "cube.zarr", "-o", tmp_path / "s", "--model", checkpoints / "v1_1.pt"],
            "source=mpc or source=aws",
        ),
        (["embed", demo / "cube.zarr", "-o", store, "--model", checkpoints / "v2_nano.pt"], "holds 128 dims of"),
        (["embed", demo / "cube.zarr", "-o", tmp_path / "s", "--dims", 16], "expected one of 128"),
        (["embed", demo / "cube.zarr", "-o", demo / "cube.zarr"], "is, or lies in, the input"),
        (["embed", demo / "cube.zarr", "-o", demo / "cube.zarr" / "s"], "is, or lies in, the input"),
        (["embed", demo / "cube.zarr", "-o", tmp_path / "s", "--year", 1999], "is of 2023"),
        (["embed", demo / "cube.zarr", "-o", tmp_path / "s", "--model", "v2-large"], "Hugging Face"),
        (["get", store, "--points", tmp_path / "none.csv", "-o", tmp_path / "p.csv"], "not found"),
        (["get", store, "--points", labels, "-o", tmp_path / "p.xyz"], ".csv"),
        (["get", store, "--bbox", "5,50,6", "-o", tmp_path / "r.npy"], "four"),
        (["get", store, "--bbox", "5,50,6,51", "--year", 1990, "-o", tmp_path / "r.npy"], "no year 1990"),
        (["fit", store, labels, "--column", "species", "-o", tmp_path / "h.json"], "no column 'species'; it has class"),
        (["fit", store, labels, "--column", "class", "--head", "oracle", "-o", tmp_path / "h.json"], "oracle"),
        (["map", store, "--head", labels, "--bbox", "5,50,6,51", "-o", tmp_path / "m.tif"], "labels.geojson"),
        (["store", "info", tmp_path], "no store"),
        (["cube", "info", store], "is a store of embeddings"),
        (["store", "info", demo / "cube.zarr"], "is a cube of observations; expected a store of embeddings"),
        (["embed", demo / "cube.zarr", "-o", demo / "cube.zarr"], "lies in, the input"),
        (["embed", labels, "-o", tmp_path / "s"], "is a file; expected the folder of a cube"),
        (["get", store, "--bbox", "658200,5617100,658900,5618000", "-o", tmp_path / "r.npy"], "perhaps metres"),
        (["fit", store, tmp_path / "ids.geojson", "--column", "id", "-o", tmp_path / "h.json"], "names classes"),
        (["nonsense"], "nonsense"),
        (["embed"], "Missing option"),
        (["demo", "--size", "7"], "64"),
        (["demo", "--dir", labels], "is a file"),
        (["get", store, "--points", labels, "-o", tmp_path / "folder.csv"], "is a folder"),
        (["embed", tmp_path / "elsewhere.zarr", "-o", tmp_path / "s"], "crs= and transform= of"),
        (
            ["cube", "build", "--source", scenes, "--bbox", bbox_of(demo), "--year", 2023, "-o", demo / "cube.zarr"],
            "another",
        ),
    ]
    (tmp_path / "short" / "doys.npy").write_bytes(b"")
    (tmp_path / "folder.csv").mkdir()
    numbered = json.loads(labels.read_text())
    for number, feature in enumerate(numbered["features"]):
        feature["properties"] = {"id": number}
    (tmp_path / "ids.geojson").write_text(json.dumps(numbered))
    write_cube(replace(open_cube(demo / "cube.zarr").window(0, 4), grid=None), tmp_path / "elsewhere.zarr")
    for args, reason in mistakes:
        code, out, err = run(*args)
        lines = [line for line in err.splitlines() if ": done in" not in line]
        assert (code, len(lines)) == (2, 1), (args, err)
        assert reason in err, (args, err)
        assert "Traceback" not in err
        assert out == ""
    assert not (tmp_path / "s").exists()
    assert run("cube")[0] == 2


def test_an_area_over_a_zone_border_gives_a_cube_a_zone_and_continues(tmp_path: Path, run: Run) -> None:
    from tessera.geo import Window, parse_area
    from tessera.simulator import simulate

    bbox = "5.9985,50.5000,6.0015,50.5010"
    left = parse_area(bbox).parts()[0].window
    around = Window(31, left.west - 20, left.north + 20, left.width + 60, left.height + 50)
    simulate(tmp_path / "scenes", around, 2023, s2_dates=2, s1_dates=1)
    build = [
        "cube",
        "build",
        "--source",
        tmp_path / "scenes",
        "--bbox",
        bbox,
        "--year",
        2023,
        "-o",
        tmp_path / "c.zarr",
    ]
    code, out, _ = run(*build)
    assert code == 0
    assert [(tmp_path / f"c_utm{zone}.zarr").is_dir() for zone in (31, 32)] == [True, True]
    shutil.rmtree(tmp_path / "c_utm32.zarr")
    code, out, _ = run(*build)
    assert code == 0
    assert out.splitlines()[0].startswith(f"{tmp_path / 'c_utm31.zarr'}: already there")
    assert (tmp_path / "c_utm32.zarr").is_dir()
    cubes = [tmp_path / "c_utm31.zarr", tmp_path / "c_utm32.zarr"]
    code, out, _ = run("embed", *cubes, "-o", tmp_path / "s")
    assert code == 0
    code, out, _ = run("get", tmp_path / "s", "--bbox", bbox, "-o", tmp_path / "r.npy")
    assert code == 0
    assert np.isfinite(np.load(tmp_path / "r.npy")).mean() > 0.9


def test_embed_takes_a_device_a_precision_a_prefix_workers_and_several_cubes(
    demo: Path, tmp_path: Path, run: Run, checkpoints: Path
) -> None:
    whole = open_cube(demo / "cube.zarr")
    cubes = [tmp_path / "upper.zarr", tmp_path / "lower.zarr"]
    for path, rows in zip(cubes, ((0, 6), (6, 12)), strict=True):
        write_cube(whole.window(*rows, 0, 20), path)
    plain = ["embed", *cubes, "-o", tmp_path / "s", "--model", checkpoints / "v2_nano.pt"]
    code, out, err = run(*plain, "--dims", 16, "--device", "cpu", "--precision", "fp32", "--workers", 1)
    assert code == 0, err
    assert [line.split(":")[0] for line in out.splitlines()] == [str(path) for path in cubes]
    assert out.count("1 cell written, 0 already there; 100% of its pixels have data") == 2
    assert "px/s" in err
    assert json.loads(run("store", "info", tmp_path / "s", "--json")[1])["dims"] == 16
    wrong: list[tuple[list[object], str]] = [
        (["--device", "tpu"], "device 'tpu'; expected cpu, cuda or cuda:<number>"),
        (["--device", "cuda:99"], "device 'cuda:99'; this machine has"),
        (["--precision", "int4"], "precision 'int4'; expected auto, fp32 or bf16"),
        (["--workers", 0], "0 workers; expected 1 to 64"),
        (["--workers", "two"], "'--workers'"),
        (["--dims", 17], "17 dims of v2_nano; expected one of 16, 32, 64, 128"),
        (["--dims", 32], "holds 16 dims of v2_nano"),
        (["--min-s2", -1], "expected 0 or more"),
        (["--seed", -1], "seed -1; expected a whole number from 0 to 4294967295"),
    ]
    for args, reason in wrong:
        code, out, err = run(*plain, *args)
        assert (code, len(err.splitlines()), out) == (2, 1, ""), (args, err)
        assert reason in err, (args, err)


def test_an_embedding_run_that_is_killed_continues_with_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    def shards(store: Path) -> dict[str, bytes]:
        kept = [path for path in store.rglob("*") if path.is_file() and ".tessera" not in path.parts]
        return {str(path.relative_to(store)): path.read_bytes() for path in sorted(kept)}

    from tessera.geo import Cell, Window

    corner = Cell(31, 64, 548).window
    over_four_cells = Window(31, corner.west - 20, corner.north + 16, 40, 32)
    cube = open_cube(demo / "cube.zarr").window(0, 32, 0, 40)
    write_cube(replace(cube, grid=over_four_cells.grid), tmp_path / "cube.zarr")
    command = [sys.executable, "-m", "tessera", "embed", str(tmp_path / "cube.zarr"), "-o"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    records = tmp_path / "killed" / "commits" / "2023"
    seen = []
    for wanted in (0, 1, 2, 3):
        child = subprocess.Popen([*command, str(tmp_path / "killed")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while len(list(records.glob("*.json"))) < wanted and child.poll() is None:
            time.sleep(0.002)
        if wanted == 0:
            time.sleep(1)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        seen.append(len(list(records.glob("*.json"))))
    assert any(0 < count < 4 for count in seen)
    subprocess.run([*command, str(tmp_path / "killed")], check=True, capture_output=True)
    assert shards(tmp_path / "killed") == shards(tmp_path / "whole")
    assert len(list((tmp_path / "whole" / "commits" / "2023").iterdir())) == 4


def test_the_documented_way_with_stock_xarray_works(demo: Path, tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "store.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    (tmp_path / "store.zarr").symlink_to(demo / "store.zarr")
    check = "import numpy as np; print(vector.shape, vectors.shape, bool(np.isfinite(vectors).all()))"
    command = [sys.executable, "-W", "ignore", "-c", code + check]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["(128,)", "(128,", "50,", "50)", "True"]


def test_an_interrupt_says_so(demo: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tessera", "embed", str(demo / "cube.zarr"), "-o", str(tmp_path / "s")]
    # whoever started the tests in the background may have had the signal ignored, which children inherit
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    while not (tmp_path / "s").exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate()
    assert child.returncode == 130
    assert err.startswith("tessera: interrupted; finished work is kept")
    assert out == ""


def test_values_print_as_one_line(demo: Path) -> None:
    import tessera

    cube, encoder = tessera.open_cube(demo / "cube.zarr"), tessera.load_encoder()
    store, head = tessera.open_store(demo / "store.zarr"), tessera.load_head(demo / "head.json")
    embeddings = encoder.encode(cube.crop(0, 2, 0, 2))
    for value in (cube, encoder, store, head, embeddings):
        assert repr(value).startswith(type(value).__name__ + "(")
        assert len(repr(value)) < 200
