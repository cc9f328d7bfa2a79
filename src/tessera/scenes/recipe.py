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
    """Settings of the rules by which scenes become a cube.

    The defaults are ours. `Recipe.published` gives what the published weights saw.

    Attributes
    ----------
    offset : "baseline" subtracts the offset by processing baseline and bucket, with a floor of 1; "date" subtracts 1000
        from values of 1000 and more, of scenes after 25 January 2022
    day : "solar" or "utc": the day by which scenes are grouped
    order : within a day, the "clearest" scene first, or the order of the "catalogue"
    fine : resampling of the 10 m bands: "nearest", "bilinear" or "cubic". The scene classification is always nearest
    coarse : resampling of the 20 m bands
    radar : resampling of Sentinel-1 at 10 m. OPERA's 30 m is always bilinear
    radar_mosaic : "first" valid value of a day and orbit, or the "mean" of the valid ones, truncated
    duplicates : if False, each product of an acquisition counts as a scene of its own
    min_coverage_s2 : per cent of the window that must be clear; a day below it is left out
    min_coverage_s1 : per cent of the window that a pass must cover in each polarisation
    max_cloud : per cent; scenes with more cloud are not read
    orbits : orbits of Sentinel-1 to use

    Raises
    ------
    InputError
        A setting has another value than those above.

    Examples
    --------
    >>> import tessera
    >>> recipe = tessera.Recipe(max_cloud=60.0, orbits=("ascending",))
    >>> cube = tessera.build_cube("5.246,50.691,5.252,50.694", 2023, source="scenes", recipe=recipe)
    >>> len(cube.s1_desc_doy)
    0
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
        """The settings of the published preprocessing, as it is shipped (thresholds of 0.01 per cent).

        Its sources disagree on `fine` and `coarse` (bilinear in the public scripts; nearest or cubic in those that made
        v1.1 and v2), on `radar_mosaic` (first; mean), and on the thresholds (5 and 10 per cent by default).
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

    def to_json(self) -> dict[str, Any]:
        """As provenance holds it."""
        return asdict(self) | {"orbits": list(self.orbits)}
