"""Several processes and several accumulated parts: the same training as one, and what happens when one is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretrain_ranks import CASES, CPU64, PLAIN, Merged, StoppedError, run_case, stop

from tessera.base import InputError
from tessera.models import read_checkpoint
from tessera.pretrain import Machine, plan

pytestmark = pytest.mark.usefixtures("one_thread")
HERE = Path(__file__).parent


def torchrun(*args: object) -> subprocess.CompletedProcess[str]:
    """Two processes on this machine, each with one thread."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, str(HERE / "pretrain_ranks.py"), *map(str, args)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=180,
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case, trained by two processes in one launch, which loses one of them when all is done."""
    folder = tmp_path_factory.mktemp("two")
    with pytest.raises(StoppedError):
        run_case("crossed", folder, progress=stop, **PLAIN)
    done = torchrun(folder, *CASES, "die")
    assert all((folder / f"{case}.safetensors").exists() for case in CASES), done.stderr[-2000:]
    assert done.returncode != 0
    return folder


def state(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / f"{name}.safetensors.state", weights_only=True)
    return content


def apart(first: dict[str, Any], second: dict[str, Any], part: str) -> float:
    """The largest sum of differences of a tensor of two states."""
    assert first[part].keys() == second[part].keys()
    return max(float((value - second[part][key]).abs().sum()) for key, value in first[part].items())


def moments(content: dict[str, Any]) -> torch.Tensor:
    """What Adam has seen of the gradients; of one step a tenth of the gradient."""
    return torch.cat([value["exp_avg"].flatten() for value in content["optimiser"]["state"].values()])


@pytest.mark.parametrize("name", ["gathered", "local", "vicreg", "saved"])
def test_two_processes_train_as_one_that_accumulates(two: Path, tmp_path: Path, name: str) -> None:
    run_case(name, tmp_path, accumulate=2)
    ours, theirs = state(tmp_path, name), state(two, name)
    assert apart(ours, theirs, "encoder") < 1e-9
    assert apart(ours, theirs, "objective") < 1e-9
    for key in ("loss", "gradient_norm"):
        a, b = ([record[key] for record in content["log"] if key in record] for content in (ours, theirs))
        if name == "local" and key == "loss":
            continue  # of the first process alone
        np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("name", ["gathered", "vicreg"])
def test_accumulated_parts_train_as_the_whole_batch(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_case(name, tmp_path / "parts", accumulate=2, dropout=0.0)
    monkeypatch.setattr(plan, "Batches", Merged)
    run_case(name, tmp_path / "whole", dropout=0.0)
    ours, theirs = state(tmp_path / "parts", name), state(tmp_path / "whole", name)
    assert apart(ours, theirs, "encoder") < 1e-9
    assert apart(ours, theirs, "objective") < 1e-9


def test_without_gathering_parts_are_weighed_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_case("local", tmp_path / "parts", accumulate=2, dropout=0.0)
    monkeypatch.setattr(plan, "Batches", Merged)
    run_case("local", tmp_path / "whole", dropout=0.0)
    assert apart(state(tmp_path / "parts", "local"), state(tmp_path / "whole", "local"), "encoder") > 1e-4


def test_gradients_agree_in_float32(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_case("float32", tmp_path / "parts", accumulate=2)
    monkeypatch.setattr(plan, "Batches", Merged)
    run_case("float32", tmp_path / "whole")
    whole = moments(state(tmp_path / "whole", "float32"))
    for folder in (two, tmp_path / "parts"):
        assert float((moments(state(folder, "float32")) - whole).norm() / whole.norm()) < 1e-5


def test_a_sharded_run_trains_as_one(two: Path, tmp_path: Path) -> None:
    run_case("sharded", tmp_path, accumulate=2)
    ours, theirs = (read_checkpoint(folder / "sharded.safetensors") for folder in (tmp_path, two))
    for key, tensor in ours.tensors.items():
        torch.testing.assert_close(theirs.tensors[key], tensor, rtol=1e-6, atol=1e-7)


def test_a_plain_state_goes_on_sharded_and_back(two: Path, tmp_path: Path) -> None:
    whole, back = tmp_path / "whole", tmp_path / "back"
    run_case("crossed", whole, **PLAIN)
    # one plain process made the first two steps of this, two sharded ones the others
    assert apart(state(two, "crossed"), state(whole, "crossed"), "encoder") < 1e-9
    back.mkdir()
    shutil.copy(two / "crossed.safetensors.state.before", back / "crossed.safetensors.state")
    seen: list[int] = []
    run_case("crossed", back, progress=lambda done, total: seen.append(done), **PLAIN)
    assert seen == [4, 5, 6]
    assert apart(state(back, "crossed"), state(whole, "crossed"), "encoder") < 1e-9
    for key, value in state(whole, "crossed")["optimiser"]["state"].items():
        for part, expected in value.items():
            torch.testing.assert_close(state(back, "crossed")["optimiser"]["state"][key][part], expected)


def test_a_step_that_is_left_out_leaves_nothing_behind(two: Path, tmp_path: Path) -> None:
    run_case("skipped", tmp_path, machine=CPU64, accumulate=4)
    ours, theirs = state(tmp_path, "skipped"), state(two, "skipped")
    assert [record["step"] for record in theirs["log"] if "skipped" in record] == [1, 3]
    assert apart(ours, theirs, "encoder") < 1e-9
    steps = {float(value["step"]) for value in theirs["optimiser"]["state"].values()}
    assert steps == {4.0}


def test_a_lost_process_ends_the_run_and_the_next_goes_on(two: Path, tmp_path: Path) -> None:
    lost = tmp_path / "lost"
    shutil.copytree(two / "lost", lost)
    assert not (lost / "saved.safetensors").exists()
    assert state(lost, "saved")["step"] == 6
    run_case("saved", lost, accumulate=2)
    assert apart(state(lost, "saved"), state(two, "saved"), "encoder") < 1e-9


def test_machines_that_are_none() -> None:
    for given, said in (
        ({"accelerator": "tpu"}, r"accelerator 'tpu'; expected auto, cpu, cuda"),
        ({"precision": "fp16"}, r"precision 'fp16'; expected fp32, bf16, fp64"),
        ({"timeout": 0.0}, r"timeout of 0.0 minutes; expected more than 0"),
        ({"timeout": float("inf")}, r"timeout of inf minutes; expected more than 0 and at most 1,000,000"),
    ):
        with pytest.raises(InputError, match=said):
            Machine(**given)


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"accelerator 'cuda', and torch sees no GPU"):
        Machine(accelerator="cuda").start()


def test_parts_that_do_not_cut_the_batch(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a batch of 16 in 3 parts"):
        run_case("gathered", tmp_path, accumulate=3)
    with pytest.raises(InputError, match=r"a batch of 16 in 16 parts; expected at least 2 pixel-years a part"):
        run_case("gathered", tmp_path, accumulate=16)
