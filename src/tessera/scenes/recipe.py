"""How scenes become observations: every rule that has more than one answer, with the answer taken."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from tessera.base import InputError, check_fields

_CHOICES = {
    "offset": ("baseline", "date"),
    "day": ("solar", "utc"),
    "order": ("clearest", "catalogue"),
    "fine": ("nearest", "bilinear", "cubic"),
    "coarse": ("nearest", "bilinear", "cubic"),
    "radar": ("nearest", "bilinear", "cubic"),
    "radar_mosaic": ("first", "mean"),
}


@dataclass(frozen=True)
class Recipe:
    """Settings of the rules. The default is ours; `Recipe.published` is what the published weights saw.

    Attributes
    ----------
    offset : "baseline" takes the offset off by processing baseline and bucket, with a floor of 1; "date" takes 1000 off
        values of at least 1000 of scenes after 25 January 2022, and leaves the rest
    day : "solar" or "utc", the day by which scenes are put together
    order : within a day, "clearest" scene first, or as the "catalogue" lists them
    fine, coarse, radar : resampling of 10 m bands, of 20 m bands, and of Sentinel-1 at 10 m; the scene classification
        is always nearest, and OPERA's 30 m always bilinear
    radar_mosaic : "first" valid value of a day and orbit, or the "mean" of the valid ones, truncated
    duplicates : False puts products of one photograph into the day as if they were scenes of their own
    min_coverage_s2 : per cent of the window that a day's clear pixels must cover; below it the day is left out
    min_coverage_s1 : per cent of the window that a pass must cover in each polarisation
    max_cloud : per cent; scenes with more are not read
    orbits : of Sentinel-1
    """

    offset: Literal["baseline", "date"] = "baseline"
    day: Literal["solar", "utc"] = "solar"
    order: Literal["clearest", "catalogue"] = "clearest"
    fine: Literal["nearest", "bilinear", "cubic"] = "nearest"
    coarse: Literal["nearest", "bilinear", "cubic"] = "bilinear"
    radar: Literal["nearest", "bilinear", "cubic"] = "nearest"
    radar_mosaic: Literal["first", "mean"] = "first"
    duplicates: bool = True
    min_coverage_s2: float = 0.0
    min_coverage_s1: float = 0.0
    max_cloud: float = 100.0
    orbits: tuple[Literal["ascending", "descending"], ...] = ("ascending", "descending")

    def __post_init__(self) -> None:
        check_fields(self)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} {getattr(self, name)!r}; expected {' or '.join(choices)}")
        for name in ("min_coverage_s2", "min_coverage_s1", "max_cloud"):
            if not 0 <= float(getattr(self, name)) <= 100:
                raise InputError(f"{name} {getattr(self, name)!r}; expected per cent, 0 to 100")
        if not set(self.orbits) <= {"ascending", "descending"}:
            raise InputError(f"orbits {' '.join(self.orbits)}; expected ascending,descending, one of them, or nothing")

    @classmethod
    def published(cls) -> Recipe:
        """The settings of the published preprocessing as it is shipped (thresholds of 0.01 per cent).

        Its sources disagree on `fine` and `coarse` (bilinear in the public scripts; nearest or cubic in the ones that
        made v1.1 and v2), on `radar_mosaic` (first; mean), and on the thresholds (5 and 10 per cent by default).
        """
        return cls(
            offset="date",
            day="utc",
            order="catalogue",
            fine="bilinear",
            coarse="bilinear",
            duplicates=False,
            min_coverage_s2=0.01,
            min_coverage_s1=0.01,
        )

    def told(self) -> dict[str, Any]:
        """As provenance holds it."""
        return asdict(self) | {"orbits": list(self.orbits)}
