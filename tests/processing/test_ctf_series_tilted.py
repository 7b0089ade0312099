"""Rings of a tilted plane, brought to one defocus: laws of the sums, and what a ramp leaves of them."""

import math

import numpy as np
import pytest
import torch
from ctf_series_cases import AXIS_DEG, LENS, tilted_image
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.optics import phase_rad, wavelength_A
from eucentric.processing.ctf.series_evidence import tilt_evidence
from eucentric.processing.ctf.tilted import RingGrid, field_rings, heights_A

PIXEL_A = 2.5
GRID = RingGrid.spanning(30.0, 6.0, 40_000.0, wavelength_A(300.0))


def test_heights_fall_along_u_and_vanish_on_the_axis() -> None:
    places = np.array([[0.0, 0.0], [0.0, 100.0], [100.0, 0.0], [-50.0, 20.0]])
    # An axis along y (0 degrees): u is x, and z = -u tan a.
    np.testing.assert_allclose(heights_A(places, 45.0, 0.0), [0, -100, 0, -20], atol=1e-9)
    # An axis turned to 90 degrees lies along -x: u is y.
    np.testing.assert_allclose(heights_A(places, 45.0, 90.0), [0, 0, -100, 50], atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(tilt_deg=st.floats(-60, 60), axis_deg=st.floats(-180, 180), seed=st.integers(0, 99))
def test_the_opposite_tilt_gives_the_conjugate(tilt_deg: float, axis_deg: float, seed: int) -> None:
    image = torch.from_numpy(np.random.default_rng(seed).normal(size=(96, 80)).astype(np.float32))
    one, other = (field_rings(image, PIXEL_A, tilt, axis_deg, 300.0, GRID) for tilt in (tilt_deg, -tilt_deg))
    both = (one.count > 1) & (other.count > 1)
    # Pairs without a middle on the grid fall into a bin or its neighbour: sums over frequency agree, bins nearly.
    means = [(rings.mean * rings.count).sum(0) / rings.count.sum(0) for rings in (one, other)]
    np.testing.assert_allclose(means[0].real, means[1].real, atol=0.05)
    np.testing.assert_allclose(means[0].imag, -means[1].imag, atol=0.05)
    assert both.any()


def test_an_image_that_is_not_tilted_has_its_power_spectrum() -> None:
    image = tilted_image(200, PIXEL_A, 0.0, 20_000.0)
    rings = field_rings(image, PIXEL_A, 0.0, AXIS_DEG, 300.0, GRID)
    np.testing.assert_allclose(rings.mean.imag, 0, atol=1e-6)
    np.testing.assert_allclose(rings.flat[rings.count > 0], 1, atol=1e-5)
    assert np.average(rings.mean.real, weights=rings.count) == pytest.approx(1, abs=0.06)  # rings spread it


@pytest.mark.parametrize("axis_deg", [84.3, -5.7])
@pytest.mark.parametrize("size", [400, 900])
def test_rings_of_a_ramp_are_as_deep_as_without_tilt(axis_deg: float, size: int) -> None:
    """At 900 pixels of 2.5 Å the field is cut into tiles, which have to fit together."""
    depths = {}
    for tilt in (0.0, 50.0):
        image = tilted_image(size, PIXEL_A, tilt, 20_000.0, axis_deg=axis_deg, seed=3)
        rings = field_rings(image, PIXEL_A, tilt, axis_deg, 300.0, GRID)
        turn = np.exp(-2j * phase_rad(np.sqrt(GRID.k2), 20_000.0, LENS))[:, None]
        for hand in (1, -1):
            mean = rings.mean if hand == 1 else rings.mean.conj()
            left = mean - rings.flat * np.average(rings.mean.real / np.maximum(rings.flat, 0.2), weights=rings.count)
            depths[tilt, hand] = -float((left * turn * rings.count).real.sum() / rings.count.sum())
    # Without tilt the mirror image doubles the rings; with it, half of that is left to the right hand.
    assert depths[0.0, 1] == pytest.approx(depths[0.0, -1], rel=1e-3)
    assert depths[50.0, 1] > 0.4 * depths[0.0, 1]
    assert depths[50.0, -1] < 0.75 * depths[50.0, 1]


def test_noise_is_weighed_as_it_scatters() -> None:
    image = torch.from_numpy(np.random.default_rng(5).normal(size=(300, 300)).astype(np.float32))
    rings = field_rings(image, PIXEL_A, 40.0, AXIS_DEG, 300.0, GRID)
    evidence = tilt_evidence(rings, GRID)
    # Sums of noise over its own variance have the variance that the weights say.
    expected = 8 * evidence.even_weight.sum()
    assert (evidence.even**2).sum() == pytest.approx(expected, rel=0.2)
    assert math.isfinite(evidence.power)
