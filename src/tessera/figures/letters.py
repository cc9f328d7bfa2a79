"""Text in pictures: shown as it is, by fonts that have its letters, or with what no font has named in brackets."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

from tessera.base import require

if TYPE_CHECKING:
    from collections.abc import Iterable

_FIRST = "DejaVu Sans"
"""The font that matplotlib brings."""
_UNSEEN = ("Cf", "Cc", "Mn", "Me", "Zs", "Zl", "Zp")
"""Categories of letters that a picture may leave out where no font has them: marks, joiners, blanks."""
_PACKAGES = (
    (("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "IDEOGRAPHIC", "BOPOMOFO"), "fonts-noto-cjk"),
    (("",), "fonts-noto-core"),
)
"""Begin of a letter's Unicode name, and the package of Debian and Ubuntu with a font that has it."""
_SYMBOLS = "fonts-symbola"
_PLAIN = ("regular", "book", "medium", "normal", "roman")


def draw_plainly(text: Any) -> str:
    """Make a matplotlib text show its letters: no formulas, fonts that have them, and a stand-in where none does.

    A run of letters that no installed font has becomes the name of its script in brackets: "[CJK]", and a symbol its
    name: "[grinning face]".

    Parameters
    ----------
    text : a `matplotlib.text.Text`, changed in place

    Returns
    -------
    the letters that no font has, each once; "" where all are drawn
    """
    text.set_parse_math(False)
    said = text.get_text()
    families, lost = fonts_for(said)
    if len(families) > 1:
        text.set_fontfamily(list(families))
    if lost:
        text.set_text(stand_in(said, lost))
    return lost


def fonts_for(text: str) -> tuple[tuple[str, ...], str]:
    """Font families that together have the letters of `text`, and the letters that none of this machine has."""
    return _fonts_for("".join(sorted({letter for letter in text if ord(letter) > 126})))


@cache
def _fonts_for(letters: str) -> tuple[tuple[str, ...], str]:
    manager: Any = require("matplotlib.font_manager", extra="heads", purpose="a picture")
    families = [_FIRST]
    lacking = set(letters) - _held(manager.findfont(_FIRST), letters)
    lacking = {letter for letter in lacking if unicodedata.category(letter) not in _UNSEEN}
    # the list that matplotlib keeps on disk does not know fonts installed since
    paths = sorted(manager.findSystemFonts()) if lacking else []
    while lacking and paths:
        having = [(_held(path, "".join(sorted(lacking))), path) for path in paths]
        having = [(found, path) for found, path in having if found]
        if not having:
            break
        most = max(len(found) for found, _ in having)
        found, path = min(((f, p) for f, p in having if len(f) == most), key=lambda one: _unlike_plain(one[1]))
        manager.fontManager.addfont(path)
        families.append(manager.FontProperties(fname=path).get_name())
        lacking -= found
        paths = [path for _, path in having]
    return tuple(families), "".join(sorted(lacking))


@cache
def _held(path: str, letters: str) -> set[str]:
    """The letters that a font can draw; none of a font of pixels, colours or another form than matplotlib draws."""
    fonts: Any = require("matplotlib.ft2font", extra="heads", purpose="a picture")
    try:
        font = fonts.FT2Font(path)
        if not font.scalable:
            return set()
        places = font.get_charmap()
        font.set_size(12, 72)
        return {letter for letter in letters if ord(letter) in places and _has_outline(font, letter)}
    except (OSError, RuntimeError, ValueError):
        return set()


def _has_outline(font: Any, letter: str) -> bool:
    glyph = font.load_char(ord(letter))
    # a font of coloured pictures has a place for the letter and no outline
    return bool(glyph.width and glyph.height) or unicodedata.category(letter) in _UNSEEN


def _unlike_plain(path: str) -> tuple[bool, bool, str]:
    fonts: Any = require("matplotlib.ft2font", extra="heads", purpose="a picture")
    font = fonts.FT2Font(path)
    return font.style_name.lower() not in _PLAIN, "mono" in font.family_name.lower(), path


def stand_in(text: str, lost: str) -> str:
    """`text` with each run of the letters `lost` as the name of its script, or of the symbol, in brackets."""
    out = []
    for run in re.split(f"([{re.escape(lost)}]+)", text):
        names = dict.fromkeys(_what_it_is(letter) for letter in run if letter in lost)
        out.append(f"[{', '.join(names)}]" if names else run)
    return "".join(out)


def _what_it_is(letter: str) -> str:
    name = unicodedata.name(letter, f"U+{ord(letter):04X}")
    if unicodedata.category(letter).startswith("S"):
        return name.lower()
    if name.startswith("U+"):
        return name
    script = name.split()[0].split("-")[0]
    return script if script == "CJK" else script.title()


def font_note(lost: Iterable[str]) -> str:
    """One line on letters that no font has, with the font to install; "" where there are none."""
    letters = sorted(set(lost))
    if not letters:
        return ""
    packages = dict.fromkeys(_package(letter) for letter in letters)
    return (
        f"no installed font has {len(letters)} letter{'s' * (len(letters) != 1)} "
        f"({', '.join(dict.fromkeys(_what_it_is(letter) for letter in letters))}); "
        f"install one (on Debian and Ubuntu: apt install {' '.join(packages)}) and draw again"
    )


def _package(letter: str) -> str:
    if unicodedata.category(letter).startswith("S"):
        return _SYMBOLS
    name = unicodedata.name(letter, "")
    return next(package for starts, package in _PACKAGES if name.startswith(starts))
