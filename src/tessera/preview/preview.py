"""A store's preview, brought up to date in one call: overviews, colours, zones, pyramid."""

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
    """Shows one part of the work: given its title, a context whose value is called with units done and their total."""

    def __call__(self, title: str) -> AbstractContextManager[Progress]: ...


@contextmanager
def _quiet(title: str) -> Iterator[Progress]:  # noqa: ARG001 - the callable's shape is given
    yield silent


@dataclass(frozen=True)
class Report:
    """What an update did.

    Attributes
    ----------
    cells_made, cells_kept, cells_dropped : of the overviews
    troubled : cell and year -> why it could not be read
    year : whose colours the pyramid shows
    method, explained, sample : of the colours
    fitted : whether the colours were fitted now
    shards_painted : of the 160 m false colours
    full : cells painted at 10 m, None where those are not kept
    chunks : of the pyramid, written or removed
    bytes : of everything derived: overviews, rgb, pyramid
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
    """Make a store's overviews, false colours and pyramid, or bring them up to date.

    Only what changed is read. It can be killed at any moment; run again, it goes on and ends with the same bytes.

    Parameters
    ----------
    store : local
    years : to work on, all where None; the pyramid shows the latest of them
    refit : fit the colours again; they stay as they are otherwise, so that pictures of one store go on to compare
    colours : "pca" or "bands"; what there is, or "pca", where None
    full : colours of the 10 m pixels and the pyramid's levels 0 to 3 as well, from now on

    Raises
    ------
    InputError
        A store by URL, no such year, overviews of another model, or no data at all.
    TesseraError
        The disk is full, or somebody else is at it.
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
        raise InputError(f"somebody else is making the preview of {store.objects.root}; run it again later") from None
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
    """Remove what a killed process left of files that it had not finished."""
    door = Folder(root)
    for name in (FOLDER, GLOBE):
        for path in door.inner(name).rglob(".*.part"):
            door.remove(path)


def derived_bytes(root: Path) -> dict[str, int]:
    """Bytes on disk of the overviews (d160, d1280), the colours (rgb) and the pyramid."""
    found = {"d160": 0, "d1280": 0, "rgb": 0, "pyramid": 0}
    for path in (root / FOLDER).rglob("*"):
        if path.is_file():
            parts = path.relative_to(root / FOLDER).parts
            if len(parts) > 3 and parts[0].startswith("utm"):
                found[parts[1] if parts[2] != "rgb" and parts[1] in found else "rgb"] += path.stat().st_size
    found["pyramid"] = sum(path.stat().st_size for path in (root / GLOBE).rglob("*") if path.is_file())
    return found
