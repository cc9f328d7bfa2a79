"""tessera pretrain and tessera distill as a user meets them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tessera.cli.terminal import show as _show
from tessera.encode import load_encoder
from tessera.models import open_checkpoint, read_checkpoint

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("one_thread")
TEXT = """
out = "{out}"
[data]
simulate = 48
[encoder]
latent_dim = 4
num_layers = 1
nhead = 2
dim_feedforward = 16
repr_dim = 16
[augment]
no_radar = 0.2
[plan]
steps = {steps}
batch = 16
draws = 6
save_every = 2
log_every = 2
[machine]
accelerator = "cpu"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    pytest.importorskip("prosail")
    path = tmp_path / "run.toml"
    path.write_text(TEXT.format(out=tmp_path / "tiny.safetensors", steps=6))
    return path


def test_pretrain_writes_an_encoder(run: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run("pretrain", config)
    assert code == 0, err
    checkpoint = read_checkpoint(tmp_path / "tiny.safetensors")
    assert checkpoint.sha256 in out
    assert "Simulating 48 pixel-years: done in" in err
    assert "Training on 48 pixel-years: done in" in err
    assert load_encoder(tmp_path / "tiny.safetensors").identity.sha256 == checkpoint.sha256
    assert run("models", "convert", tmp_path / "tiny.safetensors", tmp_path / "tiny.pt")[0] == 0
    assert read_checkpoint(tmp_path / "tiny.pt").sha256 == checkpoint.sha256
    # nothing is left to do, and nothing changes
    code, _, err = run("pretrain", config)
    assert code == 0
    assert "all 6 steps were already done\n" in err
    assert read_checkpoint(tmp_path / "tiny.safetensors").sha256 == checkpoint.sha256
    code, _, err = run("pretrain", config, "--steps", "8")
    assert code == 2
    assert "is of a run with steps 6; expected 8, or another output" in err
    monkeypatch.setattr(_show, "TELL_EVERY", 0.0)
    code, _, err = run("pretrain", config, "--steps", "2", "--out", tmp_path / "other.safetensors")
    assert code == 0
    assert "Training on 48 pixel-years: 1 of 2" in err


def test_distill_writes_a_student_with_prefixes(run: Run, config: Path, tmp_path: Path) -> None:
    teacher = f'[teacher]\ncheckpoint = "bundled-nano"\ncache = "{tmp_path}/vectors"\n[lesson]\nprefixes = [4, 8]\n'
    config.write_text(config.read_text() + teacher)
    code, out, err = run("distill", config)
    assert code == 0, err
    assert "dims 4 8 16" in out
    assert open_checkpoint(tmp_path / "tiny.safetensors").spec.prefix_dims == (4, 8, 16)
    code, _, err = run("pretrain", config)
    assert (code, err) == (
        2,
        f"tessera: {config} has a section [teacher], which tessera pretrain does not use; "
        f"run tessera distill {config}\n",
    )


def test_mistakes_are_one_line(run: Run, config: Path, tmp_path: Path) -> None:
    code, _, err = run("distill", config)
    assert code == 2
    assert err == f"tessera: {config} has no section [teacher]; add one, or run tessera pretrain {config}\n"
    code, _, err = run("pretrain", tmp_path / "none.toml")
    assert (code, err) == (2, f"tessera: configuration not found: {tmp_path / 'none.toml'}\n")
    config.write_text(config.read_text().replace("simulate = 48", 'cubes = ["nowhere/*.zarr"]'))
    code, _, err = run("pretrain", config)
    assert (code, err) == (2, "tessera: no cube at nowhere/*.zarr; expected a path, or a pattern that matches some\n")


def test_an_interrupt_is_told_and_the_next_call_goes_on(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "long.safetensors"
    config.write_text(TEXT.format(out=out, steps=4000))
    for again in (False, True):
        process = subprocess.Popen(
            [sys.executable, "-m", "tessera", "pretrain", str(config)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert process.stderr is not None
        said = ""
        if again:
            for said in process.stderr:
                if said.startswith("continuing after step "):
                    break
        else:
            for _ in range(600):
                if Path(f"{out}.state").exists():
                    break
                time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err.endswith("tessera: interrupted; finished work is kept, run the same command again to continue\n")
        assert "Traceback" not in err
    assert said.endswith(" of 4,000\n")
