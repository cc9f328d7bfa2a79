"""Headers of GeoTIFFs read by byte range, honest and hostile ones."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.io import MemoryFile
from tiff_helpers import CountedFile, entry_at, image, tiff, with_entry, without_entry

from tessera.net import CorruptError, NetError, PermanentError
from tessera.rasters import _tiff
from tessera.rasters._georeference import parse_georeference
from tessera.rasters._tiff import Pieces, parse_tiff, read_lists

DEFLATED: dict[str, Any] = {"tiled": True, "blockxsize": 32, "blockysize": 16, "compress": "deflate"}
KINDS: dict[str, dict[str, Any]] = {
    "strips": {},
    "strips of 7 rows": {"blockysize": 7, "compress": "lzw", "predictor": 2},
    "tiles": {**DEFLATED, "predictor": 2},
    "big-endian": {**DEFLATED, "ENDIANNESS": "BIG"},
    "BigTIFF": {**DEFLATED, "BIGTIFF": "YES"},
    "big-endian BigTIFF": {**DEFLATED, "BIGTIFF": "YES", "ENDIANNESS": "BIG", "predictor": 2},
    "cloud-optimised": {"driver": "COG", "compress": "deflate", "blocksize": 128, "predictor": "YES"},
    "pixel is point": {**DEFLATED, "tags_of": "point"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_says_what_gdal_reads(kind: str) -> None:
    options = dict(KINDS[kind])
    if options.pop("tags_of", None):
        data = _as_point(tiff(image(1, 150, 140), **options))
    else:
        data = tiff(image(1, 150, 140), **options)
    pieces = Pieces(CountedFile(data))
    said = parse_tiff(pieces)
    with MemoryFile(data) as memory, memory.open() as file:
        assert (said.width, said.height, said.dtype) == (file.width, file.height, file.dtypes[0])
        assert (said.rows, said.columns) == file.block_shapes[0]
        assert said.place.epsg == file.crs.to_epsg()
        assert said.place.transform == tuple(file.transform)[:6]
        offsets, sizes = read_lists(pieces, said, 0, said.across * said.down)
        for i in (0, said.across * said.down - 1):
            tag = f"BLOCK_%s_{i % said.across}_{i // said.across}"
            assert file.get_tag_item(tag % "OFFSET", "TIFF", bidx=1) == str(offsets[i])
            assert file.get_tag_item(tag % "SIZE", "TIFF", bidx=1) == str(sizes[i])


def _as_point(data: bytes) -> bytes:
    """The same file where tie points name centres."""
    here, order, _ = entry_at(data, _tiff.GEO_KEYS)
    count, at = struct.unpack_from(order + "II", data, here + 4)
    keys = list(struct.unpack_from(f"{order}{count}H", data, at))
    keys[keys.index(1025, 4) + 3] = 2
    out = bytearray(data)
    struct.pack_into(f"{order}{count}H", out, at, *keys)
    return bytes(out)


def test_a_header_at_the_end_of_the_file_takes_one_more_read() -> None:
    data = tiff(image(2, 300, 300), **{**DEFLATED, "overviews": True})
    moved = bytearray(data)
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    moved += bytes(40_000)
    end = len(moved)
    struct.pack_into("<I", moved, 4, end)
    file = CountedFile(bytes(moved) + data[at : at + 2 + 12 * count + 4])
    there = parse_tiff(Pieces(file))
    here = parse_tiff(Pieces(CountedFile(data)))
    assert len(file.reads) == 2
    assert (there.width, there.place, there.offsets) == (here.width, here.place, here.offsets)


def test_lists_of_blocks_are_read_only_in_part() -> None:
    # 10,000 strips: their lists do not fit into the first read
    file = CountedFile(tiff(np.ones((10_000, 8), np.uint8), blockysize=1))
    pieces = Pieces(file)
    said = parse_tiff(pieces)
    offsets, sizes = read_lists(pieces, said, 9000, 9010)
    assert (np.diff(offsets) == 8).all()
    assert (sizes == 8).all()
    assert file.bytes < 5 * _tiff.FIRST


def test_lists_that_lie_apart_are_read_apart() -> None:
    data = bytearray(tiff(np.ones((200, 8), np.uint8), blockysize=1))
    here, order, _ = entry_at(bytes(data), _tiff.STRIP_BYTES)
    kind, count, at = struct.unpack_from(order + "HII", data, here + 2)
    moved = bytes(data[at : at + count * {3: 2, 4: 4}[kind]])
    data += bytes(500_000)
    struct.pack_into(order + "I", data, here + 8, len(data))
    file = CountedFile(bytes(data) + moved)
    pieces = Pieces(file)
    _, sizes = read_lists(pieces, parse_tiff(pieces), 100, 110)
    assert (sizes == 8).all()
    assert file.bytes < 3 * _tiff.FIRST


def test_longer_lists_than_a_header_may_have_are_not_read() -> None:
    data = PLAIN
    for tag, side in ((_tiff.WIDTH, 32 * 1024), (_tiff.HEIGHT, 16 * 1024)):
        data = with_entry(data, tag, kind=4, value=side)
    for tag in (_tiff.TILE_OFFSETS, _tiff.TILE_BYTES):
        data = with_entry(data, tag, kind=4, count=2**20)
    file = CountedFile(data)
    pieces = Pieces(file)
    said = parse_tiff(pieces)
    with pytest.raises(CorruptError, match="its header takes more than 4194304 bytes"):
        read_lists(pieces, said, 0, 2**20)
    assert file.reads == [(0, _tiff.FIRST)]


PLAIN = tiff(image(3, 64, 64), **DEFLATED)

HOSTILE = {
    "empty": (b"", CorruptError, "not a TIFF"),
    "a page of HTML": (b"<html><body>Service unavailable</body></html>", CorruptError, "not a TIFF"),
    "zeros": (bytes(5000), CorruptError, "not a TIFF"),
    "half a header": (PLAIN[:60], CorruptError, "ends within its header"),
    "directory behind the end": (PLAIN[:4] + struct.pack("<I", 2**31), CorruptError, "not a TIFF"),
    "directory far behind the end": (PLAIN[:4] + struct.pack("<I", 2**31) + PLAIN[8:], CorruptError, "ends within"),
    "directory in the header": (PLAIN[:4] + bytes(4) + PLAIN[8:], CorruptError, "no directory"),
    "no width": (without_entry(PLAIN, _tiff.WIDTH), CorruptError, "lacks field 256"),
    "no columns": (with_entry(PLAIN, _tiff.WIDTH, value=0), CorruptError, "claims 0 x 64"),
    "huge": (with_entry(PLAIN, _tiff.WIDTH, kind=4, value=2**31), CorruptError, "claims 2147483648"),
    "huge in all": (
        with_entry(with_entry(PLAIN, _tiff.WIDTH, kind=4, value=2**22), _tiff.HEIGHT, kind=4, value=2**22),
        PermanentError,
        "at most 68719476736 in all",
    ),
    "tiles of no width": (with_entry(PLAIN, _tiff.TILE_WIDTH, value=0), CorruptError, "blocks of 0 x 16"),
    "huge tiles": (
        with_entry(with_entry(PLAIN, _tiff.TILE_WIDTH, kind=4, value=2**20), _tiff.TILE_HEIGHT, kind=4, value=2**20),
        PermanentError,
        "at most 67108864 bytes unpacked",
    ),
    "too few blocks": (with_entry(PLAIN, _tiff.TILE_OFFSETS, count=3), CorruptError, "lists 3 blocks; expected 8"),
    "too many blocks": (with_entry(PLAIN, _tiff.TILE_BYTES, count=2**30), CorruptError, "lists 1073741824 blocks"),
    "lists of text": (with_entry(PLAIN, _tiff.TILE_OFFSETS, kind=2), CorruptError, "lists 8 blocks"),
    "three samples": (with_entry(PLAIN, _tiff.SAMPLES, value=3), PermanentError, "3 samples a pixel; expected 1"),
    "complex": (with_entry(PLAIN, _tiff.FORMAT, value=6), PermanentError, "16 bits, format 6"),
    "24 bits": (with_entry(PLAIN, _tiff.BITS, value=24), PermanentError, "24 bits"),
    "JPEG": (with_entry(PLAIN, _tiff.CODEC, value=7), PermanentError, "compression 7"),
    "predictor": (
        with_entry(tiff(image(3, 64, 64), predictor=2, **DEFLATED), 317, value=9),
        PermanentError,
        "predictor 9",
    ),
    "no CRS": (without_entry(PLAIN, _tiff.GEO_KEYS), PermanentError, "no CRS with an EPSG code"),
    "no grid": (without_entry(PLAIN, _tiff.TIEPOINT), PermanentError, "where its grid lies"),
    "a scale of text": (with_entry(PLAIN, _tiff.SCALE, kind=2), CorruptError, "field 33550 is of type 2"),
    "a scale without end": (with_entry(PLAIN, _tiff.SCALE, count=2**31), CorruptError, "field 33550 has"),
    "a scale elsewhere": (with_entry(PLAIN, _tiff.SCALE, value=2**31), CorruptError, "ends within its header"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_sound_geotiff_is_refused_in_one_line(kind: str) -> None:
    data, error, match = HOSTILE[kind]
    with pytest.raises(error, match=match) as caught:
        parse_tiff(Pieces(CountedFile(data)))
    assert "B04.tif" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_directory_without_end_is_not_followed() -> None:
    data = struct.pack("<2sHIH", b"II", 42, 8, 65535) + bytes(12 * 65535)
    with pytest.raises(CorruptError, match="65535 entries"):
        parse_tiff(Pieces(CountedFile(data)))
    data = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 2**60)
    with pytest.raises(CorruptError, match="entries"):
        parse_tiff(Pieces(CountedFile(data)))
    with pytest.raises(CorruptError, match="damaged BigTIFF"):
        parse_tiff(Pieces(CountedFile(struct.pack("<2sHHHQQ", b"II", 43, 4, 0, 16, 1))))


def test_a_server_that_sends_more_than_was_asked_is_not_believed() -> None:
    class Endless(CountedFile):
        def read(self, start: int, stop: int) -> bytes:
            return self.data

    with pytest.raises(CorruptError, match="expected at most 16384"):
        Pieces(Endless(bytes(20_000)))


@given(st.data())
def test_any_damage_to_a_header_gives_a_header_or_one_line(data: st.DataObject) -> None:
    start, end = 0, min(600, len(PLAIN))
    broken = bytearray(PLAIN)
    for _ in range(data.draw(st.integers(1, 6))):
        broken[data.draw(st.integers(start, end - 1))] = data.draw(st.integers(0, 255))
    pieces = Pieces(CountedFile(bytes(broken)))
    reason, unpacked = "", 0
    try:
        said = parse_tiff(pieces)
        unpacked = said.block_bytes
        read_lists(pieces, said, 0, min(said.across * said.down, 1000))
    except NetError as error:
        reason = str(error)
    assert "\n" not in reason
    assert unpacked <= _tiff.BLOCK_LIMIT
    assert pieces.bytes <= _tiff.HEADER_LIMIT


KEYS = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32631)
SCALE, TIE = (10.0, 10.0, 0.0), (0.0, 0.0, 0.0, 600_000.0, 5_000_000.0, 0.0)


def test_a_grid_from_a_tie_point_anywhere() -> None:
    there = parse_georeference("B04.tif", SCALE, (3.0, 7.0, 0.0, 600_030.0, 4_999_930.0, 0.0), (), KEYS)
    assert there == parse_georeference("B04.tif", SCALE, TIE, (), KEYS)
    assert there.transform == (10.0, 0.0, 600_000.0, 0.0, -10.0, 5_000_000.0)
    assert there.moved(2, 3).transform == (10.0, 0.0, 600_020.0, 0.0, -10.0, 4_999_970.0)


def test_a_grid_from_a_matrix() -> None:
    matrix = [10.0, 0.0, 0.0, 600_000.0, 0.0, -10.0, 0.0, 5_000_000.0, *[0.0] * 7, 1.0]
    assert parse_georeference("a", (), (), tuple(matrix), KEYS) == parse_georeference("a", SCALE, TIE, (), KEYS)
    matrix[1] = 0.5
    with pytest.raises(PermanentError, match="rotated grid"):
        parse_georeference("a", (), (), tuple(matrix), KEYS)
    matrix[1], matrix[5] = 0.0, 10.0
    with pytest.raises(PermanentError, match="north up"):
        parse_georeference("a", (), (), tuple(matrix), KEYS)


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ((), PermanentError),
        ((1, 1, 0), CorruptError),
        ((1, 1, 0, 9, 3072, 0, 1, 32631), CorruptError),
        ((1, 1, 0, 1, 3072, 0, 1, 32767), PermanentError),
        ((1, 1, 0, 1, 2048, 0, 1, 4326), PermanentError),
    ],
)
def test_a_crs_without_a_code_is_refused(keys: tuple[int, ...], error: type[NetError]) -> None:
    with pytest.raises(error):
        parse_georeference("a", SCALE, TIE, (), keys)


def test_a_geographic_crs_has_a_code() -> None:
    assert parse_georeference("a", (0.1, 0.1, 0.0), TIE, (), (1, 1, 0, 2, 1024, 0, 1, 2, 2048, 0, 1, 4326)).epsg == 4326


@pytest.mark.parametrize("scale", [(float("nan"), 10.0, 0.0), (float("inf"), 10.0, 0.0)])
def test_a_grid_without_numbers_is_damaged(scale: tuple[float, ...]) -> None:
    with pytest.raises(CorruptError, match="damaged"):
        parse_georeference("a", scale, TIE, (), KEYS)
    with pytest.raises(PermanentError, match="north up"):
        parse_georeference("a", (0.0, 10.0, 0.0), TIE, (), KEYS)
