"""Values out of the metrics of a head, which may come from a stranger: what is not as expected is absent."""

from __future__ import annotations

import math
from typing import Any

Cell = tuple[float | None, float | None, float | None]
_MOST = 2000
"""Rows of a list that are read."""


def number(value: Any) -> float | None:
    """A finite number, else None."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e300
    return float(value) if good and math.isfinite(value) else None


def whole(value: Any) -> int | None:
    """A whole number, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def cell(value: Any) -> Cell:
    """A value with its interval: of a number, or of [value, low, high]."""
    if isinstance(value, (list, tuple)) and len(value) == 3:
        return number(value[0]), number(value[1]), number(value[2])
    return number(value), None, None


def with_interval(value: Any, ends: Any) -> Cell:
    """A value with an interval [low, high] that lies elsewhere."""
    low, high = ends if isinstance(ends, (list, tuple)) and len(ends) == 2 else (None, None)
    return number(value), number(low), number(high)


def part(value: Any, *keys: str) -> dict[str, Any]:
    """The object below these keys; {} where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [one for one in value[:_MOST] if isinstance(one, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The texts of a list."""
    return [one for one in value[:_MOST] if isinstance(one, str)] if isinstance(value, list) else []


def years_text(metrics: dict[str, Any], year: int) -> str:
    """The years whose embeddings a head learnt from, such as "2021, 2022"; `year` where it does not say.

    Parameters
    ----------
    metrics : of the head
    year : of its first input
    """
    listed = metrics.get("years")
    found = list(part(metrics, "label_years")) or (listed if isinstance(listed, list) else [])
    known = [text for one in found if (text := str(one)).isascii() and text.isdigit() and len(text) == 4]
    return ", ".join(dict.fromkeys(known)) or str(year)


def share(value: float | None, digits: int = 3) -> str:
    """A score for people, "-" where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """A share in per cent, "-" where there is none."""
    return "-" if value is None else f"{100 * value:.0f} %"


def figures(value: float | None) -> str:
    """A number with three or more significant digits from 1 on, three decimals below; "-" where there is none."""
    if value is None:
        return "-"
    size = abs(value)
    if size < 0.001:
        return f"{value:.3g}"
    return f"{value:,.{3 if size < 1 else 2 if size < 10 else 1 if size < 100 else 0}f}"


def hectares(value: float | None) -> str:
    """An area for people, "-" where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}"


def estimated(one: Cell, show: Any = share, unit: str = "") -> str:
    """An estimate with its interval, or the words that it has none: "65.0 ha (no interval)"."""
    value, low, _ = one
    shown = f"{spread(one, show)}{unit}"
    return shown if value is None or low is not None else f"{shown} (no interval)"


def short(value: Any) -> str:
    """A setting for people: a number with fractions to four digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def kilometres(value: float) -> str:
    """A distance to three digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def spread(one: Cell, show: Any = share) -> str:
    """A value and its interval: "0.612 (0.550 to 0.671)"."""
    value, low, high = one
    if value is None or low is None or high is None:
        return str(show(value))
    return f"{show(value)} ({show(low)} to {show(high)})"
