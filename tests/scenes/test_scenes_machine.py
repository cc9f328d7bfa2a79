"""What this machine cannot do is not a scene's fault: the build stops, and goes on when it is run again."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest

from tessera.base import MachineError, TesseraError, open_regular
from tessera.cubes import open_cube
from tessera.geo import Window
from tessera.net import MissingError, NetError, PermanentError
from tessera.scenes import _files, asked_of, build_cube
from tessera.scenes._files import LocalFile
from tessera.simulator import simulate

if TYPE_CHECKING:
    from pathlib import Path

    from tessera.cubes import PixelCube

WINDOW = Window(31, 64 * 1024 + 3, 548 * 1024 - 5, 30, 20)
YEAR = 2021


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machine") / "scenes"
    simulate(folder, Window(31, 64 * 1024, 548 * 1024, 64, 64), YEAR, s2_dates=4, s1_dates=2)
    return folder


@pytest.fixture(scope="module")
def clean(scenes: Path) -> PixelCube:
    return build_cube(WINDOW, YEAR, source=scenes)


def _failing(monkeypatch: pytest.MonkeyPatch, error: BaseException, after: int) -> None:
    """The machine fails once, at the given opening of a scene's file."""
    original, lock = open_regular, threading.Lock()
    left = [after]

    def opened(path: Path, **more: Any) -> Any:
        with lock:
            left[0] -= 1
            fails = left[0] == 0
        if fails:
            raise error
        return original(path, **more)

    monkeypatch.setattr(_files, "open_regular", opened)


@pytest.mark.parametrize("name", ["EMFILE", "ENFILE", "ENOMEM", "EIO", "memory"])
@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_failure_of_the_machine_stops_the_build_and_no_date_is_lost(
    scenes: Path, clean: PixelCube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, after: int
) -> None:
    error = MemoryError() if name == "memory" else OSError(getattr(errno, name), "told")
    with monkeypatch.context() as patch:
        _failing(patch, error, after)
        with pytest.raises(MachineError, match=r"\.tif: .*run again") as told:
            build_cube(WINDOW, YEAR, source=scenes, out=tmp_path / "c.zarr")
    assert "\n" not in str(told.value)
    assert not isinstance(told.value, NetError)
    assert not (tmp_path / "c.zarr").exists()
    again = build_cube(WINDOW, YEAR, source=scenes, out=tmp_path / "c.zarr")
    assert again.sha256 == clean.sha256
    assert again.provenance["lost"] == clean.provenance["lost"] == []


def test_a_record_that_cannot_be_read_now_does_not_empty_the_work_folder(
    scenes: Path, clean: PixelCube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _failing(patch, OSError(errno.EIO, "told"), 30)
        with pytest.raises(MachineError):
            build_cube(WINDOW, YEAR, source=scenes, out=tmp_path / "c.zarr")
    kept = sorted((tmp_path / "c.zarr.part" / "dates").glob("*/*"))
    assert kept
    with monkeypatch.context() as patch:

        def starved(*_: Any, **__: Any) -> Any:
            raise OSError(errno.EMFILE, "told")

        patch.setattr("tessera.cubes.spool.read_json", starved)
        with pytest.raises(MachineError, match="as many files open"):
            build_cube(WINDOW, YEAR, source=scenes, out=tmp_path / "c.zarr")
    assert sorted((tmp_path / "c.zarr.part" / "dates").glob("*/*")) == kept
    assert build_cube(WINDOW, YEAR, source=scenes, out=tmp_path / "c.zarr").sha256 == clean.sha256


def test_errors_of_a_file_stay_the_scenes(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        LocalFile(tmp_path / "none.tif").read(0, 4)
    (tmp_path / "folder.tif").mkdir()
    os.mkfifo(tmp_path / "pipe.tif")
    for name in ("folder.tif", "pipe.tif"):
        with pytest.raises(PermanentError, match="not a file"):
            LocalFile(tmp_path / name).read(0, 4)


_STARVED = """
import resource, sys
from tessera.geo import Window
from tessera.scenes import build_cube
import tessera.scenes._files as files
import tessera.cubes

# everything is imported and opened once
window = Window(31, 64 * 1024 + 3, 548 * 1024 - 5, 30, 20)
build_cube(window, 2021, source=sys.argv[1])
used = max(int(name) for name in __import__("os").listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (used + 6, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    build_cube(window, 2021, source=sys.argv[1], out=sys.argv[2])
    print("built")
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux's list of open files")  # noqa: PTH112
def test_a_build_with_too_few_files_stops_or_is_whole(scenes: Path, clean: PixelCube, tmp_path: Path) -> None:
    target = tmp_path / "c.zarr"
    done = subprocess.run(
        [sys.executable, "-c", _STARVED, str(scenes), str(target)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(("MachineError ", "TesseraError ", "built")), done.stdout + done.stderr
    cube = open_cube(target) if target.exists() else build_cube(WINDOW, YEAR, source=scenes, out=target)
    assert cube.sha256 == clean.sha256
    assert np.array_equal(cube.s2_doy, clean.s2_doy)


@pytest.mark.parametrize("what", ["memory", "threads"])
def test_a_thread_that_cannot_say_how_its_job_ended_is_not_waited_for(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def none_left(*_: Any) -> None:
        raise MemoryError

    if what == "memory":
        monkeypatch.setattr("tessera.base.crew.Future.set_result", none_left)
        monkeypatch.setattr("tessera.base.crew.Future.set_exception", none_left)
        monkeypatch.setattr("tessera.scenes._lines.ThreadPoolExecutor", _Straight)
    else:
        starts = [0]
        start = threading.Thread.start

        def limited(thread: threading.Thread) -> None:
            starts[0] += 1
            if starts[0] > 5:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(MachineError, match="memory") as told:
        build_cube(WINDOW, YEAR, source=scenes, out=tmp_path / "c.zarr")
    assert "\n" not in str(told.value)


class _Straight:
    """An executor that calls at once."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call: Any, *args: Any) -> Any:
        return call(*args)

    def shutdown(self, **_: Any) -> None:
        pass


def test_a_machine_error_is_one_of_ours() -> None:
    assert issubclass(MachineError, TesseraError)
    assert not issubclass(MachineError, NetError)


def test_a_pipe_as_a_table_of_scenes_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "s.parquet")
    with pytest.raises(TesseraError, match="a pipe"):
        asked_of(str(tmp_path / "s.parquet"))
    with pytest.raises(TesseraError, match="a pipe"):
        build_cube(WINDOW, YEAR, source=str(tmp_path / "s.parquet"))
    assert not capsys.readouterr().out
