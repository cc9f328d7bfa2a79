"""Arguments of another type than a public verb takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pytest

import tessera
from tessera.base import InputError, Progress, check_fields, checked, silent

if TYPE_CHECKING:
    from somewhere import Unknown  # type: ignore[import-not-found]


class Named(Protocol):
    """Not of a room, so nothing is known of it."""

    name: str


@checked
def verb(
    path: str | Path,
    year: int | Sequence[int] | None = None,
    share: float = 0.5,
    *,
    kind: Literal["a", "b"] = "a",
    flag: bool = False,
    extra: dict[str, Any] | None = None,
    other: Unknown | None = None,
    anything: object = None,
    progress: Progress = silent,
) -> tuple[Any, ...]:
    return path, year, share, kind, flag, extra, other, anything


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"path": Path("x")},
        {"path": "\udcff.tif"},
        {"year": np.int64(2023)},
        {"year": [2023, 2024]},
        {"year": np.array([2023])},
        {"share": 1},
        {"share": np.float32(1)},
        {"flag": np.bool_(True)},
        {"extra": {}},
        {"other": 3},
        {"anything": object()},
        {"progress": print},
    ],
)
def test_right_types_pass(given: dict[str, Any]) -> None:
    assert verb(**{"path": "x", **given})[0] == given.get("path", "x")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"path": 3}, "path 3 of verb; expected str or Path"),
        ({"path": None}, "path None of verb; expected str or Path"),
        ({"path": b"x"}, "path b.x. of verb"),
        ({"path": "\ud800"}, r"path '.ud800' of verb holds half of a character"),
        ({"year": "2023a"}, "year '2023a' of verb; expected int, Sequence or None"),
        ({"year": 1.5}, "year 1.5 of verb"),
        ({"year": True}, "year True of verb"),
        ({"share": "1"}, "share '1' of verb; expected float"),
        ({"kind": np.zeros(3)}, "kind array"),
        ({"flag": 1}, "flag 1 of verb; expected bool"),
        ({"extra": [1]}, r"extra \[1\] of verb"),
        ({"progress": 3}, "progress 3 of verb; expected Progress"),
        ({"progress": object()}, "progress <object"),
        ({"year": "\x1b[2J" * 99}, "year .* of verb"),
    ],
)
def test_wrong_types_are_one_line_that_names_the_parameter(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        verb(**{"path": "x", **given})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_fields_of_a_dataclass() -> None:
    @dataclass(frozen=True)
    class Point:
        x: int
        name: str | None = None

        def __post_init__(self) -> None:
            check_fields(self)

    assert Point(1, "a").x == 1
    with pytest.raises(InputError, match="x 'b' of Point; expected int"):
        Point("b")  # type: ignore[arg-type]


_CALLS: dict[str, Callable[[], object]] = {
    "open_store": lambda: tessera.open_store(3),  # type: ignore[arg-type]
    "open_store dataset": lambda: tessera.open_store("x", dataset=3),  # type: ignore[arg-type]
    "create_store": lambda: tessera.create_store(None, 8),  # type: ignore[arg-type]
    "create_store zones": lambda: tessera.create_store("x", 8, None, zones=(float("nan"),)),  # type: ignore[arg-type]
    "open_cube": lambda: tessera.open_cube(None),  # type: ignore[arg-type]
    "write_cube": lambda: tessera.write_cube("x", "y"),  # type: ignore[arg-type]
    "export_dpixel": lambda: tessera.export_dpixel(None, "y"),  # type: ignore[arg-type]
    "load_encoder": lambda: tessera.load_encoder(3),  # type: ignore[arg-type]
    "load_head": lambda: tessera.load_head(3),  # type: ignore[arg-type]
    "parse_area": lambda: tessera.parse_area(5),
    "fit": lambda: tessera.fit(None, None, "x"),
    "build_cube": lambda: tessera.build_cube(5, 2023, source="x"),
    "build_cube year": lambda: tessera.build_cube((5, 50, 5.1, 50.1), "2023a", source="x"),
    "build_cube source": lambda: tessera.build_cube((5, 50, 5.1, 50.1), 2023, source=3),
    "simulate": lambda: tessera.simulate("x", "y", 2023),  # type: ignore[arg-type]
    "Recipe": lambda: tessera.Recipe(max_cloud=None),  # type: ignore[arg-type]
    "Recipe orbits": lambda: tessera.Recipe(orbits=3),  # type: ignore[arg-type]
    "ModelIdentity": lambda: tessera.ModelIdentity("a", None, 8),  # type: ignore[arg-type]
    "Embeddings": lambda: tessera.Embeddings(None, None, None, None),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", _CALLS)
def test_public_verbs_refuse_what_is_no_argument_of_theirs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        _CALLS[name]()
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
