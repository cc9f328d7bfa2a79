"""Weights of a stranger: small files that would take all memory or hang are one line, and nothing is carried out."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
import torch
from models_tiny import tiny_of

from tessera.base import InputError
from tessera.models import load_torch_file, read_checkpoint, write_checkpoint, write_published

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as told:
        call()
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 600


def _with_pickle(path: Path, data: bytes) -> Path:
    """A file of torch.save with another list of names."""
    whole = io.BytesIO()
    torch.save({"a": torch.zeros(4)}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            target.writestr(entry, data if entry.filename.endswith("data.pkl") else source.read(entry))
    return path


def _doubled(levels: int) -> bytes:
    """A tuple that names the one before twice, at each level: 2^levels values in a few bytes."""
    made = b"\x80\x02}\x29q\x00"
    for level in range(levels):
        made += b"h" + bytes([level]) + b"\x86q" + bytes([level + 1])
    return made + b"K\x01s."


@pytest.mark.parametrize("levels", [30, 60])
def test_a_key_of_tuples_that_name_each_other_twice_does_not_hang(tmp_path: Path, levels: int) -> None:
    path = _with_pickle(tmp_path / "a.pt", _doubled(levels))
    assert path.stat().st_size < 2000
    _refused(lambda: read_checkpoint(path), "each counted as often as it is named")


def test_values_that_name_each_other_twice_do_not_hang(tmp_path: Path) -> None:
    for empty in (list, dict):
        value: Any = "x"
        for _ in range(40):
            value = [value, value] if empty is list else {"a": value, "b": value}
        torch.save({"args": {"matryoshka_dims": value}, "model": {}}, tmp_path / "a.pt")
        _refused(lambda: read_checkpoint(tmp_path / "a.pt"), "each counted as often as it is named")


def test_deep_nesting_does_not_end_the_process(tmp_path: Path) -> None:
    for step in (b"\x85", b"q\x00\x85", b"(\x88t"):
        data = b"\x80\x02}\x29" + step * 30_000 + b"K\x01s."
        _refused(lambda data=data: read_checkpoint(_with_pickle(tmp_path / "a.pt", data)), "nested|truncated|deep")  # type: ignore[misc]
    value: Any = []
    value.append(value)
    torch.save({"args": value, "model": {}}, tmp_path / "b.pt")
    _refused(lambda: read_checkpoint(tmp_path / "b.pt"), "args is no dict")


def test_names_that_share_a_storage_are_counted(tmp_path: Path) -> None:
    shared = torch.zeros(1_000_000, dtype=torch.float16)
    state = {f"s2_backbone.{number}": shared for number in range(2000)}
    torch.save({"model_state": state}, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 3_000_000
    _refused(lambda: read_checkpoint(tmp_path / "a.pt", "mpc"), "storages are shared by 3 or more names")
    views = {f"s2_backbone.{number}": shared[number:] for number in range(2000)}
    torch.save({"arch": {}, "encoder_state_dict": views}, tmp_path / "b.pt")
    with pytest.raises(InputError):
        read_checkpoint(tmp_path / "b.pt")


def test_storages_and_strides_that_claim_more_than_there_is_are_refused(tmp_path: Path) -> None:
    whole = io.BytesIO()
    torch.save({"model_state": {"s2_backbone.a": torch.zeros(4)}}, whole)
    with zipfile.ZipFile(whole) as source:
        data = source.read(next(name for name in source.namelist() if name.endswith("data.pkl")))
    # how many values the storage has, its tensor's offset, size and stride, in that order
    at = data.index(b"K\x04")
    for count in (b"J\xff\xff\xff\x7f", b"\x8a\x08" + struct.pack("<q", 2**62), b"J\xff\xff\xff\xff", b"N"):
        path = _with_pickle(tmp_path / "a.pt", data[:at] + count + data[at + 2 :])
        _refused(lambda path=path: load_torch_file(path), "a storage claims")  # type: ignore[misc]
    size = data.rindex(b"K\x04\x85")
    for count in (b"J\xff\xff\xff\x7f", b"\x8a\x08" + struct.pack("<q", 2**62), b"J\xff\xff\xff\xff"):
        path = _with_pickle(tmp_path / "a.pt", data[:size] + count + data[size + 2 :])
        with pytest.raises(InputError):
            read_checkpoint(path, "mpc")
    stride = data.index(b"K\x01\x85")
    for count in (b"J\xff\xff\xff\x7f", b"J\xff\xff\xff\xff", b"K\x00"):
        path = _with_pickle(tmp_path / "a.pt", data[:stride] + count + data[stride + 2 :])
        with pytest.raises(InputError):
            read_checkpoint(path, "mpc")


class _Called:
    """Anything that a pickle may call."""

    def __init__(self, what: Any, *args: Any) -> None:
        self._what = what, args

    def __reduce__(self) -> Any:
        return self._what


def test_calls_that_take_memory_are_not_made(tmp_path: Path) -> None:
    for what in (_Called(bytearray, 10**11), _Called(torch.Tensor, 10**11), _Called(os.system, "true")):
        torch.save({"args": what, "model": {}}, tmp_path / "a.pt")
        _refused(lambda: read_checkpoint(tmp_path / "a.pt"), "holds more than weights")
    torch.save({"args": _Called(range, 10**18), "model": {}}, tmp_path / "a.pt")
    _refused(lambda: read_checkpoint(tmp_path / "a.pt"), "holds more than weights")


def test_pickles_that_are_none_are_one_line(tmp_path: Path) -> None:
    whole = pickle.dumps({"model_state": OrderedDict(a=1)}, protocol=2)
    trials = [whole[:length] for length in range(len(whole))]
    trials += [b"", b".", b"\x80\x02s.", b"\x80\x02h\x07.", b"\x80\x02\x86.", b"\x80\x02t.", b"\x80\x02}Q.", b"\xff"]
    for data in trials:
        path = _with_pickle(tmp_path / "a.pt", data)
        with pytest.raises(InputError) as told:
            read_checkpoint(path)
        assert "\n" not in str(told.value)


def test_a_list_of_names_larger_than_any_is_refused(tmp_path: Path) -> None:
    path = _with_pickle(tmp_path / "a.pt", b"\x80\x02" + b"N0" * 9_000_000 + b"N.")
    _refused(lambda: read_checkpoint(path), "at most .* are read|instruction POP")


def test_entries_that_overlap_are_refused(tmp_path: Path) -> None:
    torch.save({"model": torch.zeros(10_000)}, tmp_path / "a.pt")
    data = (tmp_path / "a.pt").read_bytes()
    end = data.rindex(b"PK\x05\x06")
    count, length, start = struct.unpack("<HII", data[end + 10 : end + 20])
    directory = data[start : start + length]
    big = max(zipfile.ZipFile(tmp_path / "a.pt").infolist(), key=lambda entry: entry.file_size)
    at = directory.index(big.filename.encode()) - 46
    entry = directory[at : at + 46 + len(big.filename)]
    entry = entry[:30] + b"\0\0" + entry[32:]
    copies = b"".join(entry[:46] + entry[46:-1] + bytes([65 + number]) for number in range(20))
    after = struct.pack("<HHII", count + 20, count + 20, length + len(copies), start)
    (tmp_path / "b.pt").write_bytes(data[:start] + directory + copies + data[end : end + 8] + after + data[end + 20 :])
    _refused(lambda: read_checkpoint(tmp_path / "b.pt"), "overlap|damaged")


@pytest.mark.parametrize("header", [2**63, 2**62, 10**12, 10**9, 0, 5])
def test_headers_of_absurd_length_are_refused(tmp_path: Path, header: int) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", header) + b'{"a":1}')
    _refused(lambda: read_checkpoint(path), "safetensors")
    with path.open("r+b") as file:
        file.truncate(2**33)
    _refused(lambda: read_checkpoint(path), "safetensors")


@pytest.mark.parametrize(
    "about",
    [
        {
            "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
            "b": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        },
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
        {"a": {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 0]}},
        {"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F32", "shape": [0, 2**60], "data_offsets": [0, 0]}},
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}},
        {"a": {"dtype": "X", "shape": [4], "data_offsets": [0, 16]}},
        {"__metadata__": {"format": "x" * 100_000}},
    ],
    ids=range(8),
)
def test_headers_that_contradict_their_file_are_one_line(tmp_path: Path, about: dict[str, Any]) -> None:
    text = json.dumps(about).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    with pytest.raises(InputError) as told:
        read_checkpoint(path)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 600


def test_truncated_and_flipped_weights_are_the_same_or_one_line(tmp_path: Path) -> None:
    checkpoint = tiny_of("v2-student")
    write_checkpoint(checkpoint, tmp_path / "a.safetensors")
    write_published(checkpoint, tmp_path / "a.pt")
    generator = torch.Generator().manual_seed(5)
    for name in ("a.safetensors", "a.pt"):
        path = tmp_path / name
        data = path.read_bytes()
        # the ends, where names and offsets lie, are tried more often
        places = torch.randint(0, len(data), (20,), generator=generator).tolist()
        places += torch.randint(0, 600, (20,), generator=generator).tolist()
        places += torch.randint(len(data) - 600, len(data), (20,), generator=generator).tolist()
        trials = [data[: len(data) * part // 9] for part in range(9)]
        for place in places:
            flipped = bytearray(data)
            flipped[place] ^= 1 << (place % 8)
            trials.append(bytes(flipped))
        for trial in trials:
            path.write_bytes(trial)
            try:
                found = read_checkpoint(path)
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017
                continue
            assert found.sha256 == checkpoint.sha256


def test_what_is_no_regular_file_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    for path, words in ((tmp_path / "pipe.pt", "a pipe"), (tmp_path, "a folder"), (tmp_path / "none.pt", "not found")):
        _refused(lambda path=path: read_checkpoint(path), words)  # type: ignore[misc]
