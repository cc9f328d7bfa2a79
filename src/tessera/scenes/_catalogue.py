"""A static STAC catalogue on disk, read into scenes. Catalogues come from strangers: no link leaves their folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tessera.base import InputError, read_json, require

from ._assets import S1_COLLECTIONS, S1_KEYS, S2_COLLECTIONS, S2_KEYS
from .rules import keeps_offset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|[/\\]")
"""A scheme, a drive or a path from the root."""
_DOCUMENTS = 1_000_000
"""Documents that one catalogue may link to."""
_ORBITS = ("ascending", "descending")


@dataclass(frozen=True)
class Scene:
    """One item of a catalogue, narrowed to what is read.

    Attributes
    ----------
    id, collection : as the item names itself
    moment : acquisition
    longitudes, latitudes : of the corners of its footprint, degrees
    cloud_cover : per cent; None where unknown, and for Sentinel-1
    offset : whether its digital numbers carry the offset (Sentinel-2)
    baseline : processing baseline (Sentinel-2), or ""
    orbit : "ascending" or "descending" (Sentinel-1), or ""
    files : band name -> file
    """

    id: str
    collection: str
    moment: datetime
    longitudes: tuple[float, ...]
    latitudes: tuple[float, ...]
    cloud_cover: float | None
    offset: bool
    baseline: str
    orbit: str
    files: Mapping[str, Path]

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from every other scene of a catalogue."""
        return self.collection, self.id

    @property
    def optical(self) -> bool:
        """Whether it is of Sentinel-2."""
        return self.collection in S2_COLLECTIONS


@dataclass(frozen=True)
class Catalogue:
    """The scenes of a catalogue, and its id."""

    id: str
    scenes: tuple[Scene, ...]


def catalogue_id(source: str | Path) -> str:
    """The id of a static STAC catalogue, from its first document alone; a cube's provenance names it as its source.

    Raises
    ------
    InputError
        There is none.
    """
    return str(read_json(_entry(source), what="catalogue").get("id", ""))


def _entry(source: str | Path) -> Path:
    path = Path(source)
    if path.is_dir():
        names = [name for name in ("catalog.json", "collection.json") if (path / name).is_file()]
        if not names:
            raise InputError(f"no catalog.json in {path}; expected the folder of a static STAC catalogue")
        path = path / names[0]
    if not path.is_file():
        raise InputError(f"catalogue not found: {source}")
    return path


def open_catalogue(source: str | Path) -> Catalogue:
    """Read a static STAC catalogue.

    Parameters
    ----------
    source : its folder, which holds catalog.json (or collection.json), or that file

    Raises
    ------
    InputError
        There is none; a document is not STAC; a link or an asset leaves the folder of the catalogue; an item of a known
        collection lacks an asset or a property that is needed.
    """
    require("pystac", extra="scenes", purpose="reading scenes")
    path = _entry(source)
    root = path.parent.resolve()
    identifier = ""
    scenes: list[Scene] = []
    for file, document in _walk(root / path.name, root):
        if document["type"] == "Feature":
            scene = _scene(file, document, root)
            if scene is not None:
                scenes.append(scene)
        elif not identifier:
            identifier = str(document.get("id", ""))
    _refuse_twins(scenes)
    return Catalogue(identifier, tuple(scenes))


def _walk(start: Path, root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    waiting, known = [start], {start}
    while waiting:
        file = waiting.pop()
        if file.exists() and not file.is_file():
            raise InputError(f"{_name(file, root)} is not a file; expected a STAC document")
        try:
            document = read_json(file, what="STAC document")
        except OSError as error:
            raise InputError(f"{_name(file, root)} cannot be read: {error.strerror}") from None
        kind = document.get("type")
        if kind not in ("Catalog", "Collection", "Feature") or "stac_version" not in document:
            raise InputError(
                f"{_name(file, root)} is not STAC: type {kind!r}; expected a Catalog, Collection or Feature"
            )
        yield file, document
        if kind == "Feature":
            continue
        links = document.get("links")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("rel") in ("child", "item"):
                linked = _inside(link.get("href"), file, root, f"a link of {_name(file, root)}")
                if linked not in known:
                    known.add(linked)
                    waiting.append(linked)
        if len(known) > _DOCUMENTS:
            raise InputError(f"catalogue {root} links to more than {_DOCUMENTS} documents")


def _name(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _inside(href: object, document: Path, root: Path, what: str) -> Path:
    """The file that a document refers to, which must lie in the catalogue's folder, also behind symbolic links."""
    if not isinstance(href, str) or not href or "\0" in href:
        raise InputError(f"{what} has href {href!r}; expected a relative path")
    if _ABSOLUTE.match(href):
        raise InputError(f"{what} points to {href!r}; expected a relative path inside the catalogue's folder")
    for relative in dict.fromkeys((href, unquote(href))):
        try:
            file = (document.parent / relative).resolve()
        except (OSError, RuntimeError, ValueError):
            raise InputError(f"{what} has href {href!r}; expected a relative path") from None
        if not file.is_relative_to(root):
            raise InputError(f"{what} points to {href!r}, which climbs out of the catalogue's folder")
        if file.exists():
            return file
    return (document.parent / href).resolve()


def _scene(file: Path, document: dict[str, Any], root: Path) -> Scene | None:
    import pystac

    where = f"item {document.get('id', _name(file, root))}"
    collection = document.get("collection")
    if collection not in (*S2_COLLECTIONS, *S1_COLLECTIONS):
        return None
    try:
        item = pystac.Item.from_dict(document, preserve_dict=True)
    except (pystac.STACError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where} is not a STAC item: {type(error).__name__} {error}") from None
    about = item.properties
    if item.datetime is None:
        raise InputError(f"{where} has no datetime; expected the moment of acquisition")
    longitudes, latitudes = _footprint(where, item)
    optical = collection in S2_COLLECTIONS
    baseline, orbit, cloud_cover = "", "", None
    if optical:
        baseline = str(about.get("s2:processing_baseline", ""))
        cloud_cover = _cloud_cover(where, about.get("eo:cloud_cover"))
        applied = about.get("earthsearch:boa_offset_applied")
        if not isinstance(applied, bool | None):
            raise InputError(f"{where} has earthsearch:boa_offset_applied {applied!r}; expected true or false")
        try:
            offset = keeps_offset(baseline, *_addresses(item), applied)
        except InputError as error:
            raise InputError(f"{where} has s2:{error}") from None
    else:
        offset = False
        orbit = str(about.get("sat:orbit_state", ""))
        if orbit not in _ORBITS:
            raise InputError(f"{where} has sat:orbit_state {orbit!r}; expected ascending or descending")
        if not any(key in item.assets for keys in S1_KEYS.values() for key in keys):
            return None  # HH and HV, over the poles: nothing that a cube holds
    files = {}
    for band, keys in (S2_KEYS if optical else S1_KEYS).items():
        key = next((key for key in keys if key in item.assets), None)
        if key is None:
            raise InputError(
                f"{where} lacks asset {' or '.join(keys)}; it has {', '.join(sorted(item.assets)) or 'none'}"
            )
        files[band] = _inside(item.assets[key].href, file, root, f"{where}, asset {key},")
    return Scene(
        str(item.id), str(collection), item.datetime, longitudes, latitudes, cloud_cover, offset, baseline, orbit, files
    )


def _addresses(item: Any) -> tuple[list[str], list[str]]:
    """Where the pixels that are read came from (STAC's alternate assets), and where the item did, as far as told."""
    pixels: list[object] = []
    for keys in S2_KEYS.values():
        for asset in (item.assets[key] for key in keys if key in item.assets):
            others = asset.extra_fields.get("alternate")
            others = others.values() if isinstance(others, dict) else ()
            pixels += [other.get("href") for other in others if isinstance(other, dict)]
    places: list[object] = [item.properties.get("earthsearch:s3_path")]
    places += [asset.href for asset in item.assets.values()]
    places += [link.target for link in item.links if link.rel in ("self", "canonical", "via")]
    return [href for href in pixels if isinstance(href, str)], [href for href in places if isinstance(href, str)]


def _cloud_cover(where: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
        raise InputError(f"{where} has eo:cloud_cover {value!r}; expected per cent, 0 to 100")
    return float(value)


def _footprint(where: str, item: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Every corner of the geometry, or of the bounding box where there is none."""
    points: list[tuple[float, float]] = []

    def collect(value: Any) -> None:
        if len(value) >= 2 and all(isinstance(number, (int, float)) for number in value[:2]):
            points.append((float(value[0]), float(value[1])))
        else:
            for part in value:
                collect(part)

    try:
        if item.geometry is not None:
            collect(item.geometry["coordinates"])
        elif item.bbox is not None:
            west, south, east, north = (item.bbox[:4]) if len(item.bbox) == 4 else (*item.bbox[:2], *item.bbox[3:5])
            points += [(float(west), float(south)), (float(east), float(north))]
    except (KeyError, TypeError, ValueError, RecursionError):
        points = []
    if not points:
        raise InputError(f"{where} has neither a geometry nor a bbox that can be read")
    longitudes, latitudes = zip(*points, strict=True)
    return longitudes, latitudes


def _refuse_twins(scenes: list[Scene]) -> None:
    known: set[tuple[str, str]] = set()
    for scene in scenes:
        if scene.key in known:
            raise InputError(f"item {scene.id} is twice in collection {scene.collection}; expected distinct ids")
        known.add(scene.key)
