from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import tessera
from tessera.base import (
    InputError,
    TesseraError,
    check_format,
    extras,
    install_line,
    new_folder,
    read_json,
    require,
    staging,
    write_atomic,
)


def test_an_error_is_one_line() -> None:
    assert str(TesseraError("a\n  b\tc")) == "a b c"
    assert issubclass(InputError, ValueError)


def test_a_missing_extra_is_named_with_the_command_that_brings_it() -> None:
    with pytest.raises(InputError) as refused:
        require("nothing_here.inner", extra="heads", purpose="drawing")
    assert str(refused.value) == f"drawing needs nothing_here, which is not installed: {install_line('heads')}"
    assert require("json", extra="x", purpose="y").loads("1") == 1


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ('{"url": "%s", "dir_info": {"editable": true}}', 'pip install -e "{folder}[geo]"'),
        ('{"url": "%s", "dir_info": {}}', 'pip install "{folder}[geo]"'),
        ('{"url": "file:///gone/tessera", "dir_info": {}}', None),
        ('{"url": "https://example.org/t.whl", "archive_info": {}}', None),
        ("[]", None),
        ("{", None),
        (None, None),
    ],
)
def test_the_command_works_from_where_the_package_came(
    told: str | None, line: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "the project"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    text = told.replace("%s", folder.as_uri()) if told else None
    monkeypatch.setattr(extras, "distribution", lambda _: SimpleNamespace(read_text=lambda _: text))
    extras._came_from.cache_clear()
    try:
        by_name = 'pip install "tessera-earth[geo]", or in the folder of the project pip install ".[geo]"'
        assert install_line("geo") == (by_name if line is None else line.format(folder=folder))
    finally:
        extras._came_from.cache_clear()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    write_atomic(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a"

    def interrupted() -> None:
        with new_folder(target, "it") as part:
            (part / "x").write_text("1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "deep").iterdir()) == []
    with new_folder(target, "it") as part:
        (part / "x").write_text("2")
        assert not target.exists()
    assert (target / "x").read_text() == "2"
    with pytest.raises(InputError, match="expected a new path for it"), new_folder(target, "it"):
        pass
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    target = tmp_path / "a[1]"
    script = (
        "import os, sys; from pathlib import Path; from tessera.base import staging\n"
        "with staging(Path(sys.argv[1])): os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with staging(target) as folder:
        assert list(tmp_path.iterdir()) == [folder]
        subprocess.run([sys.executable, "-c", script, str(target)], check=False)
        assert folder.exists()


@pytest.mark.parametrize(("data", "reason"), [(b"[1]", "JSON list"), (b"{", "not JSON"), (b"{}" * 9, "18 bytes")])
def test_json_that_is_not_an_object_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InputError, match=reason):
        read_json(tmp_path / "a", what="it", limit=17)
    with pytest.raises(InputError, match="not found"):
        read_json(tmp_path / "b", what="it")


_KILLED = (
    "import os, sys; from pathlib import Path; import tessera.base.files as files\n"
    "def stop(*args): os._exit(9)\n"
    "os.fsync = stop\n"
    "files.write_atomic(Path(sys.argv[1]), b'half')\n"
)


@pytest.mark.parametrize("target", ["curves.png", "x" * 240])
def test_a_file_that_a_killed_process_left_goes_with_the_next_write_in_its_folder(tmp_path: Path, target: str) -> None:
    code = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / target)], check=False).returncode
    assert code == 9
    (left,) = (path.name for path in tmp_path.iterdir())
    assert left.startswith(".")
    assert left.endswith(".part")
    # of another host, of a living process, of somebody else: not surely ours
    host = left.rsplit(".", 3)[1]
    mine = f".curves.png.{host}.{os.getppid()}-0.part"
    others = [".curves.png.otherhost.999999999-0.part", ".curves.png.999999999.part", mine, "curves.png.part"]
    for name in others:
        (tmp_path / name).write_text("kept")
    (tmp_path / f".folder.{host}.999999999-3.part").mkdir()
    write_atomic(tmp_path / "curves.png", b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "curves.png"])
    assert (tmp_path / "curves.png").read_bytes() == b"whole"


def test_writers_of_one_process_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with staging(path) as one, staging(path) as two:
        assert one != two
        (one / "a").write_text("1")
        write_atomic(path, b"2")
        assert (one / "a").exists()
        assert two.is_dir()
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "m has format None None; expected 'x' 2"),
        ({"format": "y\n", "version": 2}, r"m has format 'y\n' 2; expected 'x' 2"),
        ({"format": "x", "version": 1}, "m has format 'x' 1; expected 'x' 2"),
        ({"format": "x", "version": 3}, "m has format 'x' 3; expected 'x' 2, or a later release of tessera to read it"),
    ],
)
def test_a_document_of_another_format_or_version_is_refused(value: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_format(value, "x", 2, "m")
    assert str(caught.value) == said
    check_format({"format": "x", "version": 2}, "x", 2, "m")


@pytest.mark.parametrize("name", ["n" * 300, "d/" * 3000, "a\0b"])
def test_what_can_be_no_path_is_one_line(name: str) -> None:
    for act in (tessera.open_store, tessera.open_cube, tessera.load_encoder, tessera.load_head, tessera.parse_area):
        with pytest.raises(InputError):
            act(name)
