"""OPERA by CMR, asked on loopback in the shape that CMR documents: pages, orbits, copies, tokens."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opera_helpers import NOW, Cmr, granule, jwt, product, send

import tessera.scenes.sources.opera
from tessera.base import InputError
from tessera.net import CorruptError, CredentialError, LoadError, NetError, PermanentError, Web
from tessera.scenes import Address, Query, Scene, Source
from tessera.scenes.sources._tally import Tally
from tessera.scenes.sources.opera import HOSTS, Opera, expiry

BOX = (-122.6, 37.2, -121.8, 37.9)


@pytest.fixture
def cmr() -> Iterator[Cmr]:
    made = Cmr()
    yield made
    made.close()


@pytest.fixture
def opera(cmr: Cmr) -> Opera:
    return Opera(f"{cmr.url}/search", web=Web(delays=()), at_once=1, now=lambda: NOW)


def query(first: str = "2024-01-01", last: str = "2024-01-31", box: tuple[float, ...] = BOX) -> Query:
    return Query(box, dt.date.fromisoformat(first), dt.date.fromisoformat(last))  # type: ignore[arg-type]


def found(opera: Opera, *args: Any, **more: Any) -> list[Scene]:
    return list(opera.search(query(*args, **more)))


def test_a_product_becomes_a_scene(cmr: Cmr, opera: Opera) -> None:
    source: Source = opera
    name = product()
    cmr.orbits["DESCENDING"] = [granule(name)]
    (scene,) = source.search(query(), lambda done, total: None)
    folder = f"https://cumulus.asf.earthdatacloud.nasa.gov/OPERA/OPERA_L2_RTC-S1/{name}"
    assert (scene.id, scene.collection, scene.source) == (name, "opera-rtc-s1", "opera")
    assert scene.moment == dt.datetime(2024, 1, 13, 2, 8, 16, tzinfo=dt.UTC)
    assert (scene.orbit, scene.platform, scene.tile) == ("descending", "sentinel-1a", "T035-073251-IW2")
    assert scene.footprint[0] == (-122.5, 37.2)
    assert len(scene.footprint) == 5
    assert {band: asset.href for band, asset in scene.assets.items()} == {
        "VV": f"{folder}/{name}_VV.tif",
        "VH": f"{folder}/{name}_VH.tif",
    }
    assert scene.produced == "20240113T113128Z"
    assert scene.acquisition == ("S1 burst", "S1A", "T035-073251-IW2", "20240113")
    assert not scene.optical
    # nobody is sent a token for a search
    assert all("authorization" not in headers for _, _, headers in cmr.asked)


def test_what_cmr_is_asked(cmr: Cmr, opera: Opera) -> None:
    seen: list[tuple[int, int]] = []
    list(opera.search(query("2023-11-20", "2024-01-05"), lambda done, total: seen.append((done, total))))
    assert {path for path, _, _ in cmr.asked} == {"/search/granules.json"}
    assert [asked["temporal"][0] for _, asked, _ in cmr.asked[::2]] == [
        "2023-11-20T00:00:00Z,2023-11-30T23:59:59.999Z",
        "2023-12-01T00:00:00Z,2023-12-31T23:59:59.999Z",
        "2024-01-01T00:00:00Z,2024-01-05T23:59:59.999Z",
    ]
    assert [asked["attribute[]"][0].rpartition(",")[2] for _, asked, _ in cmr.asked[:2]] == ["ASCENDING", "DESCENDING"]
    first = cmr.asked[0][1]
    assert first["collection_concept_id"] == ["C2777436413-ASF"]
    assert first["page_size"] == ["2000"]
    assert [float(value) for value in first["bounding_box"][0].split(",")] == list(BOX)
    assert seen == [(done, 6) for done in range(7)]


def test_pages_are_followed_to_the_last(cmr: Cmr, opera: Opera) -> None:
    cmr.page = 3
    cmr.orbits["ASCENDING"] = [granule(product(f"T035-{number:06d}-IW1")) for number in range(7)]
    scenes = found(opera)
    assert [scene.tile for scene in scenes] == [f"T035-{number:06d}-IW1" for number in range(7)]
    assert [scene.position for scene in scenes] == sorted({scene.position for scene in scenes})
    afters = [headers.get("cmr-search-after") for _, _, headers in cmr.asked]
    assert afters == [None, '[3, "x"]', '[6, "x"]', None]


def test_several_searches_at_once_give_the_same_scenes_in_the_same_order(cmr: Cmr, opera: Opera) -> None:
    cmr.page = 2
    days = [f"2023{month:02d}{day:02d}" for month in range(1, 7) for day in (2, 14, 26)]
    cmr.orbits["ASCENDING"] = [granule(product(day=day)) for day in days]
    cmr.orbits["DESCENDING"] = [granule(product("T001-000001-IW1", day)) for day in days]
    one = found(opera, "2023-01-01", "2023-06-30")
    many = found(Opera(opera.cmr, web=Web(delays=()), at_once=4), "2023-01-01", "2023-06-30")
    assert len(one) == 36
    assert many == one
    assert [scene.position for scene in many] == [scene.position for scene in one]
    # the first error ends it, and so does who has enough
    cmr.answer = lambda handler: send(handler, "{}")
    count = len(cmr.asked)
    with pytest.raises(InputError, match="no feed"):
        found(Opera(opera.cmr, web=Web(delays=()), at_once=4), "2016-01-01", "2025-12-31")
    assert len(cmr.asked) - count < 240
    cmr.answer = lambda handler: False
    assert next(Opera(opera.cmr, web=Web(delays=())).search(query("2023-01-01", "2025-12-31"))) == one[0]


def test_two_boxes_over_the_date_line_and_no_product_twice(cmr: Cmr, opera: Opera) -> None:
    ring = ["-17.2 179.5 -17.0 180.0 -16.5 180.0 -17.2 179.5", "-17.2 -180 -17.0 -179.5 -16.5 -180 -17.2 -180"]
    cmr.orbits["ASCENDING"] = [
        granule(product(), polygons=[[part] for part in ring]),
        granule(product("T001-000001-IW1"), bands=()),
    ]
    (scene,) = found(opera, box=(179.0, -18.0, -179.0, -16.0))
    boxes = [asked["bounding_box"][0] for _, asked, _ in cmr.asked]
    assert (
        boxes
        == ["179.0000000,-18.0000000,180.0000000,-16.0000000", "-180.0000000,-18.0000000,-179.0000000,-16.0000000"] * 2
    )
    assert len(scene.footprint) == 8
    assert scene.footprint[4] == (-180.0, -17.2)
    assert opera.left_out == {"no VV or VH": 1}


def test_a_product_processed_anew_is_a_copy_of_the_same_acquisition(cmr: Cmr, opera: Opera) -> None:
    old, new = product(made="20240113T113128Z"), product(made="20250911T203016Z")
    later = new.replace("020816Z", "020817Z")
    others = [product(by="C"), product(day="20240125"), product("T035-073251-IW3")]
    cmr.orbits["ASCENDING"] = [granule(name) for name in (new, old, later, *others)]
    scenes = {scene.id: scene for scene in found(opera)}
    assert len(scenes) == 6
    assert scenes[old].acquisition == scenes[new].acquisition == scenes[later].acquisition
    assert scenes[old].produced < scenes[new].produced
    assert len({scenes[name].acquisition for name in (old, *others)}) == 4


def test_a_polarisation_may_be_missing_and_hh_is_left_out(cmr: Cmr, opera: Opera) -> None:
    one, polar = product("T035-000001-IW1"), product("T035-000002-IW1")
    cmr.orbits["ASCENDING"] = [granule(one, bands=("VV",)), granule(polar, bands=("HH", "HV"))]
    (scene,) = found(opera)
    assert list(scene.assets) == ["VV"]
    assert opera.left_out == {"no VV or VH": 1}
    found(opera)
    assert opera.left_out == {"no VV or VH": 1}


@pytest.mark.parametrize("kept", ["s3://", "https://datapool.asf.alaska.edu/"])
def test_a_file_that_is_told_elsewhere_is_read_from_the_preferred_host(cmr: Cmr, opera: Opera, kept: str) -> None:
    name = product()
    entry = granule(name)
    entry["links"] = [link for link in entry["links"] if link["href"].startswith(kept)]
    cmr.orbits["ASCENDING"] = [entry]
    (scene,) = found(opera)
    assert scene.assets["VH"].href == f"{HOSTS[0]}/OPERA/OPERA_L2_RTC-S1/{name}/{name}_VH.tif"


def test_a_link_that_names_another_product_is_not_its_file(cmr: Cmr, opera: Opera) -> None:
    entry = granule(product())
    entry["links"] = [
        *granule(product("T001-000001-IW1"))["links"],
        {"href": f"{product()}_VV.tif"},
        {"href": 5},
        {"href": f"ftp://h.example/x{product()}_VV.tif"},
        "no link",
    ]
    cmr.orbits["ASCENDING"] = [entry]
    assert found(opera) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"producer_granule_id": "OPERA_L3_DSWX", "title": 5}, "OPERA_L3_DSWX"),
        ({"producer_granule_id": None, "title": None}, "expected products"),
        ({"time_start": "yesterday"}, "time_start 'yesterday'"),
        ({"time_start": None}, "time_start None"),
        ({"time_start": "0001-01-01T00:00:00+14:00"}, "time_start '0001"),
        ({"time_start": "1999-01-01T00:00:00Z"}, "expected a moment of 2014 to 2100"),
        ({"polygons": [[" ".join(["37 -122"] * 20_001)]]}, "expected 1 to 20000 corners"),
        ({"polygons": []}, "no outline"),
        ({"polygons": 5}, "no outline"),
        ({"polygons": [[]]}, "no outline"),
        ({"polygons": [["1 2 3"]]}, "no outline"),
        ({"polygons": [["1 2 nan 4"]]}, "no outline"),
        ({"polygons": [["-122 37 -121 38"]]}, "no outline"),
        ({"polygons": [[{"a": 1}]]}, "no outline"),
    ],
)
def test_a_product_that_lacks_what_is_needed_is_refused_in_one_line(
    cmr: Cmr, opera: Opera, change: dict[str, Any], said: str
) -> None:
    cmr.orbits["ASCENDING"] = [granule(product())]
    entry = granule(product()) | change
    cmr.answer = lambda handler: send(handler, json.dumps({"feed": {"entry": [entry]}}))
    with pytest.raises(InputError, match=said) as caught:
        found(opera)
    assert str(caught.value).isprintable()


def test_the_title_and_the_box_stand_in(cmr: Cmr, opera: Opera) -> None:
    entry = granule(product(), boxes=["37.2 -122.6 37.6 -121.6"], time_start="2024-01-13T02:08:16")
    del entry["producer_granule_id"], entry["polygons"]
    cmr.orbits["ASCENDING"] = [entry]
    (scene,) = found(opera)
    assert scene.footprint == ((-122.6, 37.2), (-121.6, 37.6))
    assert scene.moment.tzinfo is dt.UTC


@pytest.mark.parametrize(
    ("body", "headers", "status", "error"),
    [
        ("<html>", {}, 200, CorruptError),
        ("[]", {}, 200, InputError),
        ('{"feed": {"entry": {}}}', {}, 200, InputError),
        ('{"feed": {"entry": ["x"]}}', {}, 200, InputError),
        ('{"feed": {"entry": []}}', {"CMR-Hits": "7"}, 200, LoadError),
        ('{"feed": {"entry": []}}', {"CMR-Timed-Out": "true"}, 200, LoadError),
        ('{"errors": ["Parameter [x] was not recognized."]}', {}, 400, PermanentError),
        ('{"errors": ["busy"]}', {"Retry-After": "1000"}, 429, LoadError),
    ],
)
def test_answers_that_are_none(
    cmr: Cmr, opera: Opera, body: str, headers: dict[str, str], status: int, error: type[Exception]
) -> None:
    cmr.answer = lambda handler: send(handler, body, headers, status)
    with pytest.raises(error):
        found(opera)


def test_a_catalogue_that_goes_round_in_circles_is_left(cmr: Cmr, opera: Opera) -> None:
    entries = [granule(product(f"T035-{number:06d}-IW1")) for number in range(3)]

    def page(*shown: dict[str, Any], hits: int) -> None:
        body = json.dumps({"feed": {"entry": shown}})
        more = {"CMR-Hits": str(hits)}
        cmr.answer = lambda handler: send(handler, body, more | {"CMR-Search-After": str(len(cmr.asked))})

    page(*entries[:2], hits=4)
    with pytest.raises(CorruptError, match="same page again"):
        found(opera)
    assert len(cmr.asked) == 2
    # an end that comes too early is not an end
    cmr.answer = lambda handler: send(handler, json.dumps({"feed": {"entry": entries}}), {"CMR-Hits": "4"})
    with pytest.raises(LoadError, match="3 of the 4 products"):
        found(opera)


def test_a_catalogue_without_an_end_is_left(cmr: Cmr, opera: Opera) -> None:
    def page(handler: Any) -> bool:
        entry = granule(product(f"T035-{len(cmr.asked):06d}-IW1"))
        return send(handler, json.dumps({"feed": {"entry": [entry]}}), {"CMR-Search-After": "more"})

    cmr.answer = page
    with pytest.raises(CorruptError, match="pages of one month"):
        found(opera)
    assert len(cmr.asked) == 500


def test_new_products_without_end_are_refused_in_bounded_memory(
    cmr: Cmr, opera: Opera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tessera.scenes.sources.opera, "Tally", partial(Tally, items=100))

    def page(handler: Any) -> bool:
        entries = [granule(product(f"T035-{len(cmr.asked):06d}-IW{n}"), bands=()) for n in (1, 2, 3)]
        return send(handler, json.dumps({"feed": {"entry": entries}}), {"CMR-Search-After": "more"})

    cmr.answer = page
    with pytest.raises(PermanentError, match="more than 100 items"):
        found(opera)
    assert len(cmr.asked) == 34


@pytest.mark.parametrize("status", [502, 504, 503])
def test_a_gateway_that_is_down_for_a_moment_is_waited_for(cmr: Cmr, status: int) -> None:
    """CMR has no question that is too large: of it 502 is no matter of size."""
    cmr.orbits["ASCENDING"] = [granule(product())]
    cmr.answer = lambda handler: len(cmr.asked) <= 2 and send(handler, "bad gateway", status=status)
    source = Opera(f"{cmr.url}/search", at_once=1)
    source._web = replace(source._web, delays=(0.001,) * 3)
    assert len(found(source)) == 1
    assert len(cmr.asked) == 4
    cmr.answer = lambda handler: send(handler, "bad gateway", status=status)
    with pytest.raises(LoadError, match=f"status {status}"):
        found(source)


def test_a_missing_token_is_told_in_one_line_with_its_cure(opera: Opera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    with pytest.raises(CredentialError, match=r"urs\.earthdata\.nasa\.gov.*EARTHDATA_TOKEN.*netrc") as caught:
        opera.address(f"{HOSTS[0]}/x.tif")
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("EARTHDATA_TOKEN", "  opaque-token-of-edl \n")
    assert opera.address(f"{HOSTS[0]}/x.tif").headers == {"Authorization": "Bearer opaque-token-of-edl"}
    monkeypatch.setenv("EARTHDATA_TOKEN", "bad\r\nHost: evil.example")
    with pytest.raises(CredentialError, match="characters"):
        opera.address(f"{HOSTS[0]}/x.tif")


def test_an_expired_token_is_told_with_its_date() -> None:
    late = jwt(uid="somebody", exp=NOW - 1)
    with pytest.raises(CredentialError, match=r"expired on 2025-12-31 23:59 UTC") as caught:
        Opera(token=late, now=lambda: NOW).address(f"{HOSTS[0]}/x.tif")
    assert late not in str(caught.value)
    good = jwt(uid="somebody", exp=int(NOW) + 60)
    source = Opera(token=good, now=lambda: NOW)
    assert source.address(f"{HOSTS[0]}/x.tif").headers["Authorization"] == f"Bearer {good}"
    assert good not in repr(source)
    assert source.renew("x", Address("x")) is False
    assert source.verdict(403, b"") is None


@pytest.mark.parametrize(
    "href",
    [
        "https://evil.example/x.tif",
        "http://cumulus.asf.earthdatacloud.nasa.gov/x.tif",
        "https://cumulus.asf.earthdatacloud.nasa.gov@evil.example/x.tif",
        "https://cumulus.asf.earthdatacloud.nasa.gov.evil.example/x.tif",
        "https://[bad/x.tif",
        "s3://asf-cumulus-prod-opera-products/x.tif",
    ],
)
def test_nobody_else_is_sent_the_token(href: str) -> None:
    assert Opera(token=jwt(exp=NOW + 9e9), now=lambda: NOW).address(href) == Address(href)


@given(st.text(max_size=60) | st.builds(lambda claims: jwt(**claims), st.dictionaries(st.text(max_size=5), st.none())))
def test_any_text_has_an_expiry_or_none(token: str) -> None:
    assert expiry(token) is None


@pytest.mark.parametrize("value", [True, "soon", None, 1e300, float("inf"), [1]])
def test_an_odd_expiry_is_none(value: object) -> None:
    assert expiry(jwt(exp=value)) is None


def test_a_file_is_read_through_a_redirect_that_does_not_carry_the_token() -> None:
    front, store = Cmr(), Cmr()
    token = jwt(exp=NOW + 60)

    def guard(handler: Any) -> bool:
        if handler.headers.get("Authorization") != f"Bearer {token}":
            return send(handler, "HTTP Basic: Access denied.", status=401)
        return send(handler, "", {"Location": f"{store.url}/signed.tif?Signature=x"}, 303)

    def blocks(handler: Any) -> bool:
        start, stop = map(int, handler.headers["Range"].removeprefix("bytes=").split("-"))
        body = bytes(range(256))[start : stop + 1]
        return send(handler, body, {"Content-Range": f"bytes {start}-{stop}/256"}, 206)

    front.answer, store.answer = guard, blocks
    try:
        source = Opera(token=token, hosts=(front.url,), now=lambda: NOW)
        address = source.address(f"{front.url}/x_VV.tif")
        web = Web(source.verdict, delays=())
        answer = web.get(address.url, limit=16, span=(16, 32), headers=address.headers)
        assert answer.data == bytes(range(16, 32))
        assert "authorization" in front.asked[0][2]
        assert "authorization" not in store.asked[0][2]
        refused: type[NetError] = CredentialError
        with pytest.raises(refused, match="status 401"):
            web.get(address.url, limit=16, span=(0, 16), headers={"Authorization": "Bearer other"})
    finally:
        front.close()
        store.close()
