"""Opening a store: ours, a published one by name, or one of others by path or URL; and creating one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, checked, exists, raise_if_machine, shown
from tessera.embeddings import ModelIdentity
from tessera.net import DiskCache, MissingError, default_cache, disk_cache, open_objects
from tessera.shards import DOCUMENT, DOCUMENT_LIMIT, Header, Layout, lattice_source

from .commits import create_empty
from .others import PREFIX, Dataset, UnknownLayoutError, dataset_url, open_foreign, parse_dataset
from .store import Store

if TYPE_CHECKING:
    from tessera.net import Objects
    from tessera.shards import Source

_ICECHUNK = ".icechunk"


class NoStoreError(InputError):
    """There is nothing that could be a store."""


@checked
def create_store(
    path: str | Path,
    dims: int = 128,
    model: Any = None,
    *,
    zones: tuple[int, ...] | None = None,
    layout: Layout | None = None,
    single_writer: bool = False,
) -> Store:
    """Create an empty store and open it.

    Parameters
    ----------
    path : a folder that does not exist yet, or an s3, gs or az URL without objects
    dims : length of the vectors, the model's dims or one of its prefixes
    model : an `Encoder`, or its `ModelIdentity`
    zones : UTM zones for which the store gets arrays, 1 to 60; all if None
    layout : another geometry, for tests and experiments
    single_writer : as in `open_store`

    Raises
    ------
    InputError
        The path exists, no model was given, the model has no vectors of this length, or the object store has no
        conditional put.
    NetError
        The network or the server failed. Call it again to continue.

    Examples
    --------
    >>> import tessera
    >>> store = tessera.create_store("new.zarr", model=tessera.load_encoder(), zones=(31,))
    >>> store.years
    ()
    """
    wrong = [zone for zone in zones or () if zone not in range(1, 61)]
    if wrong:
        raise InputError(f"UTM zone {shown(wrong[0])[1:-1]}; expected 1 to 60")
    identity = getattr(model, "identity", model)
    if not isinstance(identity, ModelIdentity):
        raise InputError(f"create_store with model {model!r}; expected an encoder or its identity")
    if dims not in identity.prefix_dims:
        choices = ", ".join(str(size) for size in identity.prefix_dims)
        raise InputError(f"a store of {dims} dims for {identity.name}; expected one of {choices}")
    prefixes = tuple(size for size in identity.prefix_dims if size <= dims)
    identity = ModelIdentity(identity.name, identity.sha256, dims, prefixes)
    if layout is None:
        layout = Layout(dims, tuple(size for size in prefixes if size == 16 and size < dims))
    if layout.dims != dims:
        raise InputError(f"a layout of {layout.dims} dims for a store of {dims}")
    chosen = tuple(range(1, 61)) if zones is None else tuple(sorted(set(zones)))
    create_empty(path, Header(identity, layout, (), chosen), single_writer=single_writer)
    return open_store(path, single_writer=single_writer)


@checked
def open_store(
    path_or_url: str | Path, *, dataset: str | None = None, cache: bool | str | Path = True, single_writer: bool = False
) -> Store:
    """Open a store, with one request.

    A store of ours at a path or at an s3, gs or az URL can be written. Any other store is read-only.

    Parameters
    ----------
    path_or_url : a folder, or an http, https, s3, gs or az URL; the name of a published dataset, such as
        "tessera:v1.1-dclimate"; or an Icechunk repository, whose name ends in .icechunk (extra `icechunk`)
    dataset : which published dataset a copy holds, such as "v1.1-cambridge". Without it, a copy gets an identity of its
        own and its embeddings compare with no others
    cache : where to keep what is read by URL: a folder, True for the user's cache ($TESSERA_CACHE, or tessera/store in
        $XDG_CACHE_HOME or ~/.cache; at most 2 GB or $TESSERA_CACHE_GB), or False for none
    single_writer : set True only if no other process writes to this store; needed to write to an object store without
        conditional put

    Raises
    ------
    InputError
        There is nothing, no store, or a store of another format, version or dataset.
    NetError
        The network or the server failed.

    Examples
    --------
    >>> import tessera
    >>> tessera.open_store("store.zarr")
    Store(store.zarr, 128 dims of bundled-nano, 2023)
    >>> published = tessera.open_store("tessera:v1.1-dclimate")  # doctest: +SKIP
    """
    return Store(*_open_parts(path_or_url, dataset, cache), single_writer)


def _open_parts(location: str | Path, dataset: str | None, cache: bool | str | Path) -> tuple[Objects, Header, Source]:
    """Where a store lies, what it says of itself, and what reads its pixels; see `open_store`."""
    given = None if dataset is None else parse_dataset(dataset)
    text = str(location)
    if text.startswith(PREFIX):
        given, text = _published(text, given)
    if text.rstrip("/").endswith(_ICECHUNK):
        return _open_icechunk(text, given)
    if "://" not in text and not (exists(text) and Path(text).is_dir()):
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
