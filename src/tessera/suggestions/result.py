"""Suggested points, and the files that take them to the field."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from tessera.base import InputError, check_output, csv_text, is_json, is_text, require, write_atomic
from tessera.labels import one_line, parse_source

from ._picture import draw_suggestions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from tessera.geo import Window
    from tessera.labels import EmbeddingSource

_MARK = "points that tessera suggests"
_FIELDS = ("rank", "lon", "lat", "predicted", "probability", "second", "second_probability", "uncertainty", "gain")
_SUFFIXES = (".gpx", ".geojson", ".csv")


@dataclass(frozen=True)
class Suggestion:
    """A point to label.

    Attributes
    ----------
    rank : 1 is the most useful
    lon, lat : degrees, the centre of a pixel
    predicted : the class that the head gives the pixel, or its number; None without a head
    probability : of that class
    second, second_probability : the class that comes next
    uncertainty : 0 to 1
    gain : share, 0 to 1, of the weighted distance between pixels and labels that this point takes away

    Examples
    --------
    >>> import tessera
    >>> tessera.Suggestion(1, 5.249, 50.692, "crop", 0.48, "forest", 0.45, 0.97, 0.17).reason
    'crop 0.48 or forest 0.45'
    """

    rank: int
    lon: float
    lat: float
    predicted: str | float | None
    probability: float | None
    second: str | None
    second_probability: float | None
    uncertainty: float
    gain: float

    @property
    def reason(self) -> str:
        """Why to go there, in a line: "crop 0.48 or forest 0.45"."""
        if self.predicted is None:
            return "unlike what is labelled"
        if self.probability is None:
            return f"predicted {self.predicted:.4g}; unlike what is labelled"
        return f"{self.predicted} {self.probability:.2f} or {self.second} {self.second_probability:.2f}"


@dataclass(frozen=True, repr=False)
class Suggestions:
    """Points to label, the most useful first: `tessera.suggest` returns one.

    Attributes
    ----------
    points : `Suggestion` of each
    asked : how many were asked for
    year : whose embeddings were looked at
    window : the lattice window of the area
    reached : pixels with data that can be reached
    labels : how many labels there are already
    known : (L, 2) float64, their places in metres of the window's zone

    Examples
    --------
    >>> import tessera
    >>> found = tessera.suggest(tessera.open_store("store.zarr"), "5.246,50.691,5.252,50.694", 3)
    >>> found.lonlat.shape, found.to_geojson()["features"][0]["properties"]["rank"]
    ((3, 2), 1)
    """

    points: tuple[Suggestion, ...]
    asked: int
    year: int
    window: Window
    reached: int
    labels: int
    known: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Suggestion]:
        return iter(self.points)

    def __getitem__(self, index: int) -> Suggestion:
        return self.points[index]

    def __repr__(self) -> str:
        return f"Suggestions({len(self)} points, {self.year})"

    @property
    def lonlat(self) -> NDArray[np.float64]:
        """(N, 2) float64, degrees."""
        return np.array([(one.lon, one.lat) for one in self.points]).reshape(-1, 2)

    @property
    def covered(self) -> float:
        """Share of the weighted distance between pixels and labels that all points together take away."""
        return float(sum(one.gain for one in self.points))

    def to_geodataframe(self) -> Any:
        """The points as a GeoDataFrame in EPSG:4326, a row each."""
        geopandas: Any = require("geopandas", extra="geo", purpose="points as a GeoDataFrame")
        rows = [_row(one) for one in self.points]
        lonlat = self.lonlat
        places = geopandas.points_from_xy(lonlat[:, 0], lonlat[:, 1])
        return geopandas.GeoDataFrame(rows, columns=[*_FIELDS, "reason"], geometry=places, crs="EPSG:4326")

    def to_geojson(self) -> dict[str, Any]:
        """The points as a GeoJSON FeatureCollection."""
        features = [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [round(one.lon, 7), round(one.lat, 7)]},
                "properties": {key: _plain(value) for key, value in _row(one).items() if key not in ("lon", "lat")},
            }
            for one in self.points
        ]
        return {"type": "FeatureCollection", "description": _MARK, "features": features}

    def draw(self, store: EmbeddingSource | str | Path, path: str | Path, *, overwrite: bool = False) -> Path:
        """Draw the points with their ranks on the false colours of the area, and the labels that there are, as a PNG.

        Parameters
        ----------
        store : that the points came from, open or at a path or URL
        path : where to
        overwrite : replace a file too that is no earlier picture of suggestions

        Raises
        ------
        InputError
            A path that cannot be written or holds another file.
        """
        return draw_suggestions(self, parse_source(store), path, overwrite=overwrite)

    def write(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the points as waypoints for a GPS device (.gpx), as GeoJSON or as CSV, by the suffix.

        Raises
        ------
        InputError
            Another suffix, or a file that may not be written or is no earlier list of suggestions.
        """
        target = check_suggestions(path, overwrite=overwrite)
        kind = target.suffix.lower()
        if kind == ".gpx":
            data = _gpx(self.points)
        elif kind == ".csv":
            data = _csv(self.points)
        else:
            data = (json.dumps(self.to_geojson(), ensure_ascii=False, indent=1) + "\n").encode()
        try:
            write_atomic(target, data)
        except OSError as error:
            raise InputError(f"cannot write {target}: {error.strerror or error}") from None
        return target


def check_suggestions(path: str | Path, *, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Look at the file that suggestions are about to be written to.

    Raises
    ------
    InputError
        Another suffix than .gpx, .geojson or .csv, or a file that may not be replaced.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in _SUFFIXES:
        raise InputError(f"points to {str(path)!r}; expected a path that ends in {', '.join(_SUFFIXES)}")
    ours = {".gpx": is_text(_MARK), ".csv": is_text(",".join(_FIELDS)), ".geojson": is_json(description=_MARK)}[kind]
    return check_output(target, "list of points", inputs=inputs, ours=ours, overwrite=overwrite)


def _row(one: Suggestion) -> dict[str, Any]:
    return {key: getattr(one, key) for key in (*_FIELDS, "reason")}


def _plain(value: Any) -> Any:
    """A name without control letters and letters that turn the direction of text, for files that go to others."""
    return one_line(value) if isinstance(value, str) else value


def _csv(points: tuple[Suggestion, ...]) -> bytes:
    rows: list[list[Any]] = [[*_FIELDS, "reason"]]
    for one in points:
        row = _row(one)
        numbers = {"lon": f"{one.lon:.7f}", "lat": f"{one.lat:.7f}"}
        numbers |= {
            key: f"{row[key]:.4f}"
            for key in ("probability", "second_probability", "uncertainty", "gain")
            if row[key] is not None
        }
        rows.append([numbers.get(key, row[key]) for key in (*_FIELDS, "reason")])
    return csv_text(rows).encode()


def _gpx(points: tuple[Suggestion, ...]) -> bytes:
    """GPX 1.1: waypoints, which any GPS device and field app reads."""
    root = ElementTree.Element(
        "gpx", {"version": "1.1", "creator": "tessera", "xmlns": "http://www.topografix.com/GPX/1/1"}
    )
    about = ElementTree.SubElement(root, "metadata")
    ElementTree.SubElement(about, "desc").text = _MARK
    for one in points:
        place = ElementTree.SubElement(root, "wpt", {"lat": f"{one.lat:.7f}", "lon": f"{one.lon:.7f}"})
        ElementTree.SubElement(place, "name").text = f"{one.rank:03d}"
        ElementTree.SubElement(place, "desc").text = one_line(one.reason)
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data + b"\n"
