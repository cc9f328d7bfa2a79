"""What the published v2 students demand of their input (geotessera/TESSERA-V-2.0-2B-*)."""

from __future__ import annotations

from .spec import InputSpec, Quantiser, Sampling, Statistics

STUDENT_SPEC = InputSpec(
    family="v2-student",
    s2_bands=("B04", "B02", "B03", "B08", "B8A", "B05", "B06", "B07", "B11", "B12"),
    s1_bands=("VV", "VH"),
    s2=Statistics(
        mean=(
            1633.0042, 1341.1090, 1539.5536, 3054.8269, 3117.4658,
            2004.1648, 2694.7275, 2945.1504, 2266.6079, 1657.3094,
        ),
        std=(
            1999.4603, 2014.7549, 1929.2201, 1754.2493, 1649.9807,
            1936.8988, 1748.6041, 1708.6991, 1207.5250, 1108.6046,
        ),
    ),
    s1_asc=Statistics(mean=(5909.3921, 3405.0322), std=(1507.1750, 1531.2615)),
    s1_desc=Statistics(mean=(5816.1382, 3277.7576), std=(1554.6475, 1546.4733)),
    sampling=Sampling(rule="v2", bins=tuple(range(8, 257, 8))),
    dims=128,
    prefix_dims=(16, 32, 64, 128),
    quantiser=Quantiser(floor=1e-12, low=-127),
)  # fmt: skip
"""Statistics, bins and quantiser of the published student code (tessera_infer_v2/student), its table C."""
