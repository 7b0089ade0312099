"""What cannot be is refused in a sentence that names the field, its value and what is permitted or was meant."""

import math
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from eucentric.design import (
    Alignability,
    Bidirectional,
    Camera,
    ConstantDefocus,
    ConstantExposure,
    ConstantIncrement,
    CosineIncrement,
    Design,
    DoseSymmetric,
    EqualCountsExposure,
    Explicit,
    ExplicitExposure,
    FrameCount,
    FrameExposure,
    Hybrid,
    InverseCosineExposure,
    Plan,
    Routine,
    SaxtonIncrement,
    Specimen,
    Stage,
    StaggeredDefocus,
    ThicknessExposure,
    Unidirectional,
    describe,
)
from eucentric.optics import Lens

KINDS_OF_SCHEME = "unidirectional, bidirectional, dose-symmetric, explicit, hybrid"
FIELDS_OF_DESIGN = "scheme, exposure, frames, defocus, specimen, lens, camera, stage, routine, alignability"


def refused(values: Any, model: type[BaseModel] = Design) -> str:
    with pytest.raises(ValidationError) as error:
        model.model_validate(values)
    return describe(error.value)


def hybrid(**rest: Any) -> dict[str, Any]:
    return {"kind": "hybrid", "rest": rest}


def one_way(**fields: Any) -> dict[str, Any]:
    return {"kind": "unidirectional", **fields}


def in_turn(**fields: Any) -> dict[str, Any]:
    return {"kind": "dose-symmetric", **fields}


def listed(*tilts_deg: float) -> dict[str, Any]:
    return {"kind": "explicit", "tilts_deg": tilts_deg}


WIDE_STAGE = {"min_deg": -90, "max_deg": 90}

# Sentences that a user will meet most, word by word.

SENTENCES: dict[str, tuple[dict[str, Any], str]] = {
    "range beyond the stage": (
        {"scheme": in_turn(max_deg=75)},
        "scheme.max_deg is 75; permitted: -70 to 70, by the limits of the stage (-70 to 70).",
    ),
    "range beyond the stage, below": (
        {"scheme": in_turn(min_deg=-72)},
        "scheme.min_deg is -72; permitted: -70 to 70, by the limits of the stage (-70 to 70).",
    ),
    "rest of a hybrid beyond the stage": (
        {"scheme": hybrid(kind="unidirectional", min_deg=-72)},
        "scheme.rest.min_deg is -72; permitted: -70 to 70, by the limits of the stage (-70 to 70).",
    ),
    "listed angle beyond the stage": (
        {"scheme": listed(0, 80)},
        "scheme.tilts_deg is 80; permitted: -70 to 70, by the limits of the stage (-70 to 70).",
    ),
    "pre-tilt takes the range beyond the stage": (
        {"specimen": {"pre_tilt_deg": 20}},
        "scheme.max_deg is 60; permitted: -90 to 50, by the limits of the stage (-70 to 70, less the pre-tilt of 20).",
    ),
    "range is upside down": (
        {"scheme": one_way(min_deg=10, max_deg=-10)},
        "scheme.max_deg is -10; permitted: above scheme.min_deg, which is 10.",
    ),
    "step larger than the range": (
        {"scheme": one_way(min_deg=-1, max_deg=1)},
        "scheme.increment.step_deg is 3; permitted: up to 2, the extent of the range.",
    ),
    "start outside the range": (
        {"scheme": in_turn(start_deg=61)},
        "scheme.start_deg is 61; permitted: -60 to 60, within the range.",
    ),
    "start of two branches outside the range": (
        {"scheme": {"kind": "bidirectional", "start_deg": -63}},
        "scheme.start_deg is -63; permitted: -60 to 60, within the range.",
    ),
    "an angle twice": (
        {"scheme": listed(0, 3, -3, 3)},
        "scheme.tilts_deg is 3; permitted: each angle once, at least 0.01° apart.",
    ),
    "an angle hardly beside another": (
        {"scheme": listed(0, 3, 3.005)},
        "scheme.tilts_deg is 3.005; permitted: each angle once, at least 0.01° apart.",
    ),
    "list of exposures of another length": (
        {"scheme": listed(0, 3, -3), "exposure": {"kind": "explicit", "each_e_A2": [1, 2]}},
        "exposure.each_e_A2 is 2 exposures; permitted: 3, one for each tilt of the scheme.",
    ),
    "neither total nor untilted": (
        {"exposure": {"kind": "constant"}},
        "exposure.total_e_A2 is absent; permitted: a value for it or for exposure.untilted_e_A2, not both.",
    ),
    "both total and untilted": (
        {"exposure": {"kind": "thickness", "total_e_A2": 120, "untilted_e_A2": 3}},
        "exposure.total_e_A2 is given beside exposure.untilted_e_A2; permitted: a value for it or for "
        "exposure.untilted_e_A2, not both.",
    ),
    "hybrid that spends it all": (
        {"scheme": {"kind": "hybrid", "untilted_e_A2": 120}},
        "scheme.untilted_e_A2 is 120; permitted: below the total, 120 e/Å².",
    ),
    "hybrid of one tilt": (
        {"scheme": hybrid(kind="explicit", tilts_deg=[0])},
        "scheme.rest is a single tilt; permitted: a scheme of at least two.",
    ),
    "frames that do not divide": (
        {"exposure": {"kind": "constant", "untilted_e_A2": 3}, "frames": {"kind": "equal-exposure", "each_e_A2": 0.4}},
        "frames.each_e_A2 is 0.4; permitted: what divides a tilt's 3 e/Å², such as 0.4286 (7 frames) or 0.375 "
        "(8 frames); or frames.rounding nearest.",
    ),
    "defocus upside down": (
        {"defocus": {"kind": "staggered", "low_A": 40_000, "high_A": 20_000}},
        "defocus.high_A is 20000; permitted: above defocus.low_A, which is 40000.",
    ),
    "series that is not of the session": (
        {"defocus": {"kind": "staggered", "series": 5, "index": 5}},
        "defocus.index is 5; permitted: 0 to 4, for 5 series.",
    ),
    "stage with nowhere to go": (
        {"stage": {"min_deg": 10, "max_deg": 5}},
        "stage.max_deg is 5; permitted: above stage.min_deg, which is 10.",
    ),
    "misspelt part": (
        {"shceme": {}},
        f"there is no field 'shceme'; there are {FIELDS_OF_DESIGN}. Did you mean \"scheme\"?",
    ),
    "no such kind": (
        {"scheme": {"kind": "constant-increment"}},
        f"scheme.kind is 'constant-increment'; there are {KINDS_OF_SCHEME}.",
    ),
    "misspelt kind": (
        {"scheme": {"kind": "dose_symetric"}},
        f"scheme.kind is 'dose_symetric'; there are {KINDS_OF_SCHEME}. Did you mean \"dose-symmetric\"?",
    ),
    "misspelt kind, deeper": (
        {"scheme": in_turn(increment={"kind": "sakston"})},
        "scheme.increment.kind is 'sakston'; there are constant, cosine, saxton. Did you mean \"saxton\"?",
    ),
    "misspelt choice": (
        {"scheme": in_turn(order="PACEtomo2")},
        "scheme.order is 'PACEtomo2'; there are serialem, pacetomo, hagen. Did you mean \"pacetomo\"?",
    ),
    "no such side": (
        {"scheme": hybrid(kind="unidirectional", first="up")},
        "scheme.rest.first is 'up'; there are negative, positive.",
    ),
    "field that must be": ({"scheme": {"kind": "explicit"}}, "scheme.tilts_deg: field required."),
}


@pytest.mark.parametrize(("values", "says"), SENTENCES.values(), ids=SENTENCES)
def test_sentences(values: dict[str, Any], says: str) -> None:
    assert refused(values) == says


# Those whose wording may change, but for the field and its value.

STARTS: dict[str, tuple[dict[str, Any], str]] = {
    "negative total": ({"exposure": {"kind": "constant", "total_e_A2": -5}}, "exposure.total_e_A2 is -5:"),
    "no exposure at all": ({"exposure": {"kind": "constant", "untilted_e_A2": 0}}, "exposure.untilted_e_A2 is 0:"),
    "negative exposure in a list": (
        {"exposure": {"kind": "explicit", "each_e_A2": [1, -2]}},
        "exposure.each_e_A2.1 is -2:",
    ),
    "angle that is no angle": ({"scheme": listed(0, 95)}, "scheme.tilts_deg.1 is 95: should be less than 90"),
    "empty list of angles": ({"scheme": listed()}, "scheme.tilts_deg"),
    "group of nothing": ({"scheme": in_turn(group=0)}, "scheme.group is 0: should be greater than or equal to 1"),
    "half a tilt a group": ({"scheme": in_turn(group=1.5)}, "scheme.group is 1.5: should be a valid integer"),
    "word for a number": ({"scheme": in_turn(group="three")}, "scheme.group is three: should be a valid integer"),
    "no step": ({"scheme": in_turn(increment={"kind": "constant", "step_deg": 0})}, "scheme.increment.step_deg is 0:"),
    "no frames": ({"frames": {"kind": "count", "frames": 0}}, "frames.frames is 0:"),
    "voltage of a lamp": ({"lens": {"voltage_kV": 0.23}}, "lens.voltage_kV is 0.23: should be greater than"),
    "no thickness": ({"specimen": {"thickness_A": 0}}, "specimen.thickness_A is 0:"),
    "end of a range of free paths": (
        {"specimen": {"mean_free_path_range_A": [-1, 3000]}},
        "specimen.mean_free_path_range_A.0 is -1:",
    ),
    "more than all electrons counted": ({"camera": {"dqe_zero": 1.2}}, "camera.dqe_zero is 1.2: should be less than"),
}


@pytest.mark.parametrize(("values", "says"), STARTS.values(), ids=STARTS)
def test_field_and_value_are_named(values: dict[str, Any], says: str) -> None:
    assert refused(values).startswith(says)


# Sentences that name the wrong thing, or nothing.

BLAME: dict[str, tuple[dict[str, Any], str]] = {
    "a hybrid's rest upside down": (
        {"scheme": hybrid(kind="unidirectional", min_deg=10, max_deg=0)},
        "scheme.rest.max_deg is 0; permitted: above scheme.rest.min_deg, which is 10.",
    ),
    "a hybrid's start outside": (
        {"scheme": hybrid(kind="bidirectional", start_deg=61)},
        "scheme.rest.start_deg is 61; permitted: -60 to 60, within the range.",
    ),
    "a hybrid's step": (
        {"scheme": hybrid(kind="unidirectional", min_deg=-1, max_deg=1)},
        "scheme.rest.increment.step_deg is 3; permitted: up to 2, the extent of the range.",
    ),
    "a hybrid's angle twice": (
        {"scheme": hybrid(kind="explicit", tilts_deg=[0, 0])},
        "scheme.rest.tilts_deg is 0; permitted: each angle once, at least 0.01° apart.",
    ),
    "a slab seen edge on, of no pre-tilt": (
        {"scheme": one_way(min_deg=-87, max_deg=60), "stage": WIDE_STAGE},
        "scheme.min_deg is -87; permitted: -85 to 85",
    ),
    "the end as it was given, not as the steps come to it": (
        {"scheme": in_turn(max_deg=74)},
        "scheme.max_deg is 74; permitted: -70 to 70",
    ),
    "a scheme without its kind": ({"scheme": {"max_deg": 60}}, f"scheme.kind is absent; there are {KINDS_OF_SCHEME}"),
    "a scheme by its name alone": ({"scheme": "hagen"}, "scheme is hagen: should be "),
}


@pytest.mark.parametrize(("values", "says"), BLAME.values(), ids=BLAME)
def test_the_right_field_is_blamed(values: dict[str, Any], says: str) -> None:
    assert refused(values).startswith(says)


@pytest.mark.parametrize(("values", "names"), [([1], "design"), ("text", "design"), (None, "design")])
def test_what_is_no_design_at_all_is_said_so(values: Any, names: str) -> None:
    sentence = refused(values)
    assert not sentence.startswith((":", " "))
    assert names in sentence.lower()


def test_text_that_is_no_json_is_said_so() -> None:
    with pytest.raises(ValidationError) as error:
        Design.model_validate_json('{"scheme": ')
    sentence = describe(error.value)
    assert not sentence.startswith((":", " "))
    assert "JSON" in sentence


@pytest.mark.parametrize("specimen", [{}, {"pre_tilt_deg": -10}])
def test_a_slab_seen_edge_on_is_refused(specimen: dict[str, Any]) -> None:
    steep = {"scheme": one_way(min_deg=-20, max_deg=86), "stage": WIDE_STAGE, "specimen": specimen}
    steep["scheme"]["increment"] = {"step_deg": 1, "kind": "constant"}
    assert "85" in refused(steep)
    steep["scheme"]["max_deg"] = 85
    assert Design.model_validate(steep).slab.slab_deg.max() == pytest.approx(85)


# What would stop a machine, or come to nothing


def test_steps_that_no_stage_makes_are_refused() -> None:
    """A step of a thousandth of a degree is 120,000 tilts; of a billionth, more than memory holds."""
    increment = {"kind": "constant", "step_deg": 1e-3}
    assert refused({"scheme": in_turn(increment=increment)}).startswith("scheme.increment.step_deg is 0.001")


@pytest.mark.parametrize("rounding", ["exact", "nearest"])
def test_frames_of_hardly_any_exposure_are_refused(rounding: str) -> None:
    frames = {"kind": "equal-exposure", "each_e_A2": 1e-320, "rounding": rounding}
    assert refused({"frames": frames}).startswith("frames.each_e_A2 is ")


def test_a_range_of_free_paths_upside_down_is_refused() -> None:
    sentence = refused({"specimen": {"mean_free_path_range_A": [4000, 2000]}})
    assert sentence.startswith("specimen.mean_free_path_range_A")


def test_angles_a_hundredth_apart_are_two_angles() -> None:
    """As the sentence has it; 0.03 - 0.02 is a hair less than 0.01 only for a machine."""
    Explicit(tilts_deg=(0.02, 0.03, 0.0))


def test_a_stage_on_edge_takes_not_all_the_exposure() -> None:
    """A lamella at 80° may stand at 90° of stage, where 1/cos is endless: no share of 120 e/Å² is left for others."""
    refused(
        {
            "scheme": one_way(min_deg=-60, max_deg=80, increment={"kind": "constant", "step_deg": 2}),
            "specimen": {"pre_tilt_deg": 10},
            "stage": WIDE_STAGE,
            "exposure": {"kind": "inverse-cosine", "total_e_A2": 120},
        }
    )


# Every field of every record

RECORDS: list[tuple[str, type[BaseModel], dict[str, Any]]] = [
    ("", Design, {}),
    ("scheme", Unidirectional, {"kind": "unidirectional"}),
    ("scheme", Bidirectional, {"kind": "bidirectional"}),
    ("scheme", DoseSymmetric, {"kind": "dose-symmetric"}),
    ("scheme", Explicit, {"kind": "explicit", "tilts_deg": [0.0]}),
    ("scheme", Hybrid, {"kind": "hybrid"}),
    ("scheme.rest", DoseSymmetric, {"kind": "dose-symmetric"}),
    ("scheme.increment", ConstantIncrement, {"kind": "constant"}),
    ("scheme.increment", CosineIncrement, {"kind": "cosine"}),
    ("scheme.rest.increment", SaxtonIncrement, {"kind": "saxton"}),
    ("exposure", ConstantExposure, {"kind": "constant"}),
    ("exposure", InverseCosineExposure, {"kind": "inverse-cosine", "total_e_A2": 120}),
    ("exposure", ThicknessExposure, {"kind": "thickness"}),
    ("exposure", EqualCountsExposure, {"kind": "equal-counts"}),
    ("exposure", ExplicitExposure, {"kind": "explicit", "each_e_A2": [1.0]}),
    ("frames", FrameCount, {"kind": "count"}),
    ("frames", FrameExposure, {"kind": "equal-exposure"}),
    ("defocus", ConstantDefocus, {"kind": "constant"}),
    ("defocus", StaggeredDefocus, {"kind": "staggered"}),
    ("specimen", Specimen, {}),
    ("lens", Lens, {}),
    ("camera", Camera, {}),
    ("stage", Stage, {}),
    ("routine", Routine, {}),
    ("alignability", Alignability, {}),
]


def nested(place: str, values: dict[str, Any]) -> dict[str, Any]:
    """Give the design that has these values at a dotted place."""
    for part in reversed(place.split(".") if place else []):
        values = {part: values}
        if part == "increment":
            values = {"kind": "dose-symmetric", **values}
        elif part == "rest":
            values = {"kind": "hybrid", **values}
    return values


FIELDS = [(place, base, name) for place, model, base in RECORDS for name in model.model_fields if name != "kind"]
FLOATS = [
    (place, base, name)
    for place, model, base in RECORDS
    for name, field in model.model_fields.items()
    if field.annotation is float or set(get_args(field.annotation)) & {float}
]


def called(case: tuple[str, dict[str, Any], str]) -> str:
    place, base, name = case
    return ".".join(part for part in (place, base.get("kind", ""), name) if part)


@pytest.mark.parametrize("case", FIELDS, ids=called)
def test_a_misspelt_field_is_answered_with_the_one_that_was_meant(case: tuple[str, dict[str, Any], str]) -> None:
    place, base, name = case
    misspelt = name + name[-1]
    sentence = refused(nested(place, {**base, misspelt: 1}))
    assert repr(misspelt) in sentence
    assert sentence.endswith(f'Did you mean "{name}"?')
    assert sentence.startswith(f"{place}: " if place else "there is no field")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=["nan", "inf", "-inf"])
@pytest.mark.parametrize("case", FLOATS, ids=called)
def test_no_field_takes_what_is_no_number(case: tuple[str, dict[str, Any], str], value: float) -> None:
    place, base, name = case
    field = f"{place}.{name}"
    assert refused(nested(place, {**base, name: value})).startswith(f"{field} is {value:g}: should be ")


def test_every_record_has_numbers_to_try() -> None:
    assert len(FLOATS) > 40


@pytest.mark.parametrize("value", ["three", [1, 2], {"a": 1}], ids=["word", "list", "mapping"])
@pytest.mark.parametrize("case", FLOATS, ids=called)
def test_no_field_takes_another_type(case: tuple[str, dict[str, Any], str], value: object) -> None:
    place, base, name = case
    sentence = refused(nested(place, {**base, name: value}))
    assert sentence.startswith(f"{place}.{name}")
    assert "should be a valid number" in sentence


@pytest.mark.parametrize("name", [name for name in Design.model_fields if name not in ("exposure", "scheme")])
def test_no_part_takes_a_word(name: str) -> None:
    assert refused({name: "usual"}).startswith(f"{name} is usual: should be ")


def test_a_field_of_a_plan_is_named_from_the_plan() -> None:
    assert refused({"design": {"scheme": in_turn(group=0)}}, Plan).startswith("design.scheme.group is 0:")
    assert refused({"desing": {}}, Plan).endswith('Did you mean "design"?')


def test_a_caller_may_call_fields_otherwise() -> None:
    """A command line knows scheme.group as --group."""
    with pytest.raises(ValidationError) as error:
        Design.model_validate({"scheme": in_turn(group=0)})
    assert describe(error.value, lambda field: "--" + field.rpartition(".")[2]).startswith("--group is 0:")
    with pytest.raises(ValidationError) as error:
        Design.model_validate({"scheme": in_turn(start_deg=61)})
    assert describe(error.value, lambda field: "--" + field.rpartition(".")[2]).startswith("--start_deg is 61;")
