"""What to say of scores that rest on few places, and of prediction sets that rule out little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessera.labels import FEW_PLACES, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_LISTED = 6
"""Classes that are named; of more the report marks each in its table."""
_WIDE = 0.75
"""Share of the classes from which on a prediction set rules out little."""


def few_tested(places: Mapping[str, int]) -> dict[str, int]:
    """The classes that were tested on fewer than 20 places, and on how many; those that were not tested have no score.

    Parameters
    ----------
    places : class -> tested polygons, points or groups; 0 where the class was not tested
    """
    return {name: count for name, count in places.items() if 0 < count < FEW_PLACES}


def few_tested_text(places: Mapping[str, int]) -> str:
    """A sentence on such classes; "" where there are none."""
    few, tested = few_tested(places), sum(count > 0 for count in places.values())
    if not few:
        return ""
    listed = ", ".join(f"{one_line(name, 40)} ({count})" for name, count in few.items())
    if len(few) > _LISTED:
        low, high = min(few.values()), max(few.values())
        listed = f"{low} each" if low == high else f"{low} to {high} each"
    count = f"all {tested}" if len(few) == tested else f"{len(few)} of {tested}"
    verb = "was" if len(few) == 1 < tested else "were"
    return (
        f"{count} tested classes {verb} tested on fewer than {FEW_PLACES} places (polygons, points or "
        f"groups): {listed}. Their scores are uncertain, and so are scores that count each "
        "class the same, such as macro-F1."
    )


def wide_sets_text(size: float | None, classes: int) -> str:
    """A sentence where prediction sets hold most classes on average; "" elsewhere."""
    if size is None or classes < 2 or size < max(1.5, _WIDE * classes):
        return ""
    return (
        f"A set holds {size:.1f} of {classes} classes on average: with that confidence the head can rule out hardly "
        "any class. Take the map as a first guess. More labels help, and so does merging classes that are confused."
    )
