"""Predictions of labels by heads that had not met them, in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from heads_fakes import draw_labels, make_store, make_truth

from tessera.base import InputError
from tessera.geo import read_vector
from tessera.heads import fit
from tessera.labels import read_labels
from tessera.validation import confusion

NAMES = ("forest", "town", "water")
TRUTH = make_truth()


@pytest.mark.parametrize("suffix", [".parquet", ".gpkg", ".geojson"])
def test_the_file_holds_what_the_report_counts(tmp_path: Path, suffix: str) -> None:
    labels, path = draw_labels(TRUTH, NAMES, 20), tmp_path / f"held{suffix}"
    head = fit(make_store(TRUTH, noise=1.0), labels, "crop", block_km=0.4, out_of_fold=path)
    table = read_vector(path)
    truth, predicted = (np.asarray(table.column(name)).astype(str) for name in ("truth", "predicted"))
    index = {name: number for number, name in enumerate(head.classes)}
    counts = confusion([index[one] for one in truth], [index[one] for one in predicted], 3)
    assert counts.tolist() == head.metrics["confusion"]["counts"]
    assert (truth != predicted).sum() > 0
    chances = np.asarray(table.column("probability"), dtype=np.float64)
    assert ((chances >= 1 / 3) & (chances <= 1)).all()
    folds = np.asarray(table.column("fold")).astype(int)
    assert set(folds) == set(range(1, head.metrics["folds"] + 1))
    # a unit is tested by one fold
    units = np.asarray(table.column("unit")).astype(int)
    assert all(len(set(folds[units == unit])) == 1 for unit in set(units))
    # each lies where its label does
    placed = {tuple(np.round(f["geometry"]["coordinates"], 6)): f["properties"]["crop"] for f in labels["features"]}
    said = {tuple(np.round((p.x, p.y), 6)): name for p, name in zip(table.geometries, truth, strict=True)}
    assert said.items() <= {place: str(name) for place, name in placed.items()}.items()


def test_groups_have_the_names_of_their_column(tmp_path: Path) -> None:
    labels, path = draw_labels(TRUTH, NAMES, 20), tmp_path / "held.parquet"
    for number, feature in enumerate(labels["features"]):
        feature["properties"]["site"] = None if number == 7 else f"site {number // 4}"
    store = make_store(TRUTH)
    fit(store, read_labels(labels, "crop", group="site"), "crop", block_km=0.4, out_of_fold=path)
    groups = set(read_vector(path).column("group").tolist())
    assert "feature 7" in groups
    assert {f"site {number}" for number in range(15)} >= groups - {"feature 7"}
    fit(store, read_labels(labels, "crop"), "crop", block_km=0.4, out_of_fold=path)
    assert set(read_vector(path).column("group").tolist()) == {f"feature {number}" for number in range(60)}


def test_predictions_of_an_earlier_fit_are_not_called_those_of_this_one(tmp_path: Path) -> None:
    labels, path = draw_labels(TRUTH, NAMES, 20), tmp_path / "held.parquet"
    store = make_store(TRUTH)
    fit(store, labels, "crop", block_km=0.4, out_of_fold=path)
    # one block: nothing can be tested
    notes = fit(store, labels, "crop", block_km=500, out_of_fold=path).metrics["notes"]
    assert "nothing could be tested, so no prediction was written; held.parquet is that of an earlier fit" in notes
    path.unlink()
    notes = fit(store, labels, "crop", block_km=500, out_of_fold=path).metrics["notes"]
    assert "nothing could be tested, so no prediction was written" in notes
    assert not path.exists()


def test_numbers_have_no_probability_and_files_of_others_stay(tmp_path: Path) -> None:
    labels, path = draw_labels(TRUTH, NAMES, 20), tmp_path / "held.parquet"
    for number, feature in enumerate(labels["features"]):
        feature["properties"]["crop"] = NAMES.index(feature["properties"]["crop"]) * 10 + 0.01 * number
    store = make_store(TRUTH)
    path.write_text("mine")
    with pytest.raises(InputError, match=r"held\.parquet"):
        fit(store, labels, "crop", block_km=0.4, out_of_fold=path)
    assert path.read_text() == "mine"
    head = fit(store, labels, "crop", block_km=0.4, out_of_fold=path, overwrite=True)
    table = read_vector(path)
    assert "probability" not in table.columns
    error = np.asarray(table.column("predicted"), dtype=float) - np.asarray(table.column("truth"), dtype=float)
    assert np.sqrt(np.mean(error**2)) == pytest.approx(head.metrics["rmse"])
    with pytest.raises(InputError, match=r"ends in \.parquet"):
        fit(store, labels, "crop", out_of_fold=tmp_path / "held.txt")
