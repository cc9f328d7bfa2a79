"""A cube into cells of a store: what is there is skipped, what was begun is taken up, nothing damaged is trusted."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scale_tiny import BLOCK_PIXELS, YEAR, files_of, leftovers, make_cube, make_encoder, make_store

from tessera.base import InputError, TesseraError, write_atomic
from tessera.cubes import write_cube
from tessera.encode import Block
from tessera.geo import Window
from tessera.scale import embed_cube
from tessera.scale._spool import Spool, spool

CUBE, ENCODER = make_cube(), make_encoder()
LATER = replace(CUBE, provenance={"year": YEAR + 1})
OPTIONS = ENCODER.options()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr("tessera.encode.row_blocks._BLOCK_PIXELS", BLOCK_PIXELS)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    """The files of a store that was written without a stop."""
    store = make_store(tmp_path / "whole", ENCODER)
    assert embed_cube(store, ENCODER, CUBE, YEAR, OPTIONS) == (2, 0)
    return files_of(tmp_path / "whole")


class Counted:
    """An encoder that counts the blocks that it makes, and may fail after some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[int, int]] = []
        self.kept = 0
        self.fail_after: int | None = None
        self.error: BaseException = KeyboardInterrupt()
        put = Spool.put

        def counted(spool: Spool, block: Block) -> None:
            if self.fail_after is not None and len(self.made) >= self.fail_after:
                raise self.error
            put(spool, block)
            self.made.append((block.start, block.stop))

        monkeypatch.setattr(Spool, "put", counted)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def test_the_store_holds_what_the_encoder_makes_of_the_whole_cube(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", ENCODER)
    seen: list[tuple[int, int]] = []
    progress = lambda done, total: seen.append((done, total))  # noqa: E731 - the callable's shape is given
    assert embed_cube(store, ENCODER, CUBE, YEAR, OPTIONS, progress=progress) == (2, 0)
    assert seen[-1] == (960, 960)
    assert seen == sorted(seen)
    assert len({done for done, _ in seen}) >= 8
    found, wanted = store.read_window(Window.of_grid(CUBE.grid), YEAR), ENCODER.encode(CUBE)
    assert np.array_equal(np.isnan(found.scales), np.isnan(wanted.scales))
    assert np.isnan(found.scales).any()
    assert np.abs(found.codes.astype(int) - wanted.codes).max() <= 1
    assert np.array_equal(found.counts, wanted.counts)
    assert leftovers(tmp_path / "s") == []


def test_a_second_run_leaves_all_alone_and_another_cube_does_not(tmp_path: Path, counted: Counted) -> None:
    store = make_store(tmp_path / "s", ENCODER)
    embed_cube(store, ENCODER, CUBE, YEAR, OPTIONS)
    before, made = files_of(tmp_path / "s"), len(counted.made)
    seen: list[int] = []
    again = embed_cube(store, ENCODER, CUBE, YEAR, OPTIONS, progress=lambda done, total: seen.append(done))
    assert again == (0, 2)
    assert seen[-1] == 960
    assert len(counted.made) == made
    assert files_of(tmp_path / "s") == before
    assert embed_cube(store, ENCODER, CUBE, YEAR, ENCODER.options(min_s2=1)) == (2, 0)
    assert embed_cube(store, ENCODER, LATER, YEAR + 1, OPTIONS) == (2, 0)
    changed = np.asarray(CUBE.s2).copy()
    changed[0, 0, 0, 0] += 1
    assert embed_cube(store, ENCODER, replace(LATER, s2=changed), YEAR + 1, OPTIONS) == (1, 1)


@pytest.mark.parametrize("after", range(8))
def test_a_run_that_stopped_goes_on_after_its_last_block(
    tmp_path: Path, counted: Counted, whole: dict[str, bytes], after: int
) -> None:
    total, stored = len(counted.made), write_cube(CUBE, tmp_path / "cube.zarr")
    assert total == 8
    counted.made.clear()
    counted.fail_after = after
    store = make_store(tmp_path / "s", ENCODER)
    with pytest.raises(KeyboardInterrupt):
        embed_cube(store, ENCODER, stored, YEAR, OPTIONS)
    counted.fail_after = None
    written, skipped = embed_cube(store, ENCODER, stored, YEAR, OPTIONS)
    assert written + skipped == 2
    assert len(counted.made) == total
    assert files_of(tmp_path / "s") == whole


def test_a_full_disk_is_told_and_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, bytes]
) -> None:
    store = make_store(tmp_path / "s", ENCODER)
    left = 5  # three blocks are the first cell

    def full(path: Path, data: Any) -> None:
        nonlocal left
        if left == 0 and path.suffix == ".block":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        left -= path.suffix == ".block"
        write_atomic(path, data)

    monkeypatch.setattr("tessera.base.folder.write_atomic", full)
    with pytest.raises(TesseraError, match=r"No space left on device.*finished blocks are kept") as caught:
        embed_cube(store, ENCODER, CUBE, YEAR, OPTIONS)
    assert "\n" not in str(caught.value)
    assert len([path for path in leftovers(tmp_path / "s") if path.endswith(".block")]) == 2
    left = 100
    embed_cube(store, ENCODER, CUBE, YEAR, OPTIONS)
    assert left == 100 - 3
    assert files_of(tmp_path / "s") == whole


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "other", "gone"])
def test_a_damaged_block_is_made_again(tmp_path: Path, counted: Counted, whole: dict[str, bytes], harm: str) -> None:
    store = make_store(tmp_path / "s", ENCODER)
    counted.made.clear()
    counted.fail_after = 2
    with pytest.raises(KeyboardInterrupt):
        embed_cube(store, ENCODER, CUBE, YEAR, OPTIONS)
    first = sorted((tmp_path / "s" / ".tessera" / "work").rglob("*.block"))[0]
    data = first.read_bytes()
    harmed = {
        "flip": data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1 :],
        "cut": data[:-30],
        "empty": b"",
        "other": sorted(first.parent.glob("*.block"))[1].read_bytes()[::-1],
    }
    first.unlink() if harm == "gone" else first.write_bytes(harmed[harm])
    counted.fail_after = None
    embed_cube(store, ENCODER, CUBE, YEAR, OPTIONS)
    assert counted.made.count((0, 6)) == 3
    assert files_of(tmp_path / "s") == whole


def a_block(seed: int = 1) -> Block:
    rng = np.random.default_rng(seed)
    codes, scales = rng.integers(-127, 128, (2, 3, 4), dtype=np.int8), rng.random((2, 3)).astype(np.float32)
    return Block(4, 6, codes, scales, rng.integers(0, 99, (2, 3, 3)).astype(np.uint16))


def equal(one: Block, other: Block) -> bool:
    names = ("codes", "scales", "counts")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_no_single_flipped_bit_and_no_cut_passes_for_a_block(tmp_path: Path) -> None:
    kept, block = Spool(tmp_path, 3, 4), a_block()
    kept.put(block)
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    found = kept.get(4, 6)
    assert found is not None
    assert equal(found, block)
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ (1 << position % 8)]) + data[position + 1 :])
        assert kept.get(4, 6) is None
        if position % 16 == 0:
            path.write_bytes(data[:position])
            assert kept.get(4, 6) is None


@given(st.binary(max_size=400))
def test_any_file_is_safe_to_read_as_a_block(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "blocks"
    folder.mkdir(exist_ok=True)
    kept = Spool(folder, 3, 4)
    kept.put(a_block())
    (path,) = folder.iterdir()
    path.write_bytes(data)
    assert kept.get(4, 6) is None


def test_a_block_of_another_shape_is_not_taken(tmp_path: Path) -> None:
    Spool(tmp_path, 3, 4).put(a_block())
    assert Spool(tmp_path, 3, 4).get(4, 6) is not None
    assert Spool(tmp_path, 2, 4).get(4, 6) is None
    assert Spool(tmp_path, 3, 8).get(4, 6) is None
    assert Spool(tmp_path, 3, 4).get(4, 7) is None
    assert Spool(tmp_path, 3, 4).get(5, 7) is None


def test_work_of_other_options_shares_nothing(tmp_path: Path, counted: Counted) -> None:
    store = make_store(tmp_path / "s", ENCODER)
    for number, (encoder, options, year) in enumerate(
        (
            (ENCODER, OPTIONS, YEAR),
            (ENCODER, ENCODER.options(min_s1=1), YEAR),
            (ENCODER, ENCODER.options(reference_fill=True), YEAR),
            (ENCODER, OPTIONS, YEAR + 1),
            (replace(ENCODER, precision="bf16"), OPTIONS, YEAR),
        ),
        1,
    ):
        counted.made.clear()
        counted.fail_after = 2
        with pytest.raises(KeyboardInterrupt):
            embed_cube(store, encoder, CUBE if year == YEAR else LATER, year, options)
        folders = [path for path in (tmp_path / "s" / ".tessera" / "work").iterdir() if path.is_dir()]
        assert len(folders) == number
        assert [len(list(folder.glob("*.block"))) for folder in folders] == [2] * number


def test_a_spool_stays_after_a_stop_and_goes_after_success(tmp_path: Path) -> None:
    def stopped() -> None:
        with spool(tmp_path, {"a": 1}, 3, 4) as kept:
            kept.put(a_block())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with spool(tmp_path, {"a": 1}, 3, 4) as kept:
        assert kept.get(4, 6) is not None
    assert list(tmp_path.iterdir()) == []


def test_a_cube_off_the_lattice_and_a_store_of_another_model_are_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", ENCODER)
    with pytest.raises(InputError, match="no CRS"):
        embed_cube(store, ENCODER, replace(CUBE, grid=None), YEAR, OPTIONS)
    with pytest.raises(InputError, match="a store holds one model"):
        embed_cube(store, make_encoder(1), CUBE, YEAR, OPTIONS)
    with pytest.raises(InputError, match="the cube from 2023-01-01 to 2023-12-31 for the year 2025"):
        embed_cube(store, ENCODER, CUBE, 2025, OPTIONS)


@pytest.mark.parametrize("place", [".tessera", ".tessera/work", ".tessera/locks", "utm31/embeddings", "commits"])
def test_a_link_out_of_the_store_is_refused_before_anything_is_embedded(tmp_path: Path, place: str) -> None:
    store = make_store(tmp_path / "s", ENCODER)
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tmp_path / "s" / place
    if link.exists():
        shutil.rmtree(link)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(InputError, match="leads out of"):
        embed_cube(store, ENCODER, CUBE, YEAR, OPTIONS)
    assert list(outside.iterdir()) == []
    assert leftovers(tmp_path / "s") == []


def test_a_spool_that_is_a_link_out_is_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", ENCODER)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    work = {"of": "tests"}
    with spool(store.scratch(), work, 4, 16) as first:
        folder = first.folder
    folder.symlink_to(outside)
    with pytest.raises(InputError, match="leads out of"), spool(store.scratch(), work, 4, 16):
        pass
    assert [path.name for path in outside.iterdir()] == ["kept"]
