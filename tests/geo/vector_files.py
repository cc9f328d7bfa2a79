"""Vector files of every kind, and what a stranger makes of them."""

from __future__ import annotations

import sqlite3
import zipfile
from typing import TYPE_CHECKING, Any

import geopandas
import pandas
import pyogrio
import shapely

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PLACES = ((5.25, 50.75), (5.5, 50.5), (5.125, 50.625))
SECRET = "known only to another file"


def table() -> pandas.DataFrame:
    """Three places with a class that looks like a number and an id that float64 does not hold."""
    ids = pandas.array([2**53 + 1, None, 7], dtype="Int64")
    lon, lat = zip(*PLACES, strict=True)
    return pandas.DataFrame({"lon": lon, "lat": lat, "code": ["01", "1", None], "id": ids})


def frame(**more: Any) -> geopandas.GeoDataFrame:
    points = [shapely.Point(place) for place in PLACES]
    return geopandas.GeoDataFrame(table()[["code", "id"]].assign(**more), geometry=points, crs=4326)


def vrt(source: Path | str) -> str:
    """What GDAL would take for a table, and which is another file's."""
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="t"><SrcDataSource>{source}</SrcDataSource><SrcLayer>other</SrcLayer>'
        '<GeometryType>wkbPoint</GeometryType><LayerSRS>EPSG:4326</LayerSRS><GeometryField encoding="PointFromColumns" '
        'x="lon" y="lat"/></OGRVRTLayer></OGRVRTDataSource>'
    )


def wfs(url: str) -> str:
    return f"<OGRWFSDataSource><URL>{url}</URL></OGRWFSDataSource>"


def write_layers(path: Path, layers: dict[str, geopandas.GeoDataFrame]) -> Path:
    for name, part in layers.items():
        pyogrio.write_dataframe(part, path, layer=name, driver="GPKG")
    return path


def change(path: Path, *statements: str) -> Path:
    """Run SQL on a GeoPackage as its maker could."""
    database = sqlite3.connect(path)
    for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
        database.create_function(name, 1, lambda _: 1)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
    return path


def zipped(path: Path, members: Mapping[str, bytes | Path]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data if isinstance(data, bytes) else data.read_bytes())
    return path
