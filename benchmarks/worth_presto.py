"""Presto, a published encoder of pixels' months: its network under the names of its tensors, our series as its input.

A token is one group of bands of one month (terrain: one token a pixel; and one of the place). A token's vector is a
linear map of its bands plus a code of month, group and step; two transformer layers with the norm first; the mean over
tokens that are there; a layer norm. Its input is scaled as its authors' contract says. What a set lacks is masked.
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
GROUPS = {
    "S1": (0, 1),
    "S2_RGB": (2, 3, 4),
    "S2_Red_Edge": (5, 6, 7),
    "S2_NIR_10m": (8,),
    "S2_NIR_20m": (9,),
    "S2_SWIR": (10, 11),
    "ERA5": (12, 13),
    "SRTM": (14, 15),
    "NDVI": (16,),
}
"""Channels of each group: VV VH, B2 B3 B4, B5 B6 B7, B8, B8A, B11 B12, temperature rain, elevation slope, NDVI; the
code of a group is its place here, Dynamic World comes last."""
HEADS, WIDTH = 8, 128
ABSENT = 9
"""Dynamic World's number for no class."""
_ROWS = 256


class Layer(nn.Module):
    """A transformer layer, norm first, whose tokens see only those that are there."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(WIDTH, 3 * WIDTH), "proj": nn.Linear(WIDTH, WIDTH)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(WIDTH, 4 * WIDTH), "fc2": nn.Linear(4 * WIDTH, WIDTH)})

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """(B, L, 128), (B, L) bool -> (B, L, 128)."""
        batch, length, _ = x.shape
        query, key, value = self.attn["qkv"](self.norm1(x)).reshape(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=there[:, None, None, :])
        x = x + self.attn["proj"](seen.transpose(1, 2).reshape(batch, length, WIDTH))
        out: Tensor = x + self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(x))))
        return out


class Presto(nn.Module):
    """The encoder, under the names of its tensors."""

    def __init__(self, groups: dict[str, tuple[int, ...]] | None = None) -> None:
        super().__init__()
        self.groups = GROUPS if groups is None else groups
        self.eo_patch_embed = nn.ModuleDict({name: nn.Linear(len(own), WIDTH) for name, own in self.groups.items()})
        self.dw_embed = nn.Embedding(ABSENT + 1, WIDTH)
        self.latlon_embed = nn.Linear(3, WIDTH)
        self.blocks = nn.ModuleList([Layer(), Layer()])
        self.norm = nn.LayerNorm(WIDTH)
        self.month_embed = nn.Embedding(12, WIDTH // 4)
        self.channel_embed = nn.Embedding(len(self.groups) + 1, WIDTH // 4)
        self.pos_embed = nn.Parameter(torch.zeros(1, 24, WIDTH // 2), requires_grad=False)

    def forward(self, x: Tensor, cover: Tensor, latlon: Tensor, missing: Tensor, month: Tensor) -> Tensor:
        """Embed.

        Parameters
        ----------
        x : (B, T, 17), scaled
        cover : (B, T) int64, Dynamic World, 9 = absent
        latlon : (B, 2) degrees
        missing : (B, T, 17) bool
        month : (B,) int64, 0 to 11, of the first step

        Returns
        -------
        (B, 128)
        """
        batch, steps, _ = x.shape
        months = self.month_embed((month[:, None] + torch.arange(steps)) % 12)
        place = self.pos_embed[:, :steps].expand(batch, -1, -1)
        angle = torch.deg2rad(latlon)
        around = torch.stack(
            [
                torch.cos(angle[:, 0]) * torch.cos(angle[:, 1]),
                torch.cos(angle[:, 0]) * torch.sin(angle[:, 1]),
                torch.sin(angle[:, 0]),
            ],
            dim=1,
        )
        tokens, there = [self.latlon_embed(around)[:, None]], [torch.ones(batch, 1, dtype=torch.bool)]
        for index, (name, own) in enumerate(self.groups.items()):
            group = self.channel_embed.weight[index].expand(batch, steps, -1)
            code = torch.cat([months, group, place], dim=2)
            token, present = self.eo_patch_embed[name](x[..., list(own)]), ~missing[..., list(own)].any(dim=2)
            if name == "SRTM":
                code = torch.cat([torch.zeros_like(months), group, torch.zeros_like(place)], dim=2)[:, :1]
                token, present = token[:, :1], present[:, :1]
            tokens.append(token + code)
            there.append(present)
        group = self.channel_embed.weight[len(self.groups)].expand(batch, steps, -1)
        tokens.append(self.dw_embed(cover) + torch.cat([months, group, place], dim=2))
        there.append(cover != ABSENT)
        out, present = torch.cat(tokens, dim=1), torch.cat(there, dim=1)
        for block in self.blocks:
            out = block(out, present)
        weight = present[..., None].to(out.dtype)
        pooled: Tensor = self.norm((out * weight).sum(dim=1) / weight.sum(dim=1))
        return pooled


def load(path: Path, groups: dict[str, tuple[int, ...]] | None = None) -> Presto:
    """The encoder with its published weights."""
    if not path.is_file():
        raise InputError(f"no file {path}; expected the published weights of Presto")
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    own = {name.removeprefix("encoder."): value for name, value in tensors.items() if name.startswith("encoder.")}
    network = Presto(groups)
    network.load_state_dict(own, strict=True)
    return network.eval()


def inputs(held: Held) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(N, T, 17) scaled and (N, T, 17) missing."""
    s2 = {band.lstrip("B0"): held.s2[..., index] / 1e4 for index, band in enumerate(S2_BANDS)}
    steps = held.s2.shape[1]
    terrain = np.repeat(held.terrain[:, None], steps, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ndvi = (s2["8"] - s2["4"]) / (s2["8"] + s2["4"])
    x = np.stack(
        [
            *((held.db[..., index] + 25) / 25 for index in (0, 1)),
            *(s2[band] for band in ["2", "3", "4", "5", "6", "7", "8", "8A", "11", "12"]),
            (held.weather[..., 0] - 272.15) / 35,
            held.weather[..., 1] / 0.03,
            terrain[..., 0] / 2000,
            terrain[..., 1] / 50,
            ndvi,
        ],
        axis=2,
    ).astype(np.float32)
    missing = ~np.isfinite(x)
    if not held.true_b8a:
        missing[..., GROUPS["S2_NIR_20m"]] = True
    return np.where(missing, 0, x).astype(np.float32), missing


def embed(held: Held, network: Presto, *, whole: bool = True) -> NDArray[np.float32]:
    """(N, 128) of a labelled set.

    Parameters
    ----------
    whole : whether it is shown weather, terrain and land cover too
    """
    x, missing = (torch.from_numpy(part) for part in inputs(held))
    cover = torch.from_numpy(held.cover)
    if not whole:
        missing[..., list(GROUPS["ERA5"] + GROUPS["SRTM"])] = True
        cover = torch.full_like(cover, ABSENT)
    lonlat = held.labelled.lonlat
    if lonlat is None:
        raise InputError(f"{held.name} has no places")
    latlon = torch.from_numpy(np.ascontiguousarray(lonlat[:, ::-1], dtype=np.float32))
    month = torch.from_numpy(held.month)
    with torch.inference_mode():
        parts = [
            network(x[rows], cover[rows], latlon[rows], missing[rows], month[rows])
            for rows in (slice(start, start + _ROWS) for start in range(0, len(x), _ROWS))
        ]
    out: NDArray[np.float32] = torch.cat(parts).numpy()
    return out
