"""Processes that prefetch batches: each has two slots of shared memory, which limits the memory of waiting batches."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import TesseraError

from .batch import Batch
from .views import View

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

    from .batch import Maker

_SLOTS = 2
_PATIENCE = 5.0
"""Seconds for a worker to end by itself."""


def produce(batches: Maker, start: int, stop: int, parts: list[int], workers: int) -> Iterator[list[Batch]]:
    """The steps `start` to `stop` - 1 in order; worker w makes every `workers`-th from `start` + w."""
    # fork shares a table in memory without a copy; workers use only numpy, which works after a fork
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    size = len(parts) * _floats(batches, batches.draws[1])
    crew: list[tuple[Any, Connection, list[Any]]] = []
    try:
        for index in range(workers):
            ours, theirs = context.Pipe()
            slots = [context.RawArray("f", size) for _ in range(_SLOTS)]
            others = [ours, *(connection for _, connection, _ in crew)]
            process = context.Process(
                target=_work,
                args=(
                    batches,
                    range(start + index, stop, workers),
                    parts,
                    slots,
                    theirs,
                    others if context.get_start_method() == "fork" else [],
                ),
                name=f"tessera-data-{index}",
                daemon=True,
            )
            process.start()
            theirs.close()
            crew.append((process, ours, slots))
        for step in range(start, stop):
            index = (step - start) % workers
            process, connection, slots = crew[index]
            message = _receive(process, connection, index, step)
            slot = (step - start) // workers % _SLOTS
            made = _unload(batches, step, np.frombuffer(slots[slot], dtype=np.float32), message)
            _release(connection)
            yield made
    finally:
        for process, connection, _ in crew:
            connection.close()
            process.terminate()
        for process, _, _ in crew:
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()


def _floats(batches: Maker, draws: int) -> int:
    """Numbers of the two views of a part."""
    return 2 * batches.batch // batches.parts * draws * _channels(batches)[2]


def _channels(batches: Maker) -> tuple[int, int, int]:
    s2, s1 = len(batches.spec.s2_bands) + 1, len(batches.spec.s1_bands) + 1
    return s2, s1, s2 + s1


def _receive(process: Any, connection: Connection, index: int, step: int) -> list[tuple[Any, ...]]:
    while not connection.poll():
        if process.sentinel in wait([connection, process.sentinel]) and not connection.poll():
            process.join(_PATIENCE)
            raise _lost(process, index, step)
    try:
        kind, content = connection.recv()
    except (EOFError, OSError):
        process.join(_PATIENCE)
        raise _lost(process, index, step) from None
    if kind == "error":
        raise TesseraError(f"data worker {index}, step {step}: {content}")
    parts: list[tuple[Any, ...]] = content
    return parts


def _lost(process: Any, index: int, step: int) -> TesseraError:
    code = process.exitcode
    how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
    return TesseraError(f"data worker {index} {how} before step {step}; short of memory? The run can be resumed")


def _release(connection: Connection) -> None:
    try:
        connection.send(None)
    except OSError:
        # the worker has ended after its last step, or is dead, which the next wait for it detects
        return


def _unload(batches: Maker, step: int, flat: NDArray[np.float32], message: list[tuple[Any, ...]]) -> list[Batch]:
    draws = batches.length(step)
    size = _floats(batches, draws)
    out = []
    for index, (targets, alpha, order, seed) in enumerate(message):
        # copied, since the worker fills the slot again
        views = _views(flat[index * size : (index + 1) * size].copy(), batches, draws)
        out.append(Batch(views[0], views[1], targets, alpha, order, seed))
    return out


def _views(flat: NDArray[np.float32], batches: Maker, draws: int) -> list[View]:
    s2, s1, _ = _channels(batches)
    count = batches.batch // batches.parts
    out, start = [], 0
    for _ in range(2):
        shapes = ((count, draws, s2), (count, draws, s1))
        ends = [start + count * draws * s2, start + count * draws * (s2 + s1)]
        out.append(View(flat[start : ends[0]].reshape(shapes[0]), flat[ends[0] : ends[1]].reshape(shapes[1])))
        start = ends[1]
    return out


def _work(
    batches: Maker, steps: range, parts: list[int], slots: list[Any], connection: Connection, others: list[Connection]
) -> None:
    """The worker's loop: fill a free slot, report it, and end when the reader has gone."""
    # Ctrl-C is for the reader, which ends this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in others:
        other.close()
    try:
        for number, step in enumerate(steps):
            if number >= _SLOTS:
                connection.recv()
            flat = np.frombuffer(slots[number % _SLOTS], dtype=np.float32)
            size = _floats(batches, batches.length(step))
            message = []
            for index, part in enumerate(parts):
                made = batches.part(step, part)
                to = _views(flat[index * size : (index + 1) * size], batches, batches.length(step))
                for view, copy in ((made.first, to[0]), (made.second, to[1])):
                    np.copyto(copy.s2, view.s2)
                    np.copyto(copy.s1, view.s1)
                message.append((made.targets, made.alpha, made.order, made.seed))
            connection.send((None, message))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        text = str(error) if isinstance(error, TesseraError) else f"{type(error).__name__}: {error}"
        _tell(connection, text)
    finally:
        # without the parent's exit handlers, which a forked child would run
        connection.close()
        os._exit(0)


def _tell(connection: Connection, text: str) -> None:
    try:
        connection.send(("error", text))
    except OSError:
        return
