"""Tiny encoders of every family, cubes with pixels of every kind, and the published sampling written once more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tessera.cubes import PixelCube
from tessera.embeddings import ModelIdentity
from tessera.encode import Encoder, Options
from tessera.encode._observations import Ragged
from tessera.encode._run import Runner
from tessera.encode.job import Job, make_job
from tessera.geo import Window
from tessera.models import FAMILIES, InputSpec, Shape, TwoBackbones

FAMILY_NAMES = ("v1.0-early", "v1.0", "v1.1", "v2-student", "v2-student-qk", "v2-teacher")
RECURRENT = FAMILY_NAMES[:3]
SHAPE = Shape(4, 2, 4, 32, 128)
PLACE = Window(31, 64_100, 560_100, 11, 9)


def tiny_network(name: str, seed: int = 3) -> TwoBackbones:
    """A network of a family with random weights of a trained one's size; "-qk" for queries and keys normalised."""
    shape = replace(SHAPE, qk_norm=name.endswith("-qk"), repr_dim=192 if name == "v1.1" else 128)
    network = FAMILIES[name.removesuffix("-qk")].build(shape, 0.1)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, tensor in network.named_parameters():
            values = torch.randn(tensor.shape, generator=rng)
            if tensor.ndim > 1:
                tensor.copy_(values / tensor.shape[-1] ** 0.5)
            else:
                tensor.copy_(1 + 0.1 * values if key.endswith("weight") else 0.1 * values)
    return network.eval().requires_grad_(False)


def spec_of(name: str) -> InputSpec:
    """What a family's weights are bound to, with 128 dims where the network has as many."""
    spec = FAMILIES[name.removesuffix("-qk")].spec("mpc" if name == "v1.1" else None, name)
    return replace(spec, dims=128, prefix_dims=(128,)) if name == "v2-teacher" else spec


def tiny_encoder(name: str = "v2-student", seed: int = 3) -> Encoder:
    spec = spec_of(name)
    return Encoder(tiny_network(name, seed), spec, ModelIdentity("tiny", "cd" * 32, spec.dims, spec.prefix_dims))


def ragged_cube(
    seed: int = 0,
    shape: tuple[int, int] = (9, 11),
    dates: tuple[int, int, int] = (61, 23, 29),
    *,
    placed: bool = False,
) -> PixelCube:
    """Pixels with every number of observations, none included; some values above 32767. Pixel 1 has nothing, 2
    nothing valid, 4 no Sentinel-1."""
    rng = np.random.default_rng(seed)
    keep = rng.random(shape)
    keep[0, 4:5] = 0.9

    def days(count: int) -> NDArray[np.int16]:
        return np.sort(rng.choice(np.arange(1, 367), count, replace=False)).astype(np.int16)

    s2 = rng.integers(1, 9000, (dates[0], *shape, 10), dtype=np.uint16)
    s2[rng.random(s2.shape) < 0.01] = 51_234
    mask = (rng.random((dates[0], *shape)) < keep).astype(np.uint8)
    mask[:, 0, :3] = 0
    s2[:, 0, 1:2] = 0
    stacks = []
    for count in dates[1:]:
        stack = rng.integers(1, 9000, (count, *shape, 2)).astype(np.int16)
        stack[rng.random((count, *shape)) > rng.random(shape)] = 0
        stack[rng.random((count, *shape)) < 0.02, 0] = 0
        stack[:, 0, [column for column in (1, 2, 4) if column < shape[1]]] = 0
        stacks.append(stack)
    return PixelCube(
        s2=s2,
        s2_mask=mask,
        s2_doy=days(dates[0]),
        s1_asc=stacks[0],
        s1_asc_doy=days(dates[1]),
        s1_desc=stacks[1],
        s1_desc_doy=days(dates[2]),
        grid=replace(PLACE, height=shape[0], width=shape[1]).grid if placed else None,
    )


def indices_by_hand(rule: str, n: int) -> list[int]:
    """The deterministic rules straight from their description, for the published bins."""
    size = next((length for length in range(8, 257, 8) if length >= n), 256)
    if rule == "v1.1":
        if n > size:
            return [int(chunk[len(chunk) // 2]) for chunk in np.array_split(np.arange(n), size)]
        extras = np.rint(np.linspace(0, n - 1, size - n + 2)[1:-1])
        return [*range(n), *(min(max(int(extra), 0), n - 1) for extra in extras)]
    if n >= size:
        return [int(v) for v in np.linspace(0, n - 1, size)]
    lacking = size - n
    if lacking <= n:
        chunks = np.array_split(np.arange(n), lacking)
        return [*range(n), *(int(chunk[len(chunk) // 2]) for chunk in chunks)]
    return [*range(n), *(k % n for k in range(lacking))]


def observed(cube: PixelCube, row: int, col: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """A pixel's valid observations, gathered by hand: raw bands, day, kind (1 for the descending orbit)."""

    def rows(stack: Any, days: Any, valid: Any, kind: int) -> NDArray[np.int64]:
        about = np.stack([days[valid], np.full(int(valid.sum()), kind)], axis=1)
        return np.concatenate([stack[valid].astype(np.int64), about], axis=1)

    s2 = rows(cube.s2[:, row, col], cube.s2_doy, cube.s2_mask[:, row, col] != 0, 0)
    orbits = ((cube.s1_asc, cube.s1_asc_doy), (cube.s1_desc, cube.s1_desc_doy))
    s1 = [
        rows(stack[:, row, col], days, (stack[:, row, col] != 0).any(axis=1), kind)
        for kind, (stack, days) in enumerate(orbits)
    ]
    return s2, np.concatenate(s1)


def standardised(rows: NDArray[Any], spec: InputSpec) -> NDArray[np.float32]:
    """(T, C + 2) raw, of `observed`, to the (T, C + 1) that a network takes."""
    bands, days, kinds = rows[:, :-2], rows[:, -2], rows[:, -1]
    kinds_of = [spec.s2] if bands.shape[1] == 10 else [spec.s1_asc, spec.s1_desc]
    mean = np.asarray([part.mean for part in kinds_of])[kinds]
    std = np.asarray([part.std for part in kinds_of])[kinds]
    return np.concatenate([(bands - mean) / (std + 1e-9), days[:, None]], axis=1).astype(np.float32)


def published_inputs(cube: PixelCube, spec: InputSpec, row: int, col: int) -> list[NDArray[np.float32]]:
    """What v1.1 and v2 show their networks of one pixel: sampled, standardised, zeros where there is nothing."""
    nothing = 8 if spec.sampling.rule == "v1.1" else 1
    out = []
    for rows in observed(cube, row, col):
        if len(rows):
            out.append(standardised(rows, spec)[indices_by_hand(spec.sampling.rule, len(rows))])
        else:
            out.append(np.zeros((nothing, rows.shape[1] - 1), dtype=np.float32))
    return out


def expanded(ragged: Ragged) -> dict[int, NDArray[np.int64]]:
    """Pixel -> its whole sequence with repeats (T, C + 2), in the order that the network reads, or of the dates."""
    ends = np.cumsum(ragged.lengths)
    out = {}
    for k, pixel in enumerate(ragged.pixels.tolist()):
        own = slice(int(ends[k] - ragged.lengths[k]), int(ends[k]))
        about = np.stack([ragged.days[own], ragged.kinds[own]], axis=1)
        rows = np.concatenate([ragged.values[own].astype(np.int64), about], axis=1)
        if ragged.sequences is not None:
            out[pixel] = rows[ragged.sequences[k, : int(ragged.spans[k])]]
        else:
            out[pixel] = np.repeat(rows, ragged.counts[own].astype(np.int64), axis=0)
    return out


def job_of(cube: PixelCube, spec: InputSpec, *, ordered: bool = True, first_row: int = 0, **options: Any) -> Job:
    rows = (first_row, first_row + cube.shape[0])
    return make_job(cube, rows, spec, Options(spec.dims, **options), ordered=ordered)


def job_inputs(job: Job, spec: InputSpec, draw: int = 0) -> dict[int, list[NDArray[np.float32]]]:
    """Kept pixel -> the two arrays that the plain network must be shown."""
    parts = [expanded(ragged) for ragged in job.draws[draw]]
    nothing = 8 if spec.sampling.rule == "v1.1" else 1
    return {
        pixel: [
            standardised(part[pixel], spec) if pixel in part else np.zeros((nothing, bands + 1), dtype=np.float32)
            for part, bands in zip(parts, (10, 2), strict=True)
        ]
        for pixel in job.kept.tolist()
    }


@torch.inference_mode()
def plain_vector(network: TwoBackbones, inputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """One pixel through the network alone."""
    s2, s1 = (torch.from_numpy(part[None]) for part in inputs)
    out: NDArray[np.float32] = network(s2, s1)[0].numpy()
    return out


@torch.inference_mode()
def engine_vectors(runner: Runner, job: Job) -> NDArray[np.float32]:
    """(K, out) of a job's kept pixels, before they are quantised."""
    out: NDArray[np.float32] = runner._mean(job, lambda _: None).float().numpy()
    return out


def runner_of(name: str, precision: str = "fp32") -> Runner:
    return Runner(tiny_network(name), spec_of(name), "cpu", precision)
