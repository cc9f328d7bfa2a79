"""Untrusted Zip archives, unpacked within limits: spreadsheets, KMZ, zipped vector files; known members in memory."""

from __future__ import annotations

import stat
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tessera.base import InputError, open_regular, shown

from ._kinds import READ
from ._sheets import check_sheets
from .table import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MEMBERS = 10_000
_UNPACKED = 2 * 1024**3
_FREE = 64 * 1024 * 1024
"""Bytes that a member may always unpack to; above them `_RATIO` limits it."""
_RATIO = 100
_STEP = 1024 * 1024
_SPATIAL = (".shp", ".gpkg", ".geojson", ".json", ".geojsonl", ".kml", ".gpx", ".fgb", ".parquet", ".geoparquet")
_TABLES = (".csv", ".tsv", ".xlsx", ".ods", ".dbf", ".txt")
_SIDES = (".shx", ".dbf", ".prj", ".cpg")


@contextmanager
def unzipped(path: Path, source: str) -> Iterator[tuple[str, list[tuple[str, Path]]]]:
    """Kind ("xlsx", "ods" or "zip") and datasets by name of an archive, in a temporary folder that is then removed.

    A spreadsheet is the one file, repacked without compression.
    """
    with tempfile.TemporaryDirectory(prefix="tessera-") as folder, open_regular(path, what="vector file") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = _members(archive, source)
                kind = _kind(archive, members)
                found = (
                    _datasets(archive, members, Path(folder), source)
                    if kind == "zip"
                    else [(path.stem, _repacked(archive, members, Path(folder) / f"table.{kind}", source))]
                )
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError) as error:
            raise InputError(f"{source} cannot be unpacked: {shown(error)[1:-1]}") from None
        yield kind, found


def read_members(path: Path, what: str, limit: Callable[[str], int | None]) -> dict[str, bytes]:
    """Name -> bytes of some members of an archive; no name leads out of it, no member is larger than it may be.

    Parameters
    ----------
    path : the archive
    what : its kind, in messages
    limit : most bytes of a member by its name; None leaves it out

    Raises
    ------
    InputError
        It is missing, no archive, damaged, or a member is larger or has a name that leads out of it.
    """
    where = f"{what} {path}"
    found: dict[str, bytes] = {}
    try:
        with open_regular(path, what=what) as file, zipfile.ZipFile(file) as archive:
            for name, info in _members(archive, where).items():
                most = limit(name)
                if most is None:
                    continue
                with archive.open(info) as member:
                    data = member.read(most + 1)
                if len(data) > most:
                    raise InputError(f"{where}: {shown(name)} has more than {most:,} bytes; expected at most that")
                found[name] = data
    except FileNotFoundError:
        raise InputError(f"{where} not found; expected a file") from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        raise InputError(f"{where} cannot be unpacked: {shown(error)[1:-1]}") from None
    return found


def _members(archive: zipfile.ZipFile, source: str) -> dict[str, zipfile.ZipInfo]:
    listing = archive.infolist()
    if len(listing) > _MEMBERS:
        raise InputError(f"{source} holds {len(listing):,} files; at most {_MEMBERS:,} are read")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in listing:
        name = info.filename.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if info.is_dir() or any(part == "__MACOSX" or part.startswith("._") for part in parts):
            continue
        if name.startswith("/") or ".." in parts or ":" in (parts[0] if parts else ":"):
            raise InputError(f"{source} holds {shown(info.filename)}, a name that leads out of it; it is not read")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise InputError(f"{source} holds {shown(info.filename)}, a symbolic link; it is not read")
        if info.flag_bits & 1:
            raise InputError(f"{source} is encrypted; unpack it first")
        if name in members:
            raise InputError(f"{source} holds {shown(name)} twice; expected distinct names")
        members[name] = info
    total = sum(info.file_size for info in members.values())
    if total > _UNPACKED:
        raise InputError(f"{source} unpacks to {total:,} bytes; at most {_UNPACKED:,} are read")
    return members


def _kind(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> str:
    if "[Content_Types].xml" in members and "xl/workbook.xml" in members:
        return "xlsx"
    about = members.get("mimetype")
    if about is not None and about.file_size < 200:
        with archive.open(about) as member:
            if member.read(200).startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
                return "ods"
    return "zip"


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: str) -> Iterator[bytes]:
    """A member's bytes; at most the size that it declares and that its packed size allows."""
    most = max(_FREE, _RATIO * info.compress_size)
    if info.file_size > most:
        raise InputError(
            f"{source} holds {shown(info.filename)}, which unpacks from {info.compress_size:,} to {info.file_size:,} "
            "bytes; unpack it yourself if you trust it"
        )
    with archive.open(info) as member:
        while data := member.read(_STEP):
            most -= len(data)
            if most < 0:
                raise InputError(f"{source} holds {shown(info.filename)}, which unpacks to more than it declares")
            yield data


def _repacked(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], target: Path, source: str) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as out:
        for name, info in members.items():
            if name.endswith((".xml", ".rels")) or name == "mimetype":
                with out.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                    for data in _unpack(archive, info, source):
                        member.write(data)
    with zipfile.ZipFile(target) as plain:
        check_sheets(plain, target.suffix[1:], source)
    return target


def _datasets(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], folder: Path, source: str
) -> list[tuple[str, Path]]:
    """The datasets of an archive, unpacked into folders and names that the archive does not choose."""
    places = {name: PurePosixPath(name) for name in members}
    geodatabases = sorted({str(place.parent) for place in places.values() if place.parent.suffix.lower() == ".gdb"})
    loose = {name: place for name, place in places.items() if str(place.parent) not in geodatabases}
    main = [name for name, place in loose.items() if place.suffix.lower() in _SPATIAL]
    if not main and not geodatabases:
        main = [name for name, place in loose.items() if place.suffix.lower() in _TABLES]
    if not main and not geodatabases:
        raise InputError(f"{source} holds {listed(list(members))}; expected {READ}")
    found: list[tuple[str, Path]] = []
    for number, name in enumerate(main):
        place = loose[name]
        taken = {f"data{place.suffix.lower()}": name}
        if place.suffix.lower() == ".shp":
            for other, beside in loose.items():
                if (
                    beside.parent == place.parent
                    and beside.stem.lower() == place.stem.lower()
                    and beside.suffix.lower() in _SIDES
                ):
                    taken[f"data{beside.suffix.lower()}"] = other
        own = folder / str(number)
        _extract(archive, members, own, taken, source)
        found.append((name, own / f"data{place.suffix.lower()}"))
    for number, parent in enumerate(geodatabases):
        own = folder / f"{number}.gdb"
        held = {place.name: name for name, place in places.items() if str(place.parent) == parent}
        _extract(archive, members, own, held, source)
        found.append((parent, own))
    return found


def _extract(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], own: Path, names: dict[str, str], source: str
) -> None:
    own.mkdir()
    for ours, name in names.items():
        with (own / ours).open("xb") as out:
            for data in _unpack(archive, members[name], source):
                out.write(data)
