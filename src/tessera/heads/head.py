"""A head: a linear model that knows whose embeddings it reads, what it was tested on, and how to draw its classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_output, checked, is_json, read_json, shown, silent, write_atomic
from tessera.embeddings import ModelIdentity
from tessera.figures import parse_colour

from ._report import format_report, parse_metrics
from .codes import NO_DATA, map_values
from .linear import LinearModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress

    from .source import EmbeddingSource

FORMAT = "tessera-head"
VERSION = 1
_KEYS = (
    *("format", "version", "kind", "classes", "colours", "column", "year", "dims", "model"),
    *("weights", "bias", "mean", "std", "metrics"),
)


@dataclass(frozen=True, repr=False)
class Head(LinearModel):
    """What `fit` returns.

    Attributes
    ----------
    classes : K names
    weights, bias, mean, std : (K, D), (K,), (D,), (D,) float32, as in `LinearModel`
    column : the attribute that the classes came from
    year : the year whose embeddings it learnt from
    model : what made them; a store of another model is refused
    colours : "#rrggbb" for each class
    metrics : plain values, the content of the report

    Examples
    --------
    >>> import tessera
    >>> head = tessera.load_head("head.json")
    >>> head.classes, head.year, head.dims
    (('crop', 'forest', 'other'), 2023, 128)
    """

    column: str
    year: int
    model: ModelIdentity
    colours: tuple[str, ...]
    metrics: dict[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dims > self.model.dims:
            raise InputError(f"a head on {self.dims} dims of a model of {self.model.dims}")
        if len(self.colours) != len(self.classes):
            raise InputError(f"{len(self.colours)} colours for {len(self.classes)} classes")
        for colour in self.colours:
            parse_colour(colour)
        for text in (self.column, *self.classes):
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise InputError(f"{shown(text)} holds half of a character (a lone surrogate); expected text")

    def __repr__(self) -> str:
        return (
            f"Head({len(self.classes)} classes of {self.column!r}, {self.dims} dims of {self.model.name}, {self.year})"
        )

    @property
    def dims(self) -> int:
        """Length D of the vectors that it reads; less than the model's where it reads a prefix."""
        return len(self.mean)

    @property
    def values(self) -> tuple[int, ...]:
        """The value of each class on a map: a whole number from 0 to 254 is its own, others take the least left."""
        return map_values(self.classes)

    @checked
    def predict(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The most probable class of each vector, as a map has it.

        Parameters
        ----------
        values : (..., D) float32

        Returns
        -------
        (...) uint8, one of `Head.values`; 255 where a value is not finite

        Raises
        ------
        InputError
            Vectors of another length.

        Examples
        --------
        >>> import tessera
        >>> store, head = tessera.open_store("store.zarr"), tessera.load_head("head.json")
        >>> found = head.predict(store.sample_points([(5.249, 50.692), (5.4, 50.7)], 2023))
        >>> found.shape, found.dtype, int(found[1])  # 255 = no data
        ((2,), dtype('uint8'), 255)
        """
        table = np.full(256, NO_DATA, dtype=np.uint8)
        table[: len(self.classes)] = self.values
        out: NDArray[np.uint8] = table[super().predict(values)]
        return out

    def names(self, predicted: NDArray[np.uint8]) -> NDArray[np.object_]:
        """The class of each value of a map or of `predict`: (...) uint8 -> (...) object, None where it is no class."""
        table = np.full(256, None, dtype=object)
        table[list(self.values)] = self.classes
        out: NDArray[np.object_] = table[np.asarray(predicted, dtype=np.uint8)]
        return out

    def report(self) -> str:
        """A plain text table: labels, split, the value on a map, precision, recall and F1 of each class, balanced
        accuracy, macro-F1."""
        heading = (
            f"linear head: {len(self.classes)} classes, {self.dims} dims, year {self.year}, "
            f"model {self.model.name} ({self.model.sha256[:12]})"
        )
        return format_report(heading, self.metrics, self.classes, self.column)

    @checked
    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write one JSON file, whole or not at all. An earlier head in its place is replaced.

        Parameters
        ----------
        path : the file
        overwrite : whether a file that is no head is replaced too

        Raises
        ------
        InputError
            The file cannot be written, or another file is there.

        Examples
        --------
        >>> import tessera
        >>> head = tessera.fit(tessera.open_store("store.zarr"), "labels.geojson", "class")
        >>> path = head.save("landcover.json")
        >>> tessera.load_head(path).classes == head.classes
        True
        """
        path = check_head(path, overwrite=overwrite)
        value = {
            "format": FORMAT,
            "version": VERSION,
            "kind": "linear",
            "classes": list(self.classes),
            "colours": list(self.colours),
            "column": self.column,
            "year": self.year,
            "dims": self.dims,
            "model": self.model.to_json(),
            "weights": self.weights.tolist(),
            "bias": self.bias.tolist(),
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
            "metrics": self.metrics,
        }
        try:
            write_atomic(path, (json.dumps(value, allow_nan=False, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            raise InputError(f"cannot write the head {path}: {error.strerror or error}") from None
        return path

    @checked
    def map(
        self,
        store: EmbeddingSource,
        area: object,
        year: int | None = None,
        out: str | Path = "map.tif",
        *,
        png: bool = True,
        overwrite: bool = False,
        progress: Progress = silent,
    ) -> Path:
        """Draw the classes of an area as a GeoTIFF, with a picture and its legend in files beside it.

        The GeoTIFF is tiled uint8 with a colour table, overviews and nodata 255 (no embedding, or the pixel's centre is
        outside the area). A pixel holds one of `Head.values`: class 10 of the labels is 10, a class with a name has the
        value that the report shows. Beside map.tif lie map.classes.csv (value, name, colour, pixels, hectares), map.qml
        (the style that QGIS takes by itself), map.tif.aux.xml (names for GDAL) and map.png. Memory is bounded by a
        strip of rows. The files appear when complete, or not at all.

        Parameters
        ----------
        store : embeddings of the same model
        area : what `tessera.geo.parse_area` reads, or a lattice Window
        year : None: the year that the head learnt from
        out : path ending in .tif or .tiff
        png : whether to write the picture
        overwrite : whether files in its place that are no earlier map are replaced too
        progress : called with the rows done and their total

        Returns
        -------
        the path of the GeoTIFF

        Raises
        ------
        InputError
            A store of another model or of fewer dims, a year that it does not hold, an area without data, or a path
            that cannot be written or holds another file.

        Examples
        --------
        >>> import tessera
        >>> store, head = tessera.open_store("store.zarr"), tessera.load_head("head.json")
        >>> head.map(store, "5.246,50.691,5.252,50.694", out="map.tif").name
        'map.tif'
        """
        from .raster import write_map

        return write_map(self, store, area, year, out, png=png, overwrite=overwrite, progress=progress)


def check_head(path: str | Path, *, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Look at the file that a head is about to be saved to, before it is fitted.

    Parameters
    ----------
    path : the file
    inputs, overwrite : as `tessera.base.check_output` takes them

    Raises
    ------
    InputError
        It may not be written, or another file is there.
    """
    return check_output(path, "head", inputs=inputs, ours=is_json(format=FORMAT), overwrite=overwrite)


@checked
def load_head(path: str | Path) -> Head:
    """Read what `Head.save` wrote.

    Raises
    ------
    InputError
        The file is missing, of another format or version, or holds sizes or numbers that no head has.

    Examples
    --------
    >>> import tessera
    >>> tessera.load_head("head.json").column
    'class'
    """
    path = Path(path)
    try:
        value = read_json(path, what="head")
    except OSError as error:
        raise InputError(f"cannot read the head {path}: {error.strerror or error}") from None
    if value.get("format") != FORMAT:
        raise InputError(f"{path} has format {value.get('format')!r}; expected {FORMAT!r}")
    if value.get("version") != VERSION or isinstance(value.get("version"), bool):
        raise InputError(f"head {path} has version {value.get('version')!r}; this release reads {VERSION}")
    if value.get("kind") != "linear":
        raise InputError(f"head {path} is of kind {value.get('kind')!r}; this release reads 'linear'")
    try:
        return _from_json(value)
    except InputError as error:
        raise InputError(f"head {path}: {error}") from None


def _from_json(value: dict[str, Any]) -> Head:
    if set(value) != set(_KEYS):
        lacking, strange = sorted(set(_KEYS) - set(value)), sorted(set(value) - set(_KEYS))
        raise InputError(f"lacks {lacking} and has {strange} besides; expected {', '.join(_KEYS)}")
    classes, colours = _texts(value["classes"], "classes"), _texts(value["colours"], "colours")
    year, dims = value["year"], value["dims"]
    for number, what in ((year, "year"), (dims, "dims")):
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise InputError(f"{what} {number!r}; expected a whole number above 0")
    if not isinstance(value["column"], str):
        raise InputError(f"column {value['column']!r}; expected text")
    if not isinstance(value["weights"], list) or len(value["weights"]) != len(classes):
        raise InputError(f"weights that are no list of {len(classes)} rows, one a class")
    try:
        model = ModelIdentity.from_json(value["model"])
    except (ValueError, OverflowError) as error:
        raise InputError(f"model: {error}") from None
    return Head(
        classes=classes,
        weights=np.array([_vector(row, dims, "weights") for row in value["weights"]], dtype=np.float32).reshape(
            -1, dims
        ),
        bias=_vector(value["bias"], len(classes), "bias"),
        mean=_vector(value["mean"], dims, "mean"),
        std=_vector(value["std"], dims, "std"),
        column=value["column"],
        year=year,
        model=model,
        colours=colours,
        metrics=parse_metrics(value["metrics"], classes),
    )


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise InputError(f"{what} are no list of texts")
    return tuple(value)


def _vector(value: Any, size: int, what: str) -> NDArray[np.float32]:
    numbers: Sequence[Any] = value if isinstance(value, list) else ()
    if not isinstance(value, list) or len(numbers) != size:
        raise InputError(f"{what} with {len(numbers)} numbers; expected {size}")
    if not all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in numbers):
        raise InputError(f"{what} with an entry that is no number")
    limit = float(np.finfo(np.float32).max)
    if not all(-limit <= item <= limit for item in numbers):
        raise InputError(f"{what} with a number that is not finite in float32")
    return np.array(numbers, dtype=np.float32)
