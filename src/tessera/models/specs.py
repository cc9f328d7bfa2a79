"""Input specification of each family of published weights: bands, statistics, sampling, dims, quantiser.

The statistics are the table `statistics.csv`, in the units of a cube: of the v2 students (tessera_infer_v2/student), of
the v2 teacher, pooled over both orbits (tessera_infer_v2/teacher), of v1.0, one table for both orbits
(tessera_infer_QAT, ssl_dataset.py), and of v1.1 by provider, Planetary Computer or Element 84 on AWS
(v1_1_norm_stats.py).
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

from .spec import InputSpec, Quantiser, Sampling, Statistics

S2_BANDS = ("B04", "B02", "B03", "B08", "B8A", "B05", "B06", "B07", "B11", "B12")
S1_BANDS = ("VV", "VH")
BINS = tuple(range(8, 257, 8))
"""Lengths to which v1.1 and v2 repeat or thin observations (the published `num_obs_checkpoints`)."""


def _statistics(weights: str) -> dict[str, Any]:
    """The statistics of these weights, by stream, in the order of the bands."""
    with Path(__file__).with_name("statistics.csv").open(encoding="utf-8", newline="") as file:
        own = {(row["stream"], row["band"]): row for row in csv.DictReader(file) if row["weights"] == weights}
    found = {}
    for stream, bands in (("s2", S2_BANDS), ("s1_asc", S1_BANDS), ("s1_desc", S1_BANDS)):
        mean, std = (tuple(float(own[stream, band][what]) for band in bands) for what in ("mean", "std"))
        found[stream] = Statistics(mean, std)
    return found


STUDENT_SPEC = InputSpec(
    family="v2-student",
    s2_bands=S2_BANDS,
    s1_bands=S1_BANDS,
    **_statistics("v2-student"),
    sampling=Sampling(rule="v2", bins=BINS),
    dims=128,
    prefix_dims=(16, 32, 64, 128),
    quantiser=Quantiser(floor=1e-12, low=-127),
)
TEACHER_SPEC = replace(STUDENT_SPEC, family="v2-teacher", **_statistics("v2-teacher"), dims=1024, prefix_dims=(1024,))
V1_0_SPEC = replace(
    STUDENT_SPEC,
    family="v1.0",
    **_statistics("v1.0"),
    sampling=Sampling(rule="v1.0", bins=(40,)),
    prefix_dims=(128,),
    quantiser=Quantiser(floor=127e-8, low=-128),
)
"""Forty drawn observations a modality (tessera_infer_QAT, ssl_dataset.py)."""

V1_0_EARLY_SPEC = replace(V1_0_SPEC, family="v1.0-early")
"""The same input as v1.0 QAT (tessera_infer, ssl_dataset.py); its published output is float32."""

_V1_1 = replace(V1_0_SPEC, family="v1.1", sampling=Sampling(rule="v1.1", bins=BINS))
V1_1_SPECS: dict[str | None, InputSpec] = {
    provider: replace(_V1_1, **_statistics(f"v1.1-{provider}")) for provider in ("mpc", "aws")
}
"""By provider; each set has its own weights."""
