"""A cube of a stranger: what it declares is bounded before it is unpacked, and every damage is one line."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
import pytest

from tessera.base import InputError, MachineError, TesseraError
from tessera.cubes import PixelCube, open_cube, write_cube

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MOST = 64 * 1024**2


def _cube(dates: int = 3, height: int = 5, width: int = 4) -> PixelCube:
    rng = np.random.default_rng(3)
    days = np.arange(10, 10 + dates, dtype=np.int16)

    def image(dtype: Any, *bands: int) -> Any:
        return rng.integers(1, 100, (dates, height, width, *bands)).astype(dtype)

    return PixelCube(
        image(np.uint16, 10), (image(np.uint8) % 2), days, image(np.int16, 2), days, image(np.int16, 2), days
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_cube(_cube(), tmp_path / "c.zarr")
    return tmp_path / "c.zarr"


def _refused(folder: Path, words: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=words) as told:
            open_cube(folder).load()
        assert tracemalloc.get_traced_memory()[1] < _MOST
    finally:
        tracemalloc.stop()
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 1000 + 4 * len(str(folder))


def _with(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / name / "zarr.json"
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))


def _chunk(folder: Path, name: str = "s2") -> Path:
    return min(path for path in (folder / name / "c").rglob("*") if path.is_file())


def _sealed(body: bytes) -> bytes:
    return body + int(google_crc32c.value(body)).to_bytes(4, "little")


def test_a_chunk_that_claims_gigabytes_is_not_unpacked(folder: Path) -> None:
    chunk = _chunk(folder)
    body = bytearray(chunk.read_bytes()[:-4])
    struct.pack_into("<I", body, 4, 2**31 - 1 - 16)
    chunk.write_bytes(_sealed(bytes(body)))
    _refused(folder, "claims 2147483631 bytes packed in")
    from numcodecs import blosc

    packed = blosc.compress(np.zeros(200_000_000, dtype=np.uint8), b"zstd", 9, 1)
    assert len(packed) < 2_000_000
    chunk.write_bytes(_sealed(bytes(packed)))
    _refused(folder, "array s2 cannot be read: chunk c/0/0/0/0 ")


def test_another_size_of_the_packed_bytes_is_refused(folder: Path) -> None:
    chunk = _chunk(folder)
    body = bytearray(chunk.read_bytes()[:-4])
    for at, value in ((12, 2**32 - 1), (12, 0), (8, 2**32 - 1), (8, 1), (0, 0), (3, 0), (1, 255)):
        changed = bytearray(body)
        struct.pack_into("<I" if at >= 4 else "<B", changed, at, value)
        chunk.write_bytes(_sealed(bytes(changed)))
        _refused(folder, "array s2 cannot be read: chunk c/0/0/0/0 ")


def test_a_chunk_larger_than_it_can_be_is_not_read_whole(folder: Path) -> None:
    with _chunk(folder).open("r+b") as file:
        file.truncate(2**40)
    _refused(folder, "array s2 cannot be read: chunk c/0/0/0/0 has")


_ZSTD = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}
_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_BLOSC = {"name": "blosc", "configuration": {"typesize": 2, "cname": "zstd", "clevel": 2, "shuffle": "shuffle"}}
_CRC = {"name": "crc32c"}
CODECS: list[Any] = [
    [_BYTES, _ZSTD, _CRC],
    [_BYTES, {"name": "gzip", "configuration": {"level": 5}}, _CRC],
    [_BYTES, _BLOSC, _ZSTD, _CRC],
    [_BYTES, _BLOSC, _BLOSC, _CRC],
    [_BYTES, _CRC, _BLOSC],
    [_BYTES, _CRC],
    [{"name": "bytes", "configuration": {"endian": "big"}}, _BLOSC, _CRC],
    [{"name": "transpose", "configuration": {"order": [3, 2, 1, 0]}}, _BYTES, _BLOSC, _CRC],
    [{"name": "vlen-utf8"}, _BLOSC, _CRC],
    [{"name": "numcodecs.lzma", "configuration": {}}, _CRC],
    [{"name": "sharding_indexed", "configuration": {"chunk_shape": [1, 1, 1, 1], "codecs": [_BYTES, _CRC]}}, _CRC],
    [_BYTES, {"name": "blosc", "configuration": {"cname": "other"}}, _CRC],
    [_BYTES, {"name": "blosc", "configuration": [1]}, _CRC],
    [[], {}, _CRC],
    {"crc32c": 1},
    "crc32c",
    None,
]


@pytest.mark.parametrize("codecs", CODECS, ids=str)
def test_other_codecs_are_refused(folder: Path, codecs: Any) -> None:
    _with(folder, "s2", lambda about: about.update(codecs=codecs))
    _refused(folder, "array s2 has (the codecs|no checksums)")


SHAPES: list[Any] = [
    *([3, -5, 4, 10], [3, 5, 4], [3, 5.0, 4, 10], [True, 5, 4, 10], {}, None),
    *([10**400, 5, 4, 10], [3, 2**63, 4, 10], [3, 5, 4, 2**40], [3, 5, 4, 64]),
]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("data_type", kind) for kind in ("string", "object", "float64", "|O", {"name": "struct"}, None, ["int8"], 1)),
        *(("shape", shape) for shape in SHAPES),
        ("chunk_grid", {"name": "rectilinear"}),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [3, 5, 4, 10**9]}}),
        ("chunk_key_encoding", {"name": "default", "configuration": {"separator": "."}}),
        ("chunk_key_encoding", {"name": "v2"}),
        ("storage_transformers", [{"name": "x"}]),
        ("node_type", "group"),
        ("zarr_format", 2),
    ],
)
def test_other_documents_of_an_array_are_refused(folder: Path, field: str, value: Any) -> None:
    _with(folder, "s2", lambda about: about.update({field: value}))
    _refused(folder, "c.zarr")


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "", "\xff", '{"a": NaN', "[]", "null", '{"zarr_format": 3}'])
@pytest.mark.parametrize("name", ["", "s2", "s2_doy"])
def test_documents_that_are_none_are_one_line(folder: Path, text: str, name: str) -> None:
    (folder / name / "zarr.json").write_text(text)
    _refused(folder, "c.zarr")


def test_a_document_larger_than_any_is_not_read(folder: Path) -> None:
    for name in ("", "s2"):
        with (folder / name / "zarr.json").open("r+b") as file:
            file.truncate(2**40)
        _refused(folder, "at most .* are read")


@pytest.mark.parametrize("name", ["zarr.json", "s2/zarr.json", "s1_desc_doy/zarr.json", "s2/c/0/0/0/0"])
def test_a_pipe_or_a_device_in_a_cube_is_told_at_once(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    _refused(folder, "a pipe|lacks chunk")
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    _refused(folder, "a device|lacks chunk")


def test_absurd_sides_without_dates_are_refused(tmp_path: Path) -> None:
    write_cube(_cube(0), tmp_path / "c.zarr")
    assert open_cube(tmp_path / "c.zarr").shape == (5, 4)
    for side in (40_000, 2**21):

        def widen(about: dict[str, Any], side: int = side) -> None:
            about["shape"][1:3] = [side, side]
            about["chunk_grid"]["configuration"]["chunk_shape"][1:3] = [128, 1024]

        for name in ("s2", "s2_mask", "s1_asc", "s1_desc"):
            _with(tmp_path / "c.zarr", name, widen)
        _refused(tmp_path / "c.zarr", f"{side} x {side} pixels and no date")


def test_flipped_bits_and_truncations_give_the_values_or_one_line(folder: Path) -> None:
    """Documents are not covered by a checksum, chunks are: no flip in a chunk ever gives other values."""
    whole = open_cube(folder).sha256
    rng = np.random.default_rng(25)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    chosen = [files[index] for index in rng.choice(len(files), 12, replace=False)]
    chosen += [folder / "zarr.json", folder / "s2" / "zarr.json"]
    for path in chosen:
        data = path.read_bytes()
        trials = [data[:length] for length in range(0, len(data), max(1, len(data) // 12))]
        for place in rng.choice(len(data), min(len(data), 25), replace=False):
            flipped = bytearray(data)
            flipped[place] ^= 1 << int(rng.integers(8))
            trials.append(bytes(flipped))
        for trial in trials:
            path.write_bytes(trial)
            try:
                cube = open_cube(folder)
                found = cube.sha256
            except TesseraError:
                continue
            assert path.name == "zarr.json"
            assert cube.shape == (5, 4)
            assert found == whole
        path.write_bytes(data)
    assert open_cube(folder).sha256 == whole


def test_indices_are_those_of_numpy(tmp_path: Path) -> None:
    memory = _cube(4, 131, 1030)
    disk = write_cube(memory, tmp_path / "c.zarr")
    assert disk.sha256 == memory.sha256
    rng = np.random.default_rng(0)
    keys: list[Any] = [
        0,
        -1,
        ...,
        slice(1, None, 2),
        (slice(None), 5, 1029),
        (..., 3),
        (slice(2, 2),),
        (slice(None), slice(120, 131), slice(1020, 1030)),
        ([3, 0, 0], slice(127, 129)),
        (np.array([True, False, True, False]), slice(0, 131, 65)),
        (slice(None), [130, 2], slice(None)),
        (1, [130, 2, 127], [0, 1029, 1024]),
        ([], slice(None)),
        np.int64(2),
    ]
    keys += [(rng.integers(-4, 4, 3), slice(None), rng.integers(0, 1030, 3)) for _ in range(3)]
    for key in keys:
        for name in ("s2", "s2_mask"):
            np.testing.assert_array_equal(getattr(disk, name)[key], np.asarray(getattr(memory, name))[key])
    for wrong in (4, (0, 0, 0, 0, 0), (0, 131), "s2", (slice(None, None, -1),), None, 0.5, [True, False]):
        with pytest.raises(IndexError):
            disk.s2[wrong]


_STARVED = """
import resource, sys
from tessera.cubes import open_cube
import google_crc32c, numcodecs.blosc
cube = open_cube(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    cube.load()
except Exception as error:
    print(type(error).__name__, error)
"""


def test_too_many_open_files_are_not_a_damaged_cube(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _STARVED, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MachineError cube ")
    assert "as many files open as it may" in done.stdout


def test_no_memory_is_the_machines_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise MemoryError

    cube = open_cube(folder)
    monkeypatch.setattr("tessera.cubes._stored.np.empty", none_left)
    with pytest.raises(MachineError, match="no memory"):
        cube.s2[0]


def test_a_damaged_cube_ends_in_one_line_and_a_quiet_exit(folder: Path) -> None:
    data = bytearray(_chunk(folder).read_bytes())
    data[30] ^= 1
    _chunk(folder).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "tessera", "cube", "export", str(folder), "--out", str(folder.parent / "d")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "array s2 cannot be read: chunk c/0/0/0/0 is damaged" in done.stderr
