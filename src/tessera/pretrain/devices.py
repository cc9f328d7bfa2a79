"""The hardware of a run: CPU or GPUs, precision, and several processes, through Lightning Fabric."""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch

from tessera.base import InputError, TesseraError, require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp64": "32-true"}
"""Name -> Fabric's name; in fp64 weights and tokens are float64 themselves, for tests of equality."""
ACCELERATORS = ("auto", "cpu", "cuda")
LONGEST = 1_000_000
"""Most minutes that a process waits: two years."""


@dataclass(frozen=True)
class Machine:
    """The hardware of a run. torchrun decides the number of processes.

    Attributes
    ----------
    accelerator : one of `ACCELERATORS`; "auto" takes GPUs if there are any
    precision : "fp32", "bf16" (autocast: weights, losses and optimiser stay float32), "fp64"
    sharded : spread weights, gradients and optimiser over the processes (FSDP2), for teachers and wide projectors
    compile : run the networks through torch.compile
    timeout : minutes after which a process stops waiting for another
    """

    accelerator: str = "auto"
    precision: str = "fp32"
    sharded: bool = False
    compile: bool = False
    timeout: float = 15.0

    def __post_init__(self) -> None:
        if self.accelerator not in ACCELERATORS:
            raise InputError(f"accelerator {self.accelerator!r}; expected {', '.join(ACCELERATORS)}")
        if self.precision not in PRECISIONS:
            raise InputError(f"precision {self.precision!r}; expected {', '.join(PRECISIONS)}")
        if not 0 < self.timeout <= LONGEST:
            raise InputError(f"timeout of {self.timeout} minutes; expected more than 0 and at most {LONGEST:,}")

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of weights and tokens."""
        return torch.float64 if self.precision == "fp64" else torch.float32

    def start(self) -> Any:
        """Join the other processes, if torchrun started several; returns a launched `lightning.fabric.Fabric`.

        Raises
        ------
        InputError
            Lightning is not installed, or there is no GPU although one is requested.
        """
        fabric = require("lightning.fabric", extra="train", purpose="pretraining")
        for chatty in ("lightning.fabric", "lightning.pytorch"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        if self.accelerator == "cuda" and not torch.cuda.is_available():
            raise InputError("accelerator 'cuda', and torch sees no GPU; expected one, or accelerator = \"cpu\"")
        kind = self.accelerator
        if kind == "auto":
            kind = "cuda" if torch.cuda.is_available() else "cpu"
        here, nodes = _processes()
        several = here * nodes > 1
        made = fabric.Fabric(
            accelerator=kind,
            devices=here,
            num_nodes=nodes,
            precision=PRECISIONS[self.precision],
            strategy=self._strategy(here * nodes) if several else "auto",
        )
        made.launch()
        return made

    def _strategy(self, size: int) -> Any:
        strategies = require("lightning.fabric.strategies", extra="train", purpose="several processes")
        patience = timedelta(minutes=self.timeout)
        if not self.sharded:
            return strategies.DDPStrategy(timeout=patience)
        return strategies.ModelParallelStrategy(
            _shard, data_parallel_size=size, tensor_parallel_size=1, timeout=patience
        )


def gpus_of(fabric: Any) -> list[int]:
    """The GPU of this process, for `torch.random.fork_rng`."""
    return [fabric.device.index or 0] if fabric.device.type == "cuda" else []


def _processes() -> tuple[int, int]:
    """Number of processes on this machine, and of machines, from torchrun's environment variables."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 1, 1
    here, nodes = (int(os.environ[name]) for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE"))
    if here * nodes != int(os.environ["WORLD_SIZE"]):
        raise InputError(f"{os.environ['WORLD_SIZE']} processes on {nodes} machines; expected as many on each")
    return here, nodes


def _shard(network: nn.Module, mesh: Any) -> nn.Module:
    """Shard every layer separately, and the rest together."""
    from torch.distributed.fsdp import fully_shard

    mesh = mesh["data_parallel"]
    for part in list(network.modules()):
        if type(part).__name__ in ("JointLayer", "SplitLayer") or _is_wide(part):
            fully_shard(part, mesh=mesh)
    fully_shard(network, mesh=mesh)
    return network


def _is_wide(part: nn.Module) -> bool:
    return isinstance(part, torch.nn.Linear) and part.in_features * part.out_features >= 2**24


@contextmanager
def losing_others(step: int, saved: int) -> Iterator[None]:
    """Translate the various errors of the library when another process of the run has ended.

    Raises
    ------
    TesseraError
        Another process has ended; saved states stay.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        lost = re.search("Connection closed|Connection reset|Broken pipe|[Tt]imed out|NCCL|gloo|peer", text)
        if not torch.distributed.is_initialized() or lost is None:
            raise
        raise TesseraError(
            f"step {step}: another process of this run is gone ({text.splitlines()[0][:120]}); "
            f"run it again, it goes on after step {saved}"
        ) from None
