"""Overture's GeoParquet to labels: only the area's row groups are read, from a folder or a server."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from osm_files import overture

from tessera.base import InputError
from tessera.labels import osm_labels
from tessera.testing import serve_folder

AREA = "5.0,50.0,5.1,50.1"


def fields(count: int = 40) -> list[dict[str, object]]:
    """Fields and forests from west to east, 0.02 degrees each, and with them a road and a tunnel."""
    rows: list[dict[str, object]] = []
    for at in range(count):
        west = 5.0 + 0.025 * at
        kind = "forest" if at % 2 else "farmland"
        rows.append(
            {
                "id": f"a{at:03}",
                "subtype": "forest" if at % 2 else "agriculture",
                "class": kind,
                "source_tags": {"landuse": kind},
                "geometry": shapely.box(west, 50.0, west + 0.02, 50.02),
            }
        )
    line = shapely.LineString([(5.0, 50.05), (5.05, 50.05)])
    road = {"subtype": "road", "class": "primary", "geometry": line}
    rows.append({"id": "r1", **road, "width_rules": [{"value": 7.5, "between": None}]})
    rows.append({"id": "r2", **road})
    rows.append({"id": "r3", **road, "road_flags": [{"values": ["is_tunnel"], "between": None}]})
    rows.append({"id": "r4", **road, "class": "unknown"})
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("overture")
    rows = fields()
    overture(folder / "theme=base" / "type=land_use" / "part-0.parquet", rows[:40])
    overture(folder / "theme=transportation" / "type=segment" / "part-0.parquet", rows[40:])
    return folder


def test_columns_and_tags_of_openstreetmap_make_classes(folder: Path) -> None:
    by_class = osm_labels(folder, AREA, "forest:class=forest;farm:class=farmland;road:subtype=road")
    by_tag = osm_labels(folder, AREA, "landuse=forest;farm:landuse=farmland")
    assert by_class.counts == {"forest": 2, "farm": 3, "road": 2}
    assert by_tag.counts == {"forest": 2, "farm": 3}
    columns = by_class.table.columns
    assert columns["overture_id"].tolist() == ["a001", "a003", "a000", "a002", "a004", "r1", "r2"]
    assert set(columns["overture_type"]) == {"land_use", "segment"}
    assert columns["width"].tolist()[-2:] == [7.5, 9.0]
    assert columns["source"][0] == "Overture"
    assert "OpenStreetMap" in by_class.licence
    assert "ODbL" in by_class.licence
    assert "1 line left out: in a tunnel or under ground" in by_class.notes
    assert any("no width is known (subtype=road)" in note for note in by_class.notes)
    wide = osm_labels(folder, AREA, "road:subtype=road", width=4.0)
    assert sorted(wide.table.columns["width"].tolist()) == [4.0, 4.0, 7.5]


def test_only_row_groups_of_the_area_are_read(folder: Path) -> None:
    made = osm_labels(folder / "theme=base", AREA, "class=forest")
    assert made.notes == ("2 of 10 row groups in 1 files were read",)


def test_a_server_is_asked_for_the_areas_row_groups_only(tmp_path: Path) -> None:
    many = fields(4000)[:4000]
    for at, row in enumerate(many):
        west = 5.0 + (at // 40) * 0.5
        # vertices that do not compress, so that pages are larger than the end that is always read
        row["geometry"] = shapely.Point(west, 50.01 + at * 1e-6).buffer(0.01, quad_segs=100)
    path = overture(tmp_path / "land_use.parquet", many, group=100)
    local = osm_labels(path, AREA, "class=forest")
    with serve_folder(tmp_path) as (url, asked):
        served = osm_labels(f"{url}/land_use.parquet", AREA, "class=forest")
        sent = sum(request.sent for request in asked)
    assert local.table.geometries.tolist() == served.table.geometries.tolist()
    assert local.notes == served.notes == ("1 of 40 row groups in 1 files were read",)
    assert path.stat().st_size > 5_000_000
    assert sent < path.stat().st_size / 10
    assert len(asked) <= 5


def test_a_file_without_statistics_is_read_whole(tmp_path: Path, folder: Path) -> None:
    whole = pq.read_table(folder / "theme=base" / "type=land_use" / "part-0.parquet", partitioning=None)
    pq.write_table(whole, tmp_path / "a.parquet", row_group_size=4, write_statistics=False)
    made = osm_labels(tmp_path / "a.parquet", AREA, "class=forest")
    assert made.counts == {"forest": 2}
    assert made.notes == ("10 of 10 row groups in 1 files were read",)


def test_a_server_that_fails_is_one_line(tmp_path: Path) -> None:
    overture(tmp_path / "a.parquet", fields(4))
    with serve_folder(tmp_path, status=403) as (url, _), pytest.raises(InputError) as said:
        osm_labels(f"{url}/a.parquet", AREA, "class=forest")
    assert "\n" not in str(said.value)
    with pytest.raises(InputError, match="expected URLs of files"):
        osm_labels("https://example.org/release/", AREA, "class=forest")


def test_a_file_replaced_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    from tessera.net import ChangedError, open_remote

    path = tmp_path / "a.bin"
    path.write_bytes(bytes(1_000_000))
    with serve_folder(tmp_path) as (url, _):
        file = open_remote(f"{url}/a.bin")
        file.seek(10)
        assert file.read(5) == bytes(5)
        path.unlink()
        path.write_bytes(bytes(range(250)) * 4000)
        file.seek(300_000)
        with pytest.raises(ChangedError):
            file.read(5)


def test_a_remote_file_reads_as_the_file_does(tmp_path: Path) -> None:
    import random

    from tessera.net import open_remote

    data = random.Random(1).randbytes(1_200_000)
    (tmp_path / "a.bin").write_bytes(data)
    with serve_folder(tmp_path) as (url, asked):
        file = open_remote(f"{url}/a.bin")
        assert file.size == len(data)
        file.prefetch([100, 50_000, 700_000], [40_000, 90_000, 710_000])
        count = len(asked)
        for start, stop in ((100, 200), (39_000, 60_000), (705_000, 705_001), (1_190_000, 1_200_000)):
            file.seek(start)
            assert file.read(stop - start) == data[start:stop]
        assert len(asked) == count
        file.seek(400_000)
        assert file.read() == data[400_000:]


def test_other_parquet_files_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="expected geometry and bbox"):
        osm_labels(tmp_path / "a.parquet", AREA, "class=forest")
    overture(tmp_path / "b.parquet", fields(4))
    table = pq.read_table(tmp_path / "b.parquet").drop_columns(["source_tags"])
    pq.write_table(table, tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"no column landuse and no source_tags"):
        osm_labels(tmp_path / "b.parquet", AREA, "landuse=forest")
