"""The pages of docs/ and the README: their commands parse, their examples run in the order of the page."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from tessera.cli.app import app
from town import write_town

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^ *```(\w*)$")
# marks of blocks that need a network, a Dataset of the reader's, or a server that runs until Ctrl-C
ELSEWHERE = ('open_store("tessera:', "cube_of_xarray(dataset", "127.0.0.1:8000", 'serve("store.zarr"')


def blocks_of(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in some languages, "" for a block that names none."""
    found: list[str] = []
    language: str | None = None
    lines: list[str] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        fence = FENCE.match(line)
        if fence is None:
            lines.append(line)
        elif language is None:
            language, lines = fence[1], []
        else:
            if language in languages:
                found.append("\n".join(lines))
            language = None
    assert language is None, f"{page.name} has a block that does not end"
    return found


def commands_of(page: Path) -> list[str]:
    text = "\n".join(blocks_of(page, "", "sh")).replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ") for line in text.splitlines()]
    return [line for line in lines if line.startswith("tessera ")]


def parse(line: str) -> None:
    """Parse a command as the shell would, and run nothing."""
    words = shlex.split(line, comments=True)[1:]
    command: Any = typer.main.get_command(app)
    name: str | None = "tessera"
    context: Any = None
    while True:
        context = command.make_context(name, list(words), parent=context)
        if not hasattr(command, "resolve_command"):
            return
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_has_the_options_that_it_uses(page: Path) -> None:
    for line in commands_of(page):
        try:
            parse(line)
        except Exception as error:
            pytest.fail(f"{page.name}: {line}: {getattr(error, 'message', error)}")


def test_a_command_with_a_wrong_option_is_found() -> None:
    assert len(commands_of(ROOT / "README.md")) > 15
    with pytest.raises(Exception, match="--no-such"):
        parse("tessera embed cube.zarr -o store.zarr --no-such 1  # a comment")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples read: a cube and a store of the demo's landscape, points and polygons."""
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "tessera", "demo", "--dir", "demo-output", "--size", "64"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    for name in ("cube.zarr", "store.zarr"):
        (folder / "demo-output" / name).rename(folder / name)
    (folder / "plots.csv").write_text("lon,lat,crop\n5.2522,50.6908,wheat\n5.2541,50.6921,maize\n", encoding="utf-8")
    ring = "[[[5.2515,50.6900],[5.2545,50.6900],[5.2545,50.6925],[5.2515,50.6925],[5.2515,50.6900]]]"
    polygon = f'{{"type":"Feature","properties":{{}},"geometry":{{"type":"Polygon","coordinates":{ring}}}}}'
    for name in ("fields.geojson", "park.geojson"):
        (folder / name).write_text(f'{{"type":"FeatureCollection","features":[{polygon}]}}', encoding="utf-8")
    return folder


# what must be true of the names of a page after its examples
PROMISES = {
    "check.md": "assert report.problems == ()",
    "cubes.md": "assert cube.shape == (64, 64) and cube.provenance['period'] == ['2020-11-01', '2021-10-31']",
    "embedding.md": "assert embeddings.codes.shape == (64, 64, 128) and Draw(seed=0, repeats=1) == Draw()",
    "openstreetmap.md": "assert labels.counts == {'forest': 2, 'road': 2} and len(head_labels) > 50",
    "reading.md": "assert vectors.shape == (2, 128) and region.dims == ('y', 'x', 'band') and fields.pixels[0] > 500",
    "serve.md": "assert store.years == (2023,)",
    "sql.md": "assert [name for name, _ in counts] == ['forest', 'road'] and frame.scale.max() < 1",
    "store.md": "assert store.layout.shard == 4096",
}


@pytest.mark.parametrize("name", PROMISES)
def test_the_examples_of_a_page_run(name: str, folder: Path) -> None:
    blocks = blocks_of(ROOT / "docs" / name, "python")
    if name in ("openstreetmap.md", "sql.md"):
        pytest.importorskip("duckdb")
        write_town(folder / "region.osm.pbf")
    if name == "store.md":
        # a test of tests/cli runs the first one, on a store that reaches as far
        blocks = blocks[1:]
    code = "\n".join(block for block in blocks if not any(mark in block for mark in ELSEWHERE))
    command = [sys.executable, "-W", "ignore", "-c", f"{code}\n{PROMISES[name]}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
