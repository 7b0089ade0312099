"""Predictions against formulas written out apart, published behaviour, and what must not matter."""

import numpy as np
import pytest
from scipy import integrate

from eucentric.design import (
    Alignability,
    Bidirectional,
    Camera,
    ConstantDefocus,
    ConstantExposure,
    ConstantIncrement,
    Design,
    DoseSymmetric,
    EqualCountsExposure,
    Explicit,
    FrameCount,
    Routine,
    Specimen,
    Stage,
    StaggeredDefocus,
    Terms,
    Unidirectional,
    clock,
    predict,
)
from eucentric.design.signal import signal_A2
from eucentric.optics import Lens, ctf, temporal_envelope

PERFECT = Terms(alignment=False, motion=False)


def dose_symmetric(tilts: int, **changes: object) -> Design:
    scheme = DoseSymmetric(increment=ConstantIncrement(step_deg=120 / (tilts - 1)))
    return Design(scheme=scheme).replace(**changes)


def test_the_default_design_in_numbers() -> None:
    prediction = predict(Design().plan())
    summary = prediction.summary
    assert summary.tilts == 41
    assert summary.exposure_e_A2 == pytest.approx(120)
    assert summary.missing_wedge_fraction == pytest.approx(1 / 3)
    assert summary.elongation == pytest.approx(1.55, abs=0.005)
    assert summary.crowther_A == pytest.approx(4000 * np.deg2rad(3))
    assert summary.transfer == pytest.approx(0.232, abs=5e-4)
    assert summary.asymmetry == pytest.approx(0.02, abs=5e-3)
    assert summary.stage_travel_deg == 1320  # twice: 3 for every other move, and 6, 12, ... 120 to the other side
    assert summary.reversals == 20
    np.testing.assert_allclose(prediction.thickness_A[0], 2000)
    np.testing.assert_allclose(prediction.thickness_A[-1], 4000)
    np.testing.assert_allclose(prediction.transmission[0], np.exp(-2000 / 3150))
    np.testing.assert_allclose(prediction.counts_per_px[0], 120 / 41 * np.exp(-2000 / 3150) * 1.35**2)
    low, high = prediction.transmission_range
    assert (low < prediction.transmission).all()
    assert (high > prediction.transmission).all()
    bits = summary.information_bits_range
    assert bits[0] < summary.information_bits < bits[1]


def test_the_defaults_place_images_as_well_as_they_say() -> None:
    errors = predict(Design().plan()).alignment_error_A
    assert 1.8 < errors.min() < 2.3
    assert 4.7 < errors.max() < 5.5


def test_the_information_of_one_image_is_the_formula() -> None:
    """One tilt of -40° after 60 e/Å², everything written out and integrated numerically."""
    lens, camera, specimen = Lens(), Camera(pixel_A=2.0, columns=64), Specimen(thickness_A=1500.0)
    design = Design(
        scheme=Explicit(tilts_deg=(10.0, -40.0)),
        exposure=ConstantExposure(untilted_e_A2=60.0),
        frames=FrameCount(frames=30),
        defocus=ConstantDefocus(defocus_A=15_000.0),
        lens=lens,
        camera=camera,
        specimen=specimen,
        alignability=Alignability(error_A=0.0, floor_A=3.0, motion_A_per_e_A2=0.5),
    )
    prediction = predict(design.plan())
    at = [10, 40, 70]
    tilt, passed = np.deg2rad(40), np.exp(-1500 / 3150 / np.cos(np.deg2rad(40)))
    for k, got in zip(prediction.k[at], prediction.information[1, at], strict=True):
        critical = 0.245 * k**-1.665 + 2.81
        useful, _ = integrate.quad(lambda e, ne=critical: np.exp(-e / ne), 60, 120)
        # Points at all heights of the slab and all places of the field, each with its own defocus.
        depth, field = 1500 / np.cos(tilt), 128 * np.tan(tilt)
        width = prediction.k[1] - prediction.k[0]
        even = (np.arange(100) + 0.5) / 100 - 0.5
        defocus = 15_000 + depth * even[:, None] + field * even
        band = k + width * even
        contrast = np.mean(ctf(band[:, None, None], defocus, lens) ** 2)
        dqe = 0.8 - (0.8 - 0.39) * k / 0.25
        placed = np.exp(-4 * np.pi**2 * 3.0**2 * k**2)
        angle = (np.arange(1000) + 0.5) / 1000 * np.pi
        still = np.mean(np.sinc(k * 0.5 * 2 * np.cos(angle)) ** 2)  # 2 e/Å² a frame, 0.5 Å each
        signal = signal_A2(np.array([k]), specimen, 300.0)[0] * temporal_envelope(k, lens) ** 2
        expected = signal * passed * dqe * contrast * useful * placed * still
        assert got == pytest.approx(expected, rel=0.02)


def test_the_signal_is_that_of_independent_atoms_at_high_resolution() -> None:
    # At 3 Å carbon scatters 1.6 to 1.9 Å (f = 2.51 Å at 0); a thousand kDa has 71,429 atoms over 14,000 Å².
    signal = signal_A2(np.array([1 / 3]), Specimen(particle_kDa=1000), 300.0)[0]
    area = np.pi / 4 * Specimen(particle_kDa=1000).particle_diameter_A ** 2
    atom = np.sqrt(signal * area / (1e6 / 14)) / (2 * 6.5262e-4 * 47.878)
    assert 1.5 < atom < 2.0
    assert Specimen(particle_kDa=1000).particle_diameter_A == pytest.approx(133, abs=1)
    # Twice the mass: the same density of atoms over 2^(1/3) the depth.
    double = signal_A2(np.array([1 / 3]), Specimen(particle_kDa=2000), 300.0)[0]
    assert double / signal == pytest.approx(2 ** (1 / 3), rel=1e-3)


@pytest.mark.parametrize(("resolution_A", "most"), [(20.0, 0.015), (10.0, 0.005)])
def test_perfectly_aligned_the_number_of_tilts_does_not_matter(resolution_A: float, most: float) -> None:
    """Hegerl & Hoppe 1976, McEwen 1995: with a counting camera, at fixed exposure, from 13 to 121 tilts."""
    found = []
    for tilts in (13, 21, 31, 41, 61, 81, 121):
        prediction = predict(dose_symmetric(tilts, specimen=Specimen(diameter_A=133.0)).plan(), PERFECT)
        found.append(np.interp(1 / resolution_A, prediction.k, prediction.volume.ssnr))
    assert np.ptp(found) / np.mean(found) < most


def test_readout_noise_makes_many_weak_frames_cost() -> None:
    noisy = Camera(readout_e=1.0)
    few = predict(dose_symmetric(21, camera=noisy).plan(), PERFECT).information.sum()
    many = predict(dose_symmetric(121, camera=noisy).plan(), PERFECT).information.sum()
    counting = predict(dose_symmetric(21).plan(), PERFECT).information.sum()
    assert many < 0.5 * few < 0.5 * counting
    frames = predict(dose_symmetric(21, camera=noisy, frames=FrameCount(frames=80)).plan(), PERFECT)
    assert frames.information.sum() < 0.3 * few


def test_alignment_error_grows_as_images_weaken() -> None:
    errors = [float(predict(dose_symmetric(tilts).plan()).alignment_error_A.mean()) for tilts in (21, 41, 121)]
    assert errors[0] < errors[1] < errors[2]
    one = predict(dose_symmetric(41).plan())
    assert (np.diff(one.alignment_error_A) > 0).all()  # each image has more ice, more damage than the one before
    none = predict(dose_symmetric(41, alignability=Alignability(error_A=0.0, floor_A=2.0)).plan())
    np.testing.assert_allclose(none.alignment_error_A, 2.0)
    # 2 Å of error leaves .45 of the amplitude at 10 Å, .82 at 20 Å (its square in SSNR).
    perfect = predict(none.plan, Terms(alignment=False))
    for resolution_A, amplitude in ((10, 0.45), (20, 0.82)):
        at = int(np.argmin(np.abs(one.k - 1 / resolution_A)))
        factor = np.sqrt(none.information[0, at] / perfect.information[0, at])
        assert factor == pytest.approx(np.exp(-2 * np.pi**2 * 4 * one.k[at] ** 2))
        assert factor == pytest.approx(amplitude, abs=0.02)  # the bin is next to the resolution


def test_every_cost_costs() -> None:
    plan = Design().plan()
    best = predict(plan).worth()
    for name in Terms.model_fields:
        assert predict(plan, Terms(**{name: False})).worth() > best, name


def test_dose_symmetric_wins_by_little() -> None:
    """Row 5 of the published figures: 1 to 5 % of the total over bidirectional; a large win would be wrong."""
    particle = Specimen(diameter_A=133.0)  # a slab's thinner sections at high tilt weigh twice, and give 1 to 9 %
    one = predict(Design(scheme=DoseSymmetric(), specimen=particle).plan(), PERFECT)
    other = predict(Design(scheme=Bidirectional(), specimen=particle).plan(), PERFECT)
    for resolution_A in (20, 10, 5):
        ratio = np.interp(1 / resolution_A, one.k, one.volume.ssnr / other.volume.ssnr)
        assert 1.0 < ratio < 1.07


def test_equal_counts_are_equal_and_tracking_in_place_is_paid_for() -> None:
    equal = predict(Design(exposure=EqualCountsExposure(total_e_A2=120)).plan())
    np.testing.assert_allclose(equal.counts_per_px, equal.counts_per_px[0])
    tracked = predict(Design(routine=Routine(moves_e_A2=1.0)).plan())
    plain = predict(Design().plan())
    assert tracked.information_bits < plain.information_bits
    assert tracked.plan.exposures == plain.plan.exposures  # what is planned is as it was


def test_particles_are_those_of_fsc_0143() -> None:
    prediction = predict(Design(specimen=Specimen(diameter_A=133.0)).plan())
    needed = prediction.particles(20.0)
    assert needed is not None
    half = needed / 2 * np.interp(1 / 20, prediction.k, prediction.volume.ssnr)
    assert half / (1 + half) == pytest.approx(1 / 7, rel=1e-3)  # the particle is 132.9 Å wide
    # What is sampled, the slab or something smaller, changes neither the particles nor the bits of weak images.
    whole = predict(Design().plan())
    assert whole.particles(20.0) == pytest.approx(needed)
    assert whole.particles(2.0) is None  # beyond Nyquist
    dim = Design(camera=Camera(dqe_zero=1e-6, dqe_nyquist=0), alignability=Alignability(error_A=0.0))
    weak = [predict(dim.replace(specimen=Specimen(diameter_A=d)).plan()) for d in (500.0, 2000.0)]
    assert weak[0].information_bits == pytest.approx(weak[1].information_bits, rel=0.02)


def test_a_worse_camera_places_images_worse() -> None:
    usual = predict(Design().plan()).alignment_error_A.mean()
    assert predict(Design(camera=Camera(dqe_zero=0.2, dqe_nyquist=0.1)).plan()).alignment_error_A.mean() > 1.5 * usual
    assert predict(Design(specimen=Specimen(particle_kDa=50)).plan()).alignment_error_A.mean() > usual


def test_the_band_is_that_of_predictions_with_its_ends() -> None:
    low, high = predict(Design().plan()).summary.information_bits_range
    for path_A, bits in ((2110.0, low), (3950.0, high)):
        alone = predict(Design(specimen=Specimen(mean_free_path_A=path_A)).plan())
        assert alone.information_bits == pytest.approx(bits, rel=1e-9)


def test_ice_that_lets_nothing_through_gives_no_nan() -> None:
    dark = predict(Design(specimen=Specimen(thickness_A=50_000.0, mean_free_path_A=100.0)).plan())
    assert dark.information_bits == 0
    assert dark.summary.information_bits_range[0] == pytest.approx(0, abs=1e-3)
    assert np.isfinite(dark.alignment_error_A).all()


def test_staggered_defocus_fills_the_zeros() -> None:
    one = predict(Design().plan()).summary.lowest_session_ctf2
    staggered = StaggeredDefocus(low_A=20_000, high_A=40_000, series=12)
    session = predict(Design(defocus=staggered).plan()).summary.lowest_session_ctf2
    assert one < 0.01
    assert session > 0.3
    # Steps of 0.5 µm: lambda k² step is 1 at 9.9 Å, where all five are blind, as at twice the frequency.
    even = staggered.replace(series=5, spacing="even")
    assert predict(Design(defocus=even).plan()).summary.lowest_session_ctf2 < 0.06
    by_ratio = staggered.replace(series=5)
    assert predict(Design(defocus=by_ratio).plan()).summary.lowest_session_ctf2 > 0.25
    assert predict(Design(defocus=staggered.replace(index=3)).plan()).summary.lowest_session_ctf2 == session


def test_the_clock() -> None:
    stage = Stage(speed_deg_per_s=2.0, settle_s=3.0, reversal_s=7.0)
    routine = Routine(dose_rate_e_A2_per_s=2.0, tracking_s=10.0, focus_s=20.0, focus_every=2, overhead_s=1.0)
    scheme = Explicit(tilts_deg=(0.0, 4.0, -6.0))
    design = Design(scheme=scheme, exposure=ConstantExposure(untilted_e_A2=6.0), stage=stage, routine=routine)
    told = clock(design.plan())
    # 10 + 20, expose 3, 1; move 2 + 3, 10, expose 3, 1; move 5 + 3 + 7, 10 + 20, expose 3, 1
    np.testing.assert_allclose(told.start_s, [30, 49, 98])
    assert told.duration_s == 102
    assert told.reversals == 1
    assert told.stage_travel_deg == 14
    assert clock(Design(scheme=Explicit(tilts_deg=(5.0,))).plan()).duration_s > 0


def test_reversals_of_schemes() -> None:
    counts = {
        "hagen": DoseSymmetric(),
        "serialem": DoseSymmetric(order="serialem"),
        "by four": DoseSymmetric(group=4),
        "uni": Unidirectional(),
        "bi": Bidirectional(),
    }
    found = {name: clock(Design(scheme=scheme).plan()).reversals for name, scheme in counts.items()}
    assert found == {"hagen": 20, "serialem": 39, "by four": 9, "uni": 0, "bi": 1}


def test_a_lamella_is_seen_through_at_its_own_angle() -> None:
    flat = predict(Design(scheme=DoseSymmetric(min_deg=-60, max_deg=60)).plan())
    tilted = predict(Design(specimen=Specimen(pre_tilt_deg=10.0)).plan())
    np.testing.assert_allclose(tilted.transmission, flat.transmission)
    assert [one.tilt_deg - 10 for one in tilted.plan] == pytest.approx([one.tilt_deg for one in flat.plan])


def test_one_tilt_is_enough_to_predict() -> None:
    summary = predict(Design(scheme=Explicit(tilts_deg=(0.0,))).plan()).summary
    assert summary.missing_wedge_fraction == 1
    assert summary.elongation is None
    assert summary.duration_s > 0


def test_more_frequencies_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = predict(Design().plan())
    monkeypatch.setattr("eucentric.design.prediction._FREQUENCIES", 768)
    fine = predict(Design().plan())
    assert usual.information_bits == pytest.approx(fine.information_bits, rel=0.01)
    assert usual.worth() == pytest.approx(fine.worth(), rel=0.01)
