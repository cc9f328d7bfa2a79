"""What these tests share with those of the folder above, found also where this folder is run alone."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from scenes_helpers import EARTH_SEARCH, ring, write_tiff

__all__ = ["EARTH_SEARCH", "ring", "write_tiff"]
