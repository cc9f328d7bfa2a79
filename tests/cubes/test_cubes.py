from __future__ import annotations

import datetime
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tessera.base import InputError
from tessera.cubes import PixelCube, export_dpixel, open_cube, open_dpixel, write_cube
from tessera.geo import Grid, Window

FILES = ["bands", "masks", "doys", "sar_ascending", "sar_ascending_doy", "sar_descending", "sar_descending_doy"]


def random_cube(dates: tuple[int, int, int] = (4, 3, 2), shape: tuple[int, int] = (5, 7), seed: int = 0) -> PixelCube:
    rng = np.random.default_rng(seed)

    def days(count: int) -> Any:
        return np.sort(rng.integers(1, 367, count)).astype(np.int16)

    return PixelCube(
        s2=rng.integers(0, 10_000, (dates[0], *shape, 10), dtype=np.uint16),
        s2_mask=rng.integers(0, 2, (dates[0], *shape), dtype=np.uint8),
        s2_doy=days(dates[0]),
        s1_asc=rng.integers(0, 9000, (dates[1], *shape, 2), dtype=np.int16),
        s1_asc_doy=days(dates[1]),
        s1_desc=rng.integers(0, 9000, (dates[2], *shape, 2), dtype=np.int16),
        s1_desc_doy=days(dates[2]),
        grid=Window(31, 66_000, 560_000, shape[1], shape[0]).grid,
        provenance={"year": 2024, "source": "test"},
    )


def same(one: PixelCube, other: PixelCube) -> bool:
    names = ("s2", "s2_mask", "s2_doy", "s1_asc", "s1_asc_doy", "s1_desc", "s1_desc_doy")
    return all(np.array_equal(np.asarray(getattr(one, n)[:]), np.asarray(getattr(other, n)[:])) for n in names)


@given(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), hnp.array_shapes(min_dims=2, max_dims=2))
def test_both_forms_on_disk_return_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, dates: tuple[int, int, int], shape: tuple[int, int]
) -> None:
    folder = tmp_path_factory.mktemp("cube")
    cube = random_cube(dates, shape)
    back = write_cube(cube, folder / "cube.zarr")
    assert same(back, cube)
    assert (back.grid, back.provenance, back.sha256) == (cube.grid, cube.provenance, cube.sha256)
    flat = open_cube(export_dpixel(back, folder / "dpixel"))
    assert same(flat, cube)
    assert flat.grid is None


def test_a_crop_reads_the_same_as_a_window(tmp_path: Path) -> None:
    cube = write_cube(random_cube(shape=(300, 40)), tmp_path / "cube.zarr")
    one, other = cube.window(100, 260, 5, 30), cube.crop(100, 260, 5, 30)
    assert same(one, other.load())
    assert one.sha256 == other.sha256
    assert one.grid == other.grid
    assert Window.of_grid(one.grid).north == 560_000 - 100
    assert same(other.window(10, 20, 3, 9), cube.window(110, 120, 8, 14))


def test_the_digest_sees_every_value() -> None:
    cube = random_cube()
    seen = {cube.sha256}
    for name in ("s2", "s2_mask", "s1_asc", "s1_desc"):
        changed: Any = np.asarray(getattr(cube, name)).copy()
        changed.flat[-1] ^= 1
        change: dict[str, Any] = {name: changed}
        seen.add(replace(cube, **change).sha256)
    seen.add(replace(cube, s2_doy=cube.s2_doy - np.int16(1)).sha256)
    seen.add(replace(cube, grid=None).sha256)
    assert len(seen) == 7


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"s2_bands": ("B02", "B03", "B04", "B08", "B8A", "B05", "B06", "B07", "B11", "B12")}, "in another order"),
        ({"s2_bands": ("B04", "B02", "B03")}, "3 bands"),
        ({"s1_bands": ("VH", "VV")}, "in another order"),
        ({"s2": np.zeros((4, 5, 7, 9), np.uint16)}, r"\(T, 5, 7, 10\)"),
        ({"s2": np.zeros((4, 5, 7, 10), np.float32)}, "uint16"),
        ({"s2_mask": np.zeros((3, 5, 7), np.uint8)}, "s2_mask"),
        ({"s1_asc": np.zeros((3, 5, 7, 2), np.uint16)}, "int16"),
        ({"s2_doy": np.array([0, 1, 2, 3], np.int16)}, "1 to 366"),
        ({"s2_doy": np.array([1, 2, 3], np.int16)}, "s2_doy"),
        ({"grid": Grid("EPSG:32631", (10, 0, 500_000, 0, -10, 0), 4, 4)}, "4 x 4"),
    ],
)
def test_a_cube_that_does_not_fit_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        replace(random_cube(), **change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_dpixel_folder_with_a_missing_file_names_it(tmp_path: Path, name: str) -> None:
    export_dpixel(random_cube(), tmp_path / "d")
    (tmp_path / "d" / f"{name}.npy").unlink()
    with pytest.raises(InputError, match=f"lacks {name}.npy"):
        open_cube(tmp_path / "d")


@pytest.mark.parametrize("name", FILES)
def test_a_dpixel_file_of_any_shorter_length_is_refused(tmp_path: Path, name: str) -> None:
    path = export_dpixel(random_cube(), tmp_path / "d") / f"{name}.npy"
    whole = path.read_bytes()
    for length in {0, 5, 9, 60, 127, 128, len(whole) - 1} - {len(whole)}:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=f"{name}.npy"):
            open_cube(tmp_path / "d")
    path.write_bytes(whole + b"x")
    with pytest.raises(InputError, match="claims shape"):
        open_cube(tmp_path / "d")


def test_a_dpixel_file_that_claims_too_much_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = export_dpixel(random_cube(), tmp_path / "d") / "bands.npy"
    header = b"{'descr': '<u2', 'fortran_order': False, 'shape': (99999999, 99999999, 7, 10), }"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InputError, match="claims shape"):
        open_cube(tmp_path / "d")


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("bands", np.zeros((4, 5, 7, 9), np.uint16), r"expected \(T, H, W, 10\)"),
        ("bands", np.zeros((4, 5, 7, 10), np.float32), "float32"),
        ("bands", np.asfortranarray(np.zeros((4, 5, 7, 10), np.uint16)), "Fortran"),
        ("masks", np.zeros((4, 7, 5), np.uint8), "s2_mask"),
        ("doys", np.zeros((4, 1), np.uint16), r"expected \(T\)"),
    ],
)
def test_a_dpixel_file_of_another_form_is_refused(tmp_path: Path, name: str, array: Any, reason: str) -> None:
    folder = export_dpixel(random_cube(), tmp_path / "d")
    np.save(folder / f"{name}.npy", array)
    with pytest.raises(InputError, match=reason):
        open_dpixel(folder)


def test_an_npy_file_with_objects_is_not_unpickled(tmp_path: Path) -> None:
    folder = export_dpixel(random_cube(), tmp_path / "d")
    np.save(folder / "doys.npy", np.array([{"a": 1}] * 4), allow_pickle=True)
    with pytest.raises(InputError, match="object"):
        open_dpixel(folder)


def test_a_cube_store_that_lost_a_file_or_its_format_is_refused(tmp_path: Path) -> None:
    write_cube(random_cube(), tmp_path / "a.zarr")
    shutil.copytree(tmp_path / "a.zarr", tmp_path / "b.zarr")
    shutil.rmtree(tmp_path / "a.zarr" / "s1_asc")
    with pytest.raises(InputError, match="s1_asc"):
        open_cube(tmp_path / "a.zarr")
    document = tmp_path / "b.zarr" / "zarr.json"
    document.write_text(document.read_text().replace('"B04"', '"B99"'))
    with pytest.raises(InputError, match="B99"):
        open_cube(tmp_path / "b.zarr")
    document.write_text(document.read_text().replace("tessera-cube", "other"))
    with pytest.raises(InputError, match="format 'other'"):
        open_cube(tmp_path / "b.zarr")
    with pytest.raises(InputError, match="not found"):
        open_cube(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither a cube store nor a d-pixel folder"):
        open_cube(tmp_path / "empty")


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cube(random_cube(), tmp_path / "cube.zarr", progress=stop)
    assert list(tmp_path.iterdir()) == []
    write_cube(random_cube(), tmp_path / "cube.zarr")
    with pytest.raises(InputError, match="exists"):
        write_cube(random_cube(), tmp_path / "cube.zarr")


def test_the_reference_tile_goes_through_both_forms(shared: Path, tmp_path: Path) -> None:
    cube = open_cube(shared / "fixtures" / "tile_a")
    assert cube.shape == (6, 5)
    assert same(write_cube(cube, tmp_path / "cube.zarr"), cube)
    export_dpixel(cube, tmp_path / "d")
    for name in FILES:
        original = np.load(shared / "fixtures" / "tile_a" / f"{name}.npy")
        written = np.load(tmp_path / "d" / f"{name}.npy")
        assert original.dtype == written.dtype
        assert np.array_equal(original, written)


@pytest.mark.parametrize("name", ["s2", "s2_mask", "s2_doy", "s1_asc", "s1_desc_doy"])
def test_a_damaged_or_lost_chunk_is_one_line(tmp_path: Path, name: str) -> None:
    cube = write_cube(random_cube(shape=(140, 7)), tmp_path / "cube.zarr")
    chunk = min(path for path in (tmp_path / "cube.zarr" / name / "c").rglob("*") if path.is_file())
    whole = chunk.read_bytes()
    damaged = [whole[:length] for length in (0, 1, 4, 15, 16, 20, len(whole) - 1)]
    damaged += [whole + b"x", bytes([*whole[:-9], whole[-9] ^ 1, *whole[-8:]]), b"\xff" * len(whole)]
    for data in damaged:
        chunk.write_bytes(data)
        with pytest.raises(InputError, match=f"array {name} cannot be read") as caught:
            open_cube(tmp_path / "cube.zarr").load()
        assert "\n" not in str(caught.value)
        if "doy" not in name:
            for read in (cube.load, cube.crop(0, 2, 0, 2).load, lambda: np.asarray(getattr(cube, name))):
                with pytest.raises(InputError, match=f"array {name} cannot be read"):
                    read()
    chunk.unlink()
    with pytest.raises(InputError, match=f"array {name} of shape .* lacks chunks: ") as caught:
        open_cube(tmp_path / "cube.zarr")
    chunk.with_name("stray").write_bytes(whole)
    with pytest.raises(InputError, match=f"array {name} of shape .* lacks chunk c/"):
        open_cube(tmp_path / "cube.zarr")


def test_a_cube_of_zeros_has_every_chunk(tmp_path: Path) -> None:
    cube = random_cube()
    names = ("s2", "s2_mask", "s1_asc", "s1_desc")
    empty: dict[str, Any] = {name: np.zeros_like(getattr(cube, name)) for name in names}
    assert same(write_cube(replace(cube, **empty), tmp_path / "cube.zarr"), replace(cube, **empty))
    assert sum(path.is_file() for path in (tmp_path / "cube.zarr").rglob("c/**/*")) == 4 + 4 + 3 + 2 + 3


@pytest.mark.parametrize("name", ["s2", "s2_mask", "s2_doy", "s1_asc"])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_absurd_shape_is_one_line(tmp_path: Path, name: str, axis: int, chunked: bool) -> None:
    write_cube(random_cube(), tmp_path / "cube.zarr")
    path = tmp_path / "cube.zarr" / name / "zarr.json"
    document = json.loads(path.read_text())
    axis = min(axis, len(document["shape"]) - 1)
    document["shape"][axis] = 10**13
    if chunked:
        document["chunk_grid"]["configuration"]["chunk_shape"][axis] = 10**13
    path.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        open_cube(tmp_path / "cube.zarr")
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_an_array_without_checksums_is_refused(tmp_path: Path) -> None:
    write_cube(random_cube(), tmp_path / "cube.zarr")
    path = tmp_path / "cube.zarr" / "s2" / "zarr.json"
    document = json.loads(path.read_text())
    document["codecs"] = [codec for codec in document["codecs"] if codec["name"] != "crc32c"]
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="array s2 has no checksums; expected the codec crc32c"):
        open_cube(tmp_path / "cube.zarr")


def test_views_are_arrays_to_numpy(tmp_path: Path) -> None:
    memory = random_cube()
    disk = write_cube(memory, tmp_path / "cube.zarr")
    for cube in (memory, disk):
        view: Any = cube.crop(0, 2, 1, 4).s2
        expected = np.asarray(memory.s2)[:, 0:2, 1:4]
        for array in (np.asarray(view), np.array(view, copy=True), np.stack([view])[0]):
            assert array.dtype == np.uint16
            np.testing.assert_array_equal(array, expected)
        assert np.asarray(view, dtype=np.float32).dtype == np.float32
    copy = np.array(memory.crop(0, 2, 0, 2).s2)
    assert not np.shares_memory(copy, np.asarray(memory.s2))
    stack: Any = disk.s2
    with pytest.raises(ValueError, match="makes a copy"):
        np.array(stack, copy=False)


def test_provenance_is_plain(tmp_path: Path) -> None:
    mixed = {"year": np.int64(2024), "share": np.float32(0.5), "clear": np.bool_(True), "days": (1, [np.int16(2)])}
    cube = replace(random_cube(), provenance={**mixed, "inner": {"none": None}})
    plain = {"year": 2024, "share": 0.5, "clear": True, "days": [1, [2]], "inner": {"none": None}}
    assert cube.provenance == plain
    assert type(cube.provenance["year"]) is int
    assert cube.year == 2024
    assert write_cube(cube, tmp_path / "cube.zarr").provenance == plain
    broken: Any
    for broken, reason in (
        ({"when": datetime.date(2024, 1, 1)}, "provenance 'when' holds a date; expected plain values"),
        ({"a": {"b": [Path("x")]}}, "provenance 'a' 'b' holds a PosixPath"),
        ({"a": np.zeros(2)}, "holds a ndarray"),
        ({"a": float("nan")}, "holds nan"),
        ({"a": np.datetime64("2024-01-01")}, "holds a date"),
        ({1: "a"}, "has the key 1, a int; expected text"),
        ([1], "provenance is a list"),
    ):
        with pytest.raises(InputError, match=reason):
            replace(random_cube(), provenance=broken)


@pytest.mark.parametrize(("level", "shuffle"), [(3, "shuffle"), (1, "bitshuffle")])
def test_a_cube_of_other_compression_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: int, shuffle: Any
) -> None:
    from zarr.codecs import BloscCodec

    with monkeypatch.context() as patch:
        patch.setattr("zarr.codecs.BloscCodec", lambda **_: BloscCodec(cname="zstd", clevel=level, shuffle=shuffle))
        write_cube(random_cube(), tmp_path / "old.zarr")
    write_cube(random_cube(), tmp_path / "new.zarr")
    old, new = (next((tmp_path / name / "s2").rglob("zarr.json")).read_text() for name in ("old.zarr", "new.zarr"))
    assert old != new
    assert same(open_cube(tmp_path / "old.zarr"), random_cube())
