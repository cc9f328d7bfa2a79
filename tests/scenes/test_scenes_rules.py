from __future__ import annotations

import random
import re
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tessera.base import InputError
from tessera.geo import parse_year
from tessera.scenes import Asset, Scene, has_offset, is_clear, remove_offset, scale_s1
from tessera.scenes.records.rules import (
    OFFSET_DATE,
    bucket_of,
    copy_rank,
    covers_enough,
    item_order,
    keeps_offset,
    remove_offset_by_date,
    solar_date,
    take_first_valid,
    utc_date,
)

MOMENTS = st.datetimes(min_value=datetime(2015, 1, 2), max_value=datetime(2040, 12, 30), timezones=st.just(UTC))


def test_scene_classes_kept_are_the_published_ones() -> None:
    kept = np.flatnonzero(is_clear(np.arange(256, dtype=np.uint8)))
    assert kept.tolist() == [4, 5, 6, 7, 10, 11]


@pytest.mark.parametrize(
    ("dn", "expected"), [(0, 0), (1, 1), (1000, 1), (1001, 1), (1002, 2), (2500, 1500), (65535, 64535)]
)
def test_offset_table(dn: int, expected: int) -> None:
    assert remove_offset(np.array([dn], dtype=np.uint16), True).tolist() == [expected]
    assert remove_offset(np.array([dn], dtype=np.uint16), False).tolist() == [dn]
    for offset in (True, False):
        out = np.full(1, 7, dtype=np.uint16)
        assert remove_offset(np.array([dn], dtype=np.uint16), offset, out=out) is out
        assert out.tolist() == [expected if offset else dn]


@given(hnp.arrays(np.uint16, hnp.array_shapes(max_dims=3)))
def test_offset_keeps_no_data_and_nothing_else_becomes_it(dn: np.ndarray) -> None:
    out = remove_offset(dn, True)
    assert out.dtype == np.uint16
    np.testing.assert_array_equal(out == 0, dn == 0)
    np.testing.assert_array_equal(out[dn > 1000], dn[dn > 1000] - 1000)


@given(st.integers(0, 99), st.integers(0, 99))
def test_offset_follows_the_baseline(major: int, minor: int) -> None:
    assert has_offset(f"{major:02d}.{minor:02d}") == (major >= 4)


@pytest.mark.parametrize("baseline", ["", "5.09", "05.9", "N0509", "05.09 ", "None"])
def test_a_baseline_of_another_form_is_refused(baseline: str) -> None:
    with pytest.raises(InputError, match=r"processing baseline .*; expected the form 05\.09"):
        has_offset(baseline)


COPY = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs/29/R/KH/2020/2/x/B02.tif"
ORIGINAL = "s3://sentinel-s2-l2a/tiles/29/R/KH/2020/2/19/0/R10m/B02.jp2"


@pytest.mark.parametrize(
    ("href", "bucket"),
    [
        (COPY, "sentinel-cogs"),
        (ORIGINAL, "sentinel-s2-l2a"),
        ("s3://sentinel-cogs/sentinel-s2-l2a-cogs/29", "sentinel-cogs"),
        ("https://s3.us-west-2.amazonaws.com/sentinel-cogs/x.tif", "sentinel-cogs"),
        ("https://sentinel-cogs.example.org/x.tif", ""),
        ("./sentinel-cogs/x.tif", ""),
        ("https://example.org/s3://sentinel-cogs/x", ""),
    ],
)
def test_buckets(href: str, bucket: str) -> None:
    assert bucket_of(href) == bucket


@pytest.mark.parametrize(
    ("pixels", "item", "applied", "kept"),
    [
        ((), (), None, True),
        ((), (), False, True),
        ((), (), True, False),
        ((COPY,), (), None, False),
        ((COPY,), (), False, False),
        ((), (COPY,), False, False),
        ((), (ORIGINAL,), None, True),
        ((), (ORIGINAL,), True, False),  # its metadata lies there for copies too
        ((ORIGINAL,), (), True, True),
        ((ORIGINAL,), (COPY,), True, True),
        (("./B02.tif",), ("https://planetarycomputer.microsoft.com/api",), None, True),
    ],
)
def test_whose_pixels_keep_the_offset(
    pixels: tuple[str, ...], item: tuple[str, ...], applied: bool | None, kept: bool
) -> None:
    assert keeps_offset("05.09", pixels, item, applied) is kept
    assert keeps_offset("02.14", pixels, item, applied) is False
    with pytest.raises(InputError, match="processing baseline"):
        keeps_offset("", pixels, item, applied)


def test_s1_table() -> None:
    power = np.array([0.0743, 0.0, -1.0, np.nan, np.inf, -np.inf, 1.0, 1e30, 1e-9, 10**-2.5], dtype=np.float32)
    out = scale_s1(power)
    assert out.dtype == np.int16
    assert abs(int(out[0]) - 5483) <= 2
    assert out[1:6].tolist() == [0] * 5
    assert out[6:9].tolist() == [10000, 32767, 0]
    assert out[9] in (0, 1)  # -25 dB is where the published scale ends


@given(hnp.arrays(np.float32, 20, elements=st.floats(0.0009765625, 1024, width=32)))
def test_s1_scale_is_monotonic_and_truncates(power: np.ndarray) -> None:
    out = scale_s1(np.sort(power))
    assert (np.diff(out.astype(int)) >= 0).all()
    exact = np.clip((20 * np.log10(np.sort(power).astype(np.float64)) + 50) * 200, 0, 32767)
    assert ((exact - out >= 0) & (exact - out < 1)).all()


@given(MOMENTS, st.floats(-180, 180))
def test_solar_date_is_at_most_a_day_from_utc(moment: datetime, longitude: float) -> None:
    day = solar_date(moment, longitude)
    assert abs((day - moment.date()).days) <= 1
    assert solar_date(moment.replace(tzinfo=None), longitude) == day
    assert solar_date(moment.astimezone(timezone(timedelta(hours=5))), longitude) == day


def test_solar_date_by_hand() -> None:
    evening = datetime(2021, 12, 31, 23, 0, tzinfo=UTC)
    assert solar_date(evening, 0.0) == date(2021, 12, 31)
    assert solar_date(evening, 175.0) == date(2022, 1, 1)
    assert solar_date(datetime(2021, 1, 1, 1, 0, tzinfo=UTC), -175.0) == date(2020, 12, 31)


@given(st.permutations([("a", 5.0), ("b", 1.0), ("c", None), ("d", 100.0), ("e", 1.0)]))
def test_item_order_is_total(items: list[tuple[str, float | None]]) -> None:
    day = date(2021, 5, 1)
    names = [name for name, cover in sorted(items, key=lambda item: item_order(day, item[1], item[0]))]
    assert names == ["b", "e", "a", "c", "d"]


@given(
    hnp.arrays(np.uint16, (4, 3, 2), elements=st.integers(1, 9)),
    hnp.arrays(np.bool_, (4, 3, 2)),
)
def test_first_valid_wins(layers: np.ndarray, valid: np.ndarray) -> None:
    target, filled = np.zeros((3, 2), dtype=np.uint16), np.zeros((3, 2), dtype=np.bool_)
    given_by = [take_first_valid(target, filled, layer, good) for layer, good in zip(layers, valid, strict=True)]
    for row in range(3):
        for col in range(2):
            choices = [layers[k, row, col] for k in range(4) if valid[k, row, col]]
            assert target[row, col] == (choices[0] if choices else 0)
    assert sum(given_by) == filled.sum() == valid.any(axis=0).sum()


@pytest.mark.parametrize("year", [2013, 2101, "2021", 2021.0, True, None])
def test_a_year_that_is_none(year: object) -> None:
    with pytest.raises(InputError, match="expected a whole number from 2014 to 2100"):
        parse_year(year)


# the published rules


@given(hnp.arrays(np.uint16, hnp.array_shapes(max_dims=3)), MOMENTS)
def test_offset_by_date(dn: np.ndarray, moment: datetime) -> None:
    kept = dn.copy()
    out = remove_offset_by_date(dn, moment)
    assert out.dtype == np.uint16
    np.testing.assert_array_equal(dn, kept)
    late = moment.date() > OFFSET_DATE
    np.testing.assert_array_equal(out, np.where(late & (dn >= 1000), dn.astype(int) - 1000, dn))


@pytest.mark.parametrize(
    ("moment", "taken"),
    [
        (datetime(2022, 1, 25, 23, 59, 59, tzinfo=UTC), False),
        (datetime(2022, 1, 26, tzinfo=UTC), True),
        (datetime(2022, 1, 26), True),
        (datetime(2022, 1, 26, 1, 0, tzinfo=timezone(timedelta(hours=2))), False),
    ],
)
def test_offset_by_date_begins_after_a_day_of_utc(moment: datetime, taken: bool) -> None:
    dn = np.array([0, 1, 999, 1000, 1001, 65535], dtype=np.uint16)
    expected = [0, 1, 999, 0, 1, 64535] if taken else dn.tolist()
    assert remove_offset_by_date(dn, moment).tolist() == expected


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_utc_date_is_the_same_in_every_zone(moment: datetime, minutes: int) -> None:
    day = utc_date(moment)
    assert day == moment.date() == solar_date(moment, 0.0)
    assert utc_date(moment.replace(tzinfo=None)) == day
    assert utc_date(moment.astimezone(timezone(timedelta(minutes=minutes)))) == day


@given(
    st.integers(0, 10**7), st.integers(0, 10**7), st.sampled_from([0.0, 0.01, 5.0, 10.0, 100.0]), st.integers(0, 100)
)
def test_cover_is_a_share(valid: int, pixels: int, least: float, more: int) -> None:
    valid = min(valid, pixels)
    enough = covers_enough(valid, pixels, least)
    if pixels:
        assert enough == (valid * 10_000 >= round(least * 100) * pixels)
    assert not enough or covers_enough(min(pixels, valid + more), pixels, least)
    assert covers_enough(valid, pixels, 0.0)


def test_cover_at_the_published_thresholds() -> None:
    assert covers_enough(1, 10_000, 0.01)
    assert not covers_enough(0, 10_000, 0.01)
    assert covers_enough(5, 100, 5.0)
    assert not covers_enough(9, 100, 10.0)
    assert not covers_enough(0, 0, 0.01)


# copies

OPTICAL_BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12", "SCL")


FREE = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/x"
PAID = "https://sentinel-s2-l2a.s3.eu-central-1.amazonaws.com/x"


def copy_of(
    name: str,
    baseline: str = "05.09",
    *,
    offset: bool = False,
    bands: int = 11,
    datatake: str = "G",
    href: str = FREE,
) -> Scene:
    return Scene(
        id=name,
        collection="sentinel-2-l2a",
        source="here",
        moment=datetime(2021, 6, 1, tzinfo=UTC),
        footprint=((5.0, 51.0),),
        cloud_cover=None,
        baseline=baseline,
        orbit="",
        platform="",
        datatake=datatake,
        tile="31UFS",
        assets={band: Asset(href, offset and band != "SCL") for band in OPTICAL_BANDS[:bands]},
    )


def burst(produced: str, bands: int = 2) -> Scene:
    return Scene(
        id=f"OPERA_L2_RTC-S1_T035-073251-IW2_20240113T020816Z_{produced}_S1A_30_v1.0",
        collection="opera-rtc-s1",
        source="opera",
        moment=datetime(2024, 1, 13, tzinfo=UTC),
        footprint=((5.0, 51.0),),
        cloud_cover=None,
        baseline="",
        orbit="ascending",
        platform="sentinel-1a",
        datatake="",
        tile="T035-073251-IW2",
        assets={band: Asset("x") for band in ("VV", "VH")[:bands]},
    )


SCENES = st.builds(
    copy_of,
    st.sampled_from(["S2A_31UFS_20210601_0_L2A", "S2A_31UFS_20210601_10_L2A", "S2A_31UFS_20210601_2_L2A", "b", "a"]),
    st.sampled_from(["02.14", "04.00", "05.09", "05.11", "10.00", "", "5.9", "0x.00"]),
    offset=st.booleans(),
    bands=st.integers(9, 11),
    datatake=st.sampled_from(["", "G"]),
    href=st.sampled_from([FREE, PAID]),
)


@given(st.lists(SCENES, min_size=2, max_size=8, unique_by=lambda scene: scene.id), st.randoms())
def test_copies_have_one_order(scenes: list[Scene], random: random.Random) -> None:
    best = sorted(scenes, key=copy_rank)
    mixed = list(scenes)
    random.shuffle(mixed)
    assert sorted(mixed, key=copy_rank) == best
    assert len({copy_rank(scene) for scene in scenes}) == len(scenes), "no two are equal"


@given(SCENES, SCENES)
def test_a_better_copy_comes_first(one: Scene, other: Scene) -> None:
    """Rule by rule, the earlier deciding before the later."""

    def standing(scene: Scene) -> list[float]:
        readable = re.fullmatch(r"[0-9]{2}[.][0-9]{2}", scene.baseline)
        sequence = re.search(r"_([0-9]+)_L2A$", scene.id)
        return [
            len(scene.assets) < 11,
            not scene.datatake,
            not readable,
            -float(scene.baseline) if readable else 0.0,
            any(asset.offset for asset in scene.assets.values()),
            any("sentinel-s2-l2a" in asset.href for asset in scene.assets.values()),
            int(sequence[1]) if sequence else 0,
        ]

    if standing(one) != standing(other):
        assert (copy_rank(one) < copy_rank(other)) == (standing(one) < standing(other))


def test_copies_by_hand() -> None:
    whole = [
        copy_of("e", "05.11"),
        copy_of("d", "05.09"),
        copy_of("S2A_31UFS_20210601_2_L2A", "05.09"),
        copy_of("S2A_31UFS_20210601_10_L2A", "05.09"),
        copy_of("a", "05.09", href=PAID),
        copy_of("c", "05.09", offset=True),
        copy_of("b", "02.14"),
        copy_of("a", ""),
        copy_of("a", "05.11", datatake=""),
        copy_of("a", "05.11", bands=10),
    ]
    whole.reverse()
    assert sorted(whole, key=copy_rank) == whole[::-1]


@given(st.lists(st.datetimes(datetime(2014, 1, 1), datetime(2039, 12, 31)), min_size=2, max_size=6, unique=True))
def test_what_opera_produced_last_comes_first(times: list[datetime]) -> None:
    stamps = sorted({f"{time:%Y%m%dT%H%M%SZ}" for time in times}, reverse=True)
    scenes = sorted((burst(stamp) for stamp in sorted(stamps)), key=copy_rank)
    assert [scene.produced for scene in scenes] == stamps
    whole, half = burst(stamps[-1]), burst(stamps[0], bands=1)
    assert copy_rank(whole) < copy_rank(half), "both polarisations before the later production"
