"""Projects of the page: labels, heads, store and view in one archive."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tessera.base import InputError, check_format, parse_json, parsing, shown
from tessera.embeddings import ModelIdentity
from tessera.figures import parse_colour
from tessera.geo import read_members
from tessera.labels import check_class_names

from ._file import LIMIT, parse_head
from .head import Head, head_of

FORMAT, VERSION = "tessera-project", 1
COLUMN, GROUP = "class", "group"
"""Attributes of a project's labels: their class, and what validation must not divide."""
_DOCUMENT, _LABELS = "project.json", "labels.geojson"
_HEAD = re.compile(r"heads/[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}\.json")
_LIMITS = {_DOCUMENT: 1 << 20, _LABELS: 64 << 20}
"""Bytes that are believed; the page reads no larger labels."""
_MOST_HEADS = 20
_PLACES = ("exact", "coarse", "none")
_T = TypeVar("_T")
_WORDS: dict[type, str] = {dict: "an object", list: "a list", str: "text", int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class Project:
    """What somebody did in the page, as a file that `load_project` read.

    Attributes
    ----------
    path : the file
    store : URL of the store, None where it was a folder or an archive of theirs
    store_name : its name, for people
    model : whose embeddings it holds
    year : the year that was looked at
    area : (west, south, east, north) in degrees, None where none was chosen
    colours : class -> "#rrggbb", in the order of the page
    labels : GeoJSON of points and polygons, with `class`, `group` and `source`
    places : "exact"; "coarse" or "none" if the places were hidden when it was saved
    heads : name -> head that was fitted or opened there

    Examples
    --------
    >>> import tessera
    >>> project = tessera.load_project("project.zip")
    >>> project.store_name, list(project.colours)
    ('store.zarr', ['crop', 'forest', 'other'])
    """

    path: Path
    store: str | None
    store_name: str
    model: ModelIdentity
    year: int
    area: tuple[float, float, float, float] | None
    colours: dict[str, str]
    labels: dict[str, Any]
    places: str
    heads: dict[str, Head]

    def fit_options(self) -> dict[str, Any]:
        """What `tessera.fit` needs beside a store: labels, their column and kind, colours, group and year.

        Raises
        ------
        InputError
            The places of the labels were hidden, or there are none.

        Examples
        --------
        >>> import tessera
        >>> project = tessera.load_project("project.zip")
        >>> head = tessera.fit("store.zarr", **project.fit_options())
        """
        if self.places != "exact":
            how = "coarsened" if self.places == "coarse" else "removed"
            raise InputError(
                f"project {self.path} was saved with its places {how}; expected exact places to learn from"
            )
        if not self.labels["features"]:
            raise InputError(f"project {self.path} has no labels; expected some to learn from")
        grouped = any((feature.get("properties") or {}).get(GROUP) is not None for feature in self.labels["features"])
        return {
            "labels": self.labels,
            "column": COLUMN,
            "kind": "classification",
            "colours": self.colours,
            "group": GROUP if grouped else None,
            "year": self.year,
        }


def load_project(path: str | Path) -> Project:
    """Read a project that the page saved.

    Parameters
    ----------
    path : the file, `.zip`

    Raises
    ------
    InputError
        It is missing, no project, of a later version, damaged, or larger than a project is.

    Examples
    --------
    >>> import tessera
    >>> project = tessera.load_project("project.zip")
    >>> project.year
    2023
    >>> sorted(project.heads)
    ['linear']
    """
    file = Path(path)
    where = f"project {file}"
    members = read_members(file, "project", lambda name: LIMIT if _HEAD.fullmatch(name) else _LIMITS.get(name))
    if _DOCUMENT not in members:
        raise InputError(f"{where} holds no {_DOCUMENT}; expected a project that the page saved")
    about = _document(members, _DOCUMENT, where)
    check_format(about, FORMAT, VERSION, where)
    names = [name for name in members if name.startswith("heads/")]
    if len(names) > _MOST_HEADS:
        raise InputError(f"{where} holds {len(names)} heads; expected at most {_MOST_HEADS}")
    heads = {}
    for name in sorted(names):
        at = file / name
        heads[name[len("heads/") : -len(".json")]] = head_of(parse_head(members[name], at), at)
    labels = _document(members, _LABELS, where) if _LABELS in members else {"features": []}
    if not isinstance(labels.get("features"), list):
        raise InputError(f"{where}: {_LABELS} holds no features; expected GeoJSON")
    try:
        with parsing("project"):
            return Project(path=file, labels=labels, heads=heads, **_described(about))
    except InputError as error:
        raise InputError(f"{where}: {_DOCUMENT}: {error}; save it again in the page") from None


def _described(about: dict[str, Any]) -> dict[str, Any]:
    store = _typed(about["store"], dict, "store")
    url = store["url"]
    if url is not None and not re.match(r"https?://", _typed(url, str, "store.url")):
        raise InputError(f"store.url is {shown(url)}; expected http or https, or null")
    return {
        "store": url,
        "store_name": _typed(store["name"], str, "store.name"),
        "model": ModelIdentity.from_json(store["model"]),
        "year": _typed(about["year"], int, "year"),
        "area": _area(about["area"]),
        "colours": _colours(about["classes"]),
        "places": _places(about["places"]),
    }


def _document(members: dict[str, bytes], name: str, where: str) -> dict[str, Any]:
    value = parse_json(members[name], f"{where}: {name}")
    if not isinstance(value, dict):
        raise InputError(f"{where}: {name} holds no JSON object; expected one")
    return value


def _typed(value: Any, kind: type[_T], what: str) -> _T:
    if type(value) is not kind:
        raise InputError(f"{what} is {_WORDS.get(type(value), 'no such value')}; expected {_WORDS[kind]}")
    return value


def _area(value: Any) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    numbers = _typed(value, list, "area")
    if len(numbers) != 4 or not all(type(each) in (int, float) and math.isfinite(each) for each in numbers):
        raise InputError(f"area is {shown(value)}; expected west, south, east, north in degrees")
    west, south, east, north = map(float, numbers)
    return west, south, east, north


def _colours(value: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in _typed(value, list, "classes"):
        about = _typed(each, dict, "class")
        found[_typed(about["name"], str, "name of a class")] = parse_colour(_typed(about["colour"], str, "colour"))
    check_class_names(found, "project")
    return found


def _places(value: Any) -> str:
    if value not in _PLACES:
        raise InputError(f"places are {shown(value)}; expected {', '.join(_PLACES)}")
    return str(value)
