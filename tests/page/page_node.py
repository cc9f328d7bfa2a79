"""Run the page's own tests, or a part of them, from pytest."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[2] / "web"


def vitest(name: str, **variables: str) -> None:
    """Run a test file of web/tests; skip if Node or its packages are not there (`make page` installs them)."""
    npx = shutil.which("npx")
    if npx is None or not (WEB / "node_modules" / "vitest").is_dir():
        pytest.skip("Node or the page's packages are not installed; `make page` installs them")
    done = subprocess.run(
        [npx, "vitest", "run", f"tests/{name}"],
        cwd=WEB,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
