from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from heads_fakes import make_store, make_truth
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tessera.base import InputError
from tessera.figures import choose_colours, draw_map, draw_panels, false_colour

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("forest", "a_b $\\frac", "麦")
FLOATS: Any = np.zeros((3, 3))
LEGEND = tuple(zip(NAMES, choose_colours(NAMES), strict=True))


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).reshape(-1, 3)


def test_false_colour_separates_classes_and_is_stable() -> None:
    truth = make_truth()
    values = make_store(truth, noise=0.1).values
    values[:5] = np.nan
    image = false_colour(values)
    assert image.shape == (*truth.shape, 3)
    assert image.dtype == np.uint8
    assert (image[:5] == 255).all()
    means = np.stack([image[5:][truth[5:] == k].mean(axis=0) for k in range(3)])
    assert min(np.abs(means[i] - means[j]).max() for i in range(3) for j in range(i)) > 40
    np.testing.assert_array_equal(image, false_colour(values.copy()))


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=6),
        elements=st.floats(-100, 100, width=32) | st.just(float("nan")),
    )
)
def test_false_colour_of_anything(values: Any) -> None:
    image = false_colour(values)
    assert image.shape == (*values.shape[:2], 3)
    assert (image[np.isnan(values).any(axis=2)] == 255).all()


def test_panels(tmp_path: Path) -> None:
    truth = make_truth().astype(np.uint8)
    gaps = truth.copy()
    gaps[:20, :20] = 255
    photo = np.full((*truth.shape, 3), (1, 200, 3), dtype=np.uint8)
    path = draw_panels(tmp_path / "new" / "p.png", [("photo", photo), ("map $", gaps), ("truth", truth)], LEGEND)
    found = pixels(path)
    for colour in ((1, 200, 3), *(tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for _, c in LEGEND)):
        assert (found == colour).all(axis=1).mean() > 0.02
    draw_panels(tmp_path / "many.png", [(str(k), photo[: 10 + k]) for k in range(6)])
    assert len(pixels(tmp_path / "many.png"))


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (400, 3), (50, 50)])
def test_maps_of_any_shape(tmp_path: Path, shape: tuple[int, int]) -> None:
    classes = np.zeros(shape, dtype=np.uint8)
    bounds = (640000.0, 5600000.0, 640000.0 + shape[1] * 10, 5600000.0 + shape[0] * 10)
    path = draw_map(tmp_path / "m.png", classes, LEGEND, title="x $ y", bounds=bounds, crs="EPSG:32631")
    with Image.open(path) as image:
        assert 300 < image.width < 2500
        assert 200 < image.height < 2500


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: draw_panels(path.with_name("new"), []), "no panel to draw"),
        (lambda path: draw_panels(path.with_name("new"), [("x", FLOATS)]), "panel 'x' is float64"),
        (
            lambda path: draw_panels(path.with_name("new"), [("x", np.full((3, 3), 9, np.uint8))], LEGEND),
            "class index 9 with a legend of 3",
        ),
        (lambda path: false_colour(np.zeros((3, 3), np.float32)), r"expected \(H, W, D\)"),
        (
            lambda path: draw_panels(path / "x" / "p.png", [("x", np.zeros((3, 3), np.uint8))], LEGEND),
            "cannot be written",
        ),
        (lambda path: draw_panels(path, [("x", np.zeros((3, 3), np.uint8))], LEGEND), "is no earlier picture"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, call: Any, message: str) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(InputError, match=message):
        call(path)
    assert path.read_text() == ""
