"""The bundle adjustment on the tracks of IMOD's tutorial series, held to IMOD's own solution."""

from pathlib import Path

import numpy as np
import pytest
from bundle_cases import after_similarity
from numpy.typing import NDArray

from eucentric.processing.alignment.beads import BundleAdjustment, BundleSettings, Freedom, Tracks, adjust_bundle

# What varies in IMOD's solution, read off its files: rotation and magnification of each view, tilt angles, and the
# specimen's stretch and skew by groups of views.
IMODS = Freedom(tilt="grouped", axis="free", magnification="free", stretch="grouped", skew="grouped")
SHAPE_YX = (512, 512)


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    return real_data / "alignments" / "imod-BBa"


@pytest.fixture(scope="module")
def tracks(folder: Path) -> Tracks:
    seen = np.loadtxt(folder / "BBa.resid", skiprows=1)
    bead = np.cumsum(np.diff(seen[:, 2], prepend=0) < 0)
    return Tracks.of(bead, seen[:, 2].astype(int), seen[:, 1::-1] - 0.5)


@pytest.fixture(scope="module")
def imods_beads(folder: Path) -> NDArray[np.float64]:
    lines = (folder / "BBafid.xyz").read_text().splitlines()
    return np.array([line.split()[3:0:-1] for line in lines], dtype=float)


@pytest.fixture(scope="module")
def imods_tilts(folder: Path) -> NDArray[np.float64]:
    return np.loadtxt(folder / "BBa.tlt")


def hold(found: BundleAdjustment, imods_beads: NDArray[np.float64]) -> None:
    assert found.mean_residual_all_px <= 0.313  # IMOD's, over all observations
    axes_deg = np.rad2deg(found.views[:, 4])
    assert axes_deg.min() > -12.2
    assert axes_deg.max() < -10.8
    assert not any(found.bead_reasons)
    assert after_similarity(found.beads_zyx_px, imods_beads) < 1.0


def test_imods_degrees_of_freedom_from_imods_angles(
    tracks: Tracks, imods_tilts: NDArray[np.float64], imods_beads: NDArray[np.float64]
) -> None:
    hold(adjust_bundle(tracks, imods_tilts.tolist(), SHAPE_YX, BundleSettings(freedom=IMODS)), imods_beads)


def test_imods_degrees_of_freedom_from_regular_steps(
    tracks: Tracks, imods_tilts: NDArray[np.float64], imods_beads: NDArray[np.float64]
) -> None:
    """The stage's own angles are not kept with the series: two degrees a step, as IMOD's are to a tenth, stand in."""
    nominal = np.linspace(65, -55, 61)
    assert np.abs(nominal - imods_tilts).max() < 0.4
    hold(adjust_bundle(tracks, nominal.tolist(), SHAPE_YX, BundleSettings(freedom=IMODS)), imods_beads)
