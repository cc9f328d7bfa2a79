"""The STAC API: landing page, collections, search by GET and POST, paging, filters; with pystac-client too."""

from __future__ import annotations

import json
import operator
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pystac_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_helpers import BOX, ask, pages, scenes

from tessera.testing import serve_scenes
from tessera.testing.provider._stac_api import BadRequestError, _interval, _passes
from tessera.testing.provider._styles import EARTH_SEARCH_KEYS

STYLES = ("stac", "mpc", "earth-search")
RING = [[BOX[0], BOX[1]], [BOX[2], BOX[1]], [BOX[2], BOX[3]], [BOX[0], BOX[3]], [BOX[0], BOX[1]]]


@pytest.fixture(scope="module")
def folder() -> Path:
    return scenes()


def search(url: str, wanted: dict[str, Any], method: str) -> list[str]:
    """Ids of all pages; a GET writes what a POST says into its query."""
    if method == "POST":
        return list(chain(*pages(f"{url}/search", wanted)))
    said = {}
    for key, value in wanted.items():
        if key in ("bbox", "collections", "ids"):
            said[key] = ",".join(str(part) for part in value)
        elif key in ("intersects", "query") or (key == "filter" and not isinstance(value, str)):
            said[key] = json.dumps(value)
        elif key == "sortby":
            said[key] = ",".join(("-" if rule["direction"] == "desc" else "+") + rule["field"] for rule in value)
        else:
            said[key] = value
    return list(chain(*pages(f"{url}/search?{urlencode(said)}")))


@pytest.mark.parametrize("style", STYLES)
def test_the_landing_page_leads_everywhere(folder: Path, style: str) -> None:
    with serve_scenes(folder, style=style) as provider:
        root = ask(provider.url).json
        assert root["type"] == "Catalog"
        assert any(name.endswith("/item-search") for name in root["conformsTo"])
        for link in root["links"]:
            assert (
                ask(
                    link["href"], body={} if link.get("method") == "POST" else None, method=link.get("method", "GET")
                ).status
                == 200
            )
        for collection in ask(f"{provider.url}/collections").json["collections"]:
            items = next(link["href"] for link in collection["links"] if link["rel"] == "items")
            first = ask(items).json["features"][0]
            own = next(link["href"] for link in first["links"] if link["rel"] == "self")
            assert ask(own).json == first
        assert ask(f"{provider.url}/collections/none").status == 404
        assert ask(f"{provider.url}/collections/sentinel-2-l2a/items/none").status == 404


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("style", STYLES)
def test_pystac_client_finds_every_item_once(folder: Path, style: str, method: str) -> None:
    with serve_scenes(folder, style=style, page=3) as provider:
        client = pystac_client.Client.open(provider.url)
        found = client.search(method=method, bbox=BOX, datetime="2021-01-01/2021-12-31", limit=100)
        names = [item.id for item in found.items()]
        assert sorted(names) == sorted(item["id"] for item in provider.items)
        assert len(names) == (4 if style == "earth-search" else 8)
        assert found.matched() == len(names)
        clouds = [item["properties"].get("eo:cloud_cover", 100.0) for item in provider.items]
        clear = client.search(method=method, collections=["sentinel-2-l2a"], query={"eo:cloud_cover": {"lt": 20}})
        assert len(list(clear.items())) == sum(cloud < 20 for cloud in clouds) > 0


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("style", STYLES)
def test_pages_hold_so_many_and_join_to_the_whole(folder: Path, style: str, method: str) -> None:
    with serve_scenes(folder, style=style) as provider:
        wanted = {"collections": ["sentinel-2-l2a"], "limit": 3}
        url = f"{provider.url}/search"
        found = pages(f"{url}?limit=3&collections=sentinel-2-l2a") if method == "GET" else pages(url, wanted)
        assert [len(page) for page in found] == [3, 1]
        assert [len(page) for page in pages(f"{url}?limit=2&collections=sentinel-2-l2a")] == [2, 2]
        assert list(chain(*found)) == search(provider.url, {**wanted, "limit": 50}, method)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_each_filter_chooses(folder: Path, method: str) -> None:
    with serve_scenes(folder) as provider:
        items = provider.items
        every = [item["id"] for item in items]
        moments = sorted(item["properties"]["datetime"] for item in items)

        def found(**wanted: Any) -> list[str]:
            return search(provider.url, {"limit": 100, **wanted}, method)

        assert found() == every
        assert found(bbox=[6.0, 50.0, 6.5, 50.5]) == []
        assert found(bbox=list(BOX)) == every
        assert found(bbox=[BOX[0], BOX[1], -100.0, BOX[2], BOX[3], 9000.0]) == every
        assert found(bbox=[170.0, 49.0, 7.0, 52.0]) == every  # over the date line, all the way to 7 degrees east
        assert found(bbox=[8.0, 49.0, -170.0, 52.0]) == []
        assert found(intersects={"type": "Polygon", "coordinates": [RING]}) == every
        assert found(intersects={"type": "Point", "coordinates": [6.0, 50.0]}) == []
        assert found(ids=[every[2], "none"]) == [every[2]]
        assert set(found(collections=["sentinel-1-rtc"])) == {name for name in every if name.startswith("S1")}
        middle = moments[4]
        assert len(found(datetime=f"../{middle}")) == 5
        assert len(found(datetime=f"/{middle}")) == 5
        assert len(found(datetime=f"{middle}/..")) == 4
        assert len(found(datetime=f"{middle}/")) == 4
        assert len(found(datetime=f"{moments[1]}/{moments[2]}")) == 2
        assert len(found(datetime=middle)) == 1
        ordered = found(sortby=[{"field": "properties.datetime", "direction": "desc"}])
        times = {item["id"]: item["properties"]["datetime"] for item in items}
        assert ordered == sorted(every, key=times.__getitem__, reverse=True)
        ascending = {"op": "=", "args": [{"property": "sat:orbit_state"}, "ascending"]}
        assert len(found(filter=ascending)) == 2
        assert len(found(filter="sat:orbit_state = 'ascending' AND sar:instrument_mode = 'IW'")) == 2


def test_what_makes_no_sense_is_400(folder: Path) -> None:
    with serve_scenes(folder, style="mpc") as provider:
        url = f"{provider.url}/search"
        for query in (
            "limit=0",
            "limit=1001",
            "limit=many",
            "bbox=1,2,3",
            "bbox=1,9,3,4",
            "bbox=a,b,c,d",
            "datetime=yesterday",
            "datetime=2021-02-01/2021-01-01",
            "datetime=../..",
            "token=elsewhere",
            "query=%7B",
            "query=%7B%22eo:cloud_cover%22:%7B%22near%22:3%7D%7D",
            "filter=eo:cloud_cover+is+low",
            "intersects=%7B%7D&limit=3&bbox=1,2,3,4",
        ):
            assert ask(f"{url}?{query}").status == 400, query
        assert ask(url, "POST", body=b"{").status == 400
        assert ask(url, "POST", body=[1]).status == 400


def test_planetary_computer_names(folder: Path) -> None:
    with serve_scenes(folder, style="mpc") as provider:
        assert provider.url.endswith("/api/stac/v1")
        assert provider.token_url.endswith("/api/sas/v1/token")
        found = ask(f"{provider.url}/search?collections=sentinel-2-l2a").json["features"]
        moments = [item["properties"]["datetime"] for item in found]
        assert moments == sorted(moments, reverse=True)
        for item in found:
            day = item["properties"]["datetime"][:10].replace("-", "")
            assert item["id"].startswith(f"S2A_MSIL2A_{day}T")
            assert "_T31UFS_" in item["id"]
            assert set(item["assets"]) == set(EARTH_SEARCH_KEYS)
            assert item["assets"]["B8A"]["href"].startswith(f"{provider.blobs}/sentinel2l2a01/sentinel2-l2/31/U/FS/")
            assert item["assets"]["B8A"]["href"].endswith("_B8A_20m.tif")
            assert item["properties"]["s2:mgrs_tile"] == "31UFS"


def test_earth_search_names(folder: Path) -> None:
    with serve_scenes(folder, style="earth-search") as provider:
        assert provider.url.endswith("/v1")
        baselines = set()
        for item in provider.items:
            about = item["properties"]
            day = about["datetime"][:10].replace("-", "")
            assert item["id"] == f"S2A_31UFS_{day}_0_L2A"
            assert set(item["assets"]) == set(EARTH_SEARCH_KEYS.values())
            assert about["grid:code"] == "MGRS-31UFS"
            # the simulated numbers have the offset of their baseline, so those of 05.00 are ESA's originals
            clean = about["s2:processing_baseline"] == "02.14"
            bucket = "sentinel-cogs" if clean else "sentinel-s2-l2a"
            assert about["earthsearch:s3_path"].startswith(f"s3://{bucket}/")
            assert about["earthsearch:boa_offset_applied"] is False
            assert f"/{bucket}/" in item["assets"]["nir"]["href"]
            assert item["assets"]["nir"]["href"].endswith("/B08.tif")
            baselines.add(about["s2:processing_baseline"])
        assert baselines == {"02.14", "05.00"}


OPERATORS = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "<>": operator.ne,
}


@given(st.sampled_from(sorted(OPERATORS)), st.integers(-3, 3), st.one_of(st.none(), st.integers(-3, 3)))
def test_cql2_text_and_json_agree(sign: str, wanted: int, value: int | None) -> None:
    item: dict[str, Any] = {"id": "x", "properties": {} if value is None else {"a:b": value}}
    text = _passes(item, f"a:b {sign} {wanted}")
    rule = _passes(item, {"op": "and", "args": [{"op": sign, "args": [{"property": "a:b"}, wanted]}]})
    assert text == rule == (value is not None and OPERATORS[sign](value, wanted))


def test_intervals() -> None:
    start, stop = _interval("2021-01-01T00:00:00Z/..")
    assert start is not None
    assert stop is None
    assert start.isoformat() == "2021-01-01T00:00:00+00:00"
    with pytest.raises(BadRequestError):
        _interval("/")
