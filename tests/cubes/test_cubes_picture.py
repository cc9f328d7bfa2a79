from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.cubes import PixelCube, clear_counts, dates_of, draw_cube, period_of, write_cube
from tessera.figures import save_figure
from tessera.geo import Grid, Window

pytest.importorskip("matplotlib")

PNG = b"\x89PNG\r\n\x1a\n"


def make_cube(
    doys: tuple[list[int], list[int], list[int]] = ([10, 40, 300], [12, 90], [200]),
    shape: tuple[int, int] = (6, 9),
    **provenance: Any,
) -> PixelCube:
    rng = np.random.default_rng(0)
    s2, asc, desc = (np.array(listed, dtype=np.int16) for listed in doys)
    return PixelCube(
        s2=np.zeros((len(s2), *shape, 10), dtype=np.uint16),
        s2_mask=rng.integers(0, 3, (len(s2), *shape), dtype=np.uint8),
        s2_doy=s2,
        s1_asc=np.zeros((len(asc), *shape, 2), dtype=np.int16),
        s1_asc_doy=asc,
        s1_desc=np.zeros((len(desc), *shape, 2), dtype=np.int16),
        s1_desc_doy=desc,
        grid=Window(31, 66_000, 560_000, shape[1], shape[0]).grid,
        provenance=provenance,
    )


def texts_of(cube: PixelCube, path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Any]:
    """Every text of the picture, and its figure."""
    import matplotlib.text

    from tessera.cubes import picture

    figures: list[Any] = []

    def keep(figure: Any, target: Path, kind: str, *, margin: float) -> Path:
        figures.append(figure)
        figure.canvas.draw()
        return save_figure(figure, target, kind, margin=margin)

    monkeypatch.setattr(picture, "save_figure", keep)
    draw_cube(cube, path)
    monkeypatch.undo()
    return [text.get_text() for text in figures[0].findobj(matplotlib.text.Text) if text.get_text()], figures[0]


@given(st.integers(0, 5), st.integers(1, 200), st.integers(1, 9))
def test_counts_are_those_of_the_masks(dates: int, height: int, width: int) -> None:
    cube = make_cube((list(range(1, dates + 1)), [], []), (height, width))
    counts, fractions = clear_counts(cube)
    mask = np.asarray(cube.s2_mask) != 0
    assert counts.dtype == np.uint16
    assert np.array_equal(counts, mask.sum(axis=0))
    assert np.allclose(fractions, mask.reshape(dates, -1).mean(axis=1) if dates else [])


def test_the_same_cube_gives_the_same_picture(tmp_path: Path) -> None:
    cube = write_cube(make_cube(year=2023), tmp_path / "cube.zarr")
    one = draw_cube(cube, tmp_path / "a.png").read_bytes()
    assert one.startswith(PNG)
    assert draw_cube(cube.load(), tmp_path / "b.png").read_bytes() == one
    draw_cube(cube, tmp_path / "a.png")
    (tmp_path / "mine.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"mine.png exists and is no earlier picture"):
        draw_cube(cube, tmp_path / "mine.png")
    assert (tmp_path / "mine.png").read_bytes() == b"mine"
    assert draw_cube(cube, tmp_path / "mine.png", overwrite=True).read_bytes() == one
    with pytest.raises(InputError, match="is no folder"):
        draw_cube(cube, tmp_path / "a.png" / "c.png")


def test_the_calendar_marks_each_observation_on_its_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.collections import PatchCollection

    cube = make_cube(DATED_DOYS, period=["2021-04-15", "2022-03-31"], **DATED)
    texts, figure = texts_of(cube, tmp_path / "a.png", monkeypatch)
    (patches,) = figure.axes[0].findobj(PatchCollection)
    boxes = [path.get_extents() for path in patches.get_paths()]
    days = (dt.date(2022, 3, 31) - dt.date(2021, 4, 15)).days + 1
    assert len(boxes) == days + 3 + 2 + 1
    # row and column of what is marked on top of the empty days; April 2021 is row 0
    places = [(int(box.y0), int(box.x0) + 1) for box in boxes[days:]]
    assert places == [(0, 20), (2, 1), (9, 10), (0, 30), (11, 31), (4, 2)]
    assert {"Apr 2021", "May", "Jan 2022", "Mar"} <= set(texts)
    assert "Apr" not in texts
    shares = (np.asarray(cube.s2_mask) != 0).reshape(3, -1).mean(axis=1)
    from matplotlib import colormaps

    assert np.allclose(patches.get_facecolor()[days : days + 3], colormaps["viridis"](shares))


DATED: dict[str, Any] = {
    "s2_dates": ["2021-04-20", "2021-06-01", "2022-01-10"],
    "s1_asc_dates": ["2021-04-30", "2022-03-31"],
    "s1_desc_dates": ["2021-08-02"],
}


DATED_DOYS = ([110, 152, 10], [120, 90], [214])


def test_lost_scenes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = [{"id": f"S2A_T31UFS_{n}_$x$\x1b[31m", "band": "B04", "reason": "corrupt"} for n in range(9)]
    texts, _ = texts_of(make_cube(year=2023, scenes_lost=9, lost=lost), tmp_path / "a.png", monkeypatch)
    facts = next(text for text in texts if "lost" in text)
    assert "9 scenes lost:" in facts
    assert "S2A_T31UFS_5_$x$ [31m" in facts
    assert "B04, corrupt" in facts
    assert "S2A_T31UFS_6" not in facts
    assert "and 3 more" in facts
    texts, _ = texts_of(make_cube(year=2023, scenes_lost=0), tmp_path / "b.png", monkeypatch)
    assert any("no scenes lost" in text for text in texts)
    texts, _ = texts_of(make_cube(year=2023), tmp_path / "c.png", monkeypatch)
    assert not any("lost" in text for text in texts)
    for odd in ({"scenes_lost": "many"}, {"scenes_lost": 2, "lost": ["x", 3]}, {"scenes_lost": 1, "lost": [{}]}):
        changed: dict[str, Any] = odd
        draw_cube(make_cube(year=2023, **changed), tmp_path / "d.png")


@pytest.mark.filterwarnings("error:Glyph")
def test_letters_that_no_font_has_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import font_manager

    from tessera.figures import letters

    letters._fonts_for.cache_clear()
    with monkeypatch.context() as without:
        without.setattr(font_manager, "findSystemFonts", lambda *_, **__: [])
        texts, _ = texts_of(make_cube(year=2023, source="\u5c0f\u9ea6 $x$"), tmp_path / "a.png", monkeypatch)
    letters._fonts_for.cache_clear()
    assert any("source: [CJK] $x$" in text for text in texts)


@pytest.mark.parametrize(
    "cube",
    [
        make_cube(),
        make_cube(([], [], []), year=2023),
        make_cube(([366], [1], []), (1, 1)),
        make_cube(([5], [], []), (3, 400), year=2023),
        make_cube(([5], [], []), (400, 3), year=2023),
        make_cube(([5, 5, 5], [], []), (4, 4), s2_dates=["2020-01-05", "2022-01-05", "2025-01-05"]),
        replace(make_cube(), grid=None),
        replace(make_cube(), grid=Grid("EPSG:4326", (0.1, 0.0, 5.0, 0.0, -0.1, 50.0), 6, 9)),
        replace(make_cube(), grid=Grid("EPSG:32631", (9.0, 1.0, 5e5, 0.5, -9.0, 5e6), 6, 9)),
        replace(make_cube(), grid=Grid("no CRS that anybody knows $x", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0), 6, 9)),
    ],
    ids=["no year", "no dates", "a pixel", "flat", "tall", "six years", "no grid", "degrees", "turned", "odd CRS"],
)
def test_labels_never_overlap(cube: PixelCube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, figure = texts_of(cube, tmp_path / "a.png", monkeypatch)
    figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in _drawn(figure) if text.get_text()]
    assert len(boxes) > 50
    for place, (one, box) in enumerate(boxes):
        for other, next_box in boxes[place + 1 :]:
            assert not _overlap(box, next_box), (one, other)


def _drawn(figure: Any) -> list[Any]:
    """Every text that is drawn; an axis also holds labels of ticks that lie outside it."""
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts.append(axis.label)
            for tick in axis.get_major_ticks():
                if low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    texts += [label for label in (tick.label1, tick.label2) if label.get_visible()]
    return texts


def _overlap(one: Any, other: Any) -> bool:
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    tall = min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(wide > 1 and tall > 1)


def test_dates_and_period_come_from_the_provenance() -> None:
    cube = make_cube(year=2024)
    assert dates_of(cube, "s2") == [dt.date(2024, 1, 10), dt.date(2024, 2, 9), dt.date(2024, 10, 26)]
    assert period_of(cube) == (dt.date(2024, 1, 1), dt.date(2024, 12, 31))
    assert dates_of(make_cube(DATED_DOYS, **DATED), "s1_asc") == [dt.date(2021, 4, 30), dt.date(2022, 3, 31)]
    with pytest.raises(InputError, match="s2_dates lists"):
        make_cube(year=2024, **DATED)
    with pytest.raises(InputError, match="year 2024 and a period from 2021-04-01 to 2022-03-31 contradict"):
        make_cube(year=2024, period=["2021-04-01", "2022-03-31"])
    season = make_cube(([320, 10, 40], [360, 5], [200]), period=["2020-11-01", "2021-10-31"])
    assert dates_of(season, "s2") == [dt.date(2020, 11, 15), dt.date(2021, 1, 10), dt.date(2021, 2, 9)]
    assert period_of(season) == (dt.date(2020, 11, 1), dt.date(2021, 10, 31))
    for odd in (["2022-01-01"], ["b", "a"], "2021", [1, 2], ["2022-01-01", "2021-01-01"], None):
        assert period_of(make_cube(period=odd)) is None
        assert period_of(make_cube(year=2024, period=odd)) is not None
    with pytest.raises(InputError, match="neither the year nor the dates of its 3 s2"):
        dates_of(make_cube(), "s2")
