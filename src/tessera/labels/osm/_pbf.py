"""An OpenStreetMap extract (.osm.pbf), read in three passes with pyosmium.

Relations that match are chosen by their tags and size, then the sizes of their ways are counted, then places of nodes
are kept while ways and areas are assembled. Nothing but the places of nodes and what meets the area stays in memory.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, open_regular, raise_if_machine, require, shown

from .features import counted, lines_left_out
from .lines import is_area, is_under_ground, width_of
from .tags import class_of, keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tessera.base import Progress

    from .features import Found
    from .tags import ClassRule

_MOST_BYTES = 16 * 1024**3
_IN_MEMORY = 256 * 1024**2
"""Bytes of a file whose nodes' places are kept in memory, 16 bytes each; those of a larger one in a temporary file."""
_MOST_MEMBERS = 20_000
"""Ways of one relation; real ones have up to some thousands."""
_MOST_NODES = 1_000_000
"""Nodes of one relation or closed way: assembling rings takes more than linear time."""
_MOST_RELATIONS = 5_000_000
_LISTED = 3
_LARGEST_ID = 2**40


@dataclass
class _Relations:
    """The relations to assemble: ids, their ways, and why others are left out."""

    wanted: set[int] = field(default_factory=set)
    of_way: dict[int, list[int]] = field(default_factory=dict)
    missing: dict[int, int] = field(default_factory=dict)  # ways not yet seen in the extract
    large: list[int] = field(default_factory=list)


def read_pbf(
    path: Path, rules: Sequence[ClassRule], found: Found, *, width: float | None, points: bool, progress: Progress
) -> None:
    """Collect the features of a PBF file.

    Parameters
    ----------
    width : metres of lines that say no width; None: by the table
    points : whether nodes are taken too

    Raises
    ------
    InputError
        It is missing, no PBF, damaged, too large, or of another place.
    """
    osmium: Any = require("osmium", extra="osm", purpose="reading .osm.pbf")
    try:
        with open_regular(path, what="OpenStreetMap extract") as file:
            head, size = file.read(32), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise InputError(f"OpenStreetMap extract not found: {path}") from None
    if b"OSMHeader" not in head:
        raise InputError(f"{path} is no OpenStreetMap extract in PBF; expected a file such as region-latest.osm.pbf")
    if size > _MOST_BYTES:
        raise InputError(
            f"{path} has {size:,} bytes; at most {_MOST_BYTES:,} are read; cut it first: osmium extract --bbox"
        )
    with _readable(path):
        _check_box(osmium, path, found)
        progress(0, 3)
        relations = _choose(osmium, path, rules)
        progress(1, 3)
        _count_nodes(osmium, path, relations)
        progress(2, 3)
        with _places(osmium, size) as index:
            _assemble(osmium, path, rules, found, relations, index, width=width, points=points)
        found.flush()
        progress(3, 3)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what the library says of a damaged file into one line."""
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, ValueError, OverflowError, OSError, MemoryError) as error:
        raise_if_machine(error, path)
        raise InputError(f"{path} cannot be read: {shown(str(error), 160)[1:-1]}; download it again") from None


def _check_box(osmium: Any, path: Path, found: Found) -> None:
    import shapely

    with osmium.io.Reader(os.fspath(path), osmium.osm.NOTHING) as reader:
        box = reader.header().box()
    if not box.valid():
        return
    low, high = box.bottom_left, box.top_right
    sides = low.lon, low.lat, high.lon, high.lat
    if not shapely.intersects(shapely.box(*sides), found.area.geometry):
        held = ",".join(f"{side:.4g}" for side in sides)
        raise InputError(f"{path} holds {held}; {found.area.name} lies outside")


def _choose(osmium: Any, path: Path, rules: Sequence[ClassRule]) -> _Relations:
    """The relations that are areas of a class."""
    out = _Relations()
    keys = osmium.filter.KeyFilter(*keys_of(rules))
    with osmium.io.Reader(os.fspath(path), osmium.osm.RELATION) as reader:
        for relation in osmium.OsmFileIterator(reader, keys):
            tags = dict(relation.tags)
            if tags.get("type") not in ("multipolygon", "boundary") or class_of(rules, tags) is None:
                continue
            name = relation.id
            if not 0 < name < _LARGEST_ID:
                raise InputError(f"{path} has a relation of id {name}; expected ids of OpenStreetMap")
            ways = [member.ref for member in relation.members if member.type == "w"]
            if len(ways) > _MOST_MEMBERS:
                out.large.append(name)
                continue
            if len(out.wanted) >= _MOST_RELATIONS:
                raise InputError(f"{path} has more than {_MOST_RELATIONS:,} relations of these classes; cut it first")
            out.wanted.add(name)
            out.missing[name] = len(set(ways))
            for way in set(ways):
                out.of_way.setdefault(way, []).append(name)
    return out


def _count_nodes(osmium: Any, path: Path, relations: _Relations) -> None:
    """Leave out relations whose ways have too many nodes together; see which ways the extract lacks."""
    if not relations.of_way:
        return
    nodes = dict.fromkeys(relations.wanted, 0)
    with osmium.io.Reader(os.fspath(path), osmium.osm.WAY) as reader:
        for way in osmium.OsmFileIterator(reader):
            for name in relations.of_way.get(way.id, ()):
                nodes[name] += len(way.nodes)
                relations.missing[name] -= 1
    large = [name for name, count in nodes.items() if count > _MOST_NODES]
    relations.large += large
    relations.wanted.difference_update(large)


@contextmanager
def _places(osmium: Any, size: int) -> Iterator[Any]:
    """A table of the places of nodes."""
    if size <= _IN_MEMORY:
        yield osmium.index.create_map("sparse_mem_array")
        return
    with tempfile.TemporaryDirectory(prefix="tessera-") as folder:
        yield osmium.index.create_map(f"sparse_file_array,{Path(folder) / 'nodes'}")


class _Keep:
    """Drops ways that are neither of a class nor part of a relation, before areas are assembled of them."""

    def __init__(self, rules: Sequence[ClassRule], relations: _Relations) -> None:
        self._keys = keys_of(rules)
        self._of_way, self._wanted = relations.of_way, relations.wanted
        self.large: list[int] = []

    def way(self, way: Any) -> bool:
        needed = any(name in self._wanted for name in self._of_way.get(way.id, ()))
        if not needed and not any(key in way.tags for key in self._keys):
            return True
        if len(way.nodes) > _MOST_NODES:
            self.large.append(way.id)
            return True
        return False


def _assemble(
    osmium: Any,
    path: Path,
    rules: Sequence[ClassRule],
    found: Found,
    relations: _Relations,
    index: Any,
    *,
    width: float | None,
    points: bool,
) -> None:
    """Read the whole file; hand every feature of a class to `found`."""
    manager = osmium.area.AreaManager()
    if relations.wanted:
        chosen = osmium.filter.IdFilter(relations.wanted).enable_for(osmium.osm.RELATION)
        with osmium.io.Reader(os.fspath(path), osmium.osm.RELATION) as reader:
            osmium.apply(reader, chosen, manager.first_pass_handler())
    keep = _Keep(rules, relations)
    places = osmium.NodeLocationsForWays(index)
    places.ignore_errors()
    filters = osmium.filter.KeyFilter(*keys_of(rules))
    areas = osmium.BufferIterator(filters)
    # the iterators hold no references to their handlers
    second = manager.second_pass_to_buffer(areas)
    take = _Take(osmium, rules, found, width, points)

    def drain() -> None:
        if areas:
            for area in areas:
                take.area(area)

    with osmium.io.Reader(os.fspath(path)) as reader:
        for entity in osmium.OsmFileIterator(reader, places, keep, second, filters):
            if entity.is_way():
                take.way(entity)
            elif entity.is_node():
                take.node(entity)
            drain()
    drain()
    take.tell(relations, keep)


class _Take:
    """Turns objects of the library into features, and counts what is left out."""

    def __init__(
        self, osmium: Any, rules: Sequence[ClassRule], found: Found, width: float | None, points: bool
    ) -> None:
        self._rules, self._found, self._width, self._points = rules, found, width, points
        self._wkb = osmium.geom.WKBFactory()
        self._broken = (RuntimeError, osmium.InvalidLocationError)
        self.done: set[int] = set()
        self.cut = self.under = 0
        self.without: dict[str, int] = {}

    def node(self, node: Any) -> None:
        tags = dict(node.tags)
        match = class_of(self._rules, tags)
        if match is not None and self._points and node.location.valid():
            self._add(match, "node", node.id, float("nan"), self._wkb.create_point, node, tags)

    def way(self, way: Any) -> None:
        tags = dict(way.tags)
        match = class_of(self._rules, tags)
        if match is None or (way.is_closed() and is_area(tags, match[1])):
            return
        if is_under_ground(tags):
            self.under += 1
            return
        number, tag = match
        wide = width_of(tags, tag, self._rules[number].width, self._width)
        if wide is None:
            self.without[tag] = self.without.get(tag, 0) + 1
            return
        self._add(match, "way", way.id, wide, self._wkb.create_linestring, way, tags)

    def area(self, area: Any) -> None:
        tags = dict(area.tags)
        match = class_of(self._rules, tags)
        name, kind = area.orig_id(), "way" if area.from_way() else "relation"
        if match is None or (kind == "way" and not is_area(tags, match[1])):
            return
        if self._add(match, kind, name, float("nan"), self._wkb.create_multipolygon, area, tags) and kind == "relation":
            self.done.add(name)

    def _add(
        self, match: tuple[int, str], kind: str, name: int, width: float, make: Any, entity: Any, tags: dict[str, str]
    ) -> bool:
        try:
            wkb = make(entity)
        except self._broken:
            self.cut += kind == "way"
            return False
        number, tag = match
        also = any(rule.match(tags) is not None for rule in self._rules[number + 1 :])
        self._found.add(number, tag, kind, name, width, wkb, also=also)
        return True

    def tell(self, relations: _Relations, keep: _Keep) -> None:
        """Put what was left out into words."""
        lost = sorted(relations.wanted - self.done)
        beyond = [name for name in lost if relations.missing.get(name, 0) > 0]
        broken = [name for name in lost if relations.missing.get(name, 0) <= 0]
        ways = sorted(set(keep.large))
        notes = self._found.notes
        if beyond:
            notes.append(f"{_in_words(beyond)} left out: some of their ways are not in this extract")
        if broken:
            notes.append(f"{_in_words(broken)} left out: their ways do not close to rings")
        if relations.large:
            notes.append(
                f"{_in_words(sorted(relations.large))} left out: more than {_MOST_MEMBERS:,} ways or "
                f"{_MOST_NODES:,} nodes"
            )
        if ways:
            notes.append(f"{counted(len(ways), 'way')} left out: more than {_MOST_NODES:,} nodes")
        if self.cut:
            notes.append(
                f"{counted(self.cut, 'way')} left out: nodes are not in this extract, or do not make a line or ring"
            )
        notes += lines_left_out(self.under, self.without)


def _in_words(names: list[int]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"relations {', '.join(map(str, names[:_LISTED]))}{more}" if len(names) > 1 else f"relation {names[0]}"
