import math
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from design_cases import designs
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.design import (
    Camera,
    ConstantExposure,
    ConstantIncrement,
    Design,
    DoseSymmetric,
    Explicit,
    ExplicitExposure,
    Exposure,
    FrameExposure,
    Hybrid,
    InverseCosineExposure,
    Plan,
    Specimen,
    Stage,
    StaggeredDefocus,
    Unidirectional,
    describe,
)
from eucentric.optics import Lens

laws = settings(max_examples=60, deadline=None, derandomize=True)

USUAL = Design()
THREE = Design(
    scheme=Explicit(tilts_deg=(0, -3, 3)),
    exposure=ExplicitExposure(each_e_A2=(2, 3, 4)),
    frames=FrameExposure(each_e_A2=1),
)


def test_a_plan_by_hand() -> None:
    rows = [
        (one.order, one.tilt_deg, one.exposure_e_A2, one.pre_exposure_e_A2, one.frames, one.defocus_A)
        for one in THREE.plan()
    ]
    assert rows == [(0, 0, 2, 0, 2, 30_000), (1, -3, 3, 2, 3, 30_000), (2, 3, 4, 5, 4, 30_000)]


def test_the_typical_series() -> None:
    plan = Design(exposure=ConstantExposure(total_e_A2=123)).plan()
    assert len(plan) == 41
    assert [one.tilt_deg for one in plan[:5]] == [0, 3, -3, -6, 6]
    assert {round(one.exposure_e_A2, 9) for one in plan} == {3.0}
    assert plan[-1].pre_exposure_e_A2 == pytest.approx(120)


@laws
@given(designs())
def test_pre_exposure_is_what_was_spent_before(design: Design) -> None:
    plan = design.plan()
    spent = list(accumulate((one.exposure_e_A2 for one in plan), initial=0.0))
    assert plan[0].pre_exposure_e_A2 == 0
    np.testing.assert_allclose([one.pre_exposure_e_A2 for one in plan], spent[:-1], rtol=1e-9, atol=1e-9)
    assert [one.order for one in plan] == list(range(len(plan)))


@laws
@given(designs())
def test_the_stage_goes_to_the_slab_tilt_and_the_pre_tilt(design: Design) -> None:
    tilts = np.array([one.tilt_deg for one in design.plan()])
    np.testing.assert_allclose(tilts, np.array(design.scheme.angles_deg()) + design.specimen.pre_tilt_deg, atol=1e-9)
    assert tilts.min() >= design.stage.min_deg - 1e-6
    assert tilts.max() <= design.stage.max_deg + 1e-6


def test_a_lamella() -> None:
    """Milled at 10° and tilted by ±54° about its own plane: the stage starts at 10° and goes from -44° to 64°."""
    scheme = DoseSymmetric(min_deg=-54, max_deg=54)
    plan = Design(scheme=scheme, specimen=Specimen(pre_tilt_deg=10)).plan()
    assert [one.tilt_deg for one in plan[:3]] == [10, 13, 7]
    assert (min(one.tilt_deg for one in plan), max(one.tilt_deg for one in plan)) == (-44, 64)


@laws
@given(designs())
def test_every_exposure_is_one_that_would_be_accepted(design: Design) -> None:
    """They are made without validation, for speed; what they hold must be valid all the same."""
    for one in design.plan():
        assert Exposure.model_validate(one.model_dump()) == one


# Files


@laws
@given(designs())
def test_a_plan_survives_json_exactly(design: Design) -> None:
    plan = design.plan()
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert Plan.model_validate(plan.model_dump()) == plan
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan
    again = Design.model_validate_json(design.model_dump_json())
    assert again == design
    assert again.plan().exposures == plan.exposures


def test_nothing_need_be_chosen() -> None:
    assert Design.model_validate_json("{}") == USUAL


def test_a_file_may_leave_the_exposures_out() -> None:
    plan = Plan(design=THREE)
    assert plan == THREE.plan()
    assert plan.exposures == Plan.model_validate({"design": THREE.model_dump()}).exposures


# An iterable of exposures


@laws
@given(designs(), st.integers(-5, 5), st.integers(-5, 70), st.sampled_from([1, 2, -1]))
def test_a_plan_is_its_exposures(design: Design, start: int, stop: int, step: int) -> None:
    plan = design.plan()
    assert list(plan) == list(plan.exposures)
    assert len(plan) == len(plan.exposures) == len(design.scheme.angles_deg())
    assert plan[0] == plan.exposures[0]
    assert plan[-1] == plan.exposures[-1]
    assert plan[start:stop:step] == plan.exposures[start:stop:step]
    assert plan[2] in plan if len(plan) > 2 else plan
    with pytest.raises(IndexError):
        plan[len(plan)]


def test_plans_can_be_compared_and_kept_in_sets() -> None:
    assert USUAL.plan() == Design().plan()
    assert USUAL.plan() != THREE.plan()
    assert len({USUAL.plan(), Design().plan(), THREE.plan()}) == 2


def test_nothing_of_a_plan_can_be_changed() -> None:
    plan = USUAL.plan()
    with pytest.raises(ValidationError, match="frozen"):
        plan.exposures = ()  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        plan[0].exposure_e_A2 = 5.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        plan.design.scheme = Unidirectional()  # type: ignore[misc]


# Exposures that are given


def changed(at: int, **changes: Any) -> tuple[Exposure, ...]:
    exposures = list(THREE.plan())
    return (*exposures[:at], exposures[at].replace(**changes), *exposures[at + 1 :])


@pytest.mark.parametrize(
    ("at", "changes", "says"),
    [
        (1, {"tilt_deg": -4.0}, "exposures[1].tilt_deg is -4; permitted: -3, as the design has it"),
        (2, {"exposure_e_A2": 4.01}, "exposures[2].exposure_e_A2 is 4.01; permitted: 4, as the design has it"),
        (2, {"pre_exposure_e_A2": 9.0}, "exposures[2].pre_exposure_e_A2 is 9; permitted: 5, as the design has it"),
        (0, {"frames": 3}, "exposures[0].frames is 3; permitted: 2, as the design has it"),
        (0, {"defocus_A": 20_000.0}, "exposures[0].defocus_A is 20000; permitted: 30000, as the design has it"),
        (1, {"order": 2}, "exposures[1].order is 2; permitted: 1, as the design has it"),
    ],
)
def test_exposures_that_are_not_those_of_the_design(at: int, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as error:
        Plan(design=THREE, exposures=changed(at, **changes))
    assert describe(error.value).startswith(says)


def test_the_number_of_exposures_must_be_that_of_the_design() -> None:
    with pytest.raises(ValidationError) as error:
        Plan(design=THREE, exposures=THREE.plan()[:2])
    assert describe(error.value) == "exposures is 2 of them; permitted: the design's 3."


def test_exposures_rounded_in_a_file_are_those_of_the_design() -> None:
    """As a table writes them, to a thousandth; the design's own digits are kept."""
    exact = USUAL.plan()
    rounded = [one.replace(exposure_e_A2=round(one.exposure_e_A2, 4)) for one in exact]
    assert Plan(design=USUAL, exposures=tuple(rounded)) == exact


def test_a_defocus_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValidationError):
        Plan(design=THREE, exposures=changed(0, defocus_A=math.nan))


# replace


def test_replacing_a_part_works_the_exposures_out_again() -> None:
    finer = USUAL.replace(scheme=DoseSymmetric(increment=ConstantIncrement(step_deg=2)))
    assert len(finer.plan()) == 61
    assert len(USUAL.plan()) == 41
    assert finer.plan()[0].exposure_e_A2 == pytest.approx(120 / 61)
    steeper = USUAL.replace(exposure=InverseCosineExposure(untilted_e_A2=2)).plan()
    assert max(one.exposure_e_A2 for one in steeper) == pytest.approx(4)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"stage": Stage(min_deg=-50)}, "scheme.min_deg"),
        ({"specimen": Specimen(pre_tilt_deg=15)}, "scheme.max_deg"),
        ({"exposure": ExplicitExposure(each_e_A2=(1, 2))}, "exposure.each_e_A2"),
        ({"frames": FrameExposure(each_e_A2=2)}, "frames.each_e_A2"),
        ({"scheme": Hybrid(untilted_e_A2=120)}, "scheme.untilted_e_A2"),
        ({"optics": Lens()}, "there is no field 'optics'"),
        ({"camera": {"pixel_A": -1}}, "camera.pixel_A"),
    ],
)
def test_replacing_validates_again(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as error:
        USUAL.replace(**changes)
    assert describe(error.value).startswith(field)


def test_parts_are_validated_again_too() -> None:
    with pytest.raises(ValidationError):
        DoseSymmetric().replace(max_deg=-70)
    with pytest.raises(ValidationError):
        StaggeredDefocus().replace(index=5)
    with pytest.raises(ValidationError):
        Camera().replace(pixel_A=0)


def test_replacing_the_design_of_a_plan() -> None:
    """The exposures of the old design do not stand in the way: those of a plan are always the design's."""
    assert USUAL.plan().replace(design=THREE) == THREE.plan()


def test_replacing_the_group_takes_the_order_that_goes_with_it() -> None:
    """The order was not chosen: it follows the group, as it does in a design written anew."""
    assert DoseSymmetric().replace(group=2).angles_deg() == DoseSymmetric(group=2).angles_deg()
