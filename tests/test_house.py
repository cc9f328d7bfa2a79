"""The house rules: who may import whom, what an import costs, how long a module is, what docs show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "tessera"


def _rooms() -> dict[str, set[str]]:
    """Room -> rooms that it may import, from the table in ARCHITECTURE.md."""
    rows = re.findall(r"^\| `(\w+)/` \|[^|]*\|([^|]*)\|$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    return {room: set(re.findall(r"`(\w+)`", allowed)) for room, allowed in rows}


ROOMS = _rooms()


def test_every_package_is_a_room_in_the_table() -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert packages == set(ROOMS)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_walls(room: str) -> None:
    graph = grimp.build_graph("tessera", exclude_type_checking_imports=False, cache_dir=None)
    allowed = {room, "base", "_version"} | ROOMS[room]
    broken = [
        (module, imported)
        for module in graph.modules
        if module.split(".")[1:2] == [room]
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.startswith("tessera.") and imported.split(".")[1] not in allowed
    ]
    assert broken == []


def test_a_room_is_entered_by_its_public_face() -> None:
    graph = grimp.build_graph("tessera", exclude_type_checking_imports=False, cache_dir=None)
    inside = [
        (module, imported)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if len(imported.split(".")) > 2
        and imported.split(".")[1] not in ("_version", module.split(".")[1] if "." in module else "")
    ]
    assert inside == []


@pytest.mark.parametrize(
    "statement", ["import tessera", "import tessera.store", "import tessera.heads, tessera.scenes"]
)
def test_imports_are_light(statement: str) -> None:
    code = (
        f"{statement}; import sys; "
        "heavy = ['torch', 'rasterio', 'ray', 'sklearn', 'matplotlib', 'geopandas', 'odc.stac', 'pystac', 'pandas']; "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_import_tessera_alone_loads_nothing_outside_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import tessera; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names) - {'tessera'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_resolve() -> None:
    import tessera

    assert all(getattr(tessera, name) is not None for name in tessera.__all__)
    assert set(tessera.__all__) == {"__version__", *tessera._HOME}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tessera.nothing


def test_modules_are_small() -> None:
    long = [
        (path.relative_to(ROOT).as_posix(), lines)
        for path in SOURCE.rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 600
    ]
    assert long == []


def test_nothing_in_the_source_can_run_a_strangers_code() -> None:
    forbidden = re.compile(
        r"weights_only=False|pickle\.loads?\(|joblib\.load|allow_pickle=True|shell=True|(?<![.\w])eval\("
    )
    found = [path.name for path in SOURCE.rglob("*.py") if forbidden.search(path.read_text())]
    assert found == []


def test_the_readme_names_the_two_commands_and_shows_a_picture_that_exists() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text
    assert "make test" in text
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_a_raster_is_opened_by_the_driver_that_is_meant() -> None:
    """GDAL would take a file named .tif for a VRT or WMS, which reads other files and asks the network."""
    calls = [
        (path.name, call)
        for path in SOURCE.rglob("*.py")
        for call in re.findall(r"rasterio\.open\((?:[^()]|\([^()]*\))*\)", path.read_text(encoding="utf-8"))
    ]
    assert len(calls) >= 10
    assert [item for item in calls if "driver=" not in item[1] and "**" not in item[1]] == []
