"""A scene: one acquisition as one provider holds it, narrowed to what is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

S2_COLLECTIONS = ("sentinel-2-l2a",)
"""Collections of surface reflectance in digital numbers: Planetary Computer's and Earth Search's."""
S1_COLLECTIONS = ("sentinel-1-rtc", "opera-rtc-s1")
"""Collections of terrain-corrected gamma0 in linear power: Planetary Computer's (10 m) and OPERA's (30 m, a burst a
scene). GRD products are something else."""

_DATATAKE = re.compile(r"(GS2[A-Z]_\d{8}T\d{6})_\d{6}(_N\d\d\.\d\d)?")
"""Satellite and start of the pass; the orbit's number and the processing baseline tell no more."""
_BURST = re.compile(r"OPERA_L2_RTC-S1_(T\d{3}-\d{6}-IW\d)_(\d{8})T\d{6}Z_(\d{8}T\d{6}Z)_(S1[A-Z])_\d+_v\d+\.\d+")
"""Burst, day of acquisition, time of production, and satellite, as OPERA names its products."""


@dataclass(frozen=True)
class Asset:
    """A file of a scene.

    Attributes
    ----------
    href : address as the provider tells it, not signed; a path where the file is on this machine
    offset : whether its digital numbers carry the offset of processing baseline 04.00 (Sentinel-2)
    """

    href: str
    offset: bool = False


@dataclass(frozen=True)
class Scene:
    """One item of a provider.

    Attributes
    ----------
    id, collection : as the item names itself
    source : name of the source that holds it
    moment : acquisition, with its time zone
    footprint : longitude and latitude in degrees of every corner of its outline
    cloud_cover : per cent; None where unknown, and for Sentinel-1
    baseline : processing baseline such as "05.09" (Sentinel-2), or ""
    orbit : "ascending" or "descending" (Sentinel-1), or ""
    platform : such as "sentinel-2a", or ""
    datatake : such as "GS2A_20210601T105031_031012_N05.00" (Sentinel-2), or ""
    tile : MGRS tile such as "31UFS" (Sentinel-2), or the burst (OPERA), or ""
    assets : band name -> file; a Sentinel-1 scene may lack a polarisation
    position : place in the answer of its catalogue, which only the published order looks at
    """

    id: str
    collection: str
    source: str
    moment: datetime
    footprint: tuple[tuple[float, float], ...]
    cloud_cover: float | None
    baseline: str
    orbit: str
    platform: str
    datatake: str
    tile: str
    assets: Mapping[str, Asset]
    position: int = field(default=0, compare=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from every other scene."""
        return self.source, self.collection, self.id

    @property
    def optical(self) -> bool:
        """Whether it is of Sentinel-2."""
        return self.collection in S2_COLLECTIONS

    @property
    def acquisition(self) -> tuple[str, ...]:
        """The same for scenes that hold the same acquisition of the same tile, whoever processed it, and when.

        They may be copies of the same ground or pieces of a granule that was cut; `_mosaic` tells them apart.

        A datatake names the satellite and the start of its pass; its processing baseline is left out. A scene without a
        datatake or a tile is an acquisition of its own.
        """
        match = _DATATAKE.fullmatch(self.datatake)
        if self.optical and match and self.tile:
            return "S2", match[1], self.tile
        if not self.optical and self.collection == "sentinel-1-rtc":
            return "S1", self.id.removesuffix("_rtc")
        burst = _BURST.fullmatch(self.id) if self.collection == "opera-rtc-s1" else None
        if burst:
            # a satellite sees a burst again after 12 days; seconds differ where a pass was processed anew
            return "S1 burst", burst[4], burst[1], burst[2]
        return self.key

    @property
    def produced(self) -> str:
        """When it was processed, such as "20240123T055542Z", as an OPERA product's name tells; "" for others."""
        burst = _BURST.fullmatch(self.id) if self.collection == "opera-rtc-s1" else None
        return burst[3] if burst else ""
