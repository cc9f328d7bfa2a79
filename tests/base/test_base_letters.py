from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

from tessera.figures import draw_plainly, font_note, fonts_for
from tessera.figures import letters as room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# in no font that a test machine has: a letter of a private plane would have no name, these have
WHEAT, FIELD = "\u9ea6", "\u7530"


def make_font(path: Path, family: str, letters: str, style: str = "Regular") -> str:
    """A font of squares for a few letters."""
    builder: Any = pytest.importorskip("fontTools.fontBuilder").FontBuilder(1000, isTTF=True)
    pens = pytest.importorskip("fontTools.pens.ttGlyphPen")
    names = [".notdef", *(f"g{index}" for index in range(len(letters)))]
    glyphs = {}
    for name in names:
        pen = pens.TTGlyphPen(None)
        for step, place in enumerate(((100, 0), (100, 700), (700, 700), (700, 0))):
            (pen.lineTo if step else pen.moveTo)(place)
        pen.closePath()
        glyphs[name] = pen.glyph()
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:], strict=True)})
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(names, (800, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": style})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(str(path))
    return str(path)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The fonts of the machine, for a test to fill."""
    from matplotlib import font_manager

    paths: list[str] = []
    before = list(font_manager.fontManager.ttflist)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_args, **_kwargs: list(paths))
    room._fonts_for.cache_clear()
    yield paths
    room._fonts_for.cache_clear()
    font_manager.fontManager.ttflist[:] = before


def drawn(words: str) -> tuple[str, str]:
    """What a picture shows of `words`, and the letters that it lacks; a missing glyph would be a warning."""
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((3, 1))
    FigureCanvasAgg(figure)
    text = figure.text(0.1, 0.5, words)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lost = draw_plainly(text)
        figure.savefig(io.BytesIO(), format="png")
    return text.get_text(), lost


def test_a_font_that_has_the_letters_is_taken(installed: list[str], tmp_path: Path) -> None:
    installed.append(make_font(tmp_path / "a.ttf", "Few Test", WHEAT))
    installed.append(make_font(tmp_path / "b.ttf", "Both Bold Test", WHEAT + FIELD, "Bold"))
    installed.append(make_font(tmp_path / "c.ttf", "Both Test", WHEAT + FIELD))
    assert fonts_for(f"{WHEAT}{FIELD} wheat") == (("DejaVu Sans", "Both Test"), "")
    assert drawn(f"{WHEAT}{FIELD} $x^2$") == (f"{WHEAT}{FIELD} $x^2$", "")


def test_several_fonts_together_have_the_letters(installed: list[str], tmp_path: Path) -> None:
    installed += [make_font(tmp_path / "a.ttf", "One", WHEAT), make_font(tmp_path / "b.ttf", "Other", FIELD)]
    families, lost = fonts_for(WHEAT + FIELD)
    assert (sorted(families), lost) == (["DejaVu Sans", "One", "Other"], "")


def test_what_no_font_has_is_named(installed: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    installed += [str(tmp_path / "broken.ttf"), str(tmp_path / "gone.ttf")]
    assert drawn(f"{WHEAT}{FIELD} wheat") == ("[CJK] wheat", FIELD + WHEAT)
    assert drawn("\U0001f33e crop \u1200\u1208") == ("[ear of rice] crop [Ethiopic]", "\u1200\u1208\U0001f33e")
    assert drawn("\ue000")[0] == "[U+E000]"


def test_letters_of_the_first_font_look_for_no_other(installed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import font_manager

    def fail(*_args: Any, **_kwargs: Any) -> list[str]:
        raise AssertionError("fonts were looked for")

    monkeypatch.setattr(font_manager, "findSystemFonts", fail)
    assert drawn("for\u00eat 5 % \u0440\u043e\u0436\u044c") == ("for\u00eat 5 % \u0440\u043e\u0436\u044c", "")
    assert installed == []


def test_the_note_names_the_package() -> None:
    assert font_note("") == ""
    assert font_note(WHEAT).startswith("no installed font has 1 letter (CJK); install one (on Debian and Ubuntu: apt")
    note = font_note(f"{WHEAT}{WHEAT}\ud55c\U0001f33e\u1200")
    assert "4 letters (Ethiopic, CJK, Hangul, ear of rice)" in note
    assert "apt install fonts-noto-core fonts-noto-cjk fonts-symbola" in note
