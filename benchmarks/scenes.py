"""A year of scenes onto one cell: ours against stackstac and odc-stac, from one server, in one run.

python benchmarks/scenes.py [--dir FOLDER] [--latency 0 30] [--rounds 1] [--threads 16] [--kinds ...] [--small]

100 Sentinel-2 dates of 2560 x 2560 pixels, ten bands and the scene classification as cloud-optimised GeoTIFFs (made
once and kept in FOLDER; 20 dates are different, the others the same files under other names); wanted are 1024 x 1024
pixels inside. A server of its own process counts requests and bytes, and waits before every answer where told. Every
reader is a fresh process that starts with the search of the catalogue. Ours ends with the cube on disk, masked and
without offset; the peers end with all arrays in memory, as they are made to. Rounds alternate between the readers, and
the table holds each one's best. Peak memory is VmHWM. All must find the same pixels.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scenes_client import KINDS
from scenes_data import Setup, make, touched
from scenes_server import Served, serving

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALL = Setup(dates=12, distinct=6, scene=1536, side=512, offset=(300, 410))
DATE = 7
"""The date whose pixels are compared."""


def measure(
    kind: str, server: Served, setup: Setup, latency: float, threads: int
) -> tuple[dict[str, Any], NDArray[Any]] | str:
    """One reader once, or the line that says why not."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, str(Path(__file__).with_name("scenes_client.py")), kind, server.url]
        server.start(latency)
        done = subprocess.run(
            [*command, json.dumps(asdict(setup)), str(DATE), place, str(threads)],
            capture_output=True,
            text=True,
            check=False,
        )
        counts = server.counts()
        if done.returncode:
            return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return json.loads(done.stdout.splitlines()[-1]) | counts, np.load(Path(place) / "pixels.npy")


def agree(found: dict[str, NDArray[Any]]) -> str:
    """Whether the readers found the same pixels of a date: peers exactly, ours where clear, without the offset."""
    peers = [name for name in found if not name.startswith("ours")]
    lines = []
    for name in peers[1:]:
        different = int((found[name] != found[peers[0]]).sum())
        lines.append(f"{name} and {peers[0]}: {different} numbers differ")
    for name in found.keys() - set(peers):
        if not peers:
            break
        clear = (found[name] != 0).all(axis=-1)
        raw = found[peers[0]][clear].astype(np.int64)
        different = int((np.maximum(raw - 1000, 1) != found[name][clear]).sum())
        lines.append(f"{name} and {peers[0]}: {different} numbers differ in {int(clear.sum())} clear pixels")
    return "; ".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "tessera-scenes")
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 30.0], help="milliseconds a request")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=16, help="of the peers that have threads")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--small", action="store_true", help="12 dates of 512 x 512 pixels, to see that it works")
    parser.add_argument("--out", type=Path, help="write the figures as JSON too")
    return parser.parse_args()


def main() -> None:
    given = parse()
    for module, kind in (("stackstac", "stackstac"), ("odc.stac", "odc-stac eager")):
        if kind in given.kinds and importlib.util.find_spec(module.split(".")[0]) is None:
            raise SystemExit(f"{module} is not installed: pip install stackstac odc-stac, or leave it out by --kinds")
    setup = SMALL if given.small else Setup()
    folder = given.dir / ("small" if given.small else "full")
    make(folder, setup)
    shares, blocks = touched(folder, setup)
    with serving(folder) as server:
        warm(folder)
        report: list[dict[str, Any]] = []
        for latency in given.latency:
            best: dict[str, dict[str, Any]] = {}
            pixels: dict[str, NDArray[Any]] = {}
            for _ in range(given.rounds):
                for kind in given.kinds:
                    result = measure(kind, server, setup, latency, given.threads)
                    if isinstance(result, str):
                        print(f"{kind}: {result}", file=sys.stderr)
                        continue
                    figures, pixels[kind] = result
                    if kind not in best or figures["seconds"] < best[kind]["seconds"]:
                        best[kind] = figures
            report += [{"kind": kind, "latency_ms": latency, **figures} for kind, figures in best.items()]
            print(f"{latency:g} ms: {agree(pixels)}", file=sys.stderr)
    print(table(report, setup, shares, blocks))
    if given.out:
        given.out.write_text(json.dumps({"setup": asdict(setup), "touched": shares, "runs": report}, indent=2))


def warm(folder: Path) -> None:
    """Read every file once, so that nobody waits for the disk."""
    with Path("/dev/null").open("wb") as nothing:
        for path in sorted((folder / "distinct").rglob("*.tif")):
            with path.open("rb") as file:
                shutil.copyfileobj(file, nothing, 1 << 20)


def table(report: list[dict[str, Any]], setup: Setup, shares: int, blocks: int) -> str:
    lines = [
        f"{setup.dates} dates, {setup.side} x {setup.side} pixels of {setup.scene} x {setup.scene}, ten bands and SCL; "
        f"the window touches {blocks} blocks of {shares / 1e6:.1f} MB",
        "",
        "| reader | latency, ms | wall, s | CPU, s | requests | MB | of the blocks | peak, MB | connections |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {run['kind']} | {run['latency_ms']:g} | {run['seconds']:.1f} | {run['cpu']:.1f} | {run['requests']} "
        f"| {run['bytes'] / 1e6:.1f} | {run['bytes'] / shares:.2f} | {run['peak'] / 1e6:.0f} | {run['connections']} |"
        for run in report
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
