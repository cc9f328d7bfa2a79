"""The fixtures of changes and principal axes are what Python computes now."""

from __future__ import annotations

import json

import numpy as np
from structure_fixtures import FOLDER, axes, changes


def test_distances_are_what_python_computes() -> None:
    kept, now = json.loads((FOLDER / "changes.json").read_text()), changes()
    for name in ("codes", "scales", "distances"):
        assert kept[name] == now[name]
    for name in ("robust", "same"):
        assert np.isclose(kept[name], now[name], rtol=1e-6)


def test_axes_are_what_python_computes() -> None:
    kept, now = json.loads((FOLDER / "axes.json").read_text()), axes()
    assert kept["codes"] == now["codes"]
    for name in ("mean", "axes", "variances"):
        np.testing.assert_allclose(kept[name], now[name], rtol=1e-6, atol=1e-9)
