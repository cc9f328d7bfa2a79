"""Searching a STAC API: slices, pages, what is too large, and items that are none."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stac_helpers import API, FakeWeb, Reply, day_of, listed, on, query, span_of
from urllib3 import HTTPResponse

import tessera.net.web
from tessera.base import InputError
from tessera.net import CorruptError, LoadError, MissingError, NetError, OversizeError, PermanentError
from tessera.scenes import Query, Scene, SceneTable, Source
from tessera.scenes.sources._earth_search import EarthSearch
from tessera.scenes.sources._tally import Tally, weight
from tessera.scenes.sources.stac_api import StacApi, _Taken

S2 = ("sentinel-2-l2a",)


def api(reply: Reply, **more: Any) -> tuple[StacApi, FakeWeb]:
    web = FakeWeb(reply)
    return StacApi(API, web=web, **({"collections": S2} | more)), web  # type: ignore[arg-type]


def names(found: Any) -> list[str]:
    return [scene.id for scene in found]


# slices

DAYS = st.dates(dt.date(2016, 1, 1), dt.date(2026, 12, 31))


@given(DAYS, st.integers(0, 900))
def test_months_cover_a_query_once(first: dt.date, days: int) -> None:
    months = list(Query((5.2, 50.6, 5.3, 50.7), first, first + dt.timedelta(days=days)).months())
    covered = [start + dt.timedelta(days=n) for start, end in months for n in range((end - start).days + 1)]
    assert covered == [first + dt.timedelta(days=n) for n in range(days + 1)]
    names = [(start.year, start.month) for start, _ in months]
    assert names == sorted(set(names)) == [(end.year, end.month) for _, end in months]


def test_each_month_and_collection_is_asked_for() -> None:
    source, web = api(lambda *_: listed([]), collections=("sentinel-2-l2a", "sentinel-1-rtc"))
    seen: list[tuple[int, int]] = []
    kept: Source = source
    assert list(kept.search(query("2021-01-15", "2021-03-02"), lambda *done: seen.append(done))) == []
    asked = {(body["collections"][0], body["datetime"]) for _, _, body in web.asked}
    assert asked == {
        (collection, f"{first}T00:00:00Z/{after}T00:00:00Z")
        for collection in ("sentinel-2-l2a", "sentinel-1-rtc")
        for first, after in (("2021-01-15", "2021-02-01"), ("2021-02-01", "2021-03-01"), ("2021-03-01", "2021-03-03"))
    }
    assert {(method, url) for method, url, _ in web.asked} == {("POST", f"{API}/search")}
    assert seen == [(done, 6) for done in range(7)]


def test_over_the_date_line_two_boxes_are_asked_for_and_an_item_of_both_comes_once() -> None:
    source, web = api(lambda *_: listed([on("2021-06-03")]))
    assert len(list(source.search(query(box=(179.5, -17.0, -179.5, -16.0))))) == 1
    assert sorted(body["bbox"] for _, _, body in web.asked) == [
        [-180.0, -17.0, -179.5, -16.0],
        [179.5, -17.0, 180.0, -16.0],
    ]


def test_an_item_twice_comes_once_and_the_order_is_the_answers() -> None:
    items = [on("2021-06-09"), on("2021-06-03"), on("2021-06-09"), on("2021-06-03", 1)]
    source, _ = api(lambda *_: listed(items))
    found = list(source.search(query()))
    assert names(found) == [items[0]["id"], items[1]["id"], items[3]["id"]]
    assert [scene.position for scene in found] == [0, 1, 2]
    assert {scene.source for scene in found} == {"stac.example"}


# items that are none


def test_bad_items_are_left_out_and_counted() -> None:
    bad: list[dict[str, Any]] = [on("2021-06-01"), on("2021-06-02"), on("2021-06-03"), on("2021-06-04"), {}]
    for item in bad[:2]:
        del item["assets"]["red"]
    bad[2]["geometry"] = bad[2]["bbox"] = None
    bad[3]["id"] = ["no", "name"]
    source, _ = api(lambda *_: listed([*bad, on("2021-06-09"), {"collection": "sentinel-2-l2a"}]))
    assert names(source.search(query())) == [on("2021-06-09")["id"]]
    assert sum(source.left_out.values()) == 5, "an item of no collection is another's, not a bad one"
    assert max(source.left_out.values()) == 2, "the same reasons count together"
    assert all(len(reason) <= 120 and "S2A" not in reason for reason in source.left_out)
    list(source.search(query()))
    assert sum(source.left_out.values()) == 5, "counted anew by each search"


def clouded(number: int, cover: float) -> dict[str, Any]:
    item = on("2021-06-09", number)
    item["properties"]["eo:cloud_cover"] = cover
    return item


@settings(max_examples=15)
@given(st.lists(st.integers(101, 103), max_size=20), st.integers(0, 150), st.randoms())
def test_however_many_reasons_there_are_a_table_takes_them(often: list[int], kinds: int, random: Any) -> None:
    covers = [*often, *range(101, 101 + kinds)]
    items = [clouded(number, cover) for number, cover in enumerate(covers)]
    told = []
    for _ in range(2):
        source, _ = api(lambda *_: listed(items))
        found = tuple(source.search(query()))
        assert sum(source.left_out.values()) == len(covers)
        assert len(source.left_out) == min(len(set(covers)), 20) + (len(set(covers)) > 20)
        about = {"box": [5, 51, 6, 52], "first": "2021-06-01", "last": "2021-06-30", "sources": [{"name": "a"}]}
        assert SceneTable(found, about, source.left_out).left_out == source.left_out
        told.append(source.left_out)
        random.shuffle(items)
    assert told[0] == told[1], "their order does not matter"


def test_no_stranger_stops_a_search_with_what_it_calls_its_files() -> None:
    items = [on("2021-06-09", number) for number in range(3)]
    items[0]["assets"] = {"a\x1b[31m\nb\u202e": {"href": "x"}}
    items[1]["assets"]["red"]["href"] = "ftp://me:SECRET@files.example/x?sig=SECRET"
    items[2]["assets"]["red"]["href"] = "s3://b?X-Amz-Signature=SECRET"
    source, _ = api(lambda *_: listed(items))
    assert list(source.search(query())) == []
    assert len(source.left_out) == 3
    assert all(reason.isprintable() and "SECRET" not in reason for reason in source.left_out)


def test_a_bad_item_of_two_boxes_counts_once() -> None:
    source, _ = api(lambda *_: listed([clouded(0, 101), {"collection": "sentinel-2-l2a"}]))
    list(source.search(query(box=(179.5, -17.0, -179.5, -16.0))))
    assert sorted(source.left_out.values()) == [1, 2], "what has no name cannot be told apart"


@pytest.mark.parametrize("links", [5, True, "self", {}, [5], [{"rel": "self"}], [{"rel": "self", "href": 5}]])
def test_links_of_an_item_that_are_none(links: Any) -> None:
    source, _ = api(lambda *_: listed([on("2021-06-09") | {"links": links}]))
    assert len(list(source.search(query()))) == 1


def test_a_relative_file_lies_beside_its_item() -> None:
    item = on("2021-06-09")
    item["links"] = [{"rel": "self", "href": "https://files.example/items/a.json"}]
    item["assets"]["red"]["href"] = "./B04.tif"
    source, _ = api(lambda *_: listed([item]))
    (scene,) = source.search(query())
    assert scene.assets["B04"].href == "https://files.example/items/B04.tif"


@pytest.mark.parametrize(
    "href", ["file:///etc/passwd", "/vsicurl/x\n", "", None, 5, "s3://", "gs://bucket/x", "http://[", "s3://b/../x y"]
)
def test_a_file_that_is_nowhere(href: Any) -> None:
    item = on("2021-06-09")
    item["assets"]["red"]["href"] = href
    source, _ = api(lambda *_: listed([item]))
    assert list(source.search(query())) == []
    ((reason, count),) = source.left_out.items()
    assert count == 1
    assert "asset red" in reason


# pages


def paged(items: list[dict[str, Any]], size: int, style: str) -> Reply:
    """Pages of an API that goes on by POST, by POST with merge, or by GET."""

    def reply(method: str, url: str, body: Any) -> Any:
        start = int(url.partition("token=")[2] or 0) if method == "GET" else int(body.get("token", 0))
        assert method == "GET" or style == "bare" or body["collections"] == ["sentinel-2-l2a"]
        links: list[dict[str, Any]] = [{"rel": "root", "href": API}, {"rel": "next"}]
        more: dict[str, Any] = {"rel": "next", "href": f"{API}/search"}
        if style == "GET":
            more["href"] += f"?token={start + size}"
        elif style == "merge":
            more |= {"method": "POST", "merge": True, "body": {"token": str(start + size)}}
        elif style == "whole":
            more |= {"method": "post", "body": {**(body or {}), "token": start + size}}
        else:
            more |= {"method": "POST", "body": {"token": start + size}}
        if start + size < len(items):
            links.append(more)
        return listed(items[start : start + size], links=links, numberMatched=len(items))

    return reply


@given(st.integers(0, 12), st.integers(1, 5), st.sampled_from(["GET", "merge", "whole", "bare"]))
def test_every_page_is_read(count: int, size: int, style: str) -> None:
    items = [on("2021-06-09", number) for number in range(count)]
    source, web = api(paged(items, size, style))
    assert names(source.search(query())) == [item["id"] for item in items]
    assert len(web.asked) == max(1, -(-count // size))


@pytest.mark.parametrize(
    "href",
    [
        "https://elsewhere.example/v1/search?token=SECRET",
        "http://stac.example/v1/search",
        "https://stac.example:8443/v1/search",
        "https://user:SECRET@stac.example/v1/search",
        "//elsewhere.example/",
        "https://stac.example@elsewhere.example/",
        "https://stac.example.elsewhere.example/",
        "file:///etc/passwd",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_next_page_at_another_server_is_not_asked_for(href: str, method: str) -> None:
    link = {"rel": "next", "href": href, "method": method}
    source, web = api(lambda *_: listed([], links=[link]), headers={"X-Key": "k"})
    with pytest.raises(CorruptError, match="its next page is on another server") as caught:
        list(source.search(query()))
    assert "SECRET" not in str(caught.value)
    assert len(web.asked) == 1


@pytest.mark.parametrize("href", ["http://[", "//[::1", "https://a\u2100b/"])
def test_a_next_page_that_is_nowhere(href: str) -> None:
    source, _ = api(lambda *_: listed([], links=[{"rel": "next", "href": href}]))
    with pytest.raises(CorruptError, match="the link to its next page is not an address"):
        list(source.search(query()))


def test_pages_in_circles() -> None:
    turn = iter(range(100))

    def reply(*_: Any) -> Any:
        return listed([], links=[{"rel": "next", "href": f"{API}/search?p={next(turn) % 3}"}])

    source, web = api(reply)
    with pytest.raises(CorruptError, match="repeats its pages"):
        list(source.search(query()))
    assert len(web.asked) == 4


def endless(make: Any) -> Reply:
    """Pages without end, each at an address of its own."""
    turn = iter(range(10**9))

    def reply(*_: Any) -> Any:
        number = next(turn)
        return listed(make(number), links=[{"rel": "next", "href": f"{API}/search?p={number}"}])

    return reply


@pytest.mark.parametrize("make", [lambda _: [on("2021-06-09")], lambda _: [], lambda _: [{}]])
def test_pages_that_bring_nothing_new_have_an_end(make: Any) -> None:
    source, web = api(endless(make))
    with pytest.raises(CorruptError, match="have no new one"):
        list(source.search(query()))
    assert len(web.asked) <= 12


def test_what_was_added_meanwhile_moves_pages_on() -> None:
    """Small pages of what is known are borne for a while."""
    days = [1, 2, 2, 1, 2, 3, 3, 3, 4]
    source, _ = api(lambda *_: None)
    pages = paged([on(f"2021-06-{day:02d}") for day in days], 1, "whole")
    source._web = FakeWeb(pages)  # type: ignore[assignment]
    assert names(source.search(query())) == [on(f"2021-06-{day:02d}")["id"] for day in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"collection": "other"},
        {"assets": {}},
        {"geometry": {"coordinates": [[5.0 + n / 1e4, 51] for n in range(900)]}},
    ],
)
def test_new_items_without_end_are_refused_in_bounded_memory(
    change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tessera.scenes.sources.stac_api, "Tally", partial(Tally, items=1000, held=10**6))
    source, web = api(endless(lambda turn: [on("2021-06-09", 5 * turn + n) | change for n in range(5)]))
    with pytest.raises(PermanentError, match=r"more than 1000 items or 1000000 bytes.*smaller area") as caught:
        list(source.search(query()))
    assert len(str(caught.value).splitlines()) == 1
    assert len(web.asked) <= 201


def test_what_is_asked_for_anew_in_parts_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is too large comes after many that were kept."""
    monkeypatch.setattr(tessera.scenes.sources.stac_api, "Tally", partial(Tally, items=45))
    items = [on(f"2021-06-{day:02d}") for day in range(1, 31)]
    whole = bounded(items, 100)

    def reply(method: str, url: str, body: Any) -> Any:
        first, after = span_of(body)
        if (after - first).days > 16 and int(body.get("token", 0)) >= 20:
            raise OversizeError("too large")
        return whole(method, url, body)

    source, _ = api(reply, page=10)
    assert len(set(names(source.search(query())))) == 30


def test_of_an_item_only_the_scene_is_kept() -> None:
    item = on("2021-06-09") | {"more": "x" * 100_000}
    taken = _Taken(Tally("x"))
    assert taken.add(item, api(lambda *_: None)[0]._scene)
    (scene,) = taken.items
    assert isinstance(scene, Scene)
    assert weight(scene) < 10_000
    assert "x" * 1000 not in repr(scene)


@pytest.mark.parametrize("more", [{"body": {"token": "x" * 10**5}}, {"href": f"{API}/search?{'x' * 10**5}"}])
def test_a_next_page_that_takes_much_to_ask_for(more: dict[str, Any]) -> None:
    link = {"rel": "next", "href": f"{API}/search", "method": "POST"} | more
    source, web = api(lambda *_: listed([on("2021-06-09")], links=[link]))
    with pytest.raises(CorruptError, match="the request for its next page has over"):
        list(source.search(query()))
    assert len(web.asked) == 1


def test_a_search_that_nobody_waits_for_ends_its_threads() -> None:
    turn = iter(range(10**9))
    pages = endless(lambda number: [on("2021-06-09", number)])

    def reply(method: str, url: str, body: Any) -> Any:
        if body is not None and span_of(body)[0].month == 1:
            raise LoadError("the line broke")
        next(turn)
        time.sleep(0.001)
        return pages(method, url, body)

    before = set(threading.enumerate())
    source, _ = api(reply)
    with pytest.raises(LoadError):
        list(source.search(query("2021-01-01", "2021-12-31")))
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before
    assert next(turn) < 5000


@pytest.mark.parametrize(
    "answer", [[], "x", 5, None, {}, {"features": None}, {"features": [5]}, {"features": {"0": {}}}, b"<html>", b""]
)
def test_an_answer_that_is_no_list(answer: Any) -> None:
    source, _ = api(lambda *_: answer)
    with pytest.raises(CorruptError):
        list(source.search(query()))


@pytest.mark.parametrize("links", [5, True, "next", {"rel": "next"}, [5, None], [{"rel": "next", "href": None}]])
def test_links_of_a_page_that_are_none(links: Any) -> None:
    source, _ = api(lambda *_: listed([on("2021-06-09")], links=links))
    assert len(list(source.search(query()))) == 1


@pytest.mark.parametrize("more", [{"numberMatched": 3}, {"context": {"matched": 3}}])
def test_items_that_were_promised_must_come(more: dict[str, Any]) -> None:
    source, _ = api(lambda *_: listed([on("2021-06-09")], **more))
    with pytest.raises(LoadError, match="returned 1 of 3 items and no next page"):
        list(source.search(query()))


@pytest.mark.parametrize(
    "more", [{"numberMatched": "3"}, {"numberMatched": None}, {"context": 5}, {"numberMatched": 1}]
)
def test_a_count_that_is_none_is_not_believed(more: dict[str, Any]) -> None:
    source, _ = api(lambda *_: listed([on("2021-06-09")], **more))
    assert len(list(source.search(query()))) == 1


# too large


def bounded(items: list[dict[str, Any]], most: int) -> Reply:
    """An API whose gateway passes on so many items at most."""

    def reply(method: str, url: str, body: Any) -> Any:
        first, after = span_of(body)
        start = int(body.get("token", 0))
        inside = [item for item in items if first <= day_of(item) <= after]
        page = inside[start : start + body["limit"]]
        if len(page) > most:
            raise OversizeError("too large")
        more = {"rel": "next", "href": f"{API}/search", "method": "POST", "merge": True}
        links = [more | {"body": {"token": start + len(page)}}] if start + len(page) < len(inside) else []
        return listed(page, links=links)

    return reply


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 6), st.sampled_from([1, 5, 100]))
def test_what_is_too_large_is_halved_until_all_came(days: list[int], most: int, page: int) -> None:
    items = [on(f"2021-06-{day:02d}", number) for number, day in enumerate(days)]
    source, web = api(bounded(items, most), page=page)
    assert sorted(names(source.search(query()))) == sorted(item["id"] for item in items)
    assert all(body["limit"] <= page for _, _, body in web.asked)


def test_a_single_item_that_is_too_large() -> None:
    source, web = api(bounded([on("2021-06-09")], 0))
    with pytest.raises(LoadError, match=r"for a single item of 2021-06-0[89]"):
        list(source.search(query()))
    assert min(body["limit"] for _, _, body in web.asked) == 1
    assert len(web.asked) < 30


@pytest.mark.parametrize("failures", [1, 5, 9, 12])
def test_a_gateway_that_is_down_for_a_moment_is_waited_for(failures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """502 may also be no matter of size: a single item of a day is asked for patiently."""
    wait = iter(range(1000))

    def sent(*_: Any) -> Any:
        down = next(wait) < failures
        told = b"bad gateway" if down else json.dumps(listed([on("2021-06-09")])).encode()
        return HTTPResponse(
            BytesIO(told), {"content-length": str(len(told))}, 502 if down else 200, preload_content=False
        )

    monkeypatch.setattr(tessera.net.web, "_sent", sent)
    source = StacApi(API, collections=S2)
    source._web, source._patient = (replace(web, delays=(0.001,) * 8) for web in (source._web, source._patient))
    assert names(source.search(query())) == [on("2021-06-09")["id"]]


def test_a_gateway_that_stays_down() -> None:
    source = StacApi(API)
    assert source._patient.verdict is not None
    assert source._patient.verdict(502, b"") is None
    assert source._patient.verdict(504, b"") is None
    assert EarthSearch()._patient.verdict(403, b"") is LoadError  # type: ignore[misc]


def test_no_error_is_lost_in_threads() -> None:
    def reply(method: str, url: str, body: Any) -> Any:
        if span_of(body)[0].month == 4:
            raise LoadError("the line broke")
        return listed([on(str(span_of(body)[0]))])

    source, _ = api(reply)
    with pytest.raises(LoadError, match="the line broke"):
        list(source.search(query("2021-01-01", "2021-12-31")))


# verdicts and names


@pytest.mark.parametrize(
    ("source", "status", "body", "meaning"),
    [
        (StacApi(API), 403, b"<Code>AccessDenied</Code>", MissingError),
        (StacApi(API), 403, b"no", None),
        (StacApi(API), 404, b"AccessDenied", None),
        (EarthSearch(), 403, b"", MissingError),
        (EarthSearch(), 503, b"", None),
    ],
)
def test_what_a_refused_file_means(source: Any, status: int, body: bytes, meaning: type[NetError] | None) -> None:
    assert source.verdict(status, body) is meaning


def test_what_a_refused_search_means() -> None:
    for status in (413, 502, 504):
        assert StacApi(API).search_verdict(status, b"") is OversizeError
        assert EarthSearch().search_verdict(status, b"") is OversizeError
    assert EarthSearch().search_verdict(403, b"") is LoadError
    assert StacApi(API).search_verdict(403, b"") is None
    assert StacApi(API).search_verdict(503, b"") is None


def test_files_are_not_signed() -> None:
    source = StacApi(API)
    address = source.address("https://x.example/a.tif")
    assert (address.url, address.headers) == ("https://x.example/a.tif", {})
    assert source.renew("https://x.example/a.tif", address) is False


@pytest.mark.parametrize(
    "url",
    [
        "",
        "stac.example",
        "ftp://stac.example",
        "http://",
        "http://[",
        "http://h:x/",
        "https://u:SECRET@h/v1",
        "https://h/v1?k=SECRET",
    ],
)
def test_a_root_that_is_none(url: str) -> None:
    with pytest.raises(InputError, match="address of a STAC API's root") as caught:
        StacApi(url)
    assert "SECRET" not in str(caught.value)


def test_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same against a server: small pages, a gateway that passes on little, one line broken."""
    from tessera.geo import Window
    from tessera.net import Web
    from tessera.simulator import simulate
    from tessera.testing import At, Faults, serve_scenes

    simulate(tmp_path / "scenes", Window(31, 64 * 1024, 548 * 1024, 16, 12), 2021, s2_dates=6, s1_dates=3)
    wanted = Query((-180.0, -90.0, 180.0, 90.0), dt.date(2021, 1, 1), dt.date(2021, 12, 31))
    with serve_scenes(tmp_path / "scenes", faults=Faults(most_items=2, reset=At("/search", times=1)), page=2) as p:
        source = StacApi(p.url)
        source._web = Web(source.search_verdict, delays=(0.01,) * 3)
        assert sorted(names(source.search(wanted))) == sorted(item["id"] for item in p.items)
    assert source.left_out == {}
