"""Devices and precisions: their names, bfloat16 against float32 on real pixels, layers as the processor wants them."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encode_tiny import (
    FAMILY_NAMES,
    RECURRENT,
    engine_vectors,
    job_inputs,
    job_of,
    plain_vector,
    ragged_cube,
    runner_of,
    spec_of,
    tiny_encoder,
    tiny_network,
)
from torch import nn

from tessera.base import InputError
from tessera.cubes import PixelCube
from tessera.encode import Encoder, find_devices, load_encoder
from tessera.encode._device import PackedLinear, has_bf16, parse_device, parse_precision, prepare
from tessera.encode._run import Runner
from tessera.models import FAMILIES, STUDENT_SPEC, Shape
from tessera.scale import devices_for

CPU = torch.device("cpu")
needs_bf16 = pytest.mark.skipif(
    not has_bf16(CPU), reason="this processor has no AVX512-BF16 or AMX instructions for bfloat16"
)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (9, 0))


@pytest.mark.parametrize("name", ["tpu", "cpu:x", "cuda:-1", "cuda:1:2", " cpu"])
def test_an_unknown_device_is_named(name: str) -> None:
    with pytest.raises(InputError, match=rf"device '{name}'; expected cpu, cuda or cuda:<number>"):
        parse_device(name)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_is_taken_and_a_gpu_refused() -> None:
    assert parse_device(None) == CPU
    assert find_devices() == find_devices("cpu") == ("cpu",)
    assert devices_for(None, None) == ("cpu",)
    assert devices_for("cpu", 3) == ("cpu", "cpu", "cpu")
    for name in ("cuda", "cuda:0"):
        for refused in (parse_device, find_devices, lambda name: devices_for(name, 2)):
            with pytest.raises(InputError, match=f"device '{name}'; this machine has 0 CUDA devices$"):
                refused(name)


@pytest.mark.usefixtures("three_gpus")
def test_with_gpus_all_are_taken_or_the_one_that_is_named() -> None:
    assert find_devices() == find_devices("cuda") == ("cuda:0", "cuda:1", "cuda:2")
    assert find_devices("cuda:2") == ("cuda:2",)
    assert find_devices("cpu") == ("cpu",)
    assert devices_for(None, None) == ("cuda:0", "cuda:1", "cuda:2")
    assert devices_for(None, 2) == ("cuda:0", "cuda:1")
    assert devices_for(None, 4) == ("cuda:0", "cuda:1", "cuda:2", "cuda:0")
    assert devices_for("cuda:1", 2) == ("cuda:1", "cuda:1")
    with pytest.raises(InputError, match="device 'cuda:3'; this machine has 3 CUDA devices"):
        find_devices("cuda:3")
    assert parse_precision(None, torch.device("cuda:1")) == parse_precision("auto", torch.device("cuda:1")) == "bf16"
    assert parse_precision("fp32", torch.device("cuda:1")) == "fp32"


@pytest.mark.parametrize("workers", [0, -1, 65])
def test_workers_are_at_least_one_and_not_too_many(workers: int) -> None:
    with pytest.raises(InputError, match=f"{workers} workers; expected 1 to 64"):
        devices_for("cpu", workers)


def test_a_precision_is_a_word_that_is_known() -> None:
    assert parse_precision(None, CPU) == "fp32"
    assert parse_precision("bf16", CPU) == "bf16"
    assert parse_precision("auto", CPU) == ("bf16" if has_bf16(CPU) else "fp32")
    for word in ("fp16", "", "BF16"):
        with pytest.raises(InputError, match=rf"precision '{word}'; expected auto, fp32 or bf16"):
            parse_precision(word, CPU)


def test_auto_is_fp32_where_the_processor_lacks_the_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(f"torch.cpu.{name}", lambda: False)
    assert not has_bf16(CPU)
    assert parse_precision("auto", CPU) == "fp32"


def test_an_encoder_is_loaded_for_the_device_and_precision_that_are_asked_for() -> None:
    encoder = load_encoder(device="cpu", precision="bf16")
    assert (encoder.device, encoder.precision) == ("cpu", "bf16")
    assert "bf16 on cpu" in repr(encoder)
    assert (load_encoder(device="cpu").precision) == "fp32"
    for wrong in ({"device": "tpu"}, {"precision": "int4"}):
        with pytest.raises(InputError, match="expected"):
            load_encoder(**wrong)


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_network_made_ready_in_float32_is_the_plain_one_and_the_plain_one_is_not_changed(name: str) -> None:
    network = tiny_network(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    ready = prepare(network, CPU, "fp32")
    s2, s1 = torch.randn(5, 9, 11), torch.randn(5, 4, 3)
    s2[..., -1], s1[..., -1] = 200, 31
    with torch.inference_mode():
        torch.testing.assert_close(ready(s2, s1), network(s2, s1), atol=2e-6, rtol=2e-6)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not any(parameter.requires_grad for parameter in ready.parameters())


def test_the_first_layer_and_the_fusion_stay_float32() -> None:
    ready = prepare(tiny_network("v1.1"), CPU, "bf16")
    for backbone in (ready.s2_backbone, ready.s1_backbone):
        assert backbone.get_parameter("embedding.0.weight").dtype == torch.float32
        assert backbone.get_parameter("attn_pool.layer_norm.weight").dtype == torch.bfloat16
    assert ready.get_parameter("dim_reducer.0.weight").dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [False, True])
def test_a_packed_layer_is_the_plain_layer(dtype: torch.dtype, bias: bool) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(40, 24, bias=bias, dtype=dtype)
    x, other = torch.randn(3, 5, 40).to(dtype), torch.randn(3, 5, 24).to(dtype)
    packed = PackedLinear(layer.weight, layer.bias)
    # one rounding of a bfloat16 result at most, where the plain layer rounds twice
    close: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 0.02, "rtol": 0.01}
    with torch.inference_mode():
        torch.testing.assert_close(packed(x), layer(x), **close)
        torch.testing.assert_close(packed.relu(x), layer(x).relu(), **close)
        torch.testing.assert_close(packed.add(x, other), layer(x) + other, **close)
        assert float(packed.relu(x).min()) == 0
        assert torch.equal(packed(x[:, :2]), packed(x)[:, :2])


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_tiny_networks_are_close_in_bfloat16_too(name: str) -> None:
    job = job_of(ragged_cube(), spec_of(name), ordered=name in RECURRENT)
    one, other = (engine_vectors(runner_of(name, precision), job) for precision in ("fp32", "bf16"))
    assert cosines(one, other).min() > 0.99
    assert not np.array_equal(one, other)


def test_a_tiny_encoder_says_its_precision() -> None:
    found = replace(tiny_encoder(), precision="bf16").encode(ragged_cube())
    assert found.provenance["encoding"] == {"precision": "bf16"}


def cosines(one: Any, other: Any) -> Any:
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / norms


@pytest.fixture(scope="module")
def real(shared: Path) -> PixelCube:
    """Every 8th pixel a side of a real square kilometre, months with gaps, as the benchmark reads them."""
    xarray = pytest.importorskip("xarray")
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "belgium.py"
    about = importlib.util.spec_from_file_location("belgium_for_tests", path)
    assert about is not None
    assert about.loader is not None
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    data = shared / "data" / "belgium_2021" / "worldcereal_preprocessed_inputs.nc"
    cube: PixelCube = module.read_cube(xarray.open_dataset(data, mask_and_scale=False))
    thin: dict[str, Any] = {name: np.ascontiguousarray(np.asarray(getattr(cube, name))[:, ::8, ::8]) for name in STACKS}
    return replace(cube, **thin, grid=None)


STACKS = ("s2", "s2_mask", "s1_asc", "s1_desc")
SMALL = Shape(64, 4, 4, 1024, 128)


@needs_bf16
@pytest.mark.parametrize("name", ["v1_0_qat", "v1_1", "v2_small", "v2_nano"])
def test_bfloat16_keeps_directions_on_real_pixels(real: PixelCube, checkpoints: Path, shared: Path, name: str) -> None:
    if name == "v2_small":
        network, spec = filled(shared, name), STUDENT_SPEC
    else:
        encoder: Encoder = load_encoder(checkpoints / f"{name}.pt", "mpc" if name == "v1_1" else None, device="cpu")
        network, spec = encoder.network, encoder.spec
    job = job_of(real, spec, ordered=name.startswith("v1"))
    assert len(job.kept) > 150
    one, other = (engine_vectors(Runner(network, spec, "cpu", precision), job) for precision in ("fp32", "bf16"))
    for dims in spec.prefix_dims[-1:]:
        assert np.quantile(cosines(one[:, :dims], other[:, :dims]), 0.001) >= 0.9999
    inputs = job_inputs(job, spec)
    for index in (0, len(one) // 2):
        wanted = plain_vector(network, inputs[int(job.kept[index])])
        np.testing.assert_allclose(one[index], wanted, atol=1e-4, rtol=1e-4)


def filled(shared: Path, name: str) -> Any:
    """A student with the fixtures' weights, of which there is no checkpoint among those that tests share."""
    about = importlib.util.spec_from_file_location("build_for_tests", shared / "fixtures" / "build_checkpoints.py")
    assert about is not None
    assert about.loader is not None
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    network = FAMILIES["v2-student"].build(SMALL, 0.0)
    network.load_state_dict(module.state_dict(shared / "fixtures" / "keys" / f"{name}.txt"), strict=True)
    return network.eval().requires_grad_(False)
