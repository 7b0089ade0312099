"""The bundle adjustment: derivatives, exactness, errors that are what they say, and what does not belong named."""

import numpy as np
import pytest
from bundle_cases import PIXEL_A, SHAPE_YX, Case, after_similarity, make_case
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import InputError
from eucentric.processing.alignment.beads import BundleSettings, Freedom, Tracks, adjust_bundle, adjust_freely
from eucentric.processing.alignment.beads.model import basis, differentiate, see

ALL_FREE = Freedom(tilt="free", axis="free", magnification="free", x_tilt="free")


def smooth(scale: float, *phases: float) -> NDArray[np.float64]:
    return scale * np.sin(np.linspace(0, 3, 21) + sum(phases))


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_derivatives_are_those_of_differences(seed: int) -> None:
    random = np.random.default_rng(seed)
    views, beads = random.normal(0, 0.4, (6, 8)), random.normal(0, 50, (6, 3))
    _, by_view, by_bead = differentiate(views, beads)
    for slopes, move in ((by_view, "views"), (by_bead, "beads")):
        for column in range(slopes.shape[2]):
            step = np.zeros(slopes.shape[2])
            step[column] = 1e-6
            if move == "views":
                numeric = (see(views + step, beads) - see(views - step, beads)) / 2e-6
            else:
                numeric = (see(views, beads + step) - see(views, beads - step)) / 2e-6
            np.testing.assert_allclose(slopes[:, :, column], numeric, atol=1e-6)


@settings(max_examples=15)
@given(
    st.sampled_from([Freedom(), ALL_FREE, ALL_FREE.replace(stretch="grouped", skew="grouped"), Freedom(x_tilt="one")])
)
def test_no_move_leaves_every_image_as_it_is(freedom: Freedom) -> None:
    """With the beads free to follow, each move allowed must change what is seen: else it could not be found."""
    random = np.random.default_rng(3)
    n, b = 13, 9
    views = np.zeros((n, 8))
    views[:, 2], views[:, 4] = np.deg2rad(np.linspace(-60, 60, n)), -0.2
    beads = random.normal(0, 60, (b, 3)) * [0.4, 1, 1]
    moves = basis(freedom, views, np.arange(n))
    view, bead = (part.ravel() for part in np.indices((n, b)))
    _, by_view, by_bead = differentiate(views[view], beads[bead])
    rows = np.zeros((n * b, 2, n, 8))
    rows[np.arange(n * b), :, view] = by_view
    of_beads = np.zeros((n * b, 2, b, 3))
    of_beads[np.arange(n * b), :, bead] = by_bead
    jacobian = np.concatenate((rows.reshape(2 * n * b, -1) @ moves, of_beads.reshape(2 * n * b, -1)), axis=1)
    jacobian /= np.linalg.norm(jacobian, axis=0)
    assert np.linalg.svd(jacobian, compute_uv=False)[-1] > 1e-5


@pytest.mark.parametrize(
    ("freedom", "varies"),
    [
        (Freedom(), {}),
        (Freedom(axis="free", magnification="free"), {"axis_deg": smooth(0.5), "magnification": 1 + smooth(0.004, 1)}),
        (Freedom(x_tilt="free", axis="free"), {"x_tilt_deg": smooth(0.6, 2)}),
    ],
)
@pytest.mark.parametrize("axis_deg", [-12.0, 84.3])
def test_without_noise_what_is_seen_is_met(
    freedom: Freedom, varies: dict[str, NDArray[np.float64]], axis_deg: float
) -> None:
    case = make_case(axis_deg=axis_deg, varies=varies)
    found = adjust_bundle(case.tracks, case.tilts_deg, SHAPE_YX, BundleSettings(freedom=freedom))
    assert found.mean_residual_px < 1e-3
    assert found.used.all()
    axes = np.array([tilt.axis_deg for tilt in found.alignment(PIXEL_A).tilts])
    truth = np.array([tilt.axis_deg for tilt in case.truth.tilts])
    if not varies.get("x_tilt_deg", np.zeros(1)).any():
        np.testing.assert_allclose(axes, truth, atol=0.01)
        assert after_similarity(found.beads_zyx_px, case.beads_zyx_px) < 0.01


def test_the_alignment_sees_the_beads_where_they_were_seen() -> None:
    """The record that others use, through its own map: no convention is lost on the way."""
    case = make_case(varies={"magnification": 1 + smooth(0.003)}, noise_px=0.2)
    found = adjust_bundle(case.tracks, case.tilts_deg, SHAPE_YX, BundleSettings(freedom=Freedom(magnification="free")))
    alignment = found.alignment(PIXEL_A)
    for bead, view, yx in zip(case.tracks.bead, case.tracks.view, case.tracks.yx_px, strict=True):
        seen = alignment.tilts[view].sample2image()(found.beads_zyx_px[bead] * PIXEL_A)[1:] / PIXEL_A
        assert np.abs(seen + np.array(SHAPE_YX) // 2 - yx).max() < 1.2
    least = alignment.tilts[10]
    assert least.tilt_deg == 0
    assert np.abs(least.shift_yx_A).max() < 1e-6
    assert np.nanmean(found.beads_zyx_px[:, 0]) == pytest.approx(0, abs=1e-6)


def test_standard_errors_are_the_spread_over_repeats() -> None:
    """Truth of 24 draws of noise: errors over their standard errors have a spread of one."""
    scores = []
    for seed in range(24):
        case = make_case(noise_px=0.3, axis_deg=-12.0)
        noise = np.random.default_rng(seed + 100).normal(0, 0.3, case.tracks.yx_px.shape)
        clean = make_case(noise_px=0.0)
        tracks = Tracks.of(clean.tracks.bead, clean.tracks.view, clean.tracks.yx_px + noise)
        freedom = Freedom(axis="free")
        found = adjust_bundle(tracks, case.tilts_deg, SHAPE_YX, BundleSettings(freedom=freedom, axis_deg=-12))
        scores.append((np.rad2deg(found.views[:, 4]) + 12.0) / np.rad2deg(found.view_errors[:, 4]))
    assert np.std(scores) == pytest.approx(1.0, abs=0.12)


def test_mistaken_observations_and_a_wandering_bead_are_named() -> None:
    case = make_case(noise_px=0.2, seed=4)
    random = np.random.default_rng(0)
    yx = case.tracks.yx_px.copy()
    wrong = random.choice(len(yx), 25, replace=False)
    yx[wrong] += random.choice([-1, 1], (25, 2)) * random.uniform(5, 30, (25, 2))
    wanders = case.tracks.bead == 7
    yx[wanders] += random.normal(0, 6, (wanders.sum(), 2))
    found = adjust_bundle(Tracks.of(case.tracks.bead, case.tracks.view, yx), case.tilts_deg, SHAPE_YX)
    assert [bool(reason) for reason in found.bead_reasons] == [bead == 7 for bead in range(12)]
    assert not found.used[wrong].any()
    others = np.setdiff1d(np.flatnonzero(~wanders), wrong)
    assert found.used[others].mean() > 0.99
    assert "times the noise" in found.observation_reasons[next(i for i in wrong if not wanders[i])]
    assert np.rad2deg(found.views[:, 4]) == pytest.approx(-12.0, abs=0.1)


def test_swapped_tilts_and_a_wrong_sign_are_flagged_and_the_rest_is_right() -> None:
    case = make_case(noise_px=0.2, seed=5)
    tilts = list(case.tilts_deg)
    tilts[3], tilts[15] = tilts[15], tilts[3]
    tilts[18] = -tilts[18]
    found = adjust_bundle(case.tracks, tilts, SHAPE_YX)
    assert sorted(found.doubts) == [3, 15, 18]
    assert "swapped" in found.doubts[3]
    assert "sign is wrong" in found.doubts[18]
    np.testing.assert_allclose(np.rad2deg(found.views[:, 2]), case.tilts_deg, atol=0.5)
    assert found.mean_residual_px < 0.35


def test_the_sign_of_all_tilts_cannot_be_told_and_is_said_to_be_held() -> None:
    case = make_case(noise_px=0.2)
    one = adjust_bundle(case.tracks, case.tilts_deg, SHAPE_YX)
    other = adjust_bundle(case.tracks, [-tilt for tilt in case.tilts_deg], SHAPE_YX)
    assert one.mean_residual_px == pytest.approx(other.mean_residual_px, abs=1e-4)
    assert any("sign" in words for words in one.held)
    assert not other.doubts


def without(case: Case, out: NDArray[np.bool_]) -> Tracks:
    return case.tracks.only(~out)


def test_five_beads_that_leave_the_field() -> None:
    case = make_case(beads=5, noise_px=0.3, seed=2)
    view, bead = case.tracks.view, case.tracks.bead
    out = ((bead == 1) & (view > 12)) | ((bead == 2) & (view < 6)) | ((bead == 3) & (view > 18))
    found = adjust_bundle(
        without(case, out), case.tilts_deg, SHAPE_YX, BundleSettings(freedom=Freedom(axis="free", magnification="free"))
    )
    assert not any(found.bead_reasons)
    # Three beads are left in the last views, whose own axis is no better known than this.
    np.testing.assert_allclose(np.rad2deg(found.views[:, 4]), -12.0, atol=0.4)
    assert np.isfinite(found.view_errors).all()


def test_a_view_without_beads_stands_between_its_neighbours() -> None:
    case = make_case(noise_px=0.1)
    found = adjust_bundle(without(case, case.tracks.view == 4), case.tilts_deg, SHAPE_YX)
    tilt = found.alignment(PIXEL_A).tilts[4]
    assert not tilt.used
    assert "no bead" in tilt.reason
    assert tilt.tilt_deg == pytest.approx(case.tilts_deg[4])
    np.testing.assert_allclose(found.views[4, :2], (found.views[3, :2] + found.views[5, :2]) / 2, atol=1e-6)
    assert sum(not tilt.used for tilt in found.alignment(PIXEL_A).tilts) == 1


def test_a_bead_of_one_view_is_dropped_with_its_reason() -> None:
    case = make_case(noise_px=0.1)
    found = adjust_bundle(without(case, (case.tracks.bead == 2) & (case.tracks.view != 8)), case.tilts_deg, SHAPE_YX)
    assert found.bead_reasons[2] == "seen in one view, and 3 are needed"
    assert sum(bool(reason) for reason in found.bead_reasons) == 1
    assert np.isnan(found.beads_zyx_px[2]).all()


def test_too_little_is_refused() -> None:
    case = make_case(beads=2)
    with pytest.raises(InputError, match="2 beads"):
        adjust_bundle(case.tracks, case.tilts_deg, SHAPE_YX)
    few = make_case(beads=3)
    with pytest.raises(InputError, match="unknowns"):
        adjust_bundle(few.tracks, few.tilts_deg, SHAPE_YX, BundleSettings(freedom=ALL_FREE))
    with pytest.raises(InputError, match="view 20"):
        adjust_bundle(case.tracks, case.tilts_deg[:20], SHAPE_YX)


def test_freedom_is_taken_where_the_data_bear_it_out_and_not_where_they_do_not() -> None:
    still = make_case(noise_px=0.3, seed=6)
    _, chosen = adjust_freely(still.tracks, still.tilts_deg, SHAPE_YX)
    assert chosen.freedom.axis == "one"
    assert chosen.freedom.magnification == "fixed"
    varying = make_case(noise_px=0.3, seed=6, axis_deg=20.0, varies={"magnification": 1 + smooth(0.01)})
    found, chosen = adjust_freely(varying.tracks, varying.tilts_deg, SHAPE_YX)
    assert chosen.freedom.magnification in ("grouped", "free")
    assert chosen.tried[0].held_out_px > 1.05 * next(c for c in reversed(chosen.tried) if c.taken).held_out_px
    magnification = np.exp(found.views[:, 5])
    np.testing.assert_allclose(
        magnification / magnification.mean(), (1 + smooth(0.01)) / (1 + smooth(0.01)).mean(), atol=2e-3
    )


def test_distortion_is_folded_into_what_an_alignment_has() -> None:
    case = make_case(noise_px=0.05, varies={"x_tilt_deg": smooth(0.5)})
    freedom = Freedom(stretch="grouped", skew="grouped", axis="free", magnification="free")
    found = adjust_bundle(case.tracks, case.tilts_deg, SHAPE_YX, BundleSettings(freedom=freedom))
    rigid, apart_px = found.rigid()
    assert not rigid[:, 6:].any()
    assert apart_px < 0.5
    worst = 0.0
    for view in range(len(rigid)):
        whole = see(np.broadcast_to(found.views[view], (12, 8)), found.beads_zyx_px)
        worst = max(worst, float(np.abs(see(np.broadcast_to(rigid[view], (12, 8)), found.beads_zyx_px) - whole).max()))
    assert worst < 1.5
