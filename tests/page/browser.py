"""A real browser for tests of the page: Chromium driven by playwright-core, on a served store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from page_node import WEB

from tessera.serve import make_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessera.serve import Server

_LIMIT = 900
"""Seconds of a journey on a busy machine."""


def why_no_browser() -> str | None:
    """What the page's journeys lack here, None if nothing."""
    if shutil.which("node") is None:
        return "Node is not installed"
    if not (WEB / "node_modules" / "playwright-core").is_dir() or not (WEB / "node_modules" / "vite").is_dir():
        return "the page's packages are not installed; `make page` installs them"
    if chromium() is None:
        return "Chromium is not installed; on Debian `apt-get install chromium`"
    return None


def chromium() -> str | None:
    """The browser's program."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def build_page(folder: Path) -> None:
    """Build the page from its source, as it is now."""
    command = ["npx", "vite", "build", "--outDir", str(folder), "--emptyOutDir", "--logLevel", "error"]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"the page does not build: {done.stderr[-2000:]}")


@contextmanager
def browser() -> Iterator[str]:
    """Run Chromium. Yields the address to connect to."""
    command, environment = ["node", "e2e/browser.mjs"], {**os.environ, "CHROMIUM": chromium() or ""}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=WEB, env=environment, text=True, stdin=pipe, stdout=pipe) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        try:
            address = running.stdout.readline().strip()
            if not address:
                pytest.skip("Chromium is installed but does not start here")
            yield address
        finally:
            running.stdin.close()
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()


def served(folder: Path) -> Server:
    """A server of a folder of stores, each with a page of its own."""
    return make_server(folder, page=False)


def walk(name: str, folder: Path, address: str, url: str, **told: Any) -> dict[str, Any]:
    """Walk through a journey of web/e2e/walks; what was seen.

    Nothing may be asked of another origin, and nothing may go wrong on the way.
    """
    shots = os.environ.get("TESSERA_SHOTS")
    about = {"url": url, **({"shots": shots} if shots else {}), **told}
    (folder / f"{name}.in.json").write_text(json.dumps(about))
    done = subprocess.run(
        ["node", "e2e/journey.mjs", name, str(folder)],
        cwd=WEB,
        env={**os.environ, "BROWSER": address},
        capture_output=True,
        text=True,
        timeout=_LIMIT,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    said: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    assert said["elsewhere"] == []
    assert said["errors"] == []
    seen: dict[str, Any] = said["seen"]
    return seen
