"""Where a map is sure and where it is not, out of the file of uncertainty beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.figures import MAX_SIDE
from tessera.maps import layer_path, varies
from tessera.rasters import open_raster, reading

from ._page import Html, paragraph, picture, table
from ._pictures import draw_bands
from .values import figures, percent, texts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_SHOWN = {
    "probability": "probability of the predicted class",
    "width": "width of the interval",
    "applicability": "distance to the labels, 1 = threshold",
}
"""Bands that are drawn, and what they are."""


def beyond_of(bands: dict[str, NDArray[Any]]) -> float | None:
    """The share of the map that is unlike all labels, if the map has that band."""
    distance = bands.get("applicability")
    return None if distance is None else float((distance > 1).mean())


def doubt_section(found: dict[str, NDArray[Any]]) -> Html:
    """Pictures of the uncertainty of a map and shares of its area; nothing without `read_bands`."""
    if not found:
        return Html("")
    body: list[tuple[str, str]] = []
    beyond = beyond_of(found)
    if beyond is not None:
        body.append(("of the mapped area beyond the area of applicability (distance above 1)", percent(beyond)))
    if "probability" in found:
        body.append(("probability of the predicted class, mean", figures(float(found["probability"].mean()))))
    if "set_size" in found:
        body.append(("classes in a prediction set, mean", figures(float(found["set_size"].mean()))))
        body.append(
            ("of the mapped area with one class in its prediction set", percent(float((found["set_size"] == 1).mean())))
        )
    if "abstained" in found:
        body.append(("of the mapped area where the head abstains", percent(float((found["abstained"] > 0).mean()))))
    if "width" in found:
        body.append(("width of the interval, mean", figures(float(found["width"].mean()))))
    drawn = [(_SHOWN[name], found[f"{name} drawn"]) for name in _SHOWN if f"{name} drawn" in found]
    alt = f"Maps of {' and of '.join(title for title, _ in drawn)}; the table below has shares and means."
    before = Html("")
    if beyond is not None and beyond > 0.1:
        before = paragraph(
            f"{percent(beyond)} of the map is unlike all labels. No score here says anything about it: label there."
        )
    pictures = picture(draw_bands(drawn), alt, "The lighter, the more certain.") if drawn else ""
    return Html(before + pictures + table(("what", "value"), body))


def read_bands(tiff: Path) -> dict[str, NDArray[Any]]:
    """The values of each band of uncertainty where there is data, and the bands that are drawn; each at the size of a
    picture. {} where no such file lies beside the map."""
    path = layer_path(tiff, "uncertainty")
    if not path.is_file():
        return {}
    with reading(path), open_raster(tiff) as source:
        like = (source.shape, source.transform, source.crs)
    with reading(path), open_raster(path) as source:
        if (source.shape, source.transform, source.crs) != like:
            raise InputError(f"{path} lies on another grid than {tiff}; expected files of one map")
        try:
            names = texts(json.loads(source.tags().get("TESSERA_BANDS", "[]")))
        except (ValueError, RecursionError):
            names = []
        if len(names) != source.count:
            raise InputError(f"{path} does not name its bands; expected a file that tessera map --uncertainty wrote")
        shrink = max(1.0, max(source.shape) / MAX_SIDE)
        shape = tuple(max(1, round(side / shrink)) for side in source.shape)
        out: dict[str, NDArray[Any]] = {}
        for band, name in enumerate(names, 1):
            values = np.asarray(source.read(band, out_shape=shape), dtype=np.float32)
            there = values[np.isfinite(values)]
            if not len(there):
                return {}
            out[name] = there
            # one width everywhere is a number, not a picture
            if name in _SHOWN and (name != "width" or varies(there)):
                out[f"{name} drawn"] = values
    return out
