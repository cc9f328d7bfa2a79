"""The page: where its built files are, and how they are laid beside a store."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from tessera.base import Folder, InputError, TesseraError, read_json

PAGE = "page"
"""Folder of a store that holds the page; the page then reads the store one folder above itself."""
_FORMAT, _VERSION = "tessera-page", 1
_DOCUMENT, _INDEX = "page.json", "index.html"
_STORE = "tessera.json"
_LIMIT = 1 << 16
"""Bytes of page.json that are believed; it lists a few dozen names."""
_NAME = re.compile(r"(assets/)?[A-Za-z0-9_-][A-Za-z0-9._-]*")


def page_folder() -> Path:
    """The folder of the built page in this package.

    Raises
    ------
    TesseraError
        The package was made without it.
    """
    folder = Path(__file__).parent / PAGE
    if not (folder / _INDEX).is_file():
        raise TesseraError(f"this installation of tessera has no page: {folder} lacks {_INDEX}; install it again")
    return folder


def lay_page(store: str | Path, *, overwrite: bool = False) -> Path:
    """Lay the page into a store's folder, so that any static host serves both.

    An earlier page is replaced; a folder `page` that holds anything else is not.

    Parameters
    ----------
    store : folder of a store, or of anything that has a `tessera.json`
    overwrite : whether files in `page/` that are not of a page may be replaced

    Returns
    -------
    the folder `page` in it

    Raises
    ------
    InputError
        It is no folder of a store, or something else is in the way.

    Examples
    --------
    >>> lay_page("store.zarr").name
    'page'
    """
    if "://" in str(store):
        raise InputError(f"{store} is a URL; expected the folder of a store, which you then copy to its host")
    root = Path(store)
    if not (root / _STORE).is_file():
        raise InputError(f"{root} holds no {_STORE}; expected the folder of a store")
    folder, source = Folder(root), page_folder()
    target = folder.inner(PAGE)
    if os.path.lexists(target) and not target.is_dir():
        raise InputError(f"{target} is a file; expected a folder of the page, or none yet")
    known = _listed(target)
    names = _listed(source)
    if not overwrite:
        taken = sorted(name for name in _present(target) if name not in known and name != _DOCUMENT)
        if taken:
            raise InputError(
                f"{target / taken[0]} is no file of a page; expected a new folder, or --overwrite "
                "(overwrite=True in Python)"
            )
    # the list of old and new files comes first, so that a lay that was stopped is known again as a page
    both = {"format": _FORMAT, "version": _VERSION, "files": sorted(known | names)}
    folder.settle(f"{PAGE}/{_DOCUMENT}", json.dumps(both).encode())
    for name in sorted(names, key=lambda name: (name == _INDEX, name)):
        folder.settle(f"{PAGE}/{name}", (source / name).read_bytes())
    for name in sorted(known - names):
        folder.at(f"{PAGE}/{name}").unlink(missing_ok=True)
    folder.settle(f"{PAGE}/{_DOCUMENT}", (source / _DOCUMENT).read_bytes())
    return target


def _present(target: Path) -> set[str]:
    return {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}


def _listed(folder: Path) -> frozenset[str]:
    """Names of the files of a page, none where there is no page."""
    try:
        value = read_json(folder / _DOCUMENT, what="page", limit=_LIMIT, inside=folder)
    except (FileNotFoundError, InputError):
        return frozenset()
    names = value.get("files")
    if value.get("format") != _FORMAT or value.get("version") != _VERSION or not isinstance(names, list):
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str) and _NAME.fullmatch(name))
