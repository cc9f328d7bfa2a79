"""What `tessera embed --dry-run` prints."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from .terminal import bytes_in_words, pixels_in_words, print_json, print_table, time_in_words

if TYPE_CHECKING:
    from tessera.scale import Forecast

NIGHT = 10 * 3600.0
"""Seconds of a night."""


def show_forecast(forecast: Forecast, out: str, *, as_json: bool) -> None:
    """Print a forecast: a table and a sentence, or JSON with the sentence in it.

    Parameters
    ----------
    out : the store
    """
    free = _free(out)
    told = sentence(forecast)
    if as_json:
        more = {"disk_free": free, "night_is_enough": forecast.seconds <= NIGHT, "said": told}
        print_json({**forecast.to_json(), **more})
        return
    done = f", {forecast.cells_done} of them in the store already" if forecast.cells_done else ""
    empty = f", {forecast.cells_empty} without scenes" if forecast.cells_empty else ""
    several = f", {forecast.processes} processes" if forecast.processes > 1 else ""
    rows: list[tuple[str, ...]] = [("cells", f"{forecast.cells:,}{done}{empty}")]
    if forecast.pixels:
        rows += [
            ("to embed", pixels_in_words(forecast.pixels)),
            *(
                [("scenes", f"{forecast.scenes:,}"), ("requests", f"about {forecast.requests:,}")]
                if forecast.scenes
                else []
            ),
            ("read", f"about {bytes_in_words(forecast.bytes_read)}"),
            ("written", f"about {bytes_in_words(forecast.bytes_written)} to {out}"),
            ("disk", f"up to {bytes_in_words(forecast.disk_peak)} at the peak; {bytes_in_words(free)} are free"),
            *([("reading", time_in_words(forecast.reading_seconds))] if forecast.scenes else []),
            (
                "embedding",
                f"{time_in_words(forecast.embedding_seconds)} at {_pace(forecast.pixels_per_second)} pixels/s on "
                f"{forecast.device} in {forecast.precision}{several}",
            ),
        ]
    print_table(rows)
    print(told)
    if forecast.disk_peak > free:
        lacking = bytes_in_words(forecast.disk_peak - free)
        print(f"The disk does not hold it: {lacking} are lacking.")


def _pace(rate: float) -> str:
    """Three digits of a rate, and no power of ten: 1,060, 61.1, 0.5."""
    return f"{float(f'{rate:.3g}'):,.0f}" if rate >= 100 else f"{rate:.3g}"


def sentence(forecast: Forecast) -> str:
    """Whether a night is enough."""
    if not forecast.pixels:
        return "Nothing to do: all cells are in the store already."
    took = f"{time_in_words(forecast.seconds)} on this machine"
    took = took[0].upper() + took[1:]
    if forecast.seconds <= NIGHT:
        return f"{took}: tonight is enough." if forecast.seconds > 3600.0 else f"{took}."
    cells = forecast.cells - forecast.cells_done - forecast.cells_empty
    share = NIGHT / forecast.seconds
    part = f"a night of {NIGHT / 3600:.0f} hours does {share:.0%} of it"
    if cells > 1:
        part = f"a night of {NIGHT / 3600:.0f} hours does {int(cells * share):,} of {cells:,} cells"
    return (
        f"{took}: tonight is not enough, {part}. It may be stopped and run again; a smaller model, a smaller area or a "
        "GPU makes it shorter."
    )


def _free(out: str) -> int:
    """Bytes that are free where a store on this machine lies or would lie; of a URL, where this machine works."""
    place = Path.cwd() if "://" in out else Path(out).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
