"""The data path of pretraining: samples a CPU-second, fresh views each epoch against pre-drawn ones read one by one.

    python benchmarks/pretrain_data.py [--pixels 40000] [--json out.json]

A sample is two views of a pixel-year, Sentinel-2 and Sentinel-1, 40 draws each, as torch tensors of a batch. The other
side is the published way: views drawn once, kept as float32 in .npy files, loaded whole, yielded one sample at a time
and collated by torch's DataLoader, in the same process; drawing them is not counted. Rounds of all ways alternate; CPU
time of the process, medians. Pixel-years are random: 20 to 70 optical and 40 to 90 radar observations.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tessera.cubes import PixelSeries
from tessera.models import STUDENT_SPEC
from tessera.pretrain import Augment, Batches, draw_views, open_blocks, write_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tessera.pretrain import Blocks

DRAWS, BATCH, ROUNDS = 40, 2048, 5
"""Of the published run: draws a modality, pixel-years a GPU and step."""
POORER = Augment(
    window=0.2, clouds=0.2, thin=0.2, no_radar=0.1, no_optical=0.02, monthly=0.2, gain=0.02, radar_db=0.3, haze=30,
    day_jitter=2, b08_as_b8a=0.1,
)  # fmt: skip


def make_series(pixels: int) -> PixelSeries:
    """Random pixel-years with as many observations as real ones have."""
    rng = np.random.default_rng(0)
    offsets = [np.concatenate([[0], np.cumsum(rng.integers(low, high, pixels))]) for low, high in ((20, 71), (40, 91))]
    rows2, rows1 = (int(part[-1]) for part in offsets)
    return PixelSeries(
        rng.integers(1, 9000, (rows2, 10), dtype=np.uint16),
        rng.integers(1, 367, rows2).astype(np.int16),
        offsets[0],
        rng.integers(1, 9000, (rows1, 2), dtype=np.int16),
        rng.integers(1, 367, rows1).astype(np.int16),
        rng.random(rows1) < 0.5,
        offsets[1],
    )


def write_drawn(series: PixelSeries, folder: Path) -> int:
    """Views drawn once and for all, four files; bytes a sample."""
    first, second, _ = draw_views(series, np.arange(len(series)), DRAWS, STUDENT_SPEC, seed=0, epoch=0)
    total = 0
    for name, view in (("aug1", first), ("aug2", second)):
        for modality in ("s2", "s1"):
            array = getattr(view, modality)
            np.save(folder / f"{name}_{modality}.npy", array)
            total += array.nbytes
    return total // len(series)


class Samples(torch.utils.data.IterableDataset[Any]):
    """One sample at a time from files that are loaded whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        names = ("aug1_s2", "aug1_s1", "aug2_s2", "aug2_s1")
        loaded = {name: np.load(self.folder / f"{name}.npy") for name in names}
        for index in range(len(loaded[names[0]])):
            yield {name: torch.tensor(array[index]) for name, array in loaded.items()}


def one_by_one(folder: Path) -> int:
    """Read all samples the published way; their number."""
    loader = torch.utils.data.DataLoader(Samples(folder), batch_size=BATCH, drop_last=True)
    return sum(len(batch["aug1_s2"]) for batch in loader)


def at_once(batches: Batches, epoch: int) -> int:
    """Read an epoch of batches as tensors; the number of samples."""
    first = epoch * batches.steps_an_epoch
    count = 0
    for (batch,) in batches.stream(first, first + batches.steps_an_epoch, [0]):
        tensors = [torch.from_numpy(part) for view in (batch.first, batch.second) for part in (view.s2, view.s1)]
        count += len(tensors[0])
    return count


def forget(blocks: Blocks) -> Blocks:
    """The same blocks with none of their pages in memory."""
    folder = blocks.folder
    blocks.close()
    for path in folder.glob("*.bin"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return open_blocks(folder)


def measure(pixels: int = 40_000, rounds: int = ROUNDS, where: Path | None = None) -> dict[str, Any]:
    """Samples a CPU-second of each way, their ratio to the published one, and reads from a cold disk."""
    torch.set_num_threads(1)
    work = Path(tempfile.mkdtemp(prefix="pretrain-data-", dir=where))
    try:
        series = make_series(pixels)
        bytes_drawn = write_drawn(series, work)
        started = time.process_time()
        blocks = write_blocks([series], work / "blocks", seed=0, records=4096)
        shuffled = time.process_time() - started

        def over(table: Any, **options: Any) -> Callable[[int], int]:
            batches = Batches(table, STUDENT_SPEC, batch=BATCH, draws=DRAWS, **options)
            return lambda epoch: at_once(batches, epoch)

        ways: dict[str, Callable[[int], int]] = {
            "pre-drawn, one by one": lambda _: one_by_one(work),
            "table in memory": over(series),
            "blocks": over(blocks),
            "blocks, 4 at a time": over(blocks, window=4),
            "blocks, every augmentation": over(blocks, augment=POORER),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for epoch in range(rounds):
            for name, way in ways.items():
                started = time.process_time()
                count = way(epoch)
                rates[name].append(count / (time.process_time() - started))
        median = {name: statistics.median(values) for name, values in rates.items()}
        reference = median["pre-drawn, one by one"]
        cold = {}
        for name, window in (("all blocks", None), ("4 blocks at a time", 4)):
            blocks = forget(blocks)
            started = time.perf_counter()
            count = over(blocks, window=window)(0)
            cold[name] = count / (time.perf_counter() - started)
        return {
            "samples_per_cpu_second": {name: round(value) for name, value in median.items()},
            "range": {name: [round(min(values)), round(max(values))] for name, values in rates.items()},
            "times_published": {name: round(value / reference, 2) for name, value in median.items()},
            "bytes_per_sample": {
                "pre-drawn": bytes_drawn,
                "table in memory": (series.s2.nbytes + series.s2_day.nbytes + series.s1.nbytes + series.s1_day.nbytes
                                    + series.s1_descending.nbytes) // pixels,
                "blocks": blocks.index.layout.dtype.itemsize,
            },
            "cold_samples_per_second": {name: round(value) for name, value in cold.items()},
            "shuffle_samples_per_cpu_second": round(pixels / shuffled),
            "pixels": pixels,
            "rounds": rounds,
            "draws": DRAWS,
            "batch": BATCH,
        }  # fmt: skip
    finally:
        shutil.rmtree(work)


def show(result: dict[str, Any]) -> str:
    """The table."""
    lines = [f"{'':30}{'samples/CPU-s':>14}{'range':>22}{'times':>8}"]
    for name, rate in result["samples_per_cpu_second"].items():
        low, high = result["range"][name]
        lines.append(f"{name:30}{rate:>14,}{f'{low:,} to {high:,}':>22}{result['times_published'][name]:>8.2f}")
    lines.append(f"bytes a sample: {result['bytes_per_sample']}")
    lines.append(f"one process, cold disk, samples/s: {result['cold_samples_per_second']}")
    lines.append(f"writing and shuffling blocks: {result['shuffle_samples_per_cpu_second']:,} samples/CPU-s")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options.pixels, options.rounds)
    print(show(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
