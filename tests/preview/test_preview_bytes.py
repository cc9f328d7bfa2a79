"""What is derived has the bytes that the version before the shared codec wrote; digests are of that version."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from preview_helpers import CELL, YEAR, embeddings, files_of, new_store

from tessera import __version__
from tessera.geo import Window
from tessera.preview import update_preview

DIGESTS = {
    "d10/rgb": "283a01fbfd765d9b1558f22cf20d03b5906a224eb9c0c94d0ff31d04cd9a66b9",
    "d1280/embeddings": "8aade8154755af532240b555e1d63dc86232d4e31099c72f6411185fe94c379e",
    "d1280/scales": "215536e45e67ed78e40e3bdbefa19cc9b93bf429f2a62b57fa63b13aa09dd839",
    "d1280/valid": "fb1b977c8d4c33c7dbe1bba1f8fc99d591ae91d846d68584e95c9c986a5e8f08",
    "d160/embeddings": "8a0e9f830d7c5dbb591367d4b4dc40fe7268eb6e669f3ff87edec489c7996093",
    "d160/rgb": "afc8b6501e1ecd0bd4865e4ceaa4e4548eeeba076676e917aafb6c11d514d774",
    "d160/scales": "fe96354186991c6287102f2df73a51ecede47597e13c26eb9410f9933285716b",
    "d160/valid": "3cd18436c4f290050c5895a273a61afd6da458386af5f5e7237e94cde1ef0100",
    "documents": "670b9c6c9c1c6ccc838cb125c464ef9e681d1aaf50b0405ed5e43a56fdd7c828",
}


def group_of(key: str) -> str | None:
    """The kind of a derived file; None for those whose bytes are a compressor's."""
    name = key.rsplit("/", 1)[-1]
    if name.endswith(".json"):
        return "documents"
    parts = key.split("/")
    if parts[0] != "overviews" or parts[3] in ("x", "y", "time", "band"):
        return None
    return f"{parts[2]}/{parts[3]}"


def digests(folder: Path) -> dict[str, str]:
    found: dict[str, hashlib._Hash] = {}
    for key, data in sorted(files_of(folder).items()):
        group = group_of(key)
        if group is not None:
            text = data.replace(__version__.encode(), b"VERSION")
            found.setdefault(group, hashlib.sha256()).update(key.encode() + b"\0" + text)
    return {group: digest.hexdigest() for group, digest in sorted(found.items())}


def test_derived_files_have_the_bytes_of_the_version_before(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s", (31, 32))
    base = CELL.window
    for seed, window in enumerate([base, Window(31, base.west + 112, base.north + 128, 160, 144)]):
        rng = np.random.default_rng(seed)
        height, width = window.height // 16, window.width // 16
        # squares of one value, so that means are exact whatever sums them
        codes = rng.integers(-127, 128, (height, width, 8)).repeat(16, axis=0).repeat(16, axis=1)
        scales = (2.0 ** -rng.integers(3, 9, (height, width))).repeat(16, axis=0).repeat(16, axis=1)
        scales[rng.random((height, width)).repeat(16, axis=0).repeat(16, axis=1) < 0.2] = np.nan
        scales[:16, 16:48] = np.inf
        codes[~np.isfinite(scales)] = 0
        store.write(embeddings(window, codes, scales), YEAR)
    update_preview(store, colours="bands", full=True)
    assert digests(tmp_path / "s") == DIGESTS
