"""A document of a stranger's store that is a pipe, a device or endless: told or made anew, never waited for."""

from __future__ import annotations

import os
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from store_helpers import BASE, CELL, centre_of, new_store, random_embeddings

from tessera.base import TesseraError
from tessera.catalogue import coverage, read_manifest, write_manifest, write_stac
from tessera.check import check_store, repair_store
from tessera.preview import read_overview, update_preview
from tessera.store import open_store

YEAR = 2024
NAME = CELL.name
COMMANDS: dict[str, Callable[[Path], object]] = {
    "info": lambda root: open_store(root).info(),
    "sample": lambda root: open_store(root).sample_points([centre_of(BASE, 5, 6)], YEAR),
    "coverage": lambda root: coverage(open_store(root)),
    "manifest": lambda root: read_manifest(open_store(root)),
    "overview": lambda root: read_overview(open_store(root), BASE, YEAR),
    "check": lambda root: check_store(open_store(root)),
    "catalogue": lambda root: write_manifest(open_store(root)),
    "stac": lambda root: write_stac(open_store(root)),
    "preview": lambda root: update_preview(open_store(root)),
    "write": lambda root: open_store(root).write(random_embeddings(BASE, seed=9), YEAR),
    "repair": lambda root: repair_store(open_store(root)),
}
KINDS: dict[str, tuple[str, ...]] = {
    "tessera.json": tuple(COMMANDS),
    "zarr.json": ("info", "check", "write", "repair"),
    "utm31/scales/zarr.json": ("check", "repair"),
    "utm31/x/c/0": ("check", "repair"),
    f"commits/{YEAR}/{NAME}.json": ("info", "coverage", "check", "catalogue", "stac", "preview", "write", "repair"),
    "manifest.parquet": ("manifest", "coverage", "catalogue"),
    "stac/collection.json": ("stac",),
    f"stac/{YEAR}/utm31/{NAME}.json": ("stac",),
    "overviews/overviews.json": ("overview", "preview"),
    "overviews/zarr.json": ("preview",),
    "overviews/colours.json": ("preview",),
    "overviews/state/means/{}/*.json": ("overview", "preview"),
    "overviews/state/global/4/*.json": ("preview",),
    "global_rgb/zarr.json": ("preview",),
    "global_rgb/4/rgb/c/*/*/0": ("preview",),
    f".tessera/staging/{YEAR}/{NAME}/intent.json": ("info", "check", "write", "repair"),
    f".tessera/staging/{YEAR}/{NAME}/record.json": ("check", "write", "repair"),
    ".tessera/work/preview/intent.json": ("preview",),
    ".tessera/catalogue/seen.parquet": ("coverage", "catalogue"),
    "utm31/scales/c/0/*/*": ("sample", "coverage", "check", "preview", "write", "repair"),
    "utm31/embeddings/c/0/0/*/*": ("sample", "check", "preview", "write", "repair"),
    "overviews/utm31/d160/scales/c/0/*/*": ("overview", "preview"),
}
"""A document, or one of a pattern -> the commands that look at it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "s"
    store = new_store(path)
    store.write(random_embeddings(BASE), YEAR)
    for command in ("catalogue", "stac", "preview"):
        COMMANDS[command](path)
    return path


@contextmanager
def bounded(*pipes: Path) -> Iterator[None]:
    """Keep a test that fails from taking all memory, and let go of whoever waits for a pipe after minutes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    waited: list[Path] = []

    def release() -> None:
        for pipe in pipes:
            waited.append(pipe)
            os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))

    timer = threading.Timer(240, release)
    timer.daemon = True
    timer.start()
    resource.setrlimit(resource.RLIMIT_AS, (held + 6 * 1024**3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        timer.cancel()
    assert not waited


def pipe(path: Path, aside: Path) -> None:
    os.mkfifo(path)


def link_to_pipe(path: Path, aside: Path) -> None:
    os.mkfifo(aside)
    path.symlink_to(aside)


def device(path: Path, aside: Path) -> None:
    path.symlink_to("/dev/zero")


def endless(path: Path, aside: Path) -> None:
    path.touch()
    os.truncate(path, 2**36)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is told by Linux")
@pytest.mark.parametrize("document", KINDS)
def test_a_document_that_is_no_file_or_endless_is_never_waited_for(document: str, whole: Path, tmp_path: Path) -> None:
    for number, damage in enumerate((pipe, link_to_pipe, device, endless)):
        root = Path(shutil.copytree(whole, tmp_path / str(number)))
        name = document.format(YEAR)
        path = next(iter(root.glob(name)), None) if "*" in name else root / name
        assert path is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        aside = tmp_path / f"aside{number}"
        damage(path, aside)
        told = []
        with bounded(*(each for each in (path, aside) if each.is_fifo())):
            for command in KINDS[document]:
                try:
                    COMMANDS[command](root)
                except TesseraError as error:
                    told.append(str(error))
        assert all("\n" not in line and len(line) < 600 for line in told)
        if document == "tessera.json":
            assert len(told) == len(COMMANDS)
        shutil.rmtree(root)
