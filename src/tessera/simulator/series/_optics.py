"""Leaf and canopy reflectance at the ten bands: PROSPECT-D and 4SAIL with optical constants averaged over each band.

The package `prosail` gives the constants (Feret et al. 2017), the surface of one plate, the leaf angle distribution and
the integrals over leaf angles and the hot spot. What it has only for whole spectra, the pile of plates (Stokes 1862)
and the four-stream solution (Verhoef et al. 2007, IEEE TGRS 45), is written here for bands, rows at a time.
This module needs the extra `train` and is imported when a series is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import exp, radians, sqrt, tan
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import require
from tessera.cubes import S2_BANDS

from ._bands import BANDS, GRID, responses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_PURPOSE = "simulating series"
prosail: Any = require("prosail", extra="train", purpose=_PURPOSE)
numba: Any = require("numba", extra="train", purpose=_PURPOSE)
_sail: Any = require("prosail.FourSAIL", extra="train", purpose=_PURPOSE)
_special: Any = require("scipy.special", extra="train", purpose=_PURPOSE)
_leaf: Any = require("prosail.prospect_d", extra="train", purpose=_PURPOSE)

ANGLES = 18
"""Classes of leaf inclination, 5 degrees each."""
_FIRST_ANGLE, _LAST_ANGLE = 15, 80
"""Mean leaf inclinations that the table of distributions covers, degrees."""
_PLATE_ALPHA = 40.0
"""Greatest incidence angle on a leaf, degrees (Feret et al. 2017)."""


_PARTS = {"B02": 3, "B03": 2, "B05": 2, "B08": 2}
"""Bands within which absorption changes so much that each is several nodes, equal parts of its width."""


@dataclass(frozen=True)
class Constants:
    """Averages over nodes: a band in `S2_BANDS` order, or each half of one.

    Attributes
    ----------
    band : (15,) int64, the band of each node
    fold : (15, 10) weights that take nodes to bands
    refraction : (15,) refractive index
    absorption : (6, 15) per unit of chlorophyll, carotenoids, anthocyanins, brown pigment, water, dry matter
    dry_soil, wet_soil : (10,) reflectance of the package's two soils
    """

    band: NDArray[np.int64]
    fold: Floats
    refraction: Floats
    absorption: Floats
    dry_soil: Floats
    wet_soil: Floats


@cache
def constants() -> Constants:
    """The package's constants, averaged over each band's response."""
    bands, leaf, soil = responses(), prosail.spectral_lib.prospectd, prosail.spectral_lib.soil
    nodes, owners = [], []
    for number, name in enumerate(S2_BANDS):
        centre, width = BANDS[name]
        place = np.floor(((GRID - centre) / width + 0.5) * _PARTS.get(name, 1)).clip(0, _PARTS.get(name, 1) - 1)
        parts = [place == part for part in range(_PARTS.get(name, 1))]
        nodes += [bands[number] * part for part in parts]
        owners += [number] * len(parts)
    fold = np.zeros((len(nodes), len(bands)))
    fold[np.arange(len(nodes)), owners] = [node.sum() for node in nodes]
    response = np.stack([node / node.sum() for node in nodes])
    kinds = (leaf.kab, leaf.kcar, leaf.kant, leaf.kbrown, leaf.kw, leaf.km)
    return Constants(
        np.array(owners),
        fold,
        response @ leaf.nr,
        np.stack([response @ kind for kind in kinds]),
        bands @ soil.rsoil1,
        bands @ soil.rsoil2,
    )


def leaf(structure: Floats, contents: Floats) -> tuple[Floats, Floats]:
    """Reflectance and transmittance (M, 15) of leaves at the nodes.

    Parameters
    ----------
    structure : (M,) number of plates, 1 or more
    contents : (M, 6) chlorophyll, carotenoids, anthocyanins (ug/cm2), brown pigment, water (cm), dry matter (g/cm2)
    """
    known = constants()
    plates = structure[:, None]
    # term by term, since a matrix product may round by the number of rows
    absorbed = contents[:, 0, None] * known.absorption[0]
    for number in range(1, 6):
        absorbed = absorbed + contents[:, number, None] * known.absorption[number]
    k = np.maximum(absorbed / plates, 1e-6)
    through = np.clip((1 - k) * np.exp(-k) + k * k * _special.exp1(k), 1e-9, 1.0)
    r, t, top_r, top_t, _ = _leaf.refl_trans_one_layer(_PLATE_ALPHA, known.refraction, through)
    t = np.maximum(t, 1e-9)
    root = np.sqrt(np.maximum((1 + r + t) * (1 + r - t) * (1 - r + t) * (1 - r - t), 0.0))
    a = (1 + r * r - t * t + root) / (2 * r)
    power = ((1 - r * r + t * t + root) / (2 * t)) ** (plates - 1)
    below = a * a * power * power - 1
    # a lossless plate has a = 1 and power = 1: the general form is then 0 / 0
    lossless = below < 1e-9
    below[lossless] = 1.0
    pile_r = np.where(lossless, 1 - t / (t + (1 - t) * (plates - 1)), a * (power * power - 1) / below)
    pile_t = np.where(lossless, 1 - pile_r, power * (a * a - 1) / below)
    rest = 1 - pile_r * r
    return top_r + top_t * pile_r * t / rest, top_t * pile_t / rest


@cache
def leaf_angles() -> Floats:
    """(66, 18) shares of each class of inclination for mean inclinations of 15 to 80 degrees (Campbell)."""
    rows = [_sail.campbell(float(angle), ANGLES) for angle in range(_FIRST_ANGLE, _LAST_ANGLE + 1)]
    return np.ascontiguousarray(rows, dtype=np.float64)


_volscatt, _hotspot = _sail.volscatt, _sail.hotspot_calculations


def _geometry(sun: Floats, view: Floats, azimuth: Floats) -> Floats:
    """(M, 18, 5) of each leaf inclination: extinction to sun and to sensor, cos2, back and forward scatter."""
    out = np.empty((len(sun), ANGLES, 5))
    for row in range(len(sun)):
        cos_sun, cos_view = np.cos(radians(sun[row])), np.cos(radians(view[row]))
        for angle in range(ANGLES):
            tilt = 90.0 / ANGLES * (angle + 0.5)
            to_sun, to_view, back, forward = _volscatt(sun[row], view[row], azimuth[row], tilt)
            out[row, angle, 0] = to_sun / cos_sun
            out[row, angle, 1] = to_view / cos_view
            out[row, angle, 2] = np.cos(radians(tilt)) ** 2
            out[row, angle, 3] = back * np.pi / (cos_sun * cos_view)
            out[row, angle, 4] = forward * np.pi / (cos_sun * cos_view)
    return out


def _depth_1(a: float, b: float, depth: float) -> float:
    """Integral of exp(-a x - b (depth - x)) over a layer, also where a = b."""
    gap = (a - b) * depth
    if abs(gap) > 1e-3:
        return (exp(-b * depth) - exp(-a * depth)) / (a - b)
    return 0.5 * depth * (exp(-a * depth) + exp(-b * depth)) * (1 - gap * gap / 12)


_depth_1 = numba.njit(cache=True)(_depth_1)


def _four_streams(
    rho: Floats,
    tau: Floats,
    lai: Floats,
    hot: Floats,
    tilt: NDArray[np.int64],
    table: Floats,
    geometry: Floats,
    sun: Floats,
    view: Floats,
    azimuth: Floats,
    ground: Floats,
) -> Floats:
    """(M, 10) bidirectional reflectance factor of a canopy of leaves over a Lambertian ground."""
    rows, bands = rho.shape
    out = np.empty((rows, bands))
    for row in range(rows):
        depth = lai[row]
        if depth < 1e-3:
            for band in range(bands):
                out[row, band] = ground[row, band]
            continue
        ks = ko = bf = sob = sof = 0.0
        for angle in range(table.shape[1]):
            share = table[tilt[row], angle]
            ks += share * geometry[row, angle, 0]
            ko += share * geometry[row, angle, 1]
            bf += share * geometry[row, angle, 2]
            sob += share * geometry[row, angle, 3]
            sof += share * geometry[row, angle, 4]
        tan_sun, tan_view = tan(radians(sun[row])), tan(radians(view[row]))
        apart = tan_sun * tan_sun + tan_view * tan_view - 2 * tan_sun * tan_view * np.cos(radians(azimuth[row]))
        alpha = sqrt(max(apart, 0.0)) / hot[row] * 2 / (ks + ko)
        tss, too = exp(-ks * depth), exp(-ko * depth)
        if alpha < 1e-6:
            both, seen = tss, (1 - tss) / (ks * depth)
        else:
            both, seen = _hotspot(alpha, depth, ko, ks)
        z = (1 - exp(-(ks + ko) * depth)) / (ks + ko)
        for band in range(bands):
            p, q, soil = rho[row, band], tau[row, band], ground[row, band]
            sigb = 0.5 * ((1 + bf) * p + (1 - bf) * q)
            sigf = 0.5 * ((1 - bf) * p + (1 + bf) * q)
            sb, sf = 0.5 * ((ks + bf) * p + (ks - bf) * q), 0.5 * ((ks - bf) * p + (ks + bf) * q)
            vb, vf = 0.5 * ((ko + bf) * p + (ko - bf) * q), 0.5 * ((ko - bf) * p + (ko + bf) * q)
            att = 1 - sigf
            m = sqrt(max((att + sigb) * (att - sigb), 1e-12))
            e1 = exp(-m * depth)
            e2 = e1 * e1
            rinf = (att - m) / sigb
            re = rinf * e1
            denom = 1 - rinf * rinf * e2
            j1s, j1o = _depth_1(ks, m, depth), _depth_1(ko, m, depth)
            j2s = (1 - exp(-(ks + m) * depth)) / (ks + m)
            j2o = (1 - exp(-(ko + m) * depth)) / (ko + m)
            ps, qs = (sf + sb * rinf) * j1s, (sf * rinf + sb) * j2s
            pv, qv = (vf + vb * rinf) * j1o, (vf * rinf + vb) * j2o
            rdd = rinf * (1 - e2) / denom
            tsd = (ps - re * qs) / denom
            tdo, rdo = (pv - re * qv) / denom, (qv - re * pv) / denom
            up, down = (z - j1s * too) / (ko + m), (z - j1o * tss) / (ks + m)
            from_up, from_down = (vf * rinf + vb) * up, (vf + vb * rinf) * down
            many = (from_up * (sf + sb * rinf) + from_down * (sf * rinf + sb) - (rdo * qs + tdo * ps) * rinf) / (
                1 - rinf * rinf
            )
            once = (sob * p + sof * q) * depth * seen
            bounced = ((tss + tsd) * tdo + (tsd + tss * soil * rdd) * too) * soil / (1 - soil * rdd)
            out[row, band] = once + many + both * soil + bounced
    return out


_geometry = numba.njit(cache=True)(_geometry)
_four_streams = numba.njit(cache=True)(_four_streams)


@dataclass(frozen=True)
class Geometry:
    """Sun and view of M rows in degrees, with the leaf scattering integrals that canopies share."""

    sun: Floats
    view: Floats
    azimuth: Floats
    table: Floats

    @staticmethod
    def of(sun: Floats, view: Floats, azimuth: Floats) -> Geometry:
        """Of sun zenith, view zenith and relative azimuth, (M,) each, degrees."""
        return Geometry(sun, view, azimuth, _geometry(sun, view, azimuth))


def canopy(
    rho: Floats, tau: Floats, lai: Floats, hot: Floats, inclination: Floats, geometry: Geometry, ground: Floats
) -> Floats:
    """Reflectance factor (M, 10) of a turbid canopy seen from above.

    Parameters
    ----------
    rho, tau : (M, 15) of its leaves at the nodes
    lai, hot, inclination : (M,) leaf area, size of the hot spot, mean leaf inclination in whole degrees
    geometry : of M rows
    ground : (M, 10) reflectance below, seen as Lambertian
    """
    tilt = np.clip(np.rint(inclination).astype(np.int64), _FIRST_ANGLE, _LAST_ANGLE) - _FIRST_ANGLE
    known = constants()
    out: Floats = _four_streams(
        np.ascontiguousarray(rho),
        np.ascontiguousarray(tau),
        lai,
        hot,
        tilt,
        leaf_angles(),
        geometry.table,
        geometry.sun,
        geometry.view,
        geometry.azimuth,
        ground[:, known.band],
    )
    folded = np.zeros((len(out), known.fold.shape[1]))
    for node, band in enumerate(known.band):
        folded[:, band] += known.fold[node, band] * out[:, node]
    return folded
