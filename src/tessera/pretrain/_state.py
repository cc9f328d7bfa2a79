"""The full state of a run on disk: the newest and the previous one, written atomically, read as weights only."""

from __future__ import annotations

import io
import json
import pickle
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tessera.base import InputError, TesseraError, write_atomic
from tessera.models import load_torch_file

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

FORMAT = "tessera-pretrain-3"
_LOG = 32
_BROKEN = (
    pickle.UnpicklingError,
    AssertionError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Errors of zipfile, torch.load and the networks for a damaged or foreign file."""


def before(path: Path) -> Path:
    """The path of the previous state."""
    return path.with_name(f"{path.name}.before")


@dataclass(frozen=True)
class State:
    """Everything that a step changes. Plain and sharded runs write the same content, so that either can continue the
    other: tensors of the whole networks, and the optimiser's by the names of its parameters.

    Attributes
    ----------
    encoder, objective : networks without the wrapper of a strategy
    optimiser : AdamW over both
    log : one record of numbers for each logged step, in order
    sharded : the networks are spread over processes, which must call each method together
    """

    encoder: nn.Module
    objective: nn.Module
    optimiser: torch.optim.Optimizer
    log: list[dict[str, float]]
    sharded: bool = False

    def content(self) -> dict[str, Any]:
        """Networks and optimiser as plain dictionaries; in a sharded run only the first process gets the whole."""
        if not self.sharded:
            names, held = self._names(), self.optimiser.state_dict()
            groups = [group | {"params": [names[i] for i in group["params"]]} for group in held["param_groups"]]
            return {
                "encoder": self.encoder.state_dict(),
                "objective": self.objective.state_dict(),
                "optimiser": {
                    "state": {names[index]: value for index, value in held["state"].items()},
                    "param_groups": groups,
                },
            }
        from torch.distributed.checkpoint.state_dict import get_model_state_dict, get_optimizer_state_dict

        options = _whole(load=False)
        # the networks first: reading their tensors restores the shards that the optimiser refers to
        found: dict[str, Any] = {
            "encoder": get_model_state_dict(self.encoder, options=options),
            "objective": get_model_state_dict(self.objective, options=options),
            "optimiser": {"state": {}},
        }
        if self.optimiser.state:
            # torch would step an optimiser without steps
            found["optimiser"] = get_optimizer_state_dict(self._both(), self.optimiser, options=options)
        return found

    def save(self, path: Path, step: int, run: dict[str, Any], content: dict[str, Any]) -> None:
        """Write `content` as the state after `step` steps of the run that `run` describes (plain values).

        Raises
        ------
        TesseraError
            It cannot be written, for example because the disk is full; the newest state on disk is unchanged.
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
                "the state before it is intact, run again when there is room"
            ) from None

    def load(self, path: Path, run: dict[str, Any]) -> int:
        """Load the newest intact state at `path`; returns its step, 0 if there is none.

        `run` is as given to `save`. A file that is no state, or of a run with other settings or data, is refused.
        """
        found = [file for file in (path, before(path)) if file.exists()]
        if not found:
            return 0
        for file in found:
            try:
                content = _read(file)
                break
            except _BROKEN as error:
                if file is found[-1]:
                    raise InputError(
                        f"{file} cannot be read as the state of a run: {_reason(error)}; expected a whole one, or none"
                    ) from None
        given = content.get("run") if isinstance(content, dict) and content.get("format") == FORMAT else None
        if not isinstance(given, dict) or not _is_plain(given):
            raise InputError(f"{file} is no state of a run; expected the format {FORMAT}")
        for key in sorted(run.keys() | {str(key) for key in given}):
            if run.get(key) != given.get(key):
                raise InputError(
                    f"{file} is of a run with {key} {given.get(key)!r}; expected {run.get(key)!r}, or another output"
                )
        step, log = content.get("step"), content.get("log")
        if type(step) is not int or not 0 <= step <= run["steps"]:
            raise InputError(f"{file} is the state of step {str(step)[:40]}; expected 0 to {run['steps']}")
        if not isinstance(log, list) or not all(_is_record(record, step) for record in log):
            raise InputError(f"{file} has a log that is none; expected records of numbers of steps up to {step}")
        try:
            self._take(content)
        except _BROKEN as error:
            raise InputError(f"{file} does not fit the networks of its run: {_reason(error)}") from None
        if file is not path and path.exists():
            # else the next save would replace the good one by it
            with suppress(FileNotFoundError):
                path.replace(path.with_name(f"{path.name}.damaged"))
        self.log[:] = log
        return step

    def _take(self, content: dict[str, Any]) -> None:
        self._check_moments(content["optimiser"]["state"])
        if not self.sharded:
            self.encoder.load_state_dict(content["encoder"])
            self.objective.load_state_dict(content["objective"])
            places = {name: index for index, name in enumerate(self._names())}
            moments = {places[name]: _moments(value) for name, value in content["optimiser"]["state"].items()}
            self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": moments})
            return
        from torch.distributed.checkpoint.state_dict import set_model_state_dict, set_optimizer_state_dict

        options = _whole(load=True)
        set_model_state_dict(self.encoder, content["encoder"], options=options)
        set_model_state_dict(self.objective, content["objective"], options=options)
        if content["optimiser"]["state"]:
            set_optimizer_state_dict(self._both(), self.optimiser, content["optimiser"], options=options)

    def _check_moments(self, found: dict[str, Any]) -> None:
        """Raise ValueError unless there are moments of every parameter, or of none if no step was made."""
        parameters = dict(self._both().named_parameters())
        if found and found.keys() != parameters.keys():
            raise ValueError(f"moments of {len(found)} parameters of {len(parameters)}")
        for name, value in found.items():
            shapes = {key: tuple(part.shape) for key, part in value.items()}
            own = tuple(parameters[name].shape)
            if shapes != {"step": (), "exp_avg": own, "exp_avg_sq": own}:
                raise ValueError(f"moments of {name} are {shapes}")

    def _both(self) -> nn.Module:
        return torch.nn.ModuleDict({"encoder": self.encoder, "objective": self.objective})

    def _names(self) -> list[str]:
        """Names of the parameters in the order of the optimiser's groups."""
        names = {id(parameter): name for name, parameter in self._both().named_parameters()}
        return [names[id(one)] for group in self.optimiser.param_groups for one in group["params"]]


def _read(file: Path) -> Any:
    """The content of a state, with all checksums checked; tensors stay in the file until they are copied."""
    # the log of a long run has millions of numbers
    return load_torch_file(file, times=_LOG)


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _is_record(record: Any, step: int) -> bool:
    return (
        isinstance(record, dict)
        and all(isinstance(key, str) and type(value) in (int, float) for key, value in record.items())
        and 1 <= record.get("step", 0) <= step
    )


def _moments(value: dict[str, Any]) -> dict[str, Any]:
    """In memory of their own: the file is replaced while they are used."""
    return {key: part.clone() for key, part in value.items()}


def _whole(*, load: bool) -> Any:
    from torch.distributed.checkpoint.state_dict import StateDictOptions

    return StateDictOptions(full_state_dict=True, cpu_offload=not load)
