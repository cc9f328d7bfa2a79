"""The items of a folder: its static catalogue, and the file of every asset."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tessera.base import InputError

_MOST = 1_000_000


@dataclass(frozen=True)
class Held:
    """An item, and the files that its assets are."""

    item: dict[str, Any]  # as its document has it
    path: Path  # its document
    parent: Path  # the document that links to it
    files: dict[str, Path]  # asset key -> file; an asset that is no file of the folder is not in it

    @property
    def moment(self) -> dt.datetime:
        """Time of acquisition."""
        return parse_moment(self.item["properties"]["datetime"])

    @property
    def properties(self) -> dict[str, Any]:
        """The item's."""
        found: dict[str, Any] = self.item["properties"]
        return found


def parse_moment(text: str) -> dt.datetime:
    """A time in RFC 3339; UTC without an offset."""
    moment = dt.datetime.fromisoformat(text)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment


def read_items(folder: str | Path) -> list[Held]:
    """The items below a folder's catalog.json, in its order."""
    root = Path(folder).resolve()
    if not (root / "catalog.json").is_file():
        raise InputError(f"no catalog.json in {folder}; expected the folder of a static STAC catalogue")
    found: list[Held] = []
    known: set[Path] = set()
    _walk(root / "catalog.json", root / "catalog.json", root, known, found)
    return found


def _walk(path: Path, parent: Path, root: Path, known: set[Path], found: list[Held]) -> None:
    if path in known or len(known) > _MOST:
        return
    known.add(path)
    try:
        document = json.loads(path.read_bytes())
        kind = document["type"]
        links = [link["href"] for link in document.get("links", ()) if link["rel"] in ("item", "child")]
        assets = {key: asset["href"] for key, asset in document["assets"].items()} if kind == "Feature" else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no STAC document: {type(error).__name__} {error}") from None
    if kind == "Feature":
        inside = {key: _inside(path, href, root) for key, href in assets.items() if not urlsplit(href).scheme}
        found.append(Held(document, path, parent, inside))
        return
    for href in links:
        _walk(_inside(path, href, root), path, root, known, found)


def _inside(document: Path, href: str, root: Path) -> Path:
    path = (document.parent / unquote(href)).resolve()
    if not path.is_relative_to(root):
        raise InputError(f"{document} points to {href!r}, which leaves {root}")
    return path
