"""Batches side by side: the same bytes on any number of threads, errors passed on, torch's own number left alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from encode_tiny import ragged_cube, tiny_encoder

from tessera.encode import _run as run_module
from tessera.encode._lanes import side_by_side


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("family", ["v1.0", "v1.1", "v2-student"])
def test_the_number_of_threads_changes_no_bit(
    family: str, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_BUDGET", 64)
    monkeypatch.setitem(run_module._OUTER, "cpu", 200)
    monkeypatch.setattr(run_module, "_FUSED", 7)
    encoder, cube = tiny_encoder(family), ragged_cube()
    found = []
    for count in (1, 2, 3):
        threads(count)
        found.append(encoder.vectors(cube))
        assert torch.get_num_threads() == count
    assert np.isfinite(found[0]).any()
    assert all(np.array_equal(found[0], other, equal_nan=True) for other in found[1:])


def test_work_is_reported_here_and_each_thread_computes_alone(threads: Callable[[int], None]) -> None:
    threads(3)
    here, said, seen = threading.get_ident(), [], []

    def report(units: int) -> None:
        assert threading.get_ident() == here
        said.append(units)

    def work(item: int, tell: Callable[[int], None]) -> None:
        torch.ones(64, 64) @ torch.ones(64, 64)
        seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled()))
        tell(item)

    side_by_side(work, range(20), report)
    assert sum(said) == sum(range(20))
    assert seen == [(1, True)] * 20
    # a thread of the caller's own still has what it had
    others: list[int] = []
    one = threading.Thread(target=lambda: others.append(torch.get_num_threads()))
    one.start()
    one.join()
    assert others == [3]


def test_an_error_ends_the_work(threads: Callable[[int], None]) -> None:
    threads(2)
    done: list[int] = []

    def work(item: int, tell: Callable[[int], None]) -> None:
        if item == 3:
            raise ValueError("item 3")
        tell(1)
        done.append(item)

    with pytest.raises(ValueError, match="item 3"):
        side_by_side(work, range(10_000), lambda _: None)
    count = len(done)
    assert count < 10_000
    assert len(done) == count
