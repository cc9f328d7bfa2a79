"""A griffe extension for the API pages: the sections of our docstrings, as griffe reads them.

Types stand in signatures, so a line of our Parameters says `year : one of the store's years`. griffe takes what follows
the colon for a type; this moves it to where griffe looks for a description.
"""

from __future__ import annotations

import re

import griffe

_HEADING = re.compile(r"^(Parameters|Attributes|Returns|Yields|Raises|Examples)\n-+\n", re.MULTILINE)
_ITEM = re.compile(r"^([*\w]+(?:, [*\w]+)*) : (.+\n(?:(?: {4}.*)?\n)*)", re.MULTILINE)


def _each(item: re.Match[str]) -> str:
    """One item a name: griffe would give the type of the first to all."""
    return "".join(f"{name}\n    {item[2]}" for name in item[1].split(", "))


def as_griffe_reads(text: str) -> str:
    """A docstring with the descriptions of its items below their names."""
    head, *parts = _HEADING.split(text)
    sections = [head]
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in ("Parameters", "Attributes"):
            body = _ITEM.sub(_each, body + "\n")
        elif name in ("Returns", "Yields"):
            body = ":\n" + re.sub(r"^(?=.)", "    ", body, flags=re.MULTILINE)
        sections.append(f"{name}\n{'-' * len(name)}\n{body}")
    return "".join(sections)


class DocstringSections(griffe.Extension):
    """Rewrites each docstring before griffe parses it."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Called by griffe for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_griffe_reads(obj.docstring.value)
