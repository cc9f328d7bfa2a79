from __future__ import annotations

import os
from pathlib import Path

import pytest

from tessera.base import InputError, make_or_find, new_folder, same_tree


def make(target: Path, text: str = "1") -> None:
    with new_folder(target, "it") as part:
        (part / "deep").mkdir()
        (part / "deep" / "x").write_text(text)


def is_it(target: Path) -> bool:
    return (target / "deep" / "x").is_file()


def test_what_is_there_is_taken_for_done_only_if_it_is_the_same(tmp_path: Path) -> None:
    target = tmp_path / "a"
    assert make_or_find(target, "it", is_it, make) is False
    assert make_or_find(target, "it", is_it, make) is True
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with pytest.raises(InputError, match="exists and is not this it; expected a new path"):
        make_or_find(target, "it", is_it, lambda path: make(path, "2"))
    assert (target / "deep" / "x").read_text() == "1"
    (target / "mine").write_text("kept")
    with pytest.raises(InputError, match="exists and is not this it"):
        make_or_find(target, "it", is_it, make)
    assert (target / "mine").read_text() == "kept"


def test_nothing_is_made_where_something_else_is(tmp_path: Path) -> None:
    def never(path: Path) -> None:
        raise AssertionError

    (tmp_path / "other").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for name, reason in (("other", "is not this it"), ("file", "is a file"), ("nowhere", "leads nowhere")):
        with pytest.raises(InputError, match=reason):
            make_or_find(tmp_path / name, "it", is_it, never)


@pytest.mark.parametrize("name", ["", ".", "..", "/"])
def test_a_new_folder_needs_a_name(name: str) -> None:
    with pytest.raises(InputError), new_folder(Path(name), "it"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_links_and_pipes_are_never_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make(tmp_path / name)
    assert same_tree(tmp_path / "a", tmp_path / "b")
    os.mkfifo(tmp_path / "a" / "y")
    assert not same_tree(tmp_path / "a", tmp_path / "b")
    os.mkfifo(tmp_path / "b" / "y")
    assert not same_tree(tmp_path / "a", tmp_path / "b")
    for name in ("a", "b"):
        (tmp_path / name / "y").unlink()
        (tmp_path / name / "y").symlink_to("deep/x")
    assert not same_tree(tmp_path / "a", tmp_path / "b")
