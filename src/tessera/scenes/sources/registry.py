"""Sources by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError
from tessera.net import LoadError, NetError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..records import SceneTable
    from .source import Source

NAMES = ("mpc", "earth-search", "opera")
"""Providers with a name of their own."""


def parse_source(value: Any) -> tuple[Source, ...]:
    """Open sources, such as "mpc,earth-search". Providers with an API get no request yet.

    Parameters
    ----------
    value : "mpc", "earth-search", "opera", "stac:" and the root of a STAC API, folder or address of a static catalogue,
        or several of these with commas, the preferred one first; an object of the protocol `Source`; or a list

    Returns
    -------
    Sources, the preferred one first.

    Raises
    ------
    InputError
        There is no such source, or one is given twice.
    NetError
        A static catalogue cannot be read; its root document holds its name.
    """
    if isinstance(value, (list, tuple)):
        sources = tuple(source for one in value for source in parse_source(one))
    elif isinstance(value, str):
        # a path may contain a comma
        texts = [value] if _exists(value) else [part.strip() for part in value.split(",") if part.strip()]
        sources = tuple(_open(text) for text in texts)
    elif isinstance(value, Path):
        sources = (_open(str(value)),)
    elif all(hasattr(value, name) for name in ("name", "search", "address", "renew", "verdict")):
        sources = (value,)
    else:
        raise InputError(f"source {value!r}; expected {', '.join(NAMES)}, a catalogue's folder or address, or a Source")
    names = [source.name for source in sources]
    if not names:
        raise InputError(f"source {value!r} is empty; expected {', '.join(NAMES)}, or a catalogue's folder or address")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"source {twice} is given twice; expected each once")
    return sources


def sources_of(table: SceneTable) -> tuple[Source, ...]:
    """Open the sources of a table of scenes, from which its files are read.

    Raises
    ------
    InputError, NetError
        See `parse_source`.
    """
    asked = table.query["sources"]
    return parse_source([one if isinstance(one, str) else str(one.get("asked", one["name"])) for one in asked])


def check_credentials(sources: Iterable[Source]) -> None:
    """Check, before anything is searched or read, the credentials that only the user can create.

    Raises
    ------
    CredentialError
        OPERA's token is missing, malformed or expired; the message names the variable and where to get one.
    """
    from .opera import Opera

    for source in sources:
        if isinstance(source, Opera):
            source.token()


def _exists(text: str) -> bool:
    try:
        return bool(text) and Path(text).exists()
    except (OSError, ValueError):
        return False  # the name is too long or has characters that are not allowed


def _open(text: str) -> Source:
    from ._earth_search import EarthSearch
    from ._mpc import PlanetaryComputer
    from ._static import StaticCatalogue
    from .opera import Opera
    from .stac_api import StacApi

    known: dict[str, Any] = {"mpc": PlanetaryComputer, "earth-search": EarthSearch, "opera": Opera}
    if text in known and not Path(text, "catalog.json").exists():
        source: Source = known[text]()
        return source
    if text.startswith("stac:"):
        return StacApi(text.removeprefix("stac:"))
    if "://" not in text and not _exists(text) and "/" not in text and "\\" not in text:
        raise InputError(f"catalogue not found: {text}; expected {', '.join(NAMES)}, stac:URL, or a catalogue's folder")
    try:
        return StaticCatalogue(text)
    except LoadError:
        raise
    except NetError as error:
        # the root of an API has no catalog.json
        said = f"{error}; expected a static catalogue (a STAC API's root is written stac:{text})"
        raise type(error)(said) from None
