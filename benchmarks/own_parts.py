"""Parts that we wrote ourselves, beside the library that would do the same: CPU-seconds in one run.

python benchmarks/own_parts.py cog                      # a region to a cloud-optimised GeoTIFF: ours and GDAL's driver
python benchmarks/own_parts.py server                   # 3,200 small ranges: ours and Starlette on uvicorn
python benchmarks/own_parts.py footer                   # flipped bits of a Parquet footer: ours and pyarrow

Every part runs in a process of its own, and the variants of a round follow each other; the table holds each one's best
round. `server` compares where Starlette and uvicorn are installed, with and without uvloop and httptools, and reads
/proc, so it needs Linux. The reader of GeoTIFF ranges is measured by scenes.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECTIONS, EACH, RANGE = 16, 200, 132
"""Connections, requests of each, and bytes of a request: a pixel's code and scale."""
SERVED_BYTES = 64 * 1024**2
STARLETTE = """
import socket, sys, uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
folder, loop, http = sys.argv[1:]
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print('{"url": "http://127.0.0.1:%d"}' % listener.getsockname()[1], flush=True)
app = Starlette(routes=[Mount("/", StaticFiles(directory=folder))])
server = uvicorn.Server(uvicorn.Config(app, loop=loop, http=http, access_log=False, log_level="error"))
server.run(sockets=[listener])
"""


def read_only(store: Any, area: str, year: int, out: Path) -> None:  # noqa: ARG001 - one signature for all
    """What reading the region takes, which is a part of the others."""
    store.read_region(area, year)


def cog_ours(store: Any, area: str, year: int, out: Path) -> None:
    """The export as `tessera get` does it: spooled strip by strip, written, read back and compared."""
    from tessera.exchange import export_region

    export_region(store, area, year, out)


def _profile(store: Any, area: str, year: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The values, bands first; how a raster holds them; and a COG with our tiles, codec and overviews."""
    import numpy as np
    from rasterio.transform import Affine

    values = np.moveaxis(store.read_region(area, year).values, -1, 0)
    bands, height, width = values.shape
    place = {"crs": "EPSG:32631", "transform": Affine(10, 0, 600_000, 0, -10, 5_500_000), "nodata": float("nan")}
    raster = {"count": bands, "height": height, "width": width, "dtype": "float32", **place}
    made = {"driver": "COG", "compress": "deflate", "level": 3, "blocksize": 128, "overview_resampling": "average"}
    return values, raster, made


def cog_gdal_memory(store: Any, area: str, year: int, out: Path) -> None:
    """GDAL's COG driver as rasterio opens it for writing: the whole raster in memory; nothing is read back."""
    import rasterio

    values, raster, made = _profile(store, area, year)
    with rasterio.open(out, "w", **raster, **made) as file:
        file.write(values)


def cog_gdal_file(store: Any, area: str, year: int, out: Path) -> None:
    """The driver from a tiled file beside the target, as rasters larger than memory need; nothing is read back."""
    import rasterio
    from rasterio.shutil import copy

    values, raster, made = _profile(store, area, year)
    between = out.with_suffix(".between.tif")
    tiles = {"tiled": True, "blockxsize": 128, "blockysize": 128, "interleave": "pixel"}
    with rasterio.Env(GDAL_CACHEMAX=256):
        with rasterio.open(between, "w", driver="GTiff", **raster, **tiles) as file:
            for top in range(0, raster["height"], 128):
                file.write(values[:, top : top + 128], window=((top, top + 128), (0, raster["width"])))
        copy(between, out, **made)
    between.unlink()


COGS: dict[str, Callable[[Any, str, int, Path], None]] = {
    "reading alone": read_only,
    "tessera": cog_ours,
    "GDAL, from a file": cog_gdal_file,
    "GDAL, in memory": cog_gdal_memory,
}


def cog_once(kind: str, folder: Path) -> None:
    """One writer, in the process that calls it."""
    import rasterio  # noqa: F401 - imports are not what is measured

    import tessera
    import tessera.exchange
    from write import YEAR, cell_window

    area, store = next(cell_window(0).cells()).name, tessera.open_store(folder / "store")
    out = folder / "out.tif"
    out.unlink(missing_ok=True)
    before = time.process_time()
    COGS[kind](store, area, YEAR, out)
    spent = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cpu": spent, "peak": peak, "bytes": out.stat().st_size if out.exists() else 0}))


def cog(rounds: int) -> None:
    """A cell of 1024 x 1024 pixels and 128 dims, float32, to a COG."""
    import rasterio

    from write import write_ours

    with tempfile.TemporaryDirectory() as place:
        write_ours(Path(place) / "store", 1)
        best: dict[str, dict[str, float]] = {}
        for _ in range(rounds):
            for kind in COGS:
                command = [sys.executable, __file__, "cog", "--one", kind, "--dir", place]
                took = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
                if kind not in best or took["cpu"] < best[kind]["cpu"]:
                    best[kind] = took
    print(f"1024 x 1024 x 128 float32; {_versions('rasterio')}, GDAL {rasterio.__gdal_version__}")
    for kind, took in best.items():
        size = f"  {took['bytes'] / 1e6:5.0f} MB" if took["bytes"] else ""
        times = took["cpu"] / best["tessera"]["cpu"]
        print(f"{kind:18} {took['cpu']:6.1f} CPU-s  x {times:.1f}  peak {took['peak'] / 1e6:6,.0f} MB{size}")


@contextmanager
def serving(command: list[str]) -> Iterator[tuple[str, int]]:
    """A server while the context lasts: its URL and process."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            for _ in range(200):
                try:
                    ask(url, 1)
                    break
                except ConnectionError:
                    time.sleep(0.05)
            yield url, process.pid
        finally:
            process.terminate()


def ask(url: str, requests: int, seed: int = 0) -> None:
    """Ask for ranges, one after the other, over one connection."""
    draw, place = random.Random(seed), urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=60)
    try:
        for _ in range(requests):
            start = draw.randrange(SERVED_BYTES - RANGE)
            connection.request("GET", "/shard", headers={"Range": f"bytes={start}-{start + RANGE - 1}"})
            answer = connection.getresponse()
            if answer.status != 206 or len(answer.read()) != RANGE:
                raise SystemExit(f"{url} answered {answer.status}; expected 206 and {RANGE} bytes")
    finally:
        connection.close()


def cpu_of(process: int) -> float:
    """CPU-seconds that a process has taken, all threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def served_once(command: list[str]) -> float:
    """CPU-seconds of a server for all requests, its start left out."""
    with serving(command) as (url, process):
        before = cpu_of(process)
        clients = [threading.Thread(target=ask, args=(url, EACH, seed)) for seed in range(CONNECTIONS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        return cpu_of(process) - before


def server(rounds: int) -> None:
    """3,200 ranges of 132 bytes over 16 connections that are kept."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "shard").write_bytes(random.Random(0).randbytes(SERVED_BYTES))
        kinds = {"tessera serve": [sys.executable, "-m", "tessera", "serve", place, "--port", "0", "--json"]}
        peers = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
        if peers:
            print(f"{' and '.join(peers)} not installed: ours alone (pip install starlette uvicorn uvloop httptools)")
        else:
            script = [sys.executable, "-c", STARLETTE, place]
            kinds["Starlette, uvicorn"] = [*script, "asyncio", "h11"]
            if importlib.util.find_spec("uvloop") and importlib.util.find_spec("httptools"):
                kinds["Starlette, uvicorn, uvloop, httptools"] = [*script, "uvloop", "httptools"]
        best: dict[str, float] = {}
        for _ in range(rounds):
            for kind, command in kinds.items():
                best[kind] = min(best.get(kind, 1e9), served_once(command))
    print(f"{CONNECTIONS * EACH:,} ranges of {RANGE} bytes; {_versions('starlette', 'uvicorn', 'uvloop', 'httptools')}")
    for kind, cpu in best.items():
        print(f"{kind:38} {cpu:5.2f} CPU-s  x {cpu / best['tessera serve']:.1f}")


def pyarrow_metadata(path: Path) -> None:
    """What any reader by statistics asks for: the footer, and each column's statistics."""
    import pyarrow.parquet as pq

    about = pq.ParquetFile(path).metadata
    for group in range(about.num_row_groups):
        for column in range(about.num_columns):
            _ = about.row_group(group).column(column).statistics


def pyarrow_table(path: Path) -> None:
    """The whole table."""
    import pyarrow.parquet as pq

    pq.ParquetFile(path).read(use_threads=False)


def ours_table(path: Path) -> None:
    """The whole table, behind our check of footer and page headers."""
    from tessera.base import read_parquet_bounded

    read_parquet_bounded(path, what="table", most_rows=1_000_000, most_bytes=32 * 1024**2)


READERS: dict[str, Callable[[Path], None]] = {
    "pyarrow, statistics": pyarrow_metadata,
    "pyarrow, table": pyarrow_table,
    "tessera, table": ours_table,
}


def outcome(read: Callable[[Path], None], path: Path) -> str:
    """How reading ends, tried in a process that may die of it."""
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            read(path)
        except Exception:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: "read", 1: "error"}.get(code, "process ended")


def footer(flips: int) -> None:
    """A bit of the footer is flipped, a new one each time; every reader is given the same files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import tessera.base  # noqa: F401 - the children have it then

    found: dict[str, Counter[str]] = {kind: Counter() for kind in READERS}
    table = pa.table({"n": list(range(100)), "text": ["x", None] * 50, "lists": [["a", "b"], None] * 50})
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "table.parquet"
        pq.write_table(table, path)
        data = path.read_bytes()
        end = len(data) - 8
        begin = end - int.from_bytes(data[end : end + 4], "little")
        bits = random.Random(0).sample(range(8 * begin, 8 * end), min(flips, 8 * (end - begin)))
        for bit in bits:
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            for kind, read in READERS.items():
                found[kind][outcome(read, path)] += 1
    print(f"{len(bits):,} of {8 * (end - begin):,} bits of a footer, one flipped each time; {_versions('pyarrow')}")
    for kind, counts in found.items():
        print(f"{kind:22}" + "".join(f"{name} {counts[name]:6,}   " for name in ("read", "error", "process ended")))


def _versions(*names: str) -> str:
    known = [f"{name} {version(name)}" for name in names if importlib.util.find_spec(name) is not None]
    return ", ".join([*known, f"Python {platform.python_version()}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("cog", "server", "footer"))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--flips", type=int, default=6400, help="of footer")
    parser.add_argument("--one", choices=COGS, help=argparse.SUPPRESS)
    parser.add_argument("--dir", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        cog_once(given.one, given.dir)
    elif given.part == "footer":
        footer(given.flips)
    else:
        {"cog": cog, "server": server}[given.part](given.rounds)


if __name__ == "__main__":
    main()
