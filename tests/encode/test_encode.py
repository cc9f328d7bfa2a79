from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.cubes import PixelCube, open_cube, write_cube
from tessera.embeddings import ModelIdentity, quantise
from tessera.encode import Encoder, load_encoder, sample_indices
from tessera.encode.observations import batches, observe
from tessera.models import STUDENT_SPEC, Student, StudentShape

BINS = STUDENT_SPEC.sampling.bins


def tiny_encoder() -> Encoder:
    torch.manual_seed(3)
    network = Student(StudentShape(4, 2, 4, 32, 128)).eval().requires_grad_(False)
    return Encoder(network, STUDENT_SPEC, ModelIdentity("tiny", "cd" * 32, 128, (16, 32, 64, 128)))


def ragged_cube(seed: int = 0, shape: tuple[int, int] = (9, 11), dates: tuple[int, int, int] = (21, 7, 9)) -> PixelCube:
    """Pixels with every number of observations, none included."""
    rng = np.random.default_rng(seed)
    keep = rng.random(shape)

    def days(count: int) -> Any:
        return np.sort(rng.choice(np.arange(1, 367), count, replace=False)).astype(np.int16)

    mask = (rng.random((dates[0], *shape)) < keep).astype(np.uint8)
    mask[:, 0, :3] = 0
    stacks = []
    for count in dates[1:]:
        stack = rng.integers(1, 9000, (count, *shape, 2)).astype(np.int16)
        stack[rng.random((count, *shape)) > rng.random(shape)] = 0
        stack[:, 0, 1:4] = 0
        stacks.append(stack)
    return PixelCube(
        s2=rng.integers(1, 9000, (dates[0], *shape, 10), dtype=np.uint16),
        s2_mask=mask,
        s2_doy=days(dates[0]),
        s1_asc=stacks[0],
        s1_asc_doy=days(dates[1]),
        s1_desc=stacks[1],
        s1_desc_doy=days(dates[2]),
    )


# The published rule once more, straight from its description and one pixel at a time.
def rule_by_hand(n: int) -> list[int]:
    size = next((b for b in range(8, 257, 8) if b >= n), 256)
    if n >= size:
        return [int(v) for v in np.linspace(0, n - 1, size)]
    lacking = size - n
    if lacking <= n:
        runs = np.array_split(np.arange(n), lacking)
        return [*range(n), *(int(run[len(run) // 2]) for run in runs)]
    return [*range(n), *(k % n for k in range(lacking))]


@given(st.integers(1, 700))
def test_the_sampling_rule_is_the_published_one(n: int) -> None:
    indices = sample_indices("v2", BINS, n)
    assert indices.tolist() == rule_by_hand(n)
    assert len(indices) in BINS
    if n <= 256:
        assert set(indices.tolist()) == set(range(n))
        assert len(indices) - n < 8


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(InputError, match="'v7'; expected one of v2"):
        sample_indices("v7", BINS, 3)


def pixel_inputs(cube: PixelCube, row: int, col: int) -> tuple[Any, Any]:
    """What the network must see of one pixel, by the published description."""
    spec = STUDENT_SPEC

    def tokens(stack: Any, days: Any, valid: Any, stats: Any) -> Any:
        values = (stack[valid].astype(np.float64) - stats.mean) / (np.asarray(stats.std) + 1e-9)
        return np.concatenate([values, days[valid, None]], axis=1)

    s2 = tokens(cube.s2[:, row, col], cube.s2_doy, cube.s2_mask[:, row, col] != 0, spec.s2)
    s1 = np.concatenate(
        [
            tokens(stack[:, row, col], days, (stack[:, row, col] != 0).any(axis=1), stats)
            for stack, days, stats in (
                (cube.s1_asc, cube.s1_asc_doy, spec.s1_asc),
                (cube.s1_desc, cube.s1_desc_doy, spec.s1_desc),
            )
        ]
    )
    one, other = (part[rule_by_hand(len(part))] if len(part) else np.zeros((1, part.shape[1])) for part in (s2, s1))
    return one, other


def test_batches_hold_every_pixels_inputs_once_and_stay_within_budget() -> None:
    cube = ragged_cube()
    s2, s1, counts = observe(cube, STUDENT_SPEC)
    seen: list[int] = []
    for pixels, a, b in batches(s2, s1, STUDENT_SPEC.sampling, 200):
        assert len(pixels) == 1 or a.shape[0] * (a.shape[1] + b.shape[1]) <= 200 + a.shape[0] * 2
        for number, one, other in zip(pixels.tolist(), a, b, strict=True):
            wanted = pixel_inputs(cube, number // 11, number % 11)
            np.testing.assert_allclose(one, wanted[0], rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(other, wanted[1], rtol=1e-5, atol=1e-5)
        seen += pixels.tolist()
    assert sorted(seen) == np.flatnonzero(counts.any(axis=1)).tolist()
    assert counts[1].tolist() == [0, 0, 0]
    assert counts[:, 0].tolist() == (cube.s2_mask[:] != 0).sum(axis=0).reshape(-1).tolist()


def test_pixels_without_observations_are_no_data_unless_asked_for() -> None:
    cube, encoder = ragged_cube(), tiny_encoder()
    plain, filled = encoder.encode(cube), encoder.encode(cube, reference_fill=True)
    empty = ~plain.counts.any(axis=2)
    assert empty.sum() == 2
    assert np.isnan(plain.scales[empty]).all()
    assert (plain.codes[empty] == 0).all()
    assert np.isfinite(plain.scales[~empty]).all()
    assert (filled.scales[empty] == np.float32(np.float32(1e-12) / np.float32(127))).all()
    assert (filled.values()[empty] == 0).all()
    assert np.array_equal(filled.codes, plain.codes)


def test_the_same_pixel_has_the_same_codes_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    cube, encoder = ragged_cube(), tiny_encoder()
    whole = encoder.encode(cube)
    monkeypatch.setattr("tessera.encode.encoder._BLOCK_BYTES", 1)
    monkeypatch.setattr("tessera.encode.encoder._TOKEN_BUDGET", 64)
    parts = encoder.encode(cube)
    assert (np.abs(whole.codes.astype(int) - parts.codes) <= 1).all()
    assert (whole.codes == parts.codes).mean() >= 0.999
    np.testing.assert_allclose(whole.scales, parts.scales, rtol=1e-5)
    again = encoder.encode(cube)
    assert np.array_equal(again.codes, parts.codes)


@given(st.permutations(range(20)), st.integers(1, 12))
def test_order_of_observations_does_not_matter(order: list[int], split: int) -> None:
    rng = np.random.default_rng(split)
    s2, s1 = rng.normal(size=(3, 20, 11)).astype(np.float32), rng.normal(size=(3, 20, 3)).astype(np.float32)
    s2[..., -1] = rng.integers(1, 367, (3, 20))
    s1[..., -1] = rng.integers(1, 367, (3, 20))
    encoder = tiny_encoder()
    np.testing.assert_allclose(
        encoder.encode_batch(s2, s1), encoder.encode_batch(s2[:, order], s1[:, order]), atol=2e-5
    )


@pytest.mark.parametrize("dims", [16, 32, 64])
def test_a_prefix_is_truncated_before_it_is_quantised(dims: int) -> None:
    cube, encoder = ragged_cube(), tiny_encoder()
    prefix = encoder.encode(cube, dims=dims)
    s2, s1, _ = observe(cube, STUDENT_SPEC)
    for pixels, a, b in batches(s2, s1, STUDENT_SPEC.sampling, 65_536):
        codes, scales = quantise(encoder.encode_batch(a, b)[:, :dims])
        assert np.array_equal(prefix.codes.reshape(-1, dims)[pixels], codes)
        assert np.array_equal(prefix.scales.reshape(-1)[pixels], scales)
    assert prefix.model.dims == dims
    assert prefix.model.sha256 == encoder.identity.sha256
    with pytest.raises(InputError, match="17 dims of tiny; expected one of 16, 32, 64, 128"):
        encoder.encode(cube, dims=17)


def test_a_cube_on_disk_gives_the_same_bytes_as_one_in_memory(tmp_path: Path) -> None:
    cube, encoder = ragged_cube(), tiny_encoder()
    stored = write_cube(cube, tmp_path / "cube.zarr")
    one, other = encoder.encode(cube), encoder.encode(stored)
    assert np.array_equal(one.codes, other.codes)
    assert np.array_equal(one.scales, other.scales, equal_nan=True)
    assert one.provenance == other.provenance


@pytest.mark.parametrize("dates", [(5, 0, 3), (5, 3, 0), (5, 0, 0), (0, 3, 2), (0, 0, 0)])
def test_a_cube_without_an_orbit_or_a_sensor_is_embedded_from_what_there_is(dates: tuple[int, int, int]) -> None:
    cube, encoder = ragged_cube(dates=dates), tiny_encoder()
    found = encoder.encode(cube)
    assert np.array_equal(np.isfinite(found.scales), found.counts.any(axis=2))
    for row, col in ((0, 0), (4, 4), (8, 10)):
        if found.counts[row, col].any():
            one, other = (part[None].astype(np.float32) for part in pixel_inputs(cube, row, col))
            codes, _ = quantise(encoder.encode_batch(one, other))
            assert np.abs(codes[0].astype(int) - found.codes[row, col]).max() <= 1


@pytest.mark.parametrize(
    ("s2", "s1", "reason"),
    [
        (np.zeros((2, 8, 10)), np.zeros((2, 8, 3)), r"expected \(N, T, 11\)"),
        (np.zeros((2, 8, 11)), np.zeros((2, 8, 4)), r"expected \(N, T, 3\)"),
        (np.zeros((2, 0, 11)), np.zeros((2, 8, 3)), "shape"),
        (np.zeros((2, 8, 11)), np.zeros((3, 8, 3)), "2 and s1 of 3"),
        (np.full((2, 8, 11), np.nan), np.zeros((2, 8, 3)), "not finite"),
    ],
)
def test_batches_that_do_not_fit_are_refused(s2: Any, s1: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        tiny_encoder().encode_batch(s2, s1)


def test_a_cube_in_another_band_order_than_the_weights_is_refused() -> None:
    encoder = tiny_encoder()
    other = replace(STUDENT_SPEC, s2_bands=tuple(sorted(STUDENT_SPEC.s2_bands)))
    with pytest.raises(InputError, match="in another order"):
        replace(encoder, spec=other).encode(ragged_cube())


def test_progress_reaches_the_end() -> None:
    seen: list[tuple[int, int]] = []
    tiny_encoder().encode(ragged_cube(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (9, 9)


@pytest.mark.parametrize("name", ["nano", "tiny"])
def test_the_reference_fixtures_are_met(shared: Path, checkpoints: Path, name: str) -> None:
    encoder = load_encoder(checkpoints / f"v2_{name}.pt")
    expected = np.load(shared / "fixtures" / "expected" / f"v2_{name}.npz")
    for case in "abc":
        vectors = encoder.encode_batch(expected[f"s2_{case}"], expected[f"s1_{case}"])
        np.testing.assert_allclose(vectors, expected[f"emb_{case}"], atol=1e-4, rtol=1e-4)
    cube = open_cube(shared / "fixtures" / "tile_a")
    known = ~expected["empty_tile_a"]
    for dims, suffix in ((None, ""), (16, "_d16")):
        tile = encoder.encode(cube, dims)
        off = np.abs(tile.codes.astype(int) - expected[f"int8{suffix}_tile_a"])[known]
        assert off.max() <= 1
        assert (off == 0).mean() >= 0.999
        np.testing.assert_allclose(tile.scales[known], expected[f"scale{suffix}_tile_a"][known], rtol=1e-4)
        assert np.array_equal(np.isnan(tile.scales), ~known)


def test_sampled_inputs_of_the_reference_tile_are_exact(shared: Path, checkpoints: Path) -> None:
    """The fixtures hold the reference's vectors of the tile: ours from inputs gathered by hand must agree with them."""
    encoder = load_encoder(checkpoints / "v2_tiny.pt")
    expected = np.load(shared / "fixtures" / "expected" / "v2_tiny.npz")
    cube = open_cube(shared / "fixtures" / "tile_a").load()
    s2, s1, _ = observe(cube, encoder.spec)
    for pixels, a, b in batches(s2, s1, encoder.spec.sampling, 4096):
        for number, one, other in zip(pixels.tolist(), a, b, strict=True):
            wanted = pixel_inputs(cube, number // 5, number % 5)
            np.testing.assert_allclose(one, wanted[0], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(other, wanted[1], rtol=1e-6, atol=1e-6)
        vectors = encoder.encode_batch(a, b)
        np.testing.assert_allclose(vectors, expected["emb_tile_a"].reshape(-1, 128)[pixels], atol=1e-4, rtol=1e-4)


def test_real_pixels_keep_their_distances_in_eight_bits(shared: Path, checkpoints: Path) -> None:
    cube = open_cube(shared / "fixtures" / "tile_a")
    encoder = load_encoder(checkpoints / "v2_nano.pt")
    embeddings = encoder.encode(cube)
    values = embeddings.values()[embeddings.valid]
    s2, s1, _ = observe(cube.load(), encoder.spec)
    vectors = np.full((30, 128), np.nan, np.float32)
    for pixels, a, b in batches(s2, s1, encoder.spec.sampling, 4096):
        vectors[pixels] = encoder.encode_batch(a, b)
    vectors = vectors[embeddings.valid.reshape(-1)]
    cosine = (values * vectors).sum(1) / np.linalg.norm(values, axis=1) / np.linalg.norm(vectors, axis=1)
    assert cosine.min() > 0.9999
