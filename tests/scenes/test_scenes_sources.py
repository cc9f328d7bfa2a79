"""How sources are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opera_helpers import NOW, Cmr, jwt, send

from tessera.base import InputError
from tessera.geo import parse_area
from tessera.net import CorruptError, CredentialError, MissingError
from tessera.scenes import SceneTable, build_cube, build_cubes, check_credentials, parse_source
from tessera.scenes.sources._earth_search import EarthSearch
from tessera.scenes.sources._mpc import PlanetaryComputer
from tessera.scenes.sources._static import StaticCatalogue
from tessera.scenes.sources.opera import Opera
from tessera.scenes.sources.registry import NAMES, sources_of
from tessera.scenes.sources.stac_api import StacApi

KINDS = {"mpc": PlanetaryComputer, "earth-search": EarthSearch, "opera": Opera}


def catalogue(folder: Path, name: str = "mine") -> Path:
    folder.mkdir(parents=True)
    (folder / "catalog.json").write_text(f'{{"type": "Catalog", "stac_version": "1.0.0", "id": "{name}", "links": []}}')
    return folder


@given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), st.sampled_from([",", " , ", ",,", ", "]))
def test_names_in_order(names: list[str], comma: str) -> None:
    for value in (comma.join(names), names, tuple(names), [names]):
        sources = parse_source(value)
        assert [source.name for source in sources] == names
        assert [type(source) for source in sources] == [KINDS[name] for name in names]


def test_addresses_and_folders(tmp_path: Path) -> None:
    folder = catalogue(tmp_path / "a, b")
    api, static = parse_source(["stac:https://stac.example/v1/", folder])
    assert isinstance(api, StacApi)
    assert (api.name, api.asked) == ("stac.example", "stac:https://stac.example/v1")
    assert isinstance(static, StaticCatalogue)
    assert static.name == "mine"
    assert [source.name for source in parse_source(str(folder))] == ["mine"], "a comma in a folder's name"
    assert [source.name for source in parse_source(f"opera,{catalogue(tmp_path / 'c')}")] == ["opera", "mine"]
    again = parse_source([api.asked, static.asked])
    assert [source.name for source in again] == ["stac.example", "mine"]


def test_a_folder_of_a_providers_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "opera").mkdir()
    assert isinstance(parse_source("opera")[0], Opera), "a folder that is no catalogue"
    catalogue(tmp_path / "mpc")
    assert isinstance(parse_source("mpc")[0], StaticCatalogue)


def test_an_object_of_the_protocol() -> None:
    mine = EarthSearch()
    assert parse_source(mine) == (mine,)
    assert parse_source(["mpc", mine])[1] is mine


@pytest.mark.parametrize("value", ["", " ", ",", [], (), [[]], [""]])
def test_no_source(value: Any) -> None:
    with pytest.raises(InputError, match="is empty; expected mpc, earth-search, opera"):
        parse_source(value)


@pytest.mark.parametrize("value", ["mpc,mpc", ["mpc", "opera", "mpc"], "stac:https://h/a,stac:https://h/b"])
def test_a_source_twice(value: Any) -> None:
    with pytest.raises(InputError, match="is given twice; expected each once"):
        parse_source(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        {"name": "mpc"},
        EarthSearch,
        b"mpc",
        "MPC",
        "landsat",
        "no/such/folder",
        Path("no/such/folder"),
        "stac:",
        "stac:mpc",
        "stac:file:///etc",
        "file:///etc",
        "s3://bucket/catalog.json",
        "http://[",
        "http://",
        "https://h/catalog.json?sig=1",
        "x" * 5000,
        "/" + "x/" * 5000,
        "a\0b",
        "/a\0b",
        Path("a\0b"),
        Path("x" * 5000),
    ],
)
def test_a_source_that_is_none(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        parse_source(value)
    assert len(str(caught.value).splitlines()) == 1


def test_no_message_tells_a_password() -> None:
    for value in ("https://u:SECRET@h/catalog.json", "stac:https://u:SECRET@h/v1", "https://h/c.json?sig=SECRET"):
        with pytest.raises(InputError) as caught:
            parse_source(value)
        assert "SECRET" not in str(caught.value)


@given(st.text(max_size=30).filter(lambda text: "://" not in text))
def test_any_text_is_a_source_or_refused_in_one_line(text: str) -> None:
    said = ""
    try:
        sources = parse_source(text)
    except InputError as error:
        sources, said = (), str(error)
    assert bool(sources) != bool(said)
    assert len(said.splitlines()) <= 1


def test_the_root_of_an_api_without_its_hint(site: Cmr) -> None:
    site.answer = lambda handler: send(handler, "no such page", status=404)
    with pytest.raises(MissingError, match=rf"status 404.*a STAC API's root is written stac:{site.url}/v1\)$"):
        parse_source(f"{site.url}/v1")
    site.answer = lambda handler: send(handler, "<html>")
    with pytest.raises(CorruptError, match=r"not JSON.* is written stac:"):
        parse_source(f"{site.url}/v1")


@pytest.fixture
def site() -> Iterator[Cmr]:
    made = Cmr()
    yield made
    made.close()


@pytest.mark.parametrize("token", ["", "two words", jwt(exp=NOW - 1)])
def test_a_token_that_cannot_work_is_told_before_anything_is_asked(
    token: str, site: Cmr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    source = Opera(site.url, token or None, now=lambda: NOW)
    with pytest.raises(CredentialError) as caught:
        check_credentials([EarthSearch(), source])
    assert "set EARTHDATA_TOKEN" in str(caught.value)
    assert "https://urs.earthdata.nasa.gov" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert site.asked == []
    check_credentials([EarthSearch(), Opera(site.url, jwt(exp=NOW + 1), now=lambda: NOW)])


@pytest.mark.parametrize("build", ["one", "many"])
def test_a_build_without_its_token_asks_nothing(
    build: str, site: Cmr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", "two words")
    area, source = parse_area((5.30, 50.75, 5.302, 50.752)), Opera(site.url)
    builds: dict[str, Callable[[], object]] = {
        "one": lambda: build_cube(area, 2021, source=source, out=tmp_path / "c.zarr"),
        "many": lambda: list(build_cubes(area, 2021, source=source)),
    }
    with pytest.raises(CredentialError, match="EARTHDATA_TOKEN"):
        builds[build]()
    assert site.asked == []
    assert list(tmp_path.iterdir()) == []


def test_the_sources_of_a_table(tmp_path: Path) -> None:
    folder = catalogue(tmp_path / "c")
    told = ["mpc", {"name": "opera"}, {"name": "mine", "asked": str(folder)}]
    table = SceneTable((), {"box": [5, 50, 6, 51], "first": "2020-01-01", "last": "2020-12-31", "sources": told})
    assert [source.name for source in sources_of(table)] == ["mpc", "opera", "mine"]
