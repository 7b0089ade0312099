"""Designs for tests, made by hypothesis: any that can be, and those that PACEtomo can do."""

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.design import Design

_steps_deg = st.one_of(st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0]), st.floats(1, 12))
_increments = st.fixed_dictionaries({"kind": st.sampled_from(["constant", "cosine", "saxton"]), "step_deg": _steps_deg})
_ranges = {"min_deg": st.floats(-66, -12), "max_deg": st.floats(12, 66), "increment": _increments}
_sides = st.sampled_from(["negative", "positive"])
_starts_deg = st.one_of(st.just(0.0), st.floats(-12, 12))
_plain = st.one_of(
    st.fixed_dictionaries({"kind": st.just("unidirectional"), **_ranges, "first": _sides}),
    st.fixed_dictionaries({"kind": st.just("bidirectional"), **_ranges, "start_deg": _starts_deg}),
    st.fixed_dictionaries(
        {
            "kind": st.just("dose-symmetric"),
            **_ranges,
            "start_deg": _starts_deg,
            "group": st.integers(1, 5),
            "order": st.sampled_from(["serialem", "pacetomo", "hagen"]),
            "grow_by": st.integers(0, 2),
            "grow_beyond_deg": st.floats(0, 60),
            "run_out_beyond_deg": st.one_of(st.none(), st.floats(20, 60)),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("explicit"),
            "tilts_deg": st.lists(st.integers(-60, 60).map(float), min_size=2, max_size=20, unique=True),
        }
    ),
)
_totals = {"total_e_A2": st.floats(20, 300)}
_values: dict[str, st.SearchStrategy[Any]] = {
    "scheme": st.one_of(
        _plain,
        st.fixed_dictionaries({"kind": st.just("hybrid"), "untilted_e_A2": st.floats(0.5, 15), "rest": _plain}),
    ),
    "exposure": st.fixed_dictionaries(
        {"kind": st.sampled_from(["constant", "inverse-cosine", "thickness", "equal-counts"]), **_totals}
    ),
    "frames": st.one_of(
        st.fixed_dictionaries({"kind": st.just("count"), "frames": st.integers(1, 60)}),
        st.fixed_dictionaries(
            {"kind": st.just("equal-exposure"), "each_e_A2": st.floats(0.05, 2), "rounding": st.just("nearest")}
        ),
    ),
    "defocus": st.one_of(
        st.fixed_dictionaries({"kind": st.just("constant"), "defocus_A": st.floats(-20_000, 100_000)}),
        st.fixed_dictionaries(
            {
                "kind": st.just("staggered"),
                "low_A": st.floats(1_000, 20_000),
                "high_A": st.floats(21_000, 90_000),
                "series": st.integers(2, 9),
                "index": st.integers(0, 1),
            }
        ),
    ),
    "specimen": st.fixed_dictionaries(
        {"thickness_A": st.floats(200, 5_000), "pre_tilt_deg": st.one_of(st.just(0.0), st.floats(-3, 3))}
    ),
    "routine": st.fixed_dictionaries({"dose_rate_e_A2_per_s": st.floats(0.1, 50)}),
}


@st.composite
def designs(draw: st.DrawFn) -> Design:
    """Draw any design that can be."""
    values = draw(st.fixed_dictionaries(_values))
    try:
        return Design.model_validate(values)
    except ValidationError:
        assume(False)
        raise


@st.composite
def pacetomo_designs(draw: st.DrawFn) -> Design:
    """Draw a design that PACEtomo can do: ranges that differ on the two sides, any start, groups, pre-tilts."""
    step = draw(st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0]))
    pre_tilt = draw(st.sampled_from([0.0, 0.0, 9.0, -9.0, 11.5]))
    start = step * draw(st.integers(-3, 3))
    below, above = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    high_A = draw(st.sampled_from([30_000.0, 47_000.0]))
    staggered = {"kind": "staggered", "low_A": 20_000.0, "high_A": high_A, "spacing": "even"}  # all PACEtomo can take
    return Design.model_validate(
        {
            "scheme": {
                "kind": "dose-symmetric",
                "min_deg": max(start - below * step, -57.0) - draw(st.floats(0, 0.9)) * step,
                "max_deg": min(start + above * step, 57.0) + draw(st.floats(0, 0.9)) * step,
                "increment": {"kind": "constant", "step_deg": step},
                "start_deg": start,
                "group": draw(st.integers(1, 6)),
                "order": "pacetomo",
            },
            "specimen": {"pre_tilt_deg": pre_tilt},
            "stage": {"min_deg": -80.0, "max_deg": 80.0},
            "defocus": draw(st.sampled_from([staggered, {"kind": "constant", "defocus_A": 33_000.0}])),
        }
    )
