"""What pyarrow alone does with hostile Parquet files: whether the process survives, and what is unpacked.

    python benchmarks/hostile_parquet.py

Every file is read in a process of its own. The figures stand in docs/compatibility.md.
"""

from __future__ import annotations

import io
import os
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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


def alone(work: object, data: bytes) -> str:
    """How a process ends that does this."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            work(data)  # type: ignore[operator]
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return "ended the process" if os.WIFSIGNALED(status) else "error" if os.WEXITSTATUS(status) else "no error"


def main() -> None:
    """Print the figures."""
    rows = {"id": [f"scene {row}" for row in range(40)], "year": np.arange(40, dtype=np.int32), "share": np.ones(40)}
    data = packed(pa.table(rows), row_group_size=20)
    first = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for work in (look, read):
        ends: Counter[str] = Counter()
        for place in range(first, len(data) - 8):
            for bit in range(8):
                changed = bytearray(data)
                changed[place] ^= 1 << bit
                ends[alone(work, bytes(changed))] += 1
        print(f"pyarrow {pa.__version__}, one bit of the footer flipped, {work.__name__}: {dict(ends)}")
    repeated = pa.table({"s": ["x" * 10_000] * 100_000})
    how = {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY", "compression": "zstd"}
    data = packed(repeated, **how)
    print(f"a text that repeats: {len(data):,} bytes, {repeated.nbytes:,} unpacked, read: {alone(read, data)}")


if __name__ == "__main__":
    main()
