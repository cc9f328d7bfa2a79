"""The full state of a run on disk: the newest and the one before it, each whole or absent, read as weights only."""

from __future__ import annotations

import io
import pickle
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tessera.base import InputError, TesseraError, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

FORMAT = "tessera-pretrain-2"
_BROKEN = (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError, OSError, zipfile.BadZipFile)


def before(path: Path) -> Path:
    """Where the state before the newest is kept."""
    return path.with_name(f"{path.name}.before")


@dataclass(frozen=True)
class State:
    """Everything that a step changes.

    Attributes
    ----------
    encoder, objective : networks as they are, not as a strategy wraps them
    optimiser : AdamW over both
    log : one record of numbers each time that a step was logged, in order
    sharded : the networks are spread over processes, all of which must call together
    """

    encoder: nn.Module
    objective: nn.Module
    optimiser: torch.optim.Optimizer
    log: list[dict[str, float]]
    sharded: bool = False

    def content(self) -> dict[str, Any]:
        """Networks and optimiser as plain dictionaries; of a sharded run whole on the first process alone."""
        if not self.sharded:
            return {
                "encoder": self.encoder.state_dict(),
                "objective": self.objective.state_dict(),
                "optimiser": self.optimiser.state_dict(),
            }
        from torch.distributed.checkpoint.state_dict import get_model_state_dict, get_optimizer_state_dict

        options = _whole(load=False)
        both = self._both()
        return {
            "encoder": get_model_state_dict(self.encoder, options=options),
            "objective": get_model_state_dict(self.objective, options=options),
            "optimiser": get_optimizer_state_dict(both, self.optimiser, options=options),
        }

    def save(self, path: Path, step: int, run: dict[str, Any], content: dict[str, Any]) -> None:
        """Write `content` as the state after `step` steps of the run that `run` describes (plain values).

        Raises
        ------
        TesseraError
            It cannot be written, say because the disk is full; the newest state on disk is as it was.
        """
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, "run": run, "step": step, "log": self.log, **content}, buffer)
        part = path.with_name(f"{path.name}.next")
        try:
            write_atomic(part, buffer.getbuffer())
            if path.exists():
                path.replace(before(path))
            part.replace(path)
        except OSError as error:
            raise TesseraError(
                f"step {step}: the state could not be written to {path}: {error.strerror or error}; "
                "the one before it is whole, run again when there is room"
            ) from None

    def load(self, path: Path, run: dict[str, Any]) -> int:
        """Take up the newest state at `path` that can be read; returns its step, 0 where there is none.

        Raises
        ------
        InputError
            What is there is no such state, or that of a run with other settings or other data.
        """
        found = [file for file in (path, before(path)) if file.exists()]
        if not found:
            return 0
        for file in found:
            try:
                content = torch.load(file, map_location="cpu", weights_only=True, mmap=False)
                break
            except _BROKEN as error:
                reason = (str(error) or type(error).__name__).splitlines()[0][:120]
                if file is found[-1]:
                    raise InputError(f"{file} cannot be read as the state of a run: {reason}") from None
        given = content.get("run") if isinstance(content, dict) and content.get("format") == FORMAT else None
        if not isinstance(given, dict):
            raise InputError(f"{path} is no state of a run; expected the format {FORMAT}")
        for key in sorted(run.keys() | given.keys()):
            if run.get(key) != given.get(key):
                raise InputError(
                    f"{path} is of a run with {key} {given.get(key)!r}; expected {run.get(key)!r}, or another output"
                )
        if file is not path and path.exists():
            # else the next save would push it over the good one
            with suppress(FileNotFoundError):
                path.replace(path.with_name(f"{path.name}.damaged"))
        self._take(content)
        self.log[:] = content["log"]
        return int(content["step"])

    def _take(self, content: dict[str, Any]) -> None:
        if not self.sharded:
            self.encoder.load_state_dict(content["encoder"])
            self.objective.load_state_dict(content["objective"])
            self.optimiser.load_state_dict(content["optimiser"])
            return
        from torch.distributed.checkpoint.state_dict import set_model_state_dict, set_optimizer_state_dict

        options = _whole(load=True)
        set_model_state_dict(self.encoder, content["encoder"], options=options)
        set_model_state_dict(self.objective, content["objective"], options=options)
        set_optimizer_state_dict(self._both(), self.optimiser, content["optimiser"], options=options)

    def _both(self) -> nn.Module:
        return torch.nn.ModuleDict({"encoder": self.encoder, "objective": self.objective})


def _whole(*, load: bool) -> Any:
    from torch.distributed.checkpoint.state_dict import StateDictOptions

    return StateDictOptions(full_state_dict=True, cpu_offload=not load)
