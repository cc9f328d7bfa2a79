"""Pretraining: pixel-years a second of whole training steps, and their share of what the device multiplies at its best.

    python benchmarks/pretrain.py [--device cpu] [--threads 1] [--precision fp32] [--json out.json] [--no-data]

A step is as `tessera pretrain` runs it: views, three passes of the encoder, projector, Barlow Twins with its mix term,
gradients, AdamW. Its operations are counted from the sizes of its matrices (twice as many again for gradients); norms,
softmax, ReLU, sums and the optimiser count for nothing. The best is the median rate of one large square multiplication
in the same precision, in the same run. The data path is measured by pretrain_data.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tessera.cubes import PixelSeries
from tessera.models import Shape
from tessera.pretrain import Machine, Objective, pretrain

SHAPES = {
    "nano": Shape(36, 2, 4, 384, 128),
    "small": Shape(64, 4, 4, 1024, 128),
    "medium": Shape(110, 4, 4, 1792, 128),
}
"""Released v2 students."""
CASES = {
    "cpu": [("nano", 256, 16, 512), ("nano", 256, 40, 512), ("small", 64, 40, 512)],
    "cuda": [("nano", 4096, 40, 4096), ("small", 2048, 40, 4096), ("medium", 2048, 40, 16384)],
}
"""Encoder, batch, draws a modality, width of the projector."""
SKIPPED, STEPS = 3, {"cpu": 9, "cuda": 40}


def make_series(pixels: int) -> PixelSeries:
    """Random pixel-years of 45 optical and 65 radar observations."""
    rng = np.random.default_rng(0)
    rows2, rows1 = 45 * pixels, 65 * pixels
    return PixelSeries(
        rng.integers(1, 9000, (rows2, 10), dtype=np.uint16),
        rng.integers(1, 367, rows2).astype(np.int16),
        np.arange(0, rows2 + 1, 45),
        rng.integers(1, 9000, (rows1, 2), dtype=np.int16),
        rng.integers(1, 367, rows1).astype(np.int16),
        rng.random(rows1) < 0.5,
        np.arange(0, rows1 + 1, 65),
    )


def encoder_flops(shape: Shape, draws: int) -> float:
    """Operations of one pixel-year forward, both modalities; a multiply and an add are two."""
    width, ff = shape.width, shape.dim_feedforward
    layer = draws * (8 * width * width + 4 * width * ff) + 4 * draws * draws * width
    modality = [draws * (2 * bands * width + 2 * width * width) + shape.num_layers * layer for bands in (10, 2)]
    return sum(modality) + 2 * (2 * width) * (4 * width) + 2 * 4 * width * shape.repr_dim


def step_flops(shape: Shape, batch: int, draws: int, width: int) -> float:
    """Operations of one step, forward and backward: three views, projector, Gram matrices of the losses."""
    projector = 2 * shape.repr_dim * width + 5 * 2 * width * width
    grams = 4 * 2 * batch * width * min(batch, width)
    return 3 * (3 * batch * (encoder_flops(shape, draws) + projector) + grams)


def best_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of one large square multiplication, the median of many."""
    size = 8192 if device.type == "cuda" else 1536
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(15):
        _wait(device)
        start = _clock()
        a @ b
        _wait(device)
        times.append(_clock() - start)
    return 2 * size**3 / statistics.median(times[3:])


def measure(name: str, batch: int, draws: int, width: int, machine: Machine) -> dict[str, Any]:
    """Seconds a step of the steps after the first few; and the share of the best rate."""
    device = torch.device(machine.accelerator)
    steps = STEPS[device.type]
    stamps: list[float] = []

    def stamp(done: int, total: int) -> None:  # noqa: ARG001 - the callable's shape is given
        _wait(device)
        stamps.append(_clock())

    with tempfile.TemporaryDirectory() as folder:
        pretrain(
            make_series(2 * batch),
            SHAPES[name],
            steps=steps,
            batch=batch,
            draws=draws,
            dropout=0.0,
            out=Path(folder) / "bench.safetensors",
            objective=Objective(width=width),
            machine=machine,
            save_every=10**6,
            log_every=10**6,
            workers=4 if device.type == "cuda" else 0,
            progress=stamp,
        )
    # the last step is logged and saved
    seconds = statistics.median(np.diff(stamps[SKIPPED:-1]).tolist())
    flops = step_flops(SHAPES[name], batch, draws, width)
    best = best_rate(device, torch.bfloat16 if machine.precision == "bf16" else torch.float32)
    return {
        "encoder": name,
        "batch": batch,
        "draws": draws,
        "projector": width,
        "precision": machine.precision,
        "compile": machine.compile,
        "seconds_a_step": round(seconds, 4),
        "pixel_years_per_second": round(batch / seconds, 1),
        "tflops": round(flops / seconds / 1e12, 4),
        "best_tflops": round(best / 1e12, 4),
        "share": round(flops / seconds / best, 3),
    }


def data_path() -> dict[str, Any] | None:
    """What pretrain_data.py measures, where it is beside this file."""
    path = Path(__file__).with_name("pretrain_data.py")
    spec = importlib.util.spec_from_file_location("pretrain_data", path)
    if not path.exists() or spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pretrain_data"] = module
    spec.loader.exec_module(module)
    result: dict[str, Any] = module.measure()
    print(module.show(result), flush=True)
    return result


def _clock() -> float:
    """CPU time of one thread, which neighbours do not change; of several threads or a GPU the wall's."""
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    return time.process_time() if alone else time.perf_counter()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default=None, choices=("fp32", "bf16"))
    parser.add_argument("--threads", type=int, default=None, help="of a CPU; with one, CPU time is measured")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--no-data", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    precision = options.precision or ("bf16" if options.device == "cuda" else "fp32")
    machine = replace(Machine(accelerator=options.device, precision=precision), compile=options.compile)
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"{torch.get_num_threads()} threads"
    result: dict[str, Any] = {"device": where, "steps": []}
    for case in CASES[options.device]:
        row = measure(*case, machine)
        result["steps"].append(row)
        print(
            f"{row['encoder']}, batch {row['batch']}, {row['draws']} draws, projector {row['projector']}, {precision}: "
            f"{row['pixel_years_per_second']:,} pixel-years/s, {row['tflops']} of {row['best_tflops']} TFLOP/s, "
            f"{row['share']:.0%} of the best",
            flush=True,
        )
    if not options.no_data:
        result["data"] = data_path()
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
