"""Processes that share the blocks of a cell: one a GPU, or several on a CPU."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tessera.base import InputError, TesseraError
from tessera.encode import find_devices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tessera.encode import Options

    from ._spool import Spool

_MOST_WORKERS = 64
_Rows = list[tuple[int, int]]


@dataclass(frozen=True)
class Workers:
    """What each process opens for itself.

    Attributes
    ----------
    cube : path of the cube
    model, source, precision : as given to `load_encoder`
    devices : a process each, such as ("cuda:0", "cuda:1") or ("cpu", "cpu")
    """

    cube: Path
    model: str | None
    source: str | None
    precision: str
    devices: tuple[str, ...]


def devices_for(device: str | None, workers: int | None) -> tuple[str, ...]:
    """A device for each process: every GPU where none is named, else the one that is.

    Parameters
    ----------
    device : "cpu", "cuda", "cuda:<n>" or None for what there is
    workers : processes, or None for one a device

    Raises
    ------
    InputError
        Fewer than one process, or a device that is not there.
    """
    if workers is not None and not 1 <= workers <= _MOST_WORKERS:
        raise InputError(f"{workers} workers; expected 1 to {_MOST_WORKERS}")
    names = find_devices(device)
    return tuple(names[index % len(names)] for index in range(workers or len(names)))


class WorkerPool:
    """The processes of a run; each takes the next group of blocks when it has done one."""

    def __init__(self, workers: Workers) -> None:
        context = multiprocessing.get_context("spawn")
        self._started = False
        self._tasks: Any = context.Queue()
        self._news: Any = context.Queue()
        threads = max(1, (os.cpu_count() or 1) // len(workers.devices))
        self._processes = [
            context.Process(
                target=_work,
                args=(workers, device, threads, os.getpid(), self._tasks, self._news),
                name=device,
                daemon=True,
            )
            for device in workers.devices
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *how: object) -> None:
        if not self._started:
            return
        if kind is None:
            for _ in self._processes:
                self._tasks.put(None)
        else:
            for process in self._processes:
                process.terminate()
        for process in self._processes:
            process.join()
        for channel in (self._tasks, self._news):
            channel.cancel_join_thread()
            channel.close()
        del self._tasks, self._news

    def run(
        self,
        box: tuple[int, int, int, int],
        options: Options,
        kept: Spool,
        groups: list[_Rows],
        report: Callable[[int], None],
    ) -> None:
        """Have every block made and kept.

        Raises
        ------
        TesseraError
            A process died or met an error; its message is passed on.
        """
        if groups and not self._started:
            self._started = True
            with _without_interrupts():
                for process in self._processes:
                    process.start()
        for rows in groups:
            self._tasks.put((box, options, kept, rows))
        waiting, pixels = len(groups), 0
        while waiting:
            try:
                what, value = self._news.get(timeout=1.0)
            except queue.Empty:
                self._check_alive()
                continue
            if what == "error":
                raise TesseraError(value)
            if what == "pixels":
                pixels += value
                report(pixels)
            else:
                waiting -= 1

    def _check_alive(self) -> None:
        for process in self._processes:
            if process.exitcode is not None:
                how = f"signal {-process.exitcode}" if process.exitcode < 0 else f"status {process.exitcode}"
                raise TesseraError(
                    f"the worker on {process.name} ended with {how} (no memory left?); finished blocks are kept, "
                    "run the same command again"
                )


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Have a process that is started now ignore Ctrl-C from its first import on; the one that starts it ends it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)


def _work(workers: Workers, device: str, threads: int, parent: int, tasks: Any, news: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import torch

        from tessera.cubes import open_cube
        from tessera.encode import load_encoder

        torch.set_num_threads(threads)
        encoder = load_encoder(workers.model, workers.source, device=device, precision=workers.precision)
        cube = open_cube(workers.cube)
        for box, options, kept, rows in iter(lambda: _next(tasks, parent), None):
            before = 0
            for block, pixels in _blocks(encoder, cube.crop(*box), options, rows):
                if os.getppid() != parent:
                    return
                kept.put(block)
                news.put(("pixels", pixels - before))
                before = pixels
            news.put(("done", None))
    except Exception as error:
        what = str(error) if isinstance(error, TesseraError | InputError) else f"{type(error).__name__}: {error}"
        news.put(("error", f"worker on {device}: {what}"))


def _next(tasks: Any, parent: int) -> Any:
    """The next piece of work; None at the end, also where the process that gives it is gone."""
    while os.getppid() == parent:
        try:
            return tasks.get(timeout=1.0)
        except queue.Empty:
            continue
    return None


def _blocks(encoder: Any, part: Any, options: Options, rows: _Rows) -> Iterator[tuple[Any, int]]:
    width, pixels = part.shape[1], 0
    for block in encoder.blocks(part, options, [rows]):
        pixels += (block.stop - block.start) * width
        yield block, pixels
