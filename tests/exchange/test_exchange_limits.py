"""Year stores that would swell, disks that are nearly full, and registries as other readers want them."""

from __future__ import annotations

import gzip
import io
import json
import math
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from tile_helpers import BESIDE, NORTH_TILE, YEAR, about_model, embeddings_over, filled_store, new_store

from tessera.base import InputError
from tessera.exchange import export_tiles, import_year_store
from tessera.exchange._year_shards import ShardForm, check_shard, parse_form
from tessera.geo import Window, to_lonlat
from tessera.store import open_store

WINDOW = Window(31, 50000, 560256, 64, 64)
SWOLLEN = 1 << 30


def year_store(path: Path, codec: Any, *, shards: bool) -> Path:
    """A store of 64 x 64 pixels as zarr-python packs it."""
    emb = embeddings_over(WINDOW, 1, 0.1)
    about = {"tessera:dataset_version": "v0", "tessera:year": YEAR, **about_model(emb.model)}
    root = zarr.create_group(store=str(path), zarr_format=3, attributes=about)
    transform = [10.0, 0.0, WINDOW.west * 10.0, 0.0, -10.0, WINDOW.north * 10.0]
    group = root.create_group("utm31", attributes={**about, "proj:code": "EPSG:32631", "spatial:transform": transform})
    for name, data in (("embeddings", emb.codes), ("scales", emb.scales)):
        side: Any = {"chunks": (16, 16, *data.shape[2:]), "shards": (64, 64, *data.shape[2:])}
        side = side if shards else {"chunks": (64, 64, *data.shape[2:])}
        group.create_array(name, data=data, compressors=codec, **side)
    return path


CODECS = {
    "raw": None,
    "blosc": zarr.codecs.BloscCodec(cname="zstd", shuffle="bitshuffle", typesize=1),
    "zstd": zarr.codecs.ZstdCodec(level=1),
    "zstd with checksum": zarr.codecs.ZstdCodec(level=1, checksum=True),
    "crc": (zarr.codecs.BloscCodec(cname="lz4"), zarr.codecs.Crc32cCodec()),
}


@pytest.mark.parametrize("shards", [True, False])
@pytest.mark.parametrize("name", CODECS)
def test_what_zarr_python_packs_is_read(name: str, shards: bool, tmp_path: Path) -> None:
    path = year_store(tmp_path / f"{YEAR}.zarr", CODECS[name], shards=shards)
    store = new_store(tmp_path / "b.zarr")
    assert import_year_store(path, store).failed == []
    held, wanted = store.read_window(WINDOW, YEAR), embeddings_over(WINDOW, 1, 0.1)
    assert np.array_equal(held.codes, wanted.codes)
    assert np.array_equal(held.scales, wanted.scales, equal_nan=True)


def zstd_frame(size: int) -> bytes:
    """A frame of runs of zeros that unpacks to `size` bytes."""
    block = 1 << 17
    count = size // block
    runs = [((block << 3) | 2 | (number == count - 1)).to_bytes(3, "little") + b"\0" for number in range(count)]
    return struct.pack("<IBQ", 0xFD2FB528, 0b11100000, size) + b"".join(runs)


def blosc_frame(size: int) -> bytes:
    import numcodecs

    return bytes(numcodecs.Blosc("zstd", 9).encode(np.zeros(size, np.int8)))


IMPORT = """
import resource, sys
from pathlib import Path
from tessera.exchange import import_year_store
from tessera.store import open_store
report = import_year_store(sys.argv[1], open_store(sys.argv[2]))
print(report.failed[0])
status = Path("/proc/self/status")
# ru_maxrss begins with that of the process which started this one
most = status.read_text().partition("VmHWM:")[2].split()[0] if status.exists() else 0
print(most or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("kind", ["zstd", "blosc"])
def test_what_would_swell_is_refused_before_it_does(kind: str, tmp_path: Path) -> None:
    path = year_store(tmp_path / f"{YEAR}.zarr", CODECS[kind], shards=False)
    chunk = path / "utm31" / "embeddings" / "c" / "0" / "0" / "0"
    chunk.write_bytes(zstd_frame(SWOLLEN) if kind == "zstd" else blosc_frame(SWOLLEN))
    new_store(tmp_path / "b.zarr")
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, path, tmp_path / "b.zarr"], capture_output=True, text=True, check=True
    )
    said, peak = done.stdout.splitlines()
    assert f"a chunk that unpacks to {SWOLLEN} bytes; expected {64 * 64 * 8} bytes" in said
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(peak) * unit < SWOLLEN // 2


def test_the_frame_of_the_test_above_does_swell() -> None:
    import numcodecs

    assert bytes(numcodecs.Zstd().decode(zstd_frame(1 << 20))) == bytes(1 << 20)


def gzip_codec(about: dict[str, Any]) -> None:
    about["codecs"][-1] = {"name": "gzip", "configuration": {"level": 1}}


def two_packers(about: dict[str, Any]) -> None:
    about["codecs"].append(about["codecs"][-1])


def big_endian(about: dict[str, Any]) -> None:
    about["codecs"][0]["configuration"] = {"endian": "big"}


def no_list(about: dict[str, Any]) -> None:
    about["codecs"] = {"name": "blosc"}


def tiny_chunks(about: dict[str, Any]) -> None:
    about["shape"][:2] = about["chunk_grid"]["configuration"]["chunk_shape"][:2] = [4096, 4096]
    inner = {"chunk_shape": [1, 1, 8], "codecs": about["codecs"], "index_codecs": [{"name": "bytes"}]}
    about["codecs"] = [{"name": "sharding_indexed", "configuration": inner}]


def shards_in_shards(about: dict[str, Any]) -> None:
    inner = {"chunk_shape": [16, 16, 8], "codecs": about["codecs"], "index_codecs": [{"name": "bytes"}]}
    shard = {"name": "sharding_indexed", "configuration": inner}
    about["codecs"] = [{"name": "sharding_indexed", "configuration": {**inner, "codecs": [shard]}}]


@pytest.mark.parametrize("damage", [gzip_codec, two_packers, big_endian, no_list, tiny_chunks, shards_in_shards])
def test_codecs_that_tell_no_size_are_one_line(damage: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    path = year_store(tmp_path / f"{YEAR}.zarr", CODECS["blosc"], shards=False)
    file = path / "utm31" / "embeddings" / "zarr.json"
    about = json.loads(file.read_text())
    damage(about)
    file.write_text(json.dumps(about))
    if damage is gzip_codec:
        (path / "utm31" / "embeddings" / "c" / "0" / "0" / "0").write_bytes(gzip.compress(bytes(1 << 20)))
    store = new_store(tmp_path / "b.zarr")
    with pytest.raises(InputError, match="has codecs that are not read here") as error:
        import_year_store(path, store)
    assert "\n" not in str(error.value)
    assert store.years == ()


@settings(max_examples=200)
@given(
    data=st.binary(max_size=200),
    index=st.sampled_from(["start", "end", None]),
    packer=st.sampled_from(["blosc", "zstd", None]),
)
def test_shards_of_any_bytes_pass_or_are_one_line(
    data: bytes, index: str | None, packer: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chunk = (4, 4, 8) if index is None else (2, 2, 8)
    form = ShardForm((4, 4, 8), chunk, math.prod(chunk), index, True, False, packer)
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(data)
    try:
        check_shard(io.BytesIO(data), form, path)
    except InputError:
        return
    assert index is not None or packer is not None or len(data) == form.chunk_bytes


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["name", "configuration", "codecs", "chunk_shape", "index_codecs"])
    return st.lists(inner, max_size=3) | st.dictionaries(names, inner)


words = st.sampled_from(["bytes", "blosc", "sharding_indexed", "crc32c", "transpose", ""])


@given(st.recursive(st.none() | st.integers() | words | st.booleans(), nested))
def test_codecs_of_any_json_are_a_form_or_one_line(value: Any) -> None:
    try:
        form = parse_form(value, (4, 4), 1, Path("x"))
    except InputError:
        return
    assert form.chunk_bytes * form.chunks == 16


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def disk_of(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12 - free, free))


def bbox_of(window: Window) -> tuple[float, float, float, float]:
    left, bottom, right, top = window.bounds
    lon, lat = to_lonlat([left + 100, right - 100], [bottom + 100, top - 100], window.zone)
    return float(lon[0]), float(lat[0]), float(lon[1]), float(lat[1])


def test_what_is_there_needs_no_room_again(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rasterio", reason="tiles need the extra geo")
    store = filled_store(tmp_path / "a.zarr", [NORTH_TILE, BESIDE], 30)
    tiles = tmp_path / "tiles"
    export_tiles(store, NORTH_TILE.name, YEAR, tiles)
    new_store(tmp_path / "b.zarr")
    asking = ("store", "import", tiles, tmp_path / "b.zarr")
    disk_of(1000, monkeypatch)
    code, _, err = run(*asking)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "are free there" in err
    disk_of(10**9, monkeypatch)
    assert run(*asking)[0] == 0
    disk_of(1000, monkeypatch)
    code, told, err = run(*asking)
    assert (code, "0 tiles written, 1 already there" in told) == (0, True), err
    # another tile in the folder still needs room
    disk_of(10**9, monkeypatch)
    export_tiles(store, BESIDE.name, YEAR, tiles)
    disk_of(1000, monkeypatch)
    assert run(*asking)[0] == 2


def test_the_hashed_registry_is_geoparquet(tmp_path: Path) -> None:
    pytest.importorskip("rasterio", reason="tiles need the extra geo")
    geopandas: Any = pytest.importorskip("geopandas", reason="reads GeoParquet as geotessera 0.7 does")
    store = filled_store(tmp_path / "a.zarr", [NORTH_TILE, BESIDE], 10)
    export_tiles(store, (3.01, 83.81, 3.19, 83.89), YEAR, tmp_path / "tiles")
    table = geopandas.read_parquet(tmp_path / "tiles" / "registry.parquet")
    places: Sequence[tuple[float, float]] = [(point.x, point.y) for point in table.geometry]
    assert places == [(3.05, 83.85), (3.15, 83.85)]
    assert list(zip(table["lon"], table["lat"], strict=True)) == places


def test_an_import_makes_the_store_that_is_not_there(tmp_path: Path) -> None:
    path = year_store(tmp_path / f"{YEAR}.zarr", None, shards=False)
    for _ in range(2):
        report = import_year_store(path, tmp_path / "new.zarr")
    assert (report.written, report.kept, report.failed) == (0, 1, [])
    made = open_store(tmp_path / "new.zarr")
    assert len(made.zones) == 60
    assert np.array_equal(made.read_window(WINDOW, YEAR).codes, embeddings_over(WINDOW, 1, 0.1).codes)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="exists; expected a new path"):
        import_year_store(path, tmp_path / "mine")
