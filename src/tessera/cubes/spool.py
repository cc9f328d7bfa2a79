"""A cube that is written date by date, in any order and by several threads, and goes on where it was stopped.

The work folder lies beside the cube. A finished date is a folder that appeared under its name at once; its chunks are
encoded then and only moved later:

    cube.zarr.part/
        spool.lock                     held while a process works here
        work.json                      what is being built
        notes/                         the caller's own small files
        dates/s2/2023-04-18/           record.json, and the date's chunks: s2/<row>/<column>/0, s2_mask/<row>/<column>
        order.json                     while the cube is put together: which date became which index
        cube/                          the cube that is put together
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import os
import shutil
import threading
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import (
    Folder,
    InputError,
    TesseraError,
    check_folder,
    place_folder,
    raise_if_machine,
    read_json,
    sync_folder,
    write_atomic,
    writing,
)

from ._work import WORK, drop, empty, held
from ._zarr import STACKS, chunks_of, create_array, start_cube
from .cube import S1_BANDS, S2_BANDS, PixelCube
from .disk import open_cube

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from tessera.geo import Grid

_ORDER, _RECORD = "order.json", "record.json"
_FORMAT, _VERSION = "tessera-cube-work", 1
_KINDS: dict[str, dict[str, tuple[Any, tuple[int, ...]]]] = {
    "s2": {"s2": (np.uint16, (len(S2_BANDS),)), "s2_mask": (np.uint8, ())},
    "s1_asc": {"s1_asc": (np.int16, (len(S1_BANDS),))},
    "s1_desc": {"s1_desc": (np.int16, (len(S1_BANDS),))},
}
"""Stack -> its images: dtype, and sides after (H, W)."""


@contextmanager
def open_spool(target: str | Path, about: dict[str, Any], shape: tuple[int, int]) -> Iterator[CubeSpool]:
    """Hold the work folder of a cube; what an earlier run of the same work finished there is taken up.

    A folder that was begun with another `about` or shape is begun anew. It stays when the block ends with an error or
    before `finish`, unless it holds neither a date nor a note, and is gone after `finish`.

    Parameters
    ----------
    target : new folder of the cube; the work folder has its name and ".part"
    about : all that the observations depend on, as JSON has it
    shape : (H, W) of the cube

    Raises
    ------
    InputError
        `target` exists; its work folder is another's, or another process works there.
    TesseraError
        The disk is full or refuses; the system has no file locks (Windows).
    """
    target = Path(target)
    # "" and "/" have no name that a work folder beside them could take
    if not target.name:
        check_folder(target, "cube")
    work = {"format": _FORMAT, "version": _VERSION, "about": _as_json(about), "shape": [int(side) for side in shape]}
    folder = _work_of(target)
    if target.exists() and not folder.is_dir():
        raise InputError(f"{target} exists; expected a new path for the cube")
    if not target.exists():
        check_folder(target, "cube")
    with held(folder):
        if target.exists():
            _sweep(folder)
            raise InputError(f"{target} exists; expected a new path for the cube")
        with writing(folder):
            if _read(folder / WORK) != work:
                empty(folder)
                write_atomic(folder / WORK, json.dumps(work, indent=1).encode())
            spool = CubeSpool(target, folder, (int(shape[0]), int(shape[1])))
        try:
            yield spool
        finally:
            if spool.finished:
                empty(folder)
                drop(folder)
            elif spool.is_bare():
                # an error that is under way says more than one of tidying up
                with suppress(TesseraError):
                    empty(folder)
                    drop(folder)


def sweep_spool(target: str | Path) -> None:
    """Remove the work folder of a cube whose writer was stopped just after the cube had appeared.

    Where there is no cube, or another process works there, or the folder is none of these, all is left as it is.

    Parameters
    ----------
    target : folder of the cube

    Raises
    ------
    TesseraError
        The disk refuses; the system has no file locks (Windows).
    """
    target = Path(target)
    folder = _work_of(target)
    if target.exists() and folder.is_dir():
        with suppress(InputError), held(folder):
            if target.exists():
                _sweep(folder)


def _work_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _sweep(folder: Path) -> None:
    """Remove a work folder, held, whose cube is there, if it is that cube's."""
    moved = (folder / _ORDER).exists() and not (folder / "cube").exists()
    if moved or not (folder / WORK).exists():
        empty(folder)
        drop(folder)


class CubeSpool:
    """The work folder of a cube; made by `open_spool`.

    Attributes
    ----------
    folder : the work folder; callers keep small files of their own in its folder "notes"
    finished : whether the cube has appeared
    """

    def __init__(self, target: Path, folder: Path, shape: tuple[int, int]) -> None:
        self.folder, self.finished = folder, False
        self._target, self._shape = target, shape
        self._lock = threading.Lock()
        self._records: dict[tuple[str, dt.date], dict[str, Any]] = {}
        Folder(folder).check("")
        shutil.rmtree(folder / "parts", ignore_errors=True)
        for name in ("notes", "parts", *(f"dates/{stack}" for stack in _KINDS)):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._take_apart()
        self._load()

    def is_bare(self) -> bool:
        """Whether it holds neither a finished date nor a note of the caller's."""
        with self._lock:
            return not self._records and not any((self.folder / "notes").glob("*"))

    def record(self, stack: str, day: dt.date) -> dict[str, Any] | None:
        """The record of a finished date, None where it is not finished.

        Parameters
        ----------
        stack : "s2", "s1_asc" or "s1_desc"
        day : calendar date
        """
        _kind(stack)
        with self._lock:
            found = self._records.get((stack, day))
        return None if found is None else copy.deepcopy(found["record"])

    def put(
        self, stack: str, day: dt.date, images: Mapping[str, NDArray[Any]] | None, record: Mapping[str, Any]
    ) -> None:
        """Keep a date, whole or not at all, in place of what was kept of it before. Several threads may put dates.

        Parameters
        ----------
        stack : "s2", "s1_asc" or "s1_desc"
        day : calendar date
        images : "s2" (H, W, 10) uint16 and "s2_mask" (H, W) uint8; or "s1_asc" or "s1_desc" (H, W, 2) int16. None: the
            date gives nothing, and only its record is kept
        record : what `record` shall return, as JSON has it

        Raises
        ------
        InputError
            Another stack, or images of another name, dtype or shape.
        TesseraError
            The disk is full or refuses; dates that are finished stay.
        """
        kind = _kind(stack)
        if images is not None:
            if set(images) != set(kind):
                raise InputError(f"images {', '.join(sorted(images))} of {stack}; expected {', '.join(kind)}")
            for name, (dtype, sides) in kind.items():
                given, wanted = images[name], (*self._shape, *sides)
                if given.dtype != dtype or given.shape != wanted:
                    raise InputError(f"{name} is {given.dtype} {given.shape}; expected {np.dtype(dtype).name} {wanted}")
        kept = {"given": images is not None, "record": _as_json(record)}
        with writing(self.folder):
            # not by tempfile, whose folders are one user's alone
            part = self.folder / "parts" / f"{stack}.{day}.{uuid.uuid4().hex}"
            part.mkdir()
            try:
                for name, image in (images or {}).items():
                    _encode(np.asarray(image), name, part)
                (part / _RECORD).write_bytes(json.dumps(kept).encode())
                _sync_tree(part)
                self._place(part, stack, day, kept)
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def finish(
        self, grid: Grid | None, provenance: dict[str, Any], dates: Iterable[tuple[str, dt.date]] | None = None
    ) -> PixelCube:
        """Put the cube together from finished dates, in order of day, and let it appear under its name.

        The same dates give the same bytes, those of `write_cube`. Stopped at any moment, it can be called again.

        Parameters
        ----------
        grid : CRS and transform of the cube
        provenance : plain values
        dates : stacks and days that the cube is of; whatever else an earlier run finished is left out. None: all

        Raises
        ------
        InputError
            The grid is of another shape, the provenance is not plain, or a date is not finished.
        TesseraError
            The disk is full or refuses; dates that are finished stay.
        """
        with self._lock:
            wanted = sorted(self._records if dates is None else set(dates))
            missing = [f"{day} of {stack}" for stack, day in wanted if (stack, day) not in self._records]
            given = [key for key in wanted if key in self._records and self._records[key]["given"]]
        if missing:
            raise InputError(f"{missing[0]} is not finished; expected every date of the cube")
        order = {stack: [day for kind, day in given if kind == stack] for stack in _KINDS}
        cube = self._outline(order, grid, provenance)
        with writing(self.folder):
            self._take_apart()
            build = self.folder / "cube"
            start_cube(build, cube)
            _sync_tree(build)
            listed = {stack: [day.isoformat() for day in days] for stack, days in order.items()}
            write_atomic(self.folder / _ORDER, json.dumps(listed).encode())
            for chunks, place in self._moves(listed):
                place.parent.mkdir(exist_ok=True)
                chunks.rename(place)
            for name in STACKS:
                for folder in (build / name / "c", build / name):
                    if folder.exists():
                        sync_folder(folder)
            open_cube(build)
            place_folder(build, self._target, "the cube")
        self.finished = True
        return open_cube(self._target)

    def _outline(self, order: dict[str, list[dt.date]], grid: Grid | None, provenance: dict[str, Any]) -> PixelCube:
        """The cube with zeros for observations, which takes no memory."""
        parts: dict[str, Any] = {}
        for stack, days in order.items():
            for name, (dtype, sides) in _KINDS[stack].items():
                parts[name] = np.broadcast_to(np.zeros((), dtype=dtype), (len(days), *self._shape, *sides))
            parts[f"{stack}_doy"] = np.array([day.timetuple().tm_yday for day in days], dtype=np.int16)
        return PixelCube(**parts, grid=grid, provenance=provenance)

    def _place(self, part: Path, stack: str, day: dt.date, kept: dict[str, Any]) -> None:
        """Let a date appear; one that was kept before goes first, so that no part of it can stay."""
        target = self.folder / "dates" / stack / day.isoformat()
        with self._lock:
            if self._records.pop((stack, day), None) is not None:
                old = part.with_name(f"{part.name}.old")
                target.rename(old)
                shutil.rmtree(old)
            part.rename(target)
            sync_folder(target.parent)
            self._records[stack, day] = kept

    def _moves(self, order: Mapping[str, list[str]]) -> Iterator[tuple[Path, Path]]:
        """A date's chunks where they are kept, and where the cube has them."""
        for stack, days in order.items():
            for index, day in enumerate(days):
                for name in _KINDS[stack]:
                    place = self.folder / "cube" / name / "c" / str(index)
                    yield self.folder / "dates" / stack / day / name, place

    def _take_apart(self) -> None:
        """Bring chunks back from a cube whose putting together was stopped."""
        path = self.folder / _ORDER
        if path.exists():
            for chunks, place in self._moves(_parse_order(_read(path))):
                if place.is_dir() and not chunks.exists() and chunks.parent.is_dir():
                    place.rename(chunks)
            for stack in _KINDS:
                for folder in (self.folder / "dates" / stack).iterdir():
                    sync_folder(folder)
        shutil.rmtree(self.folder / "cube", ignore_errors=True)
        path.unlink(missing_ok=True)

    def _load(self) -> None:
        for stack, kind in _KINDS.items():
            for folder in sorted((self.folder / "dates" / stack).iterdir()):
                kept = _read(folder / _RECORD)
                try:
                    day = dt.date.fromisoformat(folder.name)
                except ValueError:
                    continue
                whole = kept is not None and isinstance(kept.get("record"), dict) and "given" in kept
                if kept and whole and kept["given"]:
                    whole = all(_chunks_in(folder / name) == self._chunks(sides) for name, (_, sides) in kind.items())
                if kept and whole:
                    self._records[stack, day] = kept
                else:
                    shutil.rmtree(folder)

    def _chunks(self, sides: tuple[int, ...]) -> int:
        _, rows, cols, *_ = chunks_of((1, *self._shape, *sides))
        return -(-self._shape[0] // rows) * -(-self._shape[1] // cols)


def _kind(stack: str) -> dict[str, tuple[Any, tuple[int, ...]]]:
    if stack not in _KINDS:
        raise InputError(f"stack {stack!r}; expected {', '.join(_KINDS)}")
    return _KINDS[stack]


def _encode(image: NDArray[Any], name: str, part: Path) -> None:
    """Write an image's chunks to a folder, named as within a date of the cube."""
    import zarr

    root = zarr.create_group(part / "zarr", zarr_format=3)
    array = create_array(root, name, (1, *image.shape), image.dtype, STACKS[name])
    array[0] = image
    (part / "zarr" / name / "c" / "0").rename(part / name)
    shutil.rmtree(part / "zarr")


def _chunks_in(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def _sync_tree(folder: Path) -> None:
    """Have everything under a folder on the disk."""
    for path, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync_folder(Path(path) / name)
        sync_folder(Path(path))


def _parse_order(value: dict[str, Any] | None) -> dict[str, list[str]]:
    """What is no order is none: its dates then lack their chunks, and are not finished."""
    try:
        return {stack: [dt.date.fromisoformat(day).isoformat() for day in (value or {})[stack]] for stack in _KINDS}
    except (KeyError, TypeError, ValueError):
        return {}


def _as_json(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"a record of work is not plain: {error}; expected what JSON has") from None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path, what="a record of work")
    except (OSError, InputError) as error:
        # what this machine cannot read now is not taken for nothing, which would be removed
        raise_if_machine(error, path)
        return None
