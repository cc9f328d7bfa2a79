"""Commits of several files: whatever operation a process dies before, the next one ends it, and nothing is mixed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tessera.base import InputError, Journal

STEPS: list[tuple[str, str | None]] = [("a/x", "0"), ("a/gone", None), ("b/index", "1"), ("c/record", "2")]
HIDDEN = {"b/index"}
OLD = {"a/x": b"old", "a/gone": b"old", "b/index": b"old", "c/record": b"old"}
NEW = {"a/x": b"new", "b/index": b"new", "c/record": b"new"}


class KilledError(BaseException):
    """The process died."""


def files_of(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".work" not in path.parts
    }


def old_folder(root: Path) -> Journal:
    for key, data in OLD.items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data)
    return Journal(root, root / ".work" / "here")


def write(journal: Journal) -> None:
    journal.check(key for key, _ in STEPS)
    staged = {str(name): NEW[key] for key, name in STEPS if name is not None}
    journal.stage(staged, NEW, {"said": "yes"})
    journal.finish(STEPS, HIDDEN)


def dies(patch: pytest.MonkeyPatch, act: Callable[[], object], limit: int) -> bool:
    """Whether the process died before its file operation number `limit`."""
    done = 0

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            nonlocal done
            if done == limit:
                raise KilledError
            done += 1
            return call(*args, **options)

        return counted

    with patch.context() as inner:
        for name in ("replace", "unlink", "mkdir"):
            inner.setattr(Path, name, counting(getattr(Path, name)))
        inner.setattr("tessera.base.folder.shutil.rmtree", counting(shutil.rmtree))
        try:
            act()
        except KilledError:
            return True
    return False


def test_dying_before_any_operation_leaves_the_old_files_or_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit, finished, again = 0, 0, True
    while again:
        root = tmp_path / str(limit)
        journal = old_folder(root)
        again = dies(monkeypatch, lambda: write(journal), limit)  # noqa: B023 - called at once
        if journal.is_pending:
            shown = files_of(root)
            # what readers look at first is old only where nothing was moved, and new only where all else is
            if shown.get("b/index") == b"old":
                assert shown["a/x"] == b"old"
            elif "b/index" in shown:
                assert (shown["a/x"], "a/gone" in shown) == (b"new", False)
            assert journal.folder.json(journal.intent, what="intent", limit=100) == {"said": "yes"}
            journal.finish(STEPS, HIDDEN)
            finished += 1
        journal.forget()
        assert files_of(root) in (OLD, NEW)
        limit += 1
    assert files_of(root) == NEW
    assert finished >= 5


def test_a_full_disk_stages_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = old_folder(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tessera.base.folder.write_atomic", full)
        with pytest.raises(OSError, match="No space"):
            write(journal)
    assert not journal.is_pending
    assert files_of(tmp_path) == OLD


def test_a_link_out_is_refused_before_anything_is_moved(tmp_path: Path) -> None:
    journal = old_folder(tmp_path / "s")
    (tmp_path / "outside").mkdir()
    shutil.rmtree(tmp_path / "s" / "b")
    (tmp_path / "s" / "b").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="by a symbolic link"):
        write(journal)
    assert list((tmp_path / "outside").iterdir()) == []
    assert not journal.is_pending
