"""What providers call collections and bands."""

from __future__ import annotations

SCL = "SCL"
S2_KEYS = {
    "B02": ("B02", "blue"),
    "B03": ("B03", "green"),
    "B04": ("B04", "red"),
    "B05": ("B05", "rededge1"),
    "B06": ("B06", "rededge2"),
    "B07": ("B07", "rededge3"),
    "B08": ("B08", "nir"),
    "B8A": ("B8A", "nir08"),
    "B11": ("B11", "swir16"),
    "B12": ("B12", "swir22"),
    SCL: ("SCL", "scl"),
}
"""Asset keys of each band: Planetary Computer's, then Earth Search's."""
S1_KEYS = {"VV": ("vv", "VV"), "VH": ("vh", "VH")}
