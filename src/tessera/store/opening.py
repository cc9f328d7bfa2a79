"""Opening a store: ours, a published one by name, or one of others by path or URL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tessera.base import InputError, raise_if_machine
from tessera.net import DiskCache, MissingError, default_cache, disk_cache, open_objects
from tessera.shards import DOCUMENT, DOCUMENT_LIMIT, Header, lattice_source

from .others import PREFIX, Dataset, UnknownLayoutError, dataset_url, open_foreign, parse_dataset

if TYPE_CHECKING:
    from tessera.net import Objects
    from tessera.shards import Source

_ICECHUNK = ".icechunk"


class NoStoreError(InputError):
    """There is nothing that could be a store."""


def open_parts(location: str | Path, dataset: str | None, cache: bool | str | Path) -> tuple[Objects, Header, Source]:
    """Where a store lies, what it says of itself, and what reads its pixels; see `open_store`."""
    given = None if dataset is None else parse_dataset(dataset)
    text = str(location)
    if text.startswith(PREFIX):
        given, text = _published(text, given)
    if text.rstrip("/").endswith(_ICECHUNK):
        return _open_icechunk(text, given)
    if "://" not in text and not Path(text).is_dir():
        raise NoStoreError(f"store not found: {text} is no folder")
    objects = open_objects(text)
    kept = None if cache is False or objects.folder is not None else _cache(cache)
    try:
        data = objects.read(DOCUMENT, limit=DOCUMENT_LIMIT)
    except MissingError:
        return _open_others(objects, given, kept)
    header = Header.decode(data, f"{objects.root}/{DOCUMENT}")
    if given is not None:
        raise InputError(f"{objects.root} holds {header.model.name} by its {DOCUMENT}; it is no copy of {given.name}")
    return objects, header, lattice_source(objects, header.layout, header.zones, kept)


def _published(name: str, given: Dataset | None) -> tuple[Dataset, str]:
    wants_icechunk = name.endswith(_ICECHUNK)
    dataset = parse_dataset(name.removesuffix(_ICECHUNK))
    if given is not None and given != dataset:
        raise InputError(f"{name} opened as {given.name}; expected the same dataset")
    if not wants_icechunk:
        return dataset, dataset_url(dataset)
    if dataset.icechunk is None:
        raise InputError(f"{dataset.name} is not published as an Icechunk repository")
    return dataset, dataset.icechunk


def _cache(cache: bool | str | Path) -> DiskCache | None:
    return default_cache() if isinstance(cache, bool) else disk_cache(Path(cache))


def _open_others(objects: Objects, dataset: Dataset | None, cache: DiskCache | None) -> tuple[Objects, Header, Source]:
    try:
        return objects, *open_foreign(objects, dataset, cache)
    except MissingError:
        raise NoStoreError(f"{objects.root} is no store: it has neither {DOCUMENT} nor zarr.json") from None
    except UnknownLayoutError:
        import zarr

        from .others import open_zarr_source

        try:
            root = zarr.open_group(objects.zarr_store(), mode="r", zarr_format=3)
        except Exception as error:
            raise_if_machine(error, objects.root)
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"{objects.root} is no store that can be read: {said[:300]}") from None
        return objects, *open_zarr_source(root, dataset, objects.root)


def _open_icechunk(location: str, dataset: Dataset | None) -> tuple[Objects, Header, Source]:
    from .others import open_icechunk, open_zarr_source

    root = open_icechunk(location)
    header, source = open_zarr_source(root, dataset, location)
    return open_objects(location), header, source
