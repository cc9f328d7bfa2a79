"""The loop: the same weights however often it was stopped, and one line when training fails."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pretrain_tiny
import pytest
import torch
from pretrain_tiny import TINY, make_series, train

from tessera.base import InputError, Progress, TesseraError
from tessera.cubes import cube_of, series_of_arrays, series_of_cube
from tessera.encode import embed_with, encoder_of, load_encoder
from tessera.models import STUDENT_SPEC, Checkpoint, Student, read_checkpoint, write_checkpoint
from tessera.pretrain import Machine, Objective, rankme

pytestmark = pytest.mark.usefixtures("one_thread")


class StoppedError(Exception):
    """What an interrupted run raises here."""


def stop_at(step: int) -> Progress:
    def progress(done: int, total: int) -> None:
        if done == step:
            raise StoppedError

    return progress


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole" / "tiny.safetensors")
    path = tmp_path / "parts" / "tiny.safetensors"
    for step in (7, 12, 13):
        with pytest.raises(StoppedError):
            train(path, progress=stop_at(step))
        assert not path.exists()
    seen: list[int] = []
    train(path, progress=lambda done, total: seen.append(done))
    assert seen == list(range(10, 25))
    names = [tmp_path / folder / "tiny.safetensors" for folder in ("whole", "parts")]
    for suffix in ("", ".json"):
        first, second = (Path(f"{name}{suffix}").read_bytes() for name in names)
        assert first == second
    states = [torch.load(f"{name}.state", weights_only=True) for name in names]
    for part in ("encoder", "objective"):
        torch.testing.assert_close(states[0][part], states[1][part], rtol=0, atol=0)
    held = [state["optimiser"] for state in states]
    torch.testing.assert_close(held[0]["state"], held[1]["state"], rtol=0, atol=0)
    assert held[0]["param_groups"] == held[1]["param_groups"]
    assert read_checkpoint(path).sha256 == whole.sha256
    assert train(path).sha256 == whole.sha256


def test_a_killed_run_goes_on_when_run_again(tmp_path: Path) -> None:
    path = tmp_path / "killed" / "tiny.safetensors"
    script = [sys.executable, str(Path(pretrain_tiny.__file__)), str(path), "13"]
    killed = subprocess.run(script, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not path.exists()
    assert torch.load(f"{path}.state", weights_only=True)["step"] == 10
    train(path)
    assert path.read_bytes() == _bytes_of(train(tmp_path / "tiny.safetensors"), tmp_path)


def _bytes_of(checkpoint: Checkpoint, folder: Path) -> bytes:
    write_checkpoint(checkpoint, folder / "copy.safetensors")
    return (folder / "copy.safetensors").read_bytes()


def test_other_settings_or_data_do_not_take_up_a_state(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    train(path, steps=2)
    with pytest.raises(InputError, match=r"is of a run with steps 2; expected 3, or another output") as caught:
        train(path, steps=3)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"is of a run with seed 3407; expected 1"):
        train(path, steps=2, seed=1)
    torch.save({"format": "another"}, f"{path}.state")
    with pytest.raises(InputError, match=r"is no state of a run; expected the format tessera-pretrain-3"):
        train(path, steps=2)
    Path(f"{path}.state").write_bytes(b"PK nonsense")
    with pytest.raises(InputError, match=r"cannot be read as the state of a run"):
        train(path, steps=2)


def test_a_finished_file_without_its_state_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(b"weights of somebody")
    with pytest.raises(InputError, match=r"tiny.safetensors exists and no state of its run beside it; expected anothe"):
        train(path)
    assert path.read_bytes() == b"weights of somebody"


def test_a_log_is_made_good_when_run_again(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    train(path, steps=6)
    log = Path(f"{path}.json")
    expected = log.read_bytes()
    # as a kill right after the last state leaves it
    log.unlink()
    path.unlink()
    train(path, steps=6)
    assert log.read_bytes() == expected
    log.write_text("{}")
    train(path, steps=6)
    assert log.read_bytes() == expected


def test_an_output_that_cannot_be_written_is_told_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    seen: list[int] = []
    with pytest.raises(InputError, match=r"tiny.safetensors cannot be written: .*file is no folder") as caught:
        train(tmp_path / "file" / "tiny.safetensors", progress=lambda done, total: seen.append(done))
    assert seen == []
    assert "\n" not in str(caught.value)


def test_training_lowers_the_loss_and_tells_the_kinds_apart(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    probed: list[str] = []

    def probe(checkpoint: Checkpoint) -> dict[str, float]:
        probed.append(checkpoint.name)
        return {"probe": 0.5}

    checkpoint = train(path, steps=60, probe=probe, probe_every=30, peak=5e-3)
    log = json.loads(Path(f"{path}.json").read_text())["log"]
    assert [record["step"] for record in log] == sorted({*range(4, 61, 4), 30})
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert probed == ["tiny", "tiny"]
    assert [record["step"] for record in log if "probe" in record] == [30, 60]
    assert checkpoint.spec.prefix_dims == (16,)
    vectors = embed_with(encoder_of(checkpoint), make_series())
    assert rankme(torch.from_numpy(vectors)) > 0.15
    kinds = np.arange(48) % 4
    centres = np.stack([vectors[kinds == kind].mean(axis=0) for kind in range(4)])
    nearest = ((vectors[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == kinds).mean() > 0.9


def test_bfloat16_trains_to_nearly_the_same(tmp_path: Path) -> None:
    losses, checkpoints = {}, {}
    for kind in ("fp32", "bf16"):
        path = tmp_path / f"{kind}.safetensors"
        # not Barlow Twins: whitening the vectors of a fresh network, nearly all alike, magnifies their rounding
        told = Objective(weight=0, recall_weight=1.0)
        checkpoints[kind] = train(path, machine=Machine(precision=kind), objective=told, dropout=0.0)
        losses[kind] = [record["loss"] for record in json.loads(Path(f"{path}.json").read_text())["log"]]
    assert all(tensor.dtype == torch.float32 for tensor in checkpoints["bf16"].tensors.values())
    assert losses["fp32"] != losses["bf16"]
    np.testing.assert_allclose(losses["bf16"], losses["fp32"], rtol=0.03)


def test_the_random_numbers_of_the_caller_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(tmp_path / "tiny.safetensors", steps=2)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("changed", [{"steps": 0}, {"batch": 1}])
def test_senseless_sizes_are_refused(tmp_path: Path, changed: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"steps of .* expected at least 1 step of 2"):
        train(tmp_path / "tiny.safetensors", **changed)


def test_a_state_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (ran,)  # type: ignore[return-value]

    torch.save({"format": "tessera-pretrain-3", "run": Bomb()}, tmp_path / "tiny.safetensors.state")
    with pytest.raises(InputError, match=r"cannot be read as the state of a run"):
        train(tmp_path / "tiny.safetensors")
    assert not ran.exists()


def test_a_seed_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"seed -1; expected 0 to"):
        train(tmp_path / "tiny.safetensors", seed=-1)


def test_vectors_of_a_series_are_those_of_its_cube(tmp_path: Path) -> None:
    torch.manual_seed(2)
    spec = replace(STUDENT_SPEC, dims=16, prefix_dims=(16,))
    checkpoint = Checkpoint(TINY, spec, dict(Student(TINY).state_dict()), "tiny")
    write_checkpoint(checkpoint, tmp_path / "tiny.safetensors")
    rng = np.random.default_rng(4)
    seen = rng.random((2, 20, 14)) < 0.9
    days = np.sort(rng.integers(1, 367, (2, 14)), axis=1).astype(np.int16)
    s2 = rng.integers(1, 10000, (20, 14, 10)).astype(np.uint16)
    s1 = rng.integers(1, 9000, (20, 14, 2)).astype(np.int16) * seen[1][..., None]
    cube = cube_of(series_of_arrays(s2, seen[0], days[0], s1, days[1], np.arange(14) % 2 == 0))
    embeddings = load_encoder(tmp_path / "tiny.safetensors").encode(cube)
    vectors = embed_with(encoder_of(checkpoint), series_of_cube(cube, minimum=1))
    step = embeddings.scales.reshape(-1, 1)
    assert (np.abs(embeddings.values().reshape(-1, 16) - vectors) <= 0.51 * step).all()


def test_one_process_at_a_time_trains_an_output(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    seen: list[int] = []

    def begin_again(done: int, total: int) -> None:
        seen.append(done)
        if done == 3:
            with pytest.raises(
                TesseraError, match=r"another process trains .*tiny.safetensors; expected one at a time"
            ):
                train(path)

    whole = train(path, progress=begin_again)
    assert seen[-1] == 24
    assert read_checkpoint(path).sha256 == whole.sha256 == train(tmp_path / "b" / "tiny.safetensors").sha256


@pytest.mark.parametrize("name", ["tiny.safetensors", "tiny.safetensors.json"])
def test_a_file_of_something_else_is_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"mine": 1}')
    with pytest.raises(InputError, match=r"exists and (no state of its run|is no log of a run)"):
        train(tmp_path / "tiny.safetensors")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: '{"mine": 1}'}


def test_a_finished_file_whose_state_is_gone_is_kept_and_a_state_makes_its_file_again(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    whole = train(path)
    path.unlink()
    assert train(path).sha256 == whole.sha256
    assert read_checkpoint(path).sha256 == whole.sha256
    for state in tmp_path.glob("*.state*"):
        state.unlink()
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists and no state of its run beside it"):
        train(path)
    assert path.read_bytes() == before
