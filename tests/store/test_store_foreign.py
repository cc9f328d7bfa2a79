"""Stores of others: the published geometry as zarr-python writes it, zones split by hemisphere, Icechunk, by name."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from store_helpers import serving
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec, TransposeCodec, ZstdCodec

from tessera.base import InputError, TesseraError
from tessera.geo import Window, to_lonlat
from tessera.net import open_objects
from tessera.shards import SCALES, ArraySpec
from tessera.store import DATASETS, dataset_identity, open_store, parse_dataset
from tessera.store.others.foreign import open_foreign, parse_format, parse_root

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")
WEST, NORTH, HEIGHT, WIDTH = 64_003, 64, 256, 192
"""Across the equator: 64 rows north of it, the rest south; a corner that no cell shares."""
YEARS = (2021, 2019)
DIMS = 8
WINDOW = Window(31, WEST + 10, NORTH - 20, 100, 120)


def values(seed: int = 0) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes (T, B, Y, X) and scales (T, Y, X); water, holes and a corrupt scale among them."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(-127, 128, (2, DIMS, HEIGHT, WIDTH), dtype=np.int8)
    scales = rng.uniform(0.01, 0.2, (2, HEIGHT, WIDTH)).astype(np.float32)
    scales[rng.random(scales.shape) < 0.1] = np.nan
    scales[rng.random(scales.shape) < 0.1] = np.inf
    scales[:, 100, 50] = 161_685
    scales[:, 101, 50] = -3
    return codes, scales


def sharded(group: zarr.Group, name: str, data: NDArray[Any], dims: list[str], chunk: int, inner: list[Any]) -> None:
    lead = data.shape[1:-2]
    array = zarr.create_array(
        group.store_path / name,
        shape=data.shape,
        dtype=data.dtype,
        fill_value=np.inf if data.dtype == np.float32 else 0,
        chunks=(1, *lead, 64, 64),
        compressors=None,
        serializer=ShardingCodec(chunk_shape=(1, *lead, chunk, chunk), codecs=inner),
        dimension_names=dims,
    )
    array[:] = data


def write_official(path: Path, *, zones: tuple[int, ...] = (31, 32), inner: list[Any] | None = None) -> None:
    """Two requests open it: consolidated metadata at the root, years in order of arrival."""
    root = zarr.open_group(path, mode="w", zarr_format=3)
    root.attrs.update(
        {
            "geoemb:type": "pixel",
            "geoemb:dimensions": DIMS,
            "geoemb:model": "https://geotessera.org/model/1.1",
            "geoemb:depths": [{"dimensions": 2, "array": "embeddings_d2"}, {"dimensions": 8, "array": "embeddings"}],
        }
    )
    for zone in zones:
        group = root.create_group(f"utm{zone}")
        group.attrs.update(
            {
                "proj:code": f"EPSG:326{zone}",
                "spatial:transform": [10.0, 0.0, WEST * 10.0, 0.0, -10.0, NORTH * 10.0],
            }
        )
        codes, scales = values(zone)
        packed = [BytesCodec(), BloscCodec(cname="zstd", clevel=3)]
        sharded(group, "embeddings", codes, ["time", "band", "y", "x"], 32, inner or packed)
        sharded(group, "embeddings_d2", codes[:, :2], ["time", "band_d2", "y", "x"], 64, packed)
        sharded(group, "scales", scales, ["time", "y", "x"], 32, packed)
        group.create_array("time", data=np.array(YEARS, np.int32), chunks=(2,), dimension_names=["time"])
    zarr.consolidate_metadata(root.store)


def expected(seed: int, year_index: int, window: Window) -> NDArray[np.float32]:
    codes, scales = values(seed)
    rows = slice(NORTH - window.north, NORTH - window.south)
    cols = slice(window.west - WEST, window.east - WEST)
    scale = scales[year_index, rows, cols]
    scale = np.where((scale > 0) & (scale < 1), scale, np.nan)
    return np.moveaxis(codes[year_index, :, rows, cols].astype(np.float32) * scale, 0, -1)


def lonlat(window: Window, row: int, col: int) -> tuple[float, float]:
    lon, lat = to_lonlat((window.west + col + 0.5) * 10, (window.north - row - 0.5) * 10, window.zone)
    return float(lon), float(lat)


RAW = [TransposeCodec(order=(0, 2, 3, 1)), BytesCodec(), Crc32cCodec()]


@pytest.mark.parametrize("inner", [None, [BytesCodec(), ZstdCodec()], RAW, [BytesCodec()]], ids=str)
def test_the_published_geometry_is_read_by_our_reader(tmp_path: Path, inner: list[Any] | None) -> None:
    write_official(tmp_path / "s", inner=inner)
    with serving(tmp_path) as (url, requests):
        store = open_store(f"{url}/s")
        assert len(requests) <= 3
        assert (store.years, store.zones, store.dims, store.layout.prefixes) == (YEARS, (31, 32), DIMS, (2,))
        assert store.header.nan_is_water
        for reader in (store, open_store(tmp_path / "s")):
            for index, year in enumerate(YEARS):
                found = reader.read_region(WINDOW, year).values
                assert np.array_equal(found, expected(31, index, WINDOW), equal_nan=True)
            points = [lonlat(WINDOW, row, col) for row, col in ((0, 0), (119, 99), (30, 40), (81, 40), (80, 40))]
            near = found[[0, 119, 30, 81, 80], [0, 99, 40, 40, 40]]
            assert np.array_equal(reader.sample_points(points, YEARS[1]), near, equal_nan=True)
            assert np.array_equal(reader.sample_points(points, YEARS[1], dims=2), near[:, :2], equal_nan=True)
        around = Window(31, WEST - 5, NORTH + 5, WIDTH + 10, HEIGHT + 10)
        whole = store.read_window(around, 2019)
        assert np.isposinf(whole.scales[:5]).all()
        assert np.isposinf(whole.scales[:, -5:]).all()
        assert not whole.counts.any()


def write_by_hemisphere(root: zarr.Group) -> None:
    """As the dClimate run: 31N and 31S, each past the equator, (time, northing, easting, band)."""
    codes, scales = values(31)
    for name, first, last, northing in (("31N", 0, 96, 0.0), ("31S", 32, HEIGHT, 1e7)):
        group = root.create_group(name)
        top = (NORTH - first) * 10.0 + northing
        group.attrs.update(
            {
                "proj:code": f"EPSG:32{6 if name == '31N' else 7}31",
                "spatial:transform": [10.0, 0.0, WEST * 10.0, 0.0, -10.0, top],
                "years_complete": [2021, 2019] if name == "31N" else [2021],
            }
        )
        # beyond the equator the other group counts: what lies there must not be taken
        part = codes[:, :, first:last].copy()
        part[:, :, 64 - first :] *= 1 if name == "31S" else 0
        part[:, :, : 64 - first] *= 1 if name == "31N" else 0
        group.create_array(
            "embeddings",
            data=np.moveaxis(part, 1, -1),
            chunks=(1, 32, 32, DIMS),
            shards=(1, 64, 64, DIMS),
            dimension_names=["time", "northing", "easting", "band"],
        )
        group.create_array(
            "scales",
            data=scales[:, first:last],
            chunks=(1, 32, 32),
            fill_value=np.inf,
            dimension_names=["time", "northing", "easting"],
        )
        for count, array in enumerate(("s2_obs_count", "s1_asc_obs_count", "s1_desc_obs_count")):
            group.create_array(
                array,
                data=np.full(scales[:, first:last].shape, count + 7, np.int16),
                chunks=(1, 64, 64),
                dimension_names=["time", "northing", "easting"],
            )
        years = np.array(["2021-01-01", "2019-01-01"], "datetime64[ns]").astype(np.int64)
        time = group.create_array("time", data=years, dimension_names=["time"])
        time.attrs["units"] = "nanoseconds since 1970-01-01"


@pytest.mark.parametrize("kind", ["zarr", "icechunk"])
def test_zones_split_by_hemisphere_are_one(tmp_path: Path, kind: str) -> None:
    if kind == "zarr":
        path = tmp_path / "s"
        root = zarr.open_group(path, mode="w", zarr_format=3)
        write_by_hemisphere(root)
        zarr.consolidate_metadata(root.store)
    else:
        icechunk = pytest.importorskip("icechunk")
        path = tmp_path / "s.icechunk"
        session = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path))).writable_session("main")
        write_by_hemisphere(zarr.open_group(session.store, mode="w", zarr_format=3))
        session.commit("all")
    store = open_store(path, dataset="v1.1-dclimate")
    assert (store.years, store.zones, store.dims) == (YEARS, (31,), DIMS)
    assert store.model.name == "tessera:v1.1-dclimate"
    assert not store.header.nan_is_water
    found = store.read_region(WINDOW, 2021).values
    assert np.array_equal(found, expected(31, 0, WINDOW), equal_nan=True)
    assert np.array_equal(store.read_window(WINDOW, 2021).counts[5, 5], [7, 8, 9])
    points = [lonlat(WINDOW, row, col) for row, col in ((0, 0), (43, 7), (44, 7), (119, 99), (81, 40))]
    near = found[[0, 43, 44, 119, 81], [0, 7, 7, 99, 40]]
    assert np.array_equal(store.sample_points(points, 2021), near, equal_nan=True)
    earlier = store.read_region(WINDOW, 2019).values
    assert np.isnan(earlier[44:]).all()
    assert np.array_equal(earlier[:44], expected(31, 1, WINDOW)[:44], equal_nan=True)


def test_a_point_alone_may_lie_in_either_half_or_outside(tmp_path: Path) -> None:
    write_official(tmp_path / "s", zones=(31,))
    root = zarr.open_group(tmp_path / "h", mode="w", zarr_format=3)
    write_by_hemisphere(root)
    zarr.consolidate_metadata(root.store)
    for path in (tmp_path / "s", tmp_path / "h"):
        store = open_store(path)
        for row in (5, 90):
            found = store.sample_points([lonlat(WINDOW, row, 12)], 2021)
            assert np.array_equal(found[0], expected(31, 0, WINDOW)[row, 12], equal_nan=True)
        assert np.isnan(store.sample_points([(3.5, 40.0)], 2021)).all()


@pytest.mark.parametrize(
    ("array", "dtype", "bands", "reason"),
    [("embeddings", "int16", DIMS, "has the type int16; expected int8"), ("embeddings", "int8", 4, "expected 8 as")],
)
def test_another_type_or_number_of_bands_is_refused(
    tmp_path: Path, array: str, dtype: str, bands: int, reason: str
) -> None:
    root = zarr.open_group(tmp_path / "h", mode="w", zarr_format=3)
    write_by_hemisphere(root)
    group: Any = root["31S"]
    shape = group[array].shape
    del group[array]
    group.create_array(
        array,
        shape=(*shape[:3], bands),
        chunks=(1, 32, 32, bands),
        dtype=dtype,
        dimension_names=["time", "northing", "easting", "band"],
    )
    zarr.consolidate_metadata(root.store)
    with pytest.raises(InputError, match=reason):
        open_store(tmp_path / "h")


def test_names_are_read_over_http_without_credentials() -> None:
    from obstore.store import HTTPStore

    from tessera.store.others.datasets import MIRROR

    assert isinstance(open_objects(MIRROR)._store, HTTPStore)


def test_datasets_are_opened_by_name_and_never_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_official(tmp_path / "zarr" / "v1.1-dclimate", zones=(31,))
    write_official(tmp_path / "zarr" / "v1.1", zones=(31,))
    with serving(tmp_path) as (url, _):
        monkeypatch.setenv("TESSERA_DATASETS", url)
        store = open_store("tessera:v1.1")
        assert store.model.name == "tessera:v1.1-dclimate"
        other = open_store("tessera:v1.1-cambridge")
        assert store.model.sha256 != other.model.sha256
        copied = open_store(tmp_path / "zarr" / "v1.1", dataset="v1.1-cambridge")
        assert copied.model == other.model
        unnamed = open_store(tmp_path / "zarr" / "v1.1")
        assert len({store.model.sha256, other.model.sha256, unnamed.model.sha256}) == 3
        with pytest.raises(InputError, match=r"holds model 1\.1 by its root; expected tessera:v1\.0-vultr"):
            open_store(tmp_path / "zarr" / "v1.1", dataset="v1.0")
        with pytest.raises(InputError, match=r"dataset 'tessera:v3'; expected one of tessera:v1\.0-vultr"):
            open_store("tessera:v3")
        with pytest.raises(InputError, match=r"dataset 'tessera:v1\.1-'"):
            open_store("tessera:v1.1-")
        with pytest.raises(InputError, match="expected the same dataset"):
            open_store("tessera:v1.1", dataset="v1.0")
        with pytest.raises(InputError, match="not published as an Icechunk"):
            open_store("tessera:v1.0.icechunk")
        with pytest.raises(InputError, match=r"neither tessera\.json nor zarr\.json"):
            open_store("tessera:v1.0")
    for dataset in DATASETS:
        assert parse_dataset(dataset.name) == dataset
        assert dataset_identity(dataset, 128).name == dataset.name


def test_our_own_store_without_its_document_keeps_its_identity(tmp_path: Path) -> None:
    from store_helpers import ACROSS, new_store, random_embeddings

    store = new_store(tmp_path / "s")
    store.write(random_embeddings(ACROSS), 2024)
    (tmp_path / "s" / "tessera.json").unlink()
    bare = open_store(tmp_path / "s")
    assert (bare.model.name, bare.model.sha256) == (store.model.name, store.model.sha256)
    assert np.array_equal(bare.read_region(ACROSS, 2024).values, random_embeddings(ACROSS).values(), equal_nan=True)
    with pytest.raises(InputError, match=r"no tessera\.json"):
        bare.write(random_embeddings(ACROSS), 2024)
    with pytest.raises(InputError, match="it is no copy of"):
        open_store(new_store(tmp_path / "t").objects.root, dataset="v1.0")


def official_root(tmp_path: Path) -> dict[str, Any]:
    write_official(tmp_path / "s", zones=(31,))
    return dict(json.loads((tmp_path / "s" / "zarr.json").read_text()))


def _set(root: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("|")
    node: Any = root
    for key in parents:
        node = node[int(key) if isinstance(node, list) else key]
    node[last] = value


NODES = "consolidated_metadata|metadata|"
SHARDING = NODES + "utm31/embeddings|codecs|0|configuration|"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("zarr_format", 2),
        ("attributes|geoemb:dimensions", 10**9),
        ("attributes|geoemb:dimensions", "many"),
        ("attributes|geoemb:depths", 5),
        (NODES + "utm31|attributes", {}),
        (NODES + "utm31|attributes|proj:code", "EPSG:3857"),
        (NODES + "utm31|attributes|spatial:transform", [10.0, 0.0, float("nan"), 0.0, -10.0, 0.0]),
        (NODES + "utm31|attributes|spatial:transform", [10.0, 0.0, 1e300, 0.0, -10.0, 0.0]),
        (NODES + "utm31|attributes|spatial:transform", [20.0, 0.0, 0.0, 0.0, -20.0, 0.0]),
        (NODES + "utm31/scales|shape", [2, 10**12, 10**12]),
        (NODES + "utm31/scales|data_type", "float64"),
        (NODES + "utm31/time|shape", [10**9]),
        (NODES + "utm31/time|data_type", "float32"),
        (SHARDING + "chunk_shape", [1, DIMS, 0, 0]),
        (SHARDING + "chunk_shape", "x"),
        (NODES + "utm31/embeddings|chunk_grid|configuration|chunk_shape", [1, DIMS, 10**9, 10**9]),
    ],
)
def test_metadata_that_cannot_be_believed_is_one_line(tmp_path: Path, path: str, value: Any) -> None:
    root = official_root(tmp_path)
    _set(root, path, value)
    (tmp_path / "s" / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(InputError) as caught:
        open_store(tmp_path / "s")
    assert "\n" not in str(caught.value)


@given(st.data())
def test_mutated_metadata_never_escapes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = _root_of(tmp_path_factory)
    changed = copy.deepcopy(root)
    node: Any = changed
    for _ in range(data.draw(st.integers(1, 8))):
        keys = list(range(len(node))) if isinstance(node, list) else sorted(node)
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if not isinstance(node[key], (dict, list)) or data.draw(st.booleans()):
            node[key] = data.draw(
                st.none() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}) | st.floats()
            )
            break
        node = node[key]
    spec = ArraySpec("embeddings", "band", DIMS, "int8", 0)
    try:
        nodes, _ = parse_root(json.dumps(changed).encode(), "x")
        for name, wanted in (("utm31/embeddings", spec), ("utm31/scales", SCALES)):
            if name in nodes:
                form = parse_format(nodes[name], wanted, "x")
                assert form.index_bytes <= 64 * 1024**2
    except InputError:
        return


_ROOTS: dict[str, dict[str, Any]] = {}


def _root_of(factory: pytest.TempPathFactory) -> dict[str, Any]:
    if not _ROOTS:
        _ROOTS["one"] = official_root(factory.mktemp("official"))
    return _ROOTS["one"]


def test_a_truncated_shard_is_told(tmp_path: Path) -> None:
    write_official(tmp_path / "s", zones=(31,))
    for path in (tmp_path / "s" / "utm31" / "embeddings").rglob("c/0/0/*/*"):
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TesseraError, match="utm31/embeddings/c/0/0"):
        open_store(tmp_path / "s").read_region(WINDOW, 2021)


def test_a_store_without_consolidated_metadata_is_read_from_a_folder(tmp_path: Path) -> None:
    root = official_root(tmp_path)
    del root["consolidated_metadata"]
    (tmp_path / "s" / "zarr.json").write_text(json.dumps(root))
    found = open_store(tmp_path / "s").read_region(WINDOW, 2021).values
    assert np.array_equal(found, expected(31, 0, WINDOW), equal_nan=True)
    with pytest.raises(InputError, match="consolidated"):
        open_foreign(open_objects(tmp_path / "s"), None, None)
