"""A scene: one acquisition at one provider, with the fields that are read."""

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
"""Collections of terrain-corrected gamma0 in linear power: Planetary Computer's (10 m) and OPERA's (30 m, one burst a
scene). GRD products do not belong here."""

_DATATAKE = re.compile(r"(GS2[A-Z]_\d{8}T\d{6})_\d{6}(_N\d\d\.\d\d)?")
"""Satellite and start of the pass; orbit number and processing baseline do not identify an acquisition further."""
_BURST = re.compile(r"OPERA_L2_RTC-S1_(T\d{3}-\d{6}-IW\d)_(\d{8})T\d{6}Z_(\d{8}T\d{6}Z)_(S1[A-Z])_\d+_v\d+\.\d+")
"""Burst, day of acquisition, time of production, and satellite, as OPERA names its products."""


@dataclass(frozen=True)
class Asset:
    """A file of a scene.

    Attributes
    ----------
    href : the provider's address, unsigned; a path where the file is on this machine
    offset : whether its digital numbers include the offset of processing baseline 04.00 (Sentinel-2)
    """

    href: str
    offset: bool = False


@dataclass(frozen=True)
class Scene:
    """One item of a provider.

    Attributes
    ----------
    id, collection : of the item
    source : name of the source that lists it
    moment : time of acquisition, with its time zone
    footprint : longitude and latitude in degrees of every corner of its outline
    cloud_cover : per cent; None where unknown, and for Sentinel-1
    baseline : processing baseline such as "05.09" (Sentinel-2), or ""
    orbit : "ascending" or "descending" (Sentinel-1), or ""
    platform : such as "sentinel-2a", or ""
    datatake : such as "GS2A_20210601T105031_031012_N05.00" (Sentinel-2), or ""
    tile : MGRS tile such as "31UFS" (Sentinel-2), or the burst (OPERA), or ""
    assets : band name -> file; a Sentinel-1 scene may lack a polarisation
    position : index in the catalogue's answer, used only by the published order
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
        """Identifies the scene."""
        return self.source, self.collection, self.id

    @property
    def optical(self) -> bool:
        """Whether it is of Sentinel-2."""
        return self.collection in S2_COLLECTIONS

    @property
    def acquisition(self) -> tuple[str, ...]:
        """Identifies the acquisition of a tile; equal for all products of it, whoever processed them and when.

        Such products are copies with the same footprint, or pieces of a split granule; `_mosaic` distinguishes them.

        A datatake names the satellite and the start of its pass; its processing baseline is ignored. A scene without a
        datatake or a tile is an acquisition of its own.
        """
        match = _DATATAKE.fullmatch(self.datatake)
        if self.optical and match and self.tile:
            return "S2", match[1], self.tile
        if not self.optical and self.collection == "sentinel-1-rtc":
            return "S1", self.id.removesuffix("_rtc")
        burst = _BURST.fullmatch(self.id) if self.collection == "opera-rtc-s1" else None
        if burst:
            # a satellite images a burst every 12 days; the seconds differ where a pass was reprocessed
            return "S1 burst", burst[4], burst[1], burst[2]
        return self.key

    @property
    def produced(self) -> str:
        """Time of production from an OPERA product's name, such as "20240123T055542Z"; "" for others."""
        burst = _BURST.fullmatch(self.id) if self.collection == "opera-rtc-s1" else None
        return burst[3] if burst else ""
