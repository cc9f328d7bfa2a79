"""Stores that zarr-python reads: nothing unpacks to more than a chunk, whatever its bytes or its document claim."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from numcodecs import GZip, Zstd, blosc
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, ZstdCodec

from tessera.base import InputError, MachineError, TesseraError
from tessera.geo import Window
from tessera.net import CorruptError
from tessera.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")
WEST, NORTH, SIDE, DIMS = 64_000, 64, 64, 4
WINDOW = Window(31, WEST, NORTH, 20, 20)
PACKERS: dict[str, tuple[Any, Callable[[bytes], bytes]]] = {
    "blosc": (BloscCodec(cname="zstd"), lambda data: bytes(blosc.compress(data, b"zstd", 9, 1))),
    "zstd": (ZstdCodec(), lambda data: bytes(Zstd(9).encode(data))),
    "gzip": (GzipCodec(), lambda data: bytes(GZip(9).encode(data))),
}


def _written(path: Path, packers: list[Any], *, sharded: bool = False, chunk: int = 32) -> None:
    """A zone split by hemisphere, which only zarr-python reads."""
    root = zarr.open_group(path, mode="w", zarr_format=3)
    root.attrs.update(
        {
            "geoemb:type": "pixel",
            "geoemb:dimensions": DIMS,
            "geoemb:model": "https://geotessera.org/model/1.1",
        }
    )
    group = root.create_group("31N")
    group.attrs.update(
        {"proj:code": "EPSG:32631", "spatial:transform": [10.0, 0.0, WEST * 10.0, 0.0, -10.0, NORTH * 10.0]}
    )
    codes = np.ones((1, SIDE, SIDE, DIMS), dtype=np.int8)
    axes = ["time", "northing", "easting", "band"]
    for name, data in (("embeddings", codes), ("scales", np.full(codes.shape[:3], 0.5, dtype=np.float32))):
        more = data.shape[3:]
        how: dict[str, Any] = {"chunks": (1, chunk, chunk, *more), "compressors": packers or None}
        if sharded:
            shard = ShardingCodec(chunk_shape=(1, 32, 32, *more), codecs=[BytesCodec(), *packers])
            how = {"chunks": (1, 64, 64, *more), "compressors": None, "serializer": shard}
        array = group.create_array(name, shape=data.shape, dtype=data.dtype, dimension_names=axes[: data.ndim], **how)
        array[:] = data
    group.create_array("time", data=np.array([2021], np.int32), chunks=(1,), dimension_names=["time"])
    zarr.consolidate_metadata(root.store)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("packers", [[], *([codec] for codec, _ in PACKERS.values()), [ZstdCodec(), Crc32cCodec()]])
def test_every_packer_gives_the_values(tmp_path: Path, packers: list[Any], sharded: bool) -> None:
    _written(tmp_path / "s", packers, sharded=sharded)
    found = open_store(tmp_path / "s").read_region(WINDOW, 2021).values
    assert np.array_equal(found, np.full((20, 20, DIMS), 0.5, dtype=np.float32))


@pytest.mark.parametrize("array", ["embeddings", "scales"])
@pytest.mark.parametrize("packer", PACKERS)
def test_a_chunk_that_unpacks_to_more_is_refused(tmp_path: Path, packer: str, array: str) -> None:
    codec, pack = PACKERS[packer]
    _written(tmp_path / "s", [codec])
    data = pack(bytes(300_000_000))
    assert len(data) < 1_000_000
    chunk = tmp_path / "s" / "31N" / array / "c" / "0" / "0" / "0" / ("0" if array == "embeddings" else "")
    assert chunk.is_file()
    chunk.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CorruptError, match="chunk") as told:
        open_store(tmp_path / "s").read_region(WINDOW, 2021)
    assert "\n" not in str(told.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


@pytest.mark.parametrize(
    "codecs",
    [
        [BytesCodec(), ZstdCodec(), ZstdCodec()],
        [BytesCodec(), GzipCodec(), Crc32cCodec(), GzipCodec()],
        [BytesCodec(), Crc32cCodec(), ZstdCodec()],
        [ShardingCodec(chunk_shape=(1, 32, 32), codecs=[ShardingCodec(chunk_shape=(1, 8, 8), codecs=[BytesCodec()])])],
        [ShardingCodec(chunk_shape=(1, 32, 32), codecs=[BytesCodec(), ZstdCodec(), ZstdCodec()])],
        [ShardingCodec(chunk_shape=(1, 32, 32), codecs=[BytesCodec()], index_codecs=[BytesCodec(), ZstdCodec()])],
    ],
    ids=range(6),
)
def test_codecs_that_could_multiply_are_refused(tmp_path: Path, codecs: list[Any]) -> None:
    _written(tmp_path / "s", [])
    _change(tmp_path / "s", "31N/scales", lambda about: about.update(codecs=[codec.to_dict() for codec in codecs]))
    with pytest.raises(InputError, match=r"(codecs?|index) "):
        open_store(tmp_path / "s")


def _change(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a document of an array, and the copy of it at the root."""
    path = folder / name / "zarr.json"
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))
    root = json.loads((folder / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"][name] = about
    (folder / "zarr.json").write_text(json.dumps(root))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("scales", {"data_type": "string", "fill_value": ""}),
        ("scales", {"data_type": {"name": "fixed_length_utf32", "configuration": {"length_bytes": 2**30}}}),
        ("scales", {"data_type": "complex128", "fill_value": [0, 0]}),
        ("time", {"data_type": "string", "fill_value": "", "codecs": [{"name": "vlen-utf8"}]}),
        ("time", {"shape": [10**12]}),
        ("scales", {"shape": [1, 10**12, 10**12]}),
        ("scales", {"shape": [1, -4, 64]}),
        ("embeddings", {"shape": [1, 64, 64, 10**9]}),
        ("scales", {"fill_value": "zzz"}),
        *(
            (name, {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": sides}}})
            for name, sides in (
                ("time", [10**10]),
                ("scales", [1, 10**6, 10**6]),
                ("embeddings", [1, 64, 64, 10**8]),
                ("scales", [1, 0, 0]),
            )
        ),
    ],
    ids=str,
)
def test_absurd_documents_are_one_line(tmp_path: Path, name: str, fields: dict[str, Any]) -> None:
    _written(tmp_path / "s", [])
    _change(tmp_path / "s", f"31N/{name}", lambda about: about.update(fields))
    with pytest.raises(TesseraError) as told:
        open_store(tmp_path / "s").read_region(WINDOW, 2021)
    assert "\n" not in str(told.value)
    assert not isinstance(told.value, MachineError)


@pytest.mark.parametrize("name", ["zarr.json", "31N/scales/c/0/0/0", "31N/time/c/0"])
def test_a_pipe_in_a_store_is_not_waited_for(tmp_path: Path, name: str) -> None:
    _written(tmp_path / "s", [])
    (tmp_path / "s" / name).unlink()
    os.mkfifo(tmp_path / "s" / name)
    with pytest.raises(TesseraError, match=r"no (file|regular file|store)"):
        open_store(tmp_path / "s").read_region(WINDOW, 2021)


def test_a_chunk_larger_than_any_is_not_read(tmp_path: Path) -> None:
    _written(tmp_path / "s", [ZstdCodec()])
    with (tmp_path / "s" / "31N/scales/c/0/0/0").open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(TesseraError, match="at most"):
        open_store(tmp_path / "s").read_region(WINDOW, 2021)


def test_a_damaged_chunk_ends_in_one_line_and_a_quiet_exit(tmp_path: Path) -> None:
    # more chunks than are read at a time
    _written(tmp_path / "s", [ZstdCodec(), Crc32cCodec()], chunk=8)
    for path in (tmp_path / "s").rglob("c/**/*"):
        if path.is_file() and "time" not in path.parts:
            path.write_bytes(path.read_bytes()[:-1])
    code = (
        "import sys\nfrom tessera.store import open_store\nfrom tessera.geo import Window\n"
        f"try: open_store(sys.argv[1]).read_region(Window(31, {WEST}, {NORTH}, 64, 64), 2021)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "s")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("CorruptError ")
    assert done.stderr == ""


_STARVED = """
import resource, sys
from tessera.geo import Window
from tessera.store import open_store
store = open_store(sys.argv[1])
store.read_region(Window(31, 64000, 64, 20, 20), 2021)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    store.read_region(Window(31, 64000, 64, 20, 20), 2021)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_too_many_open_files_are_not_missing_data(tmp_path: Path) -> None:
    _written(tmp_path / "s", [])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _STARVED, str(tmp_path / "s")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("MachineError "), done.stdout + done.stderr
    assert "as many files open as it may" in done.stdout
