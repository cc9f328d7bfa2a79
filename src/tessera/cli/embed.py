"""tessera embed: cubes, or the scenes of an area, to a store."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.base import InputError

from ._made_from import refuse_other, told_of, update_manifest
from ._scenes import FromOption, MaxLostOption, PublishedOption, ReaderOption, SetOption, ToOption, area_of, recipe_of
from .terminal import one_of, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from tessera.cubes import PixelCube
    from tessera.encode import Encoder, Options
    from tessera.scale import Workers
    from tessera.store import Store


def embed(
    out: Annotated[
        str, typer.Option("--out", "-o", help="Store, a path or s3, gs or az URL; created if it is not there.")
    ],
    cubes: Annotated[
        list[Path] | None, typer.Argument(help="Cubes on the lattice; none with --bbox, --aoi or --tile.")
    ] = None,
    bbox: Annotated[str | None, typer.Option(help="Area to read scenes of: west,south,east,north in degrees.")] = None,
    aoi: Annotated[str | None, typer.Option(help="Area as a vector file of polygons.")] = None,
    tile: Annotated[str | None, typer.Option(help="Area as a tile (grid_5.05_50.65) or cell (utm31_e64_n548).")] = None,
    year: Annotated[
        int | None, typer.Option(help="Calendar year; of the store, with --from and --to or where a cube does not say.")
    ] = None,
    first: FromOption = None,
    last: ToOption = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Of an area: mpc, earth-search, opera, several with commas, a static STAC catalogue, stac:URL. "
            "Of cubes: mpc or aws, for v1.1: whose scenes the weights know."
        ),
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="Table of scenes (tessera cube scenes), in place of --source.")
    ] = None,
    reader: ReaderOption = "ranges",
    max_lost: MaxLostOption = 1,
    published: PublishedOption = False,
    setting: SetOption = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Search and read again, also of cells that are finished.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over a year that was made from another period, source or rules.")
    ] = False,
    keep_cubes: Annotated[
        bool, typer.Option("--keep-cubes", help="Keep the cubes of an area beside the unfinished work.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="Published name or checkpoint file; the bundled weights where left out.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="mpc or aws, for v1.1 and an area, where --source does not say.")
    ] = None,
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
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say how long it will take, what it reads and writes; write nothing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print JSON.")] = False,
) -> None:
    """Embed cubes, or an area from its scenes; run again after any stop, it goes on and ends with the same bytes.

    Example: tessera embed cube.zarr -o store.zarr

    From scenes: tessera embed --bbox 5.237,50.681,5.270,50.702 --year 2023 --source mpc -o store.zarr

    How long that will take: the same with --dry-run
    """
    began = time.monotonic()
    if as_json and not dry_run:
        raise InputError("--json given without --dry-run; expected both")
    how = _How(out, model, dims, device, precision, workers, min_s2, min_s1, seed)
    places = {name: value for name, value in (("bbox", bbox), ("aoi", aoi), ("tile", tile)) if value is not None}
    more = {"--from": first, "--to": last, "--scenes": scenes, "--published": published, "--set": setting}
    more |= {"--refresh": refresh, "--keep-cubes": keep_cubes, "--weights": weights}
    _check_inputs(cubes or [], [f"--{name}" for name in places], [name for name, value in more.items() if value])
    if cubes:
        _embed_cubes(cubes, year, source, how, replace=replace, dry=(as_json, began) if dry_run else None)
        return

    from ._embed import Wanted, check_refused, embed_scenes, forecast_scenes, period_and_year, weights_of
    from ._forecast import show_forecast

    _, where = one_of(bbox=bbox, aoi=aoi, tile=tile)
    _, origin = one_of(source=source, scenes=None if scenes is None else str(scenes))
    period, its_year = period_and_year(year, first, last)
    recipe = recipe_of(published, setting)
    wanted = Wanted(area_of(bbox, where), period, its_year, origin, recipe, reader, max_lost, bbox)
    chosen = weights_of(weights, model, wanted.source_names)
    store, encoder, options, pool = how.begin(chosen, "--weights")
    if dry_run:
        kept = {"refresh": refresh, "replace": replace, "keep_cubes": keep_cubes}
        found = forecast_scenes(store, encoder, options, wanted, how.devices, out, began, **kept)
        show_forecast(found, out, as_json=as_json)
        return
    store, report = embed_scenes(
        store,
        lambda: how.create(encoder, options),
        encoder,
        options,
        wanted,
        refresh=refresh,
        replace=replace,
        keep_cubes=keep_cubes,
        workers=pool(Path()),
    )
    update_manifest(store)
    check_refused(report)


@dataclass(frozen=True)
class _How:
    """Options of how and where to embed, as they were given."""

    out: str
    model: str | None
    dims: int | None
    device: str | None
    precision: str
    workers: int | None
    min_s2: int
    min_s1: int
    seed: int

    @property
    def devices(self) -> tuple[str, ...]:
        """One of each process."""
        from tessera.scale import devices_for

        return devices_for(self.device, self.workers)

    def begin(
        self, weights: str | None, option: str
    ) -> tuple[Store | None, Encoder, Options, Callable[[Path], Workers | None]]:
        """The store, None where there is none yet, the encoder, its options, and what makes the workers for a cube.

        Parameters
        ----------
        weights : whose statistics to bind, "mpc" or "aws"
        option : that says so
        """
        from tessera.base import InputError
        from tessera.encode import Draw, load_encoder
        from tessera.scale import Workers

        if weights is None and self.model == "v1.1":
            raise InputError(f"v1.1 has weights for scenes of mpc and of aws; expected {option} mpc or {option} aws")
        devices = self.devices
        encoder = load_encoder(self.model, weights, device=devices[0], precision=self.precision)
        options = encoder.options(self.dims, min_s2=self.min_s2, min_s1=self.min_s1, draw=Draw(self.seed))
        store = _open(self.out, options.dims, encoder, option)

        def pool(cube: Path) -> Workers | None:
            return Workers(cube, self.model, weights, encoder.precision, devices) if len(devices) > 1 else None

        return store, encoder, options, pool

    def create(self, encoder: Encoder, options: Options) -> Store:
        """The store, which was not there a moment ago."""
        from tessera.base import TakenError
        from tessera.store import create_store

        found = _open(self.out, options.dims, encoder, "--weights")
        if found is not None:
            return found
        try:
            return create_store(self.out, options.dims, encoder)
        except TakenError:
            # of several starts at once one makes it, and all go on with it
            found = _open(self.out, options.dims, encoder, "--weights")
            if found is None:
                raise
            return found


def _check_inputs(cubes: list[Path], places: list[str], more: list[str]) -> None:
    """Refuse cubes and an area together, neither, and options of an area without one."""
    from tessera.base import InputError

    if cubes and places:
        raise InputError(f"both {cubes[0]} and {places[0]} given; expected cubes, or an area of which to read scenes")
    if cubes and more:
        raise InputError(f"{more[0]} given with the cube {cubes[0]}; it is for an area of which to read scenes")
    if not cubes and not places:
        raise InputError("nothing to embed; expected cubes, or an area: --bbox, --aoi or --tile, --year and --source")


def _embed_cubes(
    cubes: list[Path], year: int | None, source: str | None, how: _How, *, replace: bool, dry: tuple[bool, float] | None
) -> None:
    """Embed cubes, or where `dry` is given forecast it: whether as JSON, and when the command began."""
    from tessera.base import InputError, check_folder
    from tessera.cubes import open_cube
    from tessera.geo import Window
    from tessera.scale import embed_cube

    if "://" not in how.out:
        check_folder(how.out, "store", inputs=(*cubes, how.model))
    opened = []
    for path in cubes:
        cube = open_cube(path)
        try:
            Window.of_grid(cube.grid)
        except InputError as error:
            how_to = "crs= and transform= of tessera.cubes.cube_of_arrays, or tessera cube import --crs --west --north"
            raise InputError(f"{path}: {error}; make it anew with {how_to}") from None
        opened.append((path, cube, _year(cube, year, path)))
    found, encoder, options, pool = how.begin(source, "--source")
    if found is not None and not replace:
        for _, cube, its_year in opened:
            refuse_other(found, [Window.of_grid(cube.grid)], its_year, told_of(cube.provenance))
    if dry is not None:
        from ._forecast import forecast_of_cubes, show_forecast

        as_json, began = dry
        forecast = forecast_of_cubes(found, encoder, opened, options, how.devices, how.out, began)
        show_forecast(forecast, how.out, as_json=as_json)
        return
    store = how.create(encoder, options) if found is None else found
    for path, cube, its_year in opened:
        with step(f"Embedding {path.name}", unit="px") as progress:
            written, skipped = embed_cube(
                store, encoder, cube, its_year, options, workers=pool(path), progress=progress
            )
        cells = f"{written} cell{'s' * (written != 1)} written, {skipped} already there"
        print(f"{path}: {cells}; {_with_data(store, cube, its_year)} of its pixels have data; {how.out}")
    update_manifest(store)


def _with_data(store: Store, cube: PixelCube, year: int) -> str:
    """Share of a cube's pixels that the store has vectors of."""
    from tessera.geo import Window

    window = Window.of_grid(cube.grid)
    return f"{store.coverage(window, year):.0%}"


def _open(out: str, dims: int, encoder: Encoder, option: str) -> Store | None:
    """The store, None where nothing is; `option` says whose statistics the weights have."""
    from tessera.base import InputError, check_folder
    from tessera.store import NoStoreError, open_store

    local = "://" not in out
    if local and not Path(out).exists():
        check_folder(out, "store")
        return None
    try:
        store = open_store(out)
    except NoStoreError as error:
        if not local:
            return None
        raise InputError(f"{out} exists and is no store ({error}); expected a store or a new path") from None
    if store.model.sha256 != encoder.identity.sha256 or store.dims != dims:
        raise InputError(
            f"{out} holds {store.dims} dims of {store.model.name} ({store.model.sha256[:12]}); "
            f"given {dims} of {encoder.identity.name} ({encoder.identity.sha256[:12]}), other weights or statistics; "
            f"--model, {option} and --dims choose them"
        )
    return store


def _year(cube: PixelCube, given: int | None, path: Path) -> int:
    from tessera.base import InputError
    from tessera.geo import check_year_of, period_of_provenance
    from tessera.shards import parse_year

    year = cube.year if given is None else given
    if year is None:
        told = period_of_provenance(cube.provenance)
        covers = "does not say its year" if told is None else f"covers {told[0]} to {told[1]}"
        raise InputError(f"{path} {covers}; give with --year the one under which the store keeps it")
    if cube.year is not None and cube.year != year:
        raise InputError(f"{path} is of {cube.year}; --year says {year}")
    return parse_year(check_year_of(cube.provenance, year, str(path)))
