"""Only what changed is made again, a kill at any point costs nothing, and what is stale says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from preview_helpers import CELL, YEAR, embeddings, files_of, new_store, random_embeddings

from tessera.base import InputError, file_lock
from tessera.geo import Cell, Window
from tessera.preview import read_overview, update_preview
from tessera.preview._means import Means, cell_means
from tessera.store import Store, open_store
from tessera.testing import SMALL_MODEL

BASE = CELL.window
# in other shards than the first, on both levels
FAR = Cell(31, 500, 4300 - 300, 128).window


class Killed(BaseException):
    """Stands for the process's death: no handler of ours may catch it and tidy up."""


def test_an_update_reads_the_changed_cell_only_and_ends_with_the_bytes_of_a_fresh_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(tmp_path / "s")
    neighbour = Window(31, BASE.west + 128, BASE.north, 128, 128)
    for window, seed in ((BASE, 1), (neighbour, 2), (FAR, 3)):
        store.write(random_embeddings(window, seed), YEAR)
    assert update_preview(store).cells_made == 3
    first = files_of(tmp_path / "s")
    assert update_preview(store).cells_kept == 3
    assert files_of(tmp_path / "s") == first

    store.write(random_embeddings(neighbour, 4, no_data=0), YEAR)
    assert read_overview(store, BASE, YEAR).attrs["current"] is True
    assert read_overview(store, neighbour, YEAR).attrs["current"] is False
    read: list[Cell] = []

    def watched(held: Store, cell: Cell, year: int) -> dict[str, Means]:
        read.append(cell)
        return cell_means(held, cell, year)

    monkeypatch.setattr("tessera.preview._build.cell_means", watched)
    report = update_preview(store)
    assert [cell.window for cell in read] == [neighbour]
    assert (report.cells_made, report.cells_kept, report.shards_painted) == (1, 2, 1)
    changed = {key for key, data in files_of(tmp_path / "s").items() if first.get(key) != data}
    far = f"{(933_888 - FAR.north) // 8192}/{(FAR.west - 15_360) // 8192}"
    assert changed
    assert not [key for key in changed if far in key or far.replace("/", "_") in key]
    assert read_overview(store, neighbour, YEAR).attrs["current"] is True

    # the same store, all at once; the colours are those of the first fit, as an update keeps them
    shutil.copytree(tmp_path / "s", tmp_path / "t")
    for name in ("overviews", "global_rgb"):
        shutil.rmtree(tmp_path / "t" / name)
    (tmp_path / "t/overviews").mkdir()
    shutil.copy(tmp_path / "s/overviews/colours.json", tmp_path / "t/overviews")
    fresh = open_store(tmp_path / "t")
    assert update_preview(fresh).cells_made == 3
    assert files_of(tmp_path / "t") == files_of(tmp_path / "s")
    # and fitted anew on both sides
    assert update_preview(store, refit=True).fitted
    assert update_preview(fresh, refit=True).fitted
    assert files_of(tmp_path / "t") == files_of(tmp_path / "s")


def dying(patch: pytest.MonkeyPatch, limit: int) -> None:
    """Let the process die before file operation `limit`."""
    count = 0

    def counting(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count > limit:
                raise Killed
            return original(*args, **kwargs)

        return call

    for name in ("replace", "unlink"):
        patch.setattr(Path, name, counting(getattr(Path, name)))
    patch.setattr("tessera.base.folder.shutil.rmtree", counting(shutil.rmtree))


def test_dying_before_any_file_operation_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store(tmp_path / "s")
    old, new = random_embeddings(BASE, 1), random_embeddings(BASE, 2, no_data=0.5)
    store.write(old, YEAR)
    update_preview(store)
    before = {level: read_overview(store, BASE, YEAR, level) for level in (160, 1280)}
    store.write(new, YEAR)
    store.write(random_embeddings(FAR, 3), 2025)
    shutil.copytree(tmp_path / "s", tmp_path / "whole")
    update_preview(open_store(tmp_path / "whole"))
    wanted = files_of(tmp_path / "whole")
    after = {level: read_overview(open_store(tmp_path / "whole"), BASE, YEAR, level) for level in (160, 1280)}

    limit, died, outcomes = 0, True, set()
    while died:
        work = tmp_path / "work"
        shutil.copytree(tmp_path / "s", work)
        with monkeypatch.context() as patch:
            dying(patch, limit)
            try:
                update_preview(open_store(work))
                died = False
            except Killed:
                pass
        for level in (160, 1280):
            shown = read_overview(open_store(work), BASE, YEAR, level)
            is_old, is_new = (np.array_equal(shown, one[level], equal_nan=True) for one in (before, after))
            assert is_old or is_new or np.isnan(shown.values).all()
            assert not (is_old and not is_new and shown.attrs["current"])
            outcomes.add("old" if is_old else "new" if is_new else "none")
        # another process may take over, and die once more on the way
        if limit % 10 == 0:
            with monkeypatch.context() as patch:
                dying(patch, 3)
                with pytest.raises(Killed):
                    update_preview(open_store(work), refit=True)
            shutil.copy(tmp_path / "s/overviews/colours.json", work / "overviews")
        update_preview(open_store(work))
        assert files_of(work) == wanted
        shutil.rmtree(work)
        # the overviews' own files are few and come first; of the many chunks of pictures every seventh is enough
        limit += 1 if limit < 30 else 7
    assert outcomes == {"old", "none", "new"}
    assert limit > 30


def test_a_cell_that_is_gone_leaves_nothing(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(BASE, 1), YEAR)
    store.write(random_embeddings(FAR, 2), YEAR)
    update_preview(store, full=True)
    record = store.commit(Cell.at(31, FAR.west, FAR.south, 128), YEAR)
    assert record is not None
    for info in record.objects.values():
        (tmp_path / "s" / info["key"]).unlink()
    (tmp_path / "s" / "commits" / str(YEAR) / f"{record.cell}.json").unlink()
    assert read_overview(store, FAR, YEAR).attrs["current"] is False
    assert read_overview(store, BASE, YEAR).attrs["current"] is True
    report = update_preview(store)
    assert (report.cells_made, report.cells_kept, report.cells_dropped) == (0, 1, 1)
    gone = read_overview(store, FAR, YEAR)
    assert np.isnan(gone.values).all()
    assert gone.attrs["current"] is True
    place = f"{(933_888 - FAR.north) // 8192}/{(FAR.west - 15_360) // 8192}"
    assert not [key for key in files_of(tmp_path / "s") if f"/c/0/{place}" in key]


@pytest.mark.parametrize("harm", ["truncated", "missing scales"])
def test_a_cell_that_cannot_be_read_is_named_and_stays_stale(tmp_path: Path, harm: str, run: Any) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(BASE, 1), YEAR)
    update_preview(store)
    shown = read_overview(store, BASE, YEAR)
    store.write(random_embeddings(BASE, 2), YEAR)
    store.write(random_embeddings(FAR, 2), YEAR)
    record = store.commit(CELL, YEAR)
    assert record is not None
    name = "scales" if harm == "missing scales" else "embeddings"
    path = tmp_path / "s" / record.objects[name]["key"]
    good = path.read_bytes()
    path.unlink() if name == "scales" else path.write_bytes(good[:3000])
    code, _, err = run("store", "preview", tmp_path / "s")
    assert code == 1
    assert f"1 cell could not be read, such as {CELL.name} of {YEAR}" in err.splitlines()[-1]
    store = open_store(tmp_path / "s")
    still = read_overview(store, BASE, YEAR)
    assert np.array_equal(still, shown, equal_nan=True)
    assert still.attrs["current"] is False
    assert read_overview(store, FAR, YEAR).attrs["current"] is True
    path.write_bytes(good)
    assert update_preview(store).cells_made == 1
    assert read_overview(store, BASE, YEAR).attrs["current"] is True


def test_a_new_year_moves_nothing(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(BASE, 1), YEAR)
    update_preview(store)
    before = files_of(tmp_path / "s")
    store.write(random_embeddings(BASE, 5), 2025)
    with pytest.raises(InputError, match=r"no overview of 2025 \(it has 2024\)"):
        read_overview(store, BASE, 2025)
    report = update_preview(store)
    assert (report.cells_made, report.year) == (1, 2025)
    after = files_of(tmp_path / "s")
    shards = [key for key in before if "/c/" in key and "/time/" not in key and not key.startswith("global_rgb")]
    assert shards
    assert all(after[key] == before[key] for key in shards)
    import xarray

    both = xarray.open_zarr(tmp_path / "s" / "overviews", group="utm31/d1280", chunks=None)
    assert both.time.values.tolist() == [2024, 2025]
    # the pyramid shows one year
    update_preview(store, (2024,))
    assert {k: v for k, v in files_of(tmp_path / "s").items() if k.startswith("global_rgb")} == {
        key: data for key, data in before.items() if key.startswith("global_rgb")
    }


def test_one_at_a_time_and_no_way_out_of_the_folder(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(BASE, 1), YEAR)
    with (
        file_lock(store.scratch() / "preview.lock"),
        pytest.raises(InputError, match="another process is making the preview"),
    ):
        update_preview(store)
    work = store.scratch() / "preview"
    for key in ("../outside", "overviews/../../outside", "/etc/outside", "overviews"):
        work.mkdir(parents=True)
        (work / "0").write_text("x")
        (work / "intent.json").write_text(f'{{"files": [["{key}", "0"]], "hidden": []}}')
        with pytest.raises(InputError, match="which is outside overviews"):
            update_preview(store)
        shutil.rmtree(work)
    for name in ("1e999", '"x"', "[]"):
        work.mkdir(parents=True)
        (work / "intent.json").write_text(f'{{"files": [["overviews/x", {name}]], "hidden": []}}')
        with pytest.raises(InputError):
            update_preview(store)
        shutil.rmtree(work)
    assert not (tmp_path / "outside").exists()


def test_cells_of_only_no_data_are_shown_as_such(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    nothing = embeddings(BASE, np.zeros((*BASE.shape, 8)), np.full(BASE.shape, np.nan))
    store.write(nothing, YEAR)
    with pytest.raises(InputError, match="no pixel with data to fit colours on"):
        update_preview(store)
    found = read_overview(store, BASE, YEAR)
    assert np.isnan(found.values).all()
    assert not found.valid.values.any()
    assert store.model.sha256 == SMALL_MODEL.sha256
