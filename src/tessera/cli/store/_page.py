"""tessera store page: the page beside a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal import OverwriteOption


def page(
    store: Annotated[Path, typer.Argument(help="Folder of a store.")],
    overwrite: OverwriteOption = False,
) -> None:
    """Lay the page into a store's folder, as page/, so that any static host serves both.

    Example: tessera store page store.zarr
    """
    from tessera.serve import lay_page

    target = lay_page(store, overwrite=overwrite)
    print(f"Wrote {target}. Copy {store} to any host that answers range requests, and open page/ there in a browser.")
