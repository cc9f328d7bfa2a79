"""tessera labels FILE: what a file of labels holds, and whether it is enough."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..terminal import JsonOption, KindOption, print_json, step


def labels_of_file(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Vector file or table of points or polygons.")],
    column: Annotated[str, typer.Option(help="Column that holds the class or the number.")],
    kind: KindOption = None,
    as_json: JsonOption = False,
) -> None:
    """Describe labels of a file: classes or numbers, what is left out, and whether each class has enough.

    Example: tessera labels file plots.geojson --column crop
    """
    from tessera.labels import read_labels

    with step("Reading labels"):
        labels = read_labels(file, column, kind)
    about: dict[str, Any] = {"kind": labels.kind, "labels": len(labels), "classes": list(labels.classes)}
    if as_json:
        print_json(about)
    else:
        print(labels)
