"""tessera evaluate."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))
from evaluate_made import rows_of, write_table

import tessera
from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Window

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def plots(tmp_path: Path) -> Path:
    return write_table(tmp_path / "plots.parquet", rows_of(24))


def test_a_table_of_pixel_years(run: Run, plots: Path, tmp_path: Path) -> None:
    out = tmp_path / "worth"
    asked = ("evaluate", plots, "--labels", "2/class,100%", "--heads", "linear,knn", "--draws", "3", "-o", out)
    code, text, error = run(*asked)
    assert code == 0, error
    assert "24 labels of label, classification, split spatial, 24 blocks of 10 km apart" in text
    assert [line.split()[:2] for line in text.splitlines()[1:4]] == [
        ["macro_f1", "head"],
        ["bundled", "linear"],
        ["bundled", "knn"],
    ]
    assert "done in" in error
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    saved = (out / "evaluation.json").read_text()
    code, text, error = run(*asked, "--json")
    assert (code, text) == (0, saved)
    assert json.loads(text)["records"][0]["features"] == "bundled"


@pytest.mark.parametrize("name", ["evaluation.json", "curves.png", "scores"])
def test_what_is_not_an_evaluation_is_kept(run: Run, plots: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "worth"
    out.mkdir()
    (out / name).write_text('{"records": []}')
    asked = ("evaluate", plots, "--labels", "2/class", "--heads", "knn", "--draws", "2", "-o", out)
    code, text, error = run(*asked)
    assert (code, text) == (2, "")
    assert len(error.splitlines()) == 1
    assert name in error
    assert {path.name: path.read_text() for path in out.iterdir()} == {name: '{"records": []}'}
    if name != "scores":
        assert "--overwrite" in error
        assert run(*asked, "--overwrite")[0] == 0
        assert (out / name).read_bytes() != b'{"records": []}'
        assert run(*asked)[0] == 0


def test_a_table_is_not_replaced_by_its_evaluation(run: Run, plots: Path, tmp_path: Path) -> None:
    table = plots.rename(tmp_path / "curves.png")
    before = table.read_bytes()
    code, _, error = run("evaluate", table, "-o", tmp_path, "--overwrite")
    assert code == 2
    assert "is, or lies in, the input" in error
    assert table.read_bytes() == before


def test_a_store_and_labelled_places(run: Run, tmp_path: Path) -> None:
    window = Window(31, 64_100, 560_100, 40, 40)
    rng = np.random.default_rng(0)
    model = ModelIdentity("made", "ab" * 32, 16)
    left = np.arange(40)[None, :, None] % 2 == 0
    codes = np.where(left, 100, -100) + rng.integers(-20, 20, (40, 40, 16))
    scales, counts = np.full((40, 40), 0.01, np.float32), np.ones((40, 40, 3), np.uint16)
    store = tessera.create_store(tmp_path / "store", 16, model, zones=(31,))
    store.write(Embeddings(codes.astype(np.int8), scales, counts, model, window.grid), 2021)
    from tessera.geo import to_lonlat

    features = []
    for row in range(0, 40, 8):
        for col in (*range(0, 40, 8), *range(1, 40, 8)):
            x, y = (window.west + col + 0.5) * 10, (window.north - row - 0.5) * 10
            lon, lat = (
                float(np.asarray(value).reshape(-1)[0]) for value in to_lonlat(np.array([x]), np.array([y]), 31)
            )
            features.append(
                {
                    "type": "Feature",
                    "properties": {"crop": "rye" if col % 2 else "oats", "height": row / 7},
                    "geometry": {"type": "Point", "coordinates": [lon, lat]},
                }
            )
    places = tmp_path / "places.geojson"
    places.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    shared = ("evaluate", tmp_path / "store", places, "--labels", "50%", "--draws", "2", "--heads", "linear")
    # 400 m of land are one block of 10 km
    code, text, error = run(*shared, "--column", "crop", "--block-km", "10")
    assert (code, text) == (2, "")
    assert "expected at least two; try --block-km 0.5 (block_km in Python): 3 held apart, where 10 makes 1" in error
    code, text, error = run(*shared, "--column", "crop", "--block-km", "0.1")
    assert code == 0, error
    assert "store     linear  1.000" in text
    assert "note: blocks of 100 m are smaller than a field may be" in text
    code, text, error = run(*shared, "--column", "height", "--block-km", "0.1", "--json")
    assert code == 0, error
    told = json.loads(text)
    assert (told["kind"], told["block_km"]) == ("regression", 0.1)
    # fit takes the same blocks and says so, and a head of numbers maps to numbers
    fit = ("fit", tmp_path / "store", places, "--column", "height", "--head", "forest", "--block-km", "0.1")
    held = tmp_path / "held.parquet"
    code, text, error = run(*fit, "-o", tmp_path / "height.json", "--out-of-fold", held)
    assert code == 0, error
    assert text.splitlines()[-1] == f"saved: {tmp_path / 'height.json'}, {held}"
    assert held.is_file()
    assert "forest head: numbers, 16 dims" in text
    assert f"{told['groups']} blocks of 0.1 km held apart" in text
    area = ("--bbox", "4.9,50.5,5.3,50.7")
    code, said, error = run(*fit, "-o", tmp_path / "height.json", "--out-of-fold", places, "--overwrite")
    assert (code, said) == (2, "")
    assert "places.geojson" in error
    code, text, error = run(
        "map", tmp_path / "store", "--head", tmp_path / "height.json", *area, "-o", tmp_path / "h.tif"
    )
    assert code == 0, error
    assert text.splitlines()[0].split() == ["range", "pixels", "hectares", "share"]
    assert "of the map's rectangle has no number" in text
    code, text, error = run(
        "fit", tmp_path / "store", places, "--column", "crop", "--json", "-o", tmp_path / "crop.json"
    )
    assert code == 0, error
    assert (json.loads(text)["block_km"], json.loads(text)["values"]) == (0.5, {"oats": 0, "rye": 1})
    assert (
        run("map", tmp_path / "store", "--head", places, *area, "-o", tmp_path / "x.tif")[2]
        .splitlines()[-1]
        .endswith("is no head file; expected one that tessera fit or Head.save wrote (.json)")
    )


def test_stores_without_the_year_or_the_place(run: Run, tmp_path: Path) -> None:
    model = ModelIdentity("made", "ab" * 32, 16)
    store = tessera.create_store(tmp_path / "store", 16, model, zones=(31,))
    places = tmp_path / "places.csv"
    # inside zone 31, far from what is written
    places.write_text("lon,lat,crop\n" + "".join(f"{3 + k / 100},45,{'rye' if k % 2 else 'oats'}\n" for k in range(8)))
    asked = ("evaluate", tmp_path / "store", places, "--column", "crop", "--heads", "linear", "--draws", "1")

    def refused(*more: str) -> str:
        code, text, error = run(*asked, *more)
        assert (code, text) == (2, "")
        return error.splitlines()[-1]

    assert refused().endswith("holds no year; expected a store that embeddings were written to")
    window = Window(31, 64_100, 560_100, 8, 8)
    codes, scales = np.full((8, 8, 16), 7, np.int8), np.full((8, 8), 0.01, np.float32)
    made = Embeddings(codes, scales, np.ones((8, 8, 3), np.uint16), model, window.grid)
    store.write(made, 2020)
    assert "none of 8 labels of" in refused()
    store.write(made, 2021)
    assert refused().endswith("holds the years 2020, 2021 and none is named; expected --year with one of them")
    assert "none of 8 labels of" in refused("--year", "2021")
    assert refused("--year", "2019").endswith("has no year 2019; it has 2020, 2021")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("nothing.parquet",), "no file nothing.parquet"),
        (("PLOTS", "--heads", "svm"), "head 'svm'; expected some of linear, prototype, knn, forest, boosting, mlp"),
        (("PLOTS", "--labels", "five"), "'five' labels; expected a number"),
        (("PLOTS", "--split", "given"), "comes with no split; expected a column test"),
        (("PLOTS", "--draws", "0"), "0 draws"),
        (("PLOTS", "--column", "crop"), "a table of pixel-years has a column label and takes none of them"),
        (("PLOTS", "--year-column", "year"), "a table of pixel-years has a column label and takes none of them"),
        (("PLOTS", "--set", "trees"), "--set 'trees'; expected NAME=VALUE"),
        (
            ("PLOTS", "--set", "neighbours=3"),
            "setting 'neighbours' of heads linear, forest; expected",
        ),
        (("PLOTS", "--balance", "odd"), "weights 'odd'; expected even or occur"),
        (("PLACES", "--column", "crop"), "places need a store: tessera evaluate STORE"),
        (("PLOTS", "--encoder", "none.pt"), "none.pt"),
        (("PLOTS", "--metric", "iou", "--draws", "1", "--labels", "2/class", "--heads", "knn"), "metric 'iou'"),
        (("FOLDER",), "is no table of pixel-years"),
        (("PLACES",), "is no Parquet table of pixel-years; for places: tessera evaluate STORE"),
        (("PLOTS", "PLACES", "--column", "crop"), "is a file; expected the folder or URL of a store before"),
        (("FOLDER", "PLACES"), "named; expected --column with one of its columns: crop, height"),
        (("FOLDER", "none.geojson"), "vector file not found: none.geojson"),
        (("FOLDER", "PLACES", "--encoder", "x"), "--encoder for a store"),
    ],
)
def test_mistakes_are_one_line(run: Run, plots: Path, tmp_path: Path, given: tuple[str, ...], message: str) -> None:
    places = tmp_path / "places.geojson"
    feature = {"type": "Feature", "properties": {"crop": "rye", "height": 1}, "geometry": None}
    places.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    known = {"PLOTS": plots, "FOLDER": tmp_path, "PLACES": places}
    code, text, error = run("evaluate", *(known.get(part, part) for part in given))
    assert code == 2
    assert text == ""
    assert error.splitlines()[-1].startswith("tessera: ")
    assert message in error.splitlines()[-1]
    assert "Traceback" not in error


def test_the_help_has_an_example(run: Run) -> None:
    code, text, _ = run("evaluate", "--help")
    assert code == 0
    said = " ".join(text.replace("│", " ").split())
    assert "tessera evaluate plots.parquet" in said
    # the last words of what is long, and the forms of amounts, which markup might swallow
    for whole in (
        "31,5/class,10%.",
        "year or random (inflates).",
        "The bundled one if left out.",
        "where it holds one.",
    ):
        assert whole in said
