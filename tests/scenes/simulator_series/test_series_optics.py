"""Leaves and canopies at the bands against the package's full spectra, and their behaviour."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tessera.base import InputError
from tessera.cubes import S2_BANDS
from tessera.simulator import simulate_series
from tessera.simulator.series._bands import CENTRES, GRID, responses

prosail = pytest.importorskip("prosail", reason="the extra `train` is not installed")

from tessera.simulator.series import _optics as optics  # noqa: E402

ROWS = 60


@pytest.fixture(scope="module")
def cases() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        "structure": rng.uniform(1.05, 2.8, ROWS),
        "contents": np.stack(
            [
                rng.uniform(0, 80, ROWS),
                rng.uniform(0, 20, ROWS),
                rng.uniform(0, 6, ROWS),
                rng.uniform(0, 1, ROWS),
                rng.uniform(0.0005, 0.04, ROWS),
                rng.uniform(0.002, 0.03, ROWS),
            ],
            axis=1,
        ),
        "lai": rng.uniform(0.05, 7, ROWS),
        "hot": rng.uniform(0.02, 0.4, ROWS),
        "tilt": rng.integers(20, 76, ROWS).astype(np.float64),
        "sun": rng.uniform(15, 72, ROWS),
        "view": rng.uniform(0, 11, ROWS),
        "azimuth": rng.uniform(0, 180, ROWS),
        "bright": rng.uniform(0.4, 1.5, ROWS),
    }


def of_bands(cases: dict[str, np.ndarray]) -> np.ndarray:
    rho, tau = optics.leaf(cases["structure"], cases["contents"])
    geometry = optics.Geometry.of(cases["sun"], cases["view"], cases["azimuth"])
    ground = cases["bright"][:, None] * optics.constants().dry_soil
    return optics.canopy(rho, tau, cases["lai"], cases["hot"], cases["tilt"], geometry, ground)


def test_band_constants_are_within_half_a_per_cent_of_full_spectra(cases: dict[str, np.ndarray]) -> None:
    response, soil = responses(), prosail.spectral_lib.soil.rsoil1
    leaves, canopies = [], []
    for row in range(ROWS):
        cab, car, ant, brown, cw, cm = cases["contents"][row]
        n = cases["structure"][row]
        leaves.append(response @ prosail.run_prospect(n, cab, car, brown, cw, cm, ant=ant)[1])
        spectrum = prosail.run_prosail(
            n, cab, car, brown, cw, cm, cases["lai"][row], cases["tilt"][row], cases["hot"][row],
            cases["sun"][row], cases["view"][row], cases["azimuth"][row],
            ant=ant, prospect_version="D", rsoil0=cases["bright"][row] * soil,
        )  # fmt: skip
        canopies.append(response @ spectrum)
    rho, _ = optics.leaf(cases["structure"], cases["contents"])
    assert np.abs(rho @ optics.constants().fold - leaves).max() < 0.006
    error = np.abs(of_bands(cases) - canopies)
    assert error.max() < 0.006
    assert error.mean() < 0.001


def test_the_four_stream_solution_is_the_packages_own_at_single_wavelengths(cases: dict[str, np.ndarray]) -> None:
    rho, tau = optics.leaf(cases["structure"], cases["contents"])
    ground = cases["bright"][:, None] * optics.constants().dry_soil[optics.constants().band]
    geometry = optics.Geometry.of(cases["sun"], cases["view"], cases["azimuth"])
    tilt = cases["tilt"].astype(np.int64) - 15
    got = optics._four_streams(
        rho, tau, cases["lai"], cases["hot"], tilt, optics.leaf_angles(), geometry.table,
        geometry.sun, geometry.view, geometry.azimuth, ground,
    )  # fmt: skip
    sail = sys.modules["prosail.FourSAIL"]
    for row in range(ROWS):
        known = sail.foursail(
            rho[row], tau[row], cases["tilt"][row], 0.0, 2, cases["lai"][row], cases["hot"][row],
            cases["sun"][row], cases["view"][row], cases["azimuth"][row], ground[row],
        )[17]  # fmt: skip
        np.testing.assert_allclose(got[row], known, atol=1e-6)


def test_energy_is_kept_and_no_leaf_area_shows_the_ground(cases: dict[str, np.ndarray]) -> None:
    rho, tau = optics.leaf(cases["structure"], cases["contents"])
    assert rho.min() > 0
    assert tau.min() > 0
    assert (rho + tau).max() < 1
    bare = of_bands({**cases, "lai": np.zeros(ROWS)})
    np.testing.assert_allclose(bare, cases["bright"][:, None] * optics.constants().dry_soil, rtol=1e-9)


def test_a_leaf_that_absorbs_nothing_loses_nothing() -> None:
    rho, tau = optics.leaf(np.array([1.0, 1.5, 2.5]), np.zeros((3, 6)))
    np.testing.assert_allclose(rho + tau, 1.0, atol=1e-3)


def test_water_darkens_the_short_wave_infrared_and_chlorophyll_the_red() -> None:
    base = np.array([[40.0, 8, 1, 0, 0.006, 0.006]])
    wet, green = base.copy(), base.copy()
    wet[0, 4], green[0, 0] = 0.03, 70.0
    one = np.ones(1)
    folded = [optics.leaf(1.6 * one, x)[0] @ optics.constants().fold for x in (base, wet, green)]
    swir, red, nir = (S2_BANDS.index(band) for band in ("B11", "B04", "B8A"))
    assert folded[1][0, swir] < folded[0][0, swir] - 0.05
    assert folded[2][0, red] < folded[0][0, red]
    assert abs(folded[2][0, nir] - folded[0][0, nir]) < 0.005


def test_responses_lie_where_the_bands_are() -> None:
    response = responses()
    np.testing.assert_allclose(response.sum(axis=1), 1.0)
    np.testing.assert_allclose(response @ GRID, CENTRES, atol=0.6)


def test_without_the_package_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prosail", None)
    with pytest.raises(InputError, match=r"simulating series needs prosail.*pip install .*\[train\]"):
        simulate_series(1, seed=1)
