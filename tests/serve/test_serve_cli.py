"""tessera serve as a process: what it prints, how it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@contextmanager
def _started(*args: object) -> Iterator[subprocess.Popen[str]]:
    # a background job inherits that interrupts are ignored; this process does not
    code = "import signal; signal.signal(2, signal.default_int_handler); from tessera.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", *map(str, args)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_serve_until_interrupted(tmp_path: Path) -> None:
    (tmp_path / "tessera.json").write_text("{}")
    with _started(tmp_path, "--port", 0) as process:
        first = _line(process)
        url = first.partition(" ")[0]
        assert first == f"{url} serves {tmp_path}; press Ctrl-C to stop"
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        assert _line(process) == f"In a browser: {url}/page/"
        assert _line(process) == f'In Python: tessera.open_store("{url}")'
        with urllib.request.urlopen(f"{url}/tessera.json") as answer:
            assert answer.read() == b"{}"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")


def test_serve_to_others_says_so(tmp_path: Path) -> None:
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "tessera.json").write_text("{}")
    with _started(tmp_path, "--port", 0, "--host", "0.0.0.0") as process:
        url = _line(process).partition(" ")[0]
        assert _line(process) == f"In a browser: {url}/page/?store=../mine.zarr/"
        assert _line(process) == f'In Python: tessera.open_store("{url}/mine.zarr")'
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0
        assert err == "tessera: other machines can connect: every one that reaches this machine can read the folder\n"


def test_serve_json(tmp_path: Path) -> None:
    with _started(tmp_path, "--port", 0, "--json") as process:
        said = json.loads(_line(process))
    assert said["folder"] == str(tmp_path)
    assert said["url"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere"], "tessera: nowhere cannot be served; expected a folder\n"),
        ([".", "--cert", "c.pem"], "tessera: --cert alone; expected --cert and --key together\n"),
        ([".", "--key", "k.pem"], "tessera: --key alone; expected --cert and --key together\n"),
        ([".", "--port", "99999"], "tessera: port 99999; expected 1 to 65535, or 0 for a free one\n"),
    ],
)
def test_serve_mistakes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("serve", *args) == (2, "", message)


def test_serve_in_process_ends_quietly(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.html").write_text("<p>")

    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tessera.serve.server.Server.run", interrupted)
    code, out, err = run("serve", tmp_path, "--port", 0)
    assert (code, err) == (0, "")
    assert out.splitlines()[1].startswith("In a browser: http://127.0.0.1:")
