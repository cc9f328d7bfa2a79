"""What a cube holds, as plain values and as rows of text."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera.base import InputError, printable

_SHOWN = ("year", "period", "source", "lost", "s2_dates", "s1_asc_dates", "s1_desc_dates", "scenes_lost")
"""What the rows say by themselves."""
_MOST = 6
"""Values of a list that a row names."""


def about_cube(cube: Any) -> dict[str, Any]:
    """Plain values of a cube: where and when it is, its dates, how often it is clear, what was lost."""
    from tessera.cubes import clear_counts, period_of

    counts, fractions = clear_counts(cube)
    grid, period, told = cube.grid, period_of(cube), cube.provenance
    dates = {name: _dates(cube, name) for name in ("s2", "s1_asc", "s1_desc")}
    passes = {"ascending": int(cube.s1_asc.shape[0]), "descending": int(cube.s1_desc.shape[0])}
    return {
        "height": cube.shape[0],
        "width": cube.shape[1],
        "crs": None if grid is None else grid.crs,
        "transform": None if grid is None else list(grid.transform),
        "bbox": _bbox(grid),
        "period": None if period is None else [day.isoformat() for day in period],
        "sentinel_2_dates": int(cube.s2.shape[0]),
        "sentinel_2_clear_fraction": round(float(fractions.mean()), 4) if len(fractions) else None,
        "clear_observations": {"min": int(counts.min()), "median": float(np.median(counts)), "max": int(counts.max())},
        "sentinel_1_ascending_dates": passes["ascending"],
        "sentinel_1_descending_dates": passes["descending"],
        "orbits": [orbit for orbit, count in passes.items() if count],
        "dates": dates,
        "source": told.get("source"),
        "scenes_lost": told.get("scenes_lost"),
        "lost": told.get("lost", []),
        "sha256": cube.sha256,
        "provenance": told,
    }


def rows_of(about: dict[str, Any]) -> list[tuple[str, ...]]:
    """The same for a reader: a name and a text a row."""
    dates = about["dates"]
    of_stack = {
        "sentinel_2_dates": dates["s2"],
        "sentinel_1_ascending_dates": dates["s1_asc"],
        "sentinel_1_descending_dates": dates["s1_desc"],
    }
    rows: list[tuple[str, ...]] = []
    for key, value in about.items():
        if key in ("dates", "lost"):
            continue
        if key == "provenance":
            rows += _provenance(value)
            continue
        text = _text(value)
        if of_stack.get(key):
            text += f", {of_stack[key][0]} to {of_stack[key][-1]}"
        elif key == "period":
            text = "unknown" if value is None else f"{value[0]} to {value[1]}"
        elif key == "scenes_lost":
            text = "unknown" if value is None else _text(value) + _lost(about["lost"])
        rows.append((key.replace("_", " "), text))
    return rows


def _provenance(told: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row an entry, empty ones left out; what the other rows say is not said again."""
    found = [
        (_text(key).replace("_", " "), _text(value))
        for key, value in told.items()
        if key not in _SHOWN and value not in ({}, [], "", None)
    ]
    return [("provenance", "-" if not found else ""), *((f"  {name}", text) for name, text in found)]


def _lost(entries: Any) -> str:
    entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    if not entries:
        return ""
    named = [" ".join(_text(entry.get(key, "?")) for key in ("id", "band", "reason")) for entry in entries[:_MOST]]
    more = f"; and {len(entries) - _MOST} more" if len(entries) > _MOST else ""
    return f": {'; '.join(named)}{more}"


def _dates(cube: Any, stack: str) -> list[str] | None:
    """Calendar dates, None where the cube says neither them nor its year."""
    from tessera.cubes import dates_of

    try:
        return [day.isoformat() for day in dates_of(cube, stack)]
    except InputError:
        return None


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_text(key)} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return (
            " ".join(map(_text, value))
            if len(value) <= _MOST
            else f"{_text(value[0])} to {_text(value[-1])} ({len(value)})"
        )
    if isinstance(value, float):
        return f"{value:.12g}"
    return printable(str(value))


def _bbox(grid: Any) -> list[float] | None:
    """West, south, east, north in degrees, None off the lattice."""
    from tessera.geo import Window

    try:
        return [round(value, 5) for value in Window.of_grid(grid).lonlat_bounds]
    except InputError:
        return None
