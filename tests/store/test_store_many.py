"""More than one person and more than one start: a group writes one store, and who starts at once makes one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from store_helpers import BASE, CELL, LAYOUT, MODEL, new_store, random_embeddings

from tessera.base import Folder, TakenError, file_lock, new_folder
from tessera.check import check_store
from tessera.shards import Header
from tessera.store import open_store
from tessera.store.commits._writer import write_new

WRITER = """
import sys
sys.path[:0] = sys.argv[3:]
from pathlib import Path
import numpy as np
from store_helpers import BASE, new_store, random_embeddings
from tessera.catalogue import write_manifest, write_stac
from tessera.cubes import open_spool
from tessera.exchange import export_region
from tessera.preview import update_preview
from tessera.check import repair_store; from tessera.store import open_store
root, number = Path(sys.argv[1]), int(sys.argv[2])
store = open_store(root / "s") if (root / "s").exists() else new_store(root / "s")
for year in (2024, 2024 + number):
    store.write(random_embeddings(BASE, seed=number, run=number), year)
write_manifest(store)
write_stac(store)
update_preview(store, refit=True)
(root / "s" / "zarr.json").write_text("{")
print(repair_store(store).restored)
import datetime as dt
day = dt.date(2024, 1, number)
images = {"s1_asc": np.ones((4, 4, 2), np.int16)}
try:
    with open_spool(root / "c.zarr", {"a": 1}, (4, 4)) as spool:
        spool.put("s1_asc", day, images, {"by": number})
        if number == 1:
            raise KeyboardInterrupt
        assert spool.record("s1_asc", dt.date(2024, 1, 1)) == {"by": 1}
        spool.finish(None, {})
except KeyboardInterrupt:
    pass
export_region(store, BASE, 2024, root / f"r{number}.npy")
print("done")
"""


def run_as(user: int, root: Path, number: int) -> subprocess.CompletedProcess[str]:
    """A writer of group 5000: it may read what the owner of the tests may, and write what its group may."""
    caps = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    who = ("setpriv", "--reuid", str(user), "--regid", "5000", "--clear-groups", *caps)
    paths = [str(Path(__file__).parent), *(path for path in sys.path if path)]
    return subprocess.run(
        [*who, sys.executable, "-c", WRITER, str(root), str(number), *paths],
        capture_output=True,
        text=True,
        umask=0o002,
        env={"HOME": str(root), "PATH": os.environ.get("PATH", "")},
        check=False,
    )


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)
def test_two_people_of_a_group_write_one_store(tmp_path: Path) -> None:
    root = tmp_path / "shared"
    root.mkdir()
    for path in (root, *root.parents):
        if path.is_relative_to(tmp_path.parent.parent):
            path.chmod(path.stat().st_mode | 0o055)
    os.chown(root, 54321, 5000)
    root.chmod(0o2775)
    for number, user in enumerate((54321, 54322), 1):
        done = run_as(user, root, number)
        if "Operation not permitted" in done.stderr and "setpriv" in done.stderr:
            pytest.skip("this container gives no capabilities")
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.splitlines() == ["('zarr.json',)", "done"]
    store = open_store(root / "s")
    assert store.years == (2024, 2025, 2026)
    assert check_store(store).problems == ()
    record = store.commit(CELL, 2024)
    assert record is not None
    assert record.inputs[-1]["provenance"] == {"run": 2}
    lacking = [path for path in root.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o060 != 0o060]
    assert lacking == []


def test_a_lock_that_another_made_for_reading_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    path.touch()
    original, tried = os.open, []

    def refusing(name: Any, flags: int, *args: int, **kwargs: int) -> int:
        if name == path:
            tried.append(flags & os.O_ACCMODE)
            if flags & os.O_RDWR:
                raise PermissionError(13, "Permission denied", str(path))
        return original(name, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refusing)
    with file_lock(path):
        assert tried[-1] == os.O_RDONLY
        with pytest.raises(BlockingIOError), file_lock(path, wait=False):
            pass


def test_a_lock_whose_folder_its_holder_removes_is_made_anew(tmp_path: Path) -> None:
    """Who waited for it must not hold a file that nobody else can find."""
    path, inside, most = tmp_path / "work" / "lock", 0, 0
    counting = threading.Lock()

    def work(_: int) -> None:
        nonlocal inside, most
        with file_lock(path):
            with counting:
                inside += 1
                most = max(most, inside)
            assert path.exists()
            with counting:
                inside -= 1
            Folder(tmp_path).remove_tree("work")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(64)))
    assert most == 1


def test_of_several_starts_one_makes_the_store(tmp_path: Path) -> None:
    header, ready = Header(MODEL, LAYOUT, (), (31,)), threading.Barrier(4)

    def begin(_: int) -> bool:
        ready.wait()
        try:
            write_new(tmp_path / "s", header)
        except TakenError as error:
            assert "expected a new path" in str(error)  # noqa: PT017 - one of four is not told
            return False
        return True

    # threads of one process write into folders of their own, as processes do
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(begin, range(4))) == [False, False, False, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]
    open_store(tmp_path / "s").write(random_embeddings(BASE), 2024)


def make_while_another_does(target: Path, kind: str) -> None:
    with new_folder(target, "the thing") as part:
        (part / "new").touch()
        if kind == "file":
            target.write_bytes(b"theirs")
        else:
            target.mkdir()
        if kind == "filled":
            (target / "theirs").touch()


def test_a_folder_that_appears_meanwhile_is_told_and_left_alone(tmp_path: Path) -> None:
    for kind in ("filled", "empty", "file"):
        target = tmp_path / kind
        with pytest.raises(TakenError, match="appeared while the thing was made"):
            make_while_another_does(target, kind)
        assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    assert [path.name for path in (tmp_path / "filled").iterdir()] == ["theirs"]
    assert list((tmp_path / "empty").iterdir()) == []
    assert (tmp_path / "file").read_bytes() == b"theirs"


def test_who_opened_a_store_before_a_year_came_sees_that_it_holds_it(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    other = open_store(tmp_path / "s")
    part = random_embeddings(BASE, run=1)
    store.write(part, 2024)
    assert other.holds(BASE, 2024, part.provenance)
