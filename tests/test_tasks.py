"""The tasks of examples/ run on a small simulated place, and each has a page with its picture."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
# least and greatest score of each task with --quick: what it returns
TASKS = {
    "land_cover": (0.85, 1.0),
    "crop_types": (0.5, 1.0),
    "local_climate_zones": (0.7, 1.0),
    "burned_area": (0.7, 1.0),
    "canopy_height": (0.0, 6.0),
    "biomass": (0.7, 1.0),
    "roads": (0.3, 1.0),
}

pytest.importorskip("torch")
pytest.importorskip("geopandas")


def test_every_script_is_a_task_that_runs_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*TASKS, "place"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for all tasks: the first one embeds it."""
    return tmp_path_factory.mktemp("tasks")


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.filterwarnings("ignore")
def test_a_task_runs(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for module in ("place", name):
        monkeypatch.delitem(sys.modules, module, raising=False)
    score = importlib.import_module(name).main(["--quick", "--dir", str(folder)])
    least, greatest = TASKS[name]
    assert least <= score <= greatest
    told = capsys.readouterr().out
    assert "labels:" in told
    for suffix in (".json", ".tif", ".png"):
        assert (folder / f"{name}{suffix}").is_file()
    with Image.open(folder / f"tasks-{name.replace('_', '-')}.png") as picture:
        drawn = np.asarray(picture.convert("RGB"))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20
    for module in ("place", name):
        sys.modules.pop(module, None)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_a_page_with_its_picture(name: str) -> None:
    page = ROOT / "docs" / "tasks" / f"{name.replace('_', '-')}.md"
    text = page.read_text(encoding="utf-8")
    picture = ROOT / "docs" / "images" / f"tasks-{name.replace('_', '-')}.png"
    assert f"../images/{picture.name}" in text
    assert f"python examples/{name}.py" in text
    assert "## With data of your own" in text
    assert picture.stat().st_size < 300_000
    assert f"tasks/{page.name}" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert f"]({page.name})" in (ROOT / "docs" / "tasks" / "index.md").read_text(encoding="utf-8")
    # about as long as a tutorial may be
    assert 30 <= len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 80
