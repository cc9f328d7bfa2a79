"""Every head on real labels: on embeddings, on raw bands of the same pixels, and what a random split would show."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tessera
from heads_data import read_real
from tessera.base import require, write_atomic
from tessera.evaluation import evaluate
from tessera.figures import draw_plainly, new_figure, save_figure
from tessera.labels import NUMBERS
from tessera.learners import HEADS
from tessera.validation import LOWER_IS_BETTER, METRIC_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heads_data import RealSet


@dataclass(frozen=True)
class Choice:
    """How much is measured.

    Attributes
    ----------
    draws : subsets of labels of each amount
    times : bootstrap samples of an interval
    amounts : of how many amounts of labels, the smallest ones; None: all
    seed : of draws, heads and bootstrap
    keep : a folder for finished scores; None: none are kept
    """

    draws: int = 10
    times: int = 400
    amounts: int | None = None
    seed: int = 0
    keep: Path | None = None


QUICK = Choice(draws=1, times=20, amounts=1)
"""For a test."""


def measure(data: Path, names: Sequence[str], choice: Choice, processes: int = 1) -> list[dict[str, Any]]:
    """The content of an evaluation for each task of these sets, of the metric that its curves show, with its note."""
    work = partial(_measure_set, data, choice)
    if processes < 2:
        return [task for name in names for task in work(name)]
    with ProcessPoolExecutor(processes) as pool:
        return [task for tasks in pool.map(work, names) for task in tasks]


def _measure_set(data: Path, choice: Choice, name: str) -> list[dict[str, Any]]:
    return [_measure_one(task, choice) for task in read_real(name, data, tessera.load_encoder(None))]


def _measure_one(task: RealSet, choice: Choice) -> dict[str, Any]:
    result = evaluate(
        task.features,
        task.labels,
        heads=[name for name in HEADS if HEADS[name].numbers or task.labels.kind != NUMBERS],
        labels=task.amounts[: choice.amounts],
        split=task.split,
        draws=choice.draws,
        seed=choice.seed,
        block_km=task.block_km,
        times=choice.times,
        keep=choice.keep,
    )
    first, *others = result.features
    return {
        "name": task.name,
        "note": task.note,
        "primary": result.primary,
        **result.about,
        "records": [row for row in result.table() if row["metric"] == result.primary],
        "differences": [row for other in others for row in result.differences(first, other)],
    }


MIDDLE = 2
"""The amount that the short tables show: 20 labels a class, or 157."""


DOCS = Path(__file__).parent.parent / "docs"
_BEGIN, _END = "<!-- benchmarks/heads.py -->", "<!-- end -->"


def tables(tasks: Sequence[dict[str, Any]]) -> str:
    """Markdown: heads against tasks in short, then for each task the scores by head and amount, and the gap to raw
    bands."""
    lines = short_tables(tasks)
    for task in tasks:
        metric = task["primary"]
        rows = [row for row in task["records"] if row["metric"] == metric]
        amounts = list(dict.fromkeys(row["labels"] for row in rows))
        lines += [f"### {task['name']}", "", f"{task['note']}. {task['labels']} labels in {task['groups']} groups.", ""]
        lines += [f"| {METRIC_NAMES[metric]}, 95 % interval | " + " | ".join(amounts) + " |"]
        lines += ["|---" * (len(amounts) + 1) + "|"]
        for features, head in dict.fromkeys((row["features"], row["head"]) for row in rows):
            cells = [_cell(row) for row in rows if (row["features"], row["head"]) == (features, head)]
            lines.append(f"| {features}, {head} | " + " | ".join(cells) + " |")
        gaps = [row for row in task["differences"] if row["metric"] == metric and row["head"] != "best"]
        for head in dict.fromkeys(row["head"] for row in gaps):
            cells = [_gap(row) for row in gaps if row["head"] == head]
            lines.append(f"| {gaps[0]['first']} less {gaps[0]['second']}, {head} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def short_tables(tasks: Sequence[dict[str, Any]]) -> list[str]:
    """Heads against tasks: scores, gaps to raw bands, and what a random split shows."""
    return [*_short_table(tasks), *_gap_table(tasks), *_random_table(tasks)]


def _short_table(tasks: Sequence[dict[str, Any]]) -> list[str]:
    """The scores of all heads at the middle amount of labels."""
    lines = _head_line("features, middle amount of labels")
    for task in tasks:
        rows = _middle(task, "records")
        for features in dict.fromkeys(row["features"] for row in rows):
            found = {row["head"]: _cell(row) for row in rows if row["features"] == features}
            lines.append(_line(f"{task['name']}, {features}, {rows[0]['labels']}", found))
    return [*lines, ""]


def _gap_table(tasks: Sequence[dict[str, Any]]) -> list[str]:
    """The gaps to raw bands of all heads at the middle amount of labels."""
    lines = _head_line("first less second, middle amount of labels")
    for task in tasks:
        rows = _middle(task, "differences") if task["differences"] else []
        if rows:
            found = {row["head"]: _gap(row) for row in rows}
            lines.append(_line(f"{task['name']}, {METRIC_NAMES[task['primary']]}, {rows[0]['labels']}", found))
    return [*lines, ""]


def _middle(task: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    amounts = list(dict.fromkeys(row["labels"] for row in task[kind]))
    return [row for row in task[kind] if row["labels"] == amounts[min(MIDDLE, len(amounts) - 1)]]


def _head_line(title: str) -> list[str]:
    return [f"| {title} | " + " | ".join(HEADS) + " |", "|---" * (len(HEADS) + 1) + "|"]


def _line(title: str, found: dict[str, str]) -> str:
    return f"| {title} | " + " | ".join(found.get(head, "-") for head in HEADS) + " |"


def _random_table(tasks: Sequence[dict[str, Any]]) -> list[str]:
    """Held out by place, and at random, with the largest amount of labels."""
    lines = _head_line("by place, at random; most labels")
    for task in tasks:
        found = {row["head"]: f"{_figure(row['mean'])}, {_figure(row['random'])}" for row in most(task)}
        title = f"{task['name']}, {METRIC_NAMES[task['primary']]}, {most(task)[0]['labels']}"
        lines.append(_line(title, found))
    return [*lines, ""]


def most(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of all heads on the first features at the largest amount, with what a random split shows."""
    rows = [row for row in task["records"] if row["metric"] == task["primary"]]
    first, last = rows[0]["features"], rows[-1]["labels"]
    beside = (task["random"] or {"scores": {}})["scores"].get(first, {})
    return [
        {**row, "random": beside.get(row["head"], {}).get(task["primary"])}
        for row in rows
        if (row["features"], row["labels"]) == (first, last)
    ]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _cell(row: dict[str, Any]) -> str:
    return f"{_figure(row['mean'])} ({_figure(row['low'])} to {_figure(row['high'])})"


def _gap(row: dict[str, Any]) -> str:
    size = 1 if row["metric"] in LOWER_IS_BETTER else 3
    if row["difference"] is None:
        return "-"
    star = "*" if row["holds"] else ""
    return f"{row['difference']:+.{size}f} ({row['low']:+.{size}f} to {row['high']:+.{size}f}){star}"


def draw(tasks: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel a task: each head's score at the largest amount with its interval, and what a random split shows."""
    lined = require("matplotlib.lines", extra="heads", purpose="curves").Line2D
    columns = 3
    lines = -(-len(tasks) // columns)
    figure = new_figure(10.2, 2.5 * lines + 0.5, layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for panel, task in zip(grid.flat, tasks, strict=False):
        rows = [row for row in task["records"] if row["metric"] == task["primary"]]
        rows = [row for row in rows if row["labels"] == rows[-1]["labels"]]
        heads = list(dict.fromkeys(row["head"] for row in rows))
        for index, features in enumerate(dict.fromkeys(row["features"] for row in rows)):
            kind = 0 if features == "embeddings" else 1
            for row in (row for row in rows if row["features"] == features):
                place = heads.index(row["head"]) + (0.15 if index else -0.15)
                panel.plot([row["low"], row["high"]], [place, place], color=f"C{kind}", linewidth=1.4)
                panel.plot(row["mean"], place, "os"[kind], color=f"C{kind}", markersize=4)
        for row in most(task):
            if row["random"] is not None:
                panel.plot(row["random"], heads.index(row["head"]) - 0.15, "x", color="black", markersize=5)
        panel.set_yticks(range(len(heads)), heads, fontsize=8)
        panel.invert_yaxis()
        panel.tick_params(axis="x", labelsize=7)
        panel.locator_params(axis="x", nbins=5)
        low = " (lower is better)" if task["primary"] in LOWER_IS_BETTER else ""
        panel.set_xlabel(f"{METRIC_NAMES[task['primary']]} at {rows[-1]['labels']}{low}", fontsize=8)
        draw_plainly(panel.set_title(task["name"], fontsize=9))
        panel.grid(axis="x", alpha=0.3, linewidth=0.5)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in grid.flat[len(tasks) :]:
        panel.set_axis_off()
    marks = [lined([], [], color="C0", marker="o"), lined([], [], color="C1", marker="s")]
    marks.append(lined([], [], color="black", marker="x", linestyle="none"))
    names = ["embeddings, 95 % interval", "raw bands or NDVI, 95 % interval", "the first of them, split at random"]
    figure.legend(marks, names, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    save_figure(figure, path, "curves")


def write(tasks: Sequence[dict[str, Any]], folder: Path) -> None:
    """heads.json, heads.md and heads.png."""
    write_atomic(folder / "heads.json", (json.dumps(list(tasks), indent=1) + "\n").encode())
    write_atomic(folder / "heads.md", tables(tasks).encode())
    draw(tasks, folder / "heads.png")


def write_docs(tasks: Sequence[dict[str, Any]], docs: Path = DOCS) -> None:
    """Put the short tables into docs/heads.md, and the picture and the JSON beside it."""
    page = docs / "heads.md"
    before, rest = page.read_text(encoding="utf-8").split(_BEGIN)
    after = rest.split(_END)[1]
    told = [
        "| set | what it is |",
        "|---|---|",
        *(
            f"| {t['name']} | {t['labels']} labels, {t['groups']} groups, {t['draws']} draws; {t['note']} |"
            for t in tasks
        ),
        "",
    ]
    picture = (
        "![A panel a task: each head's score with its interval, by features, and with a random split](images/heads.png)"
    )
    told += [picture, "", "[heads.json](heads.json) has every amount of labels.", ""]
    text = "\n".join([_BEGIN, "", *told, *short_tables(tasks), _END])
    write_atomic(page, (before + text + after).encode())
    write_atomic(docs / "heads.json", (json.dumps(list(tasks), indent=1) + "\n").encode())
    draw(tasks, docs / "images" / "heads.png")
