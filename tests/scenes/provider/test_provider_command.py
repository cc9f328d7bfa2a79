"""The provider as a program of its own: what it says first, what a user gives to --source, and what it refuses."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from provider_helpers import WINDOW, scenes

from tessera.base import InputError
from tessera.scenes import build_cube
from tessera.testing import serve_scenes

PROGRAM = [sys.executable, "-m", "tessera.testing.provider"]


def test_the_first_line_tells_the_source_that_reads_it() -> None:
    child = subprocess.Popen([*PROGRAM, str(scenes())], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        said = json.loads(child.stdout.readline())
        assert said["source"] == f"stac:{said['url']}"
        cube = build_cube(WINDOW, 2021, source=said["source"])
        child.terminate()
        _, err = child.communicate(timeout=20)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == 0
    assert json.loads(err)["requests"] > 0
    assert cube.s2_doy.tolist() == build_cube(WINDOW, 2021, source=scenes()).s2_doy.tolist()


def test_a_source_is_told_where_there_is_one() -> None:
    for style in ("stac", "earth-search", "mpc", "opera"):
        with serve_scenes(scenes(), style=style) as provider:
            if style in ("mpc", "opera"):
                # an address alone does not sign
                assert provider.source == ""
                continue
            assert provider.source == f"stac:{provider.url}"
            assert build_cube(WINDOW, "2021-01-01/2021-12-31", source=provider.source).s2.shape[0] > 0


def test_what_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} cannot be had: Address already in use"):
            serve_scenes(scenes(), port=port).__enter__()
        for arguments, line in (
            ([str(scenes()), "--port", str(port)], f"port {port} cannot be had: Address already in use; expected a"),
            ([str(scenes()), "--port", "70000"], "port 70000 cannot be had"),
            ([str(tmp_path / "none")], "no catalog.json in"),
        ):
            done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith(line)
            assert done.stderr.count("\n") == 1
