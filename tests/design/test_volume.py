"""The volume's SSNR against a brute-force count of sections, and what follows from geometry alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.design import volume_ssnr
from eucentric.design.volume import section_half_width, ssnr_map

Array = NDArray[np.float64]

K = np.array([0.002, 0.01, 0.03, 0.1])


def by_counting(
    k: Array, information: Array, slab_deg: Array, thickness_A: float, diameter_A: float | None
) -> tuple[Array, Array, Array]:
    """Average bits, SSNR and what is measured over a fine grid of directions, section by section."""
    phi = (np.arange(20_000) + 0.5) / 20_000 * np.pi - np.pi / 2
    nodes, weights = np.polynomial.legendre.leggauss(8)
    bits, ssnr, measured = np.zeros(len(k)), np.zeros(len(k)), np.zeros(len(k))
    for at, frequency in enumerate(k):
        for node, weight in zip(0.5 * (nodes + 1), 0.5 * weights, strict=True):
            across = frequency * np.sqrt(1 - node**2)
            known = np.zeros_like(phi)
            for tilt, own in zip(np.deg2rad(slab_deg), information[:, at], strict=True):
                extent_A = thickness_A / np.cos(tilt) if diameter_A is None else diameter_A
                # The distance of the cell from the central section, in units of the section's thickness 1/D.
                known += own * (np.abs(across * np.sin(phi - tilt)) * extent_A <= 0.5)
            bits[at] += weight * np.log2(1 + known).mean()
            ssnr[at] += weight * known.mean()
            measured[at] += weight * (known > 0).mean()
    return bits, ssnr, measured


@pytest.mark.parametrize("diameter_A", [None, 150.0, 3000.0])
@pytest.mark.parametrize(
    "slab_deg",
    [np.arange(-60, 61, 3.0), np.array([0.0]), np.array([12.0, -50.0, 85.0, -3.0, 61.0]), np.array([-84.0, 84.0])],
    ids=["usual", "one", "ragged", "steep"],
)
def test_bits_and_ssnr_are_those_of_counting_sections(slab_deg: Array, diameter_A: float | None) -> None:
    information = stream(0, "information").uniform(0.05, 2, (len(slab_deg), len(K)))
    volume = volume_ssnr(K, information, slab_deg, 2000.0, diameter_A)
    bits, ssnr, measured = by_counting(K, information, slab_deg, 2000.0, diameter_A)
    # The count is good to a grid step for each section's edges: 2 in 20,000 of what it holds.
    steps = 1e-4 * information.sum(axis=0).max()
    np.testing.assert_allclose(volume.ssnr, ssnr, rtol=1e-3, atol=steps)
    np.testing.assert_allclose(volume.bits, bits, rtol=1e-3, atol=steps)
    np.testing.assert_allclose(volume.measured, measured, atol=1e-4 * len(slab_deg))


def test_a_point_is_known_in_every_direction_by_any_tilt() -> None:
    information = np.array([[0.5], [1.5]])
    volume = volume_ssnr(np.array([0.1]), information, np.array([-30.0, 30.0]), 2000.0, 1.0)
    assert volume.bits[0] == pytest.approx(np.log2(3))
    assert volume.ssnr[0] == pytest.approx(2.0)
    assert volume.measured[0] == pytest.approx(1.0)


def test_evenly_filled_directions_leave_the_missing_wedge() -> None:
    # 1/(2 D k) = half a step, so the sections touch and do not overlap: all within ±60.5 is known once. Across the
    # axis only: towards it sections widen; so one latitude is looked at, in the plane of the map.
    slab_deg, step = np.arange(-60, 61, 1.0), np.deg2rad(1.0)
    k = np.array([1 / (2 * 1000 * np.sin(step / 2))])
    known = ssnr_map(k, np.arange(-90, 90, 0.01) + 0.005, np.ones((121, 1)), slab_deg, 2000.0, 1000.0)
    assert np.mean(known > 0) == pytest.approx(121 / 180, abs=1e-4)
    assert known.max() == 1


@given(
    tilts=st.lists(st.integers(-80, 80), min_size=1, max_size=30, unique=True),
    diameter_A=st.one_of(st.none(), st.floats(5, 5000)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_gaps_move_what_was_measured_and_lose_none_of_it(tilts: list[int], diameter_A: float | None, seed: int) -> None:
    slab_deg = np.array(tilts, dtype=float)
    information = stream(seed, "law").uniform(0, 3, (len(tilts), len(K)))
    order = stream(seed, "order").permutation(len(tilts))
    volume = volume_ssnr(K, information, slab_deg, 2000.0, diameter_A)
    shuffled = volume_ssnr(K, information[order], slab_deg[order], 2000.0, diameter_A)
    gapless = volume_ssnr(K, information, slab_deg, 2000.0, diameter_A, gapless=True)
    np.testing.assert_allclose(shuffled.bits, volume.bits, rtol=1e-9)
    np.testing.assert_allclose(gapless.ssnr, volume.ssnr, rtol=1e-9)  # the sum theorem behind fractionation
    assert (volume.measured <= 1 + 1e-9).all()
    assert (volume.bits <= np.log2(1 + volume.ssnr) + 1e-9).all()  # Jensen: evenly spread is the most
    assert (gapless.bits >= volume.bits * (1 - 1e-9)).all()
    doubled = volume_ssnr(K, 2 * information, slab_deg, 2000.0, diameter_A)
    assert (doubled.bits <= 2 * volume.bits + 1e-12).all()
    assert (doubled.bits >= volume.bits - 1e-12).all()


def test_a_section_is_as_thick_as_the_object_is_small() -> None:
    half = section_half_width(0.05, np.array([0.0, 60.0]), 2000.0, None)
    assert np.sin(half) == pytest.approx([1 / (2 * 2000 * 0.05), 1 / (2 * 4000 * 0.05)])
    assert np.sin(section_half_width(0.05, np.array([60.0]), 2000.0, 100.0)) == pytest.approx(0.1)
    assert section_half_width(0.0001, np.array([0.0]), 2000.0, None) == pytest.approx(np.pi / 2)


def test_the_map_shows_what_the_mean_averages() -> None:
    slab_deg = np.arange(-60, 61, 3.0)
    information = stream(1, "map").uniform(0.1, 1, (41, len(K)))
    directions = np.arange(-90, 90, 0.05) + 0.025
    shown = ssnr_map(K, directions, information, slab_deg, 2000.0, None).mean(axis=0)
    half = np.array([section_half_width(float(k), slab_deg, 2000.0, None) for k in K]).T
    np.testing.assert_allclose(shown, (information * 2 * half / np.pi).sum(axis=0), rtol=0.03)


@pytest.mark.parametrize("image_ssnr", [0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("tilts", [7, 21, 41, 81])
def test_counting_cells_gives_the_bits_of_the_exact_posterior(tilts: int, image_ssnr: float) -> None:
    """An independent oracle: the mutual information of images and a Gaussian slab, by determinants, no cells at all.

    At a frequency kx along the slab, a tilt a measures the slab's depth profile against exp(2 pi i z kx tan a), at the
    frequency kx / cos a of its own image. Two such waves overlap by sinc(t kx (tan a - tan b)) over the depth t, so the
    information is log2 det(1 + D G D), G these overlaps and D the square roots of the images' SSNR.
    """
    thickness_A, k_most, slab_deg = 1000.0, 1 / 20, np.linspace(-60, 60, tilts)
    information = np.full(tilts, image_ssnr * 41 / tilts)
    exact = 0.0
    for kx in (np.arange(200) + 0.5) / 200 * k_most:
        seen = kx / np.cos(np.deg2rad(slab_deg)) < k_most
        tangent, root = np.tan(np.deg2rad(slab_deg[seen])), np.sqrt(information[seen])
        overlap = np.sinc(thickness_A * kx * (tangent[:, None] - tangent))
        exact += np.linalg.slogdet(np.eye(len(root)) + root[:, None] * overlap * root)[1] / np.log(2) * k_most / 200
    k = (np.arange(200) + 0.5) / 200 * k_most
    directions, width = np.arange(-90, 90, 0.05) + 0.025, np.deg2rad(0.05)
    known = ssnr_map(k, directions, np.repeat(information[:, None], 200, axis=1), slab_deg, thickness_A, None)
    counted = thickness_A * float((np.log2(1 + known) * k).sum()) * (k_most / 200) * width
    assert counted == pytest.approx(exact, rel=0.01)
