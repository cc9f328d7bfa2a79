"""CMR's search of granules over simulated bursts, and files behind Earthdata's login."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pytest
import rasterio
from provider_helpers import BOX, Reply, ask, scenes

from tessera.testing import EARTHDATA_TOKEN, At, Faults, Provider, serve_scenes
from tessera.testing.provider._layouts import opera_granules


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return opera_granules(scenes(), tmp_path_factory.mktemp("opera") / "scenes")


def search(provider: Provider, after: str | None = None, **wanted: Any) -> Reply:
    said = urlencode({"collection_concept_id": "C2777436413-ASF", **wanted})
    return ask(f"{provider.url}/granules.json?{said}", headers={} if after is None else {"CMR-Search-After": after})


def titles(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [entry["title"] for entry in reply.json["feed"]["entry"]]


def every(provider: Provider, most: int = 20, **wanted: Any) -> list[list[str]]:
    found, after = [], None
    for _ in range(most):
        reply = search(provider, after, **wanted)
        found.append(titles(reply))
        after = reply.headers.get("cmr-search-after")
        if after is None:
            break
    return found


def test_an_entry_is_as_cmr_has_it(folder: Path) -> None:
    with serve_scenes(folder, style="opera") as provider:
        reply = search(provider, page_size=2000)
        assert reply.headers["cmr-hits"] == "4"
        for entry in reply.json["feed"]["entry"]:
            assert entry["title"].startswith("OPERA_L2_RTC-S1_T0")
            assert entry["title"].endswith("_S1A_30_v1.0")
            assert entry["time_start"].startswith("2021-")
            assert entry["collection_concept_id"] == "C2777436413-ASF"
            numbers = [float(part) for part in entry["polygons"][0][0].split()]
            assert all(49 < lat < 52 for lat in numbers[::2])
            assert all(4 < lon < 7 for lon in numbers[1::2])
            data = [link["href"] for link in entry["links"] if link["rel"].endswith("/data#")]
            for key in ("VV", "VH"):
                name = f"{entry['title']}_{key}.tif"
                assert f"{provider.blobs}/OPERA/OPERA_L2_RTC-S1/{entry['title']}/{name}" in data
                assert any(link["href"].startswith("s3://") and link["href"].endswith(name) for link in entry["links"])
            assert "ASCENDING" not in str(entry).upper().replace("DESCENDING", "")


def test_pages_by_search_after_join_to_the_whole_and_end_with_an_empty_one(folder: Path) -> None:
    with serve_scenes(folder, style="opera") as provider:
        found = every(provider, page_size=3)
        assert [len(page) for page in found] == [3, 1, 0]
        assert [name for page in found for name in page] == titles(search(provider, page_size=10))
        assert titles(search(provider, page_size=3, page_num=2)) == found[1]
        assert search(provider, '["asf", 1]', page_num=2).status == 400
    with serve_scenes(folder, style="opera", page=1) as provider:
        assert [len(page) for page in every(provider, page_size=2000)] == [1, 1, 1, 1, 0]


def test_each_parameter_chooses(folder: Path) -> None:
    with serve_scenes(folder, style="opera") as provider:
        whole = titles(search(provider))
        west, south, east, north = BOX
        ring = f"{west},{south},{east},{south},{east},{north},{west},{north},{west},{south}"
        backwards = f"{west},{south},{west},{north},{east},{north},{west},{south}"
        orbits = {}
        for orbit in ("ASCENDING", "DESCENDING"):
            found = titles(search(provider, **{"attribute[]": f"string,ASCENDING_DESCENDING,{orbit}"}))
            assert len(found) == 2
            orbits[orbit] = set(found)
        assert orbits["ASCENDING"] | orbits["DESCENDING"] == set(whole)
        assert titles(search(provider, bounding_box=",".join(map(str, BOX)))) == whole
        assert titles(search(provider, **{"bounding_box[]": "170,49,7,52"})) == whole
        assert titles(search(provider, bounding_box="6,50,7,51")) == []
        assert titles(search(provider, polygon=ring)) == whole
        assert search(provider, polygon=backwards).status == 400
        assert titles(search(provider, point="6,50")) == []
        times = [entry["time_start"] for entry in search(provider).json["feed"]["entry"]]
        assert times == sorted(times)
        assert len(titles(search(provider, temporal=f"{times[1]},{times[2]}"))) == 2
        assert len(titles(search(provider, temporal=f"{times[2]},"))) == 2
        assert len(titles(search(provider, **{"temporal[]": f",{times[0]}"}))) == 1
        assert titles(search(provider, producer_granule_id=whole[1])) == [whole[1]]
        assert titles(search(provider, collection_concept_id="C1-ASF")) == []
        form = urlencode({"short_name": "OPERA_L2_RTC-S1_V1", "page_size": 2})
        assert titles(ask(f"{provider.url}/granules.json", "POST", body=form)) == whole[:2]


def test_what_cmr_refuses(folder: Path) -> None:
    with serve_scenes(folder, style="opera") as provider:
        for wanted in (
            {"page_size": 2001},
            {"page_size": "many"},
            {"bounding_box": "1,2,3"},
            {"temporal": "yesterday,"},
            {"orbit_state": "ascending"},
            {"attribute[]": "ASCENDING"},
        ):
            reply = search(provider, **wanted)
            assert reply.status == 400, wanted
            assert len(reply.json["errors"]) == 1
        assert search(provider, "nonsense").status == 400
        assert ask(f"{provider.url}/collections.json").status == 404


def test_files_ask_for_a_token_and_send_it_nowhere_else(folder: Path) -> None:
    with serve_scenes(folder, style="opera") as provider:
        href, file = next(iter(provider.files.items()))
        assert ask(href).status == 401
        assert ask(href, headers={"Authorization": "Bearer other"}).status == 401
        sent = {"Authorization": f"Bearer {EARTHDATA_TOKEN}", "Range": "bytes=0-9"}
        assert provider.token == EARTHDATA_TOKEN
        moved = ask(href, headers=sent)
        assert moved.status == 303
        assert moved.headers["location"].startswith(f"{provider.elsewhere}/")
        part = ask(moved.headers["location"], headers={"Range": "bytes=0-9"})
        assert (part.status, part.body) == (206, file.read_bytes()[:10])
        assert ask(href.replace(provider.blobs, provider.elsewhere)).status == 403
        hosts = [one.host for one in provider.seen]
        assert hosts.count(provider.elsewhere.removeprefix("http://")) == 2


def test_pixels_are_those_of_thirty_metres(folder: Path) -> None:
    with serve_scenes(folder, style="opera") as provider:
        for path in sorted(set(provider.files.values())):
            original = scenes() / path.relative_to(folder)
            with rasterio.open(path) as small, rasterio.open(original) as large:
                assert small.res == (30.0, 30.0)
                assert (small.bounds.left, small.bounds.top) == (large.bounds.left, large.bounds.top)
                power = large.read(1)[1::3, 1::3]
                expected = np.where(power > 0, power, np.nan)[: small.height, : small.width]
                np.testing.assert_array_equal(small.read(1), expected)
                assert np.isnan(small.nodata)
                orbit = "ASCENDING" if "_A_SIM" in path.parent.name else "DESCENDING"
                assert small.tags()["ORBIT_PASS_DIRECTION"] == orbit


def test_faults_of_a_search(folder: Path) -> None:
    with serve_scenes(folder, style="opera", faults=Faults(loop=At(skip=1))) as provider:
        found = every(provider, most=8, page_size=1)
        assert len(found) == 8
        assert all(page == found[1] for page in found[1:])
    with serve_scenes(folder, style="opera", faults=Faults(no_next=At(times=1))) as provider:
        assert [len(page) for page in every(provider, page_size=3)] == [3]
    with serve_scenes(folder, style="opera", faults=Faults(bad_json=At(times=1), shuffle=3)) as provider:
        with pytest.raises(ValueError):
            _ = search(provider).json
        shuffled = titles(search(provider))
        assert shuffled != sorted(shuffled, key=lambda name: name.split("_")[4])


def test_an_attribute_may_be_quoted(folder: Path) -> None:
    with serve_scenes(folder, style="opera") as provider:
        attribute = quote("string,ASCENDING_DESCENDING,ASCENDING")
        assert len(titles(ask(f"{provider.url}/granules.json?attribute%5B%5D={attribute}"))) == 2
