from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from store_helpers import ACROSS, MODEL, Counting, centre_of, new_store, random_embeddings

from tessera.base import InputError
from tessera.embeddings import is_valid
from tessera.geo import Window, ZonePart, from_lonlat, parse_area, polygon_edges, to_lonlat, zones_of
from tessera.store import PointStatus, Store
from tessera.store.queries.zonal import parse_polygons, squares

NORTHERN = Window(31, ACROSS.west, ACROSS.north, 150, 130)
SOUTHERN = Window(31, ACROSS.west, -200_000, 90, 80)


def counted(store: Store) -> Counting:
    counting = Counting(store.source)
    store.source = counting
    return counting


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two years around a northern and a southern place, and both sides of a border and of the date line."""
    store = new_store(tmp_path_factory.mktemp("queries") / "s", (1, 31, 32, 60))
    for year in (2023, 2024):
        for seed, window in enumerate((NORTHERN, SOUTHERN)):
            store.write(random_embeddings(window, seed + year), year)
        for zone, lon in ((31, 5.999), (32, 6.001), (60, 179.999), (1, -179.999)):
            x, y = from_lonlat(lon, 40.0, zone)
            window = Window(zone, int(x // 10) - 40, int(y // 10) + 30, 80, 60)
            store.write(random_embeddings(window, zone + year, 0.3), year)
    return store


def naive(store: Store, lon: float, lat: float, year: int) -> tuple[np.ndarray, int]:
    """Vector and status of one point, pixel by pixel from `read_window`, with the neighbour zone near a border."""
    own = int(zones_of(np.array(lon)))
    offset = lon + 180 - 6 * (own - 1)
    beyond = (own - 2) % 60 + 1 if offset < 0.1 else own % 60 + 1 if offset > 5.9 else 0
    best = (np.full(8, np.nan, np.float32), int(PointStatus.OUTSIDE))
    for zone in (own, beyond):
        if zone not in store.zones:
            continue
        x, y = from_lonlat(lon, lat, zone)
        pixel = store.read_window(Window(zone, int(x // 10), int(y // 10) + 1, 1, 1), year)
        scale = pixel.scales[0, 0]
        status = 0 if is_valid(pixel.scales)[0, 0] else 2 if np.isnan(scale) else 3
        if status < best[1]:
            best = (pixel.values()[0, 0], status)
    return best


places = st.one_of(
    st.tuples(st.just(31), st.floats(0, 150), st.floats(0, 130)),
    st.tuples(st.just(-31), st.floats(-20, 110), st.floats(-20, 100)),
)


@settings(max_examples=40)
@given(
    st.lists(
        st.one_of(
            places, st.tuples(st.sampled_from([6.0, 180.0]), st.floats(-0.006, 0.006), st.floats(39.996, 40.004))
        ),
        min_size=1,
        max_size=6,
    )
)
def test_points_equal_a_naive_look_up(store: Store, given_: list[tuple[float, float, float]]) -> None:
    points = []
    for kind, a, b in given_:
        if abs(kind) == 31:
            window = NORTHERN if kind > 0 else SOUTHERN
            x, y = to_lonlat((window.west + a) * 10, (window.north - b) * 10, 31)
            points.append((float(x), float(y)))
        else:
            points.append(((kind + a + 180) % 360 - 180, b))
    found = store.sample(points, [2024, 2023])
    assert found.values.shape == (len(points), 2, 8)
    for number, (lon, lat) in enumerate(points):
        for k, year in enumerate((2024, 2023)):
            values, status = naive(store, lon, lat, year)
            assert np.array_equal(found.values[number, k], values, equal_nan=True)
            assert found.status[number, k] == status
            window = Window(int(found.zone[number, k]), int(found.px[number, k]), int(found.py[number, k]) + 1, 1, 1)
            again = store.read_window(window, year).values()[0, 0]
            assert np.array_equal(again, values, equal_nan=True)
    assert np.array_equal(store.sample_points(points, [2024, 2023]), found.values, equal_nan=True)
    assert np.array_equal(store.sample_points(points, 2023), found.values[:, 1], equal_nan=True)


def test_why_a_point_has_no_vector(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(ACROSS), 2024)
    bare = np.argwhere(np.isnan(random_embeddings(ACROSS).scales))[0]
    points = [
        centre_of(ACROSS, *(int(v) for v in np.argwhere(random_embeddings(ACROSS).valid)[0])),
        centre_of(ACROSS, int(bare[0]), int(bare[1])),
        (5.0, 10.0),
        (50.0, 10.0),
        (5.0, 86.0),
        (200.0, 5.0),
    ]
    found = store.sample(points, 2024)
    assert found.status.tolist() == [0, 2, 3, 4, 4, 4]
    assert found.counts() == {"valid": 1, "water": 0, "no_data": 1, "not_written": 1, "outside": 3}
    assert "1 valid" in repr(found)
    assert found.valid.tolist() == [True] + [False] * 5
    object.__setattr__(store.header, "nan_is_water", True)
    again = store.sample(points, 2024, search=5)
    assert again.status.tolist() == [0, 1, 3, 4, 4, 4]
    for wrong in (-1, 1.5, True, 101):
        with pytest.raises(InputError, match="search"):
            store.sample(points, 2024, search=wrong)  # type: ignore[arg-type]
    for strange in ([(664000.0, 5612120.0)], [(np.nan, 5.0)], [(1, 2, 3)], "nowhere.csv", {"type": "Polygon"}):
        with pytest.raises(InputError) as caught:
            store.sample(strange, 2024)
        assert "\n" not in str(caught.value)
    assert len(store.sample([], 2024)) == 0
    assert store.sample([], [2024]).values.shape == (0, 1, 8)


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(0, 10**6), st.floats(0.6, 0.999))
def test_search_takes_the_nearest_valid_pixel(
    tmp_path_factory: pytest.TempPathFactory, reach: int, seed: int, share: float
) -> None:
    store = new_store(tmp_path_factory.mktemp("search") / "s")
    window = Window(31, ACROSS.west, ACROSS.north, 40, 40)
    embeddings = random_embeddings(window, seed, share)
    store.write(embeddings, 2024)
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 40, 12), rng.uniform(0, 40, 12)
    lon, lat = to_lonlat((window.west + x) * 10, (window.north - y) * 10, 31)
    found = store.sample(np.column_stack([lon, lat]), 2024, search=reach)
    rows, cols = np.indices(window.shape)
    for number in range(12):
        row, col = int(y[number]), int(x[number])
        near = (abs(rows - row) <= reach) & (abs(cols - col) <= reach) & embeddings.valid
        if embeddings.valid[row, col]:
            assert np.array_equal(found.values[number], embeddings.values()[row, col])
        elif not near.any():
            assert found.status[number] == PointStatus.NO_DATA
        else:
            distance = np.where(near, (rows + 0.5 - y[number]) ** 2 + (cols + 0.5 - x[number]) ** 2, np.inf)
            best = np.unravel_index(distance.argmin(), distance.shape)
            assert np.array_equal(found.values[number], embeddings.values()[best])
            assert (found.px[number] - window.west, window.north - 1 - found.py[number]) == (best[1], best[0])


def test_the_neighbour_zone_is_read_only_where_it_is_needed(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s", (31, 32))
    x, y = from_lonlat(5.95, 40.0, 31)
    window = Window(31, int(x // 10), int(y // 10) + 20, 30, 30)
    store.write(random_embeddings(window, 0, 0), 2024)
    counting = counted(store)
    lon, lat = np.array([centre_of(window, k, k) for k in range(20)]).T
    assert np.isfinite(store.sample_points(np.column_stack([lon, lat]), 2024)).all()
    assert counting.windows == []
    assert counting.points == [20]
    # the same pixels, asked for by places of zone 32 that only zone 31 has
    x, y = from_lonlat(6.05, 40.0, 31)
    beyond = Window(31, int(x // 10), int(y // 10) + 20, 30, 30)
    store.source = counting.source
    store.write(random_embeddings(beyond, 1, 0), 2024)
    store.source = counting
    points = [centre_of(beyond, 3, 4), centre_of(beyond, 20, 21)]
    found = store.sample(points, 2024)
    assert found.zone.tolist() == [31, 31]
    assert np.array_equal(found.values, random_embeddings(beyond, 1, 0).values()[[3, 20], [4, 21]])
    assert {window.zone for window in counting.windows} == {31}
    far = store.sample([(6.2, 40.0)], 2024)
    assert far.status.tolist() == [PointStatus.NOT_WRITTEN]


def test_points_from_every_kind_of_input(store: Store, tmp_path: Path) -> None:
    points = [centre_of(NORTHERN, 5, 6), centre_of(NORTHERN, 70, 71)]
    wanted = store.sample_points(points, 2024)
    frame = geopandas.GeoDataFrame({"k": [1, 2]}, geometry=[shapely.Point(p) for p in points], crs=4326)
    frame.to_parquet(tmp_path / "p.parquet")
    frame.to_file(tmp_path / "p.geojson", driver="GeoJSON")
    (tmp_path / "p.csv").write_text("lat,lon\n" + "".join(f"{lat!r},{lon!r}\n" for lon, lat in points))
    kinds = [np.array(points), frame, frame.to_crs(3035), json.loads(frame.to_json())]
    for kind in [*kinds, *(tmp_path / f"p.{end}" for end in ("parquet", "geojson", "csv"))]:
        for found in (store.sample_points(kind, 2024), store.sample(kind, 2024).values):
            assert np.array_equal(found, wanted, equal_nan=True)


def ring(window: Window, points: list[tuple[float, float]]) -> Any:
    """A polygon in degrees from corners in pixels of a window, its edges short enough to bend."""
    shape = shapely.segmentize(shapely.Polygon(points), 20.0)

    def project(p: Any) -> Any:
        return np.column_stack(to_lonlat((window.west + p[:, 0]) * 10, (window.north - p[:, 1]) * 10, window.zone))

    return shapely.transform(shape, project)


stars = st.tuples(
    st.floats(-10, 160), st.floats(-10, 140), st.lists(st.floats(0.2, 60), min_size=3, max_size=9), st.floats(0, 6)
)


def star(centre_x: float, centre_y: float, radii: list[float], turn: float) -> list[tuple[float, float]]:
    angles = turn + np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return [
        (centre_x + r * float(np.cos(a)), centre_y + r * float(np.sin(a))) for r, a in zip(radii, angles, strict=True)
    ]


@settings(max_examples=30)
@given(st.lists(stars, min_size=1, max_size=5))
def test_zonal_means_equal_a_direct_computation(store: Store, given_: list[Any]) -> None:
    polygons = [ring(NORTHERN, star(*each)) for each in given_]
    found = store.zonal(polygons, [2023, 2024])
    for k, year in enumerate((2023, 2024)):
        for number, polygon in enumerate(polygons):
            total, count, inside = np.zeros(8), 0, 0
            for part in parse_area(shapely.make_valid(polygon)).parts():
                window = part.window
                mask = part.mask(window)
                values = store.read_window(window, year).values()[mask]
                inside += int(mask.sum())
                good = values[np.isfinite(values[:, 0])].astype(np.float64)
                total, count = total + good.sum(axis=0), count + len(good)
            assert found.counts[number, k] == count
            assert found.pixels[number] == inside
            if count:
                np.testing.assert_allclose(found.means[number, k], total / count, rtol=2e-6, atol=1e-6)
                assert found.share[number, k] == count / inside
            else:
                assert np.isnan(found.means[number, k]).all()


@cache
def unit_boxes() -> tuple[Any, Any, Any]:
    """Columns, rows and boxes of the pixels around every star."""
    cols, rows = np.meshgrid(np.arange(-80, 230), np.arange(-80, 210))
    return cols, rows, shapely.box(cols, rows, cols + 1, rows + 1)


@settings(max_examples=25)
@given(st.lists(stars, min_size=1, max_size=3))
def test_spans_are_the_pixels_whose_centre_is_inside_and_touched_ones_those_that_share_area(given_: list[Any]) -> None:
    shapes = np.array([shapely.make_valid(shapely.Polygon(star(*each))) for each in given_], dtype=object)
    edges = polygon_edges(shapes, np.arange(len(shapes)), lambda x, y: (x, y))
    spans, touched = edges.spans(-80, 210), edges.spans(-80, 210, touched=True)
    cols, rows, boxes = unit_boxes()
    for number, shape in enumerate(shapes):
        mask = spans[spans.owner == number].mask(range(-80, 210), range(-80, 230))
        assert np.array_equal(mask, shapely.contains_xy(shape, cols + 0.5, rows + 0.5))
        mask = touched[touched.owner == number].mask(range(-80, 210), range(-80, 230))
        shapely.prepare(shape)
        meets = shapely.intersects(shape, boxes)
        assert not (mask & ~meets).any()
        inside = shapely.contains_properly(shape, boxes)
        assert mask[inside].all()
        crossed = meets & ~inside
        overlap = np.zeros(mask.shape)
        overlap[crossed] = shapely.area(shapely.intersection(shape, boxes[crossed]))
        assert mask[overlap > 1e-9].all()


def test_fields_that_share_edges_share_no_pixel_and_lose_none(store: Store) -> None:
    rng = np.random.default_rng(3)
    x, y = np.meshgrid(np.linspace(5, 145, 9), np.linspace(5, 125, 9))
    x[1:-1, 1:-1] += rng.uniform(-5, 5, (7, 7))
    y[1:-1, 1:-1] += rng.uniform(-5, 5, (7, 7))
    # whole halves put centres exactly on edges
    x, y = np.round(x * 2) / 2, np.round(y * 2) / 2
    corners = np.stack([x, y], axis=-1)
    fields = [
        shapely.Polygon([corners[i, j], corners[i, j + 1], corners[i + 1, j + 1], corners[i + 1, j]])
        for i in range(8)
        for j in range(8)
    ]
    edges = polygon_edges(np.array(fields, object), np.arange(64), lambda a, b: (a, b))
    owner, row, col = edges.spans(0, 130).pixels()
    assert len(np.unique(row * 1000 + col)) == len(owner) == 120 * 140
    degrees = [ring(NORTHERN, [(x, y) for x, y in field.exterior.coords]) for field in fields]
    whole = store.zonal(shapely.union_all(degrees).buffer(0), 2024)
    parts = store.zonal(degrees, 2024)
    assert abs(int(parts.counts.sum()) - int(whole.counts[0])) <= 2


def test_zonal_over_a_border_the_date_line_and_the_equator(store: Store) -> None:
    for west, east in ((5.9975, 6.0025), (179.9975, -179.9975)):
        box = (west, 39.998, east, 40.002)
        shape = parse_area(box).geometry
        drawn = shapely.Polygon([(west, 39.998), (east, 39.998), (east, 40.002), (west, 40.002)])
        parts = parse_area(box).parts()
        assert len(parts) == 2
        values = np.concatenate([store.read_window(p.window, 2024).values()[p.mask(p.window)] for p in parts])
        good = values[np.isfinite(values[:, 0])].astype(np.float64)
        for polygon in (shape, drawn):
            found = store.zonal(polygon, 2024, dims=2)
            assert found.pixels[0] == len(values)
            assert found.counts[0] == len(good) > 100
            np.testing.assert_allclose(found.means[0], good.mean(axis=0)[:2], rtol=1e-5, atol=1e-6)
    southern = ring(SOUTHERN, [(3, 4), (70, 9), (60, 70), (10, 60)])
    found = store.zonal([southern, None], 2023)
    part = parse_area(southern).parts()[0]
    values = store.read_window(part.window, 2023).values()[part.mask(part.window)]
    assert found.counts.tolist() == [int(np.isfinite(values[:, 0]).sum()), 0]
    np.testing.assert_allclose(found.means[0], np.nanmean(values.astype(np.float64), axis=0), rtol=1e-5, atol=1e-6)
    assert np.isnan(found.means[1]).all()
    assert np.isnan(found.share[1])


def test_touched_pixels_count_where_asked(store: Store) -> None:
    thin = ring(NORTHERN, [(10.6, 10.6), (40.4, 10.6), (40.4, 10.9), (10.6, 10.9)])
    assert store.zonal(thin, 2024).pixels.tolist() == [0]
    found = store.zonal(thin, 2024, all_touched=True)
    assert found.pixels.tolist() == [31]
    embeddings = random_embeddings(NORTHERN, 2024)
    assert found.counts[0] == embeddings.valid[10, 10:41].sum()


def test_many_polygons_take_few_reads_and_little_memory(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    window = Window(31, ACROSS.west, ACROSS.north, 256, 256)
    embeddings = random_embeddings(window)
    store.write(embeddings, 2024)
    counting = counted(store)
    fields = [
        ring(window, [(x, y), (x + 5, y), (x + 5, y + 5), (x, y + 5)])
        for x in range(0, 250, 6)
        for y in range(0, 250, 6)
    ]
    found = store.zonal(fields, 2024)
    assert len(fields) > 1500
    assert found.counts.sum() > 30_000
    assert len(counting.windows) <= 4
    read = sum(window.width * window.height for window in counting.windows)
    assert read <= 260 * 260
    assert max(max(window.shape) for window in counting.windows) <= 1024
    # two small fields far apart: their surroundings, not what lies between them
    counting.windows.clear()
    store.zonal([fields[0], fields[-1]], 2024)
    assert sum(window.width * window.height for window in counting.windows) < 200


def test_what_is_no_polygon_is_one_line(store: Store, tmp_path: Path) -> None:
    square = shapely.box(2, 38, 2.001, 38.001)
    (tmp_path / "e.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    wrong: list[tuple[Any, str]] = [
        ([shapely.Point(2, 38)], "feature 0 is a Point"),
        ([square, shapely.LineString([(0, 0), (1, 1)])], "feature 1 is a LineString"),
        ([square, 5], "a int among"),
        ([], "no polygon"),
        ([None], "no polygon"),
        (tmp_path / "e.geojson", "no polygon"),
        ([shapely.box(2, 83, 3, 85)], "85 N"),
        ([shapely.box(200000, 5000000, 200100, 5000100)], "feature 0"),
    ]
    for polygons, reason in wrong:
        with pytest.raises(InputError, match=reason) as caught:
            store.zonal(polygons, 2024)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no years given"):
        store.zonal(square, [])
    bow = shapely.Polygon([(2, 38), (2.001, 38.001), (2.001, 38), (2, 38.001)])
    assert store.zonal(bow, 2024).pixels[0] > 0


def test_real_parcels_are_measured_as_drawn(tmp_path: Path, shared: Path) -> None:
    import pyarrow.parquet as pq

    path = shared / "data" / "parcels_corsica_2022" / "2022_FRA_LPIS_POLY_110.month.geoparquet"
    table = pq.read_table(path, columns=["sample_id", "geometry"]).to_pandas().drop_duplicates("sample_id")
    shapes = shapely.from_wkb(table["geometry"].to_numpy())
    areal = shapes[np.isin(shapely.get_type_id(shapes), (3, 6))]
    if not len(areal):
        # the file tells where each parcel is by a point in it: give it a hectare
        areal = shapely.buffer(shapes, 0.0006, quad_segs=4)
    assert len(areal) >= 100
    polygons = parse_polygons(list(areal))
    pixels = np.zeros(len(polygons))
    reads = 0
    for square in squares(polygons, all_touched=False, chunk=32):
        owner, _, _ = square.spans.pixels()
        pixels += np.bincount(owner, minlength=len(polygons))
        reads += len(square.windows)
    hectares = np.array([sum(part.geometry.area for part in parse_area(polygon).parts()) / 100 for polygon in polygons])
    assert np.abs(pixels - hectares).max() < 60
    assert abs(pixels.sum() / hectares.sum() - 1) < 0.01
    zones = {int(zone) for zone in np.unique(zones_of(shapely.bounds(polygons)[:, 0]))}
    store = new_store(tmp_path / "s", tuple(sorted(zones)))
    first = parse_area(polygons[0]).parts()[0]
    assert isinstance(first, ZonePart)
    embeddings = random_embeddings(first.window, 7)
    store.write(embeddings, 2022)
    found = store.zonal(list(areal), 2022)
    mask = first.mask(first.window)
    values = embeddings.values()[mask]
    np.testing.assert_allclose(found.means[0], np.nanmean(values.astype(np.float64), axis=0), rtol=1e-5, atol=1e-6)
    assert found.counts[0] == np.isfinite(values[:, 0]).sum()
    assert MODEL.dims == found.means.shape[1]


@pytest.mark.parametrize("shape", [shapely.Polygon(), shapely.MultiPolygon()])
def test_zonal_of_nothing_or_of_what_is_not_finite_is_one_line(store: Store, shape: Any) -> None:
    with pytest.raises(InputError, match="no polygon with an area"):
        store.zonal([shape], 2023)
    for bad in (np.nan, np.inf):
        # one corner alone, which bounds pass over
        with np.errstate(invalid="ignore"):
            broken = shapely.Polygon([(5, 50), (bad, 50.1), (5.1, 50.1), (5.1, 50)])
            with pytest.raises(InputError, match=r"feature 1.*not finite"):
                store.zonal([shapely.box(5, 50, 5.1, 50.1), broken], 2023)
