"""Labels of OpenStreetMap or Overture in an area: which features are of a class, as polygons and points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, open_regular, shown, silent
from tessera.geo import VectorTable, check_vector, parse_area, write_vector

from ._overture import read_overture
from ._pbf import read_pbf
from .features import Found, counted
from .lines import buffered, hectares
from .tags import ClassRule, parse_line_width, parse_tags, read_classes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress

KIND = "labels"
_MOST_PAIRS = 500_000
"""Pairs of features of two classes whose overlap is measured."""
_CHUNK = 10_000
ODBL = (
    "\N{COPYRIGHT SIGN} OpenStreetMap contributors, Open Database License (ODbL) 1.0, "
    "https://www.openstreetmap.org/copyright"
)
OVERTURE = (
    "Overture Maps Foundation, https://docs.overturemaps.org/attribution; what comes from OpenStreetMap is "
    "\N{COPYRIGHT SIGN} OpenStreetMap contributors, Open Database License (ODbL) 1.0"
)


@dataclass(frozen=True)
class Overlap:
    """Where features of two classes lie on each other: names, pairs of features, and hectares."""

    classes: tuple[str, str]
    pairs: int
    hectares: float


@dataclass(frozen=True, repr=False)
class OsmLabels:
    """Labels made of OpenStreetMap or Overture.

    Attributes
    ----------
    table : features in degrees; columns class, osm_type and osm_id (overture_type, overture_id), tag, width
        (metres of a buffered line, NaN for others) and source
    rules : the classes
    licence : who must be named where the labels, or maps made of them, are published
    overlaps : of each two classes that overlap
    notes : what was left out, and why

    Examples
    --------
    >>> import tessera
    >>> labels = tessera.osm_labels("town.osm.pbf", "5.245,50.690,5.253,50.695", "forest:landuse=forest;road:highway=*")
    >>> labels.counts
    {'forest': 1, 'road': 1}
    """

    table: VectorTable
    rules: tuple[ClassRule, ...]
    licence: str
    overlaps: tuple[Overlap, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"OsmLabels({', '.join(f'{count} {name}' for name, count in self.counts.items())})"

    @property
    def counts(self) -> dict[str, int]:
        """Class -> features."""
        names = self.table.column("class").tolist()
        return {rule.name: names.count(rule.name) for rule in self.rules}

    def hectares(self) -> dict[str, float]:
        """Class -> hectares of its polygons; where two of one class overlap, both count."""
        areas, names = hectares(self.table.geometries), self.table.column("class")
        return {rule.name: float(areas[names == rule.name].sum()) for rule in self.rules}

    def summary(self) -> dict[str, Any]:
        """What `tessera labels osm --json` prints, as plain values."""
        return {
            "classes": [
                {"class": rule.name, "tags": rule.text.partition(":")[2], "features": count, "hectares": area}
                for rule, count, area in zip(self.rules, self.counts.values(), self.hectares().values(), strict=True)
            ],
            "overlaps": [
                {"classes": list(one.classes), "pairs": one.pairs, "hectares": one.hectares} for one in self.overlaps
            ],
            "notes": list(self.notes),
            "licence": self.licence,
        }

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the labels as GeoParquet, GeoPackage, FlatGeobuf or GeoJSON, with the licence in the file.

        Parameters
        ----------
        path : its suffix decides the format
        overwrite : whether a file that is no earlier labels may be replaced

        Raises
        ------
        InputError
            Another suffix, or a file that may not be replaced or written.
        """
        target = check_osm_labels(path, overwrite=overwrite)
        rules = ";".join(rule.text for rule in self.rules)
        notes = {"licence": self.licence, "tags": rules}
        write_vector(target, self.table.geometries, self.table.columns, kind=KIND, notes=notes)
        return target


def check_osm_labels(path: str | Path, *, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Check the path of labels before they are made; see `tessera.geo.check_vector`."""
    return check_vector(path, KIND, inputs=inputs, overwrite=overwrite)


def osm_labels(
    source: str | Path | Sequence[str | Path],
    area: object,
    tags: str | Sequence[ClassRule] | None = None,
    *,
    classes: str | Path | None = None,
    width: float | None = None,
    clip: bool = False,
    points: bool = True,
    progress: Progress = silent,
) -> OsmLabels:
    """Make labels of OpenStreetMap or Overture.

    Closed ways and multipolygons with a tag of a class become polygons with their holes; lines become polygons of their
    width; nodes stay points. A feature belongs to the area if it meets it, and is kept whole.

    Parameters
    ----------
    source : an extract of OpenStreetMap (.osm.pbf), or files, folders or URLs of Overture's GeoParquet
    area : what `parse_area` reads
    tags : classes as one line: "forest:landuse=forest,natural=wood;road:highway=*"; see `parse_tags`
    classes : a TOML or JSON file of classes in place of `tags`; see `read_classes`
    width : metres of lines that have no width of their own, 0.1 to 1,000. None: by kind of road, railway or waterway
    clip : cut features at the area's border
    points : whether nodes are kept
    progress : called as `progress(done, total)` after each pass or file

    Raises
    ------
    InputError
        A source or file of classes is damaged, of another kind, or too large; nothing was found; or both or none of
        `tags` and `classes` were given.

    Examples
    --------
    >>> import tessera
    >>> labels = tessera.osm_labels("town.osm.pbf", "5.245,50.690,5.253,50.695", "forest:landuse=forest;road:highway=*")
    >>> labels.save("town.parquet").name
    'town.parquet'
    >>> tessera.read_labels("town.parquet", "class").classes
    ('forest', 'road')
    """
    rules = _rules(tags, classes)
    default = None if width is None else parse_line_width(width, "lines")
    parsed = parse_area(area)
    given = [str(one) for one in ([source] if isinstance(source, (str, Path)) else source)]
    if not given:
        raise InputError("no source given; expected an .osm.pbf, or Overture's GeoParquet")
    found = Found(parsed, given[0] if len(given) == 1 else f"{len(given)} sources")
    pbf = _is_pbf(given)
    if pbf:
        read_pbf(Path(given[0]), rules, found, width=default, points=points, progress=progress)
    else:
        read_overture(given, rules, found, width=default, points=points, progress=progress)
    return _made(found, rules, pbf=pbf, clip=clip)


def _rules(tags: str | Sequence[ClassRule] | None, classes: str | Path | None) -> tuple[ClassRule, ...]:
    if (tags is None) == (classes is None):
        both = "both tags and a file of classes" if tags is not None else "neither tags nor a file of classes"
        raise InputError(f"{both} given; expected one of --tags and --classes")
    if classes is not None:
        return read_classes(classes)
    return parse_tags(tags) if isinstance(tags, str) else tuple(tags or ())


def _is_pbf(sources: list[str]) -> bool:
    """Whether the source is an extract of OpenStreetMap; else it is Overture's."""
    first = sources[0]
    if "://" in first:
        if first.lower().endswith(".pbf"):
            raise InputError(f"{shown(first, 200)[1:-1]} is on a server; download it first")
        return False
    if Path(first).is_dir():
        return False
    try:
        with open_regular(Path(first), what="source") as file:
            head = file.read(4)
    except FileNotFoundError:
        raise InputError(f"source not found: {first}") from None
    if head == b"PAR1":
        return False
    if len(sources) > 1:
        raise InputError(f"{len(sources)} sources, of which {first} is no GeoParquet; expected one .osm.pbf")
    return True


def _made(found: Found, rules: tuple[ClassRule, ...], *, pbf: bool, clip: bool) -> OsmLabels:
    import shapely

    kinds = np.asarray(found.kinds, dtype=object)
    order = sorted(range(len(kinds)), key=lambda row: (found.classes[row], found.kinds[row], found.ids[row] or 0))
    classes, widths, geometries = found.arrays()
    classes, widths, geometries = classes[order], widths[order], geometries[order]
    if not len(classes):
        asked = "; ".join(rule.text for rule in rules)
        raise InputError(
            f"{found.source} has no feature of {asked} in {found.area.name} ({found.seen} elsewhere); "
            f"{'; '.join(found.notes) or 'expected other tags or another area'}"
        )
    lines = np.isfinite(widths)
    geometries[lines] = buffered(geometries[lines], widths[lines])
    broken = np.flatnonzero(~shapely.is_valid(geometries))
    for row in broken.tolist():
        geometries[row] = _same_kind(shapely.make_valid(geometries[row]))
    if clip:
        for row in np.flatnonzero(~shapely.covers(found.area.geometry, geometries)).tolist():
            geometries[row] = _same_kind(shapely.intersection(geometries[row], found.area.geometry))
    alone = (shapely.get_type_id(geometries) == shapely.GeometryType.MULTIPOLYGON) & (
        shapely.get_num_geometries(geometries) == 1
    )
    geometries[alone] = shapely.get_geometry(geometries[alone], 0)
    kept = np.flatnonzero(~shapely.is_empty(geometries))
    notes = list(found.notes)
    if found.both:
        notes.append(f"{counted(found.both, 'feature')} with tags of several classes: the first class counts")
    if len(broken):
        notes.append(f"{counted(len(broken), 'polygon')} that crossed themselves are repaired")
    names = np.array([rule.name for rule in rules], dtype=object)
    counts = np.bincount(classes[kept], minlength=len(rules))
    notes += [f"no feature of {rule.text}" for rule, count in zip(rules, counts, strict=True) if not count]
    chosen = [order[row] for row in kept.tolist()]
    prefix = "osm" if pbf else "overture"
    columns: dict[str, NDArray[Any]] = {
        "class": names[classes[kept]],
        f"{prefix}_type": kinds[chosen],
        f"{prefix}_id": _ids([found.ids[row] for row in chosen]),
        "tag": np.array([found.tags[row] for row in chosen], dtype=object),
        "width": widths[kept],
        "source": np.full(len(kept), "OpenStreetMap" if pbf else "Overture", dtype=object),
    }
    overlaps, partial = _overlaps(geometries[kept], classes[kept], names)
    if partial:
        notes.append(f"overlaps of classes are measured for the first {_MOST_PAIRS:,} pairs of features only")
    datasets = f"; datasets: {', '.join(sorted(found.datasets))}" if found.datasets else ""
    licence = ODBL if pbf else f"{OVERTURE}{datasets}"
    return OsmLabels(VectorTable(geometries[kept], columns, found.source), rules, licence, overlaps, tuple(notes))


def _ids(values: list[Any]) -> NDArray[Any]:
    if all(isinstance(value, int) for value in values):
        return np.asarray(values, dtype=np.int64)
    out = np.empty(len(values), dtype=object)
    out[:] = [None if value is None else str(value) for value in values]
    return out


def _same_kind(geometry: Any) -> Any:
    """A geometry's polygons, or its points where it has none."""
    import shapely

    parts = shapely.get_parts(geometry)
    while any(hasattr(part, "geoms") for part in parts.tolist()):
        parts = np.concatenate([shapely.get_parts(part) for part in parts.tolist()])
    for kind, join in (("Polygon", shapely.multipolygons), ("Point", shapely.multipoints)):
        held = [part for part in parts.tolist() if part.geom_type == kind]
        if held:
            return held[0] if len(held) == 1 else join(held)
    return shapely.Polygon()


def _overlaps(
    geometries: NDArray[np.object_], classes: NDArray[np.int64], names: NDArray[np.object_]
) -> tuple[tuple[Overlap, ...], bool]:
    """Hectares that each two classes share, and whether only a part of the pairs was measured."""
    import shapely

    areal = np.flatnonzero(shapely.get_dimensions(geometries) == 2)
    shapes, kinds = geometries[areal], classes[areal]
    if len(np.unique(kinds)) < 2:
        return (), False
    tree = shapely.STRtree(shapes)
    shared: dict[tuple[int, int], list[float]] = {}
    left = _MOST_PAIRS
    for start in range(0, len(shapes), _CHUNK):
        one, other = tree.query(shapes[start : start + _CHUNK], predicate="intersects")
        one = one + start
        mixed = np.flatnonzero(kinds[one] < kinds[other])[:left]
        left -= len(mixed)
        areas = hectares(shapely.intersection(shapes[one[mixed]], shapes[other[mixed]]))
        for low, high, area in zip(
            kinds[one[mixed]].tolist(), kinds[other[mixed]].tolist(), areas.tolist(), strict=True
        ):
            # touching borders share no area
            if area > 0:
                held = shared.setdefault((low, high), [0, 0.0])
                held[0] += 1
                held[1] += area
        if left <= 0:
            break
    found = tuple(
        Overlap((str(names[low]), str(names[high])), int(pairs), area)
        for (low, high), (pairs, area) in sorted(shared.items())
    )
    return found, left <= 0
