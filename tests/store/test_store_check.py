"""`store check` finds what is wrong, names it by cell and year, and finds nothing where nothing is wrong."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_damage import (
    BELOW,
    CODES,
    FOUR,
    PREFIX,
    RIGHT,
    SCALES,
    append,
    change_record,
    flip,
    moved,
    object_path,
    put_pixels,
    record_path,
    sign,
    smooth,
    texts,
)
from store_helpers import ACROSS, BASE, CELL, LAYOUT, MODEL, centre_of, new_store, random_embeddings, serving

from tessera.base import InputError, file_lock
from tessera.check import check_store
from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Window
from tessera.shards import COUNTS, Layout
from tessera.store import Store, cell_lock_path, create_store, open_store

WHERE = f"2024 {CELL.name}: "


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One cell with valid pixels and some without data."""
    made = new_store(tmp_path / "s")
    made.write(random_embeddings(BASE), 2024)
    return made


def test_a_sound_store_has_nothing_to_say(store: Store) -> None:
    store.write(random_embeddings(ACROSS, 2), 2023)
    calls: list[tuple[int, int]] = []
    report = check_store(store, progress=lambda done, total: calls.append((done, total)))
    assert report.sound
    assert report.problems == ()
    assert report.years == (2024, 2023)
    assert report.cells == 5
    assert calls[-1][0] == calls[-1][1] == len(calls)
    valid = sum(int(part.valid.sum()) for part in (random_embeddings(BASE), random_embeddings(ACROSS, 2)))
    area = BASE.width * BASE.height + ACROSS.width * ACROSS.height
    assert (report.pixels.valid, report.pixels.no_data) == (valid, area - valid)
    assert report.pixels.not_written == 5 * 128 * 128 - area
    files = [path for path in (Path(store.objects.root) / "utm31").glob("*/c/*/**/*") if path.is_file()]
    coordinates = {"x", "y", "time", "band", "band_d2"}
    shards = [path for path in files if not set(path.parts) & coordinates]
    assert report.pixels.bytes == sum(path.stat().st_size for path in shards)
    assert json.loads(json.dumps(report.to_json()))["sound"] is True


def test_years_and_areas_narrow_what_is_checked(store: Store) -> None:
    root = Path(store.objects.root)
    store.write(random_embeddings(ACROSS, 2), 2023)
    object_path(root, CODES).unlink()
    assert check_store(store, 2023).sound
    assert check_store(store, 2024).broken == ((2024, CELL.name),)
    lon, lat = centre_of(RIGHT.window, 64, 64)
    report = check_store(store, area=(lon - 0.001, lat - 0.001, lon + 0.001, lat + 0.001))
    assert report.sound
    assert (report.cells, report.area is not None) == (1, True)
    with pytest.raises(InputError, match="has no year 2020; it has 2024, 2023"):
        check_store(store, 2020)


Harm = Callable[[Path], object]
HARMS: list[tuple[Harm, str]] = [
    (lambda root: object_path(root, CODES).unlink(), "embeddings/c/.* is missing"),
    (lambda root: object_path(root, SCALES).unlink(), "scales/c/.* is missing"),
    (lambda root: object_path(root, PREFIX).write_bytes(b""), "embeddings_d2/.* has 0 bytes; its commit record says"),
    (lambda root: append(object_path(root, COUNTS), b"x"), "observation_counts/.* its commit record says"),
    (lambda root: append(object_path(root, CODES), bytes(200_000)), "bytes; a shard has at most"),
    (lambda root: flip(object_path(root, CODES), 5), "the checksum of its index does not fit"),
    (lambda root: flip(object_path(root, CODES), 5), "its SHA-256 does not fit"),
    (lambda root: flip(object_path(root, CODES), 9000), "checksum of a chunk does not fit"),
    (lambda root: flip(object_path(root, PREFIX), 900), "checksum of a chunk does not fit"),
    (lambda root: (flip(object_path(root, COUNTS), 900), sign(root)), "observation_counts.*checksum of a chunk"),
    (lambda root: (flip(object_path(root, SCALES), 900), sign(root)), "scales.*checksum of a chunk"),
    (lambda root: record_path(root).write_text("{"), "is not JSON"),
    (lambda root: record_path(root).unlink(), "it has objects .* and no commit record"),
    (lambda root: change_record(root, year=2023), "is the record of cell .* and year 2023"),
    (lambda root: change_record(root, cell=RIGHT.name), f"is the record of cell '{RIGHT.name}'"),
    (lambda root: change_record(root, model="cd" * 32), "is of model 'cdcdcdcdcdcd'; the store holds 'test'"),
    (lambda root: change_record(root, chunks="fffe"), "bitmap of chunks is not that of the pixels"),
    (lambda root: change_record(root, pixels={"valid": 1, "no_data": 2, "not_written": 3}), "counts other pixels"),
    (
        lambda root: change_record(root, inputs=[{"window": [BASE.west - 1, BASE.north, 5, 5], "provenance": {}}]),
        "a part .* that is not inside the cell",
    ),
    (lambda root: change_record(root, objects={}), "is there; its commit record names none"),
]


@pytest.mark.parametrize(("harm", "said"), HARMS, ids=[str(number) for number in range(len(HARMS))])
def test_each_damage_is_named_with_its_cell_and_year(store: Store, harm: Harm, said: str) -> None:
    import re

    harm(Path(store.objects.root))
    report = check_store(store)
    assert not report.sound
    assert report.broken == ((2024, CELL.name),)
    lines = texts(report)
    assert all(line.startswith(WHERE) and "\n" not in line for line in lines)
    assert any(re.search(said, line) for line in lines), lines


def test_scales_that_are_none_are_counted_and_named(tmp_path: Path) -> None:
    new_store(tmp_path / "s").write(random_embeddings(RIGHT.window), 2024)
    scales = np.full((128, 128), 0.5, np.float32)
    bad = [0.0, -1.0, 1.0, 1e30, -np.inf]
    scales[0, :5] = bad
    scales[1, :3] = np.nan
    scales[2, :7] = np.inf
    put_pixels(tmp_path / "s", np.ones((128, 128, 8), np.int8), scales)
    report = check_store(open_store(tmp_path / "s"), area=CELL.name if CELL.size == 1024 else None)
    others = int(random_embeddings(RIGHT.window).valid.sum())
    assert report.pixels.bad == 5
    assert report.pixels.valid == 128 * 128 - 15 + others
    assert report.pixels.not_written == 7
    assert any("5 scales are 0 or less, or 1 or more" in line for line in texts(report))
    assert report.broken == ((2024, CELL.name),)


def test_a_prefix_that_is_not_the_first_codes_is_found(store: Store) -> None:
    from tessera.shards import encode_shard

    root = Path(store.objects.root)
    held = store.read_window(BASE, 2024)
    prefix = np.array(held.codes[..., :2])
    rows, cols = np.nonzero(held.valid)
    prefix[rows[7], cols[7], 1] ^= 1
    data = encode_shard(prefix, LAYOUT.format(PREFIX), np.ones((4, 4), np.bool_))
    assert data is not None
    object_path(root, PREFIX).write_bytes(data)
    sign(root)
    assert texts(check_store(store)) == [WHERE + "embeddings_d2 is not the first codes in 1 pixels"]


def test_codes_must_be_there_where_scales_are_valid(store: Store) -> None:
    from tessera.shards import encode_shard

    root = Path(store.objects.root)
    held = store.read_window(BASE, 2024)
    present = np.ones((4, 4), np.bool_)
    present[2, 3] = False
    for spec in (CODES, PREFIX):
        data = encode_shard(held.codes[..., : spec.bands], LAYOUT.format(spec), present)
        assert data is not None
        object_path(root, spec).write_bytes(data)
    sign(root)
    lines = texts(check_store(store))
    assert len(lines) == 2
    assert all("lacks the codes" in line and "of 1 chunks that have scales" in line for line in lines)


def test_chunks_that_overlap_are_found(store: Store) -> None:
    import google_crc32c

    root = Path(store.objects.root)
    path, form = object_path(root, COUNTS), LAYOUT.format(COUNTS)
    data = bytearray(path.read_bytes())
    data[16:32] = data[0:16]
    body = bytes(data[: form.index_bytes - 4])
    data[form.index_bytes - 4 : form.index_bytes] = int(google_crc32c.value(body)).to_bytes(4, "little")
    path.write_bytes(data)
    sign(root)
    assert any("its index has chunks that overlap" in line for line in texts(check_store(store)))


def test_what_belongs_to_no_cell_is_named(store: Store) -> None:
    root = Path(store.objects.root)
    store.write(random_embeddings(BASE), 2025)
    for path in (
        "commits/2024/notes.txt",
        "commits/2024/utm40_e500_n4300.json",
        "commits/2024/utm31_e0500_n4300.json",
        "commits/1999/x.json",
        "utm31/scales/c/7/0/0",
        "utm31/scales/c/0/0/999999",
        "utm31/embeddings/c/0/1/0/0",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    lines = texts(check_store(store))
    assert len(lines) == 7
    for name in ("notes.txt", "utm40", "e0500", "commits/1999", "scales/c/7", "999999", "embeddings/c/0/1"):
        assert sum(name in line for line in lines) == 1, name
    for number in range(150):
        (root / "commits" / "2024" / f"{number}.tmp").write_bytes(b"")
    lines = texts(check_store(store))
    assert len(lines) == 101
    assert any("57 more that belong to no cell" in line for line in lines)


def test_documents_are_held_against_tessera_json(store: Store) -> None:
    root = Path(store.objects.root)

    def change(key: str, **values: Any) -> None:
        (root / key).write_text(json.dumps({**json.loads((root / key).read_text()), **values}))

    change("utm31/scales/zarr.json", shape=[1, 5, 5])
    change("utm31/zarr.json", attributes={})
    change("utm31/embeddings/zarr.json", codecs_too=[1])
    (root / "utm31" / "x" / "c" / "0").write_bytes(b"no coordinates")
    (root / "utm31" / "y" / "zarr.json").unlink()
    (root / "utm31" / "time" / "zarr.json").write_text("[" * 100_000)
    root_document = json.loads((root / "zarr.json").read_text())
    root_document["attributes"]["tessera:years"] = [1999]
    (root / "zarr.json").write_text(json.dumps(root_document))
    lines = texts(check_store(store))
    assert sorted(lines) == [
        "utm31/embeddings/zarr.json is not as tessera.json has it, at /codecs_too",
        "utm31/scales/zarr.json is not as tessera.json has it, at /shape",
        "utm31/time/zarr.json is not JSON",
        "utm31/x/c/0 is not the coordinates expected",
        "utm31/y/zarr.json is missing",
        "utm31/zarr.json is not as tessera.json has it, at /attributes/proj:code",
        "zarr.json is not as tessera.json has it, at /attributes/tessera:years",
    ]


def test_what_others_add_to_attributes_and_other_versions_are_no_damage(store: Store) -> None:
    root = Path(store.objects.root)
    document = json.loads((root / "zarr.json").read_text())
    document["attributes"]["geoemb:build_version"] = "0.0.1"
    document["attributes"]["geoemb:stretch"] = {"low": 1}
    document["consolidated_metadata"]["metadata"]["overviews"] = {}
    (root / "zarr.json").write_text(json.dumps(document, indent=3))
    zone = json.loads((root / "utm31" / "zarr.json").read_text())
    zone["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": {}}
    (root / "utm31" / "zarr.json").write_text(json.dumps(zone))
    from numcodecs import blosc

    x = root / "utm31" / "x" / "c" / "0"
    x.write_bytes(blosc.Blosc(cname="lz4", clevel=1).encode(np.frombuffer(blosc.Blosc().decode(x.read_bytes()), "<f8")))
    assert check_store(store).problems == ()


def test_a_writer_at_work_is_noted_and_its_cell_left_out(store: Store) -> None:
    root = Path(store.objects.root)
    object_path(root, CODES).unlink()
    with file_lock(cell_lock_path(root, 2024, CELL)):
        report = check_store(store)
    assert report.sound
    assert texts(report, "note") == [WHERE + "note: a writer is at work on it; it was not checked"]
    assert not check_store(store).sound


def test_check_changes_nothing_and_reads_what_cannot_be_written(store: Store, tmp_path: Path) -> None:
    root = Path(store.objects.root)
    shutil.rmtree(root / ".tessera")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert check_store(store).sound
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize("whose", ["url", "others"])
def test_stores_without_records_are_refused_in_one_line(store: Store, tmp_path: Path, whose: str) -> None:
    if whose == "url":
        with serving(tmp_path) as (url, _), pytest.raises(InputError, match="is read by URL; check and repair"):
            check_store(open_store(f"{url}/s"))
    else:
        published = create_store(
            tmp_path / "p",
            8,
            ModelIdentity("test", "ab" * 32, 8),
            zones=(31,),
            layout=Layout(8, (), 128, 32, "published"),
        )
        published.write(random_embeddings(replace(BASE, width=4, height=4)), 2024)
        assert check_store(published).sound
        (tmp_path / "p" / "tessera.json").unlink()
        with pytest.raises(InputError, match=r"has no tessera\.json: it is a store of others"):
            check_store(open_store(tmp_path / "p"))


def seams(store: Store) -> list[str]:
    report = check_store(store)
    assert report.sound
    return [problem.line for problem in report.problems]


@pytest.mark.parametrize("along", [8.0, 16.0, 40.0])
def test_an_honest_smooth_field_has_no_seams(tmp_path: Path, along: float) -> None:
    store = new_store(tmp_path / "s")
    store.write(smooth(FOUR, 3, along), 2024)
    report = check_store(store)
    assert (report.cells, report.seams, report.problems) == (4, 4, ())


@pytest.mark.parametrize(("down", "right"), [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1)])
def test_a_cell_written_a_pixel_aside_shows_at_its_borders(tmp_path: Path, down: int, right: int) -> None:
    store = new_store(tmp_path / "s")
    store.write(smooth(FOUR), 2024)
    store.write(moved(RIGHT.window, down, right), 2024)
    lines = seams(store)
    assert len(lines) == 2
    assert lines[0].startswith(f"2024 {CELL.name}: warning: seam with {RIGHT.name}: ")
    assert lines[1].startswith(f"2024 {RIGHT.name}: warning: seam with utm31_e501_n4299: ")


def test_a_cell_of_another_field_shows_at_its_borders(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(smooth(FOUR), 2024)
    store.write(moved(BELOW.window, 0, 0, seed=9), 2024)
    assert [BELOW.name in line for line in seams(store)] == [True, True]


def test_nothing_is_said_of_seams_without_data_or_structure(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    noise = random_embeddings(FOUR, 4, no_data=0)
    store.write(noise, 2024)
    report = check_store(store)
    assert (report.seams, report.problems) == (4, ())
    store.write(random_embeddings(FOUR, 4, no_data=0.9), 2025)
    report = check_store(store, 2025)
    assert (report.seams, report.problems) == (0, ())
    same = Embeddings(
        np.full((256, 256, 8), 3, np.int8),
        np.full((256, 256), 0.1, np.float32),
        np.ones((256, 256, 3), np.uint16),
        MODEL,
        FOUR.grid,
    )
    store.write(same, 2026)
    report = check_store(store, 2026)
    assert (report.seams, report.problems) == (4, ())


def test_memory_is_that_of_a_strip_of_one_cell(tmp_path: Path) -> None:
    layout = Layout(128, (16,), shard=512)
    model = ModelIdentity("test", "ab" * 32, 128, (16, 128))
    store = create_store(tmp_path / "s", 128, model, zones=(31,), layout=layout)
    window = Window(31, 65_536, 550_400, 512, 512)
    assert len(list(window.cells(512))) == 1
    zeros = np.zeros((512, 512, 128), np.int8)
    for number in range(2):
        at = replace(window, west=window.west + 512 * number)
        scales = np.full(at.shape, 0.5, np.float32)
        store.write(Embeddings(zeros, scales, np.zeros((*at.shape, 3), np.uint16), model, at.grid), 2024)
    del zeros
    tracemalloc.start()
    report = check_store(store)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.sound
    assert report.pixels.valid == 2 * 512 * 512
    # a cell's arrays have 42 MB; strips of 32 MiB twice, while one is compared with another
    assert peak < 100e6


def test_the_command_prints_a_summary_and_exits_by_the_verdict(
    store: Store, run: Callable[..., tuple[int, str, str]]
) -> None:
    root = Path(store.objects.root)
    code, out, err = run("store", "check", root)
    assert code == 0
    assert "sound" in out
    assert "valid" in out
    assert "Traceback" not in err
    object_path(root, CODES).unlink()
    code, out, _ = run("store", "check", root, "--year", 2024)
    assert code == 1
    assert out.splitlines()[-1].startswith(WHERE)
    code, out, _ = run("store", "check", root, "--json")
    assert code == 1
    assert json.loads(out)["broken"] == [{"year": 2024, "cell": CELL.name}]
    code, out, err = run("store", "check", root, "--year", 1999)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1 or err.splitlines()[-1].startswith("tessera: ")
    assert run("store", "check", root, "--bbox", "1,2,3,4")[0] == 0
