"""Check the page's source where Node is there: formatting, types, unit tests. `make test` calls it.

    python tools/page.py

Node's packages are installed once, from web/package-lock.json. Without Node 20.19 or later, or without its registry, it
says so and ends well: the built page is committed, and a test compares its digest with the source.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).resolve().parents[1] / "web"
LEAST = (20, 19)


def skipped(why: str) -> int:
    """Say why nothing was checked."""
    print(f"page: not checked, {why}")
    return 0


def main() -> int:
    """Install, then run every check of the page's source."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return skipped("Node is not installed")
    found = re.match(r"v(\d+)\.(\d+)", subprocess.run([node, "--version"], capture_output=True, text=True).stdout)
    if found is None or (int(found[1]), int(found[2])) < LEAST:
        return skipped(f"Node is older than {LEAST[0]}.{LEAST[1]}")
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    ready = WEB / "node_modules" / ".ready"
    if not ready.is_file() or ready.read_text() != lock:
        ready.unlink(missing_ok=True)
        done = subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=WEB)
        if done.returncode:
            return skipped("its packages could not be installed")
        ready.write_text(lock)
    for script in ("lint", "types", "test"):
        if subprocess.run([npm, "run", "--silent", script], cwd=WEB).returncode:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
