"""The explorer's pictures keep to physics: what is measured comes back, what is not does not, electrons count."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric.design import parallax_A, predict
from eucentric.design.volume import section_half_width
from eucentric.optics import defocus_of_point_A
from eucentric.web.explorer import figures, imaging, model
from eucentric.web.explorer._kernels import add_sections
from eucentric.web.explorer.imaging import DETECTOR_PX, PIXEL_A, SLICE_ZX, Series
from eucentric.web.explorer.phantom import MARKED_X_A, Pieces, beads_A, phantom
from eucentric.web.explorer.state import State

Array = NDArray[np.float64]

DISCS = Pieces.of(
    [
        (-900.0, 0.0, 300.0, 350.0, 250.0, 1.0),
        (700.0, 0.0, -500.0, 240.0, 0.0, -0.7),
        (100.0, 0.0, 700.0, 150.0, 0.0, 1.5),
    ]
)


def _drawn(discs: Pieces) -> Array:
    """Return discs on the slice's grid, each pixel the mean of 16 places."""
    finer = (np.arange(4) + 0.5) / 4 - 0.5
    z, x = (PIXEL_A * ((np.arange(n) - n // 2)[:, None] + finer).reshape(-1) for n in SLICE_ZX)
    values = np.zeros((len(z), len(x)))
    for (cx, _, cz), outer, inner, contrast in zip(
        discs.centre_A, discs.outer_A, discs.inner_A, discs.contrast_V, strict=True
    ):
        r = np.hypot(z[:, None] - cz, x - cx)
        values += contrast * ((r < outer) & (r >= inner))
    return np.asarray(values.reshape(SLICE_ZX[0], 4, SLICE_ZX[1], 4).mean(axis=(1, 3)))


def _lines(tilts_deg: Array) -> NDArray[np.complex64]:
    spectra, _ = imaging.shadows(DISCS, tilts_deg)
    return np.asarray(spectra.sum(axis=1))


def test_all_angles_and_no_noise_give_the_phantom() -> None:
    tilts_deg = np.arange(-90.0, 90.0)
    seen, true = imaging.reconstructed(_lines(tilts_deg), tilts_deg), _drawn(DISCS)
    within = tuple(slice(20, -20) for _ in SLICE_ZX)
    assert np.corrcoef(seen[within].ravel(), true[within].ravel())[0, 1] > 0.98
    for (x, _, z), contrast in zip(DISCS.centre_A[1:], DISCS.contrast_V[1:], strict=True):  # those that are full
        row, column = (round(at / PIXEL_A) + n // 2 for at, n in zip((z, x), SLICE_ZX, strict=True))
        middle = seen[row - 4 : row + 5, column - 4 : column + 5].mean()
        assert middle == pytest.approx(contrast, rel=0.03)


def test_no_energy_lies_outside_the_covered_angles() -> None:
    half_deg = 50.0
    tilts_deg = np.linspace(-half_deg, half_deg, 101)
    seen = imaging.reconstructed(_lines(tilts_deg), tilts_deg)
    window = np.hanning(SLICE_ZX[0])[:, None] * np.hanning(SLICE_ZX[1])
    energy = np.abs(np.fft.fft2(seen * window)) ** 2
    kz, kx = np.fft.fftfreq(SLICE_ZX[0])[:, None], np.fft.fftfreq(SLICE_ZX[1])
    radius, direction = np.hypot(kz, kx), np.rad2deg(np.arctan2(np.abs(kz), np.abs(kx)))
    band = (radius > 0.03) & (radius < 0.3)  # beyond what the window spreads, below the ramp's end
    # A tilt of a has the section that is turned by a from the slab's plane.
    missing, measured = energy[band & (direction > half_deg + 5)].sum(), energy[band & (direction < half_deg)].sum()
    assert missing < 2e-3 * measured
    whole = np.abs(np.fft.fft2(_drawn(DISCS) * window)) ** 2
    assert whole[band & (direction > half_deg + 5)].sum() > 0.1 * whole[band].sum()  # there was something to miss


def test_a_shadow_holds_all_of_its_disc_at_any_tilt_where_parallax_has_it() -> None:
    one = Pieces.of([(600.0, 0.0, 400.0, 130.0, 60.0, 2.0)])
    tilts_deg = np.array([-70.0, -13.0, 0.0, 41.0, 66.0])
    lines = np.fft.irfft(imaging.shadows(one, tilts_deg)[0].sum(axis=1))[:, :DETECTOR_PX]
    area_px = np.pi * (13.0**2 - 6.0**2)
    np.testing.assert_allclose(lines.sum(axis=1), 2.0 * area_px, rtol=1e-4)
    u_A = PIXEL_A * (np.arange(DETECTOR_PX) - DETECTOR_PX // 2)
    centre_A = (lines * u_A).sum(axis=1) / lines.sum(axis=1)
    np.testing.assert_allclose(centre_A, 600.0 + parallax_A(400.0, 600.0, tilts_deg), atol=0.5)


def test_a_layer_is_as_far_from_focus_as_its_height() -> None:
    one = Pieces.of([(600.0, 0.0, 400.0, 130.0, 60.0, 2.0)])
    tilts_deg = np.array([-60.0, 20.0])
    spectra, layers = imaging.shadows(one, tilts_deg)
    held = np.abs(spectra[:, :, 0])
    height_A = (held * layers).sum(axis=1) / held.sum(axis=1)
    np.testing.assert_allclose(height_A, defocus_of_point_A(0.0, 600.0, 400.0, -tilts_deg), atol=0.5)


def _correlation(state: State, wanted: NDArray[np.float32]) -> float:
    return float(np.corrcoef(model.tomogram_slice(state).ravel(), wanted.ravel())[0, 1])


def test_signal_to_noise_grows_with_exposure_and_falls_with_thickness() -> None:
    series = [Series.of(predict(State(exposure_e_A2=e).design().plan())) for e in (40.0, 160.0)]
    k = np.array([0.01])
    few, many = (one.noise_of(0, k)[0, 0] for one in series)
    assert few == pytest.approx(2 * many)  # four times the electrons, half the noise
    clean = model.tomogram_slice(State(noise=0.0))
    seen = [_correlation(State(exposure_e_A2=e), clean) for e in (10.0, 40.0, 160.0)]
    assert seen[0] < seen[1] < seen[2]
    thin, thick = (
        _correlation(State(thickness_A=t), model.tomogram_slice(State(thickness_A=t, noise=0.0)))
        for t in (1500.0, 4000.0)
    )
    assert thick < thin


def test_the_noise_of_an_image_is_that_of_its_electrons() -> None:
    state = State(exposure_e_A2=100.0)
    noise = model.projection(state) - model.projection(state.replace(noise=0.0))
    prediction = model.predicted(state)
    exposure = model.nearest(prediction, 0.0)
    counts = exposure.exposure_e_A2 * prediction.transmission[exposure.order] * PIXEL_A**2
    dqe = prediction.plan.design.camera.dqe_zero  # falls by 7 % to this Nyquist
    assert noise.std() == pytest.approx(1 / np.sqrt(counts * dqe), rel=0.05)


def test_the_same_state_gives_the_same_pictures_and_noise_does_not_jump() -> None:
    state = State(tilts=21)
    first = figures.tomogram_slice(state), figures.projection(state)
    model._slice.cache_clear()
    model.projection.cache_clear()
    assert (figures.tomogram_slice(state), figures.projection(state)) == first
    near = state.replace(exposure_e_A2=125.0)
    noise, moved = (model.projection(one) - model.projection(one.replace(noise=0.0)) for one in (state, near))
    assert np.corrcoef(noise.ravel(), moved.ravel())[0, 1] > 0.999


def _fine(image: NDArray[np.float32]) -> NDArray[np.complex128]:
    """Return what a slice holds from 40 to 22 Å."""
    radius = np.hypot(np.fft.fftfreq(SLICE_ZX[0], PIXEL_A)[:, None], np.fft.fftfreq(SLICE_ZX[1], PIXEL_A))
    return np.asarray(np.fft.fft2(image)[(radius > 1 / 40) & (radius < 1 / 22)])


def test_weighting_by_exposure_helps_fine_detail_where_there_was_too_much_exposure() -> None:
    spent = State(exposure_e_A2=250.0, defocus_A=20_000.0)
    clean = _fine(model.tomogram_slice(spent.replace(noise=0.0, exposure_e_A2=10.0, weighted=False)))

    def likeness(weighted: bool) -> float:
        seen = _fine(model.tomogram_slice(spent.replace(weighted=weighted)))
        return float(np.vdot(seen, clean).real / np.linalg.norm(seen) / np.linalg.norm(clean))

    assert likeness(weighted=True) > 1.05 * likeness(weighted=False)


def test_streaks_of_few_tilts_go_with_more_and_grain_does_not() -> None:
    clean = model.tomogram_slice(State(tilts=121, noise=0.0))
    few, many = (model.tomogram_slice(State(tilts=n, noise=0.0)) for n in (15, 61))
    assert np.std(few - clean) > 3 * np.std(many - clean)
    grain = [
        np.std(model.tomogram_slice(State(tilts=n)) - model.tomogram_slice(State(tilts=n, noise=0.0)))
        for n in (61, 121)
    ]
    assert grain[0] == pytest.approx(grain[1], rel=0.1)


def test_coverage_is_the_prediction_s_own() -> None:
    state, at = State(tilts=21), 0.055
    prediction = predict(state.design().plan())
    slab_deg = prediction.plan.design.slab.slab_deg
    information = np.array([np.interp([at], prediction.k, of_tilt) for of_tilt in prediction.information])
    fine = replace(prediction, k=np.array([at]), information=information).ssnr(np.arange(0, 180, 0.01))
    half = section_half_width(at, slab_deg, state.thickness_A, None)[:, None]
    polar = np.zeros((720, 1))
    add_sections(information, np.deg2rad(slab_deg), half, polar)
    np.testing.assert_allclose(
        polar.reshape(180, 4).mean(axis=1), fine.reshape(180, 100).mean(axis=1), atol=0.03 * fine.max()
    )
    few, many = (model.coverage(State(tilts=n)) for n in (21, 121))
    assert (many > 0).sum() > 2 * (few > 0).sum()  # gaps
    assert many[: model.MAP_PX // 2, model.MAP_PX - 20 : model.MAP_PX + 20].max() == 0  # the wedge


def test_what_lies_in_the_slab_lies_whole_in_it_and_beads_on_it() -> None:
    for thickness_A in (500.0, 2000.0, 4000.0):
        held = phantom(thickness_A)
        beads = len(beads_A(thickness_A))
        inside = held.balls.those(np.arange(len(held.balls)) < len(held.balls) - beads)
        assert (np.abs(inside.centre_A[:, 2]) + inside.outer_A <= thickness_A / 2).all()
        np.testing.assert_array_equal(held.balls.centre_A[-beads:][:3, 0], MARKED_X_A)
    assert len(phantom(4000.0).balls) > len(phantom(2000.0).balls) > len(phantom(500.0).balls)
