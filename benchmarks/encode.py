"""The engine against a plain float32 forward of the same network, padded the published way, and against matmul.

python benchmarks/encode.py [MODEL ...] [--rounds 3] [--threads 1] [--device cpu] [--memory]

One process, variants interleaved, the best of the rounds; pixels per CPU-second (per second on a GPU). Weights are
random, of the published shapes: no download is needed. Observations are random; what counts is how many a pixel has.

A processor with AMX multiplies bfloat16 several times faster than one with AVX512-BF16 alone. To see the latter on the
former: ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 python benchmarks/encode.py
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from tessera.cubes import PixelCube
from tessera.embeddings import ModelIdentity
from tessera.encode import Encoder, Options, plan_blocks, sample_indices
from tessera.encode._device import has_bf16
from tessera.encode._observations import observe
from tessera.encode.job import Job, make_job
from tessera.models import FAMILIES, Shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Case:
    """A model, and how many observations its pixels have."""

    family: str
    source: str | None
    shape: Shape
    pixels: int
    dates: tuple[int, int, int]
    clear: float


_DENSE = (80, 20, 20)
_SIZES = {
    "v2-nano": (36, 2, 384, 4096),
    "v2-small": (64, 4, 1024, 2048),
    "v2-medium": (110, 4, 1792, 768),
    "v2-large": (160, 4, 2560, 384),
}
CASES = {
    "v1.0": Case("v1.0", None, Shape(128, 4, 4, 4096, 128), 512, (100, 30, 20), 0.5),
    "v1.0, under 25 dates": Case("v1.0", None, Shape(128, 4, 4, 4096, 128), 1024, (40, 10, 8), 0.45),
    "v1.1": Case("v1.1", "mpc", Shape(192, 4, 4, 2048, 192), 512, _DENSE, 0.5),
    **{
        name: Case("v2-student", None, Shape(latent, layers, 4, width, 128), pixels, _DENSE, 0.5)
        for name, (latent, layers, width, pixels) in _SIZES.items()
    },
}


def cube_of(case: Case) -> PixelCube:
    """Random observations, every date of Sentinel-1 there and a share of Sentinel-2's clear."""
    rng = np.random.default_rng(5)
    days = [np.sort(rng.integers(1, 366, count)).astype(np.int16) for count in case.dates]
    shape = (1, case.pixels)
    return PixelCube(
        rng.integers(1, 9000, (case.dates[0], *shape, 10), dtype=np.uint16),
        (rng.random((case.dates[0], *shape)) < case.clear).astype(np.uint8),
        days[0],
        rng.integers(1, 9000, (case.dates[1], *shape, 2), dtype=np.int16),
        days[1],
        rng.integers(1, 9000, (case.dates[2], *shape, 2), dtype=np.int16),
        days[2],
    )


def encoder_of(case: Case, device: str, precision: str) -> Encoder:
    """The network with random weights."""
    torch.manual_seed(0)
    spec = FAMILIES[case.family].specs[case.source]
    network = FAMILIES[case.family].build(case.shape, 0.0).eval().requires_grad_(False)
    return Encoder(network, spec, ModelIdentity("random", "0" * 64, spec.dims, spec.prefix_dims), device, precision)


def published_inputs(cube: PixelCube, encoder: Encoder, pixels: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Standardised batches of one shape, repeats and all, at most 128 pixels each."""
    spec, rng = encoder.spec, np.random.default_rng(0)
    s2, s1, _ = observe(cube, spec.sampling)
    groups: dict[tuple[int, int], list[tuple[Any, Any]]] = {}
    for pixel in range(pixels):
        pair = []
        for stream, kinds in ((s2, [spec.s2]), (s1, [spec.s1_asc, spec.s1_desc])):
            found = np.flatnonzero(stream.valid[pixel])
            if spec.sampling.rule == "v1.0":
                chosen = np.sort(rng.choice(found, 40, replace=len(found) < 40))
            else:
                chosen = found[sample_indices(spec.sampling.rule, spec.sampling.bins, len(found))]
            mean, std = (
                np.asarray([getattr(k, part) for k in kinds])[stream.kinds[chosen]] for part in ("mean", "std")
            )
            values = (stream.stack[chosen, pixel].astype(np.float32) - mean) / std
            pair.append(np.concatenate([values, stream.days[chosen, None]], axis=1).astype(np.float32))
        groups.setdefault((len(pair[0]), len(pair[1])), []).append((pair[0], pair[1]))
    return [
        tuple(torch.from_numpy(np.stack([pair[i] for pair in members[k : k + 128]])) for i in (0, 1))  # type: ignore[misc]
        for members in groups.values()
        for k in range(0, len(members), 128)
    ]


def flops_a_token(case: Case) -> float:
    """Of the plain network, both modalities alike."""
    counter = FlopCounterMode(display=False)
    with torch.device("meta"):
        network = FAMILIES[case.family].build(case.shape, 0.0).eval()
        inputs = torch.zeros(1, 40, 11), torch.zeros(1, 40, 3)
    with counter, torch.no_grad():
        network(*inputs)
    return counter.get_total_flops() / 80


def clock(device: str) -> float:
    """Seconds: of the processor's work, or of the clock where a GPU works."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def best(variants: dict[str, Callable[[], int]], rounds: int, device: str) -> dict[str, float]:
    """Units a second of each variant, the best of interleaved rounds."""
    rates = dict.fromkeys(variants, 0.0)
    for _ in range(rounds):
        for name, run in variants.items():
            start = clock(device)
            units = run()
            rates[name] = max(rates[name], units / (clock(device) - start))
    return rates


def measure(name: str, rounds: int, device: str) -> str:
    """One row of the table."""
    case = CASES[name]
    cube = cube_of(case)
    precise = encoder_of(case, device, "fp32")
    half = encoder_of(case, device, "bf16") if has_bf16(torch.device(device)) else precise
    options = half.options()
    plain = precise.network.to(device)
    batches = published_inputs(cube, precise, case.pixels // 4)
    ordered = half._runner.ordered
    job = make_job(cube, (0, 1), half.spec, options, ordered=ordered)

    def forward() -> int:
        with torch.inference_mode():
            for s2, s1 in batches:
                plain(s2.to(device), s1.to(device))
        return sum(len(s2) for s2, _ in batches)

    def engine(encoder: Encoder) -> Callable[[], int]:
        def run() -> int:
            runner = encoder._runner
            runner.finish(job, options, runner.start(job, options, lambda _: None))
            return case.pixels

        return run

    def host() -> int:
        made: Job = make_job(cube, (0, 1), half.spec, options, ordered=ordered)
        return len(made.counts)

    def matmul(dtype: torch.dtype) -> Callable[[], int]:
        a = torch.randn(1536, 1536, device=device).to(dtype)

        def run() -> int:
            for _ in range(10):
                a @ a
            return 10 * 2 * 1536**3

        return run

    variants = {
        "plain": forward,
        "fp32": engine(precise),
        "bf16": engine(half),
        "host": host,
        "peak": matmul(torch.bfloat16),
        "peak32": matmul(torch.float32),
    }
    for run in variants.values():
        run()
    rate = best(variants, rounds, device)
    tokens = job.tokens / case.pixels
    work = flops_a_token(case) * tokens
    share = f"{rate['bf16'] * work / rate['peak']:.0%}" if "under" not in name else "-"
    return (
        f"| {name} | {tokens:.0f} | {rate['plain']:,.1f} | {rate['fp32']:,.1f} ({rate['fp32'] / rate['plain']:.2f}x) "
        f"| {rate['bf16']:,.1f} ({rate['bf16'] / rate['plain']:.2f}x) | {share} "
        f"| {rate['peak32'] / 1e9:,.0f} / {rate['peak'] / 1e9:,.0f} | {rate['host']:,.0f} |"
    )


def host_side(rounds: int) -> None:
    """Cube to device-ready batches alone: 9,216 pixels, 90 Sentinel-2 dates half of them clear, 60 + 60 Sentinel-1."""
    case = Case("v1.0", None, Shape(), 96 * 96, (90, 60, 60), 0.5)
    cube = cube_of(case)
    specs = {"v1.0, with its draw": "v1.0", "v1.1": "v1.1", "v2": "v2-student"}

    def run(family: str) -> Callable[[], int]:
        spec = next(iter(FAMILIES[family].specs.values()))
        return lambda: len(make_job(cube, (0, 1), spec, Options(128), ordered=family != "v2-student").counts)

    rates = best({name: run(family) for name, family in specs.items()}, 3 * rounds, "cpu")
    for name, rate in rates.items():
        print(f"host side, {name}: {rate:,.0f} pixels per CPU-second")


@dataclass(frozen=True)
class Endless:
    """A stack of any size that is made where it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    high: int

    def __getitem__(self, key: Any) -> NDArray[Any]:
        shape = [len(range(*part.indices(size))) for part, size in zip(key, self.shape, strict=False)]
        rng = np.random.default_rng(0)
        return rng.integers(0, self.high, (*shape, *self.shape[3:]), dtype=self.dtype)


def memory(name: str, device: str) -> None:
    """Most memory above the loaded model, over a block of a cube of 20,000 x 8,000 pixels and the reading ahead."""
    encoder = encoder_of(CASES[name], device, "bf16")
    shape, days = (20_000, 8_000), np.arange(1, 91, dtype=np.int16)
    cube = PixelCube(
        Endless((90, *shape, 10), np.dtype(np.uint16), 9000),
        Endless((90, *shape), np.dtype(np.uint8), 2),
        days,
        Endless((60, *shape, 2), np.dtype(np.int16), 9000),
        days[:60],
        Endless((60, *shape, 2), np.dtype(np.int16), 9000),
        days[:60],
    )
    encoder.encode_batch(np.zeros((1, 8, 11), np.float32), np.zeros((1, 8, 3), np.float32))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    group = plan_blocks(cube)[0]
    next(encoder.blocks(cube, encoder.options(), [[group[0], group[-1]]]))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"memory, {name}: {(after - before) / 1024:,.0f} MiB more at the peak", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", choices=[*CASES, []], default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.memory:
        for name in given.models or ("v1.0", "v1.1", "v2-small"):
            process = multiprocessing.get_context("spawn").Process(target=memory, args=(name, given.device))
            process.start()
            process.join()
        return
    host_side(given.rounds)
    print(
        "| model | tokens/px | plain fp32 px/s | engine fp32 | engine bf16 | of bf16 matmul | matmul fp32 / bf16 "
        "| host px/s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in given.models or CASES:
        print(measure(name, given.rounds, given.device), flush=True)


if __name__ == "__main__":
    main()
