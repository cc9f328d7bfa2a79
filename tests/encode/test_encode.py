"""A cube to embeddings: what is no data, what is the same whatever the block, what is said about how it was made."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encode_tiny import (
    FAMILY_NAMES,
    engine_vectors,
    job_inputs,
    job_of,
    plain_vector,
    published_inputs,
    ragged_cube,
    spec_of,
    tiny_encoder,
)

from tessera.base import InputError
from tessera.cubes import write_cube
from tessera.embeddings import Embeddings, quantise
from tessera.encode import Draw, plan_blocks

pytestmark = pytest.mark.usefixtures("one_thread")


def same(one: Embeddings, other: Embeddings) -> None:
    assert np.array_equal(np.isnan(one.scales), np.isnan(other.scales))
    off = np.abs(one.codes.astype(int) - other.codes)
    assert off.max() <= 1
    assert (off == 0).mean() >= 0.999
    known = ~np.isnan(one.scales)
    np.testing.assert_allclose(one.scales[known], other.scales[known], rtol=1e-4)
    assert np.array_equal(one.counts, other.counts)


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_only_pixels_without_any_observation_are_no_data(name: str) -> None:
    cube, encoder = ragged_cube(), tiny_encoder(name)
    found = encoder.encode(cube)
    empty = ~found.counts.any(axis=2)
    assert np.flatnonzero(empty).tolist() == [1, 2]
    assert np.array_equal(np.isnan(found.scales), empty)
    assert (found.codes[empty] == 0).all()
    assert found.codes[~empty].any(axis=-1).all()
    assert found.counts[..., 0].tolist() == (cube.s2_mask[:] != 0).sum(axis=0).tolist()
    for index, stack in ((1, cube.s1_asc), (2, cube.s1_desc)):
        assert found.counts[..., index].tolist() == (stack[:] != 0).any(axis=-1).sum(axis=0).tolist()


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_the_published_fill_is_that_of_the_family(name: str) -> None:
    cube, encoder = ragged_cube(), tiny_encoder(name)
    dark = np.asarray(cube.s2).copy()
    dark[:, 5, 5] = 0
    cube = replace(cube, s2=dark)
    plain, filled = encoder.encode(cube), encoder.encode(cube, reference_fill=True)
    floor = encoder.spec.quantiser.floor
    least = np.float32(np.float32(floor) / np.float32(127))
    assert not np.isnan(filled.scales).any()
    left = (filled.codes == 0).all(axis=-1)
    if name.startswith("v1.0"):
        # without a Sentinel-2 value they are dropped, though radar saw them; cloudy ones are embedded
        assert left.tolist() == (~dark.any(axis=(0, 3))).tolist()
        assert np.flatnonzero(left).tolist() == [1, 5 * 11 + 5]
        assert np.isfinite(plain.scales[5, 5])
    elif name == "v1.1":
        assert not left.any()
        zeros = [np.zeros((8, bands + 1), np.float32) for bands in (10, 2)]
        codes, scales = quantise(plain_vector(encoder.network, zeros)[:128], floor, -128)
        assert np.abs(filled.codes[0, 1].astype(int) - codes).max() <= 1
        np.testing.assert_allclose(filled.scales[0, 1], scales, rtol=1e-4)
    else:
        assert np.flatnonzero(left).tolist() == [1, 2]
    assert (filled.scales[left] == least).all()
    both = ~left & ~np.isnan(plain.scales)
    assert np.array_equal(filled.codes[both], plain.codes[both])


@pytest.mark.parametrize("name", ["v1.0", "v1.1", "v2-student"])
def test_pixels_with_too_few_observations_are_no_data_on_request(name: str) -> None:
    cube, encoder = ragged_cube(), tiny_encoder(name)
    plain = encoder.encode(cube)
    for s2, s1 in ((9, 0), (0, 12), (5, 5)):
        found = encoder.encode(cube, min_s2=s2, min_s1=s1)
        enough = plain.counts.any(axis=2) & (plain.counts[..., 0] >= s2) & (plain.counts[..., 1:].sum(axis=2) >= s1)
        assert 0 < enough.sum() < 97
        assert np.array_equal(~np.isnan(found.scales), enough)
        assert np.array_equal(found.codes[enough], plain.codes[enough])
        assert np.array_equal(found.counts, plain.counts)
        filled = encoder.encode(cube, min_s2=s2, min_s1=s1, reference_fill=True)
        assert (filled.codes[~enough] == 0).all()
        assert not np.isnan(filled.scales).any()
    with pytest.raises(InputError, match="min_s2 -1 and min_s1 0; expected 0 or more"):
        encoder.encode(cube, min_s2=-1)


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_the_same_pixel_has_the_same_codes_whatever_the_block(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cube, encoder = ragged_cube(placed=True), tiny_encoder(name)
    whole = encoder.encode(cube)
    monkeypatch.setattr("tessera.encode.row_blocks._BLOCK_PIXELS", 25)
    monkeypatch.setattr("tessera.encode._run._BUDGET", 64)
    assert len(plan_blocks(cube)) < sum(map(len, plan_blocks(cube))) == 5
    same(encoder.encode(cube), whole)
    monkeypatch.setattr("tessera.encode.row_blocks._READ_BYTES", 1)
    assert [len(group) for group in plan_blocks(cube)] == [1] * 5
    same(encoder.encode(cube), whole)
    crop = encoder.encode(cube.crop(2, 7, 3, 10))
    same(crop, whole.crop(slice(2, 7), slice(3, 10)))


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_cube_on_disk_gives_the_same_bytes_as_one_in_memory(name: str, tmp_path: Path) -> None:
    cube, encoder = ragged_cube(), tiny_encoder(name)
    one, other = encoder.encode(cube), encoder.encode(write_cube(cube, tmp_path / "cube.zarr"))
    assert np.array_equal(one.codes, other.codes)
    assert np.array_equal(one.scales, other.scales, equal_nan=True)
    assert one.provenance == other.provenance


@pytest.mark.parametrize("name", ["v1.1", "v2-student", "v2-teacher"])
@pytest.mark.parametrize("dates", [(5, 0, 3), (5, 3, 0), (5, 0, 0), (0, 3, 2), (0, 0, 0)])
def test_a_cube_without_an_orbit_or_a_sensor_is_embedded_from_what_there_is(
    dates: tuple[int, int, int], name: str
) -> None:
    cube, encoder = ragged_cube(dates=dates), tiny_encoder(name)
    found = encoder.encode(cube)
    assert np.array_equal(np.isfinite(found.scales), found.counts.any(axis=2))
    assert found.counts.any() == any(dates)
    for row, col in ((0, 3), (0, 4), (4, 4), (8, 10)):
        if found.counts[row, col].any():
            vector = plain_vector(encoder.network, published_inputs(cube, encoder.spec, row, col))[:128]
            codes, _ = quantise(vector[None], encoder.spec.quantiser.floor)
            assert np.abs(codes[0].astype(int) - found.codes[row, col]).max() <= 1


@pytest.mark.parametrize("dates", [(45, 0, 0), (0, 45, 0), (45, 0, 3)])
def test_v1_0_sees_zeros_of_day_180_where_an_orbit_is_missing(dates: tuple[int, int, int]) -> None:
    cube, encoder = ragged_cube(dates=dates), tiny_encoder("v1.0")
    spec, found = encoder.spec, encoder.encode(cube)
    assert np.array_equal(np.isfinite(found.scales), found.counts.any(axis=2))
    gone = [index for index, count in enumerate((dates[0], dates[1] + dates[2])) if count == 0]
    for index, statistics in ((0, spec.s2), (1, spec.s1_asc)):
        if index in gone:
            row = (-np.asarray(statistics.mean) / (np.asarray(statistics.std) + 1e-9)).astype(np.float32)
            dummy = np.tile(np.append(row, np.float32(180)), (40, 1))
            job = job_of(cube, spec)
            pixel = int(job.kept[0])
            other = job.draws[0][1 - index]
            assert pixel in other.pixels
            full = [dummy, dummy]
            full[1 - index] = job_inputs(job, spec)[pixel][1 - index]
            codes, _ = quantise(plain_vector(encoder.network, full)[None], spec.quantiser.floor, -128)
            assert np.abs(codes[0].astype(int) - found.codes[divmod(pixel, 11)]).max() <= 1


@pytest.mark.parametrize("dims", [16, 32, 64])
def test_a_prefix_is_truncated_before_it_is_quantised(dims: int) -> None:
    cube, encoder = ragged_cube(), tiny_encoder()
    prefix = encoder.encode(cube, dims=dims)
    job = job_of(cube, encoder.spec, ordered=False)
    codes, scales = quantise(engine_vectors(encoder._runner, job)[:, :dims])
    assert np.array_equal(prefix.codes.reshape(-1, dims)[job.kept], codes)
    assert np.array_equal(prefix.scales.reshape(-1)[job.kept], scales)
    assert prefix.model.dims == dims
    assert prefix.model.prefix_dims == tuple(size for size in (16, 32, 64, 128) if size <= dims)
    assert prefix.model.sha256 == encoder.identity.sha256


@pytest.mark.parametrize(("name", "choices"), [("v2-student", "16, 32, 64, 128"), ("v1.1", "128"), ("v1.0", "128")])
def test_a_prefix_that_the_model_does_not_have_is_refused(name: str, choices: str) -> None:
    for dims in (17, 0, -1, 192):
        with pytest.raises(InputError, match=f"{dims} dims of tiny; expected one of {choices}$"):
            tiny_encoder(name).encode(ragged_cube(), dims=dims)


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_seed_matters_only_where_something_is_drawn(name: str) -> None:
    cube, encoder = ragged_cube(), tiny_encoder(name)
    one, other = (encoder.encode(cube, draw=Draw(seed)) for seed in (0, 1))
    assert (np.array_equal(one.codes, other.codes)) == (not name.startswith("v1.0"))
    assert np.array_equal(encoder.encode(cube).codes, one.codes)
    encoding: dict[str, Any] = {"precision": "fp32"}
    if name.startswith("v1.0"):
        encoding["draw"] = {"seed": 1, "repeats": 1, "numpy_batch": None}
    assert other.provenance["encoding"] == encoding
    assert other.provenance["cube_sha256"] == cube.sha256


def test_options_stand_in_the_provenance() -> None:
    draw = Draw(4, 2, 16)
    found = tiny_encoder("v1.0").encode(ragged_cube(), reference_fill=True, min_s2=2, min_s1=3, draw=draw)
    assert found.provenance["encoding"] == {
        "precision": "fp32",
        "draw": asdict(draw),
        "reference_fill": True,
        "min_s2": 2,
        "min_s1": 3,
    }


@pytest.mark.parametrize("draw", [Draw(3, 4), Draw(3, 4, 16)])
def test_repeats_are_averaged_before_they_are_quantised(draw: Draw) -> None:
    cube, encoder = ragged_cube(), tiny_encoder("v1.0")
    found = encoder.encode(cube, draw=draw)
    if draw.numpy_batch is None:
        job = job_of(cube, encoder.spec, draw=draw)
        each = [engine_vectors(encoder._runner, replace(job, draws=[once])) for once in job.draws]
        codes, scales = quantise(np.mean(each, axis=0), encoder.spec.quantiser.floor, -128)
        assert np.abs(codes.astype(int) - found.codes.reshape(-1, 128)[job.kept]).max() <= 1
        np.testing.assert_allclose(found.scales.reshape(-1)[job.kept], scales, rtol=1e-4)
        assert max(np.abs(one - each[0]).max() for one in each[1:]) > 0.01
    assert (found.codes != encoder.encode(cube, draw=Draw(3, 1, draw.numpy_batch)).codes).any()


@pytest.mark.parametrize("name", ["v1.0", "v2-student"])
def test_progress_reaches_the_end_and_never_goes_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessera.encode.row_blocks._BLOCK_PIXELS", 25)
    monkeypatch.setattr("tessera.encode._run._BUDGET", 64)
    seen: list[tuple[int, int]] = []
    tiny_encoder(name).encode(ragged_cube(), draw=Draw(0, 2), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (99, 99)
    assert {total for _, total in seen} == {99}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len({done for done, _ in seen}) > 10


def test_a_cube_that_cannot_be_read_ends_the_run_with_its_error() -> None:
    class Broken:
        shape, dtype = (61, 9, 11, 10), np.dtype(np.uint16)

        def __getitem__(self, key: Any, /) -> Any:
            raise InputError("chunk 7 is damaged")

    with pytest.raises(InputError, match="chunk 7 is damaged"):
        list(tiny_encoder().blocks(replace(ragged_cube(), s2=Broken()), tiny_encoder().options()))


@pytest.mark.parametrize(
    ("s2", "s1", "reason"),
    [
        (np.zeros((2, 8, 10)), np.zeros((2, 8, 3)), r"expected \(N, T, 11\)"),
        (np.zeros((2, 8, 11)), np.zeros((2, 8, 4)), r"expected \(N, T, 3\)"),
        (np.zeros((2, 0, 11)), np.zeros((2, 8, 3)), "shape"),
        (np.zeros((8, 11)), np.zeros((2, 8, 3)), "shape"),
        (np.zeros((2, 8, 11)), np.zeros((3, 8, 3)), "2 and s1 of 3"),
        (np.full((2, 8, 11), np.nan), np.zeros((2, 8, 3)), "s2 holds values that are not finite"),
        (np.zeros((2, 8, 11)), np.full((2, 8, 3), -np.inf), "s1 holds values that are not finite"),
    ],
)
def test_batches_that_do_not_fit_are_refused(s2: Any, s1: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        tiny_encoder().encode_batch(s2, s1)


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_batch_gives_what_the_network_gives_cut_to_what_is_published(name: str) -> None:
    rng, encoder = np.random.default_rng(1), tiny_encoder(name)
    s2, s1 = rng.normal(size=(3, 12, 11)).astype(np.float32), rng.normal(size=(3, 5, 3)).astype(np.float32)
    s2[..., -1], s1[..., -1] = rng.integers(1, 367, (3, 12)), rng.integers(1, 367, (3, 5))
    vectors = encoder.encode_batch(s2, s1)
    assert vectors.shape == (3, 128)
    for pixel in range(3):
        wanted = plain_vector(encoder.network, [s2[pixel], s1[pixel]])[:128]
        np.testing.assert_allclose(vectors[pixel], wanted, atol=1e-5, rtol=1e-5)
    assert encoder.encode_batch(s2[:0], s1[:0]).shape == (0, 128)


def test_a_cube_in_another_band_order_than_the_weights_is_refused() -> None:
    for change in (
        {"s2_bands": tuple(sorted(spec_of("v2-student").s2_bands))},
        {"s1_bands": ("VH", "VV")},
    ):
        other = replace(tiny_encoder(), spec=replace(spec_of("v2-student"), **change))
        with pytest.raises(InputError, match="in another order"):
            other.encode(ragged_cube())


def test_what_is_no_cube_is_named() -> None:
    with pytest.raises(InputError, match=r"a str to encode; expected a PixelCube, as tessera\.open_cube gives it"):
        tiny_encoder().encode("cube.zarr")  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("dates", [(3, 2, 2), (0, 0, 0), (0, 3, 0), (4, 0, 0)])
def test_a_block_where_nothing_was_seen_is_no_data(family: str, dates: tuple[int, int, int]) -> None:
    cube = ragged_cube(dates=dates)
    dark = replace(
        cube, **{name: np.zeros_like(getattr(cube, name)) for name in ("s2", "s2_mask", "s1_asc", "s1_desc")}
    )
    found = tiny_encoder(family).encode(dark)
    assert np.isnan(found.scales).all()
    assert not found.codes.any()
    filled = tiny_encoder(family).encode(dark, reference_fill=True)
    assert np.isfinite(filled.scales).all()
