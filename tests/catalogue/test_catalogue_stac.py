from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pystac
import pytest
import shapely
from catalogue_helpers import BASE, DATE_LINE, MODEL, SIDE, new_store, serving, some

from tessera.base import InputError, sha256_hex
from tessera.catalogue import write_manifest, write_stac
from tessera.geo import Window
from tessera.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = new_store(tmp_path / "store")
    made.write(some(Window(31, BASE.west, BASE.north, 2 * SIDE, SIDE), cube_sha256="a" * 64, scenes_used=3), 2023)
    made.write(some(DATE_LINE), 2021)
    return made


def test_pystac_reads_it_and_every_link_leads_somewhere(store: Store, tmp_path: Path) -> None:
    done = write_stac(store)
    collection = pystac.Collection.from_file(str(done.path))
    assert collection.to_dict()["stac_version"] == "1.1.0"
    assert collection.extra_fields["geoemb:dimensions"] == 8
    items = list(collection.get_items(recursive=True))
    assert len(items) == done.items == 3
    assert {child.id for child in collection.get_children()} == {f"{collection.id}-2021", f"{collection.id}-2023"}
    for item in items:
        assert item.collection_id == collection.id
        assert item.datetime is None
        year = item.properties["tessera:year"]
        assert item.properties["start_datetime"] == f"{year}-01-01T00:00:00Z"
        assert item.properties["end_datetime"] == f"{year}-12-31T23:59:59Z"
        assert set(item.assets) == {"embeddings", "embeddings_d2", "observation_counts", "scales"}
        for asset in item.assets.values():
            data = Path(str(asset.get_absolute_href())).read_bytes()
            assert asset.extra_fields["file:size"] == len(data)
            assert asset.extra_fields["file:checksum"] == "1220" + sha256_hex(data)
            assert asset.roles
        assert item.geometry is not None
        shape = shapely.geometry.shape(item.geometry)
        assert shape.is_valid
        assert item.properties["proj:shape"] == [SIDE, SIDE]
        assert item.properties["proj:code"] == f"EPSG:326{'31' if year == 2023 else '01'}"
        left, bottom, right, top = item.properties["proj:bbox"]
        assert item.properties["proj:transform"] == [10.0, 0.0, left, 0.0, -10.0, top]
        assert (right - left, top - bottom) == (SIDE * 10, SIDE * 10)
    assert {item.properties.get("tessera:scenes_used") for item in items} == {3, None}
    assets = collection.assets
    assert Path(str(assets["manifest"].get_absolute_href())) == tmp_path / "store" / "manifest.parquet"
    assert "collection-mirror" in (assets["manifest"].roles or [])


def test_every_document_is_whole_and_its_links_are_relative(store: Store, tmp_path: Path) -> None:
    write_stac(store)
    write_manifest(store)
    root = tmp_path / "store" / "stac"
    files = sorted(root.rglob("*.json"))
    assert len(files) == 3 + 2 + 2 + 1
    for path in files:
        value = json.loads(path.read_bytes())
        assert value["stac_version"] == "1.1.0"
        hrefs = [link["href"] for link in value["links"]] + [
            asset["href"] for asset in value.get("assets", {}).values()
        ]
        for href in hrefs:
            assert not href.startswith(("/", "http", "file"))
            assert (path.parent / href).exists()
        for name in ("type", "id", "links", "stac_version"):
            assert name in value


def test_the_date_line(store: Store, tmp_path: Path) -> None:
    write_stac(store)
    item = json.loads(next((tmp_path / "store" / "stac" / "2021").rglob("utm*.json")).read_bytes())
    west, south, east, north = item["bbox"]
    assert 179.9 < west < 180
    assert -180 < east < -179.9
    assert south < -16.9 < -16 < north + 1
    assert item["geometry"]["type"] == "MultiPolygon"
    box = json.loads((tmp_path / "store" / "stac" / "collection.json").read_bytes())["extent"]["spatial"]["bbox"][0]
    assert box[0] < 5 < 179
    assert box[2] == pytest.approx(east)


def test_items_are_the_rows_of_the_manifest(store: Store, tmp_path: Path) -> None:
    write_stac(store)
    rows = {row["id"]: row for row in pq.read_table(write_manifest(store).path).to_pylist()}
    for path in (tmp_path / "store" / "stac").rglob("utm*_*.json"):
        item = json.loads(path.read_bytes())
        row = rows.pop(item["id"])
        assert shapely.equals(shapely.from_wkb(row["geometry"]), shapely.geometry.shape(item["geometry"]))
        assert row["collection"] == item["collection"]
        assert row["stac_extensions"] == item["stac_extensions"]
        for name, asset in item["assets"].items():
            assert row["assets"][name] == {**asset, "href": asset["href"].removeprefix("../../../")}
        assert row["valid"] == item["properties"]["tessera:valid"]
    assert rows == {}


def test_only_what_changed_is_written_and_what_is_gone_goes(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "store" / "stac"
    assert write_stac(store).changed == 8
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*.json")}
    assert write_stac(store).changed == 0
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*.json")} == before
    store.write(some(Window(31, BASE.west, BASE.north, 9, 9), 5), 2023)
    assert write_stac(store).changed == 1
    (root / "2023" / "notes.txt").write_text("mine")
    next((tmp_path / "store" / "commits" / "2021").glob("*.json")).unlink()
    # the item, the catalogues of its zone and year, and the collection
    assert write_stac(store).changed == 4
    assert not (root / "2021").exists()
    assert (root / "2023" / "notes.txt").exists()
    assert not list(root.rglob(".*"))


def test_a_damaged_document_is_mended(store: Store, tmp_path: Path) -> None:
    path = write_stac(store).path
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert write_stac(store).changed == 1
    assert path.read_bytes() == whole


def test_an_empty_store_and_one_by_url(tmp_path: Path) -> None:
    store = new_store(tmp_path / "empty")
    done = write_stac(store)
    assert (done.items, done.changed) == (0, 1)
    assert pystac.Collection.from_file(str(done.path)).id == f"tessera-test-8d-{MODEL.sha256[:12]}"
    with serving(tmp_path / "empty") as (url, _), pytest.raises(InputError, match="commit records"):
        write_stac(open_store(url))


def test_it_is_written_without_pystac(store: Store, tmp_path: Path) -> None:
    code = (
        "import sys; from tessera.store import open_store; from tessera.catalogue import write_stac, write_manifest; "
        f"store = open_store({str(tmp_path / 'store')!r}); write_manifest(store); write_stac(store); "
        "print([name for name in ('pystac', 'geopandas', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
