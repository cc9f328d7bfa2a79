"""What is said of scores that rest on few places, and of prediction sets that rule out little."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tessera.validation import few_tested, few_tested_text, wide_sets_text


@given(st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(0, 40), max_size=20))
def test_tested_classes_below_twenty_places_are_named(places: dict[str, int]) -> None:
    few = few_tested(places)
    assert few == {name: count for name, count in places.items() if count in range(1, 20)}
    text = few_tested_text(places)
    assert bool(text) == bool(few)
    if few:
        tested = sum(count > 0 for count in places.values())
        assert text.startswith(f"all {tested} tested" if len(few) == tested else f"{len(few)} of {tested} tested")
        # of many the table of classes marks each
        named = [f"{name} ({count})" in text for name, count in few.items()]
        assert all(named) if len(few) <= 6 else not any(named)
        assert (" each. Their scores" in text) == (len(few) > 6)


def test_sets_of_nearly_all_classes_are_called_so() -> None:
    assert "A set holds 4.6 of 5 classes" in wide_sets_text(4.6, 5)
    assert "2.0 of 2 classes" in wide_sets_text(2.0, 2)
    for size, classes in ((None, 5), (1.2, 5), (3.7, 5), (1.4, 2), (16.0, 0)):
        assert wide_sets_text(size, classes) == ""
