"""The batch of each step: a function only of data, seed, step and part, so that a run can resume anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

from ._workers import produce
from .batch import Batch
from .data import bits, key_of, uniform
from .permute import Order
from .views import DRAWS, PLAIN, draw_views, span_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tessera.models import InputSpec

    from .data import Augment
    from .views import Table

SEED = 3407
"""Seed of the released v1.0 run."""
_ALPHA, _LENGTH, _MIX, _TORCH = range(4)


class Batches:
    """The batches of a run, available in any order and to any number of processes.

    Each epoch is one permutation of all pixel-years; the remainder that fills no batch is dropped. Pixel-years and
    views do not depend on the number of parts of a step.

    Parameters
    ----------
    table : pixel-years
    spec : statistics
    batch : pixel-years a step, all parts together
    parts : parts of a step: processes x accumulated passes of each
    draws : T of every step, or (low, high): T of each step is drawn from low to high
    seed : of order, views and mixtures
    augment : augmentation of views
    window : blocks of a `Blocks` that are read together; None, the default, permutes all pixel-years, see `Order`

    Attributes
    ----------
    steps_an_epoch : steps in which each pixel-year occurs at most once

    Raises
    ------
    InputError
        There are fewer pixel-years than a batch, a batch cannot be divided into these parts, or `draws` is invalid.
    """

    def __init__(
        self,
        table: Table,
        spec: InputSpec,
        *,
        batch: int,
        parts: int = 1,
        draws: int | tuple[int, int] = DRAWS,
        seed: int = SEED,
        augment: Augment = PLAIN,
        window: int | None = None,
    ) -> None:
        span = span_of(draws)
        if batch < 1 or parts < 1 or batch % parts:
            raise InputError(f"a batch of {batch} in {parts} parts; expected parts of the same size, from 1")
        if len(table) < batch:
            raise InputError(f"{len(table)} pixel-years for a batch of {batch}; expected at least as many")
        if window is not None and not hasattr(table, "records"):
            raise InputError(f"a window of {window} blocks over a table in memory; expected none")
        self.table, self.spec, self.augment = table, spec, augment
        self.batch, self.parts, self.draws, self.seed = batch, parts, span, seed
        self.order = Order(len(table), seed, getattr(table, "records", 1), window)
        self.steps_an_epoch = len(table) // batch

    def __len__(self) -> int:
        return len(self.table)

    def digest(self) -> str:
        """SHA-256 of the pixel-years."""
        return self.table.digest()

    def length(self, step: int) -> int:
        """T of a step, the same in every part."""
        low, high = self.draws
        return low + int(key_of(self.seed, _LENGTH, step)) % (high - low + 1)

    def pixels(self, step: int, part: int) -> NDArray[np.int64]:
        """(batch / parts,) indices of the pixel-years of a part of a 0-based step.

        Raises
        ------
        InputError
            There is no such step or part.
        """
        if step < 0 or not 0 <= part < self.parts:
            raise InputError(f"part {part} of step {step}; expected parts 0 to {self.parts - 1}, steps from 0")
        epoch, position = divmod(step, self.steps_an_epoch)
        size = self.batch // self.parts
        first = position * self.batch + part * size
        return self.order.at(epoch, np.arange(first, first + size))

    def part(self, step: int, part: int) -> Batch:
        """The batch of one part of a 0-based step.

        Raises
        ------
        InputError
            There is no such step or part, a block is damaged, or a pixel-year has no observations.
        """
        pixels = self.pixels(step, part)
        first, second, targets = draw_views(
            self.table,
            pixels,
            self.length(step),
            self.spec,
            seed=self.seed,
            epoch=step // self.steps_an_epoch,
            augment=self.augment,
        )
        alpha = uniform(np.array([key_of(self.seed, _ALPHA, step)]), 1)
        lots = bits(np.array([key_of(self.seed, _MIX, step, part)]), len(pixels))
        return Batch(
            first,
            second,
            targets,
            float(alpha[0, 0]),
            np.argsort(lots[0], kind="stable"),
            int(key_of(self.seed, _TORCH, step, part) >> np.uint64(1)),
        )

    def stream(self, start: int, stop: int, parts: Sequence[int], workers: int = 0) -> Iterator[list[Batch]]:
        """The steps `start` to `stop` - 1 in order, prefetched by other processes.

        Parameters
        ----------
        start, stop : steps
        parts : parts of each step that this process reads
        workers : processes, each at most two steps ahead; 0 makes each step when it is requested

        Yields
        ------
        a Batch for each of `parts`

        Raises
        ------
        InputError
            There are no such steps or parts.
        TesseraError
            A worker failed or was killed.
        """
        own = [int(part) for part in parts]
        if not 0 <= start <= stop or workers < 0 or not own or not all(0 <= part < self.parts for part in own):
            raise InputError(
                f"steps {start} to {stop}, parts {own[:8]}, {workers} workers; expected ascending steps and parts 0 to "
                f"{self.parts - 1}"
            )
        if workers == 0:
            return ([self.part(step, part) for part in own] for step in range(start, stop))
        return produce(self, start, stop, own, min(workers, max(1, stop - start)))
