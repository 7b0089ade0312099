from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.assessment import thickness_from_counts
from eucentric.core import InputError, stream

TILTS_DEG = np.arange(-60, 61, 3.0)


def slab_counts(thickness_A: float, pre_tilt_deg: float, incident: float = 3e5) -> NDArray[np.float64]:
    counts: NDArray[np.float64] = incident * np.exp(-thickness_A / 3150 / np.cos(np.deg2rad(TILTS_DEG - pre_tilt_deg)))
    return counts


@given(st.integers(0, 2**31), st.floats(800, 5000), st.floats(-15, 15))
@settings(max_examples=40, deadline=None)
def test_thickness_and_pre_tilt_come_back_from_poisson_counts(seed: int, thickness_A: float, pre_tilt: float) -> None:
    counts = stream(seed, "counts").poisson(slab_counts(thickness_A, pre_tilt))
    fit = thickness_from_counts(TILTS_DEG, counts)
    assert fit.plausible
    assert fit.thickness_A == pytest.approx(thickness_A, rel=0.05)
    assert fit.pre_tilt_deg == pytest.approx(pre_tilt, abs=1.0)
    assert fit.incident_counts == pytest.approx(3e5, rel=0.05)


@given(st.floats(0.01, 1e6))
def test_only_the_fall_of_the_counts_matters_not_their_unit(scale: float) -> None:
    fit = thickness_from_counts(TILTS_DEG, scale * slab_counts(2000, 5))
    assert fit.thickness_A == pytest.approx(2000, rel=1e-3)
    assert fit.residual == pytest.approx(0, abs=1e-4)


def test_one_blocked_view_does_not_pull_the_fit() -> None:
    counts = slab_counts(2000, 0)
    counts[5] *= 0.3
    assert thickness_from_counts(TILTS_DEG, counts).thickness_A == pytest.approx(2000, rel=0.05)
    used = np.arange(TILTS_DEG.size) != 5
    assert thickness_from_counts(TILTS_DEG, counts, used).thickness_A == pytest.approx(2000, rel=1e-3)


def test_the_disputed_mean_free_path_gives_a_range() -> None:
    fit = thickness_from_counts(TILTS_DEG, slab_counts(3150, 0))
    assert fit.mean_free_paths == pytest.approx(1, rel=1e-3)
    assert fit.thickness_range_A == pytest.approx((2110, 3950), rel=1e-3)
    other = thickness_from_counts(TILTS_DEG, slab_counts(3150, 0), mean_free_path_A=2000)
    assert other.thickness_A == pytest.approx(2000, rel=1e-3)


def test_the_fit_gives_back_the_counts() -> None:
    counts = slab_counts(2500, -9)
    np.testing.assert_allclose(thickness_from_counts(TILTS_DEG, counts).counts(TILTS_DEG), counts, rtol=1e-4)


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        (1 / slab_counts(2000, 0), "dark-field"),
        (100 + stream(0, "flat").normal(0, 3, TILTS_DEG.size), "do not fall"),
        (slab_counts(2000, 0) - 2e5, "not positive"),
        (slab_counts(1000, 23), "not a flat slab"),
        (slab_counts(300, 0) * np.exp(stream(1, "drift").normal(0, 0.08, TILTS_DEG.size)), "scatter"),
    ],
)
def test_counts_that_are_not_a_slab_in_transmission_give_a_reason(counts: NDArray[np.float64], word: str) -> None:
    fit = thickness_from_counts(TILTS_DEG, counts)
    assert not fit.plausible
    assert word in fit.reason
    assert fit.thickness_A is None
    with pytest.raises(InputError, match="no thickness fit"):
        fit.counts(TILTS_DEG)


def test_too_few_or_too_shallow_views_give_a_reason() -> None:
    assert "only 4 views" in thickness_from_counts(TILTS_DEG[:4], TILTS_DEG[:4] + 100).reason
    assert "hardly changes" in thickness_from_counts(np.linspace(-20, 20, 11), np.full(11, 5.0)).reason


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(InputError, match="belong together"):
        thickness_from_counts([0, 1], [1.0])


def test_the_real_cell_edge_is_a_slab_of_a_few_hundred_nanometres(real_data: Path) -> None:
    folder = real_data / "empiar-10499-ts01"
    with mrcfile.open(folder / "ts01.mrc") as stack:
        counts = stack.data.mean(axis=(1, 2))
    fit = thickness_from_counts(np.loadtxt(folder / "ts01.rawtlt"), counts)
    assert fit.thickness_A is not None
    assert 1500 < fit.thickness_A < 3500  # a Mycoplasma's edge
    assert fit.residual is not None
    assert fit.residual < 0.01


def test_a_real_dark_field_series_is_told_apart(real_data: Path) -> None:
    folder = real_data / "haadf-needle"
    stored = np.fromfile(folder / "HAADF.mrc", dtype="<i2")[-77 * 256 * 256 :]  # no map word: mrcfile would warn
    counts = stored.reshape(77, -1).mean(axis=1) + 32768.0
    assert not thickness_from_counts(np.loadtxt(folder / "HAADF.rawtlt"), counts).plausible
