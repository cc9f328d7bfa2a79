"""A figure to draw on, and its PNG: the same figure gives the same bytes, whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from tessera.base import InputError, png_mark, require, write_atomic


def new_figure(width: float, height: float, *, dpi: int = 150, layout: str | None = None) -> Any:
    """A matplotlib figure of its own, without pyplot: no global state and no screen.

    Parameters
    ----------
    width, height : inches
    dpi : dots an inch, also of its PNG
    layout : "constrained" to have matplotlib place the axes

    Raises
    ------
    InputError
        matplotlib is not installed.
    """
    figures: Any = require("matplotlib.figure", extra="heads", purpose="a picture")
    canvas: Any = require("matplotlib.backends.backend_agg", extra="heads", purpose="a picture")
    figure = figures.Figure((width, height), dpi=dpi, layout=layout, facecolor="white")
    canvas.FigureCanvasAgg(figure)
    return figure


def figure_png(figure: Any, kind: str, *, margin: float | None = None) -> bytes:
    """A figure as the bytes of a PNG; it says no version and no time.

    Parameters
    ----------
    kind, margin : as `save_figure` takes them
    """
    cut = {} if margin is None else {"bbox_inches": "tight", "pad_inches": margin}
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=figure.dpi, metadata=png_mark(kind), **cut)
    return file.getvalue()


def save_figure(figure: Any, path: str | Path, kind: str, *, margin: float | None = None) -> Path:
    """Write a figure as a PNG; it says no version and no time.

    Parameters
    ----------
    kind : as `tessera.base.png_mark` marks it
    margin : inches around what was drawn, to which the picture is cut; None keeps the figure's own size

    Raises
    ------
    InputError
        The path cannot be written.
    """
    data = figure_png(figure, kind, margin=margin)
    try:
        write_atomic(Path(path), data)
    except OSError as error:
        raise InputError(f"cannot write the picture {path}: {error.strerror or error}") from None
    return Path(path)
