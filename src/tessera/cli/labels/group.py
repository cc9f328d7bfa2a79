"""The group `tessera labels`, whose command for files is what runs where no other is named."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from . import _file, _osm


class _FileByDefault(TyperGroup):
    """`tessera labels plots.geojson ...` means `tessera labels file plots.geojson ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the default command before arguments that name none."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


_DEFAULT = "file"

app = typer.Typer(
    cls=_FileByDefault,
    help=(
        "Look at labelled points, polygons or rasters before you fit a head: what is in the file, what is left out and "
        "why, and whether each class has enough. `tessera labels FILE` is short for `tessera labels file FILE`."
    ),
    no_args_is_help=True,
    epilog="Example: tessera labels plots.geojson --column crop --store store.zarr --png labels.png",
)
app.command(_DEFAULT)(_file.labels_of_file)
app.command("osm")(_osm.labels_of_osm)
