from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes_helpers import WINDOW, Catalog, assert_same, digest, ring, write_tiff

from tessera.base import InputError
from tessera.cubes import S2_BANDS
from tessera.geo import Window, from_lonlat
from tessera.scenes import LossError, build_cube, build_cubes, scale_s1

HEIGHT, WIDTH = WINDOW.shape
MORNING = "2021-06-01T10:40:00Z"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    (tmp_path / "stac").mkdir()
    return Catalog(tmp_path / "stac")


def ramp() -> np.ndarray:
    return (2000 + np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)).astype(np.uint16)


def test_every_pixel_and_day_of_a_small_catalogue(catalog: Catalog) -> None:
    catalog.s2("a", MORNING, dn=ramp())
    catalog.s2("b", "2021-12-31T10:40:00Z", dn=3000)
    catalog.s2("last-year", "2020-12-31T10:40:00Z", dn=9000)
    catalog.s1("up", "2021-03-01T17:30:00Z", vv=0.1, vh=0.02)
    catalog.s1("down", "2021-03-02T05:50:00Z", vv=0.2, vh=0.03, orbit="descending")
    cube = build_cube(WINDOW, 2021, source=catalog.root)
    assert cube.s2_doy.tolist() == [152, 365]
    np.testing.assert_array_equal(cube.s2[0][..., 0], ramp() - 1000)
    np.testing.assert_array_equal(cube.s2[1], np.full((HEIGHT, WIDTH, 10), 2000))
    assert np.asarray(cube.s2_mask).all()
    assert (cube.s1_asc_doy.tolist(), cube.s1_desc_doy.tolist()) == ([60], [61])
    assert np.unique(cube.s1_asc[..., 0]).tolist() == scale_s1(np.array([0.1], np.float32)).tolist()
    assert np.unique(cube.s1_desc[..., 1]).tolist() == scale_s1(np.array([0.03], np.float32)).tolist()
    assert cube.grid == WINDOW.grid
    about = cube.provenance
    assert (about["year"], about["source"], about["scenes_used"]) == (2021, "by-hand", 4)
    assert about["collections"] == ["sentinel-1-rtc", "sentinel-2-l2a"]
    assert about["s2_dates"] == ["2021-06-01", "2021-12-31"]
    assert json.loads(json.dumps(about)) == about
    assert str(catalog.root) not in json.dumps(about)


def test_bands_are_in_their_order_and_both_key_styles_read_alike(catalog: Catalog, tmp_path: Path) -> None:
    other = Catalog(tmp_path / "other")
    for place, target in ((catalog, False), (other, True)):
        place.s2("a", MORNING, earth_search=target)
        for number, band in enumerate(S2_BANDS):
            side = 10 if band in ("B04", "B02", "B03", "B08") else 20
            image = np.full((HEIGHT * 10 // side, WIDTH * 10 // side), 1100 + number, dtype=np.uint16)
            write_tiff(place.root / "a" / f"{band}.tif", image, WINDOW, side=side)
    cube = build_cube(WINDOW, 2021, source=catalog.root)
    assert cube.s2[0, 0, 0].tolist() == [100 + number for number in range(10)]
    assert_same(cube, build_cube(WINDOW, 2021, source=other.root))


def test_an_offset_pair_of_the_same_ground_gives_the_same_values(catalog: Catalog) -> None:
    ground = ramp()
    ground[0, 0], ground[5, 5] = 0, 1
    catalog.s2("old", "2021-06-01T10:40:00Z", dn=ground, baseline="02.14")
    catalog.s2("new", "2021-06-06T10:40:00Z", dn=np.where(ground == 0, 0, ground + 1000), baseline="05.00")
    cube = build_cube(WINDOW, 2021, source=catalog.root)
    np.testing.assert_array_equal(cube.s2[0], cube.s2[1])
    np.testing.assert_array_equal(cube.s2[0][..., 0], ground)
    assert cube.provenance["s2_baselines"] == ["02.14", "05.00"]


def test_20_m_bands_are_bilinear_and_no_data_takes_no_part(catalog: Catalog) -> None:
    coarse = np.array([[1000, 2000], [3000, 0]], dtype=np.uint16).repeat(2, 0).repeat(2, 1)
    window = Window(31, WINDOW.west, WINDOW.north, 4, 4)
    catalog.s2("a", MORNING, dn=coarse, baseline="02.14", window=window)
    band = build_cube(window, 2021, source=catalog.root).s2[0][..., 4]
    assert band[0].tolist() == [1000, 1250, 1750, 2000]
    assert band[1, 1] == round((9 * 1000 + 3 * 2000 + 3 * 3000) / 15)


def test_the_clearest_scene_of_a_solar_day_wins_and_others_fill_in(catalog: Catalog) -> None:
    left, right = np.full((HEIGHT // 2, WIDTH // 2), 4), np.full((HEIGHT // 2, WIDTH // 2), 4)
    left[:, 5:], right[:, :2] = 9, 3
    catalog.s2("zz", "2021-06-01T10:40:00Z", dn=3000, scl=left, cloud_cover=5.0)
    catalog.s2("mm", "2021-06-01T10:40:20Z", dn=4000, scl=right, cloud_cover=20.0)
    catalog.s2("aa", "2021-06-01T10:39:00Z", dn=5000, scl=4, cloud_cover=None)
    catalog.s2("cloud", "2021-06-03T10:39:00Z", dn=5000, scl=9)
    cube = build_cube(WINDOW, 2021, source=catalog.root)
    assert cube.s2_doy.tolist() == [152]
    assert np.unique(cube.s2[0][:, :10, 0]).tolist() == [2000]
    assert np.unique(cube.s2[0][:, 10:, 0]).tolist() == [3000]
    assert cube.provenance["scenes_used"] == 2
    assert cube.provenance["scenes_found"] == 4


def test_a_pixel_that_is_not_clear_holds_zero(catalog: Catalog) -> None:
    scl = np.full((HEIGHT // 2, WIDTH // 2), 5)
    scl[0, 0] = 8
    catalog.s2("a", MORNING, scl=scl)
    cube = build_cube(WINDOW, 2021, source=catalog.root)
    assert np.asarray(cube.s2_mask)[0, :3, :3].tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 1]]
    assert (np.asarray(cube.s2)[0, :2, :2] == 0).all()


def test_radar_mosaic_takes_the_first_valid_and_drops_empty_passes(catalog: Catalog) -> None:
    half = np.full(WINDOW.shape, 0.1, dtype=np.float32)
    half[:, 8:] = np.nan
    catalog.s1("b", "2021-03-01T17:30:25Z", vv=0.3, vh=0.03)
    catalog.s1("a", "2021-03-01T17:30:00Z", vv=half, vh=half)
    catalog.s1("empty", "2021-03-13T17:30:00Z", vv=0.0, vh=-1.0)
    cube = build_cube(WINDOW, 2021, source=catalog.root)
    assert cube.s1_asc_doy.tolist() == [60]
    assert cube.s1_desc.shape == (0, HEIGHT, WIDTH, 2)
    assert cube.s2.shape == (0, HEIGHT, WIDTH, 10)
    first, second = scale_s1(np.array([0.1, 0.3], dtype=np.float32))
    assert np.unique(cube.s1_asc[0, :, :8, 0]).tolist() == [first]
    assert np.unique(cube.s1_asc[0, :, 8:, 0]).tolist() == [second]


def test_the_order_of_items_does_not_matter(catalog: Catalog, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index in range(5):
        scl = rng.choice([4, 5, 8, 3], (HEIGHT // 2, WIDTH // 2))
        catalog.s2(f"s2-{index}", f"2021-06-0{index // 3 + 1}T10:4{index}:00Z", dn=2000 + index, scl=scl)
        catalog.s1(f"s1-{index}", f"2021-06-0{index // 3 + 1}T17:4{index}:00Z", vv=0.1 + index / 10)
    build_cube(WINDOW, 2021, source=catalog.root, out=tmp_path / "cube-0")
    for seed in (1, 2):
        catalog.shuffle(seed)
        build_cube(WINDOW, 2021, source=catalog.root, out=tmp_path / f"cube-{seed}")
        assert digest(tmp_path / f"cube-{seed}") == digest(tmp_path / "cube-0")


def test_a_cube_written_date_by_date_equals_the_one_in_memory(catalog: Catalog, tmp_path: Path) -> None:
    catalog.s2("a", MORNING, dn=ramp())
    catalog.s2("b", "2021-06-06T10:40:00Z", dn=ramp() + 7, scl=9)
    catalog.s1("up", "2021-03-01T17:30:00Z")
    seen: list[tuple[int, int]] = []
    written = build_cube(
        WINDOW, 2021, source=catalog.root, out=tmp_path / "cube", progress=lambda a, b: seen.append((a, b))
    )
    assert_same(written, build_cube(WINDOW, 2021, source=catalog.root))
    assert written.provenance == build_cube(WINDOW, 2021, source=catalog.root).provenance
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == seen[-1][1]
    with pytest.raises(InputError, match="exists; expected a new path"):
        build_cube(WINDOW, 2021, source=catalog.root, out=tmp_path / "cube")


def test_an_empty_cube_can_be_written(catalog: Catalog, tmp_path: Path) -> None:
    catalog.s2("a", MORNING, scl=9)
    assert build_cube(WINDOW, 2021, source=catalog.root, out=tmp_path / "cube").s2.shape[0] == 0


def test_days_are_solar_days(catalog: Catalog) -> None:
    window = Window(60, WINDOW.west, 100_000, 16, 12)  # about 177 E: mid-morning there is the evening before in UTC
    catalog.s2("a", "2020-12-31T22:40:00Z", window=window)
    cube = build_cube(window, 2021, source=catalog.root)
    assert cube.s2_doy.tolist() == [1]
    with pytest.raises(InputError, match="covers the area from 2021-01-01 to 2021-01-01"):
        build_cube(window, 2020, source=catalog.root)


def test_an_area_over_a_zone_border_gives_two_cubes(catalog: Catalog) -> None:
    x, y = (int(value) // 20 * 2 for value in from_lonlat(6.0, 50.1, 31))
    scene = Window(31, x - 100, y + 100, 200, 200)
    catalog.s2("a", MORNING, dn=2500, window=scene)
    bbox = (5.999, 50.0995, 6.001, 50.1005)
    with pytest.raises(InputError, match=r"lies in UTM zones 31 and 32; .*build_cubes"):
        build_cube(bbox, 2021, source=catalog.root)
    cubes = list(build_cubes(bbox, 2021, source=catalog.root))
    assert [cube.grid.crs for cube in cubes if cube.grid] == ["EPSG:32631", "EPSG:32632"]
    assert all(np.asarray(cube.s2_mask).all() and (np.asarray(cube.s2) == 1500).all() for cube in cubes)
    assert len(list(build_cubes(scene, 2021, source=catalog.root))) == 1


@pytest.mark.parametrize("empty", [31, 32])
def test_a_zone_without_scenes_is_left_out_and_the_other_is_built(
    catalog: Catalog, tmp_path: Path, run: Callable[..., tuple[int, str, str]], empty: int
) -> None:
    """As where one side is sea: a note, and exit 0."""
    zone = 63 - empty
    side = 5.9 if zone == 31 else 6.1
    x, y = (int(value) // 20 * 2 for value in from_lonlat(side, 50.1, zone))
    catalog.s2("a", MORNING, dn=2500, window=Window(zone, x - 100, y + 100, 200, 200))
    # wide enough for the far side to lie beyond the scene's box
    bbox = "5.90,50.0999,6.10,50.1001"
    (cube,) = build_cubes(bbox, 2021, source=catalog.root)
    assert cube.grid is not None
    assert cube.grid.crs == f"EPSG:{32600 + zone}"
    arguments = ("--source", catalog.root, "--bbox", bbox, "-o", tmp_path / "c.zarr")
    code, out, err = run("cube", "build", *arguments, "--year", 2021)
    assert code == 0, err
    assert out.startswith(f"{tmp_path}/c_utm{zone}.zarr: ")
    assert not (tmp_path / f"c_utm{empty}.zarr").exists()
    assert [line for line in err.splitlines() if line.endswith("; that zone is left out")]
    code, out, err = run("cube", "build", *arguments[:-1], tmp_path / "none.zarr", "--year", 2020)
    # nothing at all was found
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("tessera: no Sentinel-1 or Sentinel-2 item on ")
    assert "left out" not in err
    with pytest.raises(InputError, match="no Sentinel-1 or Sentinel-2 item"):
        list(build_cubes(bbox, 2020, source=catalog.root))


def test_south_of_the_equator_items_of_the_southern_crs_meet_the_lattice(catalog: Catalog) -> None:
    window = Window(35, WINDOW.west, -200_000, 16, 12)
    catalog.s2("a", MORNING, dn=ramp(), window=window)
    top = window.bounds[3]
    for band in (*S2_BANDS, "SCL"):
        path = catalog.root / "a" / f"{band}.tif"
        _to_southern(path, 32735, top + 1e7)
    cube = build_cube(window, 2021, source=catalog.root)
    np.testing.assert_array_equal(cube.s2[0][..., 0], ramp() - 1000)
    assert np.asarray(cube.s2_mask).all()


def _to_southern(path: Path, epsg: int, top: float) -> None:
    import rasterio
    from rasterio.transform import Affine

    with rasterio.open(path, "r+") as file:
        a, b, c, d, e, _ = tuple(file.transform)[:6]
        file.crs, file.transform = f"EPSG:{epsg}", Affine(a, b, c, d, e, top)


# What does not fit, one line each.


def test_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="catalogue not found: "):
        build_cube(WINDOW, 2021, source=tmp_path / "none")
    with pytest.raises(InputError, match=r"no catalog\.json in .*; expected the folder of a static STAC catalogue"):
        build_cube(WINDOW, 2021, source=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "holds a JSON list"),
        ("{}", "is not STAC: type None"),
        ('{"type": "Catalog"}', "is not STAC"),
        ('{"type": "Table", "stac_version": "1.0.0"}', "is not STAC: type 'Table'"),
        ('{"type": "Catalog", "stac_version": "1.0.0", "id": "x", "links": 7}', "has no item of sentinel-2-l2a"),
    ],
)
def test_not_stac(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "catalog.json").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        build_cube(WINDOW, 2021, source=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_link_to_nothing_or_to_a_folder(catalog: Catalog) -> None:
    catalog.save({"rel": "item", "href": "./gone.json"})
    with pytest.raises(InputError, match=r"STAC document not found: .*gone\.json"):
        build_cube(WINDOW, 2021, source=catalog.root)
    (catalog.root / "folder").mkdir()
    catalog.save({"rel": "child", "href": "folder"})
    with pytest.raises(InputError, match="folder is not a file"):
        build_cube(WINDOW, 2021, source=catalog.root)


def test_catalogues_that_link_in_a_circle_end(catalog: Catalog) -> None:
    catalog.s2("a", MORNING)
    catalog.save({"rel": "child", "href": "./catalog.json"}, {"rel": "item", "href": "a/../a/item.json"})
    assert build_cube(WINDOW, 2021, source=catalog.root / "catalog.json").s2.shape[0] == 1


def drop(key: str) -> Callable[[dict[str, Any]], None]:
    def change(item: dict[str, Any]) -> None:
        del item["assets"][key]

    return change


def set_property(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(item: dict[str, Any]) -> None:
        item["properties"][key] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("optic", drop("B8A"), r"item optic lacks asset B8A or nir08; it has B02, "),
        ("optic", drop("SCL"), r"item optic lacks asset SCL or scl"),
        ("optic", set_property("s2:processing_baseline", None), "item optic has s2:processing baseline 'None'"),
        ("optic", set_property("eo:cloud_cover", "low"), "item optic has eo:cloud_cover 'low'"),
        ("radar", set_property("sat:orbit_state", "up"), "item radar has sat:orbit_state 'up'; expected ascending or"),
        ("optic", set_property("datetime", "soon"), "item optic is not a STAC item"),
        ("optic", lambda item: item.update(geometry=None, bbox=None), "item optic has no readable geometry or bbox"),
        ("optic", lambda item: item.update(id="radar", collection="sentinel-1-rtc"), "item radar"),
    ],
)
def test_an_item_that_lacks_something(catalog: Catalog, name: str, change: Any, message: str) -> None:
    catalog.s2("optic", MORNING)
    catalog.s1("radar", "2021-03-01T17:30:00Z")
    catalog.edit(name, change)
    with pytest.raises(InputError, match=message) as caught:
        build_cube(WINDOW, 2021, source=catalog.root)
    assert "\n" not in str(caught.value)


def test_an_item_twice(catalog: Catalog) -> None:
    catalog.s2("a", MORNING)
    shutil.copytree(catalog.root / "a", catalog.root / "b")
    catalog.save({"rel": "item", "href": "b/item.json"})
    with pytest.raises(InputError, match="item a is twice in collection sentinel-2-l2a"):
        build_cube(WINDOW, 2021, source=catalog.root)


def test_items_of_other_collections_and_polarisations_are_left_out(catalog: Catalog) -> None:
    catalog.s2("a", MORNING)
    catalog.s2("grd", MORNING)
    catalog.edit("grd", lambda item: item.update(collection="sentinel-1-grd"))
    catalog.s1("polar", "2021-03-01T17:30:00Z")
    catalog.edit("polar", lambda item: item.update(assets={"hh": {"href": "./hh.tif"}}))
    assert build_cube(WINDOW, 2021, source=catalog.root).provenance["scenes_found"] == 1


def test_nothing_on_the_area_or_in_the_year(catalog: Catalog) -> None:
    catalog.s2("a", MORNING)
    with pytest.raises(InputError, match="in 2019; catalogue by-hand covers the area from 2021-06-01 to 2021-06-01"):
        build_cube(WINDOW, 2019, source=catalog.root)
    with pytest.raises(InputError, match=r"no Sentinel-1 or Sentinel-2 item on .*covers 5\.\d+,50\.\d+,"):
        build_cube((20.0, 10.0, 20.01, 10.01), 2021, source=catalog.root)
    with pytest.raises(InputError, match="period 'x'; expected a year"):
        build_cube(WINDOW, "x", source=catalog.root)


@pytest.mark.parametrize("where", ["asset", "item", "child"])
@pytest.mark.parametrize(
    "href",
    [
        "../../outside.tif",
        "a/../../../outside.tif",
        "%2e%2e/%2e%2e/outside.tif",
        "/etc/hostname",
        "file:///etc/hostname",
        "https://example.org/x.tif",
        "s3://bucket/x.tif",
        "/vsicurl/https://example.org/x.tif",
        "\\\\host\\share",
        "C:\\x.tif",
        "",
        7,
    ],
)
def test_nothing_leaves_the_folder_of_the_catalogue(catalog: Catalog, where: str, href: object) -> None:
    catalog.s2("a", MORNING)
    (catalog.root.parent / "outside.tif").write_bytes((catalog.root / "a" / "B04.tif").read_bytes())
    if where == "asset":
        catalog.edit("a", lambda item: item["assets"]["B04"].update(href=href))
    else:
        catalog.save({"rel": where, "href": href})
    with pytest.raises(InputError, match=r"a path inside|expected a relative path|is not a STAC item") as caught:
        build_cube(WINDOW, 2021, source=catalog.root)
    assert "\n" not in str(caught.value)


def test_a_symbolic_link_does_not_lead_out_either(catalog: Catalog) -> None:
    catalog.s2("a", MORNING)
    inside, outside = catalog.root / "a" / "B04.tif", catalog.root.parent / "outside.tif"
    inside.rename(outside)
    inside.symlink_to(outside)
    with pytest.raises(InputError, match="expected a path inside the catalogue's folder"):
        build_cube(WINDOW, 2021, source=catalog.root)


@pytest.mark.parametrize("band", ["SCL", "B04", "B12", "vv"])
def test_a_truncated_file_is_named(catalog: Catalog, band: str, capfd: pytest.CaptureFixture[str]) -> None:
    big = Window(31, WINDOW.west, WINDOW.north, 128, 128)
    rng = np.random.default_rng(0)
    catalog.s2("a", MORNING, dn=rng.integers(2000, 9000, (128, 128)).astype(np.uint16), window=big)
    catalog.s1("r", "2021-03-01T17:30:00Z", window=big)
    path = next(catalog.root.glob(f"*/{band}.tif"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    why = "(ends|has a block|claims|cannot)"
    said = rf"1 scene cannot be read, at most 0 may be lost; item [ar], {band.upper()}: {band}\.tif {why}"
    with pytest.raises(LossError, match=said) as caught:
        build_cube(big, 2021, source=catalog.root, max_lost=0)
    assert "\n" not in str(caught.value)
    assert build_cube(big, 2021, source=catalog.root).provenance["scenes_lost"] == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"B11\.tif is missing"),
        (b"", r"B11\.tif is not a TIFF"),
        (b"II*\0", r"B11\.tif is not a TIFF"),
        (b"<VRTDataset rasterXSize='1' rasterYSize='1'/>", r"B11\.tif is not a TIFF"),
    ],
)
def test_a_file_that_is_none(catalog: Catalog, content: bytes | None, message: str) -> None:
    catalog.s2("a", MORNING)
    path = catalog.root / "a" / "B11.tif"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LossError, match=f"item a, B11: {message}"):
        build_cube(WINDOW, 2021, source=catalog.root, max_lost=0)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_file_that_does_not_say_where_it_lies(catalog: Catalog) -> None:
    import rasterio

    catalog.s2("a", MORNING)
    path = catalog.root / "a" / "B11.tif"
    path.unlink()
    with rasterio.open(path, "w", driver="GTiff", height=6, width=8, count=1, dtype="uint16") as file:
        file.write(np.full((6, 8), 2000, dtype=np.uint16), 1)
    with pytest.raises(LossError, match=r"item a, B11: B11\.tif has no CRS with an EPSG code; expected"):
        build_cube(WINDOW, 2021, source=catalog.root, max_lost=0)


def test_a_scene_may_lack_a_polarisation(catalog: Catalog) -> None:
    catalog.s1("radar", "2021-03-01T17:30:00Z")
    catalog.edit("radar", drop("vh"))
    passes = np.asarray(build_cube(WINDOW, 2021, source=catalog.root).s1_asc)
    assert (passes[..., 0] > 0).all()
    assert not passes[..., 1].any()


@pytest.mark.parametrize(("module", "reader"), [("odc.stac", "odc"), ("rasterio", "odc"), ("rasterio", "ranges")])
def test_a_missing_extra_is_one_line(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, module: str, reader: str
) -> None:
    catalog.s2("a", MORNING)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"reading scenes needs .*, which is not installed: pip install "):
        build_cube(WINDOW, 2021, source=catalog.root, reader=reader)


@pytest.mark.parametrize("count", [2, 3])
def test_a_granule_cut_along_slanted_lines_gives_the_cube_of_the_whole(
    catalog: Catalog, tmp_path: Path, count: int
) -> None:
    """Each piece has data and an outline of its part alone; an older baseline of each piece stands by."""
    rng = np.random.default_rng(1)
    height, width = WINDOW.shape
    dn = rng.integers(1500, 4000, (height, width), dtype=np.uint16)
    scl = rng.choice(np.array([4, 5, 6, 9], dtype=np.uint8), (height // 2, width // 2))
    rows, columns = np.mgrid[: height // 2, : width // 2]
    # slanted: the border moves by a pixel of 20 m every two rows
    part = np.clip((columns + rows // 2) * count // (width // 2 + height // 4), 0, count - 1)
    name = "S2A_MSIL2A_20210601T105031_N{baseline}_R051_T31UFS_{stamp}"
    whole = Catalog(tmp_path / "whole")
    whole.s2(name.format(baseline="0500", stamp="20230101T000000"), "2021-06-01T10:50:31Z", dn=dn, scl=scl)
    corners = np.array(ring(WINDOW)[:4])
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    for place in range(count):
        fine = np.kron(part == place, np.ones((2, 2), dtype=bool))
        left, right = (west + (east - west) * (place + step) / count for step in (-0.2, 1.0))
        tilt = (east - west) * 0.2
        outline = [[left + tilt, north], [right + tilt, north], [right, south], [left, south], [left + tilt, north]]
        for baseline, stamp, more in (("0500", "20230101", 0), ("0214", "20210602", 7)):
            own = name.format(baseline=baseline, stamp=f"{stamp}T{place:06d}")
            given = np.where(fine, dn + np.uint16(more), 0).astype(np.uint16)
            catalog.s2(
                own,
                "2021-06-01T10:50:31Z",
                dn=given,
                scl=np.where(part == place, scl, 0).astype(np.uint8),
                baseline=f"{baseline[:2]}.{baseline[2:]}",
            )
            catalog.edit(own, lambda item, outline=outline: item["geometry"].update(coordinates=[outline]))
    expected = build_cube(WINDOW, 2021, source=whole.root)
    cube = build_cube(WINDOW, 2021, source=catalog.root)
    np.testing.assert_array_equal(cube.s2_mask, expected.s2_mask)
    fine_bands = [S2_BANDS.index(band) for band in ("B02", "B03", "B04", "B08")]
    np.testing.assert_array_equal(np.asarray(cube.s2)[..., fine_bands], np.asarray(expected.s2)[..., fine_bands])
    assert (cube.provenance["scenes_used"], cube.provenance["s2_baselines"]) == (count, ["05.00"])
    for column in range(0, width, 4):
        narrow = Window(WINDOW.zone, WINDOW.west + column, WINDOW.north, 4, height)
        alone = build_cube(narrow, 2021, source=catalog.root)
        np.testing.assert_array_equal(alone.s2_mask, np.asarray(expected.s2_mask)[:, :, column : column + 4])
