from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tessera.base import (
    InputError,
    check_folder,
    check_output,
    is_input,
    is_json,
    is_png,
    is_text,
    is_tiff,
    png_mark,
    require,
)
from tessera.base._parts import part_beside

if TYPE_CHECKING:
    from collections.abc import Callable

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


def _always(path: Path) -> bool:
    return True


def test_a_new_path_is_taken_also_where_its_folder_is_yet_to_come(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "x.json"
    assert check_output(target, "head") == target
    assert check_folder(tmp_path / "deep" / "cube.zarr", "cube") == tmp_path / "deep" / "cube.zarr"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/..", "./", "a\0b", "//"])
@pytest.mark.parametrize("check", [check_output, check_folder])
def test_what_is_no_name_is_refused(name: str, check: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"is no name of its own"):
        check(name, "head")


@posix
@pytest.mark.parametrize("check", [check_output, check_folder])
def test_what_cannot_be_made_is_refused_in_one_line(tmp_path: Path, check: Callable[..., Path]) -> None:
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for path, reason in (
        (tmp_path / "file" / "x", "is no folder"),
        (tmp_path / "file" / "x" / "y", "is no folder"),
        (tmp_path / "nowhere" / "x", "a link that leads nowhere"),
        (tmp_path / "nowhere", "a link that leads nowhere"),
        (tmp_path / "pipe", "is a pipe"),
        (Path("/dev/null"), "is a device"),
        (tmp_path / ("x" * 300), "longer than 255 bytes"),
        (tmp_path / "\ud800" / "x", "characters that a path cannot have"),
        (tmp_path / "\ud800", "characters that a path cannot have"),
    ):
        if "\ud800" in str(path) and sys.getfilesystemencoding() != "utf-8":
            continue
        with pytest.raises(InputError, match=reason):
            check(path, "output")
    for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/x", "/dev/new"):
        with pytest.raises(InputError, match="is a device or a place of the system"):
            check(name, "output")


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a folder; expected a file"):
        check_output(tmp_path, "head", overwrite=True)
    with pytest.raises(InputError, match="is a file; expected a new path"):
        check_folder(tmp_path / "file", "cube")


@posix
def test_an_input_is_kept_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "plots.geojson"
    given.write_text("{}")
    (tmp_path / "link").symlink_to(given)
    os.link(given, tmp_path / "hard")
    (tmp_path / "sub").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "sub")
    monkeypatch.chdir(tmp_path)
    for name in ("plots.geojson", "./plots.geojson", "sub/../plots.geojson", "way/../plots.geojson", "link", "hard"):
        for source in (given, str(given), Path("plots.geojson")):
            with pytest.raises(InputError, match=r"is, or lies in, the input"):
                check_output(name, "head", inputs=(None, "https://x/y", 3, source), ours=_always, overwrite=True)
    with pytest.raises(InputError, match=r"is, or lies in, the input"):
        check_output("plots.geojson", "head", inputs=(tmp_path / "link",), overwrite=True)


def test_nothing_is_written_into_a_zarr_group_that_is_read(tmp_path: Path) -> None:
    store = tmp_path / "store.zarr"
    store.mkdir()
    (store / "zarr.json").write_text("{}")
    assert is_input(store / "x" / "y.tif", store)
    assert not is_input(tmp_path / "store.zarr.tif", store)
    assert not is_input(tmp_path / "y.tif", tmp_path)
    with pytest.raises(InputError, match="lies in"):
        check_output(store / "map.tif", "map", inputs=(str(store),))
    with pytest.raises(InputError, match="is, or lies in"):
        check_folder(store, "store", inputs=(store,))


@pytest.mark.parametrize(("mark", "inside"), [("bands.npy", "s.zarr"), ("a00000001.gdbtable", "a00000009.gdbtable")])
def test_nothing_is_written_into_a_folder_that_is_one_thing(tmp_path: Path, mark: str, inside: str) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / mark).touch()
    with pytest.raises(InputError, match="lies in, the input"):
        check_output(tmp_path / "given" / inside, "head", inputs=(tmp_path / "given",), overwrite=True)


def test_no_file_of_a_shapefile_that_is_read_is_replaced(tmp_path: Path) -> None:
    for suffix in (".shp", ".shx", ".dbf", ".prj", ".cpg", ".json"):
        (tmp_path / f"plots{suffix}").write_text("x")
    (tmp_path / "other.dbf").write_text("x")
    for suffix in (".shx", ".dbf", ".prj", ".cpg"):
        with pytest.raises(InputError, match="is, or lies in, the input"):
            check_output(tmp_path / f"plots{suffix}", "head", inputs=(tmp_path / "plots.shp",), overwrite=True)
    for name in ("plots.json", "other.dbf"):
        check_output(tmp_path / name, "head", inputs=(tmp_path / "plots.shp",), overwrite=True)


def test_only_an_earlier_output_of_the_same_kind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text in ("mine", "{}", '{"format": "tessera-other"}', "[1]", "\x00\x01", '{"format": ' * 4000):
        path.write_text(text)
        with pytest.raises(InputError, match=r"exists and is no earlier head; .*--overwrite"):
            check_output(path, "head", ours=is_json(format="tessera-head"))
        check_output(path, "head", ours=is_json(format="tessera-head"), overwrite=True)
        assert path.read_text() == text
    path.write_text(json.dumps({"format": "tessera-head"}))
    check_output(path, "head", ours=is_json(format="tessera-head"))
    with pytest.raises(InputError, match="exists"):
        check_output(path, "head")


@posix
def test_a_link_is_replaced_only_when_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    with pytest.raises(InputError, match=r"is a link to .*/x; expected that path itself"):
        check_output(tmp_path / "link", "head", ours=_always)
    check_output(tmp_path / "link", "head", ours=_always, overwrite=True)
    (tmp_path / "folder").symlink_to(tmp_path)
    with pytest.raises(InputError, match="link to no regular file"):
        check_output(tmp_path / "folder", "head", overwrite=True)
    assert check_folder(tmp_path / "folder", "store") == tmp_path / "folder"


def test_marks_of_pictures_and_texts(tmp_path: Path) -> None:
    figure = require("matplotlib.figure", extra="heads", purpose="a test").Figure((1, 1))
    figure.savefig(tmp_path / "ours.png", metadata=png_mark("map"))
    figure.savefig(tmp_path / "other.png", metadata=png_mark("coverage"))
    figure.savefig(tmp_path / "plain.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "ours.png").read_bytes()[:40])
    (tmp_path / "lies.png").write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 2**31, b"tEXt"))
    found = {path.name for path in tmp_path.glob("*.png") if is_png("map")(path)}
    assert found == {"ours.png"}
    (tmp_path / "a.qml").write_text("<!-- tessera map -->")
    assert is_text("<!-- tessera map -->")(tmp_path / "a.qml")
    assert not is_text("<!-- tessera map -->")(tmp_path / "plain.png")


def test_a_file_whose_offsets_no_seek_takes_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**64 - 1))
    with pytest.raises(InputError, match="exists and is no earlier map"):
        check_output(path, "map", ours=is_tiff("TESSERA_CLASSES"))


@pytest.mark.parametrize("big", ["YES", "NO"])
@pytest.mark.parametrize("order", ["LITTLE", "BIG"])
def test_the_mark_of_a_geotiff(tmp_path: Path, big: str, order: str) -> None:
    rasterio = require("rasterio", extra="geo", purpose="a test")
    path = tmp_path / "x.tif"
    form = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 9, "width": 9, "BIGTIFF": big}
    with rasterio.open(path, "w", **form, ENDIANNESS=order, transform=rasterio.Affine(1, 0, 0, 0, -1, 9)) as out:
        out.update_tags(TESSERA_CLASSES='["a"]')
    assert is_tiff("TESSERA_CLASSES")(path)
    assert not is_tiff("TESSERA_CLASS")(path)
    content = path.read_bytes()
    for size in (0, 3, 8, 15, 16, 40, len(content) // 2):
        path.write_bytes(content[:size])
        assert is_tiff("TESSERA_CLASSES")(path) is (b"TESSERA_CLASSES" in content[:size])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="what became of a process is told by /proc")
def test_what_a_killed_process_left_goes_though_nobody_has_asked_how_it_ended(tmp_path: Path) -> None:
    with part_beside(tmp_path / "a.tif") as part:
        name = part.name
    ended = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
    try:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        left = tmp_path / name.replace(f".{os.getpid()}-", f".{ended.pid}-")
        left.touch()
        with part_beside(tmp_path / "b.tif"):
            assert not left.exists()
    finally:
        ended.wait()
    running = tmp_path / name.replace(f".{os.getpid()}-", f".{os.getppid()}-")
    running.touch()
    with part_beside(tmp_path / "b.tif"):
        assert running.exists()
