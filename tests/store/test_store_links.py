"""A folder of a store that is a link out of it: whoever works there refuses, and what it leads to stays as it is."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from store_helpers import BASE, CELL, new_store, random_embeddings

from tessera.base import Folder, InputError, TesseraError
from tessera.catalogue import coverage, write_manifest, write_stac
from tessera.check import check_store, repair_store
from tessera.preview import update_preview
from tessera.store import Store, open_store

YEAR = 2024


def embed(store: Store) -> None:
    store.write(random_embeddings(BASE, seed=3), YEAR)


def add_year(store: Store) -> None:
    store.write(random_embeddings(BASE, seed=4), YEAR + 1)


def catalogue(store: Store) -> None:
    write_manifest(store)


def stac(store: Store) -> None:
    write_stac(store)


def preview(store: Store) -> None:
    update_preview(store, refit=True)


def repair(store: Store) -> None:
    repair_store(store)


def look(store: Store) -> None:
    check_store(store)
    coverage(store)


WRITERS: dict[str, tuple[Callable[[Store], None], ...]] = {
    "stac": (stac,),
    "overviews": (preview,),
    "global_rgb": (preview,),
    "commits": (embed, repair),
    "utm31": (embed, add_year, repair),
    ".tessera": (embed, catalogue, stac, preview, repair),
}
"""Top folder -> who works in it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "s"
    store = new_store(path)
    embed(store)
    for writer in (catalogue, stac, preview):
        writer(store)
    # as a writer leaves them that was killed
    (path / ".tessera" / "staging" / str(YEAR) / CELL.name).mkdir(parents=True, exist_ok=True)
    (path / ".tessera" / "work" / "preview").mkdir(parents=True, exist_ok=True)
    (path / ".tessera" / "work" / "cubes").mkdir()
    return path


def held(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that a folder holds: names, kinds, bytes and times of writing."""
    return {
        str(path.relative_to(folder)): (
            path.is_dir(),
            path.lstat().st_mtime_ns,
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in [folder, *folder.rglob("*")]
    }


def told_by(doing: Callable[[], None]) -> str | None:
    """What is said where it is refused."""
    try:
        doing()
    except TesseraError as error:
        return str(error)
    return None


def test_a_link_out_at_any_folder_is_refused_and_nothing_is_written_there(whole: Path, tmp_path: Path) -> None:
    places = sorted(str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_dir())
    assert {"stac", "overviews", "global_rgb", ".tessera", ".tessera/locks", "commits/2024", "utm31/scales/c"} <= set(
        places
    )
    # of numbered folders beside each other one stands for all
    alike = {re.sub(r"\b\d+\b", "0", place): place for place in places}
    told = set()
    for number, place in enumerate(alike.values()):
        here = tmp_path / str(number)
        shutil.copytree(whole, here / "s")
        (here / "s" / place).rename(here / "outside")
        (here / "s" / place).symlink_to(here / "outside")
        before = held(here / "outside")
        for writer in WRITERS[place.partition("/")[0]]:
            said = told_by(lambda: writer(open_store(here / "s")))  # noqa: B023 - called within this turn only
            if said is not None:
                assert "by a symbolic link" in said, (place, said)
                told.add((place, writer.__name__))
            assert held(here / "outside") == before, (place, writer.__name__)
        shutil.rmtree(here)
    for place in ("stac", "stac/2024"):
        assert (place, "stac") in told
    for place in ("overviews", "overviews/utm31", "overviews/state", "global_rgb", "global_rgb/9"):
        assert (place, "preview") in told
    for place in (".tessera", ".tessera/locks", ".tessera/staging", "commits", "commits/2024", "utm31", "utm31/scales"):
        assert (place, "embed") in told


def test_a_link_out_stops_a_command_before_its_first_file(whole: Path, tmp_path: Path) -> None:
    for place, writer in (("stac/2024", stac), ("global_rgb/9", preview), ("utm31/time/c", add_year)):
        root = Path(shutil.copytree(whole, tmp_path / writer.__name__))
        (root / place).rename(tmp_path / f"outside-{writer.__name__}")
        (root / place).symlink_to(tmp_path / f"outside-{writer.__name__}")
        before = {name: kept for name, kept in held(root).items() if not name.startswith(".tessera")}
        with pytest.raises(InputError, match="leads out of"):
            writer(open_store(root))
        after = {name: kept for name, kept in held(root).items() if not name.startswith(".tessera")}
        assert after == before


def test_looking_at_a_store_with_links_out_writes_nothing(whole: Path, tmp_path: Path) -> None:
    for place in ("commits", ".tessera", "utm31/scales"):
        root = Path(shutil.copytree(whole, tmp_path / place.replace("/", "-")))
        outside = tmp_path / f"outside-{place.replace('/', '-')}"
        (root / place).rename(outside)
        (root / place).symlink_to(outside)
        before = held(outside)
        said = told_by(lambda: look(open_store(root)))  # noqa: B023 - called within this turn only
        assert said is None or "leads out of" in said
        assert held(outside) == before


def test_files_that_are_links_out_are_replaced_and_not_followed(whole: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "s"))
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"mine")
    for name in ("manifest.parquet", "stac/collection.json", "overviews/zarr.json", "global_rgb/zarr.json"):
        (root / name).unlink()
        (root / name).symlink_to(theirs)
    store = open_store(root)
    write_manifest(store)
    write_stac(store)
    (root / "global_rgb" / "zarr.json").unlink()
    update_preview(store)
    assert theirs.read_bytes() == b"mine"
    for name in ("manifest.parquet", "stac/collection.json", "overviews/zarr.json", "global_rgb/zarr.json"):
        assert (root / name).read_bytes() == (whole / name).read_bytes()
        assert not (root / name).is_symlink()


def test_a_lock_that_is_a_link_or_a_pipe_is_refused(whole: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "s"))
    theirs = tmp_path / "theirs"
    for place, writer in (
        (".tessera/locks/years.lock", embed),
        (".tessera/catalogue/lock", catalogue),
        (".tessera/catalogue/stac.lock", stac),
        (".tessera/work/preview.lock", preview),
    ):
        (root / place).unlink()
        (root / place).symlink_to(theirs)
        with pytest.raises(InputError, match="symbolic link"):
            writer(open_store(root))
        (root / place).unlink()
        os.mkfifo(root / place)
        with pytest.raises(InputError, match="expected a lock"):
            writer(open_store(root))
        (root / place).unlink()
    assert not theirs.exists()


def test_a_store_by_a_relative_path_is_written_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = new_store(Path("s"))
    embed(store)
    embed(store)
    assert [cell.name for cell in store.cells(YEAR)] == [CELL.name]
    assert write_manifest(store).rows == 1
    assert write_stac(store).items == 1
    update_preview(store)
    assert check_store(open_store("s")).problems == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]
    assert not (tmp_path / "s" / "s").exists()


def test_a_folder_is_one_door(tmp_path: Path) -> None:
    root, outside = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    outside.mkdir()
    (outside / "kept").write_bytes(b"kept")
    (root / "link").symlink_to(outside)
    (root / "own").mkdir()
    (root / "own" / "file").write_bytes(b"1")
    door = Folder(root)
    doings: list[Callable[[], object]] = [
        lambda: door.write("link/new", b""),
        lambda: door.settle("link/kept", b""),
        lambda: door.make("link/new"),
        lambda: door.make("link"),
        lambda: door.remove("link/kept"),
        lambda: door.remove_tree("link/kept"),
        lambda: door.move("own/file", "link/file"),
        lambda: door.move("link/kept", "own/kept"),
        lambda: door.move("link", "own/link"),
        lambda: door.read("link/kept", what="file", limit=9),
        lambda: door.size("link/kept"),
        lambda: door.check("own", "link"),
        lambda: door.check(""),
        lambda: door.lock("link/lock").__enter__(),
        lambda: door.write("../out/new", b""),
    ]
    before = held(outside)
    for doing in doings:
        with pytest.raises(InputError, match="symbolic link"):
            doing()
    assert not door.holds("link/kept", b"kept")
    door.remove_tree("link")
    assert held(outside) == before
    assert [path.name for path in root.iterdir()] == ["own"]


@pytest.mark.parametrize("place", ["tessera.json", "overviews/overviews.json"])
def test_a_link_that_leads_to_itself_is_told(whole: Path, tmp_path: Path, place: str) -> None:
    shutil.copytree(whole, tmp_path / "s")
    path = tmp_path / "s" / place
    path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(TesseraError, match=r"symbolic links|no file"):
        preview(open_store(tmp_path / "s"))
