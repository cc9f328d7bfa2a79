"""The cubes of an area's cells: each built when its cell comes, one ahead of the caller, held, and removed."""

from __future__ import annotations

import json
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from tessera.base import Folder, InputError, TesseraError, sha256_hex
from tessera.cubes import open_cube

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from pathlib import Path

    from tessera.base import Progress
    from tessera.cubes import PixelCube
    from tessera.geo import Cell, Window

_LOOK_AGAIN = 1.0
"""Seconds after which a cell that another process is at is looked at again."""
_PARTING = 3.0
"""Seconds that the cube ahead has to stop in good order; one that waits for a server or a disk is left."""


class EmptyCellError(InputError):
    """No scene lies on a cell: there is nothing to embed."""


class RefusedCellError(TesseraError):
    """A cell cannot be built well enough, such as one that lost more scenes than it may; other cells can."""


class _StoppedError(TesseraError):
    """The cube is not wanted any more."""


@dataclass(frozen=True)
class CubeSource:
    """Where the cubes of an area come from.

    Attributes
    ----------
    build : (window, out, progress) -> the cube of the window, made in a thread and written to `out`, where nothing is;
        what an earlier call left in <out>.part is taken up. `progress` raises where the cube is not wanted any more.
        EmptyCellError and RefusedCellError say that there is no such cube, and others go on; any other error ends the
        run
    identity : entries that every cube's provenance has, such as its period, source and recipe; two cubes of a window
        with the same entries are the same
    asked : identity entries that a cube does not record, such as a hash of the catalogue's address; they are added to
        the provenance that the store keeps
    scenes : digest of what `build` reads from, such as a table of scenes; a cube that was begun from others is built
        anew
    """

    build: Callable[[Window, Path, Progress], PixelCube]
    identity: Mapping[str, Any]
    asked: Mapping[str, Any] = field(default_factory=dict)
    scenes: str = ""

    def plain(self) -> CubeSource:
        """The same, with entries as a record gives them back."""
        identity, asked = json.loads(json.dumps([dict(self.identity), dict(self.asked)]))
        return replace(self, identity=identity, asked=asked)


@dataclass(frozen=True)
class Place:
    """The part of a cell that an area wants."""

    cell: Cell
    window: Window

    @property
    def pixels(self) -> int:
        """How many."""
        return self.window.height * self.window.width


@dataclass
class Made:
    """A cell that is held against other processes, with its cube, or with why there is none.

    Attributes
    ----------
    path : of the cube
    cube : None where there is an `error`, or where another process finished the cell meanwhile
    """

    place: Place
    path: Path
    held: ExitStack = field(default_factory=ExitStack)
    cube: PixelCube | None = None
    error: EmptyCellError | RefusedCellError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.held.close()


@dataclass
class CellCubes:
    """A folder of cubes.

    Attributes
    ----------
    scratch : of the store; cubes lie in its folder `cubes`, locks beside it
    label : part of every cube's name, such as a year
    source : of the cubes, plain
    is_finished : asks the store whether a place needs no cube
    refresh : take no cube that lies there already
    progress : of the build
    """

    scratch: Path
    label: str
    source: CubeSource
    is_finished: Callable[[Place], bool]
    refresh: bool
    progress: Progress
    _stopped: threading.Event = field(default_factory=threading.Event)

    def one_ahead(self, places: Iterable[Place]) -> Generator[Made, None, None]:
        """Each place with its cube; while the caller has one, a thread makes the next and then waits."""
        maker, waiting = _Maker(self._make), deque[Future[Made]]()
        try:
            for place in places:
                waiting.append(maker.begin(place))
                if len(waiting) == 2:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        finally:
            self._stopped.set()
            for job in waiting:
                job.cancel()
                # also of a cube that is still made when nobody waits for it any more
                job.add_done_callback(_let_go)
            maker.dismiss(_PARTING)

    def remove(self, place: Place) -> None:
        """Remove a place's cube with all that was made for it; call it while the place is held."""
        for trace in self._traces(place):
            if trace.is_dir():
                self._door.remove_tree(trace)
            else:
                self._door.remove(trace)

    def sweep(self, place: Place) -> None:
        """Remove what a run left of a finished place that was killed after its commit."""
        if self._traces(place):
            with suppress(BlockingIOError), self._door.lock(self._lock(place), wait=False):
                self.remove(place)

    def close(self) -> None:
        """Remove the folder if it is empty."""
        with suppress(OSError, InputError):
            self._door.at(self.scratch / "cubes").rmdir()

    @property
    def _door(self) -> Folder:
        return Folder(self.scratch.parent)

    def _name(self, place: Place) -> str:
        """How the name of a cube begins: other windows, times, sources and recipes have other names."""
        window = place.window
        corner = [window.zone, window.west, window.north, window.width, window.height]
        key = sha256_hex(json.dumps([corner, {**self.source.identity, **self.source.asked}], sort_keys=True).encode())[
            :12
        ]
        return f"{place.cell.name}_{self.label}_{key}"

    def _path(self, place: Place) -> Path:
        return self.scratch / "cubes" / f"{self._name(place)}_{sha256_hex(self.source.scenes.encode())[:8]}.zarr"

    def _lock(self, place: Place) -> Path:
        return self.scratch.parent / "locks" / f"cube-{self._name(place)}.lock"

    def _traces(self, place: Place) -> list[Path]:
        """A cube, what it was being made of, what dead writers left beside it, and the same of other scenes."""
        name = self._name(place)
        return [path for start in (name, f".{name}") for path in (self.scratch / "cubes").glob(f"{start}_*.zarr*")]

    def _make(self, place: Place) -> Made:
        """Hold a cell and make its cube; the lock goes with what is returned."""
        made = Made(place, self._path(place))
        try:
            self._check_wanted()
            waited = self._hold(made)
            if not waited or self.refresh or not self.is_finished(place):
                cube = self._cube(place, made.path)
                made.cube = replace(cube, provenance={**cube.provenance, **self.source.asked})
        except EmptyCellError as error:
            self.remove(place)
            made.error = error
        except RefusedCellError as error:
            # what was read stays for another try
            made.error = error
        except BaseException as error:
            # the next one is not begun
            self._stopped.set()
            made.held.close()
            if not isinstance(error, OSError):
                raise
            raise TesseraError(
                f"the cube of {place.cell.name} was not kept in {made.path.parent} ({error.strerror or error}); "
                "what is finished is kept, run the same command again"
            ) from None
        return made

    def _hold(self, made: Made) -> bool:
        """Take a cell's lock; whether another process had it."""
        waited = False
        while True:
            try:
                made.held.enter_context(self._door.lock(self._lock(made.place), wait=False))
            except BlockingIOError:
                waited = True
                if _wait(self._stopped, _LOOK_AGAIN):
                    raise _StoppedError("stopped") from None
            else:
                return waited

    def _cube(self, place: Place, path: Path) -> PixelCube:
        """The cube that an earlier run left whole, or a new one."""
        if self.refresh:
            self.remove(place)
        if path.exists():
            with suppress(InputError):
                cube = open_cube(path)
                # the digest reads all: what a power cut left damaged is built again
                if cube.sha256 and not self._unlike(cube, place):
                    return cube
            self.remove(place)
        self._door.make(path.parent)
        cube = self.source.build(place.window, path, self._watched)
        unlike = self._unlike(cube, place)
        if unlike:
            raise InputError(f"the cube of {place.cell.name} was built of another {' and '.join(unlike)}")
        return cube

    def _unlike(self, cube: PixelCube, place: Place) -> list[str]:
        other = [key for key, value in self.source.identity.items() if cube.provenance.get(key) != value]
        return other if cube.grid == place.window.grid else ["window", *other]

    def _watched(self, done: int, total: int) -> None:
        self._check_wanted()
        self.progress(done, total)

    def _check_wanted(self) -> None:
        if self._stopped.is_set():
            raise _StoppedError("stopped")


def _wait(event: threading.Event, seconds: float) -> bool:
    return event.wait(seconds)


class _Maker:
    """One thread that makes cubes in turn; unlike an executor's, it holds up neither an error nor the process's end."""

    def __init__(self, make: Callable[[Place], Made]) -> None:
        self._make = make
        self._jobs: SimpleQueue[tuple[Future[Made], Place] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tessera-cube", daemon=True)
        self._thread.start()

    def begin(self, place: Place) -> Future[Made]:
        """Have a cube made when those before it are."""
        job: Future[Made] = Future()
        self._jobs.put((job, place))
        return job

    def dismiss(self, patience: float) -> None:
        """Let the thread end, and wait for it for so many seconds."""
        self._jobs.put(None)
        self._thread.join(patience)

    def _work(self) -> None:
        while (taken := self._jobs.get()) is not None:
            job, place = taken
            if job.set_running_or_notify_cancel():
                try:
                    made = self._make(place)
                except BaseException as error:
                    job.set_exception(error)
                else:
                    job.set_result(made)


def _let_go(job: Future[Made]) -> None:
    """Give up a cell's lock."""
    if not job.cancelled() and job.exception() is None:
        job.result().held.close()


def _first(waiting: deque[Future[Made]]) -> Made:
    made = waiting[0].result()
    waiting.popleft()
    return made
