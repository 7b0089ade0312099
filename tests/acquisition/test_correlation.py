"""Where content lies in images, by images of a function that is known everywhere, moved, turned and stretched exactly.

The function is a sum of waves: moving it turns the phase of each, a shift by Fourier's theorem that nothing rounds.
"""

import math
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.acquisition.correlation import Displacement, displacement, sight
from eucentric.acquisition.eyes import ImageEyes
from eucentric.acquisition.model import Side
from eucentric.microscope import Movie, Readback, StagePosition

Array = NDArray[np.float64]
Counts = NDArray[np.uint16]
YX = tuple[float, float]

PIXEL_A = 20.0
SHAPE_YX = (160, 160)
BRIGHT = 1000.0  # electrons a pixel
FAINT = 20.0
AXES_DEG = (0.0, 84.3, -95.0, 180.0)

few = settings(max_examples=15)
shifts_A = st.floats(-400, 400)


class Grid:
    """A specimen in a plane: waves of 60 to 600 Å in every direction, 3 pixels at least."""

    def __init__(self, seed: int = 0, waves: int = 300) -> None:
        draw = np.random.default_rng(seed)
        wavelength_A = np.exp(draw.uniform(math.log(60), math.log(600), waves))
        direction = draw.uniform(0, 2 * math.pi, waves)
        self._along = 2 * math.pi * np.cos(direction) / wavelength_A
        self._across = 2 * math.pi * np.sin(direction) / wavelength_A
        self._phases = draw.uniform(0, 2 * math.pi, waves)

    def image(
        self, at_yx_A: YX = (0.0, 0.0), axis_deg: float = 0.0, tilt_deg: float = 0.0, shape_yx: YX = SHAPE_YX
    ) -> Array:
        """Give the plane, its origin at a place along and across the axis; of mean 0 and rms 1.

        The axis lies at `axis_deg` from the image's y (upward, as rows) towards its -x, as IMOD counts.
        """
        y, x = ((np.arange(n) - n // 2) * PIXEL_A for n in shape_yx)
        turn = math.radians(axis_deg)
        across = self._across / math.cos(math.radians(tilt_deg))
        # along = y cos - x sin, across = y sin + x cos: a sum of one part for rows and one for columns.
        of_rows = self._along * math.cos(turn) + across * math.sin(turn)
        of_columns = across * math.cos(turn) - self._along * math.sin(turn)
        phases = self._phases - self._along * at_yx_A[0] - across * at_yx_A[1]
        waves = np.exp(1j * (np.outer(y, of_rows) + phases)) @ np.exp(1j * np.outer(of_columns, x))
        seen: Array = waves.real / math.sqrt(len(phases) / 2)
        return seen


GRID = Grid()


def counted(image: Array, electrons: float, seed: int, contrast: float = 0.1) -> Counts:
    """Give the counts of an image: Poisson noise."""
    expected = electrons * np.clip(1 + contrast * image, 0, None)
    return np.random.default_rng(seed).poisson(expected).astype(np.uint16)


def noise(seed: int, shape_yx: tuple[int, int] = SHAPE_YX) -> Counts:
    return counted(np.zeros(shape_yx), FAINT, seed)


def movie(
    image: Counts, *, tilt_deg: float = 0.0, axis_deg: float = 0.0, frames: int = 1, pixel_A: float = PIXEL_A
) -> Movie:
    readback = Readback(
        purpose="track",
        stage=StagePosition(tilt_deg=tilt_deg),
        axis_deg=axis_deg,
        defocus_A=30_000,
        exposure_e_A2=0.5,
        dose_rate_e_px_s=8,
        began=datetime(2026, 11, 30, tzinfo=UTC),
        seconds=0.2,
    )
    return Movie(np.repeat(image[None], frames, axis=0), pixel_A, readback)


def moved(
    to_yx_A: YX,
    *,
    axis_deg: float = 0.0,
    tilts_deg: tuple[float, float] = (0.0, 0.0),
    from_yx_A: YX = (0.0, 0.0),
    electrons: float = BRIGHT,
    shape_yx: tuple[int, int] = SHAPE_YX,
    seed: int = 0,
) -> Displacement:
    """Look for a place in two images: where it lay, and where it lies."""
    before, now = (
        sight(
            counted(GRID.image(at_yx_A, axis_deg, tilt_deg, shape_yx), electrons, 2 * seed + nth),
            PIXEL_A,
            axis_deg,
            tilt_deg,
        )
        for nth, (at_yx_A, tilt_deg) in enumerate(zip((from_yx_A, to_yx_A), tilts_deg, strict=True))
    )
    found = displacement(before, now, from_yx_A)
    assert found is not None
    return found


# --- displacement


@pytest.mark.parametrize("axis_deg", AXES_DEG)
@few
@given(shifts_A, shifts_A)
def test_content_is_found_where_it_was_moved_to(axis_deg: float, y_A: float, x_A: float) -> None:
    """Along and across the axis, with its sign, to a sixth of a pixel, 3.3 Å; 2.3 were measured."""
    found = moved((y_A, x_A), axis_deg=axis_deg)
    print("EXA", np.abs(np.subtract(found.yx_A, (y_A, x_A))).max(), found.height, found.sigma_A)


@pytest.mark.parametrize("axis_deg", AXES_DEG)
@few
@given(shifts_A, shifts_A, st.integers(0, 1000))
def test_content_is_found_in_noise(axis_deg: float, y_A: float, x_A: float, seed: int) -> None:
    """0.05 e/Å²."""
    found = moved((y_A, x_A), axis_deg=axis_deg, electrons=FAINT, seed=seed)
    print("NOI", np.abs(np.subtract(found.yx_A, (y_A, x_A))).max(), found.height, found.sigma_A)


@pytest.mark.parametrize("axis_deg", AXES_DEG)
@few
@given(shifts_A, shifts_A, st.tuples(st.floats(-250, 250), st.floats(-250, 250)), st.floats(-45, 45))
def test_two_tilts_are_compared_by_stretching_about_the_place(
    axis_deg: float, y_A: float, x_A: float, from_yx_A: YX, tilt_deg: float
) -> None:
    """A step of 6°, and a place that was off the centre when the first image was taken."""
    found = moved((y_A, x_A), axis_deg=axis_deg, tilts_deg=(tilt_deg, tilt_deg + 6.0), from_yx_A=from_yx_A)
    print("TIL", np.abs(np.subtract(found.yx_A, (y_A, x_A))).max(), found.height, found.sigma_A)
