"""Where labels lie, and where the head is most wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessera.labels import FEATURE, one_line

from ._page import Html, link, name, paragraph, picture, table
from ._pictures import draw_places
from .values import figures, number, part, rows, share, short, whole

if TYPE_CHECKING:
    from .asked import ReportedHead

_MOST = 1000


def kept_labels(head: ReportedHead) -> list[tuple[float, float, Any, int | None]]:
    """Longitude, latitude, value and fold of the labels whose places the head keeps."""
    found = part(head.metrics, "points")
    lists = [found.get(key) for key in ("lon", "lat", "value", "fold")]
    if not all(isinstance(one, list) and one for one in lists):
        return []
    return [
        (lon, lat, value, whole(fold))
        for a, b, value, fold in list(zip(*lists, strict=False))[:_MOST]
        for lon, lat in [(number(a), number(b))]
        if lon is not None and lat is not None and abs(lon) <= 360 and abs(lat) <= 90
    ]


def labels_section(head: ReportedHead) -> Html:
    """A picture of the labels by class and by fold."""
    why = head.metrics.get("split_why")
    before = paragraph(why) if isinstance(why, str) and why else Html("")
    points = kept_labels(head)
    if not points:
        return before
    lon, lat, values, folds = zip(*points, strict=True)
    colours = dict(zip(head.classes, head.colours, strict=True)) if head.classes else {}
    png = draw_places(lon, lat, values, [-1 if fold is None else fold for fold in folds], colours)
    west, south, east, north = min(lon), min(lat), max(lon), max(lat)
    alt = (
        f"Two maps of {len(points):,} labels between {west:.3f} and {east:.3f} degrees east and {south:.3f} and "
        f"{north:.3f} degrees north: coloured by class or number, and by the fold that tested them."
    )
    return Html(before + picture(png, alt, "Labels of one colour on the right were held out together."))


def worst_section(head: ReportedHead) -> Html:
    """The labels that were predicted worst, with their place."""
    found = rows(head.metrics.get("worst"))[:20]
    if not found:
        return Html("")
    body = []
    by = _grouped_by(head)
    for row in found:
        lon, lat = number(row.get("lon")), number(row.get("lat"))
        line: list[Any] = [
            _place(lon, lat),
            *([name(row.get("name") or "-")] if by else []),
            name(row.get("fold", "-")),
        ]
        if head.classes:
            line += [name(row.get("truth", "")), name(row.get("predicted", ""))]
            line += [share(number(row.get(key)), 2) for key in ("probability", "truth_probability")]
        else:
            line += [figures(number(row.get(key))) for key in ("truth", "predicted", "error")]
        body.append(line)
    heads = ["longitude, latitude", *([by] if by else []), "fold"]
    heads += (
        ["label", "prediction", "its probability", "probability of the label"]
        if head.classes
        else ["measured", "predicted", "error"]
    )
    before = paragraph(
        "Look at these first: they are mistakes of the head, or of the labels. At most one label of each polygon, "
        "point or group is listed. A click on a place opens it in OpenStreetMap."
        + (" Features are counted from 0 in the order of the file." if by.startswith(FEATURE) else "")
    )
    words = 2 + bool(by) + 2 * bool(head.classes)
    return Html(before + table(heads, body, texts=tuple(range(1, words))))


def _grouped_by(head: ReportedHead) -> str:
    """The column that names groups, or "feature of the file"; "" where heads of before or labels without groups have
    neither."""
    by = head.metrics.get("grouped_by")
    if not isinstance(by, str) or not by:
        return ""
    return "feature of the file" if by == FEATURE else one_line(by, 40)


def _place(lon: float | None, lat: float | None) -> Html | str:
    if lon is None or lat is None or abs(lon) > 180 or abs(lat) > 90:
        return "-"
    at = f"{lat:.5f}/{lon:.5f}"
    address = f"https://www.openstreetmap.org/?mlat={lat:.5f}&mlon={lon:.5f}#map=16/{at}"
    return link(address, f"{lon:.5f}, {lat:.5f}")


def tuning_section(head: ReportedHead) -> Html:
    """What tuning tried."""
    found = part(head.metrics, "tuning")
    tried = rows(found.get("tried"))
    if not tried:
        return Html("")
    chosen = part(found, "chosen")
    body = [
        [
            ", ".join(f"{key} = {short(value)}" for key, value in part(row, "settings").items()) or "as they are",
            share(number(row.get("score"))),
            "chosen" if part(row, "settings") == chosen else "",
        ]
        for row in tried[:200]
    ]
    caption = (
        "Settings were chosen inside the training folds; the scores of this report are of folds that chose nothing."
    )
    return table(["settings", str(found.get("metric", "score")), ""], body, caption, texts=(2,))
