import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from twin_cases import PHASE_PLATE, PLAIN, at, ball, below, in_ice, in_vacuum, relative_error, tilted

from eucentric.detector import DETECTORS
from eucentric.optics import Aberrations, surviving_amplitude
from eucentric.specimen.solvent import ice_memory
from eucentric.twin.field import Field
from eucentric.twin.formation import Spectra, form, image_of
from eucentric.twin.frames import WARP_PX, FrameConditions, FrameMotion, expected_frames, warped
from eucentric.twin.scene import Scene

laws = settings(max_examples=20, deadline=None, derandomize=True)
Floats = NDArray[np.float32]
FIELD = Field((96, 96), 2.0)
STILL = FrameMotion((0.0, 0.0))
EXPOSURE_e_A2 = 1000.0  # of a frame: so many that single precision of what arrives is the last digit of its contrast


def molecules_alone(field: Field = FIELD, *, radius_A: float = 30.0, seed: int = 1) -> Spectra:
    """Give the spectra of atoms in vacuum, seen in focus through a phase plate."""
    scene = Scene.of(in_vacuum(at(ball(80, radius_A, seed), (0.0, 0.0, 0.0))), field.pixel_A)
    return form(scene, tilted(0.0), field, PHASE_PLATE, Aberrations(defocus_A=0.0))


def spectra_of(image: NDArray[Any], field: Field, path_A: float = 0.0) -> Spectra:
    """Give spectra of which nothing fades or moves by itself: those of an image on the padded field."""
    empty = np.zeros(field.k.shape, np.complex64)
    lasting = np.fft.rfft2(image).astype(np.complex64)
    return Spectra(empty, (empty, empty), lasting, np.full(field.shape_yx, path_A, np.float32))


def spots(*places_yx_A: tuple[float, float], field: Field = FIELD) -> Spectra:
    """Give spots of 12 Å with nothing about them: what is read from beyond the image's border is 0, as it should be."""
    y, x = (np.arange(n) - n // 2 for n in field.padded_yx)
    image = np.zeros(field.padded_yx)
    for at_y, at_x in places_yx_A:
        away2 = (y[:, None] * field.pixel_A - at_y) ** 2 + (x[None] * field.pixel_A - at_x) ** 2
        image += 0.2 * np.exp(-0.5 * away2 / 6.0**2)
    return spectra_of(image, field)


def conditions(field: Field = FIELD, **changes: Any) -> FrameConditions:
    usual: dict[str, Any] = {
        "exposures_e_A2": (EXPOSURE_e_A2,),
        "pre_exposure_e_A2": 0.0,
        "voltage_kV": 300.0,
        "mean_free_path_A": math.inf,
        "elastic_A": math.inf,
        "filtered": True,
        "damage": False,
        "ice_motion": False,
        "beam": None,
        "mtf": np.ones(field.k.shape),
    }
    return FrameConditions(**{**usual, **changes})


def contrasts(
    spectra: Spectra, motions: Sequence[FrameMotion] = (STILL,), field: Field = FIELD, **changes: Any
) -> list[NDArray[np.float64]]:
    """Give each frame's electrons over their mean without contrast, less 1."""
    of_all = conditions(field, **{"exposures_e_A2": (EXPOSURE_e_A2,) * len(motions), **changes})
    frames = expected_frames(spectra, field, list(motions), of_all)
    return [
        frame.astype(float) / (exposure * field.pixel_A**2) - 1
        for frame, exposure in zip(frames, of_all.exposures_e_A2, strict=True)
    ]


def transform(contrast: NDArray[np.float64], field: Field = FIELD) -> NDArray[np.complex128]:
    """Give the half transform of an image that is 0 at its border, on the padded field."""
    whole = np.zeros(field.padded_yx)
    whole[field.crop] = contrast
    return np.fft.rfft2(whole)


def shift_between(one: NDArray[np.float64], other: NDArray[np.float64], pixel_A: float) -> NDArray[np.float64]:
    """Give how far `other` has moved against `one`, (y, x) in Å: the slope of the phase between them."""
    spectra = np.fft.rfft2(one), np.fft.rfft2(other)
    ky = np.fft.fftfreq(one.shape[0], pixel_A)[:, None]
    kx = np.fft.rfftfreq(one.shape[1], pixel_A)[None]
    low = np.hypot(ky, kx) < 0.03 / pixel_A  # phases of 28 Å do not come round
    cross = (np.conj(spectra[0]) * spectra[1])[low]
    slopes = np.stack(np.broadcast_arrays(ky, kx), axis=-1)[low]
    weight = np.abs(cross)
    fit = np.linalg.lstsq(slopes * weight[:, None], np.angle(cross) * weight, rcond=None)[0]
    return np.asarray(-fit / (2 * np.pi))


# --- electrons


@laws
@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=4), st.floats(0, 5000), st.floats(500, 5000))
def test_as_many_electrons_arrive_as_pass(exposures: list[float], path_A: float, mean_free_path_A: float) -> None:
    spectra = spectra_of(np.zeros(FIELD.padded_yx), FIELD, path_A)
    of_all = conditions(exposures_e_A2=tuple(exposures), mean_free_path_A=mean_free_path_A)
    frames = list(expected_frames(spectra, FIELD, [STILL] * len(exposures), of_all))
    assert len(frames) == len(exposures)
    for frame, exposure in zip(frames, exposures, strict=True):
        assert frame.shape == FIELD.shape_yx
        np.testing.assert_allclose(frame, exposure * 4 * math.exp(-path_A / mean_free_path_A), rtol=1e-5)


@laws
@given(st.floats(100, 4000))
def test_without_a_filter_most_of_what_lost_energy_arrives_too(path_A: float) -> None:
    """All but a tenth of it; its image keeps what is coarse."""
    y = np.arange(FIELD.padded_yx[0]) * FIELD.pixel_A
    coarse = 0.1 * np.cos(2 * np.pi * 2 / y.size * np.arange(y.size))[:, None] * np.ones(FIELD.padded_yx)
    fine = 0.1 * np.cos(2 * np.pi * np.arange(y.size) / 8)[:, None] * np.ones(FIELD.padded_yx)
    passed = math.exp(-path_A / 3150)
    arriving = passed + 0.9 * (1 - passed)
    means: list[float] = []
    fine_std: list[float] = []
    coarse_std: list[float] = []
    for filtered in (True, False):
        for image, into in ((coarse, coarse_std), (fine, fine_std)):
            spectra = spectra_of(image, FIELD, path_A)
            (contrast,) = contrasts(spectra, mean_free_path_A=3150.0, filtered=filtered)
            into.append(float(contrast.std()))
            means.append(1 + float(contrast.mean()))
    assert means[1] == pytest.approx(passed, rel=1e-3)
    assert means[3] == pytest.approx(arriving, rel=1e-3)
    # Periods of 256 Å and of 16 Å under the blur of 40 Å: 0.95 and nothing.
    blur = math.exp(-0.5 * (40 * 2 / (y.size * FIELD.pixel_A)) ** 2)
    assert coarse_std[1] / coarse_std[0] == pytest.approx(1 + 0.9 * (1 / passed - 1) * blur, rel=0.01)
    assert fine_std[1] / fine_std[0] == pytest.approx(1 + 0.9 * (1 / passed - 1) * math.exp(-0.5 * 2.5**2), rel=0.01)


def test_no_pixel_has_fewer_than_none_and_the_total_stays() -> None:
    y = np.arange(FIELD.padded_yx[0])
    strong = 1.5 * np.cos(2 * np.pi * y / 8)[:, None] * np.ones(FIELD.padded_yx)
    (contrast,) = contrasts(spectra_of(strong, FIELD))
    assert contrast.min() == pytest.approx(-1)
    assert contrast.mean() == pytest.approx(0, abs=1e-5)


def test_the_beam_lights_each_pixel() -> None:
    beam = np.linspace(0, 1, 96, dtype=np.float32)[None] * np.ones((96, 1), np.float32)
    (contrast,) = contrasts(spectra_of(np.zeros(FIELD.padded_yx), FIELD), beam=beam)
    np.testing.assert_allclose(contrast, beam - 1, atol=1e-6)


@pytest.mark.parametrize("camera", ["k2", "falcon4"])
def test_the_mtf_shapes_the_spectrum(camera: str) -> None:
    """With over without is the camera's curve at every frequency, and the mean stays."""
    spectra, mtf = molecules_alone(radius_A=15.0), DETECTORS[camera].mtf_at(FIELD.k * FIELD.pixel_A)
    (without,), (with_,) = contrasts(spectra), contrasts(spectra, mtf=mtf)
    assert relative_error(transform(with_), transform(without) * mtf, below(FIELD, 0.9)) < 0.01
    assert relative_error(transform(with_), transform(without), below(FIELD, 0.9)) > 0.03


def test_thick_ice_takes_contrast_from_molecules_and_ice_but_no_electrons() -> None:
    """``exp(-t / elastic mean free path)`` of it is left; gold and carbon keep what they scatter."""
    part, empty = molecules_alone().molecules, np.zeros(FIELD.k.shape, np.complex64)
    path_A = np.full(FIELD.shape_yx, 2000.0, np.float32)
    for spectra, kept in (
        (Spectra(part, (empty, empty), empty, path_A), math.exp(-2000 / 5000)),
        (Spectra(empty, (part, empty), empty, path_A), math.exp(-2000 / 5000)),
        (Spectra(empty, (empty, empty), part, path_A), 1.0),
    ):
        (thick,), (thin,) = contrasts(spectra, elastic_A=5000.0), contrasts(spectra)
        np.testing.assert_allclose(thick, kept * thin, atol=1e-5)
        assert thin.std() > 1e-3


# --- damage


@pytest.mark.parametrize("before_e_A2", [0.0, 30.0])
def test_late_frames_over_early_ones_recover_the_curve_of_damage(before_e_A2: float) -> None:
    """``exp(-dE / 2 Ne(k))`` to 2 %, from 40 to 4 Å (issue 4): from expected images, of frames of equal exposure."""
    each, field = 4.0, Field((128, 128), 1.5)
    scene = Scene.of(in_vacuum(at(ball(60, 12.0, 1), (0.0, 0.0, 0.0))), field.pixel_A)
    spectra = form(scene, tilted(0.0), field, PHASE_PLATE, Aberrations(defocus_A=0.0))
    # So weak a contrast that no pixel is below none, so that an image is what its spectrum says.
    frames = contrasts(
        spectra, [STILL] * 11, field, exposures_e_A2=(each,) * 11, pre_exposure_e_A2=before_e_A2, damage=True
    )
    early, late = transform(frames[0], field), transform(frames[10], field)
    for resolution_A in (40.0, 20.0, 10.0, 7.0, 5.0, 4.0):
        band = np.abs(field.k - 1 / resolution_A) < 0.5 / (128 * 1.5)
        kept = float(np.linalg.norm(late[band]) / np.linalg.norm(early[band]))
        assert kept == pytest.approx(float(surviving_amplitude(1 / resolution_A, 10 * each)), rel=0.02)
    # And what came before counts: the first frame against one of an undamaged molecule.
    (fresh,) = contrasts(spectra, [STILL], field)
    band = np.abs(field.k - 1 / 10.0) < 0.5 / (128 * 1.5)
    kept = float(np.linalg.norm(early[band]) / np.linalg.norm(transform(fresh, field)[band]))
    over_frame = surviving_amplitude(0.1, before_e_A2 + each * (np.arange(100) + 0.5) / 100)
    assert kept == pytest.approx(float(over_frame.mean()), rel=0.02)


def test_gold_and_carbon_are_not_damaged() -> None:
    spectra = spectra_of(0.1 * np.random.default_rng(1).normal(size=FIELD.padded_yx), FIELD)
    first, last = contrasts(spectra, [STILL] * 2, exposures_e_A2=(50.0, 50.0), damage=True, ice_motion=True)
    np.testing.assert_allclose(last, first, atol=1e-5)


def test_ice_forgets_its_grain_and_keeps_its_power() -> None:
    """The likeness of two frames is the memory over the exposure between them; each is as grainy as the other."""
    field = Field((192, 192), 2.0)
    spectra = form(Scene.of(in_ice(300.0), 2.0), tilted(0.0), field, PLAIN, Aberrations(defocus_A=10_000.0), seed=2)
    frames = contrasts(spectra, [STILL] * 4, field, exposures_e_A2=(1.0,) * 4, ice_motion=True, pre_exposure_e_A2=30.0)
    spectra_seen = [np.fft.rfft2(frame) for frame in frames]
    k = np.hypot(np.fft.fftfreq(192, 2.0)[:, None], np.fft.rfftfreq(192, 2.0))
    for resolution_A in (20.0, 8.0, 5.0):
        band = np.abs(k - 1 / resolution_A) < 0.01
        first, last = spectra_seen[0][band], spectra_seen[3][band]
        likeness = float(np.vdot(first, last).real / np.linalg.norm(first) / np.linalg.norm(last))
        both = ice_memory(1 / resolution_A, 0.5), ice_memory(1 / resolution_A, 3.5)
        expected = both[0] * both[1] + np.sqrt((1 - both[0] ** 2) * (1 - both[1] ** 2))
        assert likeness == pytest.approx(float(expected), abs=0.06)
        assert np.linalg.norm(last) / np.linalg.norm(first) == pytest.approx(1, abs=0.06)
    still = contrasts(spectra, [STILL] * 2, field, exposures_e_A2=(1.0, 1.0))
    np.testing.assert_allclose(still[1], still[0], atol=1e-5)


# --- motion


@laws
@given(st.floats(-20, 20), st.floats(-20, 20))
def test_a_frame_lies_where_it_has_moved(y_A: float, x_A: float) -> None:
    """To 0.02 px (phase of the two images)."""
    there, here = contrasts(molecules_alone(), [FrameMotion((y_A, x_A)), STILL])
    np.testing.assert_allclose(shift_between(here, there, 2.0), (y_A, x_A), atol=0.02 * 2.0)


@laws
@given(st.floats(-8, 8), st.floats(-8, 8))
def test_motion_within_a_frame_blurs_along_its_way(y_A: float, x_A: float) -> None:
    """``sinc(k . d)``: and the same as many short frames on the way, in the mean."""
    spectra = molecules_alone(radius_A=15.0)
    blurred, sharp = contrasts(spectra, [FrameMotion((0.0, 0.0), (y_A, x_A)), STILL])
    ky, kx = FIELD.frequencies(half=True)
    expected = transform(sharp) * np.sinc(ky * y_A + kx * x_A)
    assert relative_error(transform(blurred), expected, below(FIELD, 0.9)) < 0.02  # what lies beyond the image's border
    way = (np.arange(40) + 0.5) / 40 - 0.5
    short = np.mean(contrasts(spectra, [FrameMotion((y_A * at_, x_A * at_)) for at_ in way]), axis=0)
    assert relative_error(blurred, short) < 0.02


def grid_of(field: Field, moved_A: tuple[float, float]) -> NDArray[np.float64]:
    shape = [-(-n // WARP_PX) + 2 for n in field.shape_yx]
    return np.tile(np.array(moved_A), (*shape, 1))


def test_where_the_local_field_is_0_the_image_is_left_alone() -> None:
    spectra = molecules_alone()
    still, none = contrasts(spectra, [FrameMotion((0.0, 0.0), (0.0, 0.0), grid_of(FIELD, (0.0, 0.0))), STILL])
    # Two rows at the border would need coefficients from beyond it.
    np.testing.assert_allclose(still[2:-2, 2:-2], none[2:-2, 2:-2], atol=1e-4 * np.abs(none).max())


@laws
@given(st.floats(-15, 15), st.floats(-15, 15))
def test_a_local_field_moves_contents_by_what_it_says(y_A: float, x_A: float) -> None:
    """To 0.05 px; an even field is a shift of the whole."""
    local = grid_of(FIELD, (y_A, x_A))
    there, here = contrasts(spots((10.0, -20.0), (-15.0, 7.0)), [FrameMotion((0.0, 0.0), (0.0, 0.0), local), STILL])
    np.testing.assert_allclose(shift_between(here, there, 2.0), (y_A, x_A), atol=0.05 * 2.0)


def test_places_move_each_by_their_own() -> None:
    """Two balls, one on each side: the left goes up by 6 Å, the right by as much to the right; to 0.05 px."""
    field = Field((128, 128), 2.0)
    scene = Scene.of(in_vacuum(at(ball(60, 15.0, 1), (0.0, 0.0, -64.0), (0.0, 0.0, 64.0))), field.pixel_A)
    spectra = form(scene, tilted(0.0), field, PHASE_PLATE, Aberrations(defocus_A=0.0))
    local = np.zeros((6, 6, 2))
    local[:, :3, 0] = 6.0  # places 0, 32 and 64: the left half
    local[:, 2:, 0] = 0.0
    local[:, 3:, 1] = 6.0  # 96 and beyond
    there, here = contrasts(spectra, [FrameMotion((0.0, 0.0), (0.0, 0.0), local), STILL], field)
    # The balls lie at columns 32 and 96, each a place of the grid; the field changes about them, evenly on both sides.
    left, right = np.s_[:, 8:56], np.s_[:, 72:120]
    found = [shift_between(here[side], there[side], 2.0) for side in (left, right)]
    assert found[0][0] > 4.0
    assert abs(found[0][1]) < 0.1
    assert found[1][1] > 4.0
    assert abs(found[1][0]) < 0.1


@laws
@given(st.floats(-0.02, 0.02), st.floats(-6, 6))
def test_a_field_that_stretches_takes_a_spot_along(stretch: float, aside_A: float) -> None:
    """A spot's centre goes where a linear field takes it, to 0.05 px."""
    at_y = ((np.arange(5) * WARP_PX - 48) * 2.0)[:, None] * np.ones((5, 5))
    local = np.stack([aside_A + stretch * at_y, np.zeros((5, 5))], axis=-1)
    there, here = contrasts(spots((40.0, -30.0)), [FrameMotion((0.0, 0.0), (0.0, 0.0), local), STILL])
    side = (np.arange(96) - 48) * 2.0

    def centre(image: NDArray[np.float64]) -> tuple[float, float]:
        image = image - np.median(image)
        return (
            float((image.sum(axis=1) * side).sum() / image.sum()),
            float((image.sum(axis=0) * side).sum() / image.sum()),
        )

    # What is read at a place comes from where the field at that place says: u(y) = a + s y, read y' - u(y').
    expected_y = (40.0 + aside_A) / (1 - stretch)
    seen = centre(there)
    assert centre(here) == pytest.approx((40.0, -30.0), abs=0.02)
    assert seen == pytest.approx((expected_y, -30.0), abs=0.1)
    # Against the field at the place itself that is off by its slope: 2 % of a few Å.
    assert seen[0] - 40.0 == pytest.approx(aside_A + stretch * 40.0, abs=abs(stretch) * 10 + 0.1)


def test_warping_is_exact_for_coefficients_that_are_straight_lines() -> None:
    """A cubic B-spline of a line is the line, wherever it is read."""
    line = np.arange(64, dtype=np.float32)[:, None] * np.ones((1, 64), np.float32)
    moved = np.zeros((4, 4, 2))
    moved[..., 0] = 1.3
    np.testing.assert_allclose(warped(line, moved)[8:56], line[8:56] - 1.3, atol=1e-4)


def test_an_image_of_a_spectrum_is_the_middle_of_its_field() -> None:
    field = Field((20, 30), 3.0)
    whole = np.random.default_rng(1).normal(size=field.padded_yx)
    found = image_of(np.fft.rfft2(whole).astype(np.complex64), field)
    np.testing.assert_allclose(found, whole[field.crop], atol=1e-4)
    top, left = field.padded_yx[0] // 2 - 10, field.padded_yx[1] // 2 - 15
    np.testing.assert_allclose(found, whole[top : top + 20, left : left + 30], atol=1e-4)
