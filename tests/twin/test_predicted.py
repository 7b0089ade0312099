"""What `design` predicts of a tilt's signal-to-noise ratio, beside what the twin gives."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.fft import rfft2

from eucentric.design import Camera, ConstantExposure, Design, DoseSymmetric, Prediction, Specimen, Terms, predict
from eucentric.design.signal import signal_A2
from eucentric.detector import DETECTORS
from eucentric.microscope import ExposureRequest
from eucentric.optics import elastic_mean_free_path_A, interaction_rad_per_VA
from eucentric.specimen.samples import build
from eucentric.twin import Effects, Twin, TwinSettings
from eucentric.twin.field import Field
from eucentric.twin.formation import Forming
from eucentric.twin.scene import Scene, View

SIZE, PIXEL_A, THICKNESS_A = 512, 1.7, 1500.0
BANDS_A = ((40, 30), (30, 22), (22, 17), (17, 13), (13, 10), (10, 8))
EFFECTS = "none,damage,inelastic,energy-filter,plural-scattering,noise,detection,mtf,incoherence"

Array = NDArray[np.float64]

ky, kx = np.fft.fftfreq(SIZE, PIXEL_A)[:, None], np.fft.rfftfreq(SIZE, PIXEL_A)[None]
frequency = np.hypot(ky, kx)
WINDOW = np.outer(np.hanning(SIZE), np.hanning(SIZE))
WINDOW /= np.sqrt(np.mean(WINDOW**2))


def spectrum(image: NDArray[np.floating]) -> NDArray[np.complexfloating]:
    found: NDArray[np.complexfloating] = rfft2((image - image.mean()) * WINDOW)
    return found


@pytest.fixture(scope="module")
def twin() -> Twin:
    sample = build("apoferritin", seed=1, field_A=SIZE * PIXEL_A, thickness_A=THICKNESS_A)
    return Twin(
        sample,
        pixel_A=PIXEL_A,
        shape_yx=(SIZE, SIZE),
        settings=TwinSettings(detector=DETECTORS["k2"].replace(coincidence=False)),
        effects=Effects.parse(EFFECTS),
        seed=1,
    )


@pytest.fixture(scope="module")
def prediction(twin: Twin) -> Prediction:
    camera: Camera = twin.camera()
    specimen = Specimen(thickness_A=THICKNESS_A, elastic_mean_free_path_A=elastic_mean_free_path_A(300.0))
    design = Design(scheme=DoseSymmetric(), exposure=ConstantExposure(total_e_A2=120), specimen=specimen, camera=camera)
    return predict(design.plan(), Terms(alignment=False, motion=False))


def particle_power(twin: Twin, view: View) -> Array:
    """The power of the undamaged contrast that a tilt sees: the one thing that a design cannot know."""
    field = Field(twin.shape_yx, PIXEL_A, twin._margin_A())
    forming = Forming(Scene.of(twin.sample, PIXEL_A), view, field, twin.lens, twin._aberrations(), 3.0)
    total = sum(forming.potential(i, solvent=False, seed=0, names=()) for i in range(forming.count))
    image = 2 * interaction_rad_per_VA(300.0) * np.asarray(total)[field.crop]
    return np.asarray(np.abs(spectrum(image)) ** 2 * PIXEL_A**2 / image.size)


@pytest.mark.parametrize("order", [0, 19, 40])
def test_the_ssnr_of_tilts_is_the_predicted_one(twin: Twin, prediction: Prediction, order: int) -> None:
    """Within 15 % from 40 to 8 Å: untilted, at 30° after 58 e/Å², and at 60° after 117 e/Å².

    The power of the noise-free image stands for what the cross-spectrum of noise realisations tends to, which at 8 Å
    and 60° no number of them would show; the noise is that of realisations.
    """
    exposures = prediction.plan.exposures
    twin_pixels = Twin(
        twin.sample,
        pixel_A=PIXEL_A,
        shape_yx=twin.shape_yx,
        settings=TwinSettings(detector=DETECTORS["k2"].replace(coincidence=False)),
        effects=twin.effects,
        seed=1,
        pixels=False,
    )
    for exposure in exposures[:order]:
        twin_pixels.tilt_to(exposure.tilt_deg)
        twin_pixels.expose(ExposureRequest(exposure_e_A2=exposure.exposure_e_A2))
    twin_pixels.pixels = True
    wanted = exposures[order]
    twin_pixels.tilt_to(wanted.tilt_deg)
    twin_pixels.set_defocus_A(wanted.defocus_A)
    exposed = twin_pixels.expose_and_tell(ExposureRequest(exposure_e_A2=wanted.exposure_e_A2, frames=8))
    assert exposed.truth.pre_exposure_e_A2 == pytest.approx(wanted.pre_exposure_e_A2)
    view = View.of(exposed.truth.view, exposed.truth.height_A)
    bare = signal_A2(prediction.k, prediction.plan.design.specimen, 300.0)
    per_signal = np.interp(frequency, prediction.k, prediction.information[order] / bare)
    counted = [spectrum(twin.sensor.read(exposed.expected_e_px, 1.0, "again", i).astype(float)) for i in range(8)]
    mean = np.mean(counted, axis=0)
    noise = sum(np.abs(one - mean) ** 2 for one in counted) / (len(counted) - 1)
    quiet = np.abs(spectrum(exposed.expected_e_px * DETECTORS["k2"].detection)) ** 2
    predicted = per_signal * particle_power(twin, view)
    for low, high in BANDS_A:
        band = (frequency >= 1 / low) & (frequency < 1 / high)
        ratio = (quiet[band].sum() / noise[band].sum()) / predicted[band].mean()
        assert ratio == pytest.approx(1, abs=0.15), f"{low}-{high} Å at {wanted.tilt_deg}°"


def test_two_noise_realisations_show_that_ssnr(twin: Twin, prediction: Prediction) -> None:
    """Where it can be seen: the first, untilted image, from 40 to 17 Å, the mean of all pairs of 60 realisations."""
    fresh = Twin(
        twin.sample, pixel_A=PIXEL_A, shape_yx=twin.shape_yx, settings=twin.settings, effects=twin.effects, seed=1
    )
    first = prediction.plan.exposures[0]
    fresh.set_defocus_A(first.defocus_A)
    exposed = fresh.expose_and_tell(ExposureRequest(exposure_e_A2=first.exposure_e_A2, frames=8))
    n = 60
    sums, squares = np.zeros_like(frequency, dtype=complex), np.zeros_like(frequency)
    for i in range(n):
        one = spectrum(fresh.sensor.read(exposed.expected_e_px, 1.0, "pair", i).astype(float))
        sums += one
        squares += np.abs(one) ** 2
    signal = (np.abs(sums) ** 2 - squares) / (n * (n - 1))
    quiet = np.abs(spectrum(exposed.expected_e_px * fresh.settings.detector.detection)) ** 2
    band = (frequency >= 1 / 40) & (frequency < 1 / 17)
    # Cross-spectra scatter by the noise over the root of pairs and places: some 4 % here.
    assert signal[band].sum() == pytest.approx(quiet[band].sum(), rel=0.15)
