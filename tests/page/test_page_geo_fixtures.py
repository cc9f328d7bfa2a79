"""The fixtures of the page's geometry are what Python computes now."""

from __future__ import annotations

import json

import numpy as np
from geo_fixtures import FOLDER, areas, utm


def test_places_are_what_python_computes() -> None:
    """Rounding may differ between versions of PROJ, by far less than a millimetre."""
    kept, now = json.loads((FOLDER / "utm.json").read_text()), utm()
    for name, tolerance in (("forward", 1e-5), ("inverse", 1e-10), ("pixels", 0)):
        np.testing.assert_allclose(np.array(kept[name]), np.array(now[name]), rtol=0, atol=tolerance)


def test_pixels_of_areas_are_what_python_computes() -> None:
    """Windows and masks bit by bit."""
    assert json.loads((FOLDER / "areas.json").read_text()) == areas()
