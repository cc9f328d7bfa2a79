"""What a store's years were made from: in words, and as a guard against replacing them without notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessera.base import InputError, printable
from tessera.geo import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tessera.store import Store

_KEYS = ("period", "source", "recipe", "reader")
"""Entries of provenance that name the observations."""
_LONGEST = 300
"""Characters of a value that a line shows."""


def told_of(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What a cube's provenance says of what it was made from; None where it does not."""
    return {key: provenance.get(key) for key in _KEYS}


def made_from_in_words(told: Mapping[str, Any]) -> str:
    """Period, source, rules and reader of a provenance, such as "2023, source mpc, default rules, reader ranges"."""
    return ", ".join(_word(key, told.get(key)) for key in _KEYS if told.get(key) is not None) or "unknown inputs"


def refuse_other(store: Store, windows: Iterable[Window], year: int, wanted: Mapping[str, Any]) -> None:
    """Refuse to write over embeddings that were made from something else.

    Parameters
    ----------
    windows : that are to be written
    wanted : entries of the provenance of what is to be written; `asked` is compared where both sides have it

    Raises
    ------
    InputError
        The store holds such embeddings; the line names both and the option that replaces them.
    """
    if year not in store.years:
        return
    for window in windows:
        for cell in window.cells(store.layout.shard):
            record = store.commit(cell, year)
            for part in _seen(() if record is None else record.inputs, window):
                there = part["provenance"]
                other = [key for key, value in wanted.items() if _differs(key, there.get(key), value)]
                if other:
                    raise InputError(
                        f"{store.objects.root} holds {year} of cell {cell.name} from {_side(other, there)}; asked for "
                        f"{_side(other, wanted, there)}; give --replace (replace=True in Python) to write over it, "
                        "or another store"
                    )


def _seen(inputs: Iterable[Mapping[str, Any]], window: Window) -> list[Mapping[str, Any]]:
    """The parts of a cell that lie on a window, without those that a later part covers."""
    found: list[tuple[Window, Mapping[str, Any]]] = []
    for part in inputs:
        place = Window(window.zone, *part["window"])
        found = [(old, kept) for old, kept in found if old.intersection(place) != old]
        found.append((place, part))
    return [part for place, part in found if place.intersection(window) is not None]


def _differs(key: str, there: Any, wanted: Any) -> bool:
    return there != wanted and not (key == "asked" and there is None)


def _side(keys: list[str], told: Mapping[str, Any], against: Mapping[str, Any] | None = None) -> str:
    words = []
    for key in keys:
        if key != "asked":
            words.append(_word(key, told.get(key)))
        elif "source" not in keys:
            name = _word("source", told.get("source"))
            words.append(name if against is None else f"another catalogue or table of {name}")
    return ", ".join(words)


def _word(key: str, value: Any) -> str:
    if value is None:
        return f"unknown {'rules' if key == 'recipe' else key}"
    if key == "recipe":
        return _rules(value)
    if key == "period" and isinstance(value, list) and len(value) == 2:
        first, last = (str(day) for day in value)
        whole = first[4:] == "-01-01" and last[4:] == "-12-31" and first[:4] == last[:4]
        return printable(first[:4] if whole else f"{first[:10]}/{last[:10]}")
    return f"{key} {printable(str(value))[:_LONGEST]}"


def _rules(value: Any) -> str:
    """A recipe, by what it has other than ours."""
    from tessera.scenes import Recipe

    usual = Recipe().to_json()
    if not isinstance(value, dict):
        return "unknown rules"
    if value == Recipe.published().to_json():
        return "published rules"
    other = [f"{name} {_plain(inner)}" for name, inner in value.items() if usual.get(name) != inner]
    return printable(f"rules {', '.join(other)}")[:_LONGEST] if other else "default rules"


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
