"""What several processes run under torchrun: `pretrain_ranks.py FOLDER CASE...` trains each case together."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretrain_tiny import train

from tessera.pretrain import Batch, Batches, Machine, Objective, View, plan
from tessera.pretrain.loop import Run

CPU64 = Machine(accelerator="cpu", precision="fp64")
SHARDED = replace(CPU64, sharded=True)
CPU32 = Machine(accelerator="cpu")
CASES: dict[str, dict[str, Any]] = {
    "gathered": {"objective": Objective(gather=True, width=24, prefixes=(4,), quantise_from=2), "machine": CPU64},
    "local": {"objective": Objective(width=24), "machine": CPU64},
    "vicreg": {"objective": Objective(loss="vicreg", gather=True, width=24), "machine": CPU64},
    "float32": {"objective": Objective(gather=True, width=24), "machine": CPU32, "dropout": 0.0},
    "sharded": {"objective": Objective(gather=True, width=24), "machine": SHARDED},
    "crossed": {
        "objective": Objective(gather=True, width=24),
        "machine": replace(CPU64, sharded=True),
        "save_every": 2,
    },
    "skipped": {
        "objective": Objective(weight=0, recall_weight=1.0),
        "machine": SHARDED,
        "accumulate": 2,
        "skip": 2,
        "save_every": 1,
    },
    "saved": {"objective": Objective(gather=True, width=24), "machine": CPU64, "steps": 9, "save_every": 3},
}
"""Six steps each, or one; two parts of eight pixel-years a step, or four of four."""


PLAIN = {"machine": CPU64, "accumulate": 2}
"""What makes one process train as two that are sharded."""


class StoppedError(Exception):
    """What a run that is stopped raises here."""


def stop(done: int, total: int) -> None:
    """Progress that ends a run after its third step."""
    if done == 3:
        raise StoppedError


def run_case(name: str, folder: Path, **changed: Any) -> None:
    """Train a case; FOLDER/<name>.safetensors and its state come out."""
    settings = {"steps": 1 if name == "float32" else 6, "batch": 16, "save_every": 50, "log_every": 2} | CASES[name]
    with pytest.MonkeyPatch.context() as patch:
        if name == "skipped":
            patch.setattr(plan, "Batches", Poisoned)
        train(folder / f"{name}.safetensors", **settings | changed)


class Poisoned(Batches):
    """The second of four parts of the first and of the third step holds a value that is no number."""

    def part(self, step: int, part: int) -> Batch:
        batch = super().part(step, part)
        if part == 1 and step in (0, 2):
            batch.first.s2[0, 0, 0] = np.nan
        return batch


class Merged(Batches):
    """The same steps, their parts as one."""

    def part(self, step: int, part: int) -> Batch:
        parts = Batches(self.table, self.spec, batch=self.batch, parts=2, draws=self.draws, seed=self.seed)
        two = [parts.part(step, part) for part in range(2)]
        half = self.batch // 2

        def view(name: str) -> View:
            return View(*(np.concatenate([getattr(getattr(b, name), key) for b in two]) for key in ("s2", "s1")))

        order = np.concatenate([two[0].order, two[1].order + half])
        return Batch(view("first"), view("second"), two[0].targets, two[0].alpha, order, two[0].seed)


def die(folder: Path) -> None:
    """The second process is gone in the middle of the seventh step, after a state of the sixth, in FOLDER/lost."""
    step = Run._step

    def until(self: Run, number: int, batches: list[Batch], logged: bool) -> dict[str, float]:
        if number == 6 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, number, batches, logged)

    setattr(Run, "_step", until)  # noqa: B010 - the type of a method is not that of a function
    run_case("saved", folder / "lost")


if __name__ == "__main__":
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    for case in sys.argv[2:]:
        if case == "die":
            die(target)
        else:
            run_case(case, target)
