"""tessera embed: cubes to a store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._show import step

if TYPE_CHECKING:
    from tessera.cubes import PixelCube
    from tessera.encode import Encoder
    from tessera.store import Store


def embed(
    cubes: Annotated[list[Path], typer.Argument(help="Cubes on the lattice.")],
    out: Annotated[
        str, typer.Option("--out", "-o", help="Store, a path or s3, gs or az URL; created if it is not there.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Published name or checkpoint file; the bundled weights where left out.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="mpc or aws, for v1.1: whose scenes the weights know.")] = None,
    year: Annotated[int | None, typer.Option(help="Year, where a cube does not say.")] = None,
    dims: Annotated[int | None, typer.Option(help="Prefix of the model's dims to keep.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:<n>; the GPUs where there are any, else the CPU.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="fp32, bf16, or auto: bf16 where the device has instructions for it.")
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Processes; one a GPU where left out, or this one alone on a CPU.")
    ] = None,
    min_s2: Annotated[
        int, typer.Option(help="Fewest clear Sentinel-2 dates of a pixel to embed; one that is in the store stays.")
    ] = 0,
    min_s1: Annotated[
        int, typer.Option(help="Fewest Sentinel-1 dates of a pixel to embed; one that is in the store stays.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of the dates that v1.0 draws; other versions do not draw.")] = 0,
) -> None:
    """Embed cubes into a store; run again after any stop, it goes on and ends with the same bytes.

    Example: tessera embed cube.zarr -o store.zarr
    """
    from tessera.base import InputError
    from tessera.cubes import open_cube
    from tessera.encode import Draw, load_encoder
    from tessera.geo import Window
    from tessera.scale import Workers, devices_for, embed_cube

    opened = []
    for path in cubes:
        cube = open_cube(path)
        try:
            Window.of_grid(cube.grid)
        except InputError as error:
            raise InputError(f"{path}: {error}; give it one with tessera cube import --crs --west --north") from None
        opened.append((path, cube, _year(cube, year, path)))
    devices = devices_for(device, workers)
    encoder = load_encoder(model, source, device=devices[0], precision=precision)
    options = encoder.options(dims, min_s2=min_s2, min_s1=min_s1, draw=Draw(seed))
    store = _open_or_create(out, options.dims, encoder)
    for path, cube, its_year in opened:
        pool = Workers(path, model, source, encoder.precision, devices) if len(devices) > 1 else None
        with step(f"Embedding {path.name}", unit="px") as progress:
            written, skipped = embed_cube(store, encoder, cube, its_year, options, workers=pool, progress=progress)
        cells = f"{written} cell{'s' * (written != 1)} written, {skipped} already there"
        print(f"{path}: {cells}; {_with_data(store, cube, its_year)} of its pixels have data; {out}")
    _update_manifest(store)


def _with_data(store: Store, cube: PixelCube, year: int) -> str:
    """Share of a cube's pixels that the store has vectors of."""
    from tessera.geo import Window

    window = Window.of_grid(cube.grid)
    return f"{store.coverage(window, year):.0%}"


def _update_manifest(store: Store) -> None:
    """Bring the manifest up to date; what was embedded is in the store whether this works or not."""
    from tessera.base import TesseraError
    from tessera.catalogue import write_manifest

    try:
        left_out = write_manifest(store).left_out
    except (TesseraError, OSError) as error:
        left_out = (f"the manifest was not updated ({error}); tessera store catalogue does it",)
    for line in left_out:
        print(line, file=sys.stderr)


def _open_or_create(out: str, dims: int, encoder: Encoder) -> Store:
    from tessera.base import InputError
    from tessera.store import NoStoreError, create_store, open_store

    if "://" not in out and not Path(out).exists():
        return create_store(out, dims, encoder)
    try:
        store = open_store(out)
    except NoStoreError:
        if "://" not in out:
            raise
        return create_store(out, dims, encoder)
    if store.model.sha256 != encoder.identity.sha256 or store.dims != dims:
        raise InputError(
            f"{out} holds {store.dims} dims of {store.model.name} ({store.model.sha256[:12]}); "
            f"given {dims} of {encoder.identity.name} ({encoder.identity.sha256[:12]}), other weights or statistics"
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
