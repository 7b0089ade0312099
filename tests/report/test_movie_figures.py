"""What the report shows of movies: that it is what the records say, and that it is absent without them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from report_case import small_report

from eucentric.core import InputError, stream
from eucentric.optics import Aberrations, HandVerdict, Lens, SeriesCTF, TiltCTF, even_phase_rad, plane_frequencies
from eucentric.processing.motion.records import LocalField, MotionTrack
from eucentric.report import ReportInput, write_report
from eucentric.report.figures import motion
from eucentric.report.figures.spectra import compose, rings, whole
from eucentric.report.headline import Number, headline
from eucentric.report.movies import MoviesShown, TiltSpectrum

PIXEL_A = 3.0
LENS = Lens()


def track(way_A: float, local: LocalField | None = None) -> MotionTrack:
    shifts = tuple((way_A * (frame / 3 - 0.5), 0.0) for frame in range(4))
    return MotionTrack(frames=(0, 1, 2, 3), shifts_yx_A=shifts, sigma_A=(0.3,) * 4, local=local)


def bent() -> LocalField:
    """A field that is displaced by (0, 4) Å more in its last frame than in its first, everywhere."""
    return LocalField(
        shape_yx=(3, 3),
        field_yx_A=(900.0, 1100.0),
        time=((0.0,), (1 / 3,), (2 / 3,), (1.0,)),
        control_yx_A=(((0.0, 4.0),) * 9,),
    )


def ctf_of(*, log_odds: float = 9.0, thickness_A: float | None = 1200.0) -> SeriesCTF:
    tilts = tuple(
        TiltCTF(
            section=section,
            tilt_deg=tilt,
            defocus_u_A=30_100.0 + 10 * section,
            defocus_v_A=29_900.0 + 10 * section,
            azimuth_deg=-20.0,
            fit_resolution_A=None if section == 1 else 7.0 + abs(tilt) / 20,
            score=0.3,
            sigma_A=50.0,
            used=section != 5,
        )
        for section, tilt in enumerate((-60.0, -40.0, -20.0, 0.0, 20.0, 40.0, 60.0))
    )
    hand = HandVerdict(hand=-1, log_odds=log_odds)
    return SeriesCTF(lens=LENS, pixel_A=PIXEL_A, axis_deg=-86.3, tilts=tilts, hand=hand, thickness_A=thickness_A)


def power(defocus_A: float, *, size: int = 128, seed: int = 0) -> NDArray[np.float64]:
    """Return a spectrum with rings, on a background that falls, with the noise of a mean of ten tiles."""
    ky, kx = plane_frequencies((size, size), PIXEL_A, half=True)
    signal = np.square(np.sin(even_phase_rad(ky, kx, Aberrations(defocus_A=defocus_A), LENS)))
    background = 50 * np.exp(-12 * np.hypot(ky, kx))
    noise = stream(seed, "spectrum").gamma(10, 0.1, signal.shape)
    return np.asarray(background * (1 + 0.6 * signal) * noise)


@pytest.fixture(scope="module")
def shown() -> ReportInput:
    spectra = tuple(
        TiltSpectrum(section, power(30_000, seed=1), power(30_000, seed=2), PIXEL_A, spread)
        for section, spread in ((3, 0.0), (0, 900.0))
    )
    movies = MoviesShown(
        tilts=8,
        tracks=tuple(track(way, bent() if way == 6.0 else None) for way in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 30.0)),
        gain="turned by 90° (found from the data, 12 sigma better than the next)",
        defects=37,
        ctf=ctf_of(),
        ctf_reason="",
        target_defocus_A=(30_000.0,) * 6 + (None,),
        spectra=spectra,
    )
    return replace(small_report(), movies=movies, halves="frames")


def without_ctf(shown: ReportInput, reason: str) -> ReportInput:
    assert shown.movies is not None
    return replace(shown, movies=replace(shown.movies, ctf=None, ctf_reason=reason))


def number(shown: ReportInput, key: str) -> Number:
    return next(one for one in headline(shown) if one.key == key)


def test_the_page_has_every_picture_and_says_what_was_done(shown: ReportInput, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", shown)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    figures = ("motion-tracks", "motion-order", "motion-local", "spectrum-0", "spectrum-1", "defocus", "astigmatism")
    for name in (*figures, "fit-resolution"):
        assert f'id="{name}"><svg' in text
    assert "The gain reference lies turned by 90° (found from the data" in text
    assert "37 defective pixels" in text
    assert "the tomograms of even and odd frames" in text
    assert "the defocus hand is −1" in text.lower()
    assert "node of the rings tells a thickness of 120 nm" in text
    assert text.index('id="motion"') < text.index('id="ctf"') < text.index('id="alignment"')


def test_without_movies_nothing_of_them_is_said(tmp_path: Path) -> None:
    bare = small_report()
    write_report(tmp_path / "report.html", bare)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="motion"' not in text
    assert 'id="ctf"' not in text
    assert not {"motion", "defocus", "hand"} & {one.key for one in headline(bare)}
    assert motion.tracks(bare) == motion.motion_over_order(bare) == motion.local_motion(bare) == ()


def test_the_headline_says_movement_defocus_and_hand(shown: ReportInput) -> None:
    assert number(shown, "motion").value == "4.0 Å"
    assert "largest 30.0 Å; 1 of 8 movies could not be used" in number(shown, "motion").note
    assert number(shown, "defocus").value == "3.00 µm"
    assert "over 6 views; rings fitted to 7.0 Å at best" in number(shown, "defocus").note
    assert number(shown, "hand").value == "−1"
    assert "9.0" in number(shown, "hand").note
    assert "120 nm by the node" in number(shown, "thickness").note
    assert "even and odd frames" in number(shown, "fsc").note


def test_a_hand_that_is_not_sure_is_not_stated_as_if_it_were(shown: ReportInput) -> None:
    assert shown.movies is not None
    unsure = replace(shown, movies=replace(shown.movies, ctf=ctf_of(log_odds=1.2, thickness_A=None)))
    assert number(unsure, "hand").value == "−1?"
    assert "too small to rely on" in number(unsure, "hand").note
    assert "by the node" not in number(unsure, "thickness").note


def test_a_series_without_ctf_says_why(shown: ReportInput, tmp_path: Path) -> None:
    bare = without_ctf(shown, "the pixels are too coarse")
    write_report(tmp_path / "report.html", bare)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No CTF was fitted: the pixels are too coarse." in text
    assert 'id="spectrum-0"' in text
    assert 'id="defocus"' not in text
    assert number(bare, "defocus").value == "–"


def test_the_tilt_with_the_largest_local_movement_is_drawn(shown: ReportInput) -> None:
    (plot,) = motion.local_motion(shown)
    # Section 5 was taken as the fourth; all its places moved by the same 4 Å.
    assert "in view 4 at 40.0°" in plot.caption
    assert "4.0 Å at most and 4.0 Å rms" in plot.caption


def test_movies_of_one_frame_have_no_tracks(shown: ReportInput) -> None:
    assert shown.movies is not None
    still = replace(shown, movies=replace(shown.movies, tracks=(MotionTrack.still(1),) * 7))
    assert motion.tracks(still) == motion.motion_over_order(still) == ()


def test_movies_and_stack_must_belong_together(shown: ReportInput) -> None:
    assert shown.movies is not None
    with pytest.raises(InputError, match="tracks of movies have 3"):
        replace(shown, movies=replace(shown.movies, tracks=shown.movies.tracks[:3]))


# Spectra


def test_the_half_of_a_transform_is_unfolded_as_its_own_mirror_image() -> None:
    for size in (8, 9):
        image = stream(size, "image").normal(0, 1, (size, size))
        expected = np.fft.fftshift(np.square(np.abs(np.fft.fft2(image))))
        np.testing.assert_allclose(whole(np.square(np.abs(np.fft.rfft2(image)))), expected, rtol=1e-9)


def test_the_curve_around_a_spectrum_follows_its_rings() -> None:
    size, defocus_A = 128, 25_000.0
    found = rings(power(defocus_A, size=size), PIXEL_A, None, 0.5 / PIXEL_A)
    k = np.arange(len(found.curve)) / (size * PIXEL_A)
    model = -np.cos(2 * even_phase_rad(0.0, k, Aberrations(defocus_A=defocus_A), LENS))
    seen = np.isfinite(found.curve) & (k > 0.04) & (k < 0.12)
    assert np.corrcoef(found.curve[seen], model[seen])[0, 1] > 0.8


def test_left_and_right_are_two_spectra() -> None:
    dark, bright = np.zeros((64, 64)), np.zeros((64, 64))
    ky, kx = np.meshgrid(np.arange(64) - 32, np.arange(64) - 32, indexing="ij")
    dark[(np.abs(np.hypot(ky, kx) - 16)) < 2] = -1.0
    bright[(np.abs(np.hypot(ky, kx) - 16)) < 2] = 1.0
    picture = compose(dark, bright, PIXEL_A, 0.5 / PIXEL_A).astype(float)
    assert picture.shape == (64, 64)
    assert picture[32, 16] < picture[32, 24]
    assert picture[32, 48] > picture[32, 40]
