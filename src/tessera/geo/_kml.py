"""KML and GPX as tables: all folders of a KML, the waypoints of a GPX. External references are never opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown

from .table import VectorTable, as_column
from .xml import walk_xml

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_DEPTH = 200
_SHAPES = ("Point", "LineString", "LinearRing", "Polygon", "MultiGeometry")


@dataclass
class _Node:
    """An element that is still open."""

    name: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)
    parts: list[Any] = field(default_factory=list)
    """Geometries or rings of its children."""


@dataclass
class _Reader:
    """Collects features from start and end tags, without recursion."""

    source: str
    open: list[_Node] = field(default_factory=list)
    rows: list[dict[str, str]] = field(default_factory=list)
    shapes: list[Any] = field(default_factory=list)
    folders: list[str | None] = field(default_factory=list)

    def parse(self, data: bytes, closed: Callable[[_Node], None]) -> None:
        def start(name: str, attributes: dict[str, str]) -> None:
            if len(self.open) >= _MAX_DEPTH:
                raise InputError(f"{self.source} is nested deeper than {_MAX_DEPTH} elements; expected plain features")
            node = _Node(name, attributes)
            self.open.append(node)
            if node.name == "Folder":
                self.folders.append(None)
            elif node.name in ("Placemark", "wpt"):
                self.rows.append({})
                self.shapes.append(None)

        def text(data: str) -> None:
            if self.open:
                self.open[-1].text.append(data)

        def end(_: str) -> None:
            node = self.open.pop()
            closed(node)
            if node.name == "Folder":
                self.folders.pop()

        walk_xml(data, start, end, text, source=self.source, fault="is not XML")

    def table(self) -> VectorTable:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        columns = {name: as_column([row.get(name) for row in self.rows]) for name in names}
        geometries = np.empty(len(self.shapes), dtype=object)
        geometries[:] = self.shapes
        return VectorTable(geometries, columns, self.source, typed=False)


def read_kml(data: bytes, source: str) -> VectorTable:
    """The placemarks of all folders: name, description, extended data, and the innermost folder's name as `folder`."""
    reader = _Reader(source)

    def closed(node: _Node) -> None:
        parent = reader.open[-1] if reader.open else _Node("", {})
        inside = any(held.name == "Placemark" for held in reader.open)
        text = "".join(node.text)
        if not inside:
            if node.name == "name" and parent.name == "Folder":
                reader.folders[-1] = text.strip() or None
            elif node.name == "Placemark":
                reader.shapes[-1] = next((part for part in node.parts if part is not None), None)
                folder = next((name for name in reversed(reader.folders) if name), None)
                if folder is not None:
                    reader.rows[-1].setdefault("folder", folder)
            return
        if parent.name == "Placemark" and node.name in ("name", "description"):
            reader.rows[-1][node.name] = text
        elif node.name == "SimpleData" and "name" in node.attributes:
            reader.rows[-1][node.attributes["name"]] = text
        elif node.name == "value" and parent.name == "Data" and "name" in parent.attributes:
            reader.rows[-1][parent.attributes["name"]] = text
        elif node.name == "coordinates":
            parent.parts.append(_coordinates(text, f"{source}, feature {len(reader.rows) - 1}"))
        elif node.name in ("outerBoundaryIs", "innerBoundaryIs"):
            parent.parts.extend(node.parts)
        elif node.name in _SHAPES:
            parent.parts.append(_shape(node, f"{source}, feature {len(reader.rows) - 1}"))

    reader.parse(data, closed)
    return reader.table()


def read_gpx(data: bytes, source: str) -> VectorTable:
    """The waypoints of a GPX file with their elements, such as name, desc, ele and time, as text."""
    import shapely

    reader = _Reader(source)

    def closed(node: _Node) -> None:
        parent = reader.open[-1] if reader.open else _Node("", {})
        if node.name == "wpt":
            try:
                place = float(node.attributes["lon"]), float(node.attributes["lat"])
            except (KeyError, ValueError):
                what = f"{source}, feature {len(reader.rows) - 1}"
                raise InputError(f"{what}: a waypoint without numeric lon and lat; expected degrees") from None
            reader.shapes[-1] = shapely.Point(*place)
        elif parent.name == "wpt" and node.name not in ("extensions", "link"):
            reader.rows[-1][node.name] = "".join(node.text)

    reader.parse(data, closed)
    if not reader.rows:
        raise InputError(f"{source} holds no waypoint; tracks and routes are not read")
    return reader.table()


def _coordinates(text: str, what: str) -> list[tuple[float, float]]:
    try:
        places = [place.split(",") for place in text.split()]
        return [(float(place[0]), float(place[1])) for place in places]
    except (ValueError, IndexError):
        raise InputError(f"{what}: coordinates {shown(text.strip(), 40)}; expected longitude,latitude") from None


def _shape(node: _Node, what: str) -> Any:
    import shapely

    if node.name in ("LinearRing", "MultiGeometry"):
        if node.name == "LinearRing":
            return next((part for part in node.parts if part), [])
        return _together([part for part in node.parts if part is not None and not isinstance(part, list)])
    parts = [part for part in node.parts if part]
    if not parts:
        return None
    try:
        if node.name == "Point":
            return shapely.Point(parts[0][0])
        if node.name == "LineString":
            return shapely.LineString(parts[0])
        return shapely.Polygon(parts[0], parts[1:])
    except (ValueError, TypeError, shapely.errors.ShapelyError) as error:
        raise InputError(f"{what}: no readable geometry ({shown(error)[1:-1]})") from None


def _together(parts: list[Any]) -> Any:
    """Geometries of one placemark as one geometry."""
    import shapely

    if len(parts) <= 1:
        return parts[0] if parts else None
    kinds = {part.geom_type for part in parts}
    if kinds == {"Point"}:
        return shapely.MultiPoint(parts)
    if kinds == {"Polygon"}:
        return shapely.MultiPolygon(parts)
    return shapely.GeometryCollection(parts)
