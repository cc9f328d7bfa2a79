"""The page against the method of tze, rebuilt from its libraries, in the same browser on the same store.

python benchmarks/page_peer.py [--sides 256 1000] [--umap 5000] [--peer-backend webgl]

The peer reads with stock zarrita chunk by chunk, four at once, keeps Float32, and classifies each chunk with tfjs; its
UMAP is umap-js. It is spared what tze does worst: chunks of 4 x 4 pixels, on which zarrita fails in Chromium, and a
picture for each of them. Both learn from the same labels with the same number of neighbours. Requests and bytes are
those that the server counted; memory is what the browser measures for the page and its workers. Each job has a fresh
Chromium, one at a time. Needs Node, the packages of web/ and of benchmarks/page/ (`npm ci` in both), and Chromium.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.catalogue import write_manifest
from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import NORTH, WEST, Window, from_lonlat, to_lonlat
from tessera.serve import make_server
from tessera.store import create_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.serve import Served

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "benchmarks" / "page"
DIMS, YEAR, ZONE, CLASSES, LABELS, NEIGHBOURS = 128, 2024, 31, 8, 160, 5
MODEL = ModelIdentity("benchmark", "ab" * 32, DIMS)
PLACE = (4.0, 50.5)


@dataclass
class Count:
    """What a server sent since it was last cleared."""

    requests: int = 0
    bytes: int = 0
    paths: dict[str, int] = field(default_factory=dict)

    def seen(self, served: Served) -> None:
        """Add an answer."""
        self.requests += 1
        self.bytes += served.bytes
        self.paths[served.target] = served.bytes

    def clear(self) -> None:
        """Begin anew."""
        self.requests, self.bytes, self.paths = 0, 0, {}


def make_store(folder: Path, side: int) -> dict[str, Any]:
    """A square of smooth fields of eight classes; its codes do not compress. Returns what a job is told of it."""
    x, y = from_lonlat(*PLACE, ZONE)
    window = Window(ZONE, int(x // 10), int(y // 10), side, side)
    rng = np.random.default_rng(3)
    down, right = np.mgrid[0:side, 0:side] / side
    waves = [np.sin(9 * (k + 1) * down + k) + np.cos(7 * right * (k + 2)) for k in range(CLASSES)]
    kind = np.argmax(np.stack(waves), 0)
    centres = rng.integers(-60, 61, (CLASSES, DIMS)).astype(np.float32)
    codes = np.empty((side, side, DIMS), np.int8)
    for row in range(side):
        noise = rng.normal(0, 30, (side, DIMS)).astype(np.float32)
        codes[row] = np.clip(centres[kind[row]] + noise, -127, 127).round()
    scales = rng.uniform(0.01, 0.02, (side, side)).astype(np.float32)
    counts = np.full((side, side, 3), 40, np.uint16)
    store = create_store(folder, DIMS, MODEL, zones=(ZONE,))
    store.write(Embeddings(codes, scales, counts, MODEL, window.grid, {}), YEAR)
    write_manifest(store)
    flat = rng.choice(side * side, LABELS, replace=False)
    pixels = [
        {"zone": ZONE, "row": int(NORTH - window.north + k // side), "col": int(window.west - WEST + k % side)}
        for k in flat
    ]
    # the box reaches over the window: both read all of it
    lon, lat = to_lonlat(
        np.array([window.west - 2, window.east + 2]) * 10.0, np.array([window.south - 2, window.north + 2]) * 10.0, ZONE
    )
    return {
        "dims": DIMS,
        "year": YEAR,
        "group": f"utm{ZONE}",
        "time": 0,
        "neighbours": NEIGHBOURS,
        "area": [float(lon[0]), float(lat[0]), float(lon[1]), float(lat[1])],
        "labels": {
            "pixels": pixels,
            "classes": [int(kind.reshape(-1)[k]) for k in flat],
            "names": [f"class {k}" for k in range(CLASSES)],
            "window": {"row": NORTH - window.north, "col": window.west - WEST, "height": side, "width": side},
        },
    }


def build(root: Path, store: Path) -> None:
    """The page in the store, and both ways in a page of their own."""
    vite = str(ROOT / "web" / "node_modules" / ".bin" / "vite")
    for folder, config, target in (
        (ROOT / "web", "vite.config.ts", store / "page"),
        (HERE, "vite.config.js", root / "bench"),
    ):
        if target.exists():
            continue
        command = [vite, "build", "--config", config, "--outDir", str(target), "--emptyOutDir", "--logLevel", "error"]
        subprocess.run(command, cwd=folder, check=True)


def run(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One job in a fresh browser."""
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    done = subprocess.run(["node", str(HERE / "run.mjs"), str(path)], capture_output=True, text=True, timeout=1800)
    if done.returncode:
        return {"failed": next((line for line in done.stderr.splitlines() if "Error" in line), "no answer")[:160]}
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def rows(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Lines of the tables."""
    count = Count()
    with make_server(folder, page=False, seen=count.seen) as server:
        yield "| | way | read s | first pixels s | classified s | requests | MB | memory MB |"
        yield "|---|---|---|---|---|---|---|---|"
        for side in options.sides:
            about = {**json.loads((folder / f"{side}.json").read_text()), "url": f"{server.url}/s{side}.zarr"}
            maps = {}
            for way in ("ours", "peer"):
                count.clear()
                job = {**about, "way": way, "page": f"{server.url}/bench/", "backend": options.peer_backend}
                found = run(job, folder)
                if "failed" in found:
                    yield f"| {side} x {side} | {way} | failed: {found['failed']} | | | | | |"
                    continue
                maps[way] = found.pop("map")
                inner = [target for target in count.paths if ".zarr/" in target]
                seconds = found["seconds"]
                yield (
                    f"| {side} x {side} | {way} | {seconds['read'] / 1e3:.2f} | {seconds['first'] / 1e3:.2f} | "
                    f"{seconds['all'] / 1e3:.2f} | {count.requests} ({len(inner)} files) | {count.bytes / 1e6:.1f} | "
                    f"{(found['memory'] - found['empty']) / 1e6:.0f} |"
                )
            if len(maps) == 2:
                same = np.mean([a == b for a, b in zip(maps["ours"], maps["peer"], strict=True) if a != "."])
                yield f"| | the same class on {100 * same:.2f} % of pixels | | | | | | |"
        yield ""
        yield "| UMAP | way | first picture s | all s | trustworthiness |"
        yield "|---|---|---|---|---|"
        side = options.sides[0]
        about = {**json.loads((folder / f"{side}.json").read_text()), "url": f"{server.url}/s{side}.zarr"}
        for size in options.umap:
            for way in ("ours", "umap-js"):
                told = {"way": "umap", "which": way, "count": size, "epochs": 200, "page": f"{server.url}/bench/"}
                found = run({**about, **told}, folder)
                if "failed" in found:
                    yield f"| {size} points | {way} | failed: {found['failed']} | | |"
                    continue
                seconds = found["seconds"]
                yield (
                    f"| {size} points | {way} | {seconds['first'] / 1e3:.2f} | {seconds['all'] / 1e3:.2f} | "
                    f"{found['trust']:.4f} |"
                )
        yield ""
        count.clear()
        found = run({"way": "view", "page": f"{server.url}/s{side}.zarr/page/"}, folder)
        if "failed" in found:
            yield f"First view failed: {found['failed']}"
            return
        pages = [target for target in count.paths if "/page/" in target]
        packed = sum(len(gzip.compress(_file(folder, target), 9)) for target in pages)
        yield (
            f"First view of {side} x {side} on loopback: the map after {found['canvas']:.2f} s, colours of all pixels "
            f"after {found['colours']:.2f} s; {len(pages)} files of the page, {packed / 1e3:.0f} kB gzipped"
        )


def _file(folder: Path, target: str) -> bytes:
    path = folder / target.lstrip("/").partition("?")[0]
    return (path / "index.html" if path.is_dir() else path).read_bytes()


def main() -> int:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 1000])
    parser.add_argument("--umap", type=int, nargs="*", default=[5000])
    parser.add_argument("--peer-backend", choices=("webgl", "cpu"), default="webgl")
    parser.add_argument("--keep", type=Path, help="folder for the stores, used again if it has them")
    options = parser.parse_args()
    if not (HERE / "node_modules").is_dir() or not (ROOT / "web" / "node_modules").is_dir():
        print("run `npm ci` in web/ and in benchmarks/page/ first", file=sys.stderr)
        return 1
    folder = options.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for side in options.sides:
            if not (folder / f"{side}.json").exists():
                told = make_store(folder / f"s{side}.zarr", side)
                (folder / f"{side}.json").write_text(json.dumps(told))
        build(folder, folder / f"s{options.sides[0]}.zarr")
        for line in rows(options, folder):
            print(line, flush=True)
    finally:
        if options.keep is None:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
