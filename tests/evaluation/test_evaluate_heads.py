"""benchmarks/heads.py on real labels: its sets, and a quick run from sets to table and picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import heads_data
import heads_real
import tessera
from tessera.base import InputError
from tessera.learners import HEADS


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    if not all((shared / "data" / name).is_dir() for name in ("belgium_2021", "slovenia_lulc")):
        pytest.skip("the scenes of Belgium and Slovenia are not in shared/data")
    return shared / "data"


def test_scenes_are_held_out_by_blocks_of_200_m(data: Path) -> None:
    encoder = tessera.load_encoder(None)
    (belgium,), (slovenia,) = (heads_data.read_real(name, data, encoder) for name in ("belgium", "slovenia"))
    for task, classes in ((belgium, 4), (slovenia, 4)):
        assert len(task.labels.classes) == classes
        assert 2300 < len(task.labels) < 2600
        groups = task.labels.groups
        assert groups is not None
        assert 20 <= len(np.unique(groups)) <= 30
        for values in task.features.values():
            assert values.dtype == np.float32
            assert np.isfinite(values).all()
    assert list(belgium.features) == ["embeddings", "raw bands"]
    assert list(slovenia.features) == ["NDVI"]
    assert "in-domain" in belgium.note
    with pytest.raises(InputError, match="set 'mars'; expected some of belgium, slovenia"):
        heads_data.read_real("mars", data, encoder)


def test_a_quick_run_writes_scores_a_table_and_a_picture(data: Path, tmp_path: Path) -> None:
    tasks = heads_real.measure(data, ["slovenia"], heads_real.QUICK)
    heads_real.write(tasks, tmp_path)
    kept = json.loads((tmp_path / "heads.json").read_text())
    assert {row["head"] for row in kept[0]["records"]} == set(HEADS)
    table = (tmp_path / "heads.md").read_text()
    assert all(f"| NDVI, {head} | 0." in table for head in HEADS)
    assert "| slovenia, macro-F1, 5/class | 0." in table
    assert (tmp_path / "heads.png").read_bytes()[:4] == b"\x89PNG"
    for row in heads_real.most(kept[0]):
        assert 0 < row["mean"] < 1
        assert 0 < row["random"] < 1


def test_the_page_of_heads_takes_the_tables(data: Path, tmp_path: Path) -> None:
    tasks = heads_real.measure(data, ["slovenia"], heads_real.QUICK)
    page = Path(heads_real.DOCS / "heads.md").read_text(encoding="utf-8")
    (tmp_path / "images").mkdir()
    (tmp_path / "heads.md").write_text(page, encoding="utf-8")
    for _ in range(2):
        heads_real.write_docs(tasks, tmp_path)
        found = (tmp_path / "heads.md").read_text(encoding="utf-8")
        assert found.count("| slovenia, NDVI, 5/class | 0.") == 1
        assert found.startswith(page[: page.index("<!--")])
    assert json.loads((tmp_path / "heads.json").read_text())[0]["name"] == "slovenia"
    assert (tmp_path / "images" / "heads.png").is_file()
