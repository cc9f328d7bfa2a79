"""What `import tessera` costs: wall time of fresh interpreters with it, less without it.

python benchmarks/imports.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 15


def seconds(statement: str) -> float:
    """One fresh interpreter."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> None:
    statements = ["pass", "import tessera", "import tessera; tessera.open_store", "import numpy"]
    times: dict[str, list[float]] = {statement: [] for statement in statements}
    for _ in range(RUNS):
        for statement in statements:
            times[statement].append(seconds(statement))
    bare = statistics.median(times["pass"])
    for statement in statements[1:]:
        print(f"{statement:<40} {statistics.median(times[statement]) - bare:.3f} s above a bare interpreter")


if __name__ == "__main__":
    main()
