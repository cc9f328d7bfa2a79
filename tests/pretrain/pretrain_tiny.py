"""A run of seconds; as a program, `pretrain_tiny.py OUT STEP` kills itself after that step, as a power cut would."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tessera.cubes import PixelSeries, series_of_arrays
from tessera.models import Shape
from tessera.pretrain import pretrain

if TYPE_CHECKING:
    from tessera.models import Checkpoint

TINY = Shape(latent_dim=4, num_layers=1, nhead=2, dim_feedforward=16, repr_dim=16)


def make_series(pixels: int = 48) -> PixelSeries:
    """Pixels of four kinds, each with a season of its own, twelve dates of either modality."""
    rng = np.random.default_rng(5)
    days = np.arange(15, 360, 30, dtype=np.int16)
    kind = (np.arange(pixels) % 4)[:, None, None]
    season = np.sin(days / 58 + kind[..., 0])[..., None]
    s2 = np.clip(2500 + 1500 * season + 200 * rng.normal(size=(pixels, 12, 10)), 1, 9000).astype(np.uint16)
    s1 = np.clip(5000 + 900 * kind + 300 * rng.normal(size=(pixels, 12, 2)), 1, 9000).astype(np.int16)
    valid = np.ones((pixels, 12), dtype=np.bool_)
    return series_of_arrays(s2, valid, days, s1, days, np.arange(12) % 2 == 0)


def train(out: Path, **changed: Any) -> Checkpoint:
    """The run that the tests repeat, stop and compare."""
    settings: dict[str, Any] = {"steps": 24, "batch": 16, "draws": 6, "width": 24, "save_every": 5, "log_every": 4}
    return pretrain(make_series(), TINY, out=out, **{**settings, **changed})


if __name__ == "__main__":
    torch.set_num_threads(1)
    last = int(sys.argv[2])

    def die(done: int, total: int) -> None:
        if done == last:
            os.kill(os.getpid(), signal.SIGKILL)

    train(Path(sys.argv[1]), progress=die)
