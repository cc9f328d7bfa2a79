"""What providers call collections and bands."""

from __future__ import annotations

S2_COLLECTIONS = ("sentinel-2-l2a",)
"""Collections of surface reflectance in digital numbers: Planetary Computer's and Earth Search's."""
S1_COLLECTIONS = ("sentinel-1-rtc",)
"""Collections of terrain-corrected gamma0 in linear power: Planetary Computer's. GRD products are something else."""

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

RESAMPLING = {
    SCL: "nearest",
    **dict.fromkeys(("B02", "B03", "B04", "B08"), "nearest"),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), "bilinear"),
    "VV": "nearest",
    "VH": "nearest",
}
"""Onto the 10 m grid. Bilinear is the published choice for 20 m bands (preprocessing of May 2026); 10 m bands are taken
as they are, which is exact where the scene lies on the lattice."""
