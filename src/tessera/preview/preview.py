"""Make or update all overviews of a store in one call."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from tessera.base import Folder, InputError, silent

from ._build import parse_store, parse_years, update_overviews
from ._colours import parse_method, update_colours
from ._document import declare
from ._falsecolour import update_full_rgb, update_rgb
from ._globe import FOLDER as GLOBE
from ._journal import Journal
from ._levels import FOLDER
from ._pyramid import update_pyramid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tessera.base import Progress
    from tessera.store import Store

    from ._build import Made


class Step(Protocol):
    """Shows progress of one part of the work: its title -> a context whose value takes units done and their total."""

    def __call__(self, title: str) -> AbstractContextManager[Progress]: ...


@contextmanager
def _quiet(title: str) -> Iterator[Progress]:  # noqa: ARG001 - the callable's shape is given
    yield silent


@dataclass(frozen=True)
class Report:
    """What an update did.

    Attributes
    ----------
    cells_made, cells_kept, cells_dropped : cells whose overviews were computed, were up to date, are gone
    troubled : cell and year -> why it could not be read
    year : year that the pyramid shows
    method, explained, sample : see `Colours`
    fitted : whether the colours were fitted in this run
    shards_painted : shards of the 160 m overview that were coloured
    full : cells coloured at 10 m, None without `full`
    chunks : chunks of the pyramid that were written or removed
    bytes : size on disk of "d160", "d1280", "rgb" and "pyramid"
    """

    cells_made: int
    cells_kept: int
    cells_dropped: int
    year: int
    method: str
    explained: tuple[float, float, float]
    sample: int
    fitted: bool
    shards_painted: int
    full: int | None
    chunks: int
    bytes: dict[str, int]
    troubled: dict[str, str] = field(default_factory=dict)


def update_preview(
    store: Store,
    years: tuple[int, ...] | None = None,
    *,
    refit: bool = False,
    colours: str | None = None,
    full: bool = False,
    step: Step = _quiet,
) -> Report:
    """Make or update a store's overviews, false colours and pyramid.

    Only what changed is read. After a kill, run it again: it continues and ends with the same bytes.

    Parameters
    ----------
    store : a local store
    years : years to update, None for all; the pyramid shows the latest
    refit : fit the colours again; otherwise they stay, so that pictures of the store compare
    colours : "pca" or "bands"; None keeps the method, "pca" at first
    full : colour the 10 m pixels too, with levels 0 to 3 of the pyramid, in this and later runs

    Raises
    ------
    InputError
        A store by URL, no such year, overviews of another model, no data, or another process makes the preview.
    TesseraError
        The disk is full or refuses.
    """
    root = parse_store(store)
    chosen = parse_years(store, years)
    if not chosen:
        raise InputError(f"{store.objects.root} holds no years yet; embed a cube into it first")
    method = None if colours is None else parse_method(colours)
    work = store.scratch() / "preview"
    door = Folder(root)
    door.inner(work)
    door.check(FOLDER, GLOBE)
    try:
        with door.lock(work.with_name("preview.lock"), wait=False):
            journal = Journal(root, work)
            journal.recover()
            _sweep(root)
            with step("Overviews") as progress:
                about, made = update_overviews(store, journal, chosen, progress=progress)
            with step("Colours") as progress:
                fit, fitted = update_colours(store, root, about, refit=refit, method=method)
            # other years may show colours of an old fit
            painted_years = about.years
            with step("False colour") as progress:
                painted = update_rgb(store, root, painted_years, fit, progress=progress)
            full = full or about.full
            own: Made | None = None
            if full:
                about = declare(store, root, replace(about, full=True), (), ())
                with step("False colour, 10 m") as progress:
                    own = update_full_rgb(store, root, painted_years, fit, progress=progress)
                made.troubled |= own.troubled
            with step("Pyramid") as progress:
                chunks = update_pyramid(store, root, max(chosen), fit, full=full, progress=progress)
    except BlockingIOError:
        raise InputError(f"another process is making the preview of {store.objects.root}; run it again later") from None
    return Report(
        cells_made=made.made,
        cells_kept=made.kept,
        cells_dropped=made.dropped,
        year=max(chosen),
        method=fit.method,
        explained=fit.explained,
        sample=fit.sample,
        fitted=fitted,
        shards_painted=painted,
        full=None if own is None else own.made,
        chunks=chunks,
        bytes=derived_bytes(root),
        troubled=made.troubled,
    )


def _sweep(root: Path) -> None:
    """Remove unfinished files of a killed process."""
    door = Folder(root)
    for name in (FOLDER, GLOBE):
        for path in door.inner(name).rglob(".*.part"):
            door.remove(path)


def derived_bytes(root: Path) -> dict[str, int]:
    """Bytes on disk of "d160", "d1280", "rgb" and "pyramid"."""
    found = {"d160": 0, "d1280": 0, "rgb": 0, "pyramid": 0}
    for path in (root / FOLDER).rglob("*"):
        if path.is_file():
            parts = path.relative_to(root / FOLDER).parts
            if len(parts) > 3 and parts[0].startswith("utm"):
                found[parts[1] if parts[2] != "rgb" and parts[1] in found else "rgb"] += path.stat().st_size
    found["pyramid"] = sum(path.stat().st_size for path in (root / GLOBE).rglob("*") if path.is_file())
    return found
