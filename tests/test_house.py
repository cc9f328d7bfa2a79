"""The house rules: who may import whom, what an import costs, how long a module is, what docs show."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "tessera"


BREACHES: set[str] = set()
"""Where the house breaks its own rules today. The list may only shrink."""

TOP = {"tessera", "tessera._version", "tessera.__main__"}
ENTRANCES = {"tessera.store.accessor"}
"""Modules that users import by name, for what the import does."""


def _table(first: str) -> dict[str, set[str]]:
    """Folder -> folders that it may import, from the table of ARCHITECTURE.md whose first heading is `first`."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    table = text[text.index(f"| {first} |") :].split("\n\n")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
    return {name: set(re.findall(r"`([\w/]+)`", row[2])) for row in rows for name in re.findall(r"`([\w/]+)/`", row[0])}


ROOMS = _table("room of `src/tessera/`")
WINGS = _table("folder of a wing")


@functools.cache
def _graph() -> grimp.ImportGraph:
    """Every import of every module, also those inside functions and for type checkers only."""
    return grimp.build_graph("tessera", exclude_type_checking_imports=False, cache_dir=None)


def _imports() -> list[tuple[str, str]]:
    graph = _graph()
    return sorted(
        (module, other) for module in graph.modules for other in graph.find_modules_directly_imported_by(module)
    )


def _folder(module: str) -> str:
    return module if SOURCE.joinpath(*module.split(".")[1:], "__init__.py").is_file() else module.rpartition(".")[0]


def _shown(folder: str) -> set[str]:
    """What the face of a folder offers: `__all__`."""
    tree = ast.parse(SOURCE.joinpath(*folder.split(".")[1:], "__init__.py").read_text())
    lists = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"
    ]
    return set(ast.literal_eval(lists[0])) if lists else set()


def _short(module: str) -> str:
    return module.removeprefix("tessera.")


def _circles() -> list[list[str]]:
    """Groups of modules that reach each other."""
    graph, order, low, stack, found = _graph(), {}, {}, [], []  # type: ignore[var-annotated]

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in graph.find_modules_directly_imported_by(module):
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            group = stack[stack.index(module) :]
            del stack[-len(group) :]
            if len(group) > 1:
                found.append(sorted(map(_short, group)))

    for module in sorted(graph.modules):
        if module not in order:
            visit(module)
    return found


def _breaches() -> set[str]:
    """Every breach of a house rule, one line each."""
    found = {f"circle: {name}" for circle in _circles() for name in circle}
    folders: dict[str, list[str]] = {}
    for path in SOURCE.rglob("*.py"):
        folders.setdefault(".".join(("tessera", *path.parent.relative_to(SOURCE).parts)), []).append(path.stem)
    for folder, names in folders.items():
        if len(names) > 25:
            found.add(f"crowded: {_short(folder)}, {len(names)} modules")
        if folder == "tessera":
            continue
        tree = ast.parse(SOURCE.joinpath(*folder.split(".")[1:], "__init__.py").read_text())
        if folder == "tessera.cli":
            tree.body += ast.parse((SOURCE / "cli" / "app.py").read_text()).body
            tree.body += ast.parse("from .app import app").body
        shown = {
            part
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.level == 1
            for part in ([node.module.split(".")[0]] if node.module else [alias.name for alias in node.names])
        }
        for name in names:
            if name.startswith("__") or f"{folder}.{name}" in ENTRANCES:
                continue
            if name.startswith("_") == (name in shown):
                found.add(f"underscore: {_short(folder)}.{name}")
    for module, other in _imports():
        mine, theirs = module.split(".")[1:], other.split(".")[1:]
        if module in TOP or other in TOP:
            continue
        face, _, last = other.rpartition(".")
        target = face if face != "tessera" and last in _shown(face) else other
        where, whence = _folder(module), _folder(target)
        if where != whence and target != whence:
            found.add(f"not by the face: {_short(module)} imports {_short(target)}")
        if mine[0] != theirs[0]:
            if theirs[0] not in {"base"} | ROOMS[mine[0]]:
                found.add(f"wall: {_short(module)} imports {theirs[0]}")
            if target.count(".") > 1:
                found.add(f"not by the face: {_short(module)} imports {_short(target)}")
        elif where != whence and where.count(".") > 1:
            allowed = WINGS.get("/".join(where.split(".")[1:]), set())
            if "/".join(whence.split(".")[1:]) not in allowed:
                found.add(f"wall: {_short(module)} imports {_short(target)}")
    return found


def test_the_house_breaks_no_rule_that_it_did_not_break_before() -> None:
    assert _breaches() == BREACHES


def test_every_folder_is_in_the_tables() -> None:
    folders = {path.parent.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("__init__.py")} - {"."}
    assert folders == set(ROOMS) | set(WINGS)


def test_no_room_is_larger_than_a_tenth() -> None:
    lines = {room: sum(len(path.read_text().splitlines()) for path in (SOURCE / room).rglob("*.py")) for room in ROOMS}
    whole = sum(lines.values())
    assert {room: count for room, count in lines.items() if count > whole / 10} == {}


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


def test_a_server_starts_without_numpy() -> None:
    code = "import tessera.base, tessera.net, tessera.serve, sys; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


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
    opening = re.compile(r"rasterio\.open\b|\bMemoryFile\b|\bWarpedVRT\b")
    sources = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
    rooms = {path.relative_to(SOURCE).parts[0] for path, text in sources.items() if opening.search(text)}
    assert rooms == {"rasters"}
    calls = [
        (path.name, call)
        for path, text in sources.items()
        for call in re.findall(r"(?:rasterio|memory)\.open\((?:[^()]|\([^()]*\))*\)", text)
    ]
    assert len(calls) >= 5
    assert [item for item in calls if "driver=" not in item[1]] == []
