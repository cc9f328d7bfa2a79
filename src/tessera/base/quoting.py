"""What is shown of a stranger's text: printable, quoted, short."""

from __future__ import annotations

_WORD = 300
"""Letters of the longest word that is told whole, such as a path."""


def shown(value: object, most: int = 80) -> str:
    """Quote what was received, so that a terminal or a log can show it: a control letter comes out as `\\x1b`.

    Parameters
    ----------
    value : text, bytes or anything with a `str`
    most : letters between the quotes; what is longer is cut and ends in "..."
    """
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    quoted = repr(text[: most + 1])
    return quoted if len(quoted) <= most + 2 else f"{quoted[: most - 2]}...{quoted[0]}"


def bounded(line: str, most: int = 1000) -> str:
    """`line` without the middle of words of hundreds of letters, and without what goes beyond `most` letters."""
    if len(line) > _WORD:
        line = " ".join(word if len(word) <= _WORD else f"{word[:60]}...{word[-20:]}" for word in line.split(" "))
    return shortened(line, most)


def shortened(text: str, most: int) -> str:
    """`text`, or its beginning and "...", of at most `most` letters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def printable(text: str) -> str:
    """`text` on one line, whole, with every letter that is not printable escaped as `shown` does it."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in " ".join(text.split()))
