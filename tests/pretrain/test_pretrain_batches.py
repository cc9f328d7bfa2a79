"""Batches: a function of step and part alone, the same in any cut, order, process, table."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pretrain_blocks import make_series

from tessera.base import InputError, TesseraError
from tessera.cubes import PixelSeries
from tessera.models import STUDENT_SPEC
from tessera.pretrain import Augment, Batch, Batches, View, write_blocks

SERIES = make_series(50, targets=1, least=1)


def make(table: Any = SERIES, **changed: Any) -> Batches:
    return Batches(table, STUDENT_SPEC, **{"batch": 12, "parts": 3, "draws": 5, "seed": 1, **changed})


def arrays(batch: Batch) -> list[Any]:
    views = [array for view in (batch.first, batch.second) for array in (view.s2, view.s1)]
    return [*views, batch.targets, batch.order, np.array(batch.alpha), np.array(batch.seed)]


def same(a: Batch, b: Batch) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(arrays(a), arrays(b), strict=True))


def by_pixel(batches: list[Batch]) -> dict[float, list[bytes]]:
    """Number of each pixel-year, its target, to the bytes of its views."""
    out = {}
    for batch in batches:
        for index, target in enumerate(batch.targets[:, 0]):
            out[float(target)] = [array[index].tobytes() for array in arrays(batch)[:4]]
    return out


@settings(max_examples=20)
@given(st.sampled_from([1, 2, 3, 4, 6, 12]), st.integers(0, 11), st.booleans())
def test_parts_together_read_what_one_part_reads(parts: int, step: int, poorer: bool) -> None:
    augment = Augment(window=0.5, thin=0.5, no_radar=0.2, monthly=0.3, gain=0.1) if poorer else Augment()
    cut, whole = (make(parts=count, draws=(2, 7), augment=augment) for count in (parts, 1))
    pieces = [cut.part(step, part) for part in range(parts)]
    assert by_pixel(pieces) == by_pixel([whole.part(step, 0)])
    assert {piece.alpha for piece in pieces} == {whole.part(step, 0).alpha}
    assert len({piece.seed for piece in pieces}) == parts
    for piece in pieces:
        np.testing.assert_array_equal(np.sort(piece.order), np.arange(12 // parts))


def test_any_step_is_the_same_whatever_came_before() -> None:
    batches = make(draws=(3, 6))
    straight = [[batches.part(step, part) for part in range(3)] for step in range(9)]
    for step in (8, 3, 5, 0):
        fresh = make(draws=(3, 6))
        assert all(same(fresh.part(step, part), straight[step][part]) for part in range(3))
    assert len({parts[0].alpha for parts in straight}) == 9
    assert len({parts[0].first.s2.shape[1] for parts in straight}) > 1
    assert {len({part.first.s2.shape[1] for part in parts}) for parts in straight} == {1}


def test_an_epoch_sees_each_pixel_at_most_once_and_the_next_sees_new_views() -> None:
    batches = make()
    assert batches.steps_an_epoch == 4
    assert len(batches) == 50
    epochs = [
        by_pixel([batches.part(4 * epoch + step, part) for step in range(4) for part in range(3)]) for epoch in range(2)
    ]
    assert [len(seen) for seen in epochs] == [48, 48]
    both = set(epochs[0]) & set(epochs[1])
    assert len(both) >= 46
    assert sum(epochs[0][pixel] == epochs[1][pixel] for pixel in both) <= 2


def test_alpha_is_uniform() -> None:
    batches = make(make_series(4, least=1, targets=1), batch=1, parts=1, draws=1)
    alphas = [batches.part(step, 0).alpha for step in range(600)]
    counts = np.histogram(alphas, bins=10, range=(0, 1))[0]
    # chi-squared of 9 degrees of freedom: above 27.9 once in a thousand
    assert ((counts - 60) ** 2 / 60).sum() < 27.9


@pytest.mark.parametrize("window", [None, 2])
def test_blocks_give_what_memory_gives(tmp_path: Path, window: int | None) -> None:
    blocks = write_blocks([SERIES], tmp_path / "b", seed=3, records=7, s2=12, s1=12, targets=1)
    held = blocks.take(np.arange(50))
    for step in (0, 5):
        on_disk = make(blocks, window=window)
        order = on_disk.pixels(step, 1)
        if window is None:
            assert same(on_disk.part(step, 1), make(held).part(step, 1))
        np.testing.assert_array_equal(on_disk.part(step, 1).targets, held.targets[order])
        assert same(pickle.loads(pickle.dumps(on_disk)).part(step, 1), on_disk.part(step, 1))
    assert make(blocks).digest() == blocks.digest()
    assert make().digest() == SERIES.digest()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_give_the_same_in_order(workers: int) -> None:
    batches = make(draws=(2, 6), augment=Augment(no_optical=0.3))
    straight = list(batches.stream(2, 9, [2, 0]))
    ahead = list(batches.stream(2, 9, [2, 0], workers=workers))
    assert len(straight) == len(ahead) == 7
    for a, b in zip(straight, ahead, strict=True):
        assert all(same(x, y) for x, y in zip(a, b, strict=True))
    assert list(batches.stream(4, 4, [0], workers=workers)) == []


class Counted:
    """A table that notes how often it was read, across processes."""

    def __init__(self, note: Path, fail_at: int = -1, how: str = "") -> None:
        self.note, self.fail_at, self.how = note, fail_at, how

    def __len__(self) -> int:
        return len(SERIES)

    def digest(self) -> str:
        return "0"

    def take(self, pixels: Any) -> PixelSeries:
        with self.note.open("ab") as file:
            file.write(b".")
        if self.note.stat().st_size == self.fail_at:
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "input":
                raise InputError("block-00003.bin is damaged")
            raise RuntimeError("two\nlines")
        return SERIES.take(pixels)


def test_workers_stay_at_most_two_steps_ahead(tmp_path: Path) -> None:
    note = tmp_path / "note"
    stream = make(Counted(note), parts=1).stream(0, 40, [0], workers=1)
    next(stream)
    for _ in range(50):
        time.sleep(0.01)
        if note.stat().st_size >= 3:
            break
    time.sleep(0.05)
    assert note.stat().st_size == 3
    stream.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("kill", r"^data worker \d was killed by signal 9 before step \d; .*can be resumed$"),
        ("input", r"^data worker \d, step \d: block-00003.bin is damaged$"),
        ("other", r"^data worker \d, step \d: RuntimeError: two lines$"),
    ],
)
def test_a_lost_worker_is_noticed_in_one_line(tmp_path: Path, how: str, expected: str) -> None:
    batches = make(Counted(tmp_path / "note", 4, how), parts=1)
    stream = batches.stream(0, 40, [0], workers=2)
    with pytest.raises(TesseraError, match=expected):
        list(stream)


def test_ctrl_c_is_prompt_and_leaves_no_process() -> None:
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_pretrain_batches import make
import multiprocessing
stream = make().stream(0, 10**9, [0], workers=2)
try:
    for number, _ in enumerate(stream):
        if number == 3:
            print("running", flush=True)
except KeyboardInterrupt:
    stream.close()
    print("left", len(multiprocessing.active_children()), flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    started = time.monotonic()
    # to the whole group, as a terminal does
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert out == "left 0\n"
    assert process.returncode == 0


def test_what_cannot_be_read_is_refused_in_one_line() -> None:
    for changed, expected in (
        ({"batch": 51, "parts": 1}, r"50 pixel-years for a batch of 51"),
        ({"batch": 10}, r"a batch of 10 in 3 parts"),
        ({"window": 4}, r"a window of 4 blocks over a table in memory; expected none"),
        ({"draws": 0}, r"views of 0 draws"),
        ({"draws": (5, 4)}, r"views of \(5, 4\) draws"),
    ):
        with pytest.raises(InputError, match=expected):
            make(**changed)
    for step, part in ((-1, 0), (0, 3), (0, -1)):
        with pytest.raises(InputError, match=r"expected parts 0 to 2, steps from 0"):
            make().part(step, part)
    for start, stop, parts in ((3, 2, [0]), (0, 1, []), (0, 1, [3])):
        with pytest.raises(InputError, match=r"expected ascending steps and parts 0 to 2"):
            make().stream(start, stop, parts)
    blank = SERIES.take(np.arange(12))
    no_data = PixelSeries(
        blank.s2[:0], blank.s2_day[:0], blank.s2_offsets * 0, blank.s1[:0], blank.s1_day[:0],
        blank.s1_descending[:0], blank.s1_offsets * 0,
    )  # fmt: skip
    with pytest.raises(InputError, match=r"4 pixel-years without any observation"):
        make(no_data).part(0, 0)


def test_views_own_their_memory() -> None:
    batch = next(iter(make().stream(0, 4, [0], workers=1)))[0]
    assert isinstance(batch.first, View)
    for array in arrays(batch)[:4]:
        assert array.flags.writeable
        assert array.flags.c_contiguous
        assert array.dtype == np.float32
