"""Parts of GeoTIFFs by byte range: the same pixels as the whole file has, few bytes, and no trust."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.io import MemoryFile
from tiff_helpers import NORTH, WEST, ZONE, CountedFile, by_gdal, entry_at, image, tiff, with_entry

from tessera.geo import Window
from tessera.net import CorruptError, LoadError, NetError, PermanentError
from tessera.rasters import Target, _tiff, fetch_crop

TILED: dict[str, Any] = {"tiled": True, "blockxsize": 128, "blockysize": 128}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "deflate": ("uint16", {**TILED, "compress": "deflate"}),
    "deflate, predictor 2": ("uint16", {**TILED, "compress": "deflate", "predictor": 2}),
    "LZW, predictor 2": ("uint16", {**TILED, "compress": "lzw", "predictor": 2}),
    "Zstandard, 512": (
        "uint16",
        {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "zstd", "predictor": 2},
    ),
    "LERC": ("float32", {**TILED, "compress": "lerc"}),
    "LERC and deflate": ("uint16", {**TILED, "compress": "lerc_deflate"}),
    "PackBits": ("uint8", {**TILED, "compress": "packbits"}),
    "LZMA": ("uint8", {**TILED, "compress": "lzma"}),
    "none, 256": ("uint16", {"tiled": True, "blockxsize": 256, "blockysize": 256}),
    "float, predictor 3": ("float32", {**TILED, "compress": "deflate", "predictor": 3}),
    "float, predictor 2, Zstandard": ("float32", {**TILED, "compress": "zstd", "predictor": 2}),
    "strips": ("uint16", {}),
    "packed strips": ("uint8", {"compress": "deflate", "blockysize": 50}),
    "strips of floats, big-endian": ("float32", {"compress": "lzw", "predictor": 3, "ENDIANNESS": "BIG"}),
    "big-endian": ("uint16", {**TILED, "ENDIANNESS": "BIG", "compress": "deflate", "predictor": 2}),
    "BigTIFF": ("uint16", {**TILED, "BIGTIFF": "YES", "compress": "deflate"}),
    "big-endian BigTIFF": ("uint16", {**TILED, "BIGTIFF": "YES", "ENDIANNESS": "BIG", "compress": "zstd"}),
    "15 bits": ("uint16", {**TILED, "NBITS": 15, "compress": "deflate"}),
    "4 bits": ("uint8", {**TILED, "NBITS": 4}),
    "half floats": ("float32", {**TILED, "NBITS": 16, "compress": "deflate"}),
    "signed": ("int16", {**TILED, "compress": "deflate", "predictor": 2}),
    "overviews": ("uint16", {**TILED, "compress": "deflate", "overviews": True}),
    "COG, deflate": ("uint16", {"driver": "COG", "compress": "deflate", "predictor": "YES", "blocksize": 128}),
    "COG, Zstandard, floats": ("float32", {"driver": "COG", "compress": "zstd", "predictor": "YES", "blocksize": 256}),
    "COG, LZW, 512": ("uint8", {"driver": "COG", "compress": "lzw", "blocksize": 512}),
    "COG, BigTIFF": ("uint16", {"driver": "COG", "compress": "deflate", "BIGTIFF": "YES", "blocksize": 128}),
    "sparse": ("uint16", {**TILED, "compress": "deflate", "SPARSE_OK": True}),
}
FILES: dict[str, bytes] = {}


def file_of(kind: str) -> bytes:
    if kind not in FILES:
        dtype, options = KINDS[kind]
        pixels = image(7, 700, 620, dtype)
        if kind == "sparse":
            pixels[100:520, 90:400] = 0
        FILES[kind] = tiff(pixels, **options)
    return FILES[kind]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8)
@given(
    x=st.integers(-60, 640),
    y=st.integers(-60, 720),
    width=st.integers(1, 300),
    height=st.integers(1, 300),
)
def test_every_kind_of_file_gives_the_pixels_that_gdal_gives(
    kind: str, x: int, y: int, width: int, height: int
) -> None:
    data = file_of(kind)
    target = Target.of(Window(ZONE, WEST + x, NORTH - y, width, height))
    crop = fetch_crop(CountedFile(data), target)
    expected = by_gdal(data, target, "nearest")
    got = crop.onto(target, "nearest", str(expected.dtype))
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


def counted(data: bytes, target: Target, resampling: str | None = None) -> tuple[CountedFile, Any]:
    file = CountedFile(data)
    crop = fetch_crop(file, target, resampling=resampling)
    assert (crop.requests, crop.bytes) == (len(file.reads), file.bytes)
    return file, crop


def packed(data: bytes, left: int, top: int, right: int, bottom: int) -> int:
    """Bytes of the blocks that hold these pixels."""
    with MemoryFile(data) as memory, memory.open() as file:
        rows, columns = file.block_shapes[0]
        return sum(
            int(file.get_tag_item(f"BLOCK_SIZE_{x}_{y}", "TIFF", bidx=1) or 0)
            for y in range(top // rows, -(-bottom // rows))
            for x in range(left // columns, -(-right // columns))
        )


def noise(height: int, width: int) -> Any:
    return np.random.default_rng(5).integers(1, 4000, (height, width)).astype(np.uint16)


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_only_the_touched_blocks_are_read(driver: str) -> None:
    blocks: dict[str, Any] = (
        {"blocksize": 256} if driver == "COG" else {"tiled": True, "blockxsize": 256, "blockysize": 256}
    )
    data = tiff(noise(2560, 2560), driver=driver, compress="deflate", **blocks)
    target = Target.of(Window(ZONE, WEST + 800, NORTH - 600, 700, 500))
    file, crop = counted(data, target)
    need = packed(data, 800, 600, 1500, 1100)
    # columns of blocks 3 to 5, rows 2 to 4: one range a row, behind the header
    assert len(file.reads) == 4
    assert need < file.bytes < 1.05 * need + _tiff.FIRST
    assert file.bytes < 1.3 * need
    np.testing.assert_array_equal(crop.onto(target, "nearest", "uint16"), by_gdal(data, target, "nearest"))


def test_an_aligned_window_touches_no_block_beside_it() -> None:
    data = tiff(noise(1536, 1536), compress="deflate", **{**TILED, "blockxsize": 512, "blockysize": 512})
    target = Target.of(Window(ZONE, WEST + 512, NORTH - 512, 512, 512))
    file, crop = counted(data, target)
    assert crop.box == (512, 512, 1024, 1024)
    assert len(file.reads) == 2
    assert file.bytes == _tiff.FIRST + packed(data, 512, 512, 1024, 1024)


def test_nearest_alone_needs_fewer_blocks_than_any_resampling() -> None:
    data = tiff(noise(384, 384), side=20.0, compress="deflate", **TILED)
    target = Target.of(Window(ZONE, WEST + 256, NORTH - 256, 256, 256))
    boxes = {name: counted(data, target, name)[1].box for name in ("nearest", "bilinear", None)}
    assert boxes["nearest"] == (128, 128, 256, 256)
    assert boxes["bilinear"] == (127, 127, 257, 257)
    any_box = boxes[None]
    assert any_box[0] < 127
    assert any_box[3] > 257
    with pytest.raises(ValueError, match="fetched for nearest, not for bilinear"):
        counted(data, target, "nearest")[1].onto(target, "bilinear", "uint16")


@pytest.mark.parametrize(("x", "y"), [(-300, 0), (700, 0), (0, -400), (0, 900)])
def test_a_file_beside_the_target_costs_its_header_alone(x: int, y: int) -> None:
    target = Target.of(Window(ZONE, WEST + x, NORTH - y, 80, 90))
    file, crop = counted(file_of("deflate"), target)
    assert file.reads == [(0, _tiff.FIRST)]
    assert crop.box is None
    out = crop.onto(target, "bilinear", "uint16")
    assert out.shape == (90, 80)
    assert not out.any()


def test_blocks_that_were_never_written_are_no_data_and_not_read() -> None:
    data = file_of("sparse")
    file, crop = counted(data, Target.of(Window(ZONE, WEST + 140, NORTH - 140, 100, 100)))
    assert file.reads == [(0, _tiff.FIRST)]
    assert crop.box == (140, 140, 240, 240)
    assert not crop.onto(Target.of(Window(ZONE, WEST + 140, NORTH - 140, 100, 100)), "nearest", "uint16").any()


def test_a_small_file_is_one_request() -> None:
    file, _ = counted(tiff(image(1, 60, 60, "uint8"), compress="deflate"), Target.of(Window(ZONE, WEST, NORTH, 60, 60)))
    assert file.reads == [(0, _tiff.FIRST)]


def test_ranges_are_asked_for_by_whoever_is_handed_in() -> None:
    data = tiff(noise(1024, 1024), compress="deflate", **TILED)
    target = Target.of(Window(ZONE, WEST + 200, NORTH - 200, 500, 500))
    asked: list[Sequence[tuple[int, int]]] = []

    with ThreadPoolExecutor(4) as pool:

        def at_once(read: Callable[[tuple[int, int]], bytes], spans: Sequence[tuple[int, int]]) -> Iterable[bytes]:
            asked.append(spans)
            return pool.map(read, spans)

        crop = fetch_crop(CountedFile(data), target, at_once=at_once)
    assert [len(spans) for spans in asked] == [5]
    np.testing.assert_array_equal(crop.onto(target, "nearest", "uint16"), by_gdal(data, target, "nearest"))


def test_many_threads_read_and_unpack_the_same() -> None:
    data = {kind: file_of(kind) for kind in ("deflate, predictor 2", "COG, deflate", "strips", "LZW, predictor 2")}
    target = Target.of(Window(ZONE, WEST + 33, NORTH - 71, 400, 300))

    def once(kind: str) -> Any:
        return fetch_crop(CountedFile(data[kind]), target).onto(target, "nearest", "uint16")

    expected = by_gdal(data["strips"], target, "nearest")
    with ThreadPoolExecutor(8) as pool:
        for got in pool.map(once, [*data] * 8):
            np.testing.assert_array_equal(got, expected)


# --- damage


def offset_at(data: bytes, tag: int, i: int) -> int:
    """Where an entry of a list of blocks stands; the list has more than one."""
    here, order, _ = entry_at(data, tag)
    return int(struct.unpack_from(order + "I", data, here + 8)[0]) + 4 * i


def small() -> tuple[bytes, Target]:
    data = tiff(noise(512, 512), compress="deflate", **TILED)
    return data, Target.of(Window(ZONE, WEST, NORTH, 512, 512))


def test_a_file_that_ends_within_a_block_is_corrupt() -> None:
    data, target = small()
    with pytest.raises(CorruptError, match=r"B04\.tif ends within a block; expected bytes \d+ to \d+, got"):
        fetch_crop(CountedFile(data[:-100]), target)


@pytest.mark.parametrize("codec", ["deflate", "lzw", "zstd"])
def test_a_damaged_block_is_corrupt(codec: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = tiff(noise(512, 512), compress=codec, **TILED)
    at = struct.unpack_from("<I", data, offset_at(data, _tiff.TILE_OFFSETS, 5))[0]
    broken = data[:at] + b"\xff\xfe\xfd" * 20 + data[at + 60 :]
    crop = fetch_crop(CountedFile(broken), Target.of(Window(ZONE, WEST, NORTH, 512, 512)))
    with pytest.raises(CorruptError, match=r"B04\.tif has a block that cannot be unpacked") as caught:
        crop.onto(Target.of(Window(ZONE, WEST, NORTH, 512, 512)), "nearest", "uint16")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    # a window that does not touch it is sound
    beside = Target.of(Window(ZONE, WEST, NORTH, 128, 128))
    assert fetch_crop(CountedFile(broken), beside).onto(beside, "nearest", "uint16").all()


def test_a_block_cut_short_is_corrupt() -> None:
    data, target = small()
    out = bytearray(data)
    struct.pack_into("<I", out, offset_at(data, _tiff.TILE_BYTES, 3), 500)
    with pytest.raises(CorruptError, match="cannot be unpacked"):
        fetch_crop(CountedFile(bytes(out)), target).onto(target, "nearest", "uint16")


@pytest.mark.parametrize(
    ("tag", "value", "match"),
    [
        (_tiff.TILE_BYTES, 2**31, "claims a block of 2147483648 bytes"),
        (_tiff.TILE_OFFSETS, 0, "at byte 0"),
        (_tiff.TILE_OFFSETS, 2**32 - 10, "ends within a block"),
    ],
)
def test_claims_of_blocks_are_not_believed(tag: int, value: int, match: str) -> None:
    data, target = small()
    out = bytearray(data)
    struct.pack_into("<I", out, offset_at(data, tag, 3), value)
    file = CountedFile(bytes(out))
    with pytest.raises(CorruptError, match=match):
        fetch_crop(file, target)


def test_a_file_of_much_smaller_pixels_is_refused() -> None:
    data = tiff(np.ones((2000, 2000), np.uint8), side=0.5, compress="deflate", **TILED)
    with pytest.raises(PermanentError, match=r"pixels for 100 x 100; expected at most 16 for each"):
        fetch_crop(CountedFile(data), Target.of(Window(ZONE, WEST, NORTH, 100, 100)))


def test_a_bomb_is_bounded_by_its_block() -> None:
    import resource

    from numcodecs import Zstd

    bomb = Zstd(1).encode(bytes(300_000_000))
    data = tiff(np.ones((64, 128), np.uint16), compress="zstd", tiled=True, blockxsize=128, blockysize=64)
    at = entry_at(data, _tiff.TILE_OFFSETS)[0]
    out = bytearray(with_entry(data, _tiff.TILE_BYTES, value=len(bomb)))
    struct.pack_into("<I", out, at + 8, len(out))
    target = Target.of(Window(ZONE, WEST, NORTH, 128, 64))
    crop = fetch_crop(CountedFile(bytes(out) + bomb), target)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert crop.onto(target, "nearest", "uint16").shape == (64, 128)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 50_000_000


def test_what_the_file_raises_passes() -> None:
    class Busy(CountedFile):
        def read(self, start: int, stop: int) -> bytes:
            if start:
                raise LoadError("busy")
            return super().read(start, stop)

    data, target = small()
    with pytest.raises(LoadError, match="busy"):
        fetch_crop(Busy(data), target)


@given(st.data())
@settings(max_examples=150)
def test_any_damage_gives_pixels_or_one_line(data: st.DataObject) -> None:
    broken = bytearray(file_of("COG, deflate"))
    for _ in range(data.draw(st.integers(1, 8))):
        where = data.draw(st.one_of(st.integers(0, 900), st.integers(0, len(broken) - 1)))
        broken[where] = data.draw(st.integers(0, 255))
    target = Target.of(Window(ZONE, WEST + 100, NORTH - 100, 200, 200))
    said, shape = "", (200, 200)
    try:
        shape = fetch_crop(CountedFile(bytes(broken)), target).onto(target, "bilinear", "uint16").shape
    except NetError as error:
        said = str(error)
    assert "\n" not in said
    assert shape == (200, 200)


# --- types and no data


def test_types_widen_but_never_narrow() -> None:
    target = Target.of(Window(ZONE, WEST, NORTH, 60, 50))
    classes = image(3, 50, 60, "uint8")
    crop = fetch_crop(CountedFile(tiff(classes)), target)
    wide = crop.onto(target, "nearest", "uint16")
    assert wide.dtype == np.uint16
    np.testing.assert_array_equal(wide, classes)
    crop = fetch_crop(CountedFile(tiff(image(3, 50, 60))), target)
    with pytest.raises(PermanentError, match=r"B04\.tif holds uint16; expected uint8"):
        crop.onto(target, "nearest", "uint8")


@pytest.mark.parametrize("nodata", [float("nan"), -32768.0, 0.0, None, -np.inf, 1e20])
def test_declared_no_data_nan_and_0_are_all_0(nodata: float | None) -> None:
    power = image(3, 50, 60, "float32")
    with_holes = power.copy()
    with_holes[:5, :7] = np.nan
    if nodata is not None:
        with_holes[20:30, 10:40] = nodata
    target = Target.of(Window(ZONE, WEST, NORTH, 60, 50))
    got = fetch_crop(CountedFile(tiff(with_holes, nodata=nodata)), target).onto(target, "nearest", "float32")
    expected = power.copy()
    expected[:5, :7] = 0
    if nodata is not None:
        expected[20:30, 10:40] = 0
    np.testing.assert_array_equal(got, expected)


def test_a_declared_number_of_a_band_is_no_data_too() -> None:
    numbers = image(3, 50, 60)
    numbers[10:20, 10:20] = 65535
    target = Target.of(Window(ZONE, WEST, NORTH, 60, 50))
    got = fetch_crop(CountedFile(tiff(numbers, nodata=65535)), target).onto(target, "nearest", "uint16")
    np.testing.assert_array_equal(got, np.where(numbers == 65535, 0, numbers))
    # a file may declare a number that its type cannot hold
    odd = tiff(numbers, nodata=65535).replace(b"65535\0", b"-9999\0")
    assert b"-9999\0" in odd
    got = fetch_crop(CountedFile(odd), target).onto(target, "nearest", "uint16")
    np.testing.assert_array_equal(got, numbers)


# --- real pixels


@pytest.mark.parametrize("band", ["B02", "B05", "B11", "SCL"])
def test_real_files_as_gdal_reads_them(band: str, shared: Path) -> None:
    path = shared / "data" / "earth_search_29RKH" / f"{band}.tif"
    if not path.is_file():
        pytest.skip(f"{path.name} of the real scene is not there")
    data = path.read_bytes()
    with rasterio.open(path) as file:
        whole = file.read(1)
        side, left, top = file.transform.a, file.transform.c, file.transform.f
    # the files are decimated ten times: put the same pixels at their nominal side by editing the header's scale
    here, order, _ = entry_at(data, _tiff.SCALE)
    at = struct.unpack_from(order + "I", data, here + 8)[0]
    moved = bytearray(data)
    struct.pack_into(order + "ddd", moved, at, side / 10, side / 10, 0.0)
    resampling = "nearest" if band in ("B02", "SCL") else "bilinear"
    west, north = int(left) // 10, int(top) // 10
    for x, y in ((0, 0), (130, 277), (701, 433)):
        target = Target.of(Window(29, west + x, north - y, 512, 512))
        counts = CountedFile(bytes(moved))
        got = fetch_crop(counts, target, resampling=resampling).onto(target, resampling, str(whole.dtype))
        np.testing.assert_array_equal(got, by_gdal(bytes(moved), target, resampling))
        assert counts.bytes < len(data) + _tiff.FIRST
    if band == "B02":
        np.testing.assert_array_equal(got[: 1098 - 433, : 1098 - 701], whole[433 : 433 + 512, 701:])
