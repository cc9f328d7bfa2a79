"""The pictures of docs/worth.md, drawn from the tables of that page: best heads with their 95 % intervals.

    python benchmarks/worth_pictures.py

Run it after a table was changed, so that pictures and figures stay the same.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tessera.evaluation._curves import draw_sets
from tessera.figures import save_figure

DOCS = Path(__file__).parent.parent / "docs"
_CELL = re.compile(r"([\d.]+) \(([\d.]+) to ([\d.]+)\)")
_PICTURE = re.compile(r"!\[.*\]\((images/worth-[\w-]+\.png)\)")


def read_tables(text: str) -> dict[str, tuple[str, str, list[dict[str, Any]]]]:
    """Picture -> title, metric and records of the first table after it."""
    found: dict[str, tuple[str, str, list[dict[str, Any]]]] = {}
    heading = picture = ""
    amounts: list[str] = []
    for line in text.splitlines():
        if line.startswith("## "):
            heading, picture = line[3:], ""
        elif match := _PICTURE.fullmatch(line):
            picture, amounts = match[1], []
        elif picture and line.startswith("|"):
            if set(line) <= set("|- "):
                continue
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            if not amounts:
                amounts = cells
                found[picture] = (heading, name.replace(" ", "_"), [])
                continue
            for amount, cell in zip(amounts, cells, strict=True):
                mean, low, high = map(float, _cell(cell))
                row = {"features": name, "head": "best head", "labels": amount, "mean": mean, "low": low, "high": high}
                found[picture][2].append(row)
        elif amounts and not line:
            # the next table of the section has no picture
            picture = ""
    return found


def _cell(cell: str) -> tuple[str, ...]:
    match = _CELL.match(cell)
    if match is None:
        raise ValueError(f"cell {cell!r}; expected a mean and its interval")
    return match.groups()


def main() -> None:
    for picture, (heading, metric, rows) in read_tables((DOCS / "worth.md").read_text(encoding="utf-8")).items():
        save_figure(draw_sets(rows, metric, heading), DOCS / picture, "curves")
        print(DOCS / picture, len(rows))


if __name__ == "__main__":
    main()
