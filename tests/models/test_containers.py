"""Every container of every family: read, written, converted there and back, and each way in which one does not fit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models_tiny import (
    KINDS,
    SHAPES,
    assert_same,
    container,
    family_of_kind,
    published,
    source_of_kind,
    tiny,
    tiny_of,
)

from tessera.base import InputError
from tessera.models import (
    FAMILIES,
    PUBLISHED,
    V1_1_SPECS,
    Shape,
    Statistics,
    bundled_path,
    read_checkpoint,
    write_checkpoint,
    write_published,
)

RELEASED = {
    "v1.0-early": Shape(128, 8, 8, 4096, 128),
    "v1.0": Shape(128, 4, 4, 4096, 128),
    "v1.1-mpc": Shape(192, 4, 4, 2048, 192),
    "v1.1-aws": Shape(192, 4, 4, 2048, 192),
    "v2-nano": Shape(36, 2, 4, 384, 128),
    "v2-small": Shape(64, 4, 4, 1024, 128),
    "v2-medium": Shape(110, 4, 4, 1792, 128),
    "v2-large": Shape(160, 4, 4, 2560, 128),
    "v2-teacher": Shape(1024, 4, 4, 16384, 1024),
}


@cache
def whole_file(kind: str, suffix: str) -> bytes:
    """The bytes of a tiny checkpoint in the published container (pt) or in ours (safetensors)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{suffix}"
        if suffix == "pt":
            published(tiny_of(kind), path)
        else:
            write_checkpoint(tiny_of(kind), path)
        return path.read_bytes()


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_the_published_container_is_read_and_goes_there_and_back(tmp_path: Path, kind: str) -> None:
    checkpoint, source = tiny_of(kind), source_of_kind(kind)
    read = read_checkpoint(published(checkpoint, tmp_path / "a.pt"), source)
    assert_same(read, checkpoint)
    assert read.name == "a"
    assert read.source == source
    assert read.published is None
    write_checkpoint(read, tmp_path / "b.safetensors")
    own = read_checkpoint(tmp_path / "b.safetensors")
    assert_same(own, checkpoint)
    write_published(own, tmp_path / "c.pt")
    back = read_checkpoint(tmp_path / "c.pt", source)
    assert_same(back, checkpoint)
    write_checkpoint(own, tmp_path / "d.safetensors")
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "d.safetensors").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "b.safetensors", "c.pt", "d.safetensors"]
    s2, s1 = torch.zeros(2, 3, 11), torch.ones(2, 4, 3)
    assert torch.equal(checkpoint.network()(s2, s1), back.network()(s2, s1))


def test_what_the_published_code_looks_for_is_written(tmp_path: Path) -> None:
    for kind, keys in (
        ("v2-student", {"args", "model"}),
        ("v2-teacher", {"arch", "encoder_state_dict"}),
        ("v1.1", {"model_state", "config"}),
        ("v1.0", {"model_state_dict"}),
    ):
        write_published(tiny_of(kind), tmp_path / "a.pt")
        assert keys <= torch.load(tmp_path / "a.pt", weights_only=True).keys()
    write_published(tiny(), tmp_path / "a.pt")
    args = torch.load(tmp_path / "a.pt", weights_only=True)["args"]
    assert args == container(tiny())["args"]


def test_tensors_of_one_mapped_file_are_written_apart(tmp_path: Path) -> None:
    checkpoint = tiny()
    total = sum(value.numel() for value in checkpoint.tensors.values())
    whole, start, views = torch.zeros(total + 1_000_000), 500, {}
    for key, value in checkpoint.tensors.items():
        views[key] = whole[start : start + value.numel()].view(value.shape)
        views[key].copy_(value)
        start += value.numel()
    write_published(replace(checkpoint, tensors=views), tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 200_000
    assert_same(read_checkpoint(tmp_path / "a.pt"), checkpoint)


def test_the_bundled_weights_keep_their_identity(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(bundled_path())
    assert checkpoint.sha256.startswith("2e5a224f0e39")
    write_checkpoint(checkpoint, tmp_path / "a.safetensors")
    assert read_checkpoint(tmp_path / "a.safetensors").sha256 == checkpoint.sha256


@pytest.mark.parametrize("source", ["bundled", "written"])
def test_a_flipped_bit_in_a_safetensors_file_is_refused(tmp_path: Path, source: str) -> None:
    path = tmp_path / "a.safetensors"
    if source == "written":
        write_checkpoint(tiny_of("v2-student"), path)
        data = bytearray(path.read_bytes())
    else:
        data = bytearray(bundled_path().read_bytes())
    data[-2] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(InputError, match="is damaged: its tensors are of identity"):
        read_checkpoint(path)


def test_a_safetensors_file_without_its_identity_is_refused(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(bundled_path(), "pt") as held:
        about = {key: value for key, value in held.metadata().items() if key != "identity"}
    save_file(load_file(bundled_path()), tmp_path / "a.safetensors", metadata=about)
    with pytest.raises(InputError, match="cannot be read: KeyError\\('identity'\\)"):
        read_checkpoint(tmp_path / "a.safetensors")


def test_v1_is_read_with_and_without_what_its_training_left(tmp_path: Path) -> None:
    checkpoint = tiny_of("v1.1")
    state = checkpoint.tensors
    other = {key: value + 1 for key, value in state.items()}
    for content in (
        {"model_state": state, "model_state_dict": other},
        {"model_state_dict": {f"s1_backbone._orig_mod.{k[12:]}" if k[1] == "1" else k: v for k, v in state.items()}},
        {"model_state": {**state, "projector.x": torch.zeros(1)}, "optimizer": {"state": {0: torch.zeros(9)}}},
        {"model_state": state, "best_val_acc": np.float64(0.5), "args": {"out": Path("runs")}},
        dict(state),
    ):
        torch.save(content, tmp_path / "a.pt")
        assert_same(read_checkpoint(tmp_path / "a.pt", "mpc"), checkpoint)
    torch.save(
        {"model_state": {**state, **{f"_orig_mod.{key}": value for key, value in state.items()}}}, tmp_path / "a.pt"
    )
    assert "twice" in refusal(lambda: read_checkpoint(tmp_path / "a.pt", "mpc"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_taken_as_the_float32_that_it_stands_for(tmp_path: Path, kind: str, dtype: Any) -> None:
    checkpoint = tiny_of(kind)
    halves = {key: value.to(dtype) for key, value in checkpoint.tensors.items()}
    path = published(checkpoint, tmp_path / "a.pt", **halves)
    if kind.startswith("v2-student"):
        assert "expected float32" in refusal(lambda: read_checkpoint(path))
        return
    read = read_checkpoint(path, source_of_kind(kind))
    assert all(torch.equal(read.tensors[key], value.float()) for key, value in halves.items())


def test_v1_1_is_bound_to_the_source_that_is_named(tmp_path: Path) -> None:
    path = published(tiny_of("v1.1"), tmp_path / "a.pt")
    assert "expected source=mpc or source=aws" in refusal(lambda: read_checkpoint(path))
    assert "source 'esa'" in refusal(lambda: read_checkpoint(path, "esa"))
    one, other = read_checkpoint(path, "mpc"), read_checkpoint(path, "aws")
    assert (one.source, other.source) == ("mpc", "aws")
    assert one.sha256 != other.sha256
    own = tmp_path / "aws.safetensors"
    write_checkpoint(other, own)
    assert_same(read_checkpoint(own), other)
    assert_same(read_checkpoint(own, "aws"), other)
    assert "its statistics are those of aws" in refusal(lambda: read_checkpoint(own, "mpc"))
    assert "source 'esa'" in refusal(lambda: read_checkpoint(own, "esa"))
    assert "give none" in refusal(lambda: read_checkpoint(bundled_path(), "mpc"))
    assert "give none" in refusal(lambda: read_checkpoint(published(tiny_of("v2-teacher"), tmp_path / "t.pt"), "aws"))
    strange = replace(other, spec=replace(other.spec, s1_asc=Statistics((0.0, 0.0), (1.0, 1.0))))
    write_checkpoint(strange, own)
    assert read_checkpoint(own).source is None
    assert "its statistics are its own" in refusal(lambda: read_checkpoint(own, "mpc"))


def test_what_a_published_container_cannot_say_is_not_written_into_one(tmp_path: Path) -> None:
    for checkpoint in (
        replace(tiny(), spec=replace(tiny().spec, s2=V1_1_SPECS["mpc"].s2)),
        replace(tiny_of("v1.0"), shape=replace(SHAPES["v1.0"], nhead=2)),
        replace(tiny_of("v2-teacher"), spec=replace(tiny_of("v2-teacher").spec, dims=8, prefix_dims=(8,))),
    ):
        assert ".safetensors" in refusal(lambda one=checkpoint: write_published(one, tmp_path / "a.pt"))  # type: ignore[misc]
    assert list(tmp_path.iterdir()) == []
    kept = {"projector.x": torch.zeros(1)}
    assert "tensors of training such as projector.x" in refusal(lambda: replace(tiny(), training=kept))


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("v2-teacher", {"arch": {"final_layernorm": False}}, "final_layernorm False; expected True"),
        ("v2-teacher", {"arch": {"final_layernorm": True}}, "latent_dim None"),
        ("v2-teacher", {"arch": 3}, "arch is no dict"),
        ("v2-teacher", {"encoder_state_dict": [1]}, "holds a list of weights"),
        ("v2-student", {"args": {"enable_qk_norm": "yes"}}, "enable_qk_norm 'yes'"),
        ("v2-student", {"args": {"enable_qk_norm": True}}, "missing such as"),
        ("v1.1", {"model_state": 3}, "holds a int of weights"),
        ("v1.1", {"model_state": {}}, "expected the recurrent pooling of v1.0 or v1.1"),
        ("v1.0", {"model_state_dict": {"s2_backbone.x": 1}}, "s2_backbone.x is no tensor"),
    ],
)
def test_containers_that_say_nonsense_are_refused(tmp_path: Path, kind: str, change: Any, reason: str) -> None:
    torch.save({**container(tiny_of(kind)), **change}, tmp_path / "a.pt")
    assert reason in refusal(lambda: read_checkpoint(tmp_path / "a.pt", source_of_kind(kind)))


def test_tensors_with_tricks_are_refused(tmp_path: Path) -> None:
    key = "s2_backbone.embedding.2.weight"
    checkpoint = tiny_of("v1.0")
    for trick, reason in (
        (torch.zeros(1).expand(8, 8), "claims 64 values"),
        (torch.zeros(8, 8).to_sparse(), "holds more than weights (torch._utils._rebuild_sparse_tensor)"),
    ):
        path = published(checkpoint, tmp_path / "a.pt", **{key: trick})
        assert reason in refusal(lambda path=path: read_checkpoint(path))  # type: ignore[misc]


def test_a_v1_encoder_that_lost_its_last_layers_is_not_taken_for_a_smaller_one(tmp_path: Path) -> None:
    shape = replace(RELEASED["v1.1-mpc"], num_layers=1, dim_feedforward=4)
    tensors = {key: torch.zeros(sizes) for key, sizes in FAMILIES["v1.1"].shapes_of(shape).items()}
    torch.save({"model_state": tensors}, tmp_path / "a.pt")
    assert "has 1 layers, 768 wide; expected 4" in refusal(lambda: read_checkpoint(tmp_path / "a.pt", "mpc"))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=24)
@given(data=st.data())
def test_a_tensor_dropped_or_reshaped_or_added_is_named(kind: str, data: st.DataObject) -> None:
    checkpoint, source = tiny_of(kind), source_of_kind(kind)
    key = data.draw(st.sampled_from(sorted(checkpoint.tensors)))
    value = checkpoint.tensors[key]
    more = torch.zeros(value.shape[0] + 1, *value.shape[1:])
    changes: list[dict[str, Any]] = [
        {key: None},
        {key: value.flatten()[:-1]},
        {key: more},
        {key: value.double()},
        {key: torch.full_like(value, float("nan"))},
        {"s2_backbone.surplus": torch.zeros(2)},
    ]
    change = data.draw(st.sampled_from(changes))
    with tempfile.TemporaryDirectory() as folder:
        path = published(checkpoint, Path(folder) / "a.pt", **change)
        line = refusal(lambda: read_checkpoint(path, source))
    assert next(iter(change)) in line


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("kind", ["v1.1", "v2-teacher", "v2-student"])
@settings(max_examples=30)
@given(data=st.data())
def test_a_checkpoint_of_any_shorter_length_is_refused(kind: str, suffix: str, data: st.DataObject) -> None:
    whole = whole_file(kind, suffix)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{suffix}"
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        assert str(path) in refusal(lambda: read_checkpoint(path, source_of_kind(kind)))


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@given(data=st.data())
def test_one_flipped_bit_among_the_tensors_is_refused(suffix: str, data: st.DataObject) -> None:
    checkpoint = tiny_of("v2-teacher")
    key = data.draw(st.sampled_from(sorted(checkpoint.tensors)))
    value = checkpoint.tensors[key].numpy().tobytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{suffix}"
        damaged = bytearray(whole_file("v2-teacher", suffix))
        assert damaged.count(value) >= 1
        place = damaged.find(value) + data.draw(st.integers(0, len(value) - 1))
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(damaged)
        line = refusal(lambda: read_checkpoint(path))
    assert "damaged" in line or "not finite" in line


def test_a_file_written_without_checksums_is_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        path = published(tiny(), tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(read_checkpoint(path), tiny())


def test_the_fixtures_of_every_version_load_strictly_and_convert(checkpoints: Path, tmp_path: Path) -> None:
    for name, family, training in (
        ("v1_0_early_with_projector", "v1.0-early", 37),
        ("v1_0_qat", "v1.0", 0),
        ("v1_1", "v1.1", 0),
        ("v2_nano", "v2-student", 0),
        ("v2_small_qk", "v2-student", 0),
    ):
        source = "aws" if family == "v1.1" else None
        checkpoint = read_checkpoint(checkpoints / f"{name}.pt", source)
        assert (checkpoint.spec.family, len(checkpoint.training)) == (family, training)
        assert checkpoint.shape.qk_norm == name.endswith("qk")
        if family == "v1.0-early":
            write_checkpoint(checkpoint, tmp_path / "a.safetensors")
            write_published(read_checkpoint(tmp_path / "a.safetensors"), tmp_path / "a.pt")
            assert_same(read_checkpoint(tmp_path / "a.pt"), checkpoint)


@pytest.mark.parametrize("alias", RELEASED)
def test_released_sizes_have_the_published_number_of_parameters(alias: str) -> None:
    file = PUBLISHED[alias]
    shapes = FAMILIES[file.family].shapes_of(RELEASED[alias])
    assert sum(torch.Size(sizes).numel() for sizes in shapes.values()) == file.parameters
    assert FAMILIES[file.family].spec(file.source, alias).dims == file.dims


@pytest.mark.parametrize(
    ("keys", "alias"),
    [
        ("v1_0_early_with_projector", "v1.0-early"),
        ("v1_0_qat", "v1.0"),
        ("v1_1", "v1.1-mpc"),
        ("v2_nano", "v2-nano"),
        ("v2_small", "v2-small"),
        ("v2_medium", "v2-medium"),
        ("v2_large", "v2-large"),
        ("v2_teacher_full", "v2-teacher"),
    ],
)
def test_the_reference_names_and_shapes_are_the_networks(shared: Path, keys: str, alias: str) -> None:
    lines = (shared / "fixtures" / "keys" / f"{keys}.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    listed = {name: tuple(int(n) for n in shape.strip("[]").split(",") if n.strip()) for name, shape, _ in rows}
    encoder = {name: shape for name, shape in listed.items() if not name.startswith("projector.")}
    assert encoder == FAMILIES[family_of_kind(PUBLISHED[alias].family)].shapes_of(RELEASED[alias])
