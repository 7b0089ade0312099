import math

import numpy as np
import pytest
from design_cases import designs, frames, staggered
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.design import (
    ConstantDefocus,
    ConstantExposure,
    Design,
    DoseSymmetric,
    EqualCountsExposure,
    Explicit,
    ExplicitExposure,
    FrameCount,
    FrameExposure,
    FramePolicy,
    Hybrid,
    InverseCosineExposure,
    Specimen,
    StaggeredDefocus,
    ThicknessExposure,
    TiltedSlab,
    Unidirectional,
)

laws = settings(max_examples=100, deadline=None, derandomize=True)

ANGLES_DEG = (0.0, 45.0, -60.0, 70.0)


def slab(pre_tilt_deg: float = 0.0, thickness_A: float = 2000.0) -> TiltedSlab:
    angles = np.array(ANGLES_DEG)
    return TiltedSlab(
        stage_deg=angles, slab_deg=angles - pre_tilt_deg, thickness_A=thickness_A, mean_free_path_A=3100.0
    )


# Exposure


@laws
@given(designs())
def test_exposures_come_to_the_total_or_keep_the_untilted_one(design: Design) -> None:
    exposures = np.array([one.exposure_e_A2 for one in design.plan()])
    policy = design.exposure
    assert (exposures > 0).all()
    if isinstance(design.scheme, Hybrid):
        assert exposures[0] == pytest.approx(design.scheme.untilted_e_A2)
    if isinstance(policy, ExplicitExposure):
        own = exposures[1:] if isinstance(design.scheme, Hybrid) else exposures
        assert tuple(own) == policy.each_e_A2
    elif policy.total_e_A2 is not None:
        assert exposures.sum() == pytest.approx(policy.total_e_A2, rel=1e-9)


@pytest.mark.parametrize(
    "policy",
    [
        ConstantExposure(untilted_e_A2=3),
        InverseCosineExposure(untilted_e_A2=3, times_at_60=2.5),
        ThicknessExposure(untilted_e_A2=3),
        EqualCountsExposure(untilted_e_A2=3),
    ],
)
def test_the_exposure_of_an_untilted_image_is_honoured(
    policy: ConstantExposure | InverseCosineExposure | ThicknessExposure | EqualCountsExposure,
) -> None:
    plan = Design(exposure=policy).plan()
    assert plan[0].tilt_deg == 0
    assert plan[0].exposure_e_A2 == pytest.approx(3)
    # Given the total that this comes to, the exposures are the same.
    total = sum(one.exposure_e_A2 for one in plan)
    by_total = Design(exposure=policy.replace(untilted_e_A2=None, total_e_A2=total)).plan()
    np.testing.assert_allclose([one.exposure_e_A2 for one in by_total], [one.exposure_e_A2 for one in plan])


def test_constant_exposure_is_constant() -> None:
    np.testing.assert_allclose(ConstantExposure(total_e_A2=120).exposures_e_A2(slab()), 30.0)


@pytest.mark.parametrize(
    ("times_at_60", "at_0_45_60_70"),
    [
        (2.0, (1, 1.41421, 2, 2.92380)),  # 1/cos
        (1.0, (1, 1, 1, 1)),
        (math.sqrt(2), (1, 1.18921, 1.41421, 1.70991)),  # SerialEM's square root, 1/y = 1/2
        (4.0, (1, 2, 4, 8.54863)),
    ],
)
def test_inverse_cosine_by_hand(times_at_60: float, at_0_45_60_70: tuple[float, ...]) -> None:
    policy = InverseCosineExposure(untilted_e_A2=1, times_at_60=times_at_60)
    # It goes by the stage, whatever the lamella.
    for pre_tilt_deg in (0.0, 10.0):
        np.testing.assert_allclose(policy.exposures_e_A2(slab(pre_tilt_deg)), at_0_45_60_70, atol=1e-5)


def test_thickness_goes_by_the_slab() -> None:
    policy = ThicknessExposure(untilted_e_A2=1)
    np.testing.assert_allclose(policy.exposures_e_A2(slab()), [1, 1.41421, 2, 2.92380], atol=1e-5)
    lamella = policy.exposures_e_A2(slab(10.0))
    np.testing.assert_allclose(lamella, 1 / np.cos(np.deg2rad([-10, 35, -70, 60])), rtol=1e-9)


@laws
@given(st.floats(200, 4000), st.floats(-10, 10), st.floats(1, 200))
def test_equal_counts_give_equal_counts(thickness_A: float, pre_tilt_deg: float, total: float) -> None:
    field = slab(pre_tilt_deg, thickness_A)
    counts = EqualCountsExposure(total_e_A2=total).exposures_e_A2(field) * field.transmission
    np.testing.assert_allclose(counts, counts[0], rtol=1e-9)
    untilted = EqualCountsExposure(untilted_e_A2=3).exposures_e_A2(field) * field.transmission
    np.testing.assert_allclose(untilted, 3 * math.exp(-thickness_A / 3100), rtol=1e-9)


def test_a_hybrid_spends_its_first_image_out_of_the_total() -> None:
    plan = Design(scheme=Hybrid(untilted_e_A2=20), exposure=ConstantExposure(total_e_A2=120)).plan()
    assert plan[0].tilt_deg == 0
    assert [one.exposure_e_A2 for one in plan] == pytest.approx([20] + [100 / 40] * 40)
    assert plan[1].pre_exposure_e_A2 == pytest.approx(20)
    # By the untilted exposure, the rest have what they would have without it.
    kept = Design(scheme=Hybrid(untilted_e_A2=20), exposure=ConstantExposure(untilted_e_A2=3)).plan()
    assert [one.exposure_e_A2 for one in kept] == pytest.approx([20] + [3] * 40)
    # One by one, the list is of the rest.
    scheme = Hybrid(untilted_e_A2=20, rest=Explicit(tilts_deg=(-30, 1, 30)))
    listed = Design(scheme=scheme, exposure=ExplicitExposure(each_e_A2=(5, 6))).plan()
    assert [(one.tilt_deg, one.exposure_e_A2) for one in listed] == [(1, 20), (-30, 5), (30, 6)]


def test_a_hybrid_shapes_the_rest_by_their_own_tilts() -> None:
    scheme = Hybrid(untilted_e_A2=20, rest=Explicit(tilts_deg=(-60, 0, 45)))
    plan = Design(scheme=scheme, exposure=ThicknessExposure(untilted_e_A2=3)).plan()
    assert [one.exposure_e_A2 for one in plan] == pytest.approx([20, 6, 3 * math.sqrt(2)])


# Exposures that no camera takes


def test_ice_that_lets_nothing_through_is_refused() -> None:
    """Equal counts through 5 µm: 2e7 e/Å² at 60° for 3 at 0°, and more than a number holds for a short free path."""
    with pytest.raises(ValidationError):
        Design(specimen=Specimen(thickness_A=50_000), exposure=EqualCountsExposure(untilted_e_A2=3))
    with pytest.raises(ValidationError):
        Design(
            scheme=Unidirectional(min_deg=-69, max_deg=69),
            specimen=Specimen(thickness_A=50_000, mean_free_path_A=100),
            exposure=EqualCountsExposure(total_e_A2=120),
        )


# Frames


@laws
@given(frames, st.lists(st.floats(0.1, 50), min_size=1, max_size=41))
def test_every_tilt_has_a_frame(policy: FramePolicy, exposures_e_A2: list[float]) -> None:
    counts = policy.frames_of(exposures_e_A2)
    assert len(counts) == len(exposures_e_A2)
    for exposure, count in zip(exposures_e_A2, counts, strict=True):
        assert count >= 1
        if isinstance(policy, FrameCount):
            assert count == policy.frames
        elif exposure > policy.each_e_A2:  # no other number comes nearer
            assert abs(exposure / policy.each_e_A2 - count) <= 0.5 + 1e-9
        else:
            assert count == 1


def test_frames_by_hand() -> None:
    assert FrameCount(frames=10).frames_of([3, 6]) == (10, 10)
    assert FrameExposure(each_e_A2=0.5).frames_of([3, 6, 0.5]) == (6, 12, 1)
    assert FrameExposure(each_e_A2=0.5, rounding="nearest").frames_of([3.2, 6.4, 0.1]) == (6, 13, 1)
    # A total of 120 over 41 tilts is 2.9268: 0.4181 each in 7 frames, given as it would be typed.
    assert {one.frames for one in Design(frames=FrameExposure(each_e_A2=0.418)).plan()} == {7}


# Defocus


@laws
@given(staggered())
def test_a_session_is_spread_evenly_over_its_range(policy: StaggeredDefocus) -> None:
    session = policy.session_A()
    assert len(session) == policy.series
    assert (session[0], session[-1]) == pytest.approx((policy.low_A, policy.high_A))
    if policy.spacing == "even" or policy.low_A <= 0:
        np.testing.assert_allclose(np.diff(session), (policy.high_A - policy.low_A) / (policy.series - 1), rtol=1e-6)
    else:
        np.testing.assert_allclose(np.diff(np.log(session)), np.log(policy.high_A / policy.low_A) / (policy.series - 1))
    assert policy.this_A() == session[policy.index]


def test_staggered_defocus_by_hand() -> None:
    by_ratio = StaggeredDefocus(low_A=20_000, high_A=40_000, series=3, index=1)
    assert by_ratio.this_A() == pytest.approx(20_000 * 2**0.5)
    policy = StaggeredDefocus(low_A=20_000, high_A=40_000, spacing="even", series=5, index=3)
    assert policy.session_A() == (20_000, 25_000, 30_000, 35_000, 40_000)
    assert {one.defocus_A for one in Design(defocus=policy).plan()} == {35_000}
    assert ConstantDefocus(defocus_A=15_000).session_A() == (15_000,)
    fixed = Design(scheme=DoseSymmetric(), defocus=ConstantDefocus(defocus_A=15_000)).plan()
    assert {one.defocus_A for one in fixed} == {15_000}
