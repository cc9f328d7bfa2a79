"""Input specification of each family of published weights: bands, statistics, sampling, dims, quantiser."""

from __future__ import annotations

from dataclasses import replace

from .spec import InputSpec, Quantiser, Sampling, Statistics

S2_BANDS = ("B04", "B02", "B03", "B08", "B8A", "B05", "B06", "B07", "B11", "B12")
S1_BANDS = ("VV", "VH")
BINS = tuple(range(8, 257, 8))
"""Lengths to which v1.1 and v2 repeat or thin observations (the published `num_obs_checkpoints`)."""

_S1_V1 = Statistics(mean=(5484.0407, 3003.7812), std=(1871.2334, 1726.0670))
_S1_TEACHER = Statistics(mean=(5862.7652, 3341.3949), std=(1531.8051, 1540.2014))

STUDENT_SPEC = InputSpec(
    family="v2-student",
    s2_bands=S2_BANDS,
    s1_bands=S1_BANDS,
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
    sampling=Sampling(rule="v2", bins=BINS),
    dims=128,
    prefix_dims=(16, 32, 64, 128),
    quantiser=Quantiser(floor=1e-12, low=-127),
)  # fmt: skip
"""Statistics, bins and quantiser of the published student code (tessera_infer_v2/student)."""

TEACHER_SPEC = replace(
    STUDENT_SPEC, family="v2-teacher", s1_asc=_S1_TEACHER, s1_desc=_S1_TEACHER, dims=1024, prefix_dims=(1024,)
)
"""Like the students, but with Sentinel-1 statistics pooled over both orbits (tessera_infer_v2/teacher)."""

V1_0_SPEC = InputSpec(
    family="v1.0",
    s2_bands=S2_BANDS,
    s1_bands=S1_BANDS,
    s2=Statistics(
        mean=(
            1711.0938, 1308.8511, 1546.4543, 3010.1293, 3106.5083,
            2068.3044, 2685.0845, 2931.5889, 2514.6928, 1899.4922,
        ),
        std=(
            1926.1026, 1862.9751, 1803.1792, 1741.7837, 1677.4543,
            1888.7862, 1736.3090, 1715.8104, 1514.5199, 1398.4779,
        ),
    ),
    s1_asc=_S1_V1,
    s1_desc=_S1_V1,
    sampling=Sampling(rule="v1.0", bins=(40,)),
    dims=128,
    prefix_dims=(128,),
    quantiser=Quantiser(floor=127e-8, low=-128),
)  # fmt: skip
"""Forty drawn observations a modality, one table for both orbits (tessera_infer_QAT, ssl_dataset.py)."""

V1_0_EARLY_SPEC = replace(V1_0_SPEC, family="v1.0-early")
"""The same input as v1.0 QAT (tessera_infer, ssl_dataset.py); its published output is float32."""

_V1_1 = replace(V1_0_SPEC, family="v1.1", sampling=Sampling(rule="v1.1", bins=BINS))
V1_1_SPECS: dict[str | None, InputSpec] = {
    "mpc": replace(
        _V1_1,
        s2=Statistics(
            mean=(
                2683.4553, 2223.3630, 2432.0950, 3633.1970, 3602.1755,
                3006.4324, 3400.2710, 3515.6392, 2456.9163, 1983.8783,
            ),
            std=(
                2739.5217, 2846.2993, 2690.8250, 2290.0439, 2088.8970,
                2673.1106, 2381.4521, 2229.5225, 1601.0942, 1495.3545,
            ),
        ),
        s1_asc=Statistics(mean=(5588.3291, 3025.6270), std=(1713.4646, 1693.0471)),
        s1_desc=Statistics(mean=(5552.9683, 2955.0520), std=(1685.5857, 1677.6414)),
    ),
    "aws": replace(
        _V1_1,
        s2=Statistics(
            mean=(
                2793.6589, 2356.7776, 2551.0496, 3741.9229, 3713.7844,
                3120.1997, 3516.3342, 3637.0342, 2501.0283, 2038.1504,
            ),
            std=(
                2810.0093, 2933.8835, 2755.6360, 2344.5027, 2145.7986,
                2743.9019, 2438.8601, 2286.5977, 1680.7367, 1585.5529,
            ),
        ),
        s1_asc=Statistics(mean=(5697.0859, 2838.6687), std=(1671.3737, 1789.4116)),
        s1_desc=Statistics(mean=(5759.1367, 2873.2854), std=(1583.2858, 1747.8390)),
    ),
}  # fmt: skip
"""By provider, Planetary Computer or Element 84 on AWS; each set has its own weights (v1_1_norm_stats.py)."""
