"""tessera embed: cubes to a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._show import step

if TYPE_CHECKING:
    from tessera.base import Progress
    from tessera.cubes import PixelCube
    from tessera.encode import Encoder
    from tessera.store import Store


def embed(
    cubes: Annotated[list[Path], typer.Argument(help="Cubes or d-pixel folders, on the lattice.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Store; created if it is not there.")],
    model: Annotated[str | None, typer.Option(help="Checkpoint file; the bundled weights where left out.")] = None,
    year: Annotated[int | None, typer.Option(help="Year, where a cube does not say.")] = None,
    dims: Annotated[int | None, typer.Option(help="Prefix of the model's dims to keep.")] = None,
) -> None:
    """Embed cubes into a store, cell by cell; a cell written from the same inputs is left alone.

    Example: tessera embed cube.zarr -o store.zarr
    """
    from tessera.base import InputError
    from tessera.cubes import open_cube
    from tessera.encode import load_encoder
    from tessera.geo import Window

    opened = []
    for path in cubes:
        cube = open_cube(path)
        try:
            Window.of_grid(cube.grid)
        except InputError as error:
            raise InputError(f"{path}: {error}; give it one with tessera cube import --crs --west --north") from None
        opened.append((path, cube, _year(cube, year, path)))
    encoder = load_encoder(model)
    kept = encoder.dims if dims is None else dims
    store = _open_or_create(out, kept, encoder)
    for path, cube, its_year in opened:
        with step(f"Embedding {path.name}") as progress:
            written, skipped = embed_cube(store, encoder, cube, its_year, kept, progress)
        cells = f"{written} cell{'s' * (written != 1)} written, {skipped} already there"
        print(f"{path}: {cells}; {_with_data(store, cube, its_year)} of its pixels have data; {out}")


def embed_cube(
    store: Store, encoder: Encoder, cube: PixelCube, year: int, dims: int, progress: Progress
) -> tuple[int, int]:
    """Embed a cube cell by cell: (cells written, cells left alone because they hold these very inputs)."""
    from tessera.geo import Window

    window = Window.of_grid(cube.grid)
    height = window.height * sum(1 for _ in window.cells(store.layout.shard))
    written = skipped = rows = 0
    for cell in window.cells(store.layout.shard):
        inside = cell.window.intersection(window)
        if inside is None:
            continue
        box_rows, box_cols = inside.slices_in(window)
        part = cube.crop(box_rows.start, box_rows.stop, box_cols.start, box_cols.stop)
        if store.holds(inside, year, encoder.provenance(part)):
            skipped += 1
        else:
            before = rows
            embeddings = encoder.encode(
                part, dims, progress=lambda done, _, before=before: progress(before + done, height)
            )
            store.write(embeddings, year)
            written += 1
        rows += inside.height
        progress(rows, height)
    progress(height, height)
    return written, skipped


def _with_data(store: Store, cube: PixelCube, year: int) -> str:
    """Share of a cube's pixels that the store has vectors of."""
    from tessera.geo import Window

    window = Window.of_grid(cube.grid)
    return f"{store.coverage(window, year):.0%}"


def _open_or_create(out: Path, dims: int, encoder: Encoder) -> Store:
    from tessera.base import InputError
    from tessera.store import create_store, open_store

    if dims not in encoder.identity.prefix_dims:
        choices = ", ".join(str(size) for size in encoder.identity.prefix_dims)
        raise InputError(f"{dims} dims of {encoder.identity.name}; expected one of {choices}")
    if not out.exists():
        return create_store(out, dims, encoder)
    store = open_store(out)
    if store.model.sha256 != encoder.identity.sha256 or store.dims != dims:
        raise InputError(
            f"{out} holds {store.dims} dims of {store.model.name} ({store.model.sha256[:12]}); "
            f"given {dims} of {encoder.identity.name} ({encoder.identity.sha256[:12]})"
        )
    return store


def _year(cube: PixelCube, given: int | None, path: Path) -> int:
    from tessera.base import InputError
    from tessera.store import parse_year

    year = cube.year if given is None else given
    if year is None:
        raise InputError(f"{path} does not say its year; give --year")
    if cube.year is not None and cube.year != year:
        raise InputError(f"{path} is of {cube.year}; --year says {year}")
    return parse_year(year)
