"""HTML: escaped texts, tables, pictures, and the page around them."""

from __future__ import annotations

import base64
import html
import struct
from typing import TYPE_CHECKING, Any

from tessera.labels import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK = '<meta name="generator" content="tessera report">'
"""Tells a report of ours from other pages."""
_DIRECTIONS = {
    code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)
}
"""Letters that turn the direction of what follows: shown as their codes."""
_SHOWN = 0.62
"""CSS pixels of a dot of a picture of 150 dots an inch."""
_TEXT = 400
"""Letters of a text that are shown."""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may load: nothing but what lies in the page."""
_STYLE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0 auto;max-width:68rem;padding:1.5rem;font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;
color:#1b1f23;background:#fff}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .3rem}
h2{font-size:1.25rem;margin:2.4rem 0 .6rem;padding-top:.6rem;border-top:1px solid #d5d9dd}
p{margin:.5rem 0;max-width:48rem}
a{color:#0b57a4}
.sub{color:#4b5258}
nav{margin:1rem 0;font-size:.9rem;line-height:2}
nav a{margin-right:1rem;white-space:nowrap}
.cards{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0;padding:0;list-style:none}
.cards li{flex:1 1 12rem;border:1px solid #c9ced3;border-radius:.4rem;padding:.7rem .9rem}
.cards b{display:block;font-size:1.45rem;line-height:1.3}
.cards span{color:#4b5258;font-size:.88rem;display:block}
.wide{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:#4b5258;padding:.2rem 0;font-size:.88rem}
th,td{padding:.28rem .6rem;border-bottom:1px solid #dfe3e6;text-align:right;vertical-align:top}
th{font-weight:600}
thead th{border-bottom:2px solid #8b949c;vertical-align:bottom}
th:first-child,td.t,th.t{text-align:left}
th a{white-space:nowrap}
thead th{max-width:11rem;overflow-wrap:break-word}
td.t{overflow-wrap:anywhere}
td.heat{text-align:center;border:1px solid #fff;min-width:2.6rem}
.swatch{display:inline-block;width:.85em;height:.85em;border:1px solid #555;margin-right:.45em;vertical-align:-.08em}
.entry{display:inline-flex;align-items:baseline}
.entry .swatch{flex:none}
figure{margin:.8rem 0}
figure img{max-width:100%;height:auto;display:block}
figcaption{color:#4b5258;font-size:.88rem;max-width:48rem}
.notes{background:#fff6df;border-left:4px solid #b7791f;padding:.5rem .9rem .5rem 1.9rem;margin:1rem 0;max-width:52rem}
.methods{background:#f3f5f7;padding:.7rem 1rem;border-radius:.4rem;max-width:52rem}
.refs{font-size:.88rem;max-width:52rem}
.refs li{margin:.25rem 0;overflow-wrap:anywhere}
@media print{
body{max-width:none;padding:0;font-size:10.5pt}nav{display:none}h2{break-after:avoid}
figure,tr,.cards li,.methods{break-inside:avoid}.wide{overflow:visible}
td.heat,.swatch,.notes,.methods{print-color-adjust:exact;-webkit-print-color-adjust:exact}a{color:inherit}}
"""


class Html(str):
    """Markup: is not escaped again."""

    __slots__ = ()


def text(value: Any, most: int = _TEXT) -> Html:
    """Any value as text of the page: one line, escaped, cut if it is long."""
    if isinstance(value, Html):
        return value
    flat = one_line(str(value), most).translate(_DIRECTIONS).encode("utf-8", "replace").decode()
    return Html(html.escape(flat, quote=True))


def name(value: Any) -> Html:
    """A name out of somebody's labels, which may be written from right to left."""
    return Html(f"<bdi>{text(value, 80)}</bdi>")


def paragraph(*parts: Any) -> Html:
    """A paragraph of texts and markup."""
    return Html(f"<p>{''.join(text(part, 4000) for part in parts)}</p>")


def items(values: Sequence[Any], kind: str) -> Html:
    """A list of a class of the style."""
    if not values:
        return Html("")
    return Html(f'<ul class="{kind}">{"".join(f"<li>{text(value, 2000)}</li>" for value in values)}</ul>')


def table(head: Sequence[Any], body: Sequence[Sequence[Any]], caption: str = "", *, texts: Sequence[int] = ()) -> Html:
    """A table whose first column heads its rows.

    Parameters
    ----------
    head : of the columns
    body : rows of texts or markup
    caption : what it shows
    texts : numbers of columns that hold words and stand on the left
    """

    def mark(index: int) -> str:
        return ' class="t"' if index in texts else ""

    columns = "".join(f'<th scope="col"{mark(index)}>{text(one)}</th>' for index, one in enumerate(head))
    lines = []
    for row in body:
        first, *others = row
        rest = "".join(
            one if isinstance(one, Html) and one.startswith("<td") else f"<td{mark(index)}>{text(one)}</td>"
            for index, one in enumerate(others, 1)
        )
        lines.append(f'<tr><th scope="row">{text(first)}</th>{rest}</tr>')
    heading = f"<caption>{text(caption, 2000)}</caption>" if caption else ""
    inner = f"{heading}<thead><tr>{columns}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return Html(f'<div class="wide"><table>{inner}</table></div>')


def heat(value: Any, amount: float) -> Html:
    """A cell of a heat map: the darker, the nearer `amount` is to 1."""
    amount = min(1.0, max(0.0, amount))
    colour = tuple(round(255 + (dark - 255) * amount) for dark in (8, 69, 148))
    red, green, blue = colour
    linear = [one / 255 / 12.92 if one <= 10 else ((one / 255 + 0.055) / 1.055) ** 2.4 for one in colour]
    # WCAG 2: above this luminance black has the greater contrast, at least 4.5
    ink = "#000" if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179 else "#fff"
    return Html(f'<td class="heat" style="background:rgb({red},{green},{blue});color:{ink}">{text(value)}</td>')


def swatch(colour: str) -> Html:
    """A square of a colour; `colour` is "#rrggbb", checked before."""
    return Html(f'<span class="swatch" style="background:{text(colour, 7)}"></span>')


def entry(colour: str, value: Any) -> Html:
    """A class of a legend: its colour, and beside it its name, also where that takes several lines."""
    return Html(f'<span class="entry">{swatch(colour)}{name(value)}</span>')


def picture(png: bytes, alt: str, caption: str = "") -> Html:
    """A PNG inside the page."""
    data = base64.b64encode(png).decode()
    width, height = (round(side * _SHOWN) for side in struct.unpack(">II", png[16:24]))
    below = f"<figcaption>{text(caption, 2000)}</figcaption>" if caption else ""
    size = f'width="{width}" height="{height}"'
    return Html(f'<figure><img src="data:image/png;base64,{data}" alt="{text(alt, 2000)}" {size}>{below}</figure>')


def link(address: str, label: Any) -> Html:
    """A link that is followed only when somebody clicks on it."""
    return Html(f'<a href="{text(address, 2000)}" rel="noopener noreferrer">{text(label)}</a>')


def page(title: str, subtitle: Any, sections: Sequence[tuple[str, str, str]]) -> str:
    """The page: its title, and sections of an anchor, a heading and markup; those that are empty are left out."""
    shown = [section for section in sections if section[2]]
    contents = " ".join(f'<a href="#{anchor}">{text(heading)}</a>' for anchor, heading, _ in shown if heading)
    body = "".join(
        f'<section id="{anchor}">{f"<h2>{text(heading)}</h2>" if heading else ""}{content}</section>\n'
        for anchor, heading, content in shown
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'{MARK}\n<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{text(title)}</h1>\n"
        f'<p class="sub">{text(subtitle, 2000)}</p>\n</header>\n<nav aria-label="Contents">{contents}</nav>\n'
        f"<main>\n{body}</main>\n</body>\n</html>\n"
    )
