"""Blocks: what goes in comes out, in one order for all cuts of the source; nothing that a file claims is trusted."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tessera.base import InputError, TesseraError
from tessera.cubes import PixelSeries, concatenate
from tessera.pretrain import open_blocks, write_blocks

ROOM: dict[str, Any] = {"s2": 12, "s1": 10, "records": 16}


def make_series(pixels: int, seed: int = 0, targets: int = 0, most: int = 12, least: int = 0) -> PixelSeries:
    """Random pixel-years; a target, if any, is the number of the pixel-year."""
    rng = np.random.default_rng(seed)
    offsets = [np.concatenate([[0], np.cumsum(rng.integers(least, most + 1, pixels))]) for _ in range(2)]
    rows2, rows1 = (int(part[-1]) for part in offsets)
    return PixelSeries(
        rng.integers(0, 65536, (rows2, 10)).astype(np.uint16),
        rng.integers(1, 367, rows2).astype(np.int16),
        offsets[0],
        rng.integers(-(2**15), 2**15, (rows1, 2)).astype(np.int16),
        rng.integers(1, 367, rows1).astype(np.int16),
        rng.random(rows1) < 0.5,
        offsets[1],
        np.repeat(np.arange(pixels, dtype=np.float32)[:, None], targets, axis=1),
    )


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 70), st.lists(st.integers(0, 70), max_size=4), st.integers(0, 3), st.integers(1, 60_000))
def test_round_trip(tmp_path: Path, pixels: int, cuts: list[int], seed: int, memory: int) -> None:
    series = make_series(pixels, seed, targets=2, most=10)
    edges = [0, *sorted(cut % pixels for cut in cuts), pixels]
    parts = [series.take(np.arange(a, b)) for a, b in itertools.pairwise(edges)]
    folders = [tmp_path / f"{pixels}-{len(list(tmp_path.iterdir()))}-{index}" for index in range(2)]
    blocks = write_blocks(parts, folders[0], seed=seed, targets=2, memory=memory, **ROOM)
    whole = blocks.take(np.arange(pixels))
    order = whole.targets[:, 0].astype(np.int64)
    np.testing.assert_array_equal(np.sort(order), np.arange(pixels))
    assert whole.digest() == series.take(order).digest()
    again = write_blocks([series], folders[1], seed=seed, targets=2, **ROOM)
    assert [a.tobytes() for a in blocks._maps] == [a.tobytes() for a in again._maps]
    chosen = np.random.default_rng(seed).integers(0, pixels, 9)
    assert open_blocks(folders[0], verify=True).take(chosen).digest() == whole.take(chosen).digest()
    assert all(path.stat().st_size % 4096 == 0 for path in folders[0].glob("*.bin"))
    assert not list(tmp_path.glob("*.part"))


def test_every_block_is_a_fair_sample_and_other_seeds_give_other_orders(tmp_path: Path) -> None:
    n = 3000
    series = make_series(n, targets=1, most=2)
    orders = []
    for seed in (1, 2):
        blocks = write_blocks([series], tmp_path / str(seed), seed=seed, s2=2, s1=2, records=500, targets=1)
        orders.append(blocks.take(np.arange(n)).targets[:, 0])
        # the mean of 500 of 0 to 2999 without replacement: deviation 866 / sqrt(500) * sqrt(5 / 6)
        assert np.abs(orders[-1].reshape(6, 500).mean(axis=1) - 1499.5).max() < 4 * 35.4
    assert abs(np.corrcoef(orders[0], orders[1])[0, 1]) < 4 / np.sqrt(n)
    assert abs(np.corrcoef(orders[0], np.arange(n))[0, 1]) < 4 / np.sqrt(n)


def test_a_year_with_too_many_keeps_some_in_order_each_as_likely(tmp_path: Path) -> None:
    pixels, seen, room = 2000, 12, 5
    rows = np.tile(np.arange(1, seen + 1), pixels)
    offsets = np.arange(pixels + 1) * seen
    series = PixelSeries(
        np.repeat(rows[:, None], 10, axis=1).astype(np.uint16),
        rows.astype(np.int16),
        offsets,
        np.repeat(rows[:, None], 2, axis=1).astype(np.int16),
        rows.astype(np.int16),
        rows % 2 == 0,
        offsets,
    )
    whole = write_blocks([series], tmp_path / "b", seed=1, s2=room, s1=12, records=900).take(np.arange(pixels))
    assert (whole.s2_count == room).all()
    assert (whole.s1_count == seen).all()
    kept = whole.s2_day.reshape(pixels, room)
    assert (np.diff(kept, axis=1) > 0).all()
    np.testing.assert_array_equal(whole.s2[:, 3], whole.s2_day)
    counts = np.bincount(kept.ravel(), minlength=seen + 1)[1:]
    mean = pixels * room / seen
    # negatively correlated within a pixel: below chi-squared of 11 degrees of freedom, 31.3 once in a thousand
    assert ((counts - mean) ** 2 / mean).sum() < 31.3
    assert ((counts - mean) ** 2).sum() > 0


class PowerError(Exception):
    """A power cut."""


@pytest.mark.parametrize("at", range(1, 9))
def test_an_interrupted_run_goes_on_with_the_same_bytes(tmp_path: Path, at: int) -> None:
    series = make_series(60, targets=1, most=9)
    parts = [series.take(np.arange(i, i + 20)) for i in range(0, 60, 20)]
    write_blocks(parts, tmp_path / "whole", seed=4, targets=1, memory=4000, **ROOM)
    made: list[int] = []

    def lazy() -> Any:
        for index, part in enumerate(parts):

            def make(index: int = index, part: PixelSeries = part) -> PixelSeries:
                made.append(index)
                return part

            yield make

    count = 0

    def stop(done: int, total: int) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise PowerError

    target = tmp_path / "cut"
    options: dict[str, Any] = {"seed": 4, "targets": 1, "memory": 4000, **ROOM}
    if at <= 7:
        with pytest.raises(PowerError):
            write_blocks(lazy(), target, progress=stop, **options)
        assert not target.exists()
        # what a write that was cut short leaves
        (tmp_path / "cut.part" / "parts" / "000009.tmp").write_bytes(b"torn")
    write_blocks(lazy(), target, **options)
    assert content(target) == content(tmp_path / "whole")
    assert made == [0, 1, 2]


CHANGES = ("mkdir", "fsync", "replace", "rename", "unlink", "rmdir")


@contextlib.contextmanager
def kept(root: Path, into: Path) -> Iterator[list[Path]]:
    """Copies of `root` as a kill before each change of its files leaves it.

    Of a file that is about to be synced there is one more with half of it: a kill in the middle of its writing.
    """
    copies: list[Path] = []
    copying = False

    def copy(name: str) -> Path:
        copies.append(into / f"{len(copies):03d} {name}")
        return Path(shutil.copytree(root, copies[-1]))

    def watched(change: str, act: Any) -> Any:
        def call(given: Any, *more: Any, **options: Any) -> Any:
            nonlocal copying
            if not copying:
                copying = True
                copy(f"{change} {'' if change == 'fsync' else Path(given).name}")
                for path in root.rglob("*") if change == "fsync" else ():
                    if path.is_file() and path.samefile(f"/dev/fd/{given}"):
                        torn = copy(f"half {path.name}")
                        os.truncate(torn / path.relative_to(root), path.stat().st_size // 2)
                copying = False
            return act(given, *more, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for change in CHANGES:
            patch.setattr(os, change, watched(change, getattr(os, change)))
        yield copies


def test_killed_at_any_change_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = make_series(40, most=9)
    parts = [series.take(np.arange(0, 20)), series.take(np.arange(20, 40))]
    write_blocks(parts, tmp_path / "whole", seed=4, **ROOM)
    expected = content(tmp_path / "whole")
    assert sorted(expected) == [*(f"block-{number:05d}.bin" for number in range(3)), "index.json"]
    (tmp_path / "run").mkdir()
    with kept(tmp_path / "run", tmp_path / "kept") as copies:
        write_blocks(parts, tmp_path / "run" / "b", seed=4, **ROOM)
    told = [copy.name[4:] for copy in copies]
    torn = {name for name in told if name.startswith("half ")}
    assert {"half 000001.run", "half block-00000.bin", "half block-00002.bin"} < torn
    assert {"rename blocks", "unlink 000001.run", "rename parts", "unlink work.json", "unlink lock"} < set(told)
    assert told[-1] == "rmdir b.part"
    appeared = told.index("rename blocks") + 1
    # a kill takes nothing that a file was given from it; a power cut would
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    for number, copy in enumerate(copies):
        # the folder is whole or not there
        assert (copy / "b").exists() == (number >= appeared)
        assert number < appeared or content(copy / "b") == expected
        write_blocks(parts, copy / "b", seed=4, **ROOM)
        assert content(copy / "b") == expected, copy.name
        assert [path.name for path in copy.iterdir()] == ["b"]
    with pytest.raises(InputError, match=r"b exists; expected a new path"):
        write_blocks(parts, tmp_path / "run" / "b", seed=4, **ROOM)


@pytest.mark.parametrize("change", ["nothing", "seed", "records", "s2", "parts", "fewer", "more", "names", "damage"])
def test_stopped_when_the_blocks_have_appeared_the_same_call_alone_returns_them(tmp_path: Path, change: str) -> None:
    series = make_series(40, most=9)
    parts: list[Any] = [series.take(np.arange(0, 20)), series.take(np.arange(20, 40))]
    (tmp_path / "run").mkdir()
    with kept(tmp_path / "run", tmp_path / "kept") as copies:
        write_blocks(parts, tmp_path / "run" / "b", seed=4, **ROOM)
    stopped = next(after for before, after in itertools.pairwise(copies) if before.name.endswith("rename blocks"))
    assert (stopped / "b.part" / "parts" / "000001.run").exists()
    options = {"seed": 4, **ROOM}
    if change in options:
        options[change] += 1
    parts = {
        "parts": [parts[0], parts[0]],
        "fewer": parts[:1],
        "more": [*parts, parts[0]],
        "names": [("first", lambda: parts[0]), ("second", lambda: parts[1])],
    }.get(change, parts)
    if change == "damage":
        os.truncate(stopped / "b" / "block-00001.bin", 100)
    before = content(stopped / "b")
    if change == "nothing":
        assert len(write_blocks(parts, stopped / "b", **options)) == 40
    else:
        with pytest.raises(InputError, match=r"b exists; expected a new path for the blocks$"):
            write_blocks(parts, stopped / "b", **options)
    assert content(stopped / "b") == before
    assert not (stopped / "b.part").exists()


def test_parts_by_name(tmp_path: Path) -> None:
    series = make_series(40)
    made: list[str] = []

    def named(*names: str) -> list[Any]:
        def make(name: str) -> PixelSeries:
            made.append(name)
            return series.take(np.arange(0, 20) + 20 * (name == "b"))

        return [(name, partial(make, name)) for name in names]

    def stop(at: int, last: int) -> Any:
        def progress(done: int, total: int) -> None:
            if (done, total) == (at, last):
                raise PowerError

        return progress

    options: dict[str, Any] = {"seed": 1, **ROOM}
    with pytest.raises(PowerError):
        write_blocks(named("a", "b"), tmp_path / "x", progress=stop(1, 0), **options)
    with pytest.raises(InputError, match=r"^part 0 is c; in the interrupted run in .*x.part it was a; remove that .*$"):
        write_blocks(named("c", "b"), tmp_path / "x", **options)
    with pytest.raises(InputError, match=r"^part 0 is a part without a name; in the interrupted run .* it was a; .*$"):
        write_blocks([series], tmp_path / "x", **options)
    with pytest.raises(PowerError):
        write_blocks(named("a", "b"), tmp_path / "x", progress=stop(1, 3), **options)
    # the first block is there and would lack what a further part brings
    with pytest.raises(InputError, match=r"^3 parts or more, and the interrupted run in .*x.part had 2; remove.*"):
        write_blocks(named("a", "b", "c"), tmp_path / "x", **options)
    assert len(write_blocks(named("a", "b"), tmp_path / "x", **options)) == 40
    assert made == ["a", "b"]


def test_empty_parts_are_parts(tmp_path: Path) -> None:
    series = make_series(10, targets=1)
    none = series.take(np.empty(0, dtype=np.int64))
    blocks = write_blocks([none, series, none], tmp_path / "x", seed=1, targets=1, **ROOM)
    alone = write_blocks([series], tmp_path / "y", seed=1, targets=1, **ROOM)
    assert blocks.take(np.arange(10)).digest() == alone.take(np.arange(10)).digest()
    with pytest.raises(
        InputError, match=r"^0 pixel-years for .*z, or none with the observations asked for; expected at least one$"
    ):
        write_blocks([none], tmp_path / "z", seed=1, targets=1, **ROOM)
    # nothing is left that would refuse other parts
    assert not (tmp_path / "z.part").exists()


def test_other_parts_or_another_process_are_refused(tmp_path: Path) -> None:
    series = make_series(30)
    target = tmp_path / "b"

    def stop(done: int, total: int) -> None:
        if total == 0 and done == 2:
            raise PowerError

    def begin(parts: list[PixelSeries], **changed: Any) -> None:
        write_blocks(parts, target, **{"seed": 1, **ROOM, **changed})

    halves = [series.take(np.arange(0, 15)), series.take(np.arange(15, 30))]
    with pytest.raises(PowerError):
        begin(halves, progress=stop)
    with pytest.raises(InputError, match=r"part 1 is not that of the interrupted run.*remove that folder"):
        begin([halves[0], halves[0]])
    with pytest.raises(InputError, match=r"1 parts, and the interrupted run .* had more"):
        begin(halves[:1])
    with (tmp_path / "b.part" / "lock").open() as held:
        import fcntl

        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match=r"another process works in"):
            begin(halves)
    # other settings are other work, which begins anew
    begin(halves, seed=2)
    with pytest.raises(InputError, match=r"b exists; expected a new path"):
        begin(halves)
    (tmp_path / "c.part").mkdir()
    (tmp_path / "c.part" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is no work folder of blocks"):
        write_blocks(halves, tmp_path / "c", seed=1)
    with pytest.raises(InputError, match=r"0 pixel-years"):
        write_blocks([], tmp_path / "d", seed=1)
    with pytest.raises(InputError, match=r"part 0 has 3 targets; expected 1"):
        write_blocks([make_series(4, targets=3)], tmp_path / "e", seed=1, targets=1)


def test_a_full_disk_is_one_line_and_can_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = make_series(40)
    sync, left = os.fsync, 6

    def full(handle: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr("tessera.pretrain.data._shuffle.os.fsync", full)
    with pytest.raises(
        TesseraError, match=r"^cannot write .*b.part: No space left on device; .*run the same command again$"
    ):
        write_blocks([series], tmp_path / "b", seed=1, **ROOM)
    monkeypatch.undo()
    assert len(write_blocks([series], tmp_path / "b", seed=1, **ROOM)) == 40


def test_an_error_of_the_source_is_not_taken_for_the_disk(tmp_path: Path) -> None:
    def missing() -> PixelSeries:
        raise FileNotFoundError("the source")

    with pytest.raises(FileNotFoundError, match="the source"):
        write_blocks([missing], tmp_path / "b", seed=1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blocks") / "b"
    write_blocks([make_series(40, targets=1)], folder, seed=1, targets=1, **ROOM)
    return folder


def _copy(written: Path, to: Path) -> Path:
    to.mkdir()
    for name, data in content(written).items():
        (to / name).write_bytes(data)
    return to


@pytest.mark.parametrize("size", [0, 100, 4096, 8191, 12288])
def test_a_file_that_is_cut_short_is_named(written: Path, tmp_path: Path, size: int) -> None:
    folder = _copy(written, tmp_path / "b")
    path = folder / "block-00001.bin"
    full = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size if size < full else full + 4096)
    with pytest.raises(InputError, match=rf"block-00001.bin has \d+ bytes; expected {full} by .*index.json"):
        open_blocks(folder)


@given(st.integers(0, 2), st.integers(0, 10**9), st.integers(0, 7))
def test_any_flipped_bit_is_found(
    written: Path, tmp_path_factory: pytest.TempPathFactory, block: int, place: int, bit: int
) -> None:
    folder = _copy(written, tmp_path_factory.mktemp("flip") / "b")
    path = folder / f"block-{block:05d}.bin"
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"block-0000\d.bin (has SHA-256|does not begin as block \d).*index.json"):
        open_blocks(folder, verify=True)


def test_a_record_that_claims_too_much_is_damaged_not_read(written: Path, tmp_path: Path) -> None:
    folder = _copy(written, tmp_path / "b")
    path = folder / "block-00000.bin"
    data = bytearray(path.read_bytes())
    # after the page: one float32 of targets, then the counts
    data[4096 + 4 : 4096 + 6] = b"\xff\xff"
    path.write_bytes(data)
    blocks = open_blocks(folder)
    assert len(blocks.take(np.arange(1, 40))) == 39
    with pytest.raises(InputError, match=r"a record claims 65535 and \d+ observations; expected at most 12 and 10.*"):
        blocks.take(np.array([0, 3]))


def test_foreign_files_are_refused_in_one_line(written: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"index of blocks not found: .*nowhere"):
        open_blocks(tmp_path / "nowhere")
    good = json.loads((written / "index.json").read_text())
    changes: list[tuple[dict[str, Any], str]] = [
        ({"format": "zarr"}, r"has format 'zarr'"),
        ({"version": 2}, r"2; expected 'tessera-pixel-blocks' 1"),
        ({"pixels": 41}, r"no index of blocks: values that do not fit"),
        ({"pixels": 10**15}, r"blocks of 16 records for 1000000000000000"),
        ({"records_per_block": 0}, r"no index of blocks"),
        ({"seed": "1"}, r"no index of blocks"),
        ({"source": "x"}, r"a SHA-256 that is none"),
        ({"capacity": {"s2": 10**9, "s1": 1}}, r"expected 1 to 4096"),
        ({"blocks": [{**good["blocks"][0], "name": "../../etc/passwd"}, *good["blocks"][1:]]}, r"do not fit"),
        ({"s2_bands": ["B01"]}, r"do not fit"),
        ({"more": 1}, r"do not fit"),
    ]
    for number, (change, expected) in enumerate(changes):
        folder = _copy(written, tmp_path / str(number))
        (folder / "index.json").write_text(json.dumps({**good, **change}))
        with pytest.raises(InputError, match=expected):
            open_blocks(folder)
    folder = _copy(written, tmp_path / "swapped")
    (folder / "block-00000.bin").write_bytes((written / "block-00001.bin").read_bytes())
    with pytest.raises(InputError, match=r"block-00000.bin does not begin as block 0 of .*index.json"):
        open_blocks(folder)
    (folder / "block-00000.bin").unlink()
    with pytest.raises(InputError, match=r"cannot read .*block-00000.bin of .*index.json: No such file"):
        open_blocks(folder)


def test_digest_and_bounds(written: Path, tmp_path: Path) -> None:
    blocks = open_blocks(written)
    other = write_blocks([make_series(40, seed=9, targets=1)], tmp_path / "o", seed=1, targets=1, **ROOM)
    assert len(blocks.digest()) == 64
    assert blocks.digest() == open_blocks(written).digest() != other.digest()
    assert len(blocks.take(np.empty(0, dtype=np.int64))) == 0
    for wrong in (-1, 40):
        with pytest.raises(InputError, match=r"which has 40"):
            blocks.take(np.array([wrong]))


def test_unknown_targets_are_nan_in_blocks_and_tables(tmp_path: Path) -> None:
    with_truth, without = make_series(10, targets=2), make_series(10)
    whole = concatenate([with_truth, without])
    assert whole.targets.shape == (20, 2)
    assert np.isnan(whole.targets[10:]).all()
    blocks = write_blocks([with_truth, without], tmp_path / "b", seed=1, targets=2, **ROOM)
    assert np.isnan(blocks.take(np.arange(20)).targets[:, 0]).sum() == 10
