"""Names of classes that are too long, and features without a place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tessera
from tessera.base import InputError
from tessera.labels import Labels, check_class_names

if TYPE_CHECKING:
    from pathlib import Path


def features(names: list[str], geometry: Any) -> dict[str, Any]:
    made = [{"type": "Feature", "geometry": geometry, "properties": {"crop": name}} for name in names]
    return {"type": "FeatureCollection", "features": made}


def test_a_name_may_have_254_letters() -> None:
    check_class_names(["x" * 254], "labels")
    values = np.array(["x" * 254, "y"], dtype=object)
    assert Labels(values).classes[0] == "x" * 254
    with pytest.raises(InputError, match=r"^labels: class 'x+\.\.\.' has 255 letters; expected at most 254$"):
        Labels(np.array(["x" * 255, "y"], dtype=object))


def test_features_without_a_geometry_are_no_missing_values(tmp_path: Path) -> None:
    given = features(["a", "b", "a", "b"], None)
    (tmp_path / "f.geojson").write_text(json.dumps(given))
    for labels in (given, tmp_path / "f.geojson"):
        with pytest.raises(InputError, match=r"none of 4 features has a geometry; expected points or polygons$"):
            tessera.read_labels(labels, "crop")
