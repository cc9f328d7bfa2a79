"""The picture of an evaluation."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from tessera.base import draw_plainly, png_mark, require, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from .result import Evaluation

_TITLES = {
    "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "rmse": "RMSE",
    "r2": "R$^2$",
}
_MARKS = "osD^vPX*"


def draw_curves(result: Evaluation, path: Path, metric: str) -> None:
    """Panels of one height side by side, one a head, with a legend beside them."""
    figure_of: Any = require("matplotlib.figure", extra="heads", purpose="curves")
    agg: Any = require("matplotlib.backends.backend_agg", extra="heads", purpose="curves")
    ticker: Any = require("matplotlib.ticker", extra="heads", purpose="curves")
    rows = [row for row in result.table() if row["metric"] == metric and row["mean"] is not None]
    figure = figure_of.Figure(figsize=(3.3 * len(result.heads) + 2.2, 3.4), dpi=150, layout="constrained")
    agg.FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(result.heads), sharey=True, squeeze=False)[0]
    for panel, head in zip(panels, result.heads, strict=True):
        for index, features in enumerate(result.features):
            own = sorted(
                (row for row in rows if row["head"] == head and row["features"] == features),
                key=lambda row: row["labels_taken"],
            )
            taken, colour = [row["labels_taken"] for row in own], f"C{index % 10}"
            means = [row["mean"] for row in own]
            lows = [row["mean"] if row["low"] is None else row["low"] for row in own]
            highs = [row["mean"] if row["high"] is None else row["high"] for row in own]
            mark = _MARKS[index % len(_MARKS)]
            panel.plot(taken, means, color=colour, marker=mark, markersize=4, linewidth=1.4, label=features)
            panel.fill_between(taken, lows, highs, color=colour, alpha=0.12, linewidth=0)
        panel.set(title=head, xscale="log", xlabel="labels learnt from")
        ticks = sorted({row["labels_taken"] for row in rows if row["head"] == head})
        panel.xaxis.set_major_locator(ticker.FixedLocator(ticks))
        panel.xaxis.set_major_formatter(ticker.FormatStrFormatter("%.0f"))
        panel.xaxis.set_minor_locator(ticker.NullLocator())
        panel.grid(alpha=0.3, linewidth=0.5)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(_TITLES[metric] + (" (lower is better)" if metric == "rmse" else ""))
    handles, names = panels[0].get_legend_handles_labels()
    box = figure.legend(handles, names, loc="outside right center", frameon=False, fontsize=8)
    about = result.about
    for text in box.get_texts():
        draw_plainly(text)
    title = figure.suptitle(
        f"{about['source']}, {about['column']}: split {about['split']}, {about['draws']} draws", fontsize=9
    )
    draw_plainly(title)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata=png_mark("curves"))
    write_atomic(path, file.getvalue())
