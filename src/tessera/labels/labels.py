"""Labels: a class or a number each, with what keeps labels together and where they lie."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

CLASSES, NUMBERS = "classification", "regression"
KINDS = (CLASSES, NUMBERS)
FEW_LABELS = 12
"""Labels up to which as many classes mean that labels are too few, not that they are no classes."""
FEATURE = "feature"
"""What a group is where no column names groups."""
MOST_LETTERS = 254
"""Of the name of a class: what a column of a shapefile holds. Legends, tags and tables carry it."""
MAX_CLASSES = 255
"""A map of classes is uint8, and 255 stands for no data."""
COUNTED = {
    "shape": "features that are neither points nor polygons are left out",
    "flat": "polygons without an area are left out",
    "repaired": "invalid polygons were repaired",
    "small": "polygons hold no pixel centre; each is one pixel, of a place inside",
    "capped": "large polygons are represented by some of their pixels",
    "edge": "pixels at the border of their polygon are left out",
    "nodata": "pixels of the raster have no data",
    "beyond": "pixels lie beyond 80 S or 84 N and are left out",
    "duplicate": "labels repeat the pixel and value of another and are merged with it",
    "conflict": "labels lie in pixels with several classes and are left out",
    "averaged": "numbers lie in a pixel with other numbers, of which the mean is kept",
    "ungrouped": "features without a group are groups of their own",
}
"""What a reader of labels counts, and what to say of it behind the number."""
_LARGEST = float(np.finfo(np.float32).max)
"""A map of numbers is float32."""


@dataclass(frozen=True, repr=False)
class Labels:
    """N labelled pixels: of places in a store, or with observations of their own.

    Attributes
    ----------
    values : (N,) object, the class of each as text; or float64, the number of each
    kind : "classification" or "regression"
    groups : (N,) int64; labels of one group (a polygon, a field, a site) are never in training and test at once; None
        where every label stands alone
    lonlat : (N, 2) float64, degrees; None where unknown
    test : (N,) bool, a split that comes with the data: true = never learnt from; None where there is none
    series : N pixel-years of observations, a `tessera.cubes.PixelSeries`; None for places in a store
    source : what to call them
    column : the name of the class or number
    missing : features left out because their value or geometry is missing
    notes : what the reader of a report has to know of how they were read
    regions : (N,) object, the name of the region of each label, for tests in regions that were not learnt from; None
        where unknown
    years : (N,) int64, the year for which each label is true; None: for every year
    counts : what the reader left out, merged or repaired, and how many; the keys are those of `COUNTED`
    grouped_by : what a group is: the name of a column, or `FEATURE`, a feature of the file; "" where it is not known
    group_names : the values of that column, by number; groups beyond them are features, by their place in the file

    Raises
    ------
    InputError
        An array of another shape or dtype, another kind, classes that are no text, numbers that are not finite or
        beyond float32, or no label at all.

    Examples
    --------
    >>> import numpy as np, tessera
    >>> places = np.array([[5.247, 50.691], [5.249, 50.692]])
    >>> labels = tessera.Labels(np.array(["crop", "forest"], dtype=object), lonlat=places)
    >>> len(labels), labels.classes
    (2, ('crop', 'forest'))
    """

    values: NDArray[Any]
    kind: str = CLASSES
    groups: NDArray[np.int64] | None = None
    lonlat: NDArray[np.float64] | None = None
    test: NDArray[np.bool_] | None = None
    series: Any = None
    source: str = "labels"
    column: str = "label"
    missing: int = 0
    notes: tuple[str, ...] = ()
    regions: NDArray[np.object_] | None = None
    years: NDArray[np.int64] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    grouped_by: str = ""
    group_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.values)
        if self.kind not in KINDS:
            raise InputError(f"kind {self.kind!r}; expected {' or '.join(KINDS)}")
        if self.values.shape != (count,) or count == 0:
            raise InputError(f"labels of shape {self.values.shape}; expected (N,) of at least one")
        if self.kind == NUMBERS and (self.values.dtype != np.float64 or not (np.abs(self.values) <= _LARGEST).all()):
            held = f"labels of {self.values.dtype} to regress"
            raise InputError(f"{self.source}: {held}; expected finite float64, up to {_LARGEST:.2g}")
        if self.kind == CLASSES:
            other = next((type(value).__name__ for value in self.values.tolist() if not isinstance(value, str)), None)
            if self.values.dtype != object or other is not None:
                raise InputError(
                    f"{self.source}: labels of {other or self.values.dtype} to classify; expected text (object)"
                )
            check_class_names(self.values.tolist(), self.source)
        for name, array, dtype, shape in (
            ("groups", self.groups, np.int64, (count,)),
            ("lonlat", self.lonlat, np.float64, (count, 2)),
            ("test", self.test, np.bool_, (count,)),
            ("regions", self.regions, np.object_, (count,)),
            ("years", self.years, np.int64, (count,)),
        ):
            if array is not None and (array.dtype != dtype or array.shape != shape):
                raise InputError(
                    f"{self.source}: {name} {array.dtype} {array.shape} for {count} labels; "
                    f"expected {np.dtype(dtype)} {shape}"
                )
        if self.series is not None and len(self.series) != count:
            raise InputError(f"{self.source}: {len(self.series)} pixel-years for {count} labels; expected as many")

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Labels({len(self)} of {self.column}, {self.kind}, {self.source})"

    def group_name(self, group: int) -> str:
        """A group as its owner knows it: the value of its column, or "feature 55", counted from 0 in the file."""
        if 0 <= group < len(self.group_names):
            return self.group_names[group]
        return f"{FEATURE} {group - len(self.group_names)}" if self.grouped_by else str(group)

    @property
    def counted(self) -> tuple[str, ...]:
        """`counts` in words, one sentence each, such as "3 invalid polygons were repaired"."""
        return tuple(f"{self.counts[key]:,} {text}" for key, text in COUNTED.items() if self.counts.get(key))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in numerical order where all are whole numbers, else in alphabetical order; () of numbers."""
        return () if self.kind == NUMBERS else sort_classes(self.values)


def sort_classes(values: NDArray[np.object_]) -> tuple[str, ...]:
    """Distinct values, in numerical order where all are whole numbers, else in alphabetical order."""
    names = sorted({str(value) for value in values})
    try:
        return tuple(sorted(names, key=int))
    except ValueError:
        return tuple(names)


def parse_kind(kind: str | None) -> str | None:
    """A kind of labels, or None where the labels themselves tell.

    Raises
    ------
    InputError
        There is no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind {kind!r}; expected {' or '.join(KINDS)}")
    return kind


def parse_labels(values: Any, kind: str | None, what: str) -> tuple[NDArray[Any], str]:
    """Labels as `Labels` holds them, and their kind: numbers with fractions are regressed, all else is classified.

    Raises
    ------
    InputError
        Numbers with a fraction to classify, text to regress, missing values, or as many classes as labels.
    """
    array = np.asarray(values)
    number = array.dtype.kind in "fiu"
    with np.errstate(invalid="ignore"):
        parts = array.dtype.kind == "f" and bool((array != np.rint(array)).any())
    chosen = parse_kind(kind) or (NUMBERS if parts else CLASSES)
    if chosen == NUMBERS:
        if not number:
            raise InputError(f"{what} holds {array.dtype} values; expected numbers for a regression")
        out = array.astype(np.float64)
        if not np.isfinite(out).all():
            raise InputError(f"{what} holds {int((~np.isfinite(out)).sum())} values that are not finite")
        return out, chosen
    if array.dtype.kind == "f":
        if parts or not np.isfinite(array).all():
            raise InputError(
                f"{what} holds numbers with a fraction; expected classes, or kind='{NUMBERS}' (--kind {NUMBERS})"
            )
        array = array.astype(np.int64)
    out = np.array([class_text(str(value)) for value in array.tolist()], dtype=object)
    distinct = len(set(out.tolist()))
    if distinct > MAX_CLASSES or (len(out) > FEW_LABELS and distinct == len(out)):
        advice = f", or kind='{NUMBERS}' (--kind {NUMBERS}) for numbers" if number else ""
        raise InputError(f"{what} has {distinct} distinct values in {len(out)} labels; expected classes{advice}")
    return out, chosen


def check_class_names(names: Iterable[str], source: str) -> None:
    """Refuse names of classes that are too long; labels of vector files and rasters, and heads, are checked here.

    Raises
    ------
    InputError
        A name has more than `MOST_LETTERS` letters.
    """
    longest = max(names, key=len, default="")
    if len(longest) > MOST_LETTERS:
        raise InputError(
            f"{source}: class {shown(longest, 40)} has {len(longest):,} letters; expected at most {MOST_LETTERS}"
        )


def class_text(text: str) -> str:
    """A class as it is compared: without white space around it, its accents composed."""
    return unicodedata.normalize("NFC", text.strip())


def alike_notes(names: set[str]) -> list[str]:
    """What to say of classes that a person may take for one: by case, white space within, or zeros before a number."""
    same: dict[str, list[str]] = {}
    for name in sorted(names):
        key = " ".join(name.casefold().split())
        digits = key.isascii() and key.isdigit()
        same.setdefault((key.lstrip("0") or "0") if digits else key, []).append(name)
    return [
        f"{' and '.join(shown(name, 40) for name in alike[:4])} are different classes; expected one spelling if they "
        "are the same"
        for alike in same.values()
        if len(alike) > 1
    ]
