"""The training loop: read, encode, compute the loss, step, log, save; on a CPU it resumes with exactly the same bits.

The batch of a step is cut into parts. A process encodes its parts one after another and keeps their vectors, detached.
The objective (projectors and losses: `Twins`, `Pupil`) receives one part at a time, or all parts of all processes
together if it gathers, and gives the gradient of each vector. Then each part is encoded again, with the same random
numbers, and the gradient is propagated into the encoder. So many processes and accumulated parts train as one.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from tessera.base import InputError, TesseraError, check_output, file_lock, read_json, write_atomic
from tessera.models import Checkpoint, write_checkpoint

from ._state import State, before
from ._watch import Watch, collapsed
from .devices import losing_others
from .losses import rankme
from .plan import LEARNING_RATE, learning_rate
from .ranks import Ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from tessera.base import Progress
    from tessera.models import InputSpec, Shape

    from .batch import Batch
    from .batches import Batches
    from .devices import Machine
    from .plan import RunPlan

WEIGHT_DECAY = 1e-6
CLIP = 2.0
"""Weight decay of matrices and gradient norm of the released v1.0 run."""


class Task(Protocol):
    """What a run minimises."""

    @property
    def gathers(self) -> bool:
        """Whether the loss takes the parts of a step together, over all processes."""

    def tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The views of a part for the encoder, (views, B, T, 11) and (views, B, T', 3)."""

    def truths(self, batches: Sequence[Batch], step: int) -> Any:
        """Input of the objective besides the vectors, a named tuple."""


class Run:
    """One run on one process: its networks, wrapped by the strategy, and its steps.

    Parameters
    ----------
    fabric : launched
    encoder, objective : new networks on the CPU
    """

    def __init__(
        self,
        fabric: Any,
        machine: Machine,
        plan: RunPlan,
        spec: InputSpec,
        shape: Shape,
        out: Path,
        encoder: nn.Module,
        objective: nn.Module,
        task: Task,
    ) -> None:
        self.fabric, self.machine, self.plan, self.task = fabric, machine, plan, task
        self.spec, self.shape, self.out = spec, shape, out
        encoder, objective = encoder.to(machine.dtype), objective.to(machine.dtype)
        if machine.compile:
            encoder.compile()
            objective.compile()
        self.encoder, self.objective = fabric.setup_module(encoder), fabric.setup_module(objective)
        sharded = machine.sharded and fabric.world_size > 1
        self.state = State(encoder, objective, _optimiser(encoder, objective), [], sharded)
        self.watch = Watch(plan.skip)

    def go(
        self,
        batches: Batches,
        about: dict[str, Any],
        probe: Callable[[Checkpoint], dict[str, float]] | None,
        progress: Progress,
    ) -> Checkpoint:
        """Run from the newest state to the last step."""
        with ExitStack() as stack:
            self._write(lambda: stack.enter_context(_alone(self.out)))
            plan, fabric = self.plan, self.fabric
            file = self.out.with_name(self.out.name + ".state")
            run = {
                **plan.identity(),
                **about,
                "parts": batches.parts,
                "precision": self.machine.precision,
                "data": batches.digest(),
            }
            done = saved = self.state.load(file, run)
            if not done:
                refuse_finished(self.out)
            fabric.barrier()
            # now, so that an output that cannot be written is reported before the first step
            self._write(lambda: self._write_log(run))
            self.watch.skipped += [int(record["step"]) for record in self.state.log if "skipped" in record]
            own = range(fabric.global_rank * plan.accumulate, (fabric.global_rank + 1) * plan.accumulate)
            stream = batches.stream(done, plan.steps, own, plan.workers)
            events = _events(self.out, done) if plan.tensorboard and fabric.is_global_zero else None
            clock = time.perf_counter()
            if fabric.is_global_zero:
                progress(done, plan.steps)
            try:
                for step, read in enumerate(stream, done):
                    last = step + 1 == plan.steps
                    logged = last or (step + 1) % plan.log_every == 0
                    with losing_others(step + 1, saved):
                        record = self._step(step, read, logged)
                        logged = logged or "skipped" in record
                        if probe is not None and (last or (step + 1) % plan.probe_every == 0):
                            checkpoint = self._checkpoint()
                            found = probe(checkpoint) if fabric.is_global_zero else {}
                            # numpy numbers could not be read back
                            record |= {name: float(value) for name, value in found.items()}
                            fabric.barrier()
                            logged = True
                        if logged:
                            self.state.log.append(record)
                        if last or (step + 1) % plan.save_every == 0:
                            self._save(file, step + 1, run)
                            saved = step + 1
                    if events is not None and logged:
                        pace = plan.batch * (step + 1 - done) / (time.perf_counter() - clock)
                        _tell(events, record | {"pixel_years_per_second": pace})
                    if fabric.is_global_zero:
                        progress(step + 1, plan.steps)
            finally:
                if isinstance(stream, Generator):
                    stream.close()
                if events is not None:
                    events.close()
            checkpoint = self._checkpoint()
            self._write(lambda: write_checkpoint(checkpoint, self.out))
            return checkpoint

    def _step(self, step: int, batches: list[Batch], logged: bool) -> dict[str, float]:
        rate = learning_rate(step, self.plan.steps, self.plan.peak)
        for group in self.state.optimiser.param_groups:
            group["lr"] = rate
        self.encoder.train()
        self.objective.train()
        self.state.optimiser.zero_grad(set_to_none=True)
        together = [batches] if self.task.gathers else [[batch] for batch in batches]
        parts: dict[str, float] = {}
        for number, held in enumerate(together):
            found = self._weigh(step, held, 1 / len(together), last=number + 1 == len(together))
            for name, value in found.items():
                parts[name] = parts.get(name, 0.0) + value / len(together)
            # at once, and on every process
            if self._any(not all(map(math.isfinite, found.values()))):
                break
        if not self._any(not all(map(math.isfinite, parts.values()))):
            norm = self._clip()
            if self._any(not math.isfinite(norm)):
                parts |= {"gradient_norm": norm}
        if self._any(not all(map(math.isfinite, parts.values()))):
            if all(map(math.isfinite, parts.values())):
                parts = {"loss on another process": math.nan}
            self.watch.broken(step + 1, parts, batches, rate)
            self.state.optimiser.zero_grad(set_to_none=True)
            return {"step": step + 1, "skipped": 1.0}
        self.state.optimiser.step()
        if not logged:
            return {"step": step + 1}
        rank = self._rank(batches[0])
        collapsed(step + 1, rank)
        return {
            "step": step + 1,
            "loss": sum(parts.values()),
            **parts,
            "rankme": rank,
            "learning_rate": rate,
            "gradient_norm": norm,
        }

    def _weigh(self, step: int, batches: list[Batch], share: float, *, last: bool) -> dict[str, float]:
        """Add the gradient of these parts' common loss, times `share`; returns the terms of the loss.

        If the loss is not finite on this or another process, no gradient is computed.
        """
        alone = len(batches) == 1
        # the strategy decides in the forward pass whether the backward pass of that part is synchronised
        with self._unsent(self.encoder, enabled=alone and not last), torch.set_grad_enabled(alone):
            vectors = [self._encode(batch) for batch in batches]
        leaf = torch.cat([part.detach() for part in vectors], dim=1).requires_grad_()
        truths = self._here(self.task.truths(batches, step))
        with self._unsent(self.objective, enabled=not last):
            losses = self.objective(leaf, truths)
            found = {name: float(value.detach()) for name, value in losses.items()}
            if self._any(not all(map(math.isfinite, found.values()))):
                return found
            self.fabric.backward(sum(losses.values()) * share)
        wanted = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        for number, grad in enumerate(torch.split(wanted, leaf.shape[1] // len(batches), dim=1)):
            final = last and number + 1 == len(batches)
            with self._unsent(self.encoder, enabled=not final):
                again = vectors[0] if alone else self._encode(batches[number])
                self.fabric.backward(again, grad)
        return found

    def _unsent(self, network: nn.Module, *, enabled: bool) -> Any:
        """Delay the synchronisation of gradients until the last part of a step, except for sharded ones.

        FSDP would keep whole gradients where a step that is left out cannot clear them.
        """
        return self.fabric.no_backward_sync(network, enabled=enabled and not self.state.sharded)

    def _encode(self, batch: Batch) -> Tensor:
        """Vectors (views, B, D) of a part; the same at every call, including dropout."""
        torch.manual_seed(batch.seed)
        s2, s1 = (part.to(self.fabric.device, self.machine.dtype) for part in self.task.tokens(batch))
        vectors: Tensor = self.encoder(s2.flatten(0, 1), s1.flatten(0, 1))
        return vectors.view(*s2.shape[:2], -1)

    def _here(self, truths: Any) -> Any:
        """Move its tensors to the device, with floats in the run's precision."""
        moved = {}
        for name, value in truths._asdict().items():
            if isinstance(value, torch.Tensor):
                dtype = self.machine.dtype if value.is_floating_point() else value.dtype
                moved[name] = value.to(self.fabric.device, dtype)
        return truths._replace(**moved)

    def _any(self, here: bool) -> bool:
        """Whether `here` is True on any process."""
        if self.fabric.world_size == 1:
            return here
        flag = torch.tensor(float(here), device=self.fabric.device)
        return bool(Ranks(self.fabric.world_size).largest(flag) > 0)

    def _clip(self) -> float:
        parameters = [p for group in self.state.optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, CLIP)
        return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)

    def _rank(self, batch: Batch) -> float:
        # without dropout, whose noise would increase the rank
        self.encoder.eval()
        s2, s1 = (part[0].to(self.fabric.device, self.machine.dtype) for part in self.task.tokens(batch))
        with torch.no_grad():
            found = torch.tensor(rankme(self.encoder(s2, s1)), dtype=torch.float64)
        if self.fabric.world_size > 1:
            found = self.fabric.all_reduce(found.to(self.fabric.device), reduce_op="mean")
        return float(found)

    def _save(self, file: Path, step: int, run: dict[str, Any]) -> None:
        content = self.state.content()
        self._write(lambda: self.state.save(file, step, run, content))
        self._write(lambda: self._write_log(run))

    def _write(self, write: Callable[[], Any]) -> None:
        """Let the first process write; if it cannot, every process stops with its error."""
        reason: str | None = None
        if self.fabric.is_global_zero:
            try:
                write()
            except TesseraError as error:
                reason = str(error)
            except OSError as error:
                what = f"{self.out} and its log cannot be written: {error.strerror or error}"
                reason = f"{what}; expected a folder with room that may be written"
        if self.fabric.world_size > 1:
            reason = self.fabric.broadcast(reason)
        if reason is not None:
            raise TesseraError(reason)

    def _write_log(self, run: dict[str, Any]) -> None:
        content = json.dumps({"run": run, "log": self.state.log}, indent=1) + "\n"
        write_atomic(self.out.with_name(self.out.name + ".json"), content.encode())

    def _checkpoint(self) -> Checkpoint:
        tensors = self.state.content()["encoder"]
        if self.state.sharded:
            # only the first process has the whole, and every process must return it
            tensors = self.fabric.broadcast(tensors)
        plain = {key: value.detach().float().cpu().clone() for key, value in tensors.items()}
        return Checkpoint(self.shape, self.spec, plain, self.out.stem)


def check_run(out: str | Path) -> Path:
    """Check the output files of a run before its data are read: the encoder, its log, its states.

    Raises
    ------
    InputError
        A path cannot be a file, an encoder has no state of its run beside it, or another file is in the place of the
        encoder or its log.
    """

    path = check_output(out, "output of training", overwrite=True)
    state = path.with_name(f"{path.name}.state")
    log = path.with_name(f"{path.name}.json")
    for name in (state, before(state), log):
        check_output(name, "file of a run", overwrite=True)
    if state.exists() or before(state).exists():
        # the state tells which files belong to this run
        return path
    refuse_finished(path)
    if log.exists() and not _is_log(log):
        raise InputError(f"{log} exists and is no log of a run; expected another output, or none")
    return path


def _is_log(path: Path) -> bool:
    try:
        return read_json(path, what="log").keys() >= {"run", "log"}
    except (InputError, OSError):
        return False


def refuse_finished(out: Path) -> None:
    """Refuse to train over a finished encoder, which took hours."""
    if os.path.lexists(out):
        raise InputError(f"{out} exists and no state of its run beside it; expected another output, or none")


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Lock an output against other runs; the lock ends with its process, its empty file stays."""
    if os.name != "posix":
        yield
        return
    try:
        with file_lock(out.with_name(f".{out.name}.lock"), wait=False):
            yield
    except BlockingIOError:
        raise InputError(f"another process trains {out}; expected one at a time, or another output") from None


def _optimiser(*networks: nn.Module) -> torch.optim.Optimizer:
    parameters = [parameter for network in networks for parameter in network.parameters()]
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=LEARNING_RATE,
    )


def _events(out: Path, done: int) -> Any:
    from tessera.base import require

    writer = require("torch.utils.tensorboard", extra="train", purpose="TensorBoard")
    return writer.SummaryWriter(str(out.with_name(out.name + ".tensorboard")), purge_step=done + 1)


def _tell(events: Any, record: dict[str, float]) -> None:
    for name, value in record.items():
        if name != "step":
            events.add_scalar(name, value, int(record["step"]))
