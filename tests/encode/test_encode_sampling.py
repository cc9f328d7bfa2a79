"""The rules that draw nothing, against the published ones written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from encode_tiny import indices_by_hand
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.encode import RULES, sample_indices
from tessera.models import FAMILIES, STUDENT_SPEC
from tessera.models.spec import SAMPLING_RULES

BINS = STUDENT_SPEC.sampling.bins
DETERMINISTIC = ("v1.1", "v2")


@pytest.mark.parametrize("rule", DETERMINISTIC)
def test_the_rules_are_the_published_ones_for_every_number_of_observations(rule: str) -> None:
    for n in range(1, 701):
        assert sample_indices(rule, BINS, n).tolist() == indices_by_hand(rule, n)


@given(st.sampled_from(DETERMINISTIC), st.integers(1, 700))
def test_every_observation_enters_up_to_256_and_the_sequence_has_a_published_length(rule: str, n: int) -> None:
    indices = sample_indices(rule, BINS, n)
    assert len(indices) in BINS
    if n <= 256:
        assert indices[:n].tolist() == list(range(n))
        assert set(indices.tolist()) == set(range(n))
        assert len(indices) - n < 8
    else:
        assert len(indices) == 256
        assert (np.diff(indices) > 0).all()
        assert 0 <= indices[0] <= indices[-1] < n


@given(st.sampled_from(DETERMINISTIC), st.sets(st.integers(1, 400), min_size=1, max_size=6), st.integers(1, 500))
def test_any_ascending_lengths_are_filled(rule: str, sizes: set[int], n: int) -> None:
    bins = tuple(sorted(sizes))
    indices = sample_indices(rule, bins, n)
    assert len(indices) == next((size for size in bins if size >= n), bins[-1])
    assert indices.min() >= 0
    assert indices.max() < n
    assert len(np.unique(indices)) == min(n, len(indices))


def test_indices_that_are_kept_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        sample_indices("v2", BINS, 5)[0] = 1


def test_there_is_a_rule_for_every_name_that_a_specification_may_hold() -> None:
    assert tuple(RULES) == SAMPLING_RULES
    for family in FAMILIES.values():
        assert {spec.sampling.rule for spec in family.specs.values()} <= RULES.keys()


@pytest.mark.parametrize("rule", ["v7", "v1.0", ""])
def test_a_rule_that_is_unknown_or_draws_is_refused(rule: str) -> None:
    with pytest.raises(InputError, match=rf"sampling rule '{rule}'; expected one of v1\.1, v2$"):
        sample_indices(rule, BINS, 3)
