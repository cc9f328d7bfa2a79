"""What pyarrow alone does with hostile Parquet files: whether the process survives, and what is unpacked.

    python benchmarks/hostile_parquet.py

Files are read in a process that another replaces where a file ends it. The figures stand in docs/compatibility.md.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIMITS = {"thrift_string_size_limit": 16 * 1024**2, "thrift_container_size_limit": 20_000}


def packed(table: pa.Table, **how: object) -> bytes:
    """A file's bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **how)
    return bytes(sink.getvalue().to_pybytes())


def look(data: bytes) -> None:
    """Ask for the least value of every column, as a reader does that skips row groups."""
    about = pq.ParquetFile(io.BytesIO(data), **LIMITS).metadata
    for group in range(about.num_row_groups):
        for column in range(about.num_columns):
            statistics = about.row_group(group).column(column).statistics
            _ = statistics is not None and statistics.min


def read(data: bytes) -> None:
    """Read all columns."""
    pq.ParquetFile(io.BytesIO(data), **LIMITS).read(use_threads=False)


def ends_of(work: Callable[[bytes], None], files: Sequence[bytes]) -> Counter[str]:
    """How reading each file ends. A process reads on until a file ends it; another goes on with the next file."""
    ends: Counter[str] = Counter()
    done = 0
    while done < len(files):
        answers, mine = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            for data in files[done:]:
                try:
                    work(data)
                except BaseException:
                    os.write(mine, b"e")
                else:
                    os.write(mine, b"n")
            os._exit(0)
        os.close(mine)
        with os.fdopen(answers, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        ends["error"] += said.count(b"e")
        ends["no error"] += said.count(b"n")
        done += len(said)
        if os.WIFSIGNALED(status):
            ends["ended the process"] += 1
            done += 1
    return +ends


def main() -> None:
    """Print the figures."""
    rows = {"id": [f"scene {row}" for row in range(40)], "year": np.arange(40, dtype=np.int32), "share": np.ones(40)}
    data = packed(pa.table(rows), row_group_size=20)
    first = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    files = []
    for place in range(first, len(data) - 8):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            files.append(bytes(changed))
    for work in (look, read):
        ends = ends_of(work, files)
        print(f"pyarrow {pa.__version__}, one bit of the footer flipped, {work.__name__}: {dict(ends)}")
    repeated = pa.table({"s": ["x" * 10_000] * 100_000})
    how = {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY", "compression": "zstd"}
    data = packed(repeated, **how)
    print(
        f"a text that repeats: {len(data):,} bytes, {repeated.nbytes:,} unpacked, read: {dict(ends_of(read, [data]))}"
    )


if __name__ == "__main__":
    main()
