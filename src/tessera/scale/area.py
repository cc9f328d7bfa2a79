"""An area into a store, cell by cell: a cell's cube is built, embedded, and removed; what is finished is left alone."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tessera.base import Folder, InputError, silent
from tessera.cubes import S1_BANDS, S2_BANDS, PixelCube
from tessera.geo import Window, parse_area
from tessera.shards import parse_year

from ._spool import discard
from .cells import embed_cube, work_of
from .cubes import CellCubes, Place, RefusedCellError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tessera.base import Progress
    from tessera.encode import Encoder, Options
    from tessera.store import Store

    from .cubes import Build, Made
    from .workers import Workers


@dataclass(frozen=True)
class CellOutcome:
    """What became of a cell.

    Attributes
    ----------
    cell : its name
    what : "skipped" where the store held it already
    reason : one line: why a cell is empty or refused, or how many scenes were lost of one that is written
    """

    cell: str
    what: Literal["written", "skipped", "empty", "refused"]
    reason: str = ""


@dataclass(frozen=True)
class AreaReport:
    """What became of an area.

    Attributes
    ----------
    outcomes : of each cell, in the order in which they were done
    """

    outcomes: tuple[CellOutcome, ...]

    @property
    def written(self) -> int:
        """Cells that were written."""
        return len(self._of("written"))

    @property
    def skipped(self) -> int:
        """Cells that were finished before and left alone."""
        return len(self._of("skipped"))

    @property
    def empty(self) -> list[tuple[str, str]]:
        """Cells without a scene, with the reason."""
        return self._of("empty")

    @property
    def refused(self) -> list[tuple[str, str]]:
        """Cells that were refused, with the reason."""
        return self._of("refused")

    def _of(self, what: str) -> list[tuple[str, str]]:
        return [(outcome.cell, outcome.reason) for outcome in self.outcomes if outcome.what == what]


def _not_told(outcome: CellOutcome, done: int, total: int) -> None:
    """Tell nobody of a cell's outcome."""


def embed_area(
    store: Store,
    encoder: Encoder,
    area: object,
    year: int,
    build: Build,
    options: Options,
    *,
    identity: dict[str, Any],
    asked: dict[str, Any] | None = None,
    scenes: str = "",
    refresh: bool = False,
    keep_cubes: bool = False,
    workers: Workers | None = None,
    progress: Progress = silent,
    building: Progress = silent,
    tell: Callable[[CellOutcome, int, int], None] = _not_told,
) -> AreaReport:
    """Embed an area, cell by cell, from cubes that are built when their cell comes.

    While a cell is embedded the next cell's cube is built, so that two cubes lie on the disk at most. A cell is
    finished, and left alone without a call of `build`, when the store holds it from inputs of this identity, by the
    same model in the same way. A run that was stopped, in whichever way, goes on where it was when it is run again, and
    ends with the same bytes. Processes of one machine that share an area wait for each other's cells.

    Parameters
    ----------
    store : that can be written, of the encoder's model
    area : what `tessera.geo.parse_area` reads, or a `Window`; only its window of each zone is written, not whole cells,
        and no cell that a polygon does not touch
    year : under which the store keeps the embeddings
    build : makes the cube of a window
    options : see `Encoder.options`
    identity : what makes two builds of a window the same: entries that every cube's provenance has, such as its period,
        source and recipe
    asked : what makes them the same besides and no cube says, such as the digest of a catalogue's address; the store's
        provenance is given it
    scenes : digest of what `build` builds from, such as a table of scenes; a cube that was begun from others is not
        taken up
    refresh : build every cell anew; one whose observations did not change is then left alone
    keep_cubes : leave the cubes in the folder `cubes` of the store's scratch folder, where later runs find them
    workers : processes to share the work; their `cube` is set to each cell's own. None works in this process
    progress : called with pixels done and their total
    building : called with what `build` says of the cell that it is at
    tell : called with each cell's outcome, the cells done and their total

    Returns
    -------
    What became of each cell. Cells without a scene and cells that were refused do not stop the others.

    Raises
    ------
    InputError
        A store of another model, length or zones, or that can only be read; a cube that does not say its identity.
    TesseraError
        The disk is full or refuses, a provider does not answer or refuses; finished blocks, days and cells stay.
    """
    scratch = store.scratch()
    Folder(scratch.parent).check(scratch.name)
    places = places_of(area, store.layout.shard)
    _check(store, encoder, options, places)
    if not identity:
        raise InputError("an empty identity; expected what every cube's provenance has: period, source, recipe")
    year = parse_year(year)
    plain, plain_asked = _as_json(identity), _as_json(asked)
    known = known_of(encoder, options, identity, asked)
    cubes = CellCubes(
        scratch,
        str(year),
        plain,
        plain_asked,
        scenes,
        build,
        lambda place: store.made_from(place.window, year, known),
        refresh,
        building,
    )
    run = _Run(store, encoder, year, options, cubes, keep_cubes, workers, places, progress, tell)
    return run.all()


def places_of(area: object, side: int) -> list[Place]:
    """The parts of cells that an area's window has, a window a zone; cells that a polygon does not touch are left out.

    Parameters
    ----------
    area : what `tessera.geo.parse_area` reads, or a `Window`
    side : of a cell, pixels
    """
    import shapely

    if isinstance(area, Window):
        parts: list[tuple[Window, Any]] = [(area, shapely.box(*area.bounds))]
    else:
        parts = [(part.window, part.geometry) for part in parse_area(area).parts()]
    found = []
    for window, geometry in parts:
        shapely.prepare(geometry)
        for cell in window.cells(side):
            inside = cell.window.intersection(window)
            if inside is None:
                continue
            if shapely.intersects(geometry, shapely.box(*inside.bounds)):
                found.append(Place(cell, inside))
    return found


def _check(store: Store, encoder: Encoder, options: Options, places: list[Place]) -> None:
    """Refuse, before anything is built, what the store would refuse in the end."""
    if store.model.sha256 != encoder.identity.sha256 or store.dims != options.dims:
        raise InputError(
            f"{store.objects.root} holds {store.dims} dims of {store.model.name} ({store.model.sha256[:12]}); given "
            f"{options.dims} of {encoder.identity.name} ({encoder.identity.sha256[:12]})"
        )
    if not places:
        raise InputError("no cell lies on the area")
    lacking = sorted({place.cell.zone for place in places} - set(store.zones))
    if lacking:
        raise InputError(f"the area lies in zone {lacking[0]}; {store.objects.root} has {_listed(store.zones)}")


def _listed(zones: tuple[int, ...]) -> str:
    return f"zone{'s' * (len(zones) != 1)} {', '.join(map(str, zones))}"


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _as_json(entries: dict[str, Any] | None) -> dict[str, Any]:
    """Entries as a record gives them back."""
    plain: dict[str, Any] = json.loads(json.dumps(entries or {}))
    return plain


def known_of(
    encoder: Encoder, options: Options, identity: dict[str, Any], asked: dict[str, Any] | None
) -> dict[str, Any]:
    """What the provenance of a finished cell has."""
    return _as_json(identity) | _as_json(asked) | _how(encoder, options)


def _how(encoder: Encoder, options: Options) -> dict[str, Any]:
    """What provenance says of how an encoder embeds, whatever it embeds."""
    days = np.zeros(0, dtype=np.int16)
    optical, mask = np.zeros((0, 1, 1, len(S2_BANDS)), dtype=np.uint16), np.zeros((0, 1, 1), dtype=np.uint8)
    radar = np.zeros((0, 1, 1, len(S1_BANDS)), dtype=np.int16)
    told = encoder.provenance(PixelCube(optical, mask, days, radar, days, radar, days), options)
    return {key: value for key, value in told.items() if key != "cube_sha256"}


@dataclass
class _Run:
    """One call of `embed_area`."""

    store: Store
    encoder: Encoder
    year: int
    options: Options
    cubes: CellCubes
    keep_cubes: bool
    workers: Workers | None
    places: list[Place]
    progress: Progress
    tell: Callable[[CellOutcome, int, int], None]
    outcomes: list[CellOutcome] = field(default_factory=list)
    pixels: int = 0

    def __post_init__(self) -> None:
        self.total = sum(place.pixels for place in self.places)

    def all(self) -> AreaReport:
        """Take every cell."""
        with closing(self.cubes.one_ahead(self._unfinished())) as cells:
            for made in cells:
                with made:
                    self._count(made.place, self._take(made))
        self.cubes.close()
        return AreaReport(tuple(self.outcomes))

    def _unfinished(self) -> Iterator[Place]:
        for place in self.places:
            if self.cubes.refresh or not self.cubes.is_finished(place):
                yield place
                continue
            if not self.keep_cubes:
                self.cubes.sweep(place)
            self._discard_blocks(place)
            self._count(place, CellOutcome(place.cell.name, "skipped"))

    def _take(self, made: Made) -> CellOutcome:
        name = made.place.cell.name
        if made.error is not None:
            return CellOutcome(
                name, "refused" if isinstance(made.error, RefusedCellError) else "empty", str(made.error)
            )
        written, before = 0, self.pixels
        if made.cube is not None:
            written, _ = embed_cube(
                self.store,
                self.encoder,
                made.cube,
                self.year,
                self.options,
                workers=None if self.workers is None else replace(self.workers, cube=made.path),
                progress=lambda done, _: self.progress(before + done, self.total),
            )
        if not self.keep_cubes:
            self.cubes.remove(made.place)
        if not written:
            return CellOutcome(name, "skipped")
        lost = 0 if made.cube is None else made.cube.provenance.get("scenes_lost", 0)
        return CellOutcome(name, "written", f"{lost} scene{'s' * (lost != 1)} lost" if lost else "")

    def _discard_blocks(self, place: Place) -> None:
        """Remove the blocks of a finished cell that a run left when it was killed after the commit."""
        if not any(path.name not in ("cubes", "scenes") for path in _inside(self.cubes.scratch)):
            return
        record = self.store.commit(place.cell, self.year)
        window = place.window
        for part in () if record is None else record.inputs:
            if part["window"] == [window.west, window.north, window.width, window.height]:
                box = (0, window.height, 0, window.width)
                work = work_of(self.encoder, part["provenance"], self.options, self.year, box)
                discard(self.cubes.scratch, work)

    def _count(self, place: Place, outcome: CellOutcome) -> None:
        self.outcomes.append(outcome)
        self.pixels += place.pixels
        self.progress(self.pixels, self.total)
        self.tell(outcome, len(self.outcomes), len(self.places))
