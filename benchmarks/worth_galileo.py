"""Galileo nano, a published encoder of pixels' months: its network under the names of its tensors, our series as input.

A token is one group of bands of one month, of one place (terrain, land cover) or of one month alone (weather). A
token's vector is a linear map of its bands plus a quarter each of codes of group, step, month and place; four
transformer layers with the norm first; a layer norm; the mean over tokens that are there. Its patches of 8 x 8 pixels
are made patches of one pixel as its authors make them. What a set lacks is masked. Vectors equal those of the
published code to 1e-6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tessera.base import InputError
from tessera.cubes import S2_BANDS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from worth_data import Held

VERSION = "1"
HEADS, WIDTH, CODE, PATCH = 8, 128, 32, 8
CHANGING = {
    "S1": (0, 1),
    "S2_RGB": (2, 3, 4),
    "S2_Red_Edge": (5, 6, 7),
    "S2_NIR_10m": (8,),
    "S2_NIR_20m": (9,),
    "S2_SWIR": (10, 11),
    "NDVI": (12,),
}
"""Channels that change with place and month: VV VH, B2 B3 B4, B5 B6 B7, B8, B8A, B11 B12, NDVI."""
PLACES = {"SRTM": 2, "DW": 9, "WC": 5}
MONTHS = {"ERA5": 2, "TC": 3, "VIIRS": 1}
STATIC = {"LS": 1, "location": 3, "DW_static": 9, "WC_static": 5}
"""Further groups and their numbers of channels, in the order of their codes."""
MEAN = (-11.7287, -18.8556, 1395.341, 1338.403, 1343.099, 1543.861, 2186.202, 2525.093, 2410.338, 2750.285,
        2234.911, 1474.531)  # fmt: skip
DEVIATION = (4.88715, 5.73027, 917.7041, 913.2988, 1092.6787, 1047.2206, 1048.0102, 1143.6903, 1098.9792, 1204.4728,
             1145.9774, 980.243)  # fmt: skip
"""Of VV and VH in dB and of the ten bands x 10000 (the authors' normalization.json)."""
WEATHER = ((271.5675, 0.085543), (79.80829, 0.116695))
"""Means and deviations of temperature in kelvin and of a month's rain in metres; there also TERRAIN."""
TERRAIN = ((673.0153, 5.930093), (983.0697, 8.167407))
DAYS = 30.4
ABSENT = 9
_ROWS = 128


class Attention(nn.Module):
    """Self-attention of tokens over those that are there."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.proj = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """(B, L, 128), (B, L) bool -> (B, L, 128)."""
        query, key, value = (part(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=there[:, None, None, :])
        out: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return out


class Layer(nn.Module):
    """A transformer layer, norm first."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2, self.attn = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH), Attention()
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(WIDTH, 4 * WIDTH), "fc2": nn.Linear(4 * WIDTH, WIDTH)})

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """(B, L, 128), (B, L) bool -> (B, L, 128)."""
        x = x + self.attn(self.norm1(x), there)
        out: Tensor = x + self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(x))))
        return out


class Patches(nn.Module):
    """A map of patches of 8 x 8 pixels, used on single pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, WIDTH, PATCH)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., 128)."""
        squares = torch.eye(PATCH * PATCH).reshape(-1, 1, PATCH, PATCH)
        shrunk = functional.interpolate(squares, (1, 1), mode="bicubic", antialias=True).reshape(-1, 1)
        weight = self.proj.weight.flatten(2) @ torch.linalg.pinv(shrunk)[0]
        return functional.linear(x, weight, self.proj.bias)


class Galileo(nn.Module):
    """The encoder, under the names of its tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Layer() for _ in range(4)])
        self.norm = nn.LayerNorm(WIDTH)
        self.pos_embed = nn.Parameter(torch.zeros(24, CODE), requires_grad=False)
        self.month_embed = nn.Embedding(12, CODE)
        self.s_t_channel_embed = nn.Parameter(torch.zeros(len(CHANGING), CODE))
        self.sp_channel_embed = nn.Parameter(torch.zeros(len(PLACES), CODE))
        self.t_channel_embed = nn.Parameter(torch.zeros(len(MONTHS), CODE))
        self.st_channel_embed = nn.Parameter(torch.zeros(len(STATIC), CODE))
        self.space_time_embed = nn.ModuleDict({name: Patches(len(own)) for name, own in CHANGING.items()})
        self.space_embed = nn.ModuleDict({name: Patches(size) for name, size in PLACES.items()})
        self.time_embed = nn.ModuleDict({name: nn.Linear(size, WIDTH) for name, size in MONTHS.items()})
        self.static_embed = nn.ModuleDict({name: nn.Linear(size, WIDTH) for name, size in STATIC.items()})

    def forward(self, given: dict[str, tuple[Tensor, Tensor]], months: Tensor) -> Tensor:
        """Embed.

        Parameters
        ----------
        given : by group, values and whether they are there: (B, T, C) and (B, T), or (B, C) and (B,) where they do not
            change with the month
        months : (B, T) int64, 0 to 11

        Returns
        -------
        (B, 128)
        """
        batch, steps = months.shape
        when = torch.cat([self.pos_embed[:steps].expand(batch, -1, -1), self.month_embed(months)], dim=2)
        # sine and cosine of the first place of a grid of one
        here = torch.tensor([0.0, 1.0]).repeat_interleave(PATCH).repeat(2)
        tokens, there = [], []
        for maps, codes, placed in (
            (self.space_time_embed, self.s_t_channel_embed, True),
            (self.space_embed, self.sp_channel_embed, True),
            (self.time_embed, self.t_channel_embed, False),
            (self.static_embed, self.st_channel_embed, False),
        ):
            for index, (name, linear) in enumerate(maps.items()):
                if name not in given:
                    continue
                x, present = given[name]
                changing = x.ndim == 3
                token = linear(x if changing else x[:, None])
                time = when if changing else torch.zeros(batch, 1, 2 * CODE)
                place = (here if placed else torch.zeros(CODE)).expand(batch, time.shape[1], -1)
                group = codes[index].expand(batch, time.shape[1], -1)
                tokens.append(token + torch.cat([group, time, place], dim=2))
                there.append(present if changing else present[:, None])
        out, present = torch.cat(tokens, dim=1), torch.cat(there, dim=1)
        for block in self.blocks:
            out = block(out, present)
        weight = present[..., None].to(out.dtype)
        pooled: Tensor = (self.norm(out) * weight).sum(dim=1) / weight.sum(dim=1)
        return pooled


def load(path: Path) -> Galileo:
    """The encoder with its published weights."""
    if not path.is_file():
        raise InputError(f"no file {path}; expected the published weights of Galileo nano")
    network = Galileo()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    return network.eval()


def inputs(held: Held, *, whole: bool = True) -> dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """By group, scaled values and whether they are there; a missing value is 0.

    Where B08 stands in for B8A, the group of B8A is left out.
    """
    bands = {band: held.s2[..., index] for index, band in enumerate(S2_BANDS)}
    order = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
    x = np.concatenate([held.db, np.stack([bands[band] for band in order], axis=2)], axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        ndvi = (bands["B08"] - bands["B04"]) / (bands["B08"] + bands["B04"])
    x = np.concatenate([_scaled(x, MEAN, DEVIATION), ndvi[..., None]], axis=2)
    found = {name: x[..., list(own)] for name, own in CHANGING.items()}
    if not held.true_b8a:
        del found["S2_NIR_20m"]
    if whole:
        lonlat = held.labelled.lonlat
        if lonlat is None:
            raise InputError(f"{held.name} has no places")
        lon, lat = np.deg2rad(lonlat).T
        found["location"] = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        found["ERA5"] = _scaled(held.weather * (1, DAYS), *WEATHER)
        found["SRTM"] = _scaled(held.terrain, *TERRAIN)
        known = held.cover[..., None] == np.arange(ABSENT)
        with np.errstate(invalid="ignore"):
            # shares of the months in which a class is known
            shares = known.sum(axis=1) / known.any(axis=2).sum(axis=1)[:, None]
        found |= {"DW": shares, "DW_static": shares}
    there = {name: np.isfinite(values).all(axis=-1) for name, values in found.items()}
    return {name: (np.nan_to_num(values).astype(np.float32), there[name]) for name, values in found.items()}


def embed(held: Held, network: Galileo, *, whole: bool = True) -> NDArray[np.float32]:
    """(N, 128) of a labelled set.

    Parameters
    ----------
    whole : whether it is shown the place, weather, terrain and land cover too
    """
    given = {name: tuple(map(torch.from_numpy, pair)) for name, pair in inputs(held, whole=whole).items()}
    months = torch.from_numpy((held.month[:, None] + np.arange(held.s2.shape[1])) % 12)
    with torch.inference_mode():
        parts = [
            network({name: (x[rows], there[rows]) for name, (x, there) in given.items()}, months[rows])
            for rows in (slice(start, start + _ROWS) for start in range(0, len(months), _ROWS))
        ]
    out: NDArray[np.float32] = torch.cat(parts).numpy()
    return out


def _scaled(x: NDArray[np.floating], mean: tuple[float, ...], deviation: tuple[float, ...]) -> NDArray[np.floating]:
    """Two deviations either side of the mean to 0 to 1."""
    centre, spread = np.array(mean), np.array(deviation)
    out: NDArray[np.floating] = (x - (centre - 2 * spread)) / (4 * spread)
    return out
