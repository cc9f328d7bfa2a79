"""tessera doctor: lines as they come, JSON, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import tessera.scenes
from tessera.cli.doctor import doctor
from tessera.scenes import Check

GOOD = Check("disk", "ok", "/data: 64.4 GB free", figures={"free_bytes": 64.4e9})
WARN = Check("opera credentials", "warn", "a token until 2026-01-02", "make a new one")
FAIL = Check("mpc API", "fail", "no answer after 20 s", "look at the network")


class Shell:
    """The command alone, whose checks are given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.checks: list[Check] = []
        self.asked: list[Any] = []
        self.app = typer.Typer()
        self.app.command()(doctor)
        monkeypatch.setattr(tessera.scenes, "diagnose", self.diagnose)

    def diagnose(self, sources: Any, out: Any) -> Iterator[Check]:
        self.asked.append((sources, out))
        yield from self.checks

    def run(self, *args: str) -> tuple[int, str]:
        done = CliRunner().invoke(self.app, list(args))
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done.exit_code, done.output


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(monkeypatch)


def test_a_line_for_each_check_and_what_helps(shell: Shell) -> None:
    shell.checks = [GOOD, WARN, FAIL]
    code, out = shell.run()
    assert code == 1
    assert out.splitlines() == [
        "ok    disk: /data: 64.4 GB free",
        "warn  opera credentials: a token until 2026-01-02; make a new one",
        "fail  mpc API: no answer after 20 s; look at the network",
        "3 checks: 1 failed (mpc API), 1 warned (opera credentials)",
    ]
    assert shell.asked == [(None, None)]


def test_warnings_are_no_failure(shell: Shell) -> None:
    shell.checks = [GOOD, WARN]
    assert shell.run("--source", "mpc", "--source", "opera", "--out", "cubes")[0] == 0
    assert shell.asked == [(["mpc", "opera"], Path("cubes"))]


def test_json(shell: Shell) -> None:
    shell.checks = [GOOD, FAIL]
    code, out = shell.run("--json")
    assert code == 1
    about = json.loads(out)
    assert about["ok"] is False
    assert about["checks"][0] == {
        "name": "disk",
        "state": "ok",
        "said": "/data: 64.4 GB free",
        "advice": "",
        "figures": {"free_bytes": 64.4e9},
    }
    assert about["checks"][1]["advice"] == "look at the network"


def test_the_help_has_an_example(shell: Shell) -> None:
    code, out = shell.run("--help")
    assert code == 0
    assert "tessera doctor --source mpc" in " ".join(out.split())
