"""Make the published client's own environment, which needs Python 3.12; its folder's name is its requirements' hash.

python tools/published_client.py

It lies in .cache/published-client/ and is made once. Where there is no python3.12, or it cannot be installed, this says
why and exits 0: the tests that need it skip and say the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "tests" / "compat" / "requirements.txt"


def folder() -> Path:
    """Where the environment of these requirements lies."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    return ROOT / ".cache" / "published-client" / digest


def interpreter() -> Path | str:
    """Its Python, or why there is none."""
    made = folder()
    reason = made / "reason"
    if (made / "ready").is_file():
        return made / "bin" / "python"
    return reason.read_text() if reason.is_file() else "make has not made it; run: python tools/published_client.py"


def new_enough() -> str | None:
    """A Python of 3.12 or later: on PATH, or of pyenv, whose shims may refuse."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    given = [shutil.which(f"python3.{minor}") for minor in (12, 13, 14)]
    for python in [sys.executable, *given, *sorted(map(str, versions.glob("3.1[2-9].*/bin/python3")))]:
        code = "import sys; sys.exit(sys.version_info < (3, 12))"
        if python and subprocess.run([python, "-c", code], capture_output=True).returncode == 0:
            return python
    return None


def make() -> str | None:
    """Make the environment anew; why it was not, or None."""
    python = new_enough()
    if python is None:
        return "there is no python3.12"
    made = folder()
    shutil.rmtree(made, ignore_errors=True)
    commands: tuple[list[str], ...] = (
        [python, "-m", "venv", str(made)],
        [str(made / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip() and "WARNING" not in line]
            return f"it could not be installed: {said[-1] if said else 'no reason given'}"
    return None


def main() -> None:
    if (folder() / "ready").is_file():
        return
    reason = make()
    folder().mkdir(parents=True, exist_ok=True)
    (folder() / ("ready" if reason is None else "reason")).write_text(reason or "")
    if reason is not None:
        print(f"the published client is not tested: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
