"""Cubes to a store: each with the year that it says, and the guard against replacing one from other inputs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, check_folder
from tessera.cubes import open_cube
from tessera.encode import Encoder
from tessera.geo import Window, check_year_of, period_of_provenance
from tessera.shards import parse_year

from ._setup import Setup, update_manifest
from .cells import embed_cube
from .forecast import forecast_cubes
from .made_from import refuse_other, told_of
from .report import CubeOutcome, Reporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tessera.cubes import PixelCube
    from tessera.store import Store

    from .forecast import Forecast
    from .how import How


@dataclass(frozen=True)
class _Placed:
    """A cube on the lattice, with the year under which the store keeps it."""

    path: Path
    cube: PixelCube
    year: int

    @property
    def window(self) -> Window:
        return Window.of_grid(self.cube.grid)


def embed_cubes(
    cubes: Sequence[str | Path],
    year: int | None = None,
    *,
    out: str | Path,
    replace: bool = False,
    reporter: Reporter | None = None,
    **how: Any,
) -> tuple[Store, list[CubeOutcome]]:
    """Embed cubes on disk into a store; run again after any stop, it goes on and ends with the same bytes.

    Parameters
    ----------
    cubes : paths of cubes on the lattice
    year : under which the store keeps them; the one that each cube says where None
    reporter : its `step`, `cube` and `note` are called
    how : model, statistics, dims, device, precision, workers, min_s2, min_s1 and seed; these, `out` and `replace` are
        as `tessera.embed` takes them

    Returns
    -------
    The store, open, and what became of each cube.

    Raises
    ------
    InputError
        A cube that is none, is off the lattice, or is of another year; a store of another model, or one that holds the
        year from other inputs while `replace` is not given.
    TesseraError
        The disk is full or refuses, or a worker died; finished blocks and cells stay.
    """
    reporter = reporter or Reporter()
    setup, placed, chosen, found = _begin(cubes, year, out, replace, how)
    store = setup.create(chosen) if found is None else found
    outcomes = []
    for one in placed:
        with reporter.step(f"Embedding {one.path.name}", "px") as progress:
            workers = chosen.workers_on(one.path)
            written, skipped = embed_cube(
                store, chosen.encoder, one.cube, one.year, chosen.options, workers=workers, progress=progress
            )
        outcomes.append(CubeOutcome(one.path, one.year, written, skipped, store.coverage(one.window, one.year)))
        reporter.cube(outcomes[-1])
    update_manifest(store, reporter.note)
    return store, outcomes


def forecast_embed_cubes(
    cubes: Sequence[str | Path],
    year: int | None = None,
    *,
    out: str | Path,
    replace: bool = False,
    began: float | None = None,
    reporter: Reporter | None = None,
    **how: Any,
) -> Forecast:
    """Estimate what `embed_cubes` would take; nothing is written but temporary files.

    Parameters
    ----------
    began : as `forecast_embed` takes it; all others are as `embed_cubes` takes them

    Raises
    ------
    InputError
        See `embed_cubes`.
    """
    began = time.monotonic() if began is None else began
    setup, placed, chosen, found = _begin(cubes, year, out, replace, how)
    begun = time.monotonic() - began, time.process_time()
    with (reporter or Reporter()).step("Timing the encoder", ""):
        return forecast_cubes(
            found,
            [(one.cube, one.year) for one in placed],
            chosen,
            sizes=[_size_of(one.path) for one in placed],
            local=setup.local,
            begun=begun,
        )


def _begin(
    cubes: Sequence[str | Path], year: int | None, out: str | Path, replace: bool, how: dict[str, Any]
) -> tuple[Setup, list[_Placed], How, Store | None]:
    """Open all that is needed, and refuse what cannot be, before anything is written."""
    setup = Setup(out, **how)
    if setup.local:
        model = None if isinstance(setup.model, Encoder) else setup.model
        check_folder(setup.out, "store", inputs=(*cubes, model))
    placed = [_placed(Path(path), year) for path in cubes]
    chosen = setup.how()
    found = setup.open(chosen)
    if found is not None and not replace:
        for one in placed:
            refuse_other(found, [one.window], one.year, told_of(one.cube.provenance))
    return setup, placed, chosen, found


def _placed(path: Path, given: int | None) -> _Placed:
    cube = open_cube(path)
    try:
        Window.of_grid(cube.grid)
    except InputError as error:
        how_to = "crs= and transform= of tessera.cubes.cube_of_arrays, or tessera cube import --crs --west --north"
        raise InputError(f"{path}: {error}; make it anew with {how_to}") from None
    year = cube.year if given is None else given
    if year is None:
        told = period_of_provenance(cube.provenance)
        covers = "does not say its year" if told is None else f"covers {told[0]} to {told[1]}"
        raise InputError(f"{path} {covers}; give with --year the one under which the store keeps it")
    if cube.year is not None and cube.year != year:
        raise InputError(f"{path} is of {cube.year}; --year says {year}")
    return _Placed(path, cube, parse_year(check_year_of(cube.provenance, year, str(path))))


def _size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
