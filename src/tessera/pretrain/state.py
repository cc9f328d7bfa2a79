"""The full state of a run on disk: whole or absent, read as weights only."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tessera.base import InputError, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

FORMAT = "tessera-pretrain-1"


@dataclass(frozen=True)
class State:
    """Everything that a step changes.

    Attributes
    ----------
    encoder, projector : networks
    optimiser : AdamW over both
    log : one record of numbers each time that a step was logged, in order
    """

    encoder: nn.Module
    projector: nn.Module
    optimiser: torch.optim.Optimizer
    log: list[dict[str, float]]

    def save(self, path: Path, step: int, run: dict[str, Any]) -> None:
        """Write the state after `step` steps of the run that `run` describes (plain values)."""
        buffer = io.BytesIO()
        content = {
            "format": FORMAT,
            "run": run,
            "step": step,
            "encoder": self.encoder.state_dict(),
            "projector": self.projector.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "log": self.log,
        }
        torch.save(content, buffer)
        write_atomic(path, buffer.getbuffer())

    def load(self, path: Path, run: dict[str, Any]) -> int:
        """Take up the state at `path`; returns its step.

        Raises
        ------
        InputError
            The file is no such state, or that of a run with other settings or other data.
        """
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0][:120]
            raise InputError(f"{path} cannot be read as the state of a run: {reason}") from None
        given = content.get("run") if isinstance(content, dict) and content.get("format") == FORMAT else None
        if not isinstance(given, dict):
            raise InputError(f"{path} is no state of a run; expected the format {FORMAT}")
        for key in sorted(run.keys() | given.keys()):
            if run.get(key) != given.get(key):
                raise InputError(
                    f"{path} is of a run with {key} {given.get(key)!r}; expected {run.get(key)!r}, or another output"
                )
        self.encoder.load_state_dict(content["encoder"])
        self.projector.load_state_dict(content["projector"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.log[:] = content["log"]
        return int(content["step"])
