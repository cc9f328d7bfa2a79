"""A second reader of head files, after docs/head-format.md: Python's own integers and floats, and no tessera.

`Reader(path).predict(vector)` gives what a map holds for a vector: `[(scale, [codes]), ...]`, one pair an input.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from operator import mul
from pathlib import Path
from typing import Any

LETTERS = {"int8": "b", "int16": "h", "int32": "i", "int64": "q", "float32": "f", "float64": "d"}
NO_DATA = 255

Vector = list[tuple[float, list[int]]]


def numbers(packed: dict[str, Any]) -> list[Any]:
    """The numbers of an array, the last axis fastest."""
    data = base64.b64decode(packed["data"], validate=True)
    return list(struct.unpack(f"<{math.prod(packed['shape'])}{LETTERS[packed['dtype']]}", data))


def rows(packed: dict[str, Any]) -> list[list[Any]]:
    """The rows of an array of two axes."""
    flat, (count, width) = numbers(packed), packed["shape"]
    return [flat[k * width : (k + 1) * width] for k in range(count)]


def float32(number: float) -> float:
    """The nearest float32."""
    found: float = struct.unpack("<f", struct.pack("<f", number))[0]
    return found


def dot(one: list[int], other: list[int]) -> int:
    assert len(one) == len(other)
    return sum(map(mul, one, other))


def first_of_highest(scores: list[float]) -> int:
    return scores.index(max(scores))


class Reader:
    """A head of classes or numbers: linear, prototype, knn or forest."""

    def __init__(self, path: Path) -> None:
        head = json.loads(path.read_text(encoding="utf-8"))
        assert (head["format"], head["version"]) == ("tessera-head", 3)
        self.classes, self.values = head["classes"], head["values"]
        self.dims = [one["dims"] for one in head["inputs"]]
        arrays = head["arrays"]
        if head["head"] in ("linear", "prototype"):
            self.bias, self.scale = numbers(arrays["bias"]), rows(arrays["scale"])
            self.weights = [self.split(row) for row in rows(arrays["weights"])]
            self.scores = self.linear
        elif head["head"] == "knn":
            self.labels = [
                list(zip(scales, self.split(codes), strict=True))
                for scales, codes in zip(rows(arrays["scales"]), rows(arrays["codes"]), strict=True)
            ]
            self.squares = [[(s * s) * float(dot(q, q)) for s, q in label] for label in self.labels]
            self.target, self.neighbours = numbers(arrays["target"]), numbers(arrays["neighbours"])[0]
            self.by_distance = "vote" in arrays
            self.scores = self.knn
        elif head["head"] == "forest":
            self.leaves = rows(arrays["values"])
            self.trees = list(self.grow(arrays))
            self.scores = self.forest
        else:
            raise ValueError(head["head"])

    def split(self, row: list[int]) -> list[list[int]]:
        """The codes or weights of each part."""
        starts = [sum(self.dims[:k]) for k in range(len(self.dims))]
        return [row[start : start + width] for start, width in zip(starts, self.dims, strict=True)]

    def grow(self, arrays: dict[str, Any]) -> Any:
        """Each tree as nodes (feature, threshold, first child, row of the leaf)."""
        feature, threshold, leaf = (numbers(arrays[name]) for name in ("feature", "threshold", "leaf"))
        start = passed = 0
        for size in numbers(arrays["sizes"]):
            nodes, inner = [], 0
            for place in range(start, start + size):
                if feature[place] < 0:
                    nodes.append((-1, 0.0, 0, leaf[passed]))
                    passed += 1
                else:
                    nodes.append((feature[place], threshold[place], 1 + 2 * inner, 0))
                    inner += 1
            start += size
            yield nodes

    def linear(self, vector: Vector) -> list[float]:
        out = []
        for weights, scale, bias in zip(self.weights, self.scale, self.bias, strict=True):
            score = bias
            for (own, codes), part, step in zip(vector, weights, scale, strict=True):
                score = score + own * (step * float(dot(part, codes)))
            out.append(score)
        return out

    def knn(self, vector: Vector) -> list[float]:
        order = []
        for index, (label, squares) in enumerate(zip(self.labels, self.squares, strict=True)):
            far = 0.0
            for (s, q), square, (t, codes) in zip(label, squares, vector, strict=True):
                far = far + (square - (t * (2.0 * s)) * float(dot(q, codes)))
            order.append((far, index))
        nearest = sorted(order)[: self.neighbours]
        weights = [1.0] * self.neighbours
        if self.by_distance:
            own = 0.0
            for t, codes in vector:
                own = own + (t * t) * float(dot(codes, codes))
            far2 = [far + own for far, _ in nearest]
            weights = [1 / math.sqrt(far) if far > 0 else 1.0 for far in far2]
            if min(far2) <= 0:
                weights = [float(far <= 0) for far in far2]
        votes = [0.0] * max(1, len(self.classes))
        whole = 0.0
        for (_, index), weight in zip(nearest, weights, strict=True):
            whole = whole + weight
            votes[self.target[index] if self.classes else 0] += weight * (1.0 if self.classes else self.target[index])
        return [vote / whole for vote in votes]

    def forest(self, vector: Vector) -> list[float]:
        values = [float32(code * scale) for scale, codes in vector for code in codes]
        total = [0.0] * len(self.leaves[0])
        for nodes in self.trees:
            feature, threshold, child, row = nodes[0]
            while feature >= 0:
                feature, threshold, child, row = nodes[child + (values[feature] > threshold)]
            total = [one + other for one, other in zip(total, self.leaves[row], strict=True)]
        return [one / len(self.trees) for one in total]

    def predict(self, vector: Vector) -> float:
        """The value on a map: a class's value or 255, or a float32 number or NaN."""
        if not all(math.isfinite(scale) and scale > 0 for scale, _ in vector):
            return NO_DATA if self.classes else math.nan
        scores = self.scores(vector)
        return self.values[first_of_highest(scores)] if self.classes else float32(scores[0])
