"""What `tessera embed --dry-run` says against what the run then takes, from one simulated year, in one go.

python benchmarks/dry_run.py [--dir FOLDER] [--size 256] [--latency 20] [--rounds 2] [--model NAME]

Three ways into a store: a static catalogue on disk, the same scenes from a simulated provider over HTTP, and a cube.
The area lies over the corner of four cells, so cells of four sizes are embedded. Each round forecasts and then runs;
both are commands of their own process. Requests and bytes are counted where files are read: by the provider, and in the
process for files on disk. Processor seconds are those of the whole process, so that a busy machine can be told from a
wrong forecast.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.geo import Cell, Window
from tessera.simulator import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

YEAR = 2023


@dataclass(frozen=True)
class Run:
    """What a command took."""

    out: str
    seconds: float
    processor: float
    requests: int
    bytes: int


def counted() -> None:
    """The command line in this process; what it reads of local scenes goes to the file that COUNTS names."""
    from tessera.cli import main
    from tessera.scenes import _files

    counts = [0, 0]
    plain = _files.LocalFile.read

    def read(self: Any, start: int, stop: int) -> bytes:
        data = plain(self, start, stop)
        counts[0] += 1
        counts[1] += len(data)
        return data

    _files.LocalFile.read = read  # type: ignore[method-assign]
    try:
        main()
    finally:
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        Path(os.environ["COUNTS"]).write_text(json.dumps([*counts, used]))


def tessera(*arguments: object, provider: Provider | None = None) -> Run:
    """One command in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        counts = Path(place) / "counts.json"
        before = provider.counts() if provider else (0, 0)
        began = time.monotonic()
        command = [sys.executable, "-c", "import dry_run; dry_run.counted()", *map(str, arguments)]
        environment = os.environ | {"COUNTS": str(counts), "PYTHONPATH": _path()}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        seconds = time.monotonic() - began
        if done.returncode:
            sys.exit(done.stderr)
        requests, taken, used = json.loads(counts.read_text())
        if provider:
            after = provider.counts()
            requests, taken = after[0] - before[0], after[1] - before[1]
    return Run(done.stdout, seconds, used, requests, taken)


def _path() -> str:
    return os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])


@dataclass(frozen=True)
class Provider:
    """A simulated provider in this process; waiting takes none of its time."""

    provider: Any

    def counts(self) -> tuple[int, int]:
        """Requests and bytes so far, of files alone."""
        return self.provider.count(".tif"), self.provider.bytes(".tif")


@contextlib.contextmanager
def served(scenes: Path, latency: float) -> Iterator[tuple[str, Provider]]:
    """The scenes at an address."""
    from tessera.testing import serve_scenes

    with serve_scenes(scenes, style="stac", latency=latency / 1000) as provider:
        yield provider.source, Provider(provider)


def table(rows: list[tuple[str, ...]]) -> None:
    """Print aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    print(flush=True)


def compare(name: str, arguments: list[object], store: Path, provider: Provider | None, sizes: int) -> None:
    """Forecast, run, print."""
    shutil.rmtree(store, ignore_errors=True)
    dry = tessera("embed", *arguments, "-o", store, "--dry-run", "--json", provider=provider)
    said = json.loads(dry.out)
    run = tessera("embed", *arguments, "-o", store, provider=provider)
    written = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    taken = run.bytes or sizes
    rows = [
        ("requests", said["requests"], run.requests),
        ("bytes read", said["bytes_read"], taken),
        ("bytes written", said["bytes_written"], written),
        ("seconds", said["seconds"], run.seconds),
        ("processor seconds", said["processor_seconds"], run.processor),
    ]
    print(f"{name}: the dry run took {dry.seconds:.1f} s, {dry.processor:.1f} processor seconds, {dry.bytes:,} bytes")
    shown = [
        (what, f"{forecast:,.0f}", f"{actual:,.0f}", f"{forecast / actual:.2f}" if actual else "")
        for what, forecast, actual in rows
    ]
    table([("", "forecast", "actual", "ratio"), *shown])


def main() -> None:
    """Make the scenes once and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("benchmarks/output/dry_run"))
    parser.add_argument("--size", type=int, default=256, help="side of the area, pixels")
    parser.add_argument("--latency", type=float, default=20.0, help="milliseconds before each answer")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--model", default=None)
    given = parser.parse_args()
    corner, size = Cell(31, 64, 548).window, given.size
    window = Window(31, corner.west - size // 4, corner.north + size // 3, width=size, height=size)
    folder = given.dir
    scenes = folder / f"scenes-{size}"
    if not scenes.exists():
        simulate(scenes, window, YEAR, seed=7)
    inner = Window(31, window.west + 8, window.north - 8, width=size - 16, height=size - 16)
    west, south, east, north = inner.lonlat_bounds
    area = ["--bbox", f"{west:.5f},{south:.5f},{east:.5f},{north:.5f}", "--year", YEAR]
    more = ["--model", given.model] if given.model else []
    cube = folder / f"cube-{size}.zarr"
    if not cube.exists():
        tessera("cube", "build", "--source", scenes, *area, "-o", cube)
    sizes = sum(path.stat().st_size for path in cube.rglob("*") if path.is_file())
    for turn in range(given.rounds):
        print(f"round {turn + 1}")
        compare("static catalogue", [*area, "--source", scenes, *more], folder / "static.zarr", None, 0)
        with served(scenes, given.latency) as (source, provider):
            compare("provider", [*area, "--source", source, *more], folder / "served.zarr", provider, 0)
        compare("cube", [cube, *more], folder / "cube-store.zarr", None, sizes)


if __name__ == "__main__":
    main()
