"""Which tags make a class: rules in one line of text, or in a small file."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, read_text, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ANY = "*"
NOT_THERE = frozenset(
    ("no", "none", "proposed", "planned", "construction", "razed", "demolished", "abandoned", "dismantled", "removed")
)
"""Values that `*` leaves out: nothing of the kind stands there (today)."""
_FORM = 'expected such as "forest:landuse=forest,natural=wood;road:highway=*"'
_FILE_LIMIT = 1024**2
_MOST = 255
"""Classes, as many as a map holds."""
_WIDTHS = (0.1, 1000.0)
"""Metres that a line may be wide."""


@dataclass(frozen=True)
class ClassRule:
    """One class.

    Attributes
    ----------
    name : of the class
    tags : (key, value) pairs, of which a feature needs one; value None stands for any
    width : metres that every line of the class is wide; None: what the line itself says, or the table
    """

    name: str
    tags: tuple[tuple[str, str | None], ...]
    width: float | None = None

    def match(self, tags: Mapping[str, str]) -> str | None:
        """The tag that makes a feature one of the class, as "key=value"; None if it has none."""
        for key, wanted in self.tags:
            value = tags.get(key)
            if value is not None and (value == wanted or (wanted is None and value not in NOT_THERE)):
                return f"{key}={value}"
        return None

    @property
    def text(self) -> str:
        """The rule as `parse_tags` reads it."""
        return f"{self.name}:{','.join(f'{key}={value or ANY}' for key, value in self.tags)}"


def parse_tags(text: str) -> tuple[ClassRule, ...]:
    """Classes from one line: `;` between classes, `,` between tags of one class, `*` for any value.

    A class is named by what stands before its first colon and holds no "=": "forest:landuse=forest,natural=wood".
    Without a name it takes the value of its first tag, or its key where the value is `*`.

    Raises
    ------
    InputError
        A tag that is no key=value, a class without tags, or a name that occurs twice.

    Examples
    --------
    >>> from tessera.labels import parse_tags
    >>> [rule.name for rule in parse_tags("landuse=forest,natural=wood;highway=*")]
    ['forest', 'highway']
    """
    rules = []
    for part in text.split(";"):
        if not part.strip():
            continue
        before, colon, after = part.partition(":")
        named = bool(colon) and "=" not in before
        rules.append(
            _rule(before if named else None, (after if named else part).split(","), None, f"tags {shown(text)}")
        )
    return _checked(rules, f"tags {shown(text)}")


def read_classes(path: str | Path) -> tuple[ClassRule, ...]:
    """Classes from a file, TOML or JSON: each name with its tags, or with a table of `tags` and `width`.

    Raises
    ------
    InputError
        It is neither, or an entry has another form.
    """
    target = Path(path)
    what = f"classes {shown(str(path), 120)[1:-1]}"
    text = read_text(target, what="file of classes", limit=_FILE_LIMIT)
    try:
        held: Any = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} cannot be read ({shown(str(error), 120)[1:-1]}); expected TOML or JSON") from None
    rules = []
    for name, entry in held.items() if isinstance(held, dict) else ():
        about = entry if isinstance(entry, dict) else {"tags": entry}
        other = next((key for key in about if key not in ("tags", "width")), None)
        if other is not None:
            raise InputError(f"{what}, class {shown(name)}: {shown(other)}; expected tags and width")
        given = about.get("tags")
        tags = given.split(",") if isinstance(given, str) else given
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise InputError(f'{what}, class {shown(name)}: {shown(given)}; expected tags such as ["landuse=forest"]')
        rules.append(_rule(name, tags, about.get("width"), f"{what}, class {shown(name)}"))
    return _checked(rules, what)


def parse_line_width(width: object, what: str) -> float:
    """Metres that a line is wide, 0.1 to 1,000.

    Raises
    ------
    InputError
        It is no such number.
    """
    low, high = _WIDTHS
    if isinstance(width, bool) or not isinstance(width, (int, float)) or not low <= width <= high:
        raise InputError(f"{what}: width {shown(width)[1:-1]}; expected metres from {low:g} to {high:g}")
    return float(width)


def keys_of(rules: Iterable[ClassRule]) -> tuple[str, ...]:
    """The keys that the rules look at, sorted."""
    return tuple(sorted({key for rule in rules for key, _ in rule.tags}))


def class_of(rules: Iterable[ClassRule], tags: Mapping[str, str]) -> tuple[int, str] | None:
    """The number of the first class that a feature is of, and its tag; None if it is of none."""
    for number, rule in enumerate(rules):
        tag = rule.match(tags)
        if tag is not None:
            return number, tag
    return None


def _rule(name: str | None, tags: list[str], width: object, what: str) -> ClassRule:
    found: list[tuple[str, str | None]] = []
    for tag in tags:
        key, equals, value = (part.strip() for part in tag.partition("="))
        if not key or not equals or not value:
            raise InputError(f"{what}: {shown(tag)} is no tag; {_FORM}")
        found.append((key, None if value == ANY else value))
    if not found:
        raise InputError(f"{what} names no tag; {_FORM}")
    own = found[0][1] or found[0][0] if name is None else name.strip()
    if not own:
        raise InputError(f"{what} has a class without a name; {_FORM}")
    return ClassRule(own, tuple(found), None if width is None else parse_line_width(width, what))


def _checked(rules: list[ClassRule], what: str) -> tuple[ClassRule, ...]:
    names = [rule.name for rule in rules]
    if not 0 < len(rules) <= _MOST:
        raise InputError(f"{what} has {len(rules)} classes; {_FORM}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{what} has the class {shown(twice)} twice; put its tags together, with commas between")
    return tuple(rules)
