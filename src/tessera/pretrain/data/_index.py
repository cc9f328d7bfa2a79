"""Metadata of a folder of blocks: the first page of each block, and the index."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, check_format
from tessera.cubes import S1_BANDS, S2_BANDS

from ._records import Layout

if TYPE_CHECKING:
    from pathlib import Path

FORMAT, VERSION = "tessera-pixel-blocks", 1
INDEX = "index.json"
PAGE = 4096
_MAGIC = b"TSRBLOCK"
_SHA = re.compile(r"[0-9a-f]{64}")


def block_name(number: int) -> str:
    """File name of a block."""
    return f"block-{number:05d}.bin"


def header(layout: Layout, number: int, records: int) -> bytes:
    """The first page of a block's file.

    Returns
    -------
    4096 bytes: eight of magic, a JSON object in ASCII, spaces
    """
    about = {
        "format": FORMAT,
        "version": VERSION,
        "block": number,
        "records": records,
        "record_bytes": layout.dtype.itemsize,
        **asdict(layout),
        "s2_bands": S2_BANDS,
        "s1_bands": S1_BANDS,
    }
    return (_MAGIC + json.dumps(about, sort_keys=True).encode()).ljust(PAGE)


def file_bytes(layout: Layout, records: int) -> int:
    """Size of a block's file, whole pages."""
    return PAGE + -(-records * layout.dtype.itemsize // PAGE) * PAGE


@dataclass(frozen=True)
class Index:
    """The checked content of `index.json`.

    Attributes
    ----------
    layout : of the records
    pixels : pixel-years in all
    records : of every block but the last, which may have fewer
    seed : of the order
    source : SHA-256 of the parts that the blocks were made from
    sha256 : of each block's file
    """

    layout: Layout
    pixels: int
    records: int
    seed: int
    source: str
    sha256: tuple[str, ...]

    def held(self, block: int) -> int:
        """Number of records in a block."""
        return min(self.records, self.pixels - block * self.records)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `from_json`."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "pixels": self.pixels,
            "records_per_block": self.records,
            "record_bytes": self.layout.dtype.itemsize,
            "capacity": {"s2": self.layout.s2, "s1": self.layout.s1},
            "targets": self.layout.targets,
            "s2_bands": list(S2_BANDS),
            "s1_bands": list(S1_BANDS),
            "seed": self.seed,
            "source": self.source,
            "blocks": [
                {
                    "name": block_name(number),
                    "records": self.held(number),
                    "bytes": file_bytes(self.layout, self.held(number)),
                    "sha256": sha,
                }
                for number, sha in enumerate(self.sha256)
            ],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], path: Path) -> Index:
        """Read the value of `to_json`.

        Raises
        ------
        InputError
            The format is another one, or a value contradicts the others.
        """
        check_format(value, FORMAT, VERSION, str(path))
        try:
            capacity = value["capacity"]
            numbers = [capacity["s2"], capacity["s1"], value["targets"], value["pixels"], value["records_per_block"]]
            numbers.append(value["seed"])
            sha = tuple(block["sha256"] for block in value["blocks"])
            if not all(type(number) is int and 0 <= number < 2**63 for number in numbers) or numbers[4] < 1:
                raise ValueError(f"numbers {str(numbers)[:80]}")
            if not all(isinstance(text, str) and _SHA.fullmatch(text) for text in (*sha, value["source"])):
                raise ValueError("a SHA-256 that is none")
            if len(sha) != -(-numbers[3] // numbers[4]):
                raise ValueError(f"{len(sha)} blocks of {numbers[4]} records for {numbers[3]} pixel-years")
            index = cls(Layout(*numbers[:3]), numbers[3], numbers[4], numbers[5], value["source"], sha)
            if index.to_json() != value:
                raise ValueError("values that do not fit each other")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is no index of blocks: {error}") from None
        return index
