"""The engine against the plain network: repeats as counts, batches of any size, fixed shapes, codes on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from encode_tiny import (
    FAMILY_NAMES,
    RECURRENT,
    SHAPE,
    engine_vectors,
    job_inputs,
    job_of,
    observed,
    plain_vector,
    published_inputs,
    ragged_cube,
    runner_of,
    spec_of,
    tiny_network,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor, nn

from tessera.embeddings import quantise
from tessera.encode import _run as run_module
from tessera.encode._engine import Tower, cuts, quantise_on
from tessera.encode._fixed import FixedTower, shapes
from tessera.encode._run import Runner
from tessera.models.layers import JointLayer, Pool, SplitLayer

CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}


pytestmark = pytest.mark.usefixtures("one_thread")


def fixed(runner: Runner) -> Runner:
    """The same with the towers that a GPU gets."""
    spec, networks = runner.spec, (runner.network.s2_backbone, runner.network.s1_backbone)
    statistics = ([spec.s2], [spec.s1_asc, spec.s1_desc])
    s2, s1 = (
        FixedTower(backbone, of, runner.device, torch.float32, unsigned=unsigned)
        for backbone, of, unsigned in zip(networks, statistics, (True, False), strict=True)
    )
    runner.towers = (s2, s1)
    return runner


@pytest.mark.parametrize("towers", [lambda runner: runner, fixed], ids=["ragged", "fixed"])
@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_packed_observations_give_what_the_plain_network_gives_on_repeated_ones(
    name: str, towers: Callable[[Runner], Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, network, cube = spec_of(name), tiny_network(name), ragged_cube(shape=(4, 11))
    job = job_of(cube, spec, ordered=name in RECURRENT)
    monkeypatch.setattr(run_module, "_OUTER", {"cpu": 512})
    runner = towers(runner_of(name))
    assert runner.ordered == (name in RECURRENT)
    vectors = engine_vectors(runner, job)
    inputs = job_inputs(job, spec)
    assert any(int(part.counts.max()) > 1 for part in job.draws[0])
    for vector, pixel in zip(vectors, job.kept.tolist(), strict=True):
        np.testing.assert_allclose(vector, plain_vector(network, inputs[pixel]), **CLOSE)


@pytest.mark.parametrize("name", ["v1.1", "v2-student", "v2-teacher"])
def test_more_than_256_observations_give_what_the_published_sampling_gives(name: str) -> None:
    spec, network, cube = spec_of(name), tiny_network(name), ragged_cube(2, (2, 5), (320, 150, 140))
    job = job_of(cube, spec, ordered=name == "v1.1")
    assert (job.counts > (256, 128, 128)).any()
    for vector, pixel in zip(engine_vectors(runner_of(name), job), job.kept.tolist(), strict=True):
        wanted = plain_vector(network, published_inputs(cube, spec, *divmod(pixel, 5)))
        np.testing.assert_allclose(vector, wanted, **CLOSE)


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_the_size_of_batches_does_not_matter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(ragged_cube(), spec_of(name), ordered=name in RECURRENT)
    found = []
    for budget, outer, fused in ((4096, 2048, 4096), (64, 200, 7), (16, 16, 1)):
        monkeypatch.setattr(run_module, "_BUDGET", budget)
        monkeypatch.setattr(run_module, "_OUTER", {"cpu": outer})
        monkeypatch.setattr(run_module, "_FUSED", fused)
        found += [engine_vectors(runner_of(name), job), engine_vectors(fixed(runner_of(name)), job)]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], **CLOSE)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.sampled_from(["joint", "split", "pre-norm"]))
def test_a_token_with_a_count_stands_for_that_many(counts: list[int], kind: str) -> None:
    torch.manual_seed(len(counts))
    layers: dict[str, Callable[[], nn.Module]] = {
        "joint": lambda: JointLayer(SHAPE, 0.0),
        "split": lambda: SplitLayer(SHAPE, 0.0, pre_norm=False),
        "pre-norm": lambda: SplitLayer(SHAPE, 0.0, pre_norm=True),
    }
    layer, pool = layers[kind]().eval(), Pool(SHAPE.width)
    x, often = torch.randn(1, len(counts), SHAPE.width), torch.tensor(counts)
    with torch.inference_mode():
        log_count = torch.log(often.float())[None]
        padded = torch.cat([log_count, torch.full((1, 3), float("-inf"))], dim=1)
        wanted = layer(x.repeat_interleave(often, dim=1))
        once = layer(x, log_count)
        with_padding = layer(torch.cat([x, torch.randn(1, 3, SHAPE.width)], dim=1), padded)
        torch.testing.assert_close(once.repeat_interleave(often, dim=1), wanted, **CLOSE)
        torch.testing.assert_close(with_padding[:, : len(counts)], once, **CLOSE)
        torch.testing.assert_close(pool(once, log_count), pool(wanted), **CLOSE)
        torch.testing.assert_close(pool(with_padding, padded), pool(wanted), **CLOSE)


@given(st.permutations(range(20)), st.sampled_from(FAMILY_NAMES))
def test_order_matters_only_to_networks_that_read_time(order: list[int], name: str) -> None:
    rng = np.random.default_rng(order[0])
    arrays_ = [rng.normal(size=(20, bands + 1)).astype(np.float32) for bands in (10, 2)]
    for array in arrays_:
        array[:, -1] = rng.integers(1, 367, 20)
    one, other = (plain_vector(NETWORKS[name], part) for part in (arrays_, [array[order] for array in arrays_]))
    if name not in RECURRENT:
        np.testing.assert_allclose(one, other, atol=2e-5)
    elif sum(place != index for index, place in enumerate(order)) > 10:
        assert np.abs(one - other).max() > 1e-4


NETWORKS = {name: tiny_network(name) for name in FAMILY_NAMES}


@pytest.mark.parametrize("name", RECURRENT)
def test_the_engine_reads_time_in_order_where_the_network_does(name: str) -> None:
    cube, spec = ragged_cube(shape=(2, 11)), spec_of(name)
    backwards = replace(cube, s2_doy=cube.s2_doy[::-1].copy(), s2=np.asarray(cube.s2)[::-1], s2_mask=cube.s2_mask[::-1])
    one, other = (engine_vectors(runner_of(name), job_of(part, spec)) for part in (cube, backwards))
    several = [len(observed(cube, *divmod(pixel, 11))[0]) > 4 for pixel in job_of(cube, spec).kept.tolist()]
    assert (np.abs(one - other).max(axis=1) > 1e-5)[several].all()


@given(st.lists(st.integers(1, 300), min_size=0, max_size=60), st.integers(1, 1000))
def test_runs_of_pixels_cover_all_and_stay_within_the_budget(lengths: list[int], budget: int) -> None:
    ascending = np.sort(np.asarray(lengths, dtype=np.int64))
    runs = list(cuts(ascending, budget))
    assert [start for start, _ in runs] == [0, *(stop for _, stop in runs)][: len(runs)]
    assert (runs[-1][1] if runs else 0) == len(lengths)
    for start, stop in runs:
        assert stop > start
        assert stop - start == 1 or (stop - start) * ascending[stop - 1] <= budget
        # and no run could have held one pixel more
        assert stop == len(lengths) or (stop + 1 - start) * ascending[stop] > budget


@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(1, 3)), min_size=0, max_size=60),
    st.integers(1, 1000),
    st.booleans(),
)
def test_fixed_shapes_cover_all_pixels_and_hold_their_tokens(
    sizes: list[tuple[int, int]], budget: int, ordered: bool
) -> None:
    lengths = np.asarray(sorted(size for size, _ in sizes), dtype=np.int64)
    spans = (lengths + 7) // 8 * 8
    runs = list(shapes(lengths, spans, budget, ordered=ordered))
    covered = [pixel for start, stop, *_ in runs for pixel in range(start, stop)]
    assert covered == list(range(len(sizes)))
    for start, stop, pixels, tokens, span in runs:
        assert stop - start <= pixels
        assert pixels == 1 or pixels * tokens <= budget
        assert lengths[start:stop].max() <= tokens < lengths[start:stop].max() + 8
        assert (spans[start:stop] == span).all() if ordered else span == 0


@pytest.mark.parametrize("name", ["v1.1", "v2-student", "v2-student-qk", "v2-teacher"])
def test_a_modality_without_observations_is_a_token_of_zeros_however_often(name: str) -> None:
    network = tiny_network(name)
    for tower, backbone, bands in zip(
        runner_of(name).towers, (network.s2_backbone, network.s1_backbone), (10, 2), strict=True
    ):
        assert isinstance(tower, Tower)
        with torch.inference_mode():
            for often in (1, 8):
                wanted: Tensor = backbone(torch.zeros(1, often, bands + 1))[0]
                torch.testing.assert_close(tower.nothing(), wanted, **CLOSE)


FLOATS = st.floats(-(2.0**99), 2.0**99, width=32) | st.sampled_from([0.0, -0.0, 1e-13, 3e-8, 127e-8, 1e-40, 0.5, 63.5])


@given(arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=FLOATS), st.booleans())
def test_codes_on_the_device_are_those_of_the_host_to_the_bit(values: NDArray[np.float32], v1: bool) -> None:
    quantiser = spec_of("v1.0" if v1 else "v2-student").quantiser
    codes, scales = quantise_on(torch.from_numpy(values), quantiser.floor, quantiser.low)
    wanted = quantise(values, quantiser.floor, quantiser.low)
    assert np.array_equal(codes.numpy(), wanted[0])
    assert scales.numpy().tobytes() == wanted[1].tobytes()


def test_a_great_count_is_not_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bins may be as long as 4096, and then one observation may stand for as many."""
    monkeypatch.setattr(run_module, "_OUTER", {"cpu": 64})
    spec = replace(spec_of("v2-student"), sampling=replace(spec_of("v2-student").sampling, bins=(1024,)))
    cube = ragged_cube(shape=(2, 3), dates=(3, 1, 1))
    job = job_of(cube, spec, ordered=False)
    assert int(job.draws[0][0].counts.max()) > 255
    inputs = job_inputs(job, spec)
    for runner in (runner_of("v2-student"), fixed(runner_of("v2-student"))):
        for vector, pixel in zip(engine_vectors(runner, job), job.kept.tolist(), strict=True):
            np.testing.assert_allclose(
                vector, plain_vector(NETWORKS["v2-student"], inputs[pixel]), atol=1e-4, rtol=1e-4
            )
