"""Finding scenes: sources are opened, asked once, and what they said can be kept in a file."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, open_regular, raise_if_machine, sha256_hex, silent
from tessera.geo import Window, parse_area, parse_period

from .records import SceneTable, read_scenes
from .sources import Query, parse_source, sources_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tessera.base import Progress
    from tessera.geo import Period

    from .records import Scene
    from .sources import Source

_LOG = logging.getLogger(__name__)
_MARGIN = dt.timedelta(days=1)
"""Solar days begin up to twelve hours before and after those of UTC."""

_SLACK = 1e-4
"""Degrees (11 m) by which outlines that are sampled at points may differ."""


def search_scenes(aoi: object, year: object, source: Any, *, progress: Progress = silent) -> SceneTable:
    """Ask sources once for all scenes of an area and a time.

    Parameters
    ----------
    aoi : what `tessera.geo.parse_area` reads, or a `Window`
    year, source : as `build_cube` takes them
    progress : called with parts of the search done and their total

    Returns
    -------
    A table, which `build_cube` takes as its source, and which `write` keeps.

    Raises
    ------
    InputError, NetError
        See `build_cube`.
    """
    windows = [aoi] if isinstance(aoi, Window) else [part.window for part in parse_area(aoi).parts()]
    return find_scenes(source, windows, parse_period(year)).searched(progress).table_of()


@dataclass(frozen=True)
class Found:
    """Sources, what they are asked, and their answer once it is there.

    Attributes
    ----------
    sources : the preferred one first
    query : the area of all windows, with a day more at both ends of the period
    table : the answer; None before it was asked for
    """

    sources: tuple[Source, ...]
    query: Query
    table: SceneTable | None = None

    @property
    def asked(self) -> str:
        """The names of the sources, as provenance holds them."""
        return ",".join(source.name for source in self.sources)

    @property
    def names(self) -> list[str]:
        """The names of the sources, the preferred one first."""
        return [source.name for source in self.sources]

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """The answer's scenes."""
        return self.table_of().scenes

    def table_of(self) -> SceneTable:
        """The answer."""
        if self.table is None:
            raise InputError("scenes were not searched yet")
        return self.table

    def searched(self, progress: Progress = silent) -> Found:
        """Ask, unless the answer is there."""
        if self.table is not None:
            return self
        scenes: dict[tuple[str, str, str], Scene] = {}
        for source in self.sources:
            for scene in source.search(self.query, progress):
                scenes.setdefault(scene.key, scene)
        about = {
            "box": list(self.query.box),
            "first": self.query.first.isoformat(),
            "last": self.query.last.isoformat(),
            "sources": [{"name": one.name, "asked": getattr(one, "asked", one.name)} for one in self.sources],
        }
        left_out: dict[str, int] = {}
        for source in self.sources:
            for reason, count in getattr(source, "left_out", {}).items():
                left_out[reason] = left_out.get(reason, 0) + count
        return replace(self, table=SceneTable(tuple(scenes.values()), about, left_out))

    def kept(self, path: Path, progress: Progress = silent) -> Found:
        """The answer that a file holds; asked and written to it where there is none that can be read."""
        wanted = not path.exists()
        if self.table is None and not wanted:
            try:
                return replace(self, table=read_scenes(path))
            except InputError as error:
                _LOG.warning("%s; the scenes are searched again", error)
                wanted = True
        found = self.searched(progress)
        if wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            found.table_of().write(path)
        return found


def find_scenes(source: Any, windows: Sequence[Window], period: Period) -> Found:
    """Open sources for some windows and a period; providers are not asked yet.

    Raises
    ------
    InputError
        There is no such source, or a table of scenes does not cover what is wanted.
    """
    query = Query(_box(windows), period.first - _MARGIN, period.last + _MARGIN)
    table, sources = _opened(source)
    if table is not None:
        _check_covers(table, query)
    return Found(sources, query, table)


def source_names(source: Any) -> str:
    """The names of sources, the preferred one first, as a cube's provenance holds them; no provider is asked.

    Raises
    ------
    InputError
        There is no such source.
    """
    return ",".join(one.name for one in _opened(source)[1])


def asked_of(source: Any) -> str:
    """Digest of what a source names, since two catalogues may have one name.

    Providers count by name, APIs and catalogues by address or resolved path, a table of scenes by its content.

    Raises
    ------
    InputError
        There is no such source.
    """
    if isinstance(source, SceneTable):
        return source.sha256
    if isinstance(source, (str, Path)) and str(source).endswith(".parquet"):
        try:
            with open_regular(Path(source), what="table of scenes") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise_if_machine(error, source)
            raise InputError(f"table of scenes {source} cannot be read: {error.strerror}") from None
    asked = []
    for one in parse_source(source):
        text = str(getattr(one, "asked", one.name))
        asked.append(text if "://" in text else _entry(Path(text)))
    return sha256_hex(json.dumps(asked).encode())


def _entry(path: Path) -> str:
    """The first document of a catalogue on this machine; a provider's name as it is."""
    entries = [path / "catalog.json", path / "collection.json", path]
    return next((str(entry.resolve()) for entry in entries if entry.is_file()), str(path))


def _opened(source: Any) -> tuple[SceneTable | None, tuple[Source, ...]]:
    table = source if isinstance(source, SceneTable) else None
    if isinstance(source, (str, Path)) and str(source).endswith(".parquet"):
        table = read_scenes(Path(source))
    if table is None:
        return None, parse_source(source)
    return table, sources_of(table)


def _box(windows: Sequence[Window]) -> tuple[float, float, float, float]:
    """West, south, east, north of all windows; the west may be the greater number, over the date line."""
    boxes = [window.lonlat_bounds for window in windows]
    start = boxes[0][0]
    offsets = [((west - start + 180.0) % 360.0 - 180.0, (east - west) % 360.0) for west, _, east, _ in boxes]
    west = start + min(offset for offset, _ in offsets)
    east = start + max(offset + width for offset, width in offsets)
    south, north = min(box[1] for box in boxes), max(box[3] for box in boxes)
    if east - west >= 360.0:
        return -180.0, south, 180.0, north
    return _wrapped(west), south, _wrapped(east), north


def _wrapped(longitude: float) -> float:
    return longitude if -180.0 <= longitude <= 180.0 else (longitude + 180.0) % 360.0 - 180.0


def _check_covers(table: SceneTable, query: Query) -> None:
    box, first, last = table.query["box"], table.query["first"], table.query["last"]
    span = (box[2] - box[0]) % 360.0 or 360.0
    west = (query.box[0] - box[0] + _SLACK) % 360.0
    east = (query.box[2] - box[0]) % 360.0
    inside = west <= east <= span + _SLACK and box[1] <= query.box[1] + _SLACK and query.box[3] <= box[3] + _SLACK
    if not inside or first > query.first.isoformat() or last < query.last.isoformat():
        shown = ",".join(f"{value:.3f}" for value in box)
        raise InputError(
            f"the table of scenes covers {shown} from {first} to {last}; "
            f"wanted {','.join(f'{value:.3f}' for value in query.box)} from {query.first} to {query.last}"
        )
