"""Older `tessera:` year stores: read into a store, stopped, and hostile."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from tile_helpers import LAYOUT, MODEL, YEAR, digest_of, embeddings_over, new_store, older_year_store

from tessera.base import InputError
from tessera.exchange import import_year_store
from tessera.geo import Window
from tessera.store import Store, create_store, open_store

WINDOWS = (Window(31, 50000, 560300, 90, 100), Window(31, 50200, 560250, 60, 80))
"""In one row of shards, on both sides of a square's edge at 50,176."""
SOUTHERN = Window(36, 50010, -300000, 70, 60)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    folder = tmp_path_factory.mktemp("made")
    store = new_store(folder / "a.zarr")
    for seed, window in enumerate(WINDOWS):
        store.write(embeddings_over(window, seed), YEAR)
    return store, older_year_store(store, WINDOWS, folder / f"{YEAR}.zarr")


def test_one_that_we_wrote_comes_back(made: tuple[Store, Path], tmp_path: Path) -> None:
    store, path = made
    report = import_year_store(path, new_store(tmp_path / "b.zarr"))
    assert report.failed == []
    back = open_store(tmp_path / "b.zarr")
    for window in WINDOWS:
        one, other = store.read_window(window, YEAR), back.read_window(window, YEAR)
        assert np.array_equal(one.scales, other.scales, equal_nan=True)
        assert np.array_equal(one.codes[one.valid], other.codes[one.valid])
    again = import_year_store(path, tmp_path / "b.zarr")
    assert (again.written, again.kept) == (0, report.written)
    with pytest.raises(InputError, match="holds 2024, not 2020"):
        import_year_store(path, tmp_path / "b.zarr", 2020)
    with pytest.raises(InputError, match=r"v1\.1-cambridge was given"):
        import_year_store(path, tmp_path / "b.zarr", dataset="v1.1-cambridge")


def test_a_stopped_one_goes_on_to_the_same_bytes(made: tuple[Store, Path], tmp_path: Path) -> None:
    path = made[1]

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    whole, cut = new_store(tmp_path / "whole.zarr"), new_store(tmp_path / "cut.zarr")
    import_year_store(path, whole)
    with pytest.raises(KeyboardInterrupt):
        import_year_store(path, cut, progress=stop)
    import_year_store(path, cut)
    assert digest_of(tmp_path / "whole.zarr") == digest_of(tmp_path / "cut.zarr")


def test_one_of_others_in_the_south(tmp_path: Path) -> None:
    """No word of ours in it, EPSG:327NN with its false northing, plain chunks: as others may have written it."""
    path = tmp_path / "2023.zarr"
    about = {"tessera:dataset_version": "v1.1", "tessera:year": 2023}
    emb = embeddings_over(SOUTHERN, 3)
    root = zarr.create_group(store=str(path), zarr_format=3, attributes=about)
    transform = [10.0, 0.0, SOUTHERN.west * 10.0 + 3, 0.0, -10.0, SOUTHERN.north * 10.0 + 10_000_000 - 3]
    group = root.create_group("utm36", attributes={**about, "proj:code": "EPSG:32736", "spatial:transform": transform})
    codes = np.tile(emb.codes, (1, 1, 16))
    scales = emb.scales.copy()
    scales[0, :3] = (0.0, 7.0, np.inf)
    group.create_array("embeddings", data=codes, chunks=(32, 32, 128))
    group.create_array("scales", data=scales, chunks=(32, 32), fill_value=np.nan)
    with pytest.raises(InputError, match="does not say which dataset"):
        import_year_store(path, tmp_path / "b.zarr")
    with pytest.raises(InputError, match=r"is of version 'v1\.1'; tessera:v1\.0-vultr"):
        import_year_store(path, tmp_path / "b.zarr", dataset="v1.0-vultr")
    from tessera.shards import Layout
    from tessera.store import dataset_identity, parse_dataset

    model = dataset_identity(parse_dataset("v1.1-cambridge"), 128)
    store = create_store(tmp_path / "b.zarr", 128, model, zones=(36,), layout=Layout(128, shard=128, chunk=32))
    report = import_year_store(path, store, dataset="v1.1-cambridge")
    assert report.pixels.corrupt == 3
    held = store.read_window(SOUTHERN, 2023)
    good = np.isfinite(scales)
    good[0, :3] = False
    assert np.array_equal(held.valid, good)
    assert np.array_equal(held.codes[good], codes[good])
    assert np.array_equal(held.scales[good], scales[good])


def change(node: str, **values: Any) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        file = path / node / "zarr.json"
        about = json.loads(file.read_text())
        for name, value in values.items():
            about[name] = {**about[name], **value} if isinstance(value, dict) else value
        file.write_text(json.dumps(about))

    return apply


def grid(*shape: int) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": list(shape)}}


def text(path: Path) -> None:
    (path / "utm31" / "scales" / "zarr.json").write_text("[" * 100_000)


def leave(path: Path) -> None:
    shutil.copy(path / "utm31" / "scales" / "zarr.json", path.parent / "outside.json")
    (path / "utm31" / "scales" / "zarr.json").unlink()
    (path / "utm31" / "scales" / "zarr.json").symlink_to(path.parent / "outside.json")


HOSTILE = {
    "shape": (change("utm31/embeddings", shape=[2**62, 2**62, 8]), "embeddings"),
    "lattice": (change("utm31/scales", shape=[10**9, 256]), "on the lattice"),
    "negative": (change("utm31/scales", shape=[-1, 256]), "metadata that cannot be read"),
    "float": (change("utm31/scales", shape=[2.5, 256]), "metadata that cannot be read"),
    "shard": (change("utm31/embeddings", chunk_grid=grid(2**30, 2**30, 8)), "shards of"),
    "bands": (change("utm31/embeddings", chunk_grid=grid(256, 256, 4)), "shards of"),
    "dtype": (change("utm31/embeddings", data_type="float64"), "float64"),
    "differ": (change("utm31/scales", shape=[512, 1024]), "and scales of"),
    "year": (change("", attributes={"tessera:year": "2024"}), "expected a year"),
    "zone": (change("utm31", attributes={"tessera:utm_zone": 30}), "says zone 30"),
    "transform": (change("utm31", attributes={"spatial:transform": [10, 0, "a", 0, -10, 0]}), "expected six numbers"),
    "pixels": (change("utm31", attributes={"spatial:transform": [20, 0, 0, 0, -20, 0]}), "pixels of 10 m"),
    "nowhere": (change("utm31", attributes={"spatial:transform": [10, 0, 1e12, 0, -10, 0]}), "leave the lattice"),
    "crs": (change("utm31", attributes={"proj:code": "EPSG:3857"}), "has the CRS"),
    "model": (change("", attributes={"tessera:model": {**MODEL.to_json(), "sha256": "cd" * 32}}), "but the model"),
    "json": (text, "not JSON"),
    "link": (leave, "leads out of"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_metadata_is_one_line(name: str, made: tuple[Store, Path], tmp_path: Path) -> None:
    damage, says = HOSTILE[name]
    path = shutil.copytree(made[1], tmp_path / f"{YEAR}.zarr")
    damage(path)
    store = new_store(tmp_path / "b.zarr")
    with pytest.raises(InputError, match=says):
        import_year_store(path, store)
    assert store.years == ()


@pytest.mark.parametrize("kind", ["cut", "swollen", "noise", "pipe", "device", "link"])
def test_a_damaged_shard_is_named(kind: str, made: tuple[Store, Path], tmp_path: Path) -> None:
    path = shutil.copytree(made[1], tmp_path / f"{YEAR}.zarr")
    shard = next(file for file in sorted((path / "utm31" / "embeddings" / "c").rglob("*")) if file.is_file())
    data = shard.read_bytes()
    if kind == "cut":
        shard.write_bytes(data[: len(data) // 2])
    elif kind == "pipe":
        shard.unlink()
        os.mkfifo(shard)
    elif kind == "device":
        shard.unlink()
        shard.symlink_to("/dev/zero")
    elif kind == "link":
        shard.rename(tmp_path / "aside")
        shard.symlink_to(tmp_path / "aside")
    elif kind == "swollen":
        shard.write_bytes(data + bytes(64 * 1024 * 1024))
    else:
        shard.write_bytes(bytes(reversed(data)))
    report = import_year_store(path, new_store(tmp_path / "b.zarr"))
    assert len(report.failed) == 1
    assert report.failed[0].startswith("utm31, square at ")
    assert "\n" not in report.failed[0]


def test_the_commands(run: Callable[..., tuple[int, str, str]], made: tuple[Store, Path], tmp_path: Path) -> None:
    store, path = made
    create_store(tmp_path / "b.zarr", 8, MODEL, zones=(31,), layout=LAYOUT)
    code, told, err = run("store", "import", path, tmp_path / "b.zarr")
    assert (code, "squares" in told) == (0, True), err
    asking = ("store", "export", store.objects.root, "--bbox", "50,0,51,1", "-o", tmp_path / "x")
    for wrong in (("store", "import", path, tmp_path / "b.zarr", "--keep-water"), (*asking, "--format", "year-store")):
        code, told, err = run(*wrong)
        assert code == 2
        assert len(err.strip().splitlines()) == 1
    assert "year stores can only be imported" in err
