"""The group `tessera store`, and its command info."""

from __future__ import annotations

from typing import Any

import typer

from ..terminal import JsonOption, StoreArgument, print_json, print_table
from . import _check, _coverage, _exchange, _page, _preview

_MOST = 5
"""Most inputs of a year that are printed."""

app = typer.Typer(
    help="Describe, check, repair, preview, import and export stores of embeddings.", no_args_is_help=True
)
app.command("preview")(_preview.preview)
app.command("coverage")(_coverage.coverage)
app.command("catalogue")(_coverage.catalogue)
app.command("check")(_check.check)
app.command("repair")(_check.repair)
app.command("import")(_exchange.import_)
app.command("export")(_exchange.export)
app.command("page")(_page.page)


@app.command("info")
def info(
    store: StoreArgument,
    as_json: JsonOption = False,
) -> None:
    """Describe a store: its model, dimensions, years and, of a folder, the area and cells of each year.

    Example: tessera store info store.zarr
    """
    from tessera.store import open_store

    about: dict[str, Any] = open_store(store).info()
    if as_json:
        print_json(about)
        return
    from tessera.scale import made_from_in_words

    zones = about["zones"]
    rows: list[tuple[str, ...]] = [
        ("store", about["store"]),
        ("model", f"{about['model']['name']} ({about['model']['sha256'][:12]})"),
        ("dims", str(about["dims"])),
        ("years", " ".join(map(str, about["years"])) or "none yet"),
        ("zones", f"{zones[0]} to {zones[-1]}" if len(zones) > 4 else " ".join(map(str, zones))),
    ]
    for year, cells in about.get("cells", {}).items():
        pixels = cells["pixels"]
        names = " ".join(cells["names"][:3]) + (" ..." if cells["count"] > 3 else "")
        if cells["bbox"] is not None:
            rows.append(
                (f"{year} area", f"{','.join(map(str, cells['bbox']))} (zones {' '.join(map(str, cells['zones']))})")
            )
        rows.append(
            (
                year,
                f"{cells['count']} cell{'s' * (cells['count'] != 1)} ({names}), {pixels['valid']:,} pixels valid, "
                f"{pixels['no_data']:,} without data, {cells['bytes'] / 1e6:,.1f} MB",
            )
        )
        made = cells["made_from"]
        for told in made[:_MOST]:
            count = f" ({told['cells']} cell{'s' * (told['cells'] != 1)})" if len(made) > 1 else ""
            rows.append((f"{year} from", made_from_in_words(told) + count))
        if len(made) > _MOST:
            rows.append((f"{year} from", f"{len(made) - _MOST} more; --json prints all"))
    print_table(rows)
