"""What a store's years were made from: in words, against being replaced without notice, and in its manifest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ._cube_info import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tessera.geo import Window
    from tessera.store import Store

_KEYS = ("period", "source", "recipe", "reader")
"""Entries of provenance that say what observations are of."""
_LONGEST = 300
"""Characters of a value that a line shows."""


def told_of(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What a cube's provenance says of what it was made from; None where it does not."""
    return {key: provenance.get(key) for key in _KEYS}


def in_words(told: Mapping[str, Any]) -> str:
    """The same as text."""
    return ", ".join(_word(key, told.get(key)) for key in _KEYS if told.get(key) is not None) or "unknown inputs"


def refuse_other(store: Store, windows: Iterable[Window], year: int, wanted: Mapping[str, Any]) -> None:
    """Refuse to write over embeddings that were made from something else.

    Parameters
    ----------
    windows : to be written
    wanted : entries of the provenance of what is to be written; `asked` is compared where both sides have it

    Raises
    ------
    InputError
        The store holds such embeddings; the line names both and the option that replaces them.
    """
    from tessera.base import InputError

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
                        f"{_side(other, wanted, there)}; give --replace to write over it, or another --out"
                    )


def _seen(inputs: Iterable[Mapping[str, Any]], window: Window) -> list[Mapping[str, Any]]:
    """The parts of a cell that lie on a window, without those that a later part covers."""
    from tessera.geo import Window

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
        return text_of(first[:4] if whole else f"{first[:10]}/{last[:10]}")
    return f"{key} {text_of(value)[:_LONGEST]}"


def _rules(value: Any) -> str:
    """A recipe, by what it has other than ours."""
    from tessera.scenes import Recipe

    usual = Recipe().to_json()
    if not isinstance(value, dict):
        return "unknown rules"
    if value == Recipe.published().to_json():
        return "published rules"
    other = [f"{name} {_plain(inner)}" for name, inner in value.items() if usual.get(name) != inner]
    return f"rules {', '.join(other)}"[:_LONGEST] if other else "default rules"


def _plain(value: Any) -> str:
    return text_of(" ".join(map(str, value)) if isinstance(value, list) else value)


def update_manifest(store: Store) -> None:
    """Bring the manifest up to date; what was embedded is in the store whether this works or not."""
    from tessera.base import TesseraError
    from tessera.catalogue import write_manifest

    try:
        left_out = write_manifest(store).left_out
    except (TesseraError, OSError) as error:
        left_out = (f"the manifest was not updated ({error}); tessera store catalogue does it",)
    for line in left_out:
        print(line, file=sys.stderr)
