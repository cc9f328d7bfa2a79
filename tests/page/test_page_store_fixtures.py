"""The stores of the page's tests are read by Python as their fixture says, and Python writes the same today."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from store_fixtures import FOLDER, expected, make, overviews, points

from tessera.preview import update_preview
from tessera.store import open_store


@pytest.fixture(scope="module")
def told() -> object:
    """What the page's tests expect."""
    return json.loads((FOLDER / "expected.json").read_text())


def test_python_writes_the_same_today(tmp_path: Path, told: object) -> None:
    """Codes, scales and points of a store that is written now, and its overviews."""
    store = open_store(make(tmp_path)["ours"])
    assert json.loads(json.dumps(expected(store))) == told
    update_preview(store)
    assert json.loads(json.dumps(overviews(store))) == json.loads((FOLDER / "overviews.json").read_text())


@pytest.mark.parametrize("name", ["ours", "published"])
def test_python_reads_the_same(tmp_path: Path, told: dict[str, object], name: str) -> None:
    """The zips leave out observation counts, which points do not need."""
    with zipfile.ZipFile(FOLDER / f"{name}.zip") as archive:
        archive.extractall(tmp_path)
    assert json.loads(json.dumps(points(open_store(tmp_path)))) == told["points"]
