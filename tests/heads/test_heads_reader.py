"""What a file of a head says is enough: a reader in plain Python predicts the same map, pixel by pixel.

`TESSERA_TEST_PIXELS=1000000` makes the map of `test_a_reader_in_plain_python_gives_the_same_map` as large.
"""

from __future__ import annotations

import ast
import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from heads_fakes import WINDOW, FakeStore, draw_labels, make_store, make_truth
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_reader import Reader, Vector

from tessera.embeddings import CodedVectors, ModelIdentity, StackedVectors
from tessera.geo import Window
from tessera.heads import HeadInput, fit
from tessera.learners import HEADS, learn

PIXELS = int(os.environ.get("TESSERA_TEST_PIXELS", "4000"))
EXACT = [
    (head, kind)
    for head in ("linear", "prototype", "knn", "forest")
    for kind in ("classes", "numbers")
    if HEADS[head].numbers or kind == "classes"
]


def vectors_of(stacked: StackedVectors) -> list[Vector]:
    parts = [(part.scales.tolist(), part.codes.tolist()) for part in stacked.parts]
    return [[(scales[k], codes[k]) for scales, codes in parts] for k in range(len(stacked))]


def same(found: Any, want: list[float]) -> None:
    """Without numpy's arithmetic: each a Python number, NaN where NaN."""
    wrong = [
        (place, one, other)
        for place, (one, other) in enumerate(zip(found.tolist(), want, strict=True))
        if one != other and not (math.isnan(one) and math.isnan(other))
    ]
    assert wrong == []


def test_the_reader_is_small_and_computes_by_itself() -> None:
    text = (Path(__file__).parent / "plain_reader.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    names = {alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert names == {"__future__", "base64", "json", "math", "operator", "pathlib", "struct", "typing"}


def store_of(pixels: int) -> FakeStore:
    width = round(math.sqrt(pixels))
    window = Window(WINDOW.zone, WINDOW.west, WINDOW.north, width, -(-pixels // width))
    values = make_store(make_truth(window), noise=1.5, window=window).values
    values[::7, ::5] = np.nan
    return wide(FakeStore(values, window, rows=64))


def wide(store: FakeStore) -> FakeStore:
    """The same vectors with 20 dims: 16 together and a rest, as compiled products take them."""
    values = np.tile(store.values, 3)[..., :20] * np.linspace(0.5, 1.5, 20, dtype=np.float32)
    return replace(store, values=values, model=ModelIdentity("fake-nano", "ab" * 32, 20, (4,)))


@pytest.mark.parametrize(("head", "kind"), EXACT)
def test_a_reader_in_plain_python_gives_the_same_map(head: str, kind: str, tmp_path: Path) -> None:
    store = store_of(PIXELS)
    labels = LABELS if kind == "classes" else numbers_of(LABELS)
    # plain Python takes 10 trees and 18 labels a vector, not 100 and 36, so that a million pixels take minutes
    learnt = fit(NEAR, labels, "crop", head, settings={"trees": 10} if head == "forest" else None)
    path = learnt.save(tmp_path / "head.json")
    reader = Reader(path)
    with rasterio.open(learnt.map(store, store.window, 2021, tmp_path / "map.tif", png=False)) as source:
        mapped = source.read(1).reshape(-1)
    coded = StackedVectors.of(store.coded).reshape(-1)
    assert len(mapped) == len(coded) >= PIXELS
    step = 10_000
    for start in range(0, len(coded), step):
        part = coded[start : start + step]
        want = [reader.predict(vector) for vector in vectors_of(part)]
        same(learnt.predict_codes(part), want)
        same(mapped[start : start + step], want)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(EXACT), st.integers(0, 10_000), st.lists(st.integers(1, 20), min_size=1, max_size=3), st.booleans()
)
def test_any_head_of_any_parts_is_read_alike(
    which: tuple[str, str], seed: int, widths: list[int], coarse: bool
) -> None:
    name, kind = which
    rng = np.random.default_rng(seed)

    def draw(count: int) -> StackedVectors:
        low, high = (-2, 3) if coarse else (-128, 128)
        return StackedVectors(
            tuple(
                CodedVectors(
                    rng.integers(low, high, (count, width)).astype(np.int8),
                    rng.choice(rng.uniform(0.001, 0.9, 3).astype(np.float32), count),
                )
                for width in widths
            )
        )

    count, classes = int(rng.integers(6, 40)), 0 if kind == "numbers" else 3
    y = np.arange(count) % 3 if classes else rng.normal(size=count) * 50
    chosen = {"vote": "distance"} if name == "knn" and seed % 2 else None
    head = replace(
        BASE[kind],
        head=name,
        learnt=learn(name, draw(count), y, classes, seed, settings=chosen),
        inputs=tuple(
            HeadInput(2020 + k, width, ModelIdentity("m", "cd" * 32, width)) for k, width in enumerate(widths)
        ),
        trust=None,
        applicability=None,
    )
    new = draw(60)
    new.parts[-1].scales[5] = np.nan
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader(head.save(Path(folder) / "h.json"))
    same(head.predict_codes(new), [reader.predict(vector) for vector in vectors_of(new)])


def numbers_of(labels: dict[str, Any]) -> dict[str, Any]:
    places = [{**one, "properties": {"crop": 0.1 * k}} for k, one in enumerate(labels["features"])]
    return {**labels, "features": places}


NEAR = wide(make_store(make_truth(), noise=1.5))
LABELS = draw_labels(make_truth(), ("b", "a", "3"), 6)
BASE = {"classes": fit(NEAR, LABELS, "crop"), "numbers": fit(NEAR, numbers_of(LABELS), "crop")}
