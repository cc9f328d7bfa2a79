from __future__ import annotations

import json
import pickle
import random
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from models_tiny import SPEC, TINY, published, tiny

from tessera.base import InputError
from tessera.encode import RULES, load_encoder
from tessera.models import (
    STUDENT_SPEC,
    InputSpec,
    Quantiser,
    Sampling,
    Statistics,
    bundled_path,
    identity_of,
    open_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from tessera.models.spec import SAMPLING_RULES


def test_both_containers_hold_the_same_model(tmp_path: Path) -> None:
    checkpoint = tiny()
    write_checkpoint(checkpoint, tmp_path / "a.safetensors")
    one = read_checkpoint(tmp_path / "a.safetensors")
    other = read_checkpoint(published(checkpoint, tmp_path / "b.pt"))
    assert one.sha256 == other.sha256 == checkpoint.sha256
    assert one.spec == other.spec == checkpoint.spec
    assert one.shape == other.shape == TINY
    write_checkpoint(one, tmp_path / "c.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()


def test_the_identity_sees_weights_and_specification() -> None:
    checkpoint = tiny()
    changed = {**checkpoint.tensors, "dim_reducer.4.bias": checkpoint.tensors["dim_reducer.4.bias"] + 1e-7}
    shifted = replace(SPEC, s1_asc=replace(SPEC.s1_asc, mean=(0.0, 0.0)))
    seen = {checkpoint.sha256, identity_of(changed, SPEC), identity_of(checkpoint.tensors, shifted)}
    assert len(seen) == 3
    assert tiny().sha256 == checkpoint.sha256


def test_the_specification_round_trips_and_refuses_nonsense() -> None:
    assert InputSpec.from_json(STUDENT_SPEC.to_json()) == STUDENT_SPEC
    value = STUDENT_SPEC.to_json()
    broken: Any
    for broken in ({**value, "s2": {"mean": [1], "std": [1]}}, {**value, "sampling": None}, {}, None, []):
        with pytest.raises(InputError):
            InputSpec.from_json(broken)


def within(value: dict[str, Any], path: str, part: Any) -> dict[str, Any]:
    """A copy in which the value under a path such as "s2/mean" is `part`."""
    copy: dict[str, Any] = json.loads(json.dumps(value))
    *folders, name = path.split("/")
    inner = copy
    for folder in folders:
        inner = inner[folder]
    inner[name] = part
    return copy


@pytest.mark.parametrize(
    ("path", "part", "reason"),
    [
        ("sampling/bins", [], r"bins \(\); expected ascending whole numbers from 1 to 4096"),
        ("sampling/bins", [-5], "bins"),
        ("sampling/bins", [0], "bins"),
        ("sampling/bins", [16, 8], "bins"),
        ("sampling/bins", [8, 8], "bins"),
        ("sampling/bins", [10**9], "bins"),
        ("sampling/bins", [8.0], "bins has 8.0; expected a whole number"),
        ("sampling/bins", "8", "bins is '8'; expected a list"),
        ("sampling/rule", "v9", "sampling rule 'v9'; expected v1.0 or v1.1 or v2"),
        ("sampling/rule", 2, "rule has 2; expected text"),
        ("sampling/more", 2, "sampling has the unknown key 'more'"),
        ("quantiser/floor", float("nan"), "floor has nan; expected a finite number"),
        ("quantiser/floor", 0, "floor 0.0; expected a positive number"),
        ("quantiser/floor", -1.0, "floor -1.0"),
        ("quantiser/floor", "1", "floor has '1'"),
        ("quantiser/low", 0, "low 0; expected a whole number from -128 to -1"),
        ("quantiser/low", -129, "low -129"),
        ("quantiser/low", -127.5, "low has -127.5"),
        ("s2/mean", [float("inf")] * 10, "s2 mean has inf"),
        ("s2/std", [float("nan")] * 10, "s2 std has nan"),
        ("s2/std", [0.0] * 10, "0 positive|10 positive"),
        ("s2/std", [10**400] * 10, "s2 std has 1000"),
        ("s2", 3, "s2 is 3; expected mean, std"),
        ("s2_bands", "B04", "s2_bands is 'B04'; expected a list"),
        ("s1_bands", ["VV", 2], "s1_bands has 2; expected text"),
        ("dims", 128.7, "dims has 128.7; expected a whole number"),
        ("dims", "32", "dims has '32'"),
        ("dims", True, "dims has True"),
        ("dims", float("inf"), "dims has inf"),
        ("dims", 64, "prefix dims .* of 64 dims"),
        ("prefix_dims", [32, 16, 128], "prefix dims"),
        ("prefix_dims", [16, 32], "prefix dims"),
        ("prefix_dims", [0, 128], "prefix dims"),
        ("prefix_dims", [], "prefix dims"),
        ("family", None, "family has None"),
        ("colour", 1, "specification has the unknown key 'colour'"),
    ],
)
def test_a_specification_that_cannot_be_is_refused(tmp_path: Path, path: str, part: Any, reason: str) -> None:
    value = within(STUDENT_SPEC.to_json(), path, part)
    with pytest.raises(InputError, match=reason) as caught:
        InputSpec.from_json(value)
    assert "\n" not in str(caught.value)
    write_checkpoint(tiny(), tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"]["spec"] = json.dumps(value)
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    with pytest.raises(InputError, match=f"a.safetensors: .*({reason})"):
        read_checkpoint(tmp_path / "a.safetensors")


def test_a_specification_is_checked_where_it_is_made() -> None:
    broken: Any
    for broken in (
        lambda: Sampling("v9", (8,)),
        lambda: Sampling("v2", ()),
        lambda: Quantiser(float("nan"), -127),
        lambda: Quantiser(1e-12, 5),
        lambda: Statistics((float("inf"),), (1.0,)),
        lambda: Statistics((1.0,), (float("inf"),)),
        lambda: replace(STUDENT_SPEC, dims=64),
        lambda: replace(STUDENT_SPEC, prefix_dims=(128, 16)),
    ):
        with pytest.raises(InputError):
            broken()


def test_every_rule_that_a_specification_may_name_is_there() -> None:
    assert set(SAMPLING_RULES) == set(RULES)


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("evil-was-here"),))


def test_a_pickle_with_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"args": Evil(), "model": {}}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="more than weights") as caught:
        read_checkpoint(tmp_path / "a.pt")
    assert "\n" not in str(caught.value)
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match="no checkpoint"):
        read_checkpoint(tmp_path / "b.pt")
    assert not (tmp_path / "evil-was-here").exists()


def test_a_published_file_under_another_ending_is_read(tmp_path: Path) -> None:
    checkpoint = tiny()
    assert read_checkpoint(published(checkpoint, tmp_path / "a.safetensors")).sha256 == checkpoint.sha256


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    whole = published(tiny(), tmp_path / "a.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    key = next(name for name in entries if name.endswith("data.pkl"))
    rng = random.Random(0)

    def mutated(data: bytes) -> bytes:
        out = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            out[rng.randrange(len(out))] = rng.randrange(256)
        return bytes(out)

    messages = []
    pickles = [b"", *(mutated(entries[key]) for _ in range(150))]
    for number, data in enumerate([*pickles, *(mutated(whole) for _ in range(100))]):
        path = tmp_path / "b.pt"
        if number < len(pickles):
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in {**entries, key: data}.items():
                    archive.writestr(name, content)
        else:
            path.write_bytes(data)
        try:
            read_checkpoint(path)
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert not any("\n" in message for message in messages)


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    key = "s2_backbone.attn_pool.query.weight"
    good = tiny()
    for change, reason in (
        ({key: None}, "1 missing such as s2_backbone.attn_pool.query.weight"),
        ({"projector.x": torch.zeros(1)}, "1 unknown such as projector.x"),
        ({key: torch.zeros(2, 8)}, r"expected float32 \(1, 8\)"),
        ({key: torch.zeros(1, 8, dtype=torch.float64)}, "float64"),
        ({key: torch.full((1, 8), float("nan"))}, "not finite"),
    ):
        tensors = {name: value for name, value in {**good.tensors, **change}.items() if value is not None}
        path = tmp_path / "a.pt"
        torch.save(
            {
                "args": {"latent_dim": 2, "num_layers": 1, "nhead": 2, "dim_feedforward": 8, "repr_dim": 16},
                "model": tensors,
            },
            path,
        )
        with pytest.raises(InputError, match=reason):
            read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"model_state": {}}, "v1.0 or v1.1"),
        ({"model_state_dict": {}}, "v1.0 or v1.1"),
        ({"arch": {}, "encoder_state_dict": {}}, "a teacher with final_layernorm None; expected True"),
        ({"weights": {}}, "keys weights"),
        ([1], "holds a list"),
        ({"args": {"latent_dim": 10**9}, "model": {}}, "latent_dim 1000000000"),
        ({"args": {"latent_dim": "x"}, "model": {}}, "latent_dim 'x'"),
        ({"args": {"nhead": 7}, "model": {}}, "multiple"),
        ({"args": {"enable_qk_norm": 1.5}, "model": {}}, "enable_qk_norm 1.5; expected true or false"),
        ({"args": {"matryoshka_dims": "a"}, "model": {}}, "matryoshka_dims"),
        ({"args": 3, "model": {}}, "no dict"),
    ],
)
def test_other_contents_are_named(tmp_path: Path, content: Any, reason: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(InputError, match=reason):
        read_checkpoint(tmp_path / "a.pt")


def test_safetensors_of_another_format_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tiny(), tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(data.replace(b"tessera-encoder", b"another-encoder"))
    with pytest.raises(InputError, match="another-encoder"):
        read_checkpoint(tmp_path / "a.safetensors")
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"]["shape"] = "{}]"
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    with pytest.raises(InputError, match="cannot be read"):
        read_checkpoint(tmp_path / "a.safetensors")


def test_the_bundled_encoder_loads_and_is_small() -> None:
    assert bundled_path().stat().st_size <= 5_000_000
    encoder = load_encoder()
    assert encoder.identity.name == "bundled-nano"
    assert encoder.dims == 128


def test_published_fixtures_of_other_versions_load(checkpoints: Path) -> None:
    for name, source, family in (
        ("v1_1", "mpc", "v1.1"),
        ("v1_0_qat", None, "v1.0"),
        ("v2_small_qk", None, "v2-student"),
    ):
        checkpoint = open_checkpoint(checkpoints / f"{name}.pt", source)
        assert (checkpoint.spec.family, checkpoint.spec.dims) == (family, 128)
    with pytest.raises(InputError, match=r"no source for v1_1, v1\.1; expected source=mpc or source=aws"):
        open_checkpoint(checkpoints / "v1_1.pt")
