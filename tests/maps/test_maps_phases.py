"""What is shown after the cells are done, and what a stop there costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from maps_helpers import FakeApplicability, FakeTrust, files_of, make_head, make_store

from tessera.geo import Window
from tessera.maps import _strips as strips_module

if TYPE_CHECKING:
    from pathlib import Path

WINDOW = Window(31, 64400, 561100, 60, 110)
ALL: dict[str, Any] = {"probabilities": True, "uncertainty": True, "min_area_ha": 0.05}


@pytest.fixture(autouse=True)
def _thin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips_module, "ROWS", 32)


def every_head() -> Any:
    return make_head(trust=FakeTrust(), applicability=FakeApplicability())


@pytest.mark.parametrize("numbers", [False, True])
def test_progress_rises_to_its_total_and_goes_on_after_the_cells(tmp_path: Path, numbers: bool) -> None:
    store, seen = make_store(tmp_path / "s.zarr"), []
    head = make_head(numbers=True) if numbers else every_head()
    options: dict[str, Any] = {} if numbers else ALL
    head.map(
        store,
        WINDOW,
        out=tmp_path / "map.tif",
        polygons=tmp_path / "map.parquet",
        progress=lambda done, total: seen.append((done, total)),
        **options,
    )
    done = [one for one, _ in seen]
    assert done == sorted(done)
    assert all(one <= total for one, total in seen)
    assert [total for _, total in seen] == sorted(total for _, total in seen)
    assert seen[-1][0] == seen[-1][1]
    after = [one for one in done if one > WINDOW.height]
    # of the files: the strips of each pass, not one jump
    assert len(set(after)) > 4 * len(range(0, WINDOW.height, 32))


def test_a_stop_in_any_phase_costs_no_cell_and_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, head = make_store(tmp_path / "s.zarr"), every_head()
    calls: list[int] = []
    first = tmp_path / "a" / "map.tif"
    first.parent.mkdir()
    head.map(
        store, WINDOW, out=first, polygons=tmp_path / "a" / "p.gpkg", **ALL, progress=lambda *_: calls.append(_[0])
    )
    places = [number for number, done in enumerate(calls) if done > WINDOW.height]
    out = tmp_path / "b" / "map.tif"
    options: dict[str, Any] = {**ALL, "polygons": out.with_name("p.gpkg")}

    def stopped_at(call: int) -> Any:
        left = [call]

        def stop(done: int, total: int) -> None:
            left[0] -= 1
            if left[0] < 0 and done > WINDOW.height:
                raise KeyboardInterrupt

        return stop

    def reads_nothing(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a cell was read again")

    with pytest.raises(KeyboardInterrupt):
        head.map(store, WINDOW, out=out, **options, progress=stopped_at(0))
    monkeypatch.setattr(type(store), "iter_codes", reads_nothing)
    for call in places[:: max(1, len(places) // 6)]:
        with pytest.raises(KeyboardInterrupt):
            head.map(store, WINDOW, out=out, **options, progress=stopped_at(call))
        assert [path.name for path in out.parent.iterdir()] == [".map.tif.spool"]
    head.map(store, WINDOW, out=out, **options)
    assert files_of(out.parent) == files_of(first.parent)
