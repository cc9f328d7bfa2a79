"""How the command starts and ends: one line for whatever happens, on streams of every kind."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tessera.base import InputError, TesseraError
from tessera.cli import _faults, _streams, app, shell

Run = Callable[..., tuple[int, str, str]]
_MAIN = "from tessera.cli import main; main()"


def _process(
    *args: str, before: str = "", env: dict[str, str] | None = None, after: str = ""
) -> subprocess.CompletedProcess[str]:
    """`tessera` in a shell, with redirections `after` it and code that runs `before` its imports."""
    quoted = " ".join(f"'{arg}'" for arg in args)
    line = f"\"{sys.executable}\" -c '{before}{_MAIN}' {quoted} {after}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **(env or {})},
    )


class _BadTextError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


_FAULTS: list[tuple[BaseException, int, str]] = [
    (InputError("no year 2031"), 2, r"no year 2031"),
    (TesseraError("the server ends"), 1, r"the server ends"),
    (KeyError("x\x1b[2J"), 1, r"unexpected KeyError: .*x.*please report this line.*--debug"),
    (_BadTextError(), 1, r"unexpected _BadTextError .*please report"),
    (ValueError("y" * 5000), 1, r"unexpected ValueError: y{200,400}\.\.\. "),
    (MemoryError(), 1, r"out of memory; .*fewer --workers"),
    (
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes"),
        1,
        r"out of memory: .*8 bytes",
    ),
    (RecursionError("maximum recursion depth exceeded"), 1, r"nested too deeply"),
    (
        OSError(errno.ENOSPC, "No space left on device", "a\nb.tif"),
        1,
        r"No space left on device 'a\\nb\.tif'; make",
    ),
    (OSError(errno.EMFILE, "Too many open files"), 1, r"Too many open files; raise the limit with ulimit -n"),
    (PermissionError(errno.EACCES, "Permission denied", "x"), 1, r"Permission denied 'x'; this user has no permission"),
    (OSError("GDAL says so"), 1, r"GDAL says so"),
    (
        UnicodeEncodeError(sys.getfilesystemencoding(), "a\udcff", 1, 2, "no"),
        1,
        r"'\\udcff' cannot be written in",
    ),
    (
        ImportError("undefined symbol", name="torch"),
        1,
        r"torch cannot be imported \(undefined symbol\)",
    ),
    (ExceptionGroup("two", [InputError("first"), KeyError("second")]), 2, r"first"),
    (KeyboardInterrupt(), 130, r"interrupted; finished work is kept"),
]


@pytest.mark.parametrize(("error", "code", "line"), _FAULTS, ids=lambda value: type(value).__name__)
def test_whatever_is_raised_is_one_line(
    error: BaseException, code: int, line: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(args: list[str]) -> int:
        raise error

    monkeypatch.setattr(app, "call", call)
    got, out, err = run("any")
    assert (got, out, len(err.splitlines())) == (code, "", 1), err
    assert re.fullmatch(rf"tessera: .*{line}.*", err.rstrip("\n")), err
    assert err[:-1].isprintable()
    assert len(err) < 800


def test_an_unexpected_error_says_where_and_debug_shows_how(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(path: Path) -> None:
        raise LookupError(path)

    monkeypatch.setattr("tessera.store.open_store", broken)
    args = ["store", "info", "x.zarr"]
    assert shell.run(args) == 1
    assert re.fullmatch(
        r"tessera: unexpected LookupError: x\.zarr \(tessera/cli/store/group\.py, line \d+\); .*\n",
        capsys.readouterr().err,
    )
    assert shell.run(args, debug=True) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last)")
    assert err.splitlines()[-1].startswith("tessera: unexpected LookupError")


@pytest.mark.parametrize(
    ("args", "env", "expected"),
    [
        (["--debug", "fit", "x"], "", (["fit", "x"], True)),
        (["fit", "x", "--debug"], "", (["fit", "x"], True)),
        (["fit", "--", "--debug"], "", (["fit", "--", "--debug"], False)),
        (["fit"], "1", (["fit"], True)),
        (["fit"], "0", (["fit"], False)),
    ],
)
def test_how_tracebacks_are_asked_for(
    args: list[str], env: str, expected: tuple[list[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_DEBUG", env)
    assert shell._without_debug(args) == expected


def test_an_interrupt_that_an_import_turns_into_another_error_is_one() -> None:
    assert _faults.describe(ImportError("numpy.core failed"), ["SIGINT"])[0] == 130
    assert _faults.describe(TesseraError("a worker died"), ["SIGTERM"]) == (
        130,
        "stopped by SIGTERM; finished work is kept, run the same command again to continue",
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["tessera.cli._streams", "tessera.cli.app", "typer", "tessera.store"])
def test_an_interrupt_during_the_first_imports(number: int, module: str, tmp_path: Path) -> None:
    if module in ("tessera.cli._streams",) and number == signal.SIGTERM:
        pytest.skip("before anything is installed the process just ends")
    code = (
        "import os, signal, sys\n"
        "signal.signal(2, signal.default_int_handler)\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f'        if name == "{module}":\n'
        f"            os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Stop())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + _MAIN, "store", "info", tmp_path], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert len(done.stderr.splitlines()) <= 1
    assert "Traceback" not in done.stderr


def test_noise_of_libraries_and_dead_threads_is_kept_from_the_terminal() -> None:
    code = (
        "from tessera.cli import _hooks, _streams\n"
        "_hooks.quieten()\n"
        "import asyncio, logging, threading, warnings, gc\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "warnings.warn('from a library')\n"
        "logging.getLogger('rasterio').error('GDAL noise')\n"
        "logging.getLogger('tessera.scenes').warning('a table is searched again \\x1b[2J')\n"
        "thread = threading.Thread(target=lambda: 1 / 0)\n"
        "thread.start(); thread.join()\n"
        "async def fails():\n"
        "    raise OSError('lost')\n"
        "async def forgets():\n"
        "    task = asyncio.ensure_future(fails())\n"
        "    await asyncio.sleep(0)\n"
        "    await asyncio.sleep(0)\n"
        "    del task\n"
        "    gc.collect()\n"
        "asyncio.run(forgets())\n"
        "class Last:\n"
        "    def __del__(self):\n"
        "        raise ValueError('in a finalizer')\n"
        "Last()\n"
        "with ThreadPoolExecutor(1) as pool:\n"
        "    pool.submit(int).add_done_callback(lambda _: 1 / 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines() == [
        "tessera: a table is searched again \\x1b[2J",
        "tessera: a thread failed with ZeroDivisionError: division by zero",
    ]
    assert done.returncode == 0


def test_an_interrupt_that_a_finalizer_swallows_comes_again() -> None:
    code = (
        "import os, signal, time\n"
        "from tessera.cli import _hooks\n"
        "signal.signal(2, signal.default_int_handler)\n"
        "class Last:\n"
        "    def __del__(self):\n"
        "        raise KeyboardInterrupt\n"
        "_hooks.quieten()\n"
        "try:\n"
        "    Last()\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('ended')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr) == ("ended\n", "")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "ascii:strict", "utf-8"])
def test_a_letter_that_the_encoding_lacks_comes_out_as_an_escape(encoding: str, tmp_path: Path) -> None:
    done = _process("store", "info", str(tmp_path / "Łąka\udcff"), env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert ("Łąka" if encoding == "utf-8" else "\\u0141") in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_streams_that_are_full_closed_or_gone() -> None:
    told = {
        after: _process("models", "list", after=after)
        for after in (
            ">/dev/full",
            ">&-",
            "2>&-",
            "2>/dev/full",
            "<&-",
            ">&- 2>&- <&-",
            "| head -c 1",
            ">/dev/full 2>&1",
        )
    }
    full = {after for after, done in told.items() if done.returncode}
    assert full - {"| head -c 1"} == {">/dev/full", ">/dev/full 2>&1"}
    assert told["| head -c 1"].returncode in (0, 1)
    assert told[">/dev/full"].stderr == "tessera: standard output cannot be written: No space left on device\n"
    assert {done.stderr for after, done in told.items() if after != ">/dev/full"} == {""}
    assert told["2>/dev/full"].stdout == told["2>&-"].stdout == told["<&-"].stdout != ""


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    # what a library writes to standard error must not land in a file of the user
    code = (
        "import os, sys\n"
        "from tessera.cli import _streams\n"
        "_streams.open_all()\n"
        'file = open(sys.argv[1], "w")\n'
        'os.write(1, b"noise"); os.write(2, b"noise")\n'
        'print("noise"); print("noise", file=sys.stderr)\n'
        'file.write("data")\n'
    )
    path = tmp_path / "file"
    line = f'exec "$0" -c \'{code}\' "$1" <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", line, sys.executable, path]).returncode == 0
    assert path.read_text() == "data"


def test_a_strangers_text_does_not_command_the_terminal() -> None:
    from rich.console import Console

    out = _streams.Output(io.BytesIO(), encoding="utf-8", newline="\n")
    print("a\x1b[2J\x07\r\u202eb\u00a0c\u200dd\u2028", "水\udcff\tx\n", sep="\n", end="", file=out)
    Console(file=out, force_terminal=True, color_system="standard").print("[bold]own[/bold]")
    out.flush()
    told = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert told == "a\\x1b[2J\\x07\\r\\u202eb\u00a0c\u200dd\\u2028\n水\\udcff\tx\n\x1b[1mown\x1b[0m\n"


def test_a_pipe_that_nobody_reads_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone(io.StringIO):
        gone = True

        def flush(self) -> None:
            if self.gone:
                raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    gone = Gone()
    monkeypatch.setattr(sys, "stdout", gone)
    assert shell.run(["--version"]) == 1
    gone.gone = False
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["evaluate", "s", "l", "--column", "c", "--block-km", "nan"], "--block-km nan; expected a number from"),
        (["get", "s", "--bbox", "1,2,3,4", "-o", "x.npy", "--resolution", "1e400"], "--resolution inf; expected"),
        (["embed", "c", "-o", "s", "--seed", str(2**40)], "--seed 1099511627776; expected a whole number from 0 to"),
        (["serve", ".", "--port", "9" * 300], "--port "),
        (["demo", "--seed", "9" * 400], "--seed "),
    ],
)
def test_numbers_out_of_range_name_their_option(args: list[str], said: str, run: Run) -> None:
    code, out, err = run(*args)
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert said in err
    assert len(err) < 300
