"""What a caller wants of a vector file: one layer, a CRS where the file has none, at most so many features."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.base import InputError, shown

from .crs import parse_crs

MAX_ROWS = 20_000_000


@dataclass(frozen=True)
class Wanted:
    """What to read of a file.

    Attributes
    ----------
    layer : the only layer to read; None: all
    crs : the CRS of coordinates in a file that declares none
    most : features
    """

    layer: str | None = None
    crs: str | None = None
    most: int = MAX_ROWS

    def crs_of(self, declared: object, source: str) -> object:
        """The CRS of a file that declares one, or None.

        Raises
        ------
        InputError
            The file declares another one than the caller gave.
        """
        if self.crs is None:
            return declared
        given = parse_crs(self.crs, "crs")
        if declared is None:
            return self.crs
        held = parse_crs(declared, source)
        if not held.equals(given, ignore_axis_order=True):
            raise InputError(
                f"{source} declares the CRS {shown(held.name, 60)}, not {self.crs}; leave the CRS out (crs=, --crs), "
                "or correct the file"
            )
        return declared

    def check(self, rows: int, source: str) -> None:
        """Raise InputError if a file has more features than are read."""
        if rows > self.most:
            raise InputError(
                f"{source} holds {rows:,} features or more; at most {self.most:,} are read. Save "
                "a part of them, such as a random sample, as a file of its own"
            )


ANYTHING = Wanted()
