"""A head: a model that knows whose embeddings it reads, what it was tested on, and how to draw what it predicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_output, checked, is_json, printable, shown, silent
from tessera.embeddings import CodedVectors, StackedVectors
from tessera.figures import parse_colour
from tessera.labels import CLASSES, NO_DATA, NUMBERS, Labels, check_class_names, map_values, read_labels
from tessera.learners import SPATIAL
from tessera.maps import TOLERANCE, edges_of, head_digest, write_map
from tessera.reports import write_report, years_text

from ._file import FORMAT, read_head, write_head
from ._report import format_report
from ._tensors import check_tensors, tensors_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.embeddings import ModelIdentity
    from tessera.labels import EmbeddingSource
    from tessera.learners import Model
    from tessera.validation import Applicability, Trust

    from .inputs import HeadInput


@dataclass(frozen=True, repr=False)
class Head:
    """A model that predicts classes or numbers from vectors: `fit` and `load_head` return one.

    Attributes
    ----------
    head : name of the learner, such as "forest"
    learnt : the learner itself: `predict`, `probabilities` and `arrays`, with classes as their index
    classes : K names; () of numbers
    span : smallest and largest number that it learnt from; None of classes
    column : the attribute that the labels came from
    inputs : the years and stores whose vectors it reads, in the order of the features
    colours : "#rrggbb" of each class, or of each range of numbers
    metrics : plain values, the content of the report
    trust : what turns scores into probabilities that hold, sets and intervals; None if that was not estimated
    applicability : how far a vector is from the labels; None if that was not estimated
    provenance : plain values: what the head was made from, and how

    Examples
    --------
    >>> import tessera
    >>> head = tessera.load_head("head.json")
    >>> head.classes, head.year, head.dims
    (('crop', 'forest', 'other'), 2023, 128)
    """

    head: str
    learnt: Model
    classes: tuple[str, ...]
    span: tuple[float, float] | None
    column: str
    inputs: tuple[HeadInput, ...]
    colours: tuple[str, ...]
    metrics: dict[str, Any]
    trust: Trust | None = None
    applicability: Applicability | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.classes)
        if count != self.learnt.classes or len(set(self.classes)) != count or (self.span is None) != bool(count):
            raise InputError(
                f"{count} classes for a model of {self.learnt.classes}; expected as many of distinct names"
            )
        dims = sum(one.dims for one in self.inputs)
        if dims != self.dims or not self.inputs:
            raise InputError(f"{len(self.inputs)} inputs of {dims} dims for a model of {self.dims}")
        if self.trust is not None and (self.trust.calibration is None) != (count == 0):
            raise InputError("a trust of numbers and a head of classes, or the reverse; expected both of one kind")
        if self.applicability is not None and self.applicability.dims != self.dims:
            raise InputError(f"an applicability of {self.applicability.dims} dims; expected {self.dims}")
        colours = count or len(self.edges) + 1
        if len(self.colours) != colours:
            raise InputError(f"{len(self.colours)} colours for {colours} {'classes' if count else 'ranges'}")
        for colour in self.colours:
            parse_colour(colour)
        if "" in self.classes:
            raise InputError(f"a class of column {shown(self.column)} has no name; expected text")
        check_class_names(self.classes, "the head")
        for text in (self.column, *self.classes):
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise InputError(f"{shown(text)} holds half of a character (a lone surrogate); expected text")

    def __repr__(self) -> str:
        what = f"{len(self.classes)} classes" if self.classes else "numbers"
        model = printable(self.model.name)
        return f"Head({self.head}, {what} of {self.column!r}, {self.dims} dims of {model}, {self.year})"

    @property
    def kind(self) -> str:
        """ "classification" or "regression"."""
        return CLASSES if self.classes else NUMBERS

    @property
    def dims(self) -> int:
        """Length D of the vectors that it reads, of all inputs together; less than the model's if it learnt from a
        prefix."""
        return self.learnt.dims

    @property
    def year(self) -> int:
        """The year of the first input."""
        return self.inputs[0].year

    @property
    def model(self) -> ModelIdentity:
        """What made the embeddings of the first input."""
        return self.inputs[0].model

    @property
    def values(self) -> tuple[int, ...]:
        """The value of each class on a map.

        A class that is a whole number from 0 to 254 is its own value; others take the smallest free ones.
        """
        return map_values(self.classes)

    @property
    def edges(self) -> tuple[float, ...]:
        """The borders between the ranges in a map's legend, of numbers; () of classes."""
        return () if self.span is None else edges_of(*self.span)

    @checked
    def predict(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """The most probable class of each vector, or its number, as on a map.

        Parameters
        ----------
        values : (..., D) float32

        Returns
        -------
        (...) uint8, one of `values`, 255 where a vector is not finite. Of numbers (...) float32, NaN where it is not
        finite.

        Raises
        ------
        InputError
            The vectors have another length.

        Examples
        --------
        >>> import tessera
        >>> store, head = tessera.open_store("store.zarr"), tessera.load_head("head.json")
        >>> found = head.predict(store.sample_points([(5.249, 50.692), (5.4, 50.7)], 2023))
        >>> found.shape, found.dtype, int(found[1])  # 255 = no data
        ((2,), dtype('uint8'), 255)
        """
        return self._on_map(self.learnt.predict(values))

    @checked
    def predict_codes(self, vectors: StackedVectors | CodedVectors) -> NDArray[Any]:
        """As `predict`, of vectors as a store keeps them. A map holds these values.

        Parameters
        ----------
        vectors : (...) codes and scales of each of `inputs`, in their order

        Returns
        -------
        (...) uint8, one of `values`, 255 where a part is no data. Of numbers (...) float32, NaN = no data.

        Raises
        ------
        InputError
            The vectors have another length.

        Examples
        --------
        >>> import tessera
        >>> store, head = tessera.open_store("store.zarr"), tessera.load_head("head.json")
        >>> found = head.predict_codes(store.sample_codes([(5.249, 50.692), (5.4, 50.7)], 2023))
        >>> found.shape, found.dtype, int(found[1])  # 255 = no data
        ((2,), dtype('uint8'), 255)
        """
        return self._on_map(self.learnt.predict_codes(StackedVectors.of(vectors)))

    def _on_map(self, found: NDArray[Any]) -> NDArray[Any]:
        """The values on a map of what the learner predicts."""
        if not self.classes:
            return found
        table = np.full(256, NO_DATA, dtype=np.uint8)
        table[: len(self.classes)] = self.values
        out: NDArray[Any] = table[found]
        return out

    @checked
    def probabilities(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of each class.

        They are those of the learner, not calibrated. All classes weigh the same, unless the head was fitted with
        weights="occur" (of "knn": always as often as labelled). Where a class is rare on the ground, its probability is
        then too high. A map's probabilities are those of `trust`, which calibrates them where that helps.

        Parameters
        ----------
        values : (..., D) float32

        Returns
        -------
        (..., K) float32, NaN where a vector is not finite.

        Raises
        ------
        InputError
            The vectors have another length, or the head predicts numbers.
        """
        return self.learnt.probabilities(values)

    @checked
    def probabilities_codes(self, vectors: StackedVectors | CodedVectors) -> NDArray[np.float32]:
        """As `probabilities`, of vectors as a store keeps them.

        Parameters
        ----------
        vectors : (...) codes and scales of each of `inputs`, in their order

        Returns
        -------
        (..., K) float32, NaN where a part is no data.

        Raises
        ------
        InputError
            The vectors have another length, or the head predicts numbers.
        """
        return self.learnt.probabilities_codes(StackedVectors.of(vectors))

    def names(self, predicted: NDArray[np.uint8]) -> NDArray[np.object_]:
        """The class of each value of a map.

        Parameters
        ----------
        predicted : (...) uint8, as `predict` returns them

        Returns
        -------
        (...) object: names, None where the value is no class.
        """
        table = np.full(256, None, dtype=object)
        table[list(self.values)] = self.classes
        out: NDArray[np.object_] = table[np.asarray(predicted, dtype=np.uint8)]
        return out

    def report(self) -> str:
        """The report as text: labels, split, and scores with 95 % intervals.

        For each class also its value on a map, precision, recall and F1.
        """
        what = f"{len(self.classes)} classes" if self.classes else "numbers"
        years = years_text(self.metrics, self.year)
        models = dict.fromkeys(f"{one.model.name} ({one.model.sha256[:12]})" for one in self.inputs)
        heading = (
            f"{self.head} head: {what}, {self.dims} dims, year{'s' * (',' in years)} {years}, "
            f"model{'s' * (len(models) > 1)} {' and '.join(models)}"
        )
        return format_report(heading, self.metrics, self.classes, self.column, self.span)

    @checked
    def write_report(
        self,
        path: str | Path,
        map: str | Path | None = None,  # noqa: A002 - the word for it
        *,
        sample: object = None,
        column: str | None = None,
        design: str = "stratified",
        overwrite: bool = False,
    ) -> Path:
        """Write the report as one page of HTML: open it by double click, print it, send it by mail.

        It shows scores with intervals beside those of a random split, each class, confusions, whether probabilities and
        sets hold what they say, a learning curve, where the labels lie, the worst examples with their place, what the
        head was made from, and a paragraph of methods with references. With a map it also shows the map and the area of
        each class. The page loads nothing from a network. What was not measured is left out.

        Parameters
        ----------
        path : ends in .html; an earlier report in its place is replaced
        map : a GeoTIFF that `map` wrote with this head
        sample : labelled points that were drawn at random on the map and did not train it, as `read_labels` reads them;
            the area of each class is then estimated, with its interval
        column : of the sample that holds the class; the head's own if None
        design : how the sample was drawn: "random", or "stratified", within each class of the map
        overwrite : replace a file that is not a report, too

        Returns
        -------
        The path.

        Raises
        ------
        InputError
            The path does not end in .html or cannot be written, another file is there, or the map is of another head.

        Examples
        --------
        >>> import tessera
        >>> tessera.load_head("head.json").write_report("report.html").name
        'report.html'
        """
        labels = sample if sample is None or isinstance(sample, Labels) else None
        if sample is not None and labels is None:
            labels = read_labels(sample, self.column if column is None else column, CLASSES)
        digest = None if map is None else head_digest(self)
        return write_report(self, path, map, sample=labels, design=design, digest=digest, overwrite=overwrite)

    @checked
    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the head as one JSON file, whole or not at all. An earlier head in its place is replaced.

        A "unet" has its weights in a second file beside it, which ends in .safetensors. Keep the two together.

        Parameters
        ----------
        path : the file
        overwrite : replace a file that is not a head, too

        Returns
        -------
        The path.

        Raises
        ------
        InputError
            The file cannot be written or would be too large, or another file is there.

        Examples
        --------
        >>> import tessera
        >>> head = tessera.fit(tessera.open_store("store.zarr"), "labels.geojson", "class")
        >>> path = head.save("landcover.json")
        >>> tessera.load_head(path).classes == head.classes
        True
        """
        path = check_head(path, head=self.head, overwrite=overwrite)
        write_head(path, vars(self))
        return path

    @checked
    def map(
        self,
        store: EmbeddingSource | str | Path | Sequence[EmbeddingSource | str | Path],
        area: object,
        year: int | Sequence[int] | None = None,
        out: str | Path = "map.tif",
        *,
        probabilities: bool = False,
        uncertainty: bool = False,
        abstain: bool = False,
        polygons: str | Path | None = None,
        tolerance: float = TOLERANCE,
        min_area_ha: float = 0.0,
        png: bool = True,
        overwrite: bool = False,
        progress: Progress = silent,
    ) -> Path:
        """Map an area as a cloud-optimised GeoTIFF, with a picture and a legend in files beside it.

        Of classes the GeoTIFF is uint8 with a colour table, overviews by the commonest class and nodata 255. A pixel
        holds one of `values`. Of numbers it is float32 with nodata NaN and overviews by the mean, and the legend shows
        ranges. A pixel without an embedding, or whose centre lies outside the area, is nodata. The map lies in the UTM
        zone of the area's centre; the nearest pixels of other zones fill it where the area crosses a border.

        Beside map.tif lie map.classes.csv (value, name, colour, pixels, hectares), map.qml (style of QGIS),
        map.tif.aux.xml (names or statistics for GDAL) and map.png. All files appear together when they are complete. A
        run that was stopped goes on where it stopped when it is called again, and gives the same bytes.

        Parameters
        ----------
        store : embeddings of the same model, open or at a path or URL; for a head that reads several stores, one for
            each input in their order
        area : what `parse_area` reads, or a `Window`
        year : one of the store's years, or one for each input; the years that the head learnt from if None
        out : a path that ends in .tif or .tiff
        probabilities : write map.probabilities.tif, a band of per cent a class (uint8, nodata 255), calibrated if the
            head can
        uncertainty : write map.uncertainty.tif (float32, nodata NaN) and a picture of it. Bands of classes: probability
            of the predicted class, set_size, abstained; of numbers: lower, upper, width of the interval; applicability:
            distance to the labels, 1 = the end of the area of applicability
        abstain : give pixels where the head is too uncertain a value of their own
        polygons : write the patches of classes, or of ranges of numbers, as polygons to a .gpkg, .parquet or .fgb, with
            their class, area and mean probability (or mean number)
        tolerance : by how many metres the shared borders of polygons are simplified; 0 keeps the sides of pixels
        min_area_ha : patches of a class with a smaller area, hectares, take the class of the neighbouring patch with
            which they share most border
        png : write pictures
        overwrite : replace files that are not an earlier map, too
        progress : called as `progress(done, total)`, rows: once where they are predicted, and again for each pass over
            them while files are made

        Returns
        -------
        The path of the GeoTIFF.

        Raises
        ------
        InputError
            A store is of another model, has fewer dims or lacks the year; the area has no data; the head cannot tell
            what is asked; another process makes this map; or the path cannot be written or holds another file.

        Examples
        --------
        >>> import tessera
        >>> store, head = tessera.open_store("store.zarr"), tessera.load_head("head.json")
        >>> head.map(store, "5.246,50.691,5.252,50.694", out="map.tif").name
        'map.tif'
        """
        return write_map(
            self,
            store,
            area,
            year,
            out,
            probabilities=probabilities,
            uncertainty=uncertainty,
            abstain=abstain,
            polygons=polygons,
            tolerance=tolerance,
            min_area_ha=min_area_ha,
            png=png,
            overwrite=overwrite,
            progress=progress,
        )


def head_files(path: str | Path, head: str) -> tuple[Path, ...]:
    """The files of a saved head of this learner: its JSON, and of a "unet" the weights beside it."""
    return (Path(path), tensors_path(Path(path))) if head in SPATIAL else (Path(path),)


def check_head(path: str | Path, *, head: str = "", inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Look at the file that a head is about to be saved to, before it is fitted.

    Parameters
    ----------
    path : the file
    head : name of the learner; a "unet" has a second file
    inputs, overwrite : as `tessera.base.check_output` takes them

    Raises
    ------
    InputError
        It may not be written, or another file is there.
    """
    inputs = tuple(inputs)
    if head in SPATIAL:
        check_tensors(Path(path), inputs=inputs, overwrite=overwrite)
    return check_output(path, "head", inputs=inputs, ours=is_json(format=FORMAT), overwrite=overwrite)


@checked
def load_head(path: str | Path) -> Head:
    """Read a head that `Head.save` wrote.

    Parameters
    ----------
    path : the file

    Raises
    ------
    InputError
        The file is missing, of another format or version, or damaged.

    Examples
    --------
    >>> import tessera
    >>> tessera.load_head("head.json").column
    'class'
    """
    return head_of(read_head(Path(path)), path)


def head_of(fields: Mapping[str, Any], path: object) -> Head:
    """A head of the fields of its file; `path` names it in messages.

    Raises
    ------
    InputError
        They contradict each other.
    """
    try:
        return Head(**fields)
    except InputError as error:
        raise InputError(f"head {path}: {error}") from None
