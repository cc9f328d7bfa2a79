"""A store from a stranger is refused in one line, in bounded memory, and never leads out of its folder."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
from store_damage import CODES, SCALES, append, change_record, object_path, record_path, sign
from store_helpers import BASE, CELL, LAYOUT, centre_of, new_store, random_embeddings, serving

from tessera.base import InputError, TesseraError
from tessera.check import check_store, repair_store
from tessera.net import CorruptError
from tessera.shards import Layout
from tessera.store import Commit, Store, open_store, read_commit, recover_cell
from tessera.store.commits.commit import recover_all

FORM = LAYOUT.format(CODES)
POINT = [centre_of(BASE, 50, 60)]


@contextmanager
def at_most(size: float) -> Iterator[None]:
    """What happens inside may hold so many bytes at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = new_store(tmp_path / "s")
    made.write(random_embeddings(BASE, no_data=0), 2024)
    return made


def document(root: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((root / "tessera.json").read_text())
    return value


def layout_of(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda good: {**good, "layout": {**good["layout"], **values}}


def model_of(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda good: {**good, "model": {**good["model"], **values}}


DOCUMENTS: list[Callable[[dict[str, Any]], Any]] = [
    layout_of(shard=2**63),
    layout_of(shard=2**64 + 128),
    layout_of(shard=-128),
    layout_of(shard=128.0),
    layout_of(shard=True),
    layout_of(shard="128"),
    layout_of(shard=float("nan")),
    layout_of(chunk=0),
    layout_of(chunk=-32),
    layout_of(chunk=2**31),
    layout_of(shard=4096, chunk=1),
    layout_of(dims=2**40),
    layout_of(dims=0),
    layout_of(dims=float("inf")),
    layout_of(dims=10**300),
    layout_of(prefixes=[2, 2]),
    layout_of(prefixes=[10**20]),
    layout_of(prefixes="2"),
    layout_of(prefixes=[[[[[]]]]]),
    layout_of(geometry=["pixels"]),
    layout_of(geometry="../pixels"),
    layout_of(inner_order="F"),
    model_of(dims=float("inf")),
    model_of(dims=2**70),
    model_of(sha256="../../../etc/passwd"),
    model_of(sha256=5),
    model_of(prefix_dims=[float("nan")]),
    model_of(prefix_dims={"a": 1}),
    lambda good: {**good, "years": [2024] * 2},
    lambda good: {**good, "years": [10**400]},
    lambda good: {**good, "years": [2024.0]},
    lambda good: {**good, "years": list(range(2000, 2100))},
    lambda good: {**good, "years": "2024"},
    lambda good: {**good, "zones": [0]},
    lambda good: {**good, "zones": [61]},
    lambda good: {**good, "zones": [31, 31]},
    lambda good: {**good, "zones": [[31]]},
    lambda good: {**good, "zones": 31},
    lambda good: {**good, "version": 2},
    lambda good: [good],
    lambda good: None,
]


@pytest.mark.parametrize("number", range(len(DOCUMENTS)))
def test_a_document_that_cannot_be_is_refused_in_one_line(store: Store, number: int) -> None:
    root = Path(store.objects.root)
    (root / "tessera.json").write_text(json.dumps(DOCUMENTS[number](document(root))))
    with pytest.raises(InputError) as caught:
        open_store(root)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2000


TEXTS = [
    b"",
    b"\xff\xfe\x00",
    b"[" * 4000,
    b'{"a":' * 600,
    b'{"format": "tessera-store", "version": ' + b"9" * 4000 + b"}",
    b"NaN",
    b'"' + b"x" * 4000 + b'"',
    b'{"format": "tessera-store", "version": 1}',
]


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_what_is_no_document_is_refused_in_one_line(store: Store, number: int) -> None:
    root = Path(store.objects.root)
    (root / "tessera.json").write_bytes(TEXTS[number])
    with pytest.raises(InputError):
        open_store(root)


def test_a_key_that_comes_twice_is_refused(store: Store) -> None:
    root = Path(store.objects.root)
    text = (root / "tessera.json").read_text()
    (root / "tessera.json").write_text(text.replace('"years":', '"years": [1999], "years":', 1))
    with pytest.raises(InputError, match="twice"):
        open_store(root)


def test_a_document_of_absurd_length_is_not_read(store: Store) -> None:
    root = Path(store.objects.root)
    with (root / "tessera.json").open("r+b") as file:
        file.truncate(2**40)
    with at_most(5e6), pytest.raises(TesseraError, match="at most 4096 are read"):
        open_store(root)


def crafted(entries: list[tuple[int, int]]) -> bytes:
    """A shard whose index says anything, with a checksum that fits."""
    index = np.full((FORM.side**2, 2), 2**64 - 1, dtype="<u8")
    index[: len(entries)] = np.array(entries, dtype="<u8")
    body = index.tobytes()
    return body + int(google_crc32c.value(body)).to_bytes(4, "little") + bytes(3 * FORM.chunk_bytes)


LENGTH = FORM.chunk_bytes + 4
INDEXES: dict[str, list[tuple[int, int]]] = {
    "beyond the file": [(10**9, LENGTH)],
    "just beyond": [(FORM.index_bytes + 3 * FORM.chunk_bytes - LENGTH + 1, LENGTH)],
    "in the index": [(0, LENGTH)],
    "huge length": [(FORM.index_bytes, 2**63)],
    "sum overflows": [(2**64 - LENGTH, LENGTH)],
    "sum overflows to a fit": [(2**64 - 2, FORM.index_bytes + 2)],
    "offset alone absent": [(2**64 - 1, LENGTH)],
    "length alone absent": [(FORM.index_bytes, 2**64 - 1)],
    "zero length": [(FORM.index_bytes, 0)],
    "overlapping by half": [(FORM.index_bytes, LENGTH), (FORM.index_bytes + LENGTH // 2, LENGTH)],
    "no chunk": [(FORM.index_bytes, LENGTH)],
}


@pytest.mark.parametrize("kind", INDEXES)
def test_an_index_that_points_anywhere_is_refused(store: Store, tmp_path: Path, kind: str) -> None:
    root = Path(store.objects.root)
    object_path(root, CODES).write_bytes(crafted(INDEXES[kind]))
    with serving(tmp_path) as (url, _):
        for opened in (open_store(root), open_store(f"{url}/s")):
            with at_most(20e6), pytest.raises(CorruptError):
                opened.read_window(BASE, 2024)
            with at_most(20e6), pytest.raises(CorruptError):
                opened.sample_points(POINT, 2024, verify=True)
    sign(root)
    assert check_store(store).broken == ((2024, CELL.name),)


def test_an_object_of_absurd_length_is_not_read(store: Store) -> None:
    root = Path(store.objects.root)
    with object_path(root, CODES).open("r+b") as file:
        file.truncate(2**40)
    change = json.loads(record_path(root).read_text())["objects"]
    change["embeddings"]["bytes"] = 2**40
    change_record(root, objects=change)
    report = check_store(store)
    assert any("a shard has at most" in problem.text for problem in report.problems)
    assert report.seconds < 20


def test_an_object_that_is_claimed_longer_than_it_is(store: Store) -> None:
    root = Path(store.objects.root)
    whole = object_path(root, CODES).read_bytes()
    object_path(root, CODES).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptError, match="points outside"):
        store.read_window(BASE, 2024)


KEYS: list[Any] = [
    "../../outside/secret",
    "../s/tessera.json",
    "utm31/../../outside/secret",
    "/etc/passwd",
    "//etc/passwd",
    "C:\\windows\\system.ini",
    "C:secret",
    "..\\..\\outside",
    "utm31/scales\0/c",
    "utm31//scales",
    "./tessera.json",
    "",
    ".",
    "a" * 5000,
    "utm31/scales/c/0/1/\n",
    5,
    None,
    ["utm31"],
]


@pytest.mark.parametrize("key", KEYS, ids=[str(number) for number in range(len(KEYS))])
def test_a_record_whose_keys_climb_is_refused_everywhere(store: Store, tmp_path: Path, key: Any) -> None:
    root = Path(store.objects.root)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    objects = json.loads(record_path(root).read_text())["objects"]
    for name in ("embeddings", "scales"):
        objects[name] = {"key": key, "bytes": 6, "sha256": "2b" * 32}
    change_record(root, objects=objects)
    # a key as long as that is a name that no folder holds
    refused = key != "a" * 5000
    if refused:
        with pytest.raises(InputError):
            read_commit(root, 2024, CELL)
        with pytest.raises(InputError):
            store.info()
    assert not store.holds(BASE, 2024, {})
    report = check_store(store)
    assert report.broken == ((2024, CELL.name),)
    assert all("\n" not in problem.line and "\0" not in problem.line for problem in report.problems)
    assert repair_store(store).dropped == ((2024, CELL.name),)
    assert (tmp_path / "outside" / "secret").read_bytes() == b"secret"
    assert (root / "tessera.json").exists()


VALUES: list[dict[str, Any]] = [
    {"pixels": {"valid": float("inf")}},
    {"pixels": {"valid": float("nan")}},
    {"pixels": [1]},
    {"year": float("inf")},
    {"year": 10**400},
    {"inputs": [{"window": [float("inf"), 0, 1, 1], "provenance": {}}]},
    {"inputs": [{"window": [0, 0], "provenance": {}}]},
    {"inputs": [{"window": [10**30, 0, 1, 1], "provenance": {}}]},
    {"inputs": 5},
    {"objects": []},
    {"objects": {"embeddings": {"key": "a/b", "bytes": float("inf"), "sha256": ""}}},
    {"objects": {"../../x": {"key": "a/b", "bytes": 1, "sha256": ""}}},
    {"chunks": "z" * 10_000},
    {"cell": "utm31\x1b[31m"},
    {"cell": 5},
    {"version": "1"},
]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_a_record_of_absurd_values_is_an_error_of_one_line(store: Store, number: int) -> None:
    root = Path(store.objects.root)
    change_record(root, **VALUES[number])
    report = check_store(store)
    assert report.broken == ((2024, CELL.name),)
    assert all(problem.line.isprintable() for problem in report.problems)
    for ask in (store.info, lambda: store.holds(BASE, 2024, {})):
        with suppress(InputError):
            ask()
    assert repair_store(store).dropped == ((2024, CELL.name),)
    assert check_store(store).sound


def test_a_huge_record_or_intent_is_not_read(store: Store) -> None:
    root = Path(store.objects.root)
    staging = root / ".tessera" / "staging" / "2024" / CELL.name
    staging.mkdir(parents=True)
    for path in (record_path(root), staging / "intent.json"):
        with path.open("wb") as file:
            file.write(b"[" * 100)
            file.truncate(2**33)
    with at_most(30e6):
        with pytest.raises(InputError, match="bytes; at most"):
            read_commit(root, 2024, CELL)
        with pytest.raises(InputError, match="bytes; at most"):
            recover_cell(root, 2024, CELL, LAYOUT)
        report = check_store(store)
    assert len(report.problems) == 2
    assert repair_store(store).dropped == ((2024, CELL.name),)


def intent_of(store: Store) -> tuple[Path, dict[str, Any]]:
    root = Path(store.objects.root)
    staging = root / ".tessera" / "staging" / "2024" / CELL.name
    staging.mkdir(parents=True)
    record = json.loads(record_path(root).read_text())
    return staging / "intent.json", {
        "record": record,
        "keys": {spec.name: LAYOUT.key(spec, CELL, 0) for spec in LAYOUT.arrays},
    }


@pytest.mark.parametrize("key", [*KEYS[:9], "tessera.json", "utm31/scales/zarr.json", "utm31/scales/c/0/0/0"])
def test_an_intent_whose_keys_climb_or_are_others_is_refused(store: Store, tmp_path: Path, key: str) -> None:
    root = Path(store.objects.root)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    before = (root / "tessera.json").read_bytes()
    path, intent = intent_of(store)
    intent["keys"]["scales"] = key
    path.write_text(json.dumps(intent))
    with pytest.raises(InputError):
        recover_cell(root, 2024, CELL, LAYOUT)
    assert recover_all(root, LAYOUT) == 0
    assert repair_store(store).swept == ((2024, CELL.name),)
    assert (tmp_path / "outside" / "secret").read_bytes() == b"secret"
    assert (root / "tessera.json").read_bytes() == before
    assert check_store(store).sound


@pytest.mark.parametrize("name", ["../../../../outside/secret", "record.json", "intent.json", "x", ""])
def test_an_intent_whose_objects_have_other_names_is_refused(store: Store, tmp_path: Path, name: str) -> None:
    root = Path(store.objects.root)
    path, intent = intent_of(store)
    intent["record"]["objects"][name] = intent["record"]["objects"]["scales"]
    path.write_text(json.dumps(intent))
    with pytest.raises(InputError, match="another cell, year or layout"):
        recover_cell(root, 2024, CELL, LAYOUT)
    assert repair_store(store).swept == ((2024, CELL.name),)


@contextmanager
def guarded(tmp_path: Path) -> Iterator[Path]:
    """A folder outside whose files must all be there afterwards, as they were."""
    outside = tmp_path / "outside"
    yield outside
    left = {str(path.relative_to(outside)): path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    assert left
    assert set(left.values()) == {b"mine"}


LINKS = [
    ("utm31/scales", "c/0/2995/380"),
    ("utm31/embeddings/c/0/0", "2995/380"),
    ("commits", f"2024/{CELL.name}.json"),
    ("commits/2024", f"{CELL.name}.json"),
    (".tessera", f"staging/2024/{CELL.name}/scales"),
    (".tessera/staging", f"2024/{CELL.name}/scales"),
    (".tessera/locks", "kept"),
    ("utm31", "zarr.json"),
]


@pytest.mark.parametrize("link", LINKS, ids=[link for link, _ in LINKS])
def test_links_that_lead_out_are_not_followed(store: Store, tmp_path: Path, link: tuple[str, str]) -> None:
    import shutil

    root = Path(store.objects.root)
    place, inside = link
    assert LAYOUT.key(SCALES, CELL, 0) == "utm31/scales/c/0/2995/380"
    with guarded(tmp_path) as outside:
        (outside / inside).parent.mkdir(parents=True)
        (outside / inside).write_bytes(b"mine")
        if (root / place).exists():
            shutil.rmtree(root / place)
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).symlink_to(outside, target_is_directory=True)
        listed = set(outside.rglob("*"))
        with suppress(TesseraError):
            check_store(store)
        with suppress(TesseraError):
            repair_store(store)
        with suppress(TesseraError):
            recover_all(root, LAYOUT)
        assert set(outside.rglob("*")) == listed


def test_a_link_in_the_place_of_a_file_is_removed_and_its_target_stays(store: Store, tmp_path: Path) -> None:
    root = Path(store.objects.root)
    with guarded(tmp_path) as outside:
        outside.mkdir()
        (outside / "scales").write_bytes(b"mine")
        (outside / "record").write_bytes(b"mine")
        for path, target in ((object_path(root, SCALES), "scales"), (record_path(root), "record")):
            path.unlink()
            path.symlink_to(outside / target)
        report = check_store(store)
        assert not report.sound
        assert any("is a symbolic link" in problem.text or "is no file" in problem.text for problem in report.problems)
        repair_store(store)


def test_a_pipe_or_device_in_the_place_of_a_file_is_not_opened(store: Store) -> None:
    root = Path(store.objects.root)
    object_path(root, CODES).unlink()
    os.mkfifo(object_path(root, CODES))
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(check_store(store).sound), daemon=True)
    thread.start()
    thread.join(20)
    assert done == [False]


@contextmanager
def answering(head: Callable[[str], bytes], body: Callable[[str], Iterator[bytes]]) -> Iterator[str]:
    """A server that says whatever it likes."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                line, _ = server.accept()
            except TimeoutError:
                continue
            with line, suppress(OSError):
                line.settimeout(5)
                asked = b""
                while b"\r\n\r\n" not in asked:
                    asked += line.recv(4096)
                path = asked.split()[1].decode()
                line.sendall(head(path))
                for part in body(path):
                    if stop.is_set():
                        break
                    line.sendall(part)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        server.close()


def endless() -> Iterator[bytes]:
    for _ in range(4096):
        yield bytes(2**16)


def grown() -> float:
    """Most memory that this process has held, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


HEADS = {
    "a length of 2^62": b"HTTP/1.1 200 OK\r\nContent-Length: 4611686018427387904\r\nConnection: close\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("kind", HEADS)
def test_an_endless_document_is_refused_in_bounded_memory(kind: str) -> None:
    before = grown()
    with answering(lambda path: HEADS[kind], lambda path: endless()) as url, pytest.raises(TesseraError):
        open_store(f"{url}/s", cache=False)
    assert grown() - before < 60e6


def test_more_bytes_than_were_asked_for_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(BASE, no_data=0), 2024)
    about = (tmp_path / "s" / "tessera.json").read_bytes()

    def head(path: str) -> bytes:
        if path.endswith("tessera.json"):
            return f"HTTP/1.1 200 OK\r\nContent-Length: {len(about)}\r\nConnection: close\r\n\r\n".encode()
        size, last = FORM.index_bytes, FORM.index_bytes - 1
        return (
            f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-{last}/{10 * size}\r\n"
            f'Content-Length: {4096 * 2**16}\r\nETag: "a"\r\nConnection: close\r\n\r\n'
        ).encode()

    def body(path: str) -> Iterator[bytes]:
        return iter([about]) if path.endswith("tessera.json") else endless()

    with answering(head, body) as url:
        opened = open_store(f"{url}/s", cache=False)
        before = grown()
        with pytest.raises(TesseraError):
            opened.sample_points(POINT, 2024)
        assert grown() - before < 60e6


def test_chunks_so_small_that_the_index_is_huge_are_refused() -> None:
    with pytest.raises(InputError):
        Layout(8, (), shard=4096, chunk=1)


def test_names_that_a_terminal_would_obey_are_not_printed(
    store: Store, run: Callable[..., tuple[int, str, str]]
) -> None:
    root = Path(store.objects.root)
    (root / "commits" / "2024" / "utm31\x1b[2J.json").write_text("{}")
    (root / "utm31" / "scales" / "c" / "0" / "\x1b]0;x\x07").mkdir()
    change_record(root, model="\x1b[31m" * 13)
    code, out, err = run("store", "check", root)
    assert code == 1
    assert "\x1b" not in out + err
    value = document(root)
    value["model"]["name"] = "nice\x1b[2J"
    (root / "tessera.json").write_text(json.dumps(value))
    code, out, err = run("store", "info", root)
    assert "\x1b" not in out + err


def foreign(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A store of the published geometry whose root says anything."""
    from tessera.embeddings import ModelIdentity
    from tessera.store import create_store

    root = tmp_path / "p"
    layout = Layout(8, (), 128, 32, "published")
    made = create_store(root, 8, ModelIdentity("test", "ab" * 32, 8), zones=(31,), layout=layout)
    made.write(random_embeddings(replace(BASE, width=2, height=2)), 2024)
    (root / "tessera.json").unlink()
    value = json.loads((root / "zarr.json").read_text())
    change(value)
    (root / "zarr.json").write_text(json.dumps(value))
    return root


def node(value: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = value["consolidated_metadata"]["metadata"][name]
    return found


FOREIGN: list[Callable[[dict[str, Any]], object]] = [
    lambda value: value["attributes"].update({"geoemb:dimensions": 10**18}),
    lambda value: value["attributes"].update({"geoemb:depths": [{"dimensions": [], "array": {}}]}),
    lambda value: node(value, "utm31").update(attributes=None),
    lambda value: node(value, "utm31").update(attributes=[1]),
    lambda value: node(value, "utm31/scales").update(shape=[1, float("inf"), 5]),
    lambda value: node(value, "utm31/scales").update(shape=[1, 10**18, 10**18]),
    lambda value: node(value, "utm31/scales")["chunk_grid"]["configuration"].update(chunk_shape=[1, 1e400, 1e400]),
    lambda value: node(value, "utm31/scales")["chunk_grid"]["configuration"].update(chunk_shape=[1, 2**62, 2**62]),
    lambda value: node(value, "utm31/scales")["codecs"][0]["configuration"].update(chunk_shape=[1, 0, 0]),
    lambda value: node(value, "utm31/scales").update(codecs=[{"name": "sharding_indexed", "configuration": []}]),
    lambda value: node(value, "utm31/scales").update(chunk_key_encoding=5),
    lambda value: node(value, "utm31/time").update(shape=[float("inf")]),
    lambda value: node(value, "utm31/time").update(shape=[10**15]),
    lambda value: node(value, "utm31/time").update(codecs=[5]),
    lambda value: node(value, "utm31/time").update(data_type="V1000000000"),
    lambda value: node(value, "utm31")["attributes"].update({"spatial:transform": [10, 0, 1e308, 0, -10, 1e308]}),
    lambda value: node(value, "utm31")["attributes"].update({"spatial:transform": ["x"] * 6}),
    lambda value: value["consolidated_metadata"]["metadata"].update({"utm99": {}}),
    lambda value: value.update(attributes="abc"),
    lambda value: value.update(consolidated_metadata=[]),
]


@pytest.mark.parametrize("number", range(len(FOREIGN)))
def test_metadata_of_others_that_cannot_be_is_refused_in_one_line(tmp_path: Path, number: int) -> None:
    root = foreign(tmp_path, FOREIGN[number])
    with at_most(60e6), pytest.raises(TesseraError) as caught:
        open_store(root)
    assert "\n" not in str(caught.value)


def test_a_record_says_what_it_is_whatever_else_lies_in_it(store: Store) -> None:
    root = Path(store.objects.root)
    good = json.loads(record_path(root).read_text())
    assert Commit.from_json({**good, "more": [1] * 1000}, "x") == store.commit(CELL, 2024)
    append(record_path(root), b" " * 1000)
    assert check_store(store).sound
