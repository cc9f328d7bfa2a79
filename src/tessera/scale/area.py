"""An area into a store, cell by cell: a cell's cube is built, embedded, and removed; what is finished is left alone."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import Folder, InputError
from tessera.cubes import S1_BANDS, S2_BANDS, PixelCube
from tessera.geo import Window, parse_area
from tessera.shards import parse_year

from ._spool import discard, has_begun
from .cells import embed_cube, work_of
from .cubes import CellCubes, Place, RefusedCellError
from .report import CellOutcome, EmbedReport, Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.store import Store

    from .cubes import CubeSource, Made
    from .how import How


def embed_area(
    store: Store, area: object, year: int, source: CubeSource, how: How, reporter: Reporter | None = None
) -> EmbedReport:
    """Embed an area, cell by cell, from cubes that are built when their cell comes.

    While a cell is embedded the next cell's cube is built, so at most two cubes lie on the disk. A cell is finished,
    and left alone without a build, when the store holds it from inputs of the source's identity, by the same model in
    the same way. A run that was stopped, in whichever way, goes on where it was when it is run again, and ends with the
    same bytes. Processes of one machine that share an area wait for each other's cells.

    Parameters
    ----------
    store : that can be written, of the encoder's model
    area : what `tessera.geo.parse_area` reads, or a `Window`; only its window of each zone is written, not whole cells,
        and no cell that a polygon does not touch
    year : under which the store keeps the embeddings
    source : of the cubes
    how : encoder, options, processes, and what becomes of cubes
    reporter : its `reading`, `embedding` and `cell` are called

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
    reporter = reporter or Reporter()
    scratch = store.scratch()
    Folder(scratch.parent).check(scratch.name)
    places = places_of(area, store.layout.shard)
    check_model(store, how)
    _check_places(store, places)
    if not source.identity:
        raise InputError("an empty identity; expected what every cube's provenance has: period, source, recipe")
    year, source = parse_year(year), source.plain()
    known = known_of(how, source)
    cubes = CellCubes(
        scratch,
        str(year),
        source,
        lambda place: store.made_from(place.window, year, known),
        how.refresh,
        reporter.reading,
    )
    return _Run(store, year, cubes, how, places, reporter).all()


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


def check_model(store: Store, how: How) -> None:
    """Refuse a store of other weights, or of vectors of another length.

    Raises
    ------
    InputError
        It is one.
    """
    model, dims = how.encoder.identity, how.options.dims
    if store.model.sha256 != model.sha256 or store.dims != dims:
        raise InputError(
            f"{store.objects.root} holds {store.dims} dims of {store.model.name} ({store.model.sha256[:12]}); given "
            f"{dims} of {model.name} ({model.sha256[:12]}), other weights or statistics; choose them by model, "
            "statistics and dims"
        )


def _check_places(store: Store, places: list[Place]) -> None:
    """Refuse, before anything is built, what the store would refuse in the end."""
    if not places:
        raise InputError("no cell lies on the area")
    lacking = sorted({place.cell.zone for place in places} - set(store.zones))
    if lacking:
        held = f"zone{'s' * (len(store.zones) != 1)} {', '.join(map(str, store.zones))}"
        raise InputError(f"the area lies in zone {lacking[0]}; {store.objects.root} has {held}")


def known_of(how: How, source: CubeSource) -> dict[str, Any]:
    """What the provenance of a finished cell has."""
    days = np.zeros(0, dtype=np.int16)
    optical, mask = np.zeros((0, 1, 1, len(S2_BANDS)), dtype=np.uint16), np.zeros((0, 1, 1), dtype=np.uint8)
    radar = np.zeros((0, 1, 1, len(S1_BANDS)), dtype=np.int16)
    told = how.encoder.provenance(PixelCube(optical, mask, days, radar, days, radar, days), how.options)
    plain = source.plain()
    return {**plain.identity, **plain.asked, **{key: value for key, value in told.items() if key != "cube_sha256"}}


@dataclass
class _Run:
    """One call of `embed_area`."""

    store: Store
    year: int
    cubes: CellCubes
    how: How
    places: list[Place]
    reporter: Reporter
    outcomes: list[CellOutcome] = field(default_factory=list)
    pixels: int = 0

    def __post_init__(self) -> None:
        self.total = sum(place.pixels for place in self.places)

    def all(self) -> EmbedReport:
        """Take every cell."""
        with closing(self.cubes.one_ahead(self._unfinished())) as cells:
            for made in cells:
                with made:
                    self._count(made.place, self._take(made))
        self.cubes.close()
        return EmbedReport(self.store, tuple(self.outcomes))

    def _unfinished(self) -> Iterator[Place]:
        for place in self.places:
            if self.cubes.refresh or not self.cubes.is_finished(place):
                yield place
                continue
            if not self.how.keep_cubes:
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
                self.how.encoder,
                made.cube,
                self.year,
                self.how.options,
                workers=self.how.workers_on(made.path),
                progress=lambda done, _: self.reporter.embedding(before + done, self.total),
            )
        if not self.how.keep_cubes:
            self.cubes.remove(made.place)
        if not written:
            return CellOutcome(name, "skipped")
        lost = 0 if made.cube is None else made.cube.provenance.get("scenes_lost", 0)
        return CellOutcome(name, "written", f"{lost} scene{'s' * (lost != 1)} lost" if lost else "")

    def _discard_blocks(self, place: Place) -> None:
        """Remove the blocks of a finished cell that a run left when it was killed after the commit."""
        if not has_begun(self.cubes.scratch):
            return
        record = self.store.commit(place.cell, self.year)
        window = place.window
        for part in () if record is None else record.inputs:
            if part["window"] == [window.west, window.north, window.width, window.height]:
                box = (0, window.height, 0, window.width)
                work = work_of(self.how.encoder, part["provenance"], self.how.options, self.year, box)
                discard(self.cubes.scratch, work)

    def _count(self, place: Place, outcome: CellOutcome) -> None:
        self.outcomes.append(outcome)
        self.pixels += place.pixels
        self.reporter.embedding(self.pixels, self.total)
        self.reporter.cell(outcome, len(self.outcomes), len(self.places))
