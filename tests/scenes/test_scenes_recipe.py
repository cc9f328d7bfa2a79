"""Settings of the rules, and the table in which they are documented."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from pathlib import Path

import pytest

import tessera
from tessera.base import InputError
from tessera.cli._scenes import recipe_of
from tessera.scenes import Recipe

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scenes.md"
ROW = re.compile(r"^\| `(\w+)` \| `([^`]+)` \| `([^`]+)` \| (.+) \|$", re.MULTILINE)


def test_the_documented_settings_are_those_of_the_recipe() -> None:
    table = PAGE.read_text().partition("| setting | default | published | meaning |")[2].partition("\n\n")[0]
    rows = ROW.findall(table)
    assert [name for name, *_ in rows] == [field.name for field in fields(Recipe)]
    assert len(rows) == len(table.strip().splitlines()) - 1, "a row that is none"
    # each as --set takes it, onto the other recipe, so that every value counts
    assert recipe_of(True, [f"{name}={value}" for name, value, _, _ in rows]) == Recipe()
    assert recipe_of(False, [f"{name}={value}" for name, _, value, _ in rows]) == Recipe.published()


def test_it_is_a_public_name() -> None:
    assert tessera.Recipe is Recipe
    assert "Recipe" in tessera.__all__


@pytest.mark.parametrize(
    "setting",
    [
        {"offset": "none"},
        {"day": ""},
        {"fine": "lanczos"},
        {"min_coverage_s2": -1},
        {"min_coverage_s1": 100.1},
        {"max_cloud": float("nan")},
        {"orbits": ("ascending", "up")},
    ],
)
def test_a_value_that_cannot_be(setting: dict[str, object]) -> None:
    (name,) = setting
    with pytest.raises(InputError, match=rf"^{name} .*; expected "):
        Recipe(**setting)  # type: ignore[arg-type]


def test_what_provenance_holds_makes_it_again() -> None:
    for recipe in (Recipe(), Recipe.published(), Recipe(orbits=("descending",))):
        told = recipe.to_json()
        assert list(told) == list(asdict(recipe))
        assert Recipe(**told | {"orbits": tuple(told["orbits"])}) == recipe
