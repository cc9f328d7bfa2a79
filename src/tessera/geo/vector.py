"""Vector files as plain arrays: GeoJSON, GeoParquet and CSV with the base install, any other format with geopandas."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LON = ("lon", "longitude", "long", "x")
_LAT = ("lat", "latitude", "y")
_LIMIT = 2 * 1024**3


@dataclass(frozen=True)
class VectorTable:
    """Features of a vector file.

    Attributes
    ----------
    geometries : (N,) shapely geometries, degrees (EPSG:4326); None where a feature has none
    columns : attribute name -> (N,) array
    source : what to call it in a message
    """

    geometries: NDArray[np.object_]
    columns: dict[str, NDArray[Any]]
    source: str

    def __len__(self) -> int:
        return len(self.geometries)

    def column(self, name: str) -> NDArray[Any]:
        """The values of one attribute.

        Raises
        ------
        InputError
            There is no such column; the line lists those there are.
        """
        if name not in self.columns:
            raise InputError(f"{self.source} has no column {name!r}; it has {', '.join(self.columns) or 'none'}")
        return self.columns[name]


def read_vector(source: object) -> VectorTable:
    """Read features from a file, GeoJSON or a data frame.

    Parameters
    ----------
    source : path of a GeoJSON, GeoParquet or CSV file (columns lon and lat, degrees), or of any file that geopandas
        reads; a GeoJSON FeatureCollection, Feature or geometry, as a mapping or as text that starts with "{"; a
        GeoDataFrame; a DataFrame with columns lon and lat, degrees

    Raises
    ------
    InputError
        The file is missing, of another form, or has no geometry.
    """
    if isinstance(source, dict):
        return _from_geojson(source, "the GeoJSON given")
    if hasattr(source, "geometry") and hasattr(source, "to_crs"):
        return _from_geodataframe(source, "the GeoDataFrame given")
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return _from_dataframe(source, "the DataFrame given")
    if not isinstance(source, (str, Path)):
        raise InputError(f"a {type(source).__name__}; expected a vector file, GeoJSON or a GeoDataFrame")
    if isinstance(source, str):
        text = source.strip()
        if not text:
            raise InputError(f"empty text {source!r}; expected a vector file or GeoJSON")
        if text.startswith("{"):
            return _from_geojson(_load_json(text, "the GeoJSON given"), "the GeoJSON given")
    path = Path(source)
    if not exists(path):
        raise InputError(f"vector file not found: {path}")
    suffix = path.suffix.lower()
    if path.is_file() and suffix in (".json", ".geojson", ".csv", ".parquet", ".geoparquet"):
        if path.stat().st_size > _LIMIT:
            raise InputError(f"{path} has {path.stat().st_size} bytes; at most {_LIMIT} are read")
        if suffix in (".json", ".geojson"):
            return _from_geojson(_load_json(path.read_bytes(), str(path)), str(path))
        if suffix == ".csv":
            return _from_csv(path)
        return _from_parquet(path)
    geopandas = require("geopandas", extra="geo", purpose=f"reading {path.name}")
    try:
        frame = geopandas.read_file(path)
    except Exception as error:
        raise InputError(f"{path} is not a vector file that can be read: {error}") from None
    return _from_geodataframe(frame, str(path))


def exists(path: str | Path) -> bool:
    """Whether a path exists; text that can be no path, such as a very long one, does not."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def _load_json(data: str | bytes, source: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{source} holds a JSON {type(value).__name__}; expected GeoJSON")
    return value


def _from_geojson(value: dict[str, Any], source: str) -> VectorTable:
    import shapely
    from shapely.geometry import shape

    _check_geojson_crs(value, source)
    kind = value.get("type")
    if kind == "FeatureCollection":
        features = value.get("features")
    elif kind == "Feature":
        features = [value]
    elif isinstance(kind, str) and ("coordinates" in value or "geometries" in value):
        features = [{"geometry": value, "properties": {}}]
    else:
        raise InputError(f"{source} has type {kind!r}; expected a FeatureCollection, Feature or geometry")
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise InputError(f"{source} has no list of features")
    geometries = np.empty(len(features), dtype=object)
    properties = []
    for index, feature in enumerate(features):
        try:
            geometry = feature["geometry"]
            with np.errstate(invalid="ignore"):
                geometries[index] = None if geometry is None else shape(geometry)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            raise InputError(f"{source}, feature {index}: no readable geometry ({error})") from None
        except shapely.errors.ShapelyError as error:
            raise InputError(f"{source}, feature {index}: no readable geometry ({error})") from None
        row = feature.get("properties")
        if not isinstance(row, dict | None):
            raise InputError(f"{source}, feature {index}: properties are a {type(row).__name__}; expected an object")
        properties.append(row or {})
    names = list(dict.fromkeys(name for row in properties for name in row))
    columns = {name: _as_column([row.get(name) for row in properties]) for name in names}
    return VectorTable(geometries, columns, source)


def _check_geojson_crs(value: dict[str, Any], source: str) -> None:
    crs = value.get("crs")
    if crs is None:
        return
    about = crs.get("properties") if isinstance(crs, dict) else None
    name = str(about.get("name", "")) if isinstance(about, dict) else str(crs)
    if not name.endswith(("CRS84", "EPSG::4326", "EPSG:4326")):
        raise InputError(f"{source} declares the CRS {name!r}; GeoJSON is read in degrees (EPSG:4326)")


def _plain(series: Any) -> list[Any]:
    """A pandas column as plain values: None where it is missing, dates as text."""
    values = series.astype(object).where(series.notna(), None).tolist()
    return [value.isoformat() if hasattr(value, "isoformat") else value for value in values]


def _as_column(values: list[Any]) -> NDArray[Any]:
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in present):
        if len(present) == len(values) and all(isinstance(value, int) for value in values):
            return np.asarray(values)
        try:
            return np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)
        except OverflowError:
            pass  # whole numbers beyond every float, kept as they are
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _from_csv(path: Path) -> VectorTable:
    from pyarrow import ArrowException, csv

    try:
        table = csv.read_csv(path)
        names = table.column_names
        _refuse_twice(names, str(path))
        columns = {name: _as_column(table[name].to_pylist()) for name in names}
    except InputError:
        raise
    except UnicodeDecodeError:
        raise InputError(f"{path} has a header that is not UTF-8; expected a CSV table in UTF-8") from None
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is not a CSV table: {error}") from None
    return _from_columns(columns, str(path))


def _from_dataframe(frame: Any, source: str) -> VectorTable:
    names = [str(name) for name in frame.columns]
    _refuse_twice(names, source)
    columns = {name: _as_column(_plain(frame.iloc[:, index])) for index, name in enumerate(names)}
    return _from_columns(columns, source)


def _refuse_twice(names: list[str], source: str) -> None:
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise InputError(f"{source} has the column {twice!r} twice; expected distinct names")


def _from_columns(columns: dict[str, NDArray[Any]], source: str) -> VectorTable:
    by_lower = {name.lower(): name for name in columns}
    lon = next((by_lower[name] for name in _LON if name in by_lower), None)
    lat = next((by_lower[name] for name in _LAT if name in by_lower), None)
    if lon is None or lat is None:
        raise InputError(f"{source} has columns {', '.join(columns) or 'none'}; expected lon and lat, degrees")
    return VectorTable(_points_of(columns[lon], columns[lat], source), columns, source)


def _points_of(lon: NDArray[Any], lat: NDArray[Any], source: str) -> NDArray[np.object_]:
    import shapely

    try:
        x, y = lon.astype(np.float64), lat.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{source}: columns of positions hold what is no number; expected degrees") from None
    geometries = np.asarray(shapely.points(x, y), dtype=object).reshape(-1)
    geometries[np.isnan(x) | np.isnan(y)] = None
    return geometries


def _from_parquet(path: Path) -> VectorTable:
    import shapely
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise InputError(f"{path} is not a Parquet file: {error}") from None
    raw = (table.schema.metadata or {}).get(b"geo")
    if raw is None:
        raise InputError(f"{path} is Parquet without GeoParquet metadata; expected a geometry column")
    try:
        meta = json.loads(raw)
        name = meta["primary_column"]
        about = meta["columns"][name]
        crs = about.get("crs", "EPSG:4326")
        geometries = np.asarray(shapely.from_wkb(table[name].to_pylist()), dtype=object)
    except (ValueError, KeyError, TypeError, AttributeError, shapely.errors.ShapelyError) as error:
        raise InputError(f"{path}: GeoParquet geometry cannot be read ({error!r}); expected WKB") from None
    geometries = _to_degrees(geometries, crs, str(path))
    columns = {column: _as_column(table[column].to_pylist()) for column in table.column_names if column != name}
    return VectorTable(geometries, columns, str(path))


def _to_degrees(geometries: NDArray[np.object_], crs: object, source: str) -> NDArray[np.object_]:
    import shapely
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    if crs is None:
        raise InputError(f"{source} has no CRS; expected one, or degrees (EPSG:4326)")
    try:
        parsed = CRS.from_user_input(crs)
        # x is the longitude in every vector format, whatever order of axes the CRS itself declares
        if parsed.equals(CRS.from_epsg(4326), ignore_axis_order=True):
            return geometries
        transformer = Transformer.from_crs(parsed, "EPSG:4326", always_xy=True)
    except ProjError as error:
        raise InputError(f"{source}: CRS cannot be read ({error})") from None

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    return np.asarray(shapely.transform(geometries, move), dtype=object)


def _from_geodataframe(frame: Any, source: str) -> VectorTable:
    if frame.crs is None:
        raise InputError(f"{source} has no CRS; expected one, or degrees (EPSG:4326)")
    geometry = frame.geometry
    geometries = _to_degrees(np.asarray(geometry.to_numpy(), dtype=object), frame.crs.to_wkt(), source)
    columns = {
        str(name): _as_column(_plain(frame[name])) for name in getattr(frame, "columns", ()) if name != geometry.name
    }
    return VectorTable(geometries, columns, source)
