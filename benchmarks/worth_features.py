"""Features to compare with: raw bands, harmonics, location alone, and an encoder's network with random weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.encode import Encoder
    from worth_data import Held

HARMONICS = 2
_RIDGE = 1e-2
"""Weight of a coefficient's square against a date's error, so that few dates cannot swing the curve."""


def raw_bands(held: Held) -> NDArray[np.float32]:
    """Monthly values of the ten bands and of VV and VH in dB, (N, T * 12); a missing month takes the year's mean."""
    parts = []
    for stack in (held.s2, held.db):
        seen = np.isfinite(stack)
        number = seen.sum(axis=1, keepdims=True)
        year = np.where(seen, stack, 0).sum(axis=1, keepdims=True) / np.maximum(number, 1)
        everywhere = stack[seen.all(axis=2)].mean(axis=0)
        filled = np.where(seen, stack, np.where(number > 0, year, everywhere))
        parts.append(filled.reshape(len(filled), -1))
    return np.concatenate(parts, axis=1).astype(np.float32)


def harmonics(held: Held) -> NDArray[np.float32]:
    """Mean, and cosine and sine of one and two waves a year, of each band and of NDVI, NDWI, NBR and VH - VV.

    Least squares with a small ridge on the waves, more of it on the second. Series of three months or fewer carry the
    mean and one wave.

    Returns
    -------
    (N, C * (1 + 2 * waves)) float32
    """
    s2, db = held.s2 / 10_000, held.db
    red, green, nir, swir1, swir2 = (s2[..., i] for i in (0, 2, 3, 8, 9))
    with np.errstate(invalid="ignore", divide="ignore"):
        indices = [(a - b) / np.maximum(a + b, 1e-6) for a, b in ((nir, red), (green, nir), (nir, swir2), (nir, swir1))]
    channels = np.concatenate([s2, np.stack(indices, axis=2), db, (db[..., 1:] - db[..., :1])], axis=2).astype(
        np.float64
    )
    count, steps, _ = channels.shape
    waves = HARMONICS if steps > 3 else 1
    angle = 2 * np.pi * ((held.month[:, None] + np.arange(steps)) % 12 + 0.5) / 12
    columns = [np.ones((count, steps))]
    penalty = [0.0]
    for wave in range(1, waves + 1):
        columns += [np.cos(wave * angle), np.sin(wave * angle)]
        penalty += [_RIDGE * steps * wave**2] * 2
    design = np.stack(columns, axis=2)
    out = []
    for channel in np.moveaxis(channels, 2, 0):
        seen = np.isfinite(channel)
        weighted = design * seen[..., None]
        left = np.einsum("nti,ntj->nij", weighted, design) + np.diag(penalty)
        right = np.einsum("nti,nt->ni", weighted, np.where(seen, channel, 0))
        none = ~seen.any(axis=1)
        left[none] += np.eye(len(penalty))
        found = np.linalg.solve(left, right[..., None])[..., 0]
        found[none] = found[~none].mean(axis=0) if (~none).any() else 0.0
        out.append(found)
    return np.concatenate(out, axis=1).astype(np.float32)


def location(held: Held) -> NDArray[np.float32]:
    """Latitude, longitude, and the first month on a circle, (N, 4)."""
    lonlat = held.labelled.lonlat
    if lonlat is None:
        raise ValueError(f"{held.name} has no places")
    angle = 2 * np.pi * held.month / 12
    return np.column_stack([lonlat[:, ::-1], np.cos(angle), np.sin(angle)]).astype(np.float32)


def weather(held: Held) -> NDArray[np.float32]:
    """Temperature and rain of each month, elevation and slope: what other encoders are shown and ours is not."""
    months = held.weather.reshape(len(held.weather), -1)
    x = np.concatenate([months, held.terrain], axis=1)
    return np.where(np.isfinite(x), x, np.nanmean(x, axis=0)).astype(np.float32)


def untrained(path: Path | str | None, seed: int) -> Encoder:
    """An encoder with its network's first weights: as the network's own class draws them."""
    import torch

    from tessera.embeddings import ModelIdentity
    from tessera.encode import Encoder
    from tessera.models import FAMILIES, open_checkpoint

    checkpoint = open_checkpoint(path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FAMILIES[checkpoint.spec.family].build(checkpoint.shape, 0.0)
    fresh = replace(checkpoint, tensors=dict(network.state_dict()), name="untrained", training={}, published=None)
    identity = ModelIdentity("untrained", fresh.sha256, fresh.spec.dims, prefix_dims=fresh.spec.prefix_dims)
    return Encoder(fresh.network(), fresh.spec, identity)
