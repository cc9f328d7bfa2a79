"""Reading a store over HTTP, counted at the server: ours against geotessera 0.11 on the published geometry, in one run.

python benchmarks/store.py [--side 4096] [--rounds 3] [--keep FOLDER] [--sides]

Both stores hold the same near-incompressible codes of 128 dims, in 60 zones and 9 years (the others are empty, but
their metadata counts), and both clients must find the same vectors. The published geometry (shards of 4096, chunks of
32 packed by blosc, the index at the end) is written by our writer, chunks in row order, on our lattice; its coordinates
have a tenth of the published ones' bytes. Both are kind to the peer. Each client is a fresh process with its imports
done; geotessera runs in the environment of tools/published_client.py. `--sides` instead compares sides of shards and
chunks of our own geometry. The stores take 5 GB; writing the published one takes 7 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from store_data import CHUNK, CORNER, PIXEL, YEARS, bbox, lonlat, write
from store_server import Counts, certificates, counting
from tessera.shards import Layout
from tessera.store import Store, open_store

ROOT = Path(__file__).resolve().parents[1]


class Client:
    """A client in a process of its own."""

    def __init__(self, kind: str, url: str, authority: Path | None) -> None:
        python: Any = sys.executable
        self.home = tempfile.TemporaryDirectory()
        environment = {**os.environ, "HOME": self.home.name, "XDG_CACHE_HOME": self.home.name}
        if kind == "geotessera":
            sys.path.insert(0, str(ROOT / "tools"))
            from published_client import interpreter

            python = interpreter()
            if isinstance(python, str):
                raise SystemExit(f"no geotessera to compare with: {python}")
        if authority is not None:
            environment["SSL_CERT_FILE"] = str(authority)
        command = [python, Path(__file__).with_name("store_client.py"), kind, url]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a client ended with {self.process.wait()}")
        return json.loads(line)

    def do(self, call: str, *args: Any) -> dict[str, Any]:
        """Do one thing: seconds, what was found, peak memory."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([call, args]) + "\n")
        self.process.stdin.flush()
        return dict(self._answer())

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.home.cleanup()


@dataclass(frozen=True)
class Row:
    """One measurement; `values` are a digest of vectors, `window` west, north, width, height of a region in pixels."""

    requests: int
    bytes: int
    seconds: float
    found: int
    peak_mib: float
    values: str | None = None
    window: tuple[int, int, int, int] | None = None

    @property
    def told(self) -> str:
        """For the table."""
        return f"{self.requests:,} / {self.bytes:,} / {self.seconds:.3f}"


Call = tuple[str, list[Any]]


def measure(
    kind: str, url: str, authority: Path | None, counts: Counts, calls: list[Call], rounds: int, before: list[Call]
) -> Row:
    """The quickest of some rounds, each with a fresh client; what is in `before` is not counted."""
    best: Row | None = None
    for _ in range(rounds):
        client = Client(kind, url, authority)
        for call, args in before:
            client.do(call, *args)
        counts.reset()
        answers = [client.do(call, *args) for call, args in calls]
        last, requests, sent = answers[-1], counts.requests.value, counts.bytes.value
        if calls[-1][0] == "region":
            last |= {"values": client.do("check")["values"]}
        row = Row(
            requests,
            sent,
            sum(answer["seconds"] for answer in answers),
            last["found"],
            last["peak_mib"],
            last.get("values"),
            tuple(last["window"]) if "window" in last else None,
        )
        client.close()
        if best is None or row.seconds < best.seconds:
            best = row
    assert best is not None
    return best


Case = tuple[list[Call], list[Call]]
"""What is counted, and what comes before it."""


def inner(row: int, col: int) -> list[int]:
    """The window of 900 x 900 pixels inside a region of 1000 x 1000: west, north, width, height."""
    return [CORNER.west + col + 50, CORNER.north - row - 50, 900, 900]


def cases_of(store: Store, side: int) -> dict[str, Case]:
    """What is compared."""
    year = YEARS[0]
    pixel, near = [lonlat(700, 700)], [lonlat(705, 790)]
    scattered = [lonlat(*place) for place in np.random.default_rng(1).uniform(0, side - 1, (1000, 2))]
    cases: dict[str, Case] = {
        "cold pixel": ([("open", []), ("points", [pixel, year])], []),
        "next pixel, same shard": ([("points", [near, year])], [("open", []), ("points", [pixel, year])]),
        "1,000 points": ([("open", []), ("points", [scattered, year])], []),
    }
    # 1000 = 31 chunks and 8 pixels: 32 chunks at best, 33 where it begins in a chunk's last 7 pixels
    places = {"on chunks": (1024, 1024), "off chunks": (1040, 1037), "worst offset, four cells": (543, 543)}
    for name, corner in places.items():
        region: Call = ("region", [bbox(store, *corner, 1000), year, inner(*corner)])
        cases[f"1000 x 1000 {name}"] = ([("open", []), region], [])
    again: Call = ("region", [bbox(store, 543, 543, 1000), year, inner(543, 543)])
    cases["that region again, with a cache"] = ([again], [("open", [True]), again])
    return cases


def compare(side: int, rounds: int, folder: Path) -> None:
    """The table of both clients, without and with a delay."""
    published = Layout.published(128, (16,))
    for name, layout in (("own", Layout(128, (16,))), ("official", published)):
        if not (folder / name / "tessera.json").exists():
            write(folder / name, layout, side, zones=None, years=YEARS)
    if not (folder / "one").exists():
        write(folder / "one", Layout(128, (16,)), 1024, zones=(31,), years=YEARS[:1])
    # the first to read would else pay for the server's disk
    for file in (file for name in ("own", "official") for file in (folder / name).rglob("*") if file.is_file()):
        with file.open("rb") as opened:
            while opened.read(1 << 24):
                pass
    authority, cert, key = certificates(folder / "tls")
    checks: list[tuple[str, str, bool]] = []
    cases = cases_of(open_store(folder / "own"), side)
    with counting(folder, (cert, key)) as (url, counts):
        for delay in (0.0, 50.0):
            counts.delay_ms.value = delay
            print(f"\n{delay:.0f} ms added to each request, best of {rounds}\n")
            print("| | tessera: requests / bytes / s | geotessera 0.11: requests / bytes / s | bytes | time |")
            print("|---|---|---|---|---|")
            for name, (calls, before) in cases.items():
                mine = measure("tessera", f"{url}/own", authority, counts, calls, rounds, before)
                peer = measure("geotessera", f"{url}/official", authority, counts, calls, rounds, before)
                fewer = f"{peer.bytes / mine.bytes:,.1f}x fewer" if mine.bytes else "none"
                print(
                    f"| {name} | {mine.told} | {peer.told} | {fewer} | {peer.seconds / mine.seconds:.1f}x |", flush=True
                )
                checks += [(f"{name}, {delay:.0f} ms", *check) for check in limits(name, mine, peer)]
                if name == "cold pixel":
                    one = measure("tessera", f"{url}/one", authority, counts, calls, rounds, before)
                    print(f"| cold pixel, one zone and year | {one.told} | | | |", flush=True)
                    same = mine.requests <= one.requests and mine.bytes <= one.bytes + 1000
                    checks.append(("60 zones, 9 years", f"{mine.bytes - one.bytes:+,} bytes", same))
        counts.delay_ms.value, counts.alias.value = 0.0, 1
        peaks = []
        print("\n| streamed | requests | GB | beyond its pixels | s | peak MiB |\n|---|---|---|---|---|---|")
        for height in (2_500, 10_000):
            stream: Call = ("stream", [[31, CORNER.west + 11, CORNER.north - 13, 10_000, height], YEARS[0]])
            row = measure("tessera", f"{url}/own", authority, counts, [stream], 1, [("open", [])])
            peaks.append(row.peak_mib)
            print(
                f"| {height:,} x 10,000 | {row.requests:,} | {row.bytes / 1e9:.2f} "
                f"| {row.bytes / row.found / PIXEL - 1:+.1%} | {row.seconds:.1f} | {row.peak_mib:,.0f} |",
                flush=True,
            )
        checks.append(("memory, four times the rows", f"{peaks[1] / peaks[0] - 1:+.1%}", peaks[1] < 1.1 * peaks[0]))
    print("\n| limit | measured | |\n|---|---|---|")
    for where, got, met in checks:
        print(f"| {where} | {got} | {'met' if met else '**beyond**'} |")
    if not all(met for *_, met in checks):
        raise SystemExit(1)


def limits(name: str, mine: Row, peer: Row) -> list[tuple[str, bool]]:
    """What was measured against the limits of a row, and whether it is within them."""
    found: list[tuple[str, bool]] = []
    if mine.values != peer.values:
        found.append(("other values than the peer's", False))
    if name == "cold pixel":
        met = mine.requests <= 5 and mine.bytes <= 64_000
        found.append((f"{mine.requests} requests, {mine.bytes:,} bytes (5, 64,000)", met))
    if name.startswith("next"):
        met = mine.requests <= 2 and mine.bytes <= 1000
        found.append((f"{mine.requests} requests, {mine.bytes:,} bytes (2, 1,000)", met))
    if "points" in name:
        found.append((f"{peer.bytes / mine.bytes:,.0f}x fewer bytes (100x)", peer.bytes >= 100 * mine.bytes))
    if name.startswith("1000 x"):
        assert mine.window is not None
        west, north, width, height = mine.window
        touched = ((west + width - 1) // CHUNK - west // CHUNK + 1) * (
            (north - 1) // CHUNK - (north - height) // CHUNK + 1
        )
        over = mine.bytes / (PIXEL * mine.found) - 1, mine.bytes / (PIXEL * touched * CHUNK**2) - 1
        found.append(
            (
                f"{over[0]:+.1%} of its pixels (12 %), {over[1]:+.2%} of its chunks (5 %)",
                over[0] <= 0.12 and over[1] <= 0.05,
            )
        )
        found.append((f"{peer.seconds / mine.seconds:.1f}x as fast (1x)", peer.seconds >= mine.seconds))
    return found


def sides(folder: Path) -> None:
    """Requests and bytes by sides of shards and chunks, of 2048 x 2048 pixels."""
    land = 1.5e12
    rng = np.random.default_rng(1)
    scattered = [lonlat(*place) for place in rng.uniform(0, 2047, (1000, 2))]
    print("| shard / chunk | index | cold pixel | 1,000 points | 1000 x 1000 | objects a year, an array |")
    print("|---|---|---|---|---|---|")
    for shard in (256, 512, 1024, 2048, 4096):
        for chunk in (16, 32, 64):
            layout = Layout(128, (), shard, chunk)
            path = folder / f"{shard}-{chunk}"
            write(path, layout, 2048, zones=(31,), years=YEARS[:1])
            cells = []
            with counting(folder) as (url, counts):
                for call, args in (
                    ("points", [[lonlat(700, 700)], YEARS[0]]),
                    ("points", [scattered, YEARS[0]]),
                    ("region", [bbox(open_store(path), 543, 543, 1000), YEARS[0], inner(543, 543)]),
                ):
                    row = measure("tessera", f"{url}/{path.name}", None, counts, [("open", []), (call, args)], 1, [])
                    cells.append(f"{row.requests:,} / {row.bytes / 1e3:,.0f} kB")
            index = layout.format(layout.codes).index_bytes
            print(
                f"| {shard} / {chunk} | {index / 1e3:,.1f} kB | {' | '.join(cells)} | {land / shard**2:,.0f} |",
                flush=True,
            )
            shutil.rmtree(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="Folder for the stores, kept; 5 GB. Left out, a temporary one.")
    parser.add_argument("--sides", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if given.sides:
            sides(folder)
        else:
            compare(given.side, given.rounds, folder)


if __name__ == "__main__":
    main()
