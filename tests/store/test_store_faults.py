"""What goes wrong with a store: damage, races, limits, hostile documents."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_helpers import ACROSS, BASE, CELL, LAYOUT, MODEL, centre_of, equal, new_store, random_embeddings, serving

from tessera.base import InputError
from tessera.embeddings import Embeddings, ModelIdentity
from tessera.exchange import export_region
from tessera.geo import Window
from tessera.net import CorruptError, LoadError, NetError, Objects, PermanentError
from tessera.store import create_store, open_store

FORM = LAYOUT.format(LAYOUT.codes)


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(BASE, no_data=0), 2024)
    path = tmp_path / "s" / LAYOUT.key(LAYOUT.codes, CELL, 0)
    whole = path.read_bytes()
    point = [centre_of(BASE, 50, 60)]
    for position in (0, 5, FORM.index_bytes - 1):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        for read in (lambda: store.read_window(BASE, 2024), lambda: store.sample_points(point, 2024)):
            with pytest.raises(CorruptError, match="index"):
                read()
    for length in (0, 10, FORM.index_bytes, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptError):
            store.read_window(BASE, 2024)
        with pytest.raises(CorruptError):
            store.sample_points(point, 2024)
    flipped = bytearray(whole)
    for position in range(FORM.index_bytes, len(whole), 997):
        flipped[position] ^= 4
    path.write_bytes(flipped)
    with pytest.raises(CorruptError, match="checksum of a chunk"):
        store.read_window(BASE, 2024)
    with pytest.raises(CorruptError, match="checksum of a chunk"):
        store.sample_points(point, 2024, verify=True)
    path.unlink()
    lacking: list[Callable[[], object]] = [
        lambda: store.sample_points(point, 2024),
        lambda: store.read_region(BASE, 2024),
        lambda: store.read_window(BASE, 2024),
    ]
    for ask in lacking:
        with pytest.raises(CorruptError, match="lacks the codes"):
            ask()


def test_a_damaged_cell_is_not_merged_with_and_is_replaced_only_whole(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    whole = random_embeddings(BASE, no_data=0, cube_sha256="x")
    corner = random_embeddings(replace(BASE, width=5, height=5), 3, 0)
    path = tmp_path / "s" / LAYOUT.key(LAYOUT.codes, CELL, 0)
    for harm in (path.unlink, lambda: path.write_bytes(path.read_bytes()[:-7]), lambda: path.write_bytes(b"")):
        store.write(whole, 2024)
        assert store.holds(BASE, 2024, {"cube_sha256": "x"})
        harm()
        assert not store.holds(BASE, 2024, {"cube_sha256": "x"})
        for part in (corner, random_embeddings(BASE, no_data=0.5)):
            with pytest.raises(CorruptError, match=r"to write cell .* anew, use tessera store repair"):
                store.write(part, 2024)
        store.write(whole, 2024)
        assert equal(store.read_window(BASE, 2024), whole)


def test_a_lost_prefix_array_or_record_costs_nothing(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    whole = random_embeddings(BASE, no_data=0.3)
    corner = random_embeddings(replace(BASE, width=5, height=5), 3, 0)
    for lost in (LAYOUT.key(LAYOUT.prefix_arrays[0], CELL, 0), f"commits/2024/{CELL.name}.json"):
        store.write(whole, 2024)
        (tmp_path / "s" / lost).write_bytes(b"{")
        store.write(corner, 2024)
        found = store.read_window(BASE, 2024)
        assert np.array_equal(found.codes[5:], whole.codes[5:])
        point = [centre_of(BASE, 100, 100)]
        assert np.array_equal(
            store.sample_points(point, 2024, dims=2), store.sample_points(point, 2024)[:, :2], equal_nan=True
        )


def test_a_cell_with_a_pending_commit_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(BASE, cube_sha256="a"), 2024)
    assert store.holds(BASE, 2024, {"cube_sha256": "a"})

    def die(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tessera.base.Journal.finish", die)
        with pytest.raises(KeyboardInterrupt):
            store.write(random_embeddings(BASE, 5, cube_sha256="b"), 2024)
    assert not store.holds(BASE, 2024, {"cube_sha256": "a"})


@pytest.mark.parametrize(("status", "kind"), [(503, LoadError), (429, LoadError), (400, PermanentError)])
def test_what_a_server_refuses_is_told_apart(tmp_path: Path, status: int, kind: type[NetError]) -> None:
    new_store(tmp_path / "s")
    with serving(tmp_path, status=status) as (url, _), pytest.raises(kind, match=r"tessera\.json") as caught:
        open_store(f"{url}/s")
    assert type(caught.value) is kind


def test_a_server_with_weak_etags_can_be_read(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(ACROSS), 2024)
    with serving(tmp_path, weak=True) as (url, _):
        assert equal(open_store(f"{url}/s").read_window(ACROSS, 2024), random_embeddings(ACROSS))


def test_a_cell_without_its_record_is_merged_with_all_the_same(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    whole = random_embeddings(BASE, no_data=0)
    corner = random_embeddings(replace(BASE, width=5, height=5), 3, 0)
    store.write(whole, 2024)
    shutil.rmtree(tmp_path / "s" / "commits")
    assert not store.holds(BASE, 2024, {})
    store.write(corner, 2024)
    found = store.read_window(BASE, 2024)
    assert np.array_equal(found.codes[5:], whole.codes[5:])
    assert np.array_equal(found.codes[:5, :5], corner.codes)
    record = store.commit(CELL, 2024)
    assert record is not None
    assert record.pixels["valid"] == 128 * 128


def test_what_was_written_over_is_not_held_and_provenance_cannot_pose_as_more(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    first, other = replace(BASE, width=40, height=40), replace(BASE, width=60, height=10)
    far = replace(BASE, west=BASE.west + 100, width=10, height=10)
    store.write(random_embeddings(first, 1, cube_sha256="a"), 2024)
    store.write(random_embeddings(far, 2, cube_sha256="b"), 2024)
    assert store.holds(first, 2024, {"cube_sha256": "a"})
    store.write(random_embeddings(other, 3, cube_sha256="c"), 2024)
    assert not store.holds(first, 2024, {"cube_sha256": "a"})
    assert store.holds(other, 2024, {"cube_sha256": "c"})
    assert store.holds(far, 2024, {"cube_sha256": "b"})
    place = [BASE.west, BASE.north, 128, 128]
    store.write(replace(random_embeddings(far, 2), provenance={"window": place, "intact": True}), 2024)
    assert not store.holds(BASE, 2024, {})
    assert not store.holds(BASE, 2024, {"window": place, "intact": True})


@pytest.mark.parametrize("over_http", [False, True])
def test_a_write_between_two_reads_never_mixes_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over_http: bool
) -> None:
    store = new_store(tmp_path / "s")
    versions = [random_embeddings(BASE, seed, 0) for seed in range(2)]
    allowed = [version.values()[50, 60] for version in versions]
    point = [centre_of(BASE, 50, 60)]
    with serving(tmp_path) as (url, _):
        reader = open_store(f"{url}/s" if over_http else tmp_path / "s")
        original = Objects.range, Objects.edge
        for turn in range(8):
            store.write(versions[0], 2024)
            reader = open_store(reader.objects.root)
            calls = 0

            def interfering(method: Any) -> Any:
                def call(self: Objects, *args: Any, **kwargs: Any) -> Any:
                    nonlocal calls
                    if not str(args[0]).startswith("tessera"):
                        calls += 1
                        if calls == turn + 1:  # noqa: B023 - called within this turn only
                            with monkeypatch.context() as inner:
                                inner.setattr(Objects, "range", original[0])
                                inner.setattr(Objects, "edge", original[1])
                                store.write(versions[1], 2024)
                    return method(self, *args, **kwargs)

                return call

            with monkeypatch.context() as patch:
                patch.setattr(Objects, "range", interfering(original[0]))
                patch.setattr(Objects, "edge", interfering(original[1]))
                if turn % 2:
                    found = reader.sample_points(point, 2024)[0]
                    assert any(np.array_equal(found, one) for one in allowed)
                else:
                    region = reader.read_region(BASE, 2024).values
                    assert any(np.array_equal(region, version.values()) for version in versions)


def test_years_have_an_end_and_a_lost_root_is_written_again(tmp_path: Path) -> None:
    from tessera.shards import MOST_YEARS, Header
    from tessera.store.commits._writer import ensure_year

    store = new_store(tmp_path / "s")
    store.write(random_embeddings(BASE), 2024)
    root = tmp_path / "s" / "zarr.json"
    whole = root.read_bytes()
    for broken in (None, b'{"attributes": 5}', b"{"):
        root.unlink() if broken is None else root.write_bytes(broken)
        store.write(random_embeddings(BASE), 2024)
        assert root.read_bytes() == whole
    years = tuple(range(2000, 2000 + MOST_YEARS))
    (tmp_path / "s" / "tessera.json").write_bytes(Header(MODEL, LAYOUT, years, (31,)).encode())
    with pytest.raises(InputError, match="64 years already"):
        ensure_year(tmp_path / "s", 1999)


def test_a_region_larger_than_the_machine_is_refused_with_its_size(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s", 128, ModelIdentity("test", "ab" * 32, 128), zones=(31,))
    store.write(
        Embeddings(
            np.zeros((4, 4, 128), np.int8),
            np.full((4, 4), np.nan, np.float32),
            np.zeros((4, 4, 3), np.uint16),
            store.model,
            Window(31, 66_000, 560_000, 4, 4).grid,
        ),
        2024,
    )
    with pytest.raises(InputError, match=r"GB, more than this machine has; read it with iter_region"):
        store.read_region((0.5, 0, 5.5, 80), 2024)
    with pytest.raises(InputError, match="GB are free there"):
        export_region(store, (0.5, 0, 5.5, 80), 2024, tmp_path / "r.npy")
    with pytest.raises(InputError, match="is a folder"):
        export_region(store, (5.0, 50.0, 5.001, 50.001), 2024, _folder(tmp_path / "r.npy"))


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@given(st.binary(min_size=FORM.index_bytes - 4, max_size=FORM.index_bytes - 4), st.integers(0, 10**6))
def test_any_index_is_safe_to_read(body: bytes, size: int) -> None:
    import google_crc32c

    from tessera.shards import decode_index

    data = body + int(google_crc32c.value(body)).to_bytes(4, "little")
    try:
        index = decode_index(data, size, FORM, "x")
    except CorruptError:
        return
    there = index.offsets[index.offsets >= 0]
    assert ((there >= FORM.index_bytes) & (there + FORM.chunk_bytes + 4 <= size)).all()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.sampled_from(["format", "version", "model", "layout", "years", "zones", "dims"]), x)
        ),
        max_leaves=12,
    )
)
def test_any_document_is_safe_to_read(value: Any) -> None:
    from tessera.shards import Header

    good = json.loads(Header(MODEL, LAYOUT, (2024,), (31,)).encode())
    for document in (
        value,
        {**good, "layout": value},
        {**good, "model": value},
        {**good, "years": value},
        {**good, "zones": value},
    ):
        with suppress(InputError):
            Header.decode(json.dumps(document).encode(), "x")
