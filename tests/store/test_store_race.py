"""Real processes that race for a cell, and that are killed at any moment, in a folder and on S3."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_s3 import serving_s3
from store_helpers import BASE, CELL, LAYOUT, MODEL
from test_store_commit import number_of, version

from tessera.net import ChangedError
from tessera.store import Store, create_store, open_store

URL = "s3://bucket/store"
LEFT = replace(BASE, width=64)
RIGHT = replace(BASE, west=BASE.west + 64, width=64)
START = """
import os, sys
sys.path.insert(0, sys.argv[2])
import tessera.net.objects, tessera.store.commits._remote_commit
from store_helpers import BASE
from test_store_commit import version
from test_store_race import LEFT, RIGHT
from tessera.store import open_store
tessera.net.objects._CLIENT.setdefault("allow_http", True)
tessera.store.commits._remote_commit.PATIENCE = 0.0
"""
RACER = (
    START
    + """
store = open_store(sys.argv[1])
window = {"whole": BASE, "left": LEFT, "right": RIGHT}
print("ready", flush=True)
for line in sys.stdin:
    where, number = line.split()
    store.write(version(int(number), window[where]), 2024)
    print(number, flush=True)
"""
)
NURSERY = (
    START
    + """
import obstore.exceptions, obstore.store
from store_helpers import LAYOUT, MODEL
from tessera.shards import Header, store_documents
list(store_documents(Header(MODEL, LAYOUT, (), (31,))))
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        store, number = open_store(sys.argv[1]), int(line)
        while True:
            store.write(version(number), 2024)
            print("wrote", number, flush=True)
            number += 1
    print("child", child, flush=True)
    os.waitpid(child, 0)
    print("buried", flush=True)
"""
)
"""Forks writers, so that each need not import anew; its own process has opened nothing that a fork would break."""


@pytest.fixture(params=["folder", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty store's path or URL."""
    monkeypatch.setattr("tessera.store.commits._remote_commit.PATIENCE", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with ExitStack() as stack:
        where = str(tmp_path / "s")
        if request.param == "s3":
            _, environment = stack.enter_context(serving_s3())
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setattr("tessera.net.objects._CLIENT", {"allow_http": True})
            where = URL
        create_store(where, 8, MODEL, zones=(31,), layout=LAYOUT)
        yield where


@contextmanager
def running(script: str, target: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, target, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert line_of(child) == "ready"
            yield child
        finally:
            child.kill()


def line_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def tell(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdin is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()


def fresh(target: str) -> Store:
    return open_store(target, cache=False)


def test_of_processes_that_race_for_a_cell_each_wins_or_loses_whole(target: str) -> None:
    with running(RACER, target) as one, running(RACER, target) as other:
        for turn in range(20):
            for child, number in ((one, 100 + turn), (other, 300 + turn)):
                tell(child, f"whole {number}")
            assert [line_of(child) for child in (one, other)] == [str(100 + turn), str(300 + turn)]
            assert number_of(fresh(target)) in (100 + turn, 300 + turn)
            for child, where, number in ((one, "left", 500 + turn), (other, "right", 700 + turn)):
                tell(child, f"{where} {number}")
            assert [line_of(child) for child in (one, other)] == [str(500 + turn), str(700 + turn)]
            found = fresh(target).read_window(BASE, 2024)
            assert (found.counts[:, :64] == 500 + turn).all()
            assert (found.counts[:, 64:] == 700 + turn).all()
            assert np.array_equal(found.codes[:, :64], version(500 + turn, LEFT).codes)
            assert np.array_equal(found.scales[:, 64:], version(700 + turn, RIGHT).scales)
            record = fresh(target).commit(CELL, 2024)
            assert record is not None
            assert {part["provenance"]["version"] for part in record.inputs if part["intact"]} == {
                500 + turn,
                700 + turn,
            }


def test_threads_that_race_lose_nothing(target: str) -> None:
    quarters = [replace(BASE, west=BASE.west + 32 * k, width=32) for k in range(4)]
    errors: list[BaseException] = []

    def go(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    for turn in range(5):
        jobs = [
            lambda number=100 * (k + 1) + turn, window=window: fresh(target).write(version(number, window), 2024)
            for k, window in enumerate(quarters)
        ]
        threads = [threading.Thread(target=go, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        found = fresh(target).read_window(BASE, 2024).counts[..., 0]
        for k in range(4):
            assert (found[:, 32 * k : 32 * k + 32] == 100 * (k + 1) + turn).all()


def test_kill_9_at_random_moments_of_80_writes(target: str) -> None:
    rng, committed, written = random.Random(11), 0, 0
    with running(NURSERY, target) as nursery:
        while written < 80:
            tell(nursery, str(committed + 1))
            last, wanted, child = committed, rng.randrange(16), 0
            # so many writes, and then a moment of the next
            while not child or wanted:
                word, number = line_of(nursery).split()
                if word == "child":
                    child = int(number)
                else:
                    last, written, wanted = int(number), written + 1, max(0, wanted - 1)
            time.sleep(rng.uniform(0, 0.06))
            os.kill(child, signal.SIGKILL)
            while (said := line_of(nursery)) != "buried":
                word, number = said.split()
                assert word == "wrote"
                last, written = int(number), written + 1
            shown = number_of(fresh(target)) if fresh(target).years else None
            assert shown is None or last <= shown <= last + 1
            # the next writer, of a single pixel, finishes what is begun, and finds all that was committed
            if last:
                fresh(target).write(version(last, replace(BASE, width=1, height=1)), 2024)
                found = fresh(target).read_window(BASE, 2024)
                after = np.unique(found.counts[1:])
                assert len(after) == 1
                assert last <= after[0] <= last + 1
                # what was intended and not begun may come yet; what was shown does not go back
                assert shown is None or after[0] >= shown
                committed = int(after[0])
                fresh(target).write(version(committed), 2024)
                assert number_of(fresh(target)) == committed


def test_a_reader_never_sees_a_mixture_while_others_write(target: str) -> None:
    fresh(target).write(version(1), 2024)
    stop, errors = threading.Event(), []

    def keep_writing(number: int) -> None:
        store = fresh(target)
        try:
            while not stop.is_set():
                number += 2
                store.write(version(number % 900), 2024)
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=keep_writing, args=(number,)) for number in (2, 3)]
    for writer in writers:
        writer.start()
    seen: set[int | None] = set()
    kept = fresh(target)
    try:
        turn, deadline = 0, time.monotonic() + 60
        while turn < 60 or (len(seen) < 6 and time.monotonic() < deadline):
            turn += 1
            store = kept if turn % 2 else fresh(target)
            # a cell that kept changing is an error, never a mixture
            with suppress(ChangedError):
                seen.add(number_of(store))
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert errors == []
    assert len(seen) > 5
