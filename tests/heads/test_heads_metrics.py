from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from tessera.base import InputError
from tessera.validation import confusion, scores

PAIRS = st.integers(2, 6).flatmap(
    lambda k: st.tuples(
        st.just(k), st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=60)
    )
)


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_scores_equal_scikit_learn(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    count, pairs = drawn
    truth, said = np.array(pairs).T
    matrix = confusion(truth, said, count)
    np.testing.assert_array_equal(matrix, reference.confusion_matrix(truth, said, labels=range(count)))
    found = scores(matrix)
    per_class: Any = reference.precision_recall_fscore_support(truth, said, labels=range(count), zero_division=0)
    for mine, theirs in zip((found.precision, found.recall, found.f1, found.support), per_class, strict=True):
        np.testing.assert_allclose(mine, theirs)
    assert found.accuracy == pytest.approx(reference.accuracy_score(truth, said))
    occurring = np.unique(truth)
    keep = {"labels": occurring, "average": "macro", "zero_division": 0}
    assert found.macro_f1 == pytest.approx(reference.f1_score(truth, said, **keep))
    assert found.balanced_accuracy == pytest.approx(reference.recall_score(truth, said, **keep))


def test_names_and_indices_agree() -> None:
    names = ["b", "a", "b", "c"]
    said = ["b", "b", "a", "c"]
    place = {"a": 0, "b": 1, "c": 2}
    by_index = confusion([place[n] for n in names], [place[n] for n in said], 3)
    np.testing.assert_array_equal(confusion(names, said, ("a", "b", "c")), by_index)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: confusion([0, 1], [0], 2), "2 values of truth and 1 of prediction"),
        (lambda: confusion([0, 2], [0, 1], 2), "truth with values outside 0 to 1"),
        (lambda: confusion([0.5], [0], 2), "truth with values outside 0 to 1"),
        (lambda: confusion(["x"], ["a"], ["a", "b"]), "truth holds 'x'; expected one of a, b"),
        (lambda: confusion([[0]], [0], 2), r"truth of shape \(1, 1\)"),
        (lambda: scores(np.zeros((2, 2), dtype=np.int64)), "counts nothing"),
        (lambda: scores(np.zeros((2, 3), dtype=np.int64)), "expected a square"),
    ],
)
def test_bad_input_is_one_line(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
