"""A static catalogue of a server: read whole, and no document from elsewhere."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes_helpers import Catalog
from stac_helpers import earth_search, planetary

from tessera.base import InputError
from tessera.geo import Window
from tessera.net import CorruptError, MissingError, NetError
from tessera.scenes import Query
from tessera.scenes.sources._static import StaticCatalogue, _Folder, _Site, check_root, public_address
from tessera.serve import make_server
from tessera.simulator import simulate

EVERYTHING = Query((-180.0, -90.0, 180.0, 90.0), dt.date(2015, 1, 1), dt.date(2030, 1, 1))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder with a catalogue's place in it, and its address."""
    folder = tmp_path / "site" / "stac"
    folder.mkdir(parents=True)
    with make_server(tmp_path / "site", port=0) as server:
        yield folder, f"{server.url.rstrip('/')}/stac"


def put(file: Path, document: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))


def write(folder: Path, links: list[Any], name: str = "catalog.json") -> None:
    put(folder / name, {"type": "Catalog", "stac_version": "1.0.0", "id": "by-hand", "links": links})


def item(href: str) -> dict[str, str]:
    return {"rel": "item", "href": href}


def test_the_same_from_a_folder_and_a_server(served: tuple[Path, str]) -> None:
    folder, url = served
    simulate(folder / "year", Window(31, 64 * 1024, 548 * 1024, 16, 12), 2021, s2_dates=3, s1_dates=2)
    local, remote = StaticCatalogue(folder / "year"), StaticCatalogue(f"{url}/year/catalog.json")
    near, far = list(local.search(EVERYTHING)), list(remote.search(EVERYTHING))
    assert near == list(StaticCatalogue(str(folder / "year" / "catalog.json")).search(EVERYTHING))
    assert [scene.key[1:] for scene in far] == [scene.key[1:] for scene in near]
    assert far
    for one, other in zip(near, far, strict=True):
        assert (one.moment, one.footprint, one.baseline, one.tile) == (
            other.moment,
            other.footprint,
            other.baseline,
            other.tile,
        )
        for band, asset in one.assets.items():
            relative = Path(asset.href).relative_to((folder / "year").resolve()).as_posix()
            assert other.assets[band].href == f"{url}/year/{relative}"
    assert StaticCatalogue(f"{url}/year/").name == local.name, "the address of the folder"


def test_catalogues_in_catalogues_are_read_once(served: tuple[Path, str]) -> None:
    folder, url = served
    up = {"rel": "parent", "href": "../catalog.json"}
    write(
        folder, [{"rel": "child", "href": "a/catalog.json"}, {"rel": "child", "href": "./a/../a/catalog.json"}, "odd"]
    )
    write(
        folder, [item("one.json"), item("one.json"), {"rel": "child", "href": "../catalog.json"}, up], "a/catalog.json"
    )
    put(folder / "a" / "one.json", planetary())
    (scene,) = StaticCatalogue(url).search(EVERYTHING)
    assert scene.id == planetary()["id"]
    assert scene.source == "by-hand"


def test_the_files_of_an_item(served: tuple[Path, str]) -> None:
    folder, url = served
    document = earth_search()
    document["assets"]["red"]["href"] = "s3://sentinel-s2-l2a/tiles/31/B04.jp2"
    document["assets"]["nir"]["href"] = "./B08.tif"
    document["assets"]["scl"]["href"] = "s3://some-bucket/SCL.tif"
    write(folder, [item("items/one.json")])
    put(folder / "items" / "one.json", document)
    source = StaticCatalogue(url)
    (scene,) = source.search(EVERYTHING)
    assert scene.assets["B04"].href == "https://sentinel-s2-l2a.s3.eu-central-1.amazonaws.com/tiles/31/B04.jp2"
    assert scene.assets["B04"].offset
    assert scene.assets["B08"].href == f"{url}/items/B08.tif"
    assert scene.assets["SCL"].href == "https://some-bucket.s3.amazonaws.com/SCL.tif"
    assert scene.assets["B02"].href == document["assets"]["blue"]["href"]
    address = source.address(scene.assets["B02"].href)
    assert (address.url, address.headers) == (scene.assets["B02"].href, {})
    assert source.renew(address.url, address) is False
    assert source.verdict(403, b"<Code>AccessDenied</Code>") is MissingError
    assert source.verdict(403, b"throttled") is None


LEAVES = [
    "../secret.json",
    "/secret.json",
    "..%2fsecret.json",
    "%2e%2e/secret.json",
    "a/../../secret.json",
    "https://elsewhere.example/one.json",
    "//elsewhere.example/one.json",
    "file:///etc/passwd",
    "s3://bucket/one.json",
]


@pytest.mark.parametrize("href", LEAVES)
@pytest.mark.parametrize("rel", ["item", "child"])
def test_no_document_from_elsewhere(served: tuple[Path, str], href: str, rel: str) -> None:
    folder, url = served
    write(folder, [{"rel": rel, "href": href}])
    put(folder.parent / "secret.json", planetary())
    with pytest.raises(InputError, match="expected an address"):
        list(StaticCatalogue(url).search(EVERYTHING))


@pytest.mark.parametrize("href", [None, "", 5, ["a.json"], "http://[", "//[::1", "a b.json", "a\n.json"])
def test_a_link_that_is_none(served: tuple[Path, str], href: Any) -> None:
    folder, url = served
    write(folder, [{"rel": "item", "href": href}])
    with pytest.raises(InputError, match="expected an address"):
        list(StaticCatalogue(url).search(EVERYTHING))


@pytest.mark.parametrize(
    "href", ["file:///etc/passwd", "ftp://h/x", "s3://b", "s3://UPPER/x", "data:,x", "", None, "http://["]
)
def test_a_file_that_is_nowhere(served: tuple[Path, str], href: Any) -> None:
    folder, url = served
    document = earth_search()
    document["assets"]["red"]["href"] = href
    write(folder, [item("one.json")])
    put(folder / "one.json", document)
    with pytest.raises(InputError, match="asset red, "):
        list(StaticCatalogue(url).search(EVERYTHING))


@pytest.mark.parametrize(
    ("text", "error", "line"),
    [
        ("<html>", CorruptError, "is not JSON"),
        ("[]", InputError, "holds a JSON list; expected a STAC document"),
        ("5", InputError, "holds a JSON int"),
        ('{"type": "Catalog"}', InputError, "is not STAC"),
        ('{"type": "FeatureCollection", "stac_version": "1.0.0"}', InputError, "is not STAC"),
        ('{"type": ["Catalog"], "stac_version": "1.0.0"}', InputError, "is not STAC"),
    ],
)
def test_a_document_that_is_none(served: tuple[Path, str], text: str, error: type[Exception], line: str) -> None:
    folder, url = served
    write(folder, [item("one.json")])
    (folder / "one.json").write_text(text)
    with pytest.raises(error, match=line):
        list(StaticCatalogue(url).search(EVERYTHING))


def test_a_document_that_is_not_there(served: tuple[Path, str]) -> None:
    folder, url = served
    with pytest.raises(MissingError):
        StaticCatalogue(url)
    write(folder, [item("none.json")])
    with pytest.raises(NetError, match=r"none\.json: status 404"):
        list(StaticCatalogue(url).search(EVERYTHING))


def test_an_item_under_two_addresses(served: tuple[Path, str]) -> None:
    folder, url = served
    write(folder, [item("one.json"), item("two.json")])
    for name in ("one.json", "two.json"):
        put(folder / name, planetary())
    with pytest.raises(InputError, match="is twice in collection sentinel-2-l2a"):
        list(StaticCatalogue(url).search(EVERYTHING))


# without a server


@given(
    st.text(max_size=30)
    | st.lists(st.sampled_from(["..", "/", "%2e", "%2F", "a", "\\", "//", "?", "#", "@", ":", "h"])).map("".join)
)
def test_no_link_leaves_its_address(href: str) -> None:
    site = _Site("https://h.example/a/b/catalog.json")
    try:
        address = site.inside(href, "https://h.example/a/b/c/item.json", "a link")
    except InputError:
        return
    assert address.startswith("https://h.example/a/b/")
    assert ".." not in address.partition("?")[0].partition("#")[0].split("/")


@given(
    st.text(max_size=30)
    | st.lists(st.sampled_from(["..", "/", "%2e", "%2F", "a", "\\", "//", "c:", "\0"])).map("".join)
)
def test_no_link_leaves_its_folder(tmp_path_factory: pytest.TempPathFactory, href: str) -> None:
    root = tmp_path_factory.getbasetemp() / "inside" / "root"
    if not root.exists():
        (root / "c").mkdir(parents=True)
        Catalog(root).save()
    folder = _Folder(root)
    try:
        place = folder.inside(href, str(folder.root / "c" / "item.json"), "a link")
    except InputError:
        return
    assert Path(place).resolve().is_relative_to(root.resolve())


@pytest.mark.parametrize("url", ["http://[", "ftp://h/x", "https://", "https://h:x/", "https://h/a b", "https://h/\n"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InputError, match="expected the http or https address of a catalogue"):
        check_root(url, "a catalogue")


@pytest.mark.parametrize(
    "href", ["s3://", "s3://b/x", "s3://bucket", "s3://bucket/", "s3://a_b/x", "s3:///x", "https://b/x"]
)
def test_a_bucket_that_is_none(href: str) -> None:
    with pytest.raises(InputError, match=r"asset red points to .*; expected s3://bucket/key"):
        public_address(href, "asset red")
