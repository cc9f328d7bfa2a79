"""What progress says: rates below one, time left, done only where it went well, counts in words."""

from __future__ import annotations

import pytest

from tessera.cli._outcomes import Outcomes
from tessera.cli.terminal import show as _show
from tessera.cli.terminal.show import (
    Meter,
    bytes_in_words,
    pixels_in_words,
    rate_in_words,
    seconds_in_words,
    step,
    time_in_words,
)
from tessera.scale import CellOutcome


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(_show, "time", made)
    return made


def test_a_rate_below_one_is_no_zero() -> None:
    assert [rate_in_words(rate) for rate in (12345.6, 12.3, 1.23, 0.3, 0.0123, 4e-7)] == [
        "12,346",
        "12",
        "1.2",
        "0.3",
        "0.012",
        "4e-07",
    ]


def test_numbers_just_below_the_next_unit_have_no_exponent() -> None:
    assert [bytes_in_words(size) for size in (99_499_999, 99_500_000, 999_999)] == ["99 MB", "100 MB", "1,000 kB"]
    assert [pixels_in_words(count) for count in (999_400_000, 999_600_000)] == [
        "999 million pixels",
        "1,000 million pixels",
    ]
    words = [bytes_in_words(10**power // 1000 * share) for power in range(4, 15) for share in range(985, 1010)]
    words += [pixels_in_words(10**power // 1000 * share) for power in range(4, 13) for share in range(985, 1010)]
    assert not [word for word in words if "e+" in word]


def test_times_counts_and_bytes_in_words() -> None:
    assert [time_in_words(seconds) for seconds in (0, 42, 200, 4 * 3600, 3 * 86400, 100 * 86400, 1e9)] == [
        "about 1 second",
        "about 42 seconds",
        "about 3.3 minutes",
        "about 4 hours",
        "about 3 days",
        "about 3.3 months",
        "about 32 years",
    ]
    assert [seconds_in_words(seconds) for seconds in (4.21, 200, 18_740)] == ["4.2 s", "3 min 20 s", "5 h 12 min"]
    assert [pixels_in_words(count) for count in (1, 65_536, 1_234_567, 314_572_800, 3 * 10**9)] == [
        "1 pixel",
        "65,536 pixels",
        "1.23 million pixels",
        "315 million pixels",
        "3 billion pixels",
    ]
    assert [bytes_in_words(size) for size in (512, 1_200, 28_123_456, 340 * 10**9, 15 * 10**11)] == [
        "512 bytes",
        "1.2 kB",
        "28 MB",
        "340 GB",
        "1.5 TB",
    ]


def test_a_line_has_rate_and_time_left(clock: Clock) -> None:
    meter = Meter("px")
    meter.count(0, 2_000_000)
    assert meter.line() == "0.00 of 2.00 million pixels"
    clock.now += 100.0
    meter.count(30, 2_000_000)
    assert meter.line() == "0.00 of 2.00 million pixels, 0.3 px/s, about 2.5 months left"
    meter.count(2_000_000, 2_000_000)
    assert meter.line().endswith("million pixels, 20,000 px/s")


def test_what_was_done_before_has_no_rate_and_a_new_count_begins_anew(clock: Clock) -> None:
    meter = Meter("steps")
    clock.now += 50.0
    meter.count(900, 1000)
    assert meter.rate() == ""
    clock.now += 10.0
    meter.count(905, 1000)
    assert meter.line() == "905 of 1,000 steps, 0.5 steps/s, about 3.2 minutes left"
    meter.count(0, 80)
    assert meter.line() == "0 of 80 steps"


def test_done_is_said_only_where_it_went_well(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    with step("Well", unit="px") as count:
        count(0, 10)
        clock.now += 20.0
        count(5, 10)
        clock.now += 20.0
        count(10, 10)
    with pytest.raises(OSError, match="full"), step("Badly"):
        raise OSError("full")
    with pytest.raises(KeyboardInterrupt), step("Stopped"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err.splitlines() == [
        "Well: 10 of 10 pixels, 0.25 px/s",
        "Well: done in 40.0 s, 0.25 px/s",
    ]


def test_many_cells_without_scenes_are_one_line() -> None:
    outcomes = [CellOutcome(f"c{n}", "empty", "no item") for n in range(96)]
    outcomes += [CellOutcome("w", "written"), CellOutcome("s", "skipped"), CellOutcome("e", "empty", "no item")]
    outcomes += [CellOutcome("r", "refused", "3 scenes"), CellOutcome("f", "empty", "none"), CellOutcome("g", "empty")]
    told = Outcomes()
    total = len(outcomes)
    lines = [line for done, outcome in enumerate(outcomes, 1) for line in told.lines(outcome, done, total)]
    assert lines == [
        "96 cells empty, c0 to c95, 96 of 102 cells: no item",
        "w written, 97 of 102 cells",
        "e empty, 99 of 102 cells: no item",
        "r refused, 100 of 102 cells: 3 scenes",
        "2 cells empty, f to g, 102 of 102 cells: none",
    ]
    assert Outcomes().lines(CellOutcome("only", "empty", "no item"), 1, 1) == []
