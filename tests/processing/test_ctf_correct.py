"""Correction of a tilt: identity where there is no CTF, no seams, places brought back by their own defocus."""

import math
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import InputError
from eucentric.optics import Lens, TiltCTF, ctf
from eucentric.processing.ctf.correct import correct_tilt

Array = NDArray[np.float64]
PIXEL_A = 4.0
LENS = Lens(amplitude_contrast=0.1)


def tilt_ctf(
    tilt_deg: float, defocus_A: float = 30_000.0, astigmatism_A: float = 0.0, phase_deg: float = 0.0
) -> TiltCTF:
    return TiltCTF(
        defocus_u_A=defocus_A + astigmatism_A / 2,
        defocus_v_A=defocus_A - astigmatism_A / 2,
        azimuth_deg=25.0,
        phase_shift_deg=phase_deg,
        score=1.0,
        section=0,
        tilt_deg=tilt_deg,
    )


def noise(shape: tuple[int, int], seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(5.0, 1.0, shape).astype(np.float32))


@settings(max_examples=12, deadline=None)
@given(
    tilt_deg=st.floats(-65, 65),
    axis_deg=st.floats(-180, 180),
    shape=st.tuples(st.integers(65, 140), st.integers(65, 140)),
    mode=st.sampled_from(["phase-flip", "wiener"]),
)
def test_an_image_without_ctf_comes_back_unchanged(
    tilt_deg: float, axis_deg: float, shape: tuple[int, int], mode: Literal["phase-flip", "wiener"]
) -> None:
    # A lens without wavelength to speak of: defocus 0, no aberration, 90 degrees of phase shift, so that CTF = 1.
    still = Lens(cs_mm=0.0, amplitude_contrast=0.0, voltage_kV=1250.0)
    image = noise(shape)
    ctf_one = tilt_ctf(tilt_deg, 0.0, phase_deg=90.0)
    # So coarse are the pixels that no height turns the phase by a quarter.
    corrected = correct_tilt(image, 400.0, ctf_one, axis_deg, 1, still, mode=mode, ssnr=math.inf)
    heights = 400.0 * 200 * math.tan(math.radians(abs(tilt_deg)))
    turned = math.pi * 0.0073 * heights / (2 * 400.0**2 / 2)
    torch.testing.assert_close(corrected, image, atol=3e-4 + turned**2 * 20, rtol=0)


def test_phase_flipping_twice_returns_the_image() -> None:
    image = noise((75, 81))  # sizes without a Nyquist frequency, whose azimuth is not defined
    once = correct_tilt(image, PIXEL_A, tilt_ctf(0.0, astigmatism_A=800.0), 85.0, 1, LENS)
    twice = correct_tilt(once, PIXEL_A, tilt_ctf(0.0, astigmatism_A=800.0), 85.0, 1, LENS)
    assert float((once - image).abs().max()) > 0.5
    torch.testing.assert_close(twice, image, atol=1e-3, rtol=0)


FINE_A, STEEP_DEG, LOW_A = 2.0, 65.0, 10_000.0
POINTS = np.array([(30, 40), (220, 210), (128, 128), (40, 215), (215, 35)])
OUTER = [0, 1, 3, 4]


def seen_through(size: int, axis_deg: float, hand: int) -> torch.Tensor:
    """Return points of a tilted plane, each spread by the CTF of its own height."""
    y, x = np.fft.fftfreq(size, FINE_A)[:, None], np.fft.rfftfreq(size, FINE_A)[None]
    axis = math.radians(axis_deg)
    total = np.zeros((size, size // 2 + 1), complex)
    for row, column in POINTS:
        at_y, at_x = (row - size // 2) * FINE_A, (column - size // 2) * FINE_A
        z = -(at_x * math.cos(axis) + at_y * math.sin(axis)) * math.tan(math.radians(STEEP_DEG))
        place = np.exp(-2j * np.pi * (y * row * FINE_A + x * column * FINE_A))
        total += place * ctf(np.hypot(y, x), LOW_A + hand * z, LENS)
    return torch.from_numpy(np.fft.irfft2(total, s=(size, size)).astype(np.float32))


@pytest.mark.parametrize("axis_deg", [84.3, -5.7])
@pytest.mark.parametrize("hand", [1, -1])
def test_places_are_brought_back_with_their_own_defocus(axis_deg: float, hand: Literal[1, -1]) -> None:
    image = seen_through(256, axis_deg, hand)
    given_ctf = tilt_ctf(STEEP_DEG, LOW_A)

    def peaks(sign: int, local: bool) -> Array:
        corrected = correct_tilt(
            image, FINE_A, given_ctf, axis_deg, 1 if sign == 1 else -1, LENS, mode="wiener", ssnr=20.0, local=local
        )
        return np.asarray(corrected.numpy()[POINTS[:, 0], POINTS[:, 1]])

    own, one, wrong = peaks(hand, True), peaks(hand, False), peaks(-hand, True)
    # Wherever a point of 1 lies, it comes back but for the zeros of its CTF; with another height it does not.
    assert own.min() > 0.6
    assert own.max() - own.min() < 0.1
    assert (own[OUTER] > one[OUTER] + 0.05).all()
    assert (own[OUTER] > wrong[OUTER] + 0.1).all()
    assert own[2] == pytest.approx(one[2], abs=0.03)


def test_narrow_strips_cut_out_give_what_the_whole_image_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise((400, 380))
    given_ctf = tilt_ctf(60.0, 8000.0)
    cut = correct_tilt(image, PIXEL_A, given_ctf, 90.0, 1, LENS, finest_A=8.0)
    monkeypatch.setattr("eucentric.processing.ctf.correct._WORTH_CUTTING", 0.0)
    whole = correct_tilt(image, PIXEL_A, given_ctf, 90.0, 1, LENS, finest_A=8.0)
    # Sharp sign changes ring beyond any margin; the noise of an image of variance 1 is far above what is left.
    inner = slice(60, -60)
    assert float((cut - whole)[inner, inner].std()) < 0.12


def test_a_constant_stays() -> None:
    image = torch.full((100, 90), 7.0)
    corrected = correct_tilt(image, PIXEL_A, tilt_ctf(50.0), 84.0, 1, LENS, mode="wiener")
    torch.testing.assert_close(corrected, image, atol=1e-4, rtol=0)


def test_what_cannot_be_corrected_is_refused() -> None:
    with pytest.raises(InputError, match="shape"):
        correct_tilt(torch.zeros(3, 4, 4), PIXEL_A, tilt_ctf(0.0), 84.0, 1, LENS)
    with pytest.raises(InputError, match="positive"):
        correct_tilt(torch.zeros(64, 64), PIXEL_A, tilt_ctf(0.0), 84.0, 1, LENS, mode="wiener", ssnr=0.0)
