"""Settings of learners: their defaults, their limits, and what a search tries."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Setting:
    """One setting of a learner: a number between limits, or a word.

    Attributes
    ----------
    default : the learner's own value
    low, high : limits of a number, both included; whole numbers if both are; None: no number
    words : words that stand for themselves
    tried : values that a search tries, for classes
    tried_numbers : the same for numbers; None: as for classes
    """

    default: float | str
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    tried: tuple[float | str, ...] = ()
    tried_numbers: tuple[float | str, ...] | None = None

    def parse(self, name: str, value: Any) -> float | str:
        """A value of this setting, from a number or a text.

        Raises
        ------
        InputError
            Another word, or no number between the limits.
        """
        if isinstance(value, str) and value.strip() in self.words:
            return value.strip()
        if self.low is not None and self.high is not None:
            try:
                number = float("nan") if isinstance(value, bool) else float(value)
            except (TypeError, ValueError, OverflowError):
                number = float("nan")
            if self.low <= number <= self.high and not (self.whole and number != int(number)):
                return int(number) if self.whole else number
        raise InputError(f"setting {name} {shown(value)}; expected {self.expected}")

    @property
    def whole(self) -> bool:
        """Whether a number has to be whole."""
        return {type(self.low), type(self.high)} == {int}

    @property
    def expected(self) -> str:
        """What a message says of the values."""
        said = list(self.words)
        if self.low is not None:
            whole = "a whole number" if self.whole else "a number"
            said.append(f"{whole} from {self.low:,} to {self.high:,}")
        return " or ".join(said)

    def values_tried(self, classes: int) -> tuple[float | str, ...]:
        """What a search tries: of classes, or of numbers where `classes` is 0."""
        return self.tried if classes or self.tried_numbers is None else self.tried_numbers


def parse_own(head: str, own: Mapping[str, Setting], given: Mapping[str, Any] | str | None) -> dict[str, float | str]:
    """Settings of a learner: a mapping, or a text such as "neighbours=7,vote=distance".

    Raises
    ------
    InputError
        The learner has no such setting, one is given twice, or a value is outside its limits.
    """
    out: dict[str, float | str] = {}
    if isinstance(given, str):
        pairs = []
        for part in filter(None, (part.strip() for part in given.split(","))):
            name, equals, value = part.partition("=")
            if not equals:
                raise InputError(f"setting {shown(part)}; expected name=value")
            pairs.append((name.strip(), value.strip()))
    else:
        pairs = list((given or {}).items())
    for name, value in pairs:
        if name not in own:
            told = ", ".join(own) or "none: it has no settings"
            raise InputError(f"setting {shown(name)} of head {head}; expected {told}")
        if name in out:
            raise InputError(f"setting {name} is given twice; expected it once")
        out[name] = own[name].parse(name, value)
    return out


def grid_of(own: Mapping[str, Setting], classes: int) -> tuple[dict[str, float | str], ...]:
    """Every combination of the values that a search tries."""
    names = [name for name, setting in own.items() if setting.values_tried(classes)]
    values = [own[name].values_tried(classes) for name in names]
    return tuple(dict(zip(names, one, strict=True)) for one in product(*values)) if names else ()
