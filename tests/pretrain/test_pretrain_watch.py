"""What goes wrong in a run: noticed, named in one line, survived."""

from __future__ import annotations

import errno
import io
import json
import resource
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretrain_tiny import train

from tessera.base import InputError, TesseraError
from tessera.models import read_checkpoint
from tessera.pretrain import Batch, Batches, Machine, Objective, View, plan
from tessera.pretrain import _state as state_module
from tessera.pretrain import loop as loop_module
from tessera.pretrain.devices import losing_others

pytestmark = pytest.mark.usefixtures("one_thread")


def poison(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """These 0-based steps read a value that is no number."""

    class Poisoned(Batches):
        def part(self, step: int, part: int) -> Batch:
            batch = super().part(step, part)
            if step not in steps:
                return batch
            s2 = batch.first.s2.copy()
            s2[3, 1, 4] = np.nan
            return replace(batch, first=View(s2, batch.first.s1))

    monkeypatch.setattr(plan, "Batches", Poisoned)


def test_a_batch_that_is_not_finite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, 6)
    with pytest.raises(
        TesseraError,
        match=r"^step 7: barlow_twins is nan and mix is nan; the batch holds values that are not finite: "
        r"Sentinel-2 of 1 views; expected finite numbers, learning rate ",
    ) as caught:
        train(tmp_path / "tiny.safetensors")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "tiny.safetensors").exists()
    # the state of step 5 is whole, and the run can go on once the data is mended
    assert torch.load(tmp_path / "tiny.safetensors.state", weights_only=True)["step"] == 5


def test_broken_steps_are_left_out_as_many_as_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, 6, 13)
    checkpoint = train(tmp_path / "two.safetensors", skip=2)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in checkpoint.tensors.values())
    log = json.loads((tmp_path / "two.safetensors.json").read_text())["log"]
    assert [record["step"] for record in log if "skipped" in record] == [7, 14]
    with pytest.raises(TesseraError, match=r"^step 14: .* 1 such steps were left out before$"):
        train(tmp_path / "one.safetensors", skip=1)
    # the state of step 10 remembers that one was left out
    with pytest.raises(TesseraError, match=r"^step 14: "):
        train(tmp_path / "one.safetensors", skip=1)


def test_a_gradient_that_is_not_finite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module.Run, "_clip", lambda self: float("inf"))
    with pytest.raises(TesseraError, match=r"^step 1: gradient_norm is inf; the batch is finite; expected finite"):
        train(tmp_path / "tiny.safetensors")


def test_a_collapse_is_named(tmp_path: Path) -> None:
    # nothing holds the dimensions apart, and a rate that sends all pixels to one vector
    with pytest.raises(TesseraError, match=r"^step \d+: the vectors have collapsed, RankMe 0\.0\d\d; expected at leas"):
        train(tmp_path / "tiny.safetensors", steps=80, peak=0.3, objective=Objective(off_diagonal=0, mix=0, width=24))


def test_a_full_disk_leaves_the_state_before(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    small: list[int] = []

    def fill(done: int, total: int) -> None:
        if done == 9:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
            small.append(done)

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(
            TesseraError, match=r"^step 10: the state could not be written to .*: File too large; the state before"
        ) as caught:
            train(path, progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert small == [9]
    assert "\n" not in str(caught.value)
    assert torch.load(f"{path}.state", weights_only=True)["step"] == 5
    assert not list(tmp_path.glob(".*.part"))
    seen: list[int] = []
    again = train(path, progress=lambda done, total: seen.append(done))
    assert seen[0] == 5
    assert again.sha256 == train(tmp_path / "whole" / "tiny.safetensors").sha256


@pytest.mark.parametrize(
    ("module", "said"), [(state_module, "the state could not be written"), (loop_module, "its log cannot be written")]
)
def test_no_space_for_a_state_or_the_log_is_told(
    module: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.safetensors"

    def full(target: Path, data: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    def fill(done: int, total: int) -> None:
        if done == 8:
            monkeypatch.setattr(module, "write_atomic", full)

    with pytest.raises(TesseraError, match=rf"{said}.* No space left on device") as caught:
        train(path, progress=fill)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert train(path).sha256 == train(tmp_path / "whole.safetensors").sha256


def cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def flipped(raw: bytes) -> bytes:
    """One bit in the middle of the largest tensor."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        part = max(archive.infolist(), key=lambda part: part.file_size)
        body = archive.read(part)
    place = raw.index(body) + len(body) // 2
    return raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :]


@pytest.mark.parametrize("damage", [cut, flipped, lambda raw: b"", lambda raw: b"PK nonsense"])
def test_a_damaged_state_falls_back_to_the_one_before(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    whole = train(path, steps=12)
    assert torch.load(f"{path}.state.before", weights_only=True)["step"] == 10
    state = Path(f"{path}.state")
    state.write_bytes(damage(state.read_bytes()))
    path.unlink()
    seen: list[int] = []
    assert train(path, steps=12, progress=lambda done, total: seen.append(done)).sha256 == whole.sha256
    assert seen == [10, 11, 12]
    # between two renames only the one before is there
    state.unlink()
    assert train(path, steps=12).sha256 == whole.sha256


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("step", 13, r"is the state of step 13; expected 0 to 12"),
        ("step", "5", r"is the state of step 5; expected 0 to 12"),
        ("log", [{"step": 40}], r"has a log that is none; expected records of numbers of steps up to 12"),
        ("log", {"step": 4}, r"has a log that is none"),
        ("encoder", {}, r"does not fit the networks of its run: Error\(s\) in loading"),
        ("encoder", [1, 2], r"does not fit the networks of its run"),
        ("optimiser", {"state": {"nobody": {}}}, r"does not fit the networks of its run: moments of 1"),
        ("optimiser", {"state": {"encoder.x": {}}}, r"moments of 1 parameters of \d+"),
        ("run", {"steps": torch.ones(2)}, r"is no state of a run"),
        ("optimiser", None, r"does not fit the networks of its run"),
    ],
)
def test_a_state_that_makes_no_sense_is_refused_in_one_line(tmp_path: Path, key: str, value: Any, said: str) -> None:
    path = tmp_path / "tiny.safetensors"
    train(path, steps=12)
    content = torch.load(f"{path}.state", weights_only=True)
    torch.save(content | {key: value}, f"{path}.state")
    with pytest.raises(InputError, match=said) as caught:
        train(path, steps=12)
    assert "\n" not in str(caught.value)


def test_lost_processes_are_named_and_other_errors_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    with (
        pytest.raises(TesseraError, match=r"^step 7: another process of this run is gone \(.*\); run it again"),
        losing_others(7, 5),
    ):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1")
    with pytest.raises(RuntimeError, match="shapes"), losing_others(7, 5):
        raise RuntimeError("shapes do not fit")


def test_tensorboard_events_stand_beside(tmp_path: Path) -> None:
    train(tmp_path / "tiny.safetensors", steps=8, tensorboard=True)
    reader: Any = import_module("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(tmp_path / "tiny.safetensors.tensorboard"))
    events.Reload()
    assert {"loss", "rankme", "gradient_norm", "pixel_years_per_second"} <= set(events.Tags()["scalars"])
    log = json.loads((tmp_path / "tiny.safetensors.json").read_text())["log"]
    assert [event.step for event in events.Scalars("loss")] == [record["step"] for record in log] == [4, 8]
    assert events.Scalars("loss")[1].value == pytest.approx(log[1]["loss"], rel=1e-6)


def test_compiled_networks_train_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    # the compiler itself takes a minute
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    first = train(tmp_path / "a.safetensors", steps=3, machine=Machine(compile=True))
    assert compiled == ["Student", "Twins"]
    assert first.sha256 == read_checkpoint(tmp_path / "a.safetensors").sha256
