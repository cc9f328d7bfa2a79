"""Every command with odd values: one line at most, exit 0, 1, 2 or 130, and nothing of the user's changed.

TESSERA_FUZZ=5000 tries so many in place of a few hundred; TESSERA_FUZZ_SEED=3 tries others.
"""

from __future__ import annotations

import inspect
import io
import os
import random
import re
import shutil
import signal
import socket
import sys
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fuzz_world import World, make_world

from tessera.cli import shell
from tessera.cli._streams import Output
from tessera.cli.app import app

_CASES = int(os.environ.get("TESSERA_FUZZ", "320"))
_SEED = int(os.environ.get("TESSERA_FUZZ_SEED", "1"))
_LONGEST = 1200
"""Letters of a message."""
_NUMBERS = (
    *("-1", "0", "1", "1e400", "nan", "inf", "-inf", "9" * 400, "9" * 5000, "2147483648", "4294967296", "1.5", "", "x"),
    *("\u0663", "0x10", "1_0", "\x1b[2J", "1e-320", "-0.0", "1900", "99999", "18446744073709551616"),
)
_ENCODINGS = ("utf-8", "ascii", "cp1252", "latin-1")


@dataclass(frozen=True)
class Parameter:
    """What the shell knows of an option or argument."""

    name: str
    option: str
    kind: str
    required: bool


@dataclass(frozen=True)
class Command:
    words: tuple[str, ...]
    parameters: tuple[Parameter, ...]


def _commands(of: Any, words: tuple[str, ...] = ()) -> Iterator[Command]:
    for info in of.registered_commands:
        name = info.name or info.callback.__name__.replace("_", "-")
        yield Command((*words, name), tuple(_parameters(info.callback)))
    for group in of.registered_groups:
        yield from _commands(group.typer_instance, (*words, group.name))


def _parameters(function: Callable[..., Any]) -> Iterator[Parameter]:
    hints = typing.get_type_hints(function, include_extras=True)
    for name, given in inspect.signature(function).parameters.items():
        about = hints[name].__metadata__[0]
        spelt = [word for word in getattr(about, "param_decls", None) or () if word.startswith("--")]
        option = "" if type(about).__name__ == "ArgumentInfo" else (*spelt, f"--{name.replace('_', '-')}")[0]
        text = str(hints[name].__origin__)
        kind = next((kind for kind in ("bool", "float", "int") if kind in text), "text")
        yield Parameter(name, option, kind, given.default is inspect.Parameter.empty)


COMMANDS = tuple(_commands(app))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """No network, no waiting, nothing that runs for minutes; the address of a server that nobody reaches."""
    from tessera import models, pretrain, scenes, serve, simulator
    from tessera.cli import demo
    from tessera.net import _host as host

    def stopped(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    # these run until they are stopped, or for minutes
    monkeypatch.setattr(serve, "serve", stopped)
    monkeypatch.setattr(models, "pull", stopped)
    monkeypatch.setattr(scenes, "diagnose", stopped, raising=False)
    for name in ("simulate", "demo_steps"):
        monkeypatch.setattr(demo, name, stopped, raising=False)
    monkeypatch.setattr(simulator, "simulate", stopped)
    monkeypatch.setattr(pretrain, "run", stopped, raising=False)
    monkeypatch.setattr(host, "DELAYS", ())
    monkeypatch.setattr("tessera.net._host.time", _Clock)
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise ConnectionRefusedError(111, "Connection refused")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", _no_names(socket.getaddrinfo))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}"


class _Clock:
    monotonic = staticmethod(__import__("time").monotonic)

    @staticmethod
    def sleep(seconds: float) -> None:
        pass


def _no_names(real: Callable[..., Any]) -> Callable[..., Any]:
    def look(name: Any, *args: Any, **options: Any) -> Any:
        if name not in ("127.0.0.1", "localhost", "::1", None, ""):
            raise socket.gaierror(-2, "Name or service not known")
        return real(name, *args, **options)

    return look


def _case(command: Command, world: World, out: Path, closed: str, rng: random.Random) -> list[str]:
    """Arguments: right values, and one to three odd ones in their places."""
    wrong = set(
        rng.sample(
            [one.name for one in command.parameters], min(len(command.parameters), rng.choice((0, 1, 1, 1, 2, 3)))
        )
    )
    before: list[str] = []
    after: list[str] = []
    for one in command.parameters:
        if not (one.required or one.name in wrong or rng.random() < 0.2):
            continue
        if one.kind == "bool":
            before.append(one.option)
            continue
        value = _odd_value(one, world, out, closed, rng) if one.name in wrong else _value(one, world, out, rng)
        if value is None:
            continue
        if one.option:
            before += [one.option, value]
        else:
            after.append(value)
    if rng.random() < 0.04:
        before.append(rng.choice(("--nonsense", "--help", "\udcff", "-x", "--json", "--debug=x")))
    rng.shuffle(after) if rng.random() < 0.05 else None
    return [*command.words, *before, *after]


def _value(one: Parameter, world: World, out: Path, rng: random.Random) -> str | None:
    if one.name in ("out", "picture"):
        return str(out / rng.choice(("new.zarr", "new.tif", "new.csv", "new.npy", "new.png", "new.json", "new")))
    if one.name in ("store", "data"):
        return str(out / "store.zarr")
    return world.good.get(one.name, "1" if one.kind in ("int", "float") else None)


def _odd_value(one: Parameter, world: World, out: Path, closed: str, rng: random.Random) -> str:
    if one.kind in ("int", "float") or (one.name == "year" and rng.random() < 0.5):
        return rng.choice(_NUMBERS)
    if one.name in ("out", "picture"):
        own = [str(path) for path in sorted(out.iterdir())]
        inputs = [value for name, value in world.good.items() if name != "bbox" and Path(value).exists()]
        pool = [*own, *inputs, str(out / "no" / "such" / "x.tif"), str(out / ("n" * 300)), str(out / "\x1b[2J.csv")]
        pool += [
            "",
            ".",
            "/",
            "..",
            "/proc/x.tif",
            "/dev/full",
            "/dev/null/x.zarr",
            str(out / "\udcff.tif"),
            closed + "/s",
        ]
        return rng.choice(pool)
    pool = [*world.odd, *world.odd, *world.good.values(), closed, f"{closed}/store.zarr", f"stac:{closed}"]
    return rng.choice(pool)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def _ended(args: list[str], rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> Ended:
    """Run a command on streams of some encoding, without standard input or with an empty one."""
    encoding = rng.choice(_ENCODINGS)
    streams = {name: Output(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")}
    with monkeypatch.context() as patch:
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        patch.setattr(sys, "stdin", rng.choice((None, io.StringIO())))
        signal.signal(signal.SIGALRM, _hangs)
        signal.alarm(60)
        try:
            code = shell.run(args)
        finally:
            signal.alarm(0)
    told = []
    for stream in streams.values():
        stream.flush()
        told.append(stream.buffer.getvalue().decode(encoding))  # type: ignore[attr-defined]
        stream.detach()
    return Ended(code, *told)


def _hangs(*_: Any) -> None:
    raise TimeoutError("the command hangs")


def _faults(done: Ended) -> list[str]:
    """What is wrong with an ending."""
    found = []
    if done.code not in (0, 1, 2, 130):
        found.append(f"exit {done.code}")
    wrong = ("Traceback", "this is a bug in tessera", "installation is broken", "Error:", "hangs")
    found += [word for word in wrong if word in done.err]
    text = done.out + done.err
    control = [letter for letter in text if not letter.isprintable() and letter not in "\n\t"]
    if control:
        found.append(f"control letters {control[:3]}")
    last = [line for line in done.err.splitlines() if line.startswith("tessera: ")]
    if done.code and (not last and "Usage" not in text):
        found.append("no line")
    if any(len(line) > _LONGEST for line in done.err.splitlines()):
        found.append("long line")
    return found


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command.words))
def test_odd_values(
    command: Command, world: World, alone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(f"{_SEED} {command.words}")
    before = world.digest()
    wrong = []
    for number in range(max(1, _CASES // len(COMMANDS))):
        out = tmp_path / f"out{number}"
        out.mkdir()
        for name in ("mine.tif", "mine.csv", "mine.json", "mine.png", "mine.zarr", "mine"):
            (out / name).write_text("mine")
        (out / "folder").mkdir()
        (out / "folder" / "mine.txt").write_text("mine")
        (out / "dangling").symlink_to("nothing")
        args = _case(command, world, out, alone, rng)
        monkeypatch.chdir(out)
        theirs = {path: path.read_bytes() for path in out.rglob("mine*") if path.is_file()}
        shutil.copytree(world.store, out / "store.zarr")
        done = _ended(args, rng, monkeypatch)
        faults = _faults(done)
        if not {"--overwrite", "--force", "--replace"} & set(args):
            faults += [
                f"changed {path.name}"
                for path, data in theirs.items()
                if not path.is_file() or path.read_bytes() != data
            ]
        if faults:
            wrong.append(f"{faults}: {' '.join(map(_quoted, args))}\n    -> {done.code} {done.err[-700:]}")
    if world.digest() != before:
        wrong.append("inputs have changed")
    assert not wrong, "\n".join(wrong)


def _quoted(arg: str) -> str:
    shown = re.sub(r"/\S*/(inputs|out\d+)/", r"\1/", arg)
    return repr(shown[:80]) if not re.fullmatch(r"[\w./:,-]+", shown) else shown[:200]
