"""Strategies for every scheme and policy, and for whole designs that can be carried out."""

from typing import Any

from hypothesis import reject
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.design import (
    Bidirectional,
    Camera,
    ConstantDefocus,
    ConstantExposure,
    ConstantIncrement,
    CosineIncrement,
    DefocusPolicy,
    Design,
    DoseSymmetric,
    EqualCountsExposure,
    Explicit,
    ExplicitExposure,
    ExposurePolicy,
    FrameCount,
    FrameExposure,
    FramePolicy,
    Hybrid,
    Increment,
    InverseCosineExposure,
    SaxtonIncrement,
    Scheme,
    Specimen,
    StaggeredDefocus,
    ThicknessExposure,
    Unidirectional,
)
from eucentric.optics import Lens

STAGE_DEG = (-70.0, 70.0)
"""The limits of the default stage, within which every design here stays."""

Plain = Unidirectional | Bidirectional | DoseSymmetric | Explicit
Range = tuple[float, float]

sides = st.sampled_from(["negative", "positive"])
steps_deg = st.one_of(st.integers(2, 24).map(lambda quarters: quarters / 4), st.floats(0.5, 6))


def increments(step_deg: st.SearchStrategy[float] = steps_deg) -> st.SearchStrategy[Increment]:
    """Give increments of each kind."""
    return st.one_of(
        st.builds(ConstantIncrement, step_deg=step_deg),
        st.builds(CosineIncrement, step_deg=step_deg),
        st.builds(SaxtonIncrement, step_deg=step_deg),
    )


@st.composite
def ranges(draw: st.DrawFn, within: Range = STAGE_DEG) -> dict[str, Any]:
    """Give the fields that schemes with a range share; the range holds at least a step."""
    increment = draw(increments())
    low, high = within
    min_deg = draw(st.floats(low, high - increment.step_deg))
    return {
        "min_deg": min_deg,
        "max_deg": draw(st.floats(min(min_deg + increment.step_deg, high), high)),
        "increment": increment,
    }


@st.composite
def unidirectional(draw: st.DrawFn, within: Range = STAGE_DEG) -> Unidirectional:
    """Give schemes from one end to the other."""
    return Unidirectional(**draw(ranges(within)), first=draw(sides))


@st.composite
def bidirectional(draw: st.DrawFn, within: Range = STAGE_DEG) -> Bidirectional:
    """Give schemes in two branches."""
    span = draw(ranges(within))
    start_deg = draw(st.floats(span["min_deg"], span["max_deg"]))
    return Bidirectional(**span, start_deg=start_deg, first=draw(st.none() | sides))


@st.composite
def dose_symmetric(draw: st.DrawFn, within: Range = STAGE_DEG) -> DoseSymmetric:
    """Give schemes that take both sides in turn, with groups that grow and run out."""
    span = draw(ranges(within))
    order = draw(st.sampled_from([None, "serialem", "pacetomo", "hagen"]))
    return DoseSymmetric(
        **span,
        start_deg=draw(st.floats(span["min_deg"], span["max_deg"])),
        group=draw(st.integers(1, 6)),
        first=draw(st.none() | sides),
        grow_by=draw(st.integers(0, 3)),
        grow_beyond_deg=draw(st.floats(0, 60)),
        grow_every_deg=draw(st.just(0.0) | st.floats(1, 30)),
        run_out_beyond_deg=draw(st.none() | st.floats(0, 90)),
        **({"order": order} if order else {}),
    )


def explicit(within: Range = STAGE_DEG, least: int = 1) -> st.SearchStrategy[Explicit]:
    """Give lists of angles, 0.02° apart or more."""
    low, high = int(within[0] * 50) + 1, int(within[1] * 50) - 1
    fiftieths = st.lists(st.integers(low, high), min_size=least, max_size=60, unique=True)
    return fiftieths.map(lambda angles: Explicit(tilts_deg=tuple(angle / 50 for angle in angles)))


def plain_schemes(within: Range = STAGE_DEG) -> st.SearchStrategy[Plain]:
    """Give every scheme but the hybrid."""
    return st.one_of(unidirectional(within), bidirectional(within), dose_symmetric(within), explicit(within))


def hybrids(within: Range = STAGE_DEG) -> st.SearchStrategy[Hybrid]:
    """Give hybrids of every other scheme, of two tilts at least."""
    rest = plain_schemes(within).filter(lambda scheme: len(scheme.angles_deg()) > 1)
    return st.builds(Hybrid, untilted_e_A2=st.floats(1, 50), rest=rest)


def schemes(within: Range = STAGE_DEG) -> st.SearchStrategy[Scheme]:
    """Give every scheme."""
    return plain_schemes(within) | hybrids(within)


@st.composite
def exposures(draw: st.DrawFn, tilts: int, spent_e_A2: float = 0.0) -> ExposurePolicy:
    """Give exposure policies for so many tilts, of which `spent_e_A2` of the total went elsewhere."""
    amount = draw(
        st.fixed_dictionaries({"total_e_A2": st.floats(spent_e_A2 + 1, spent_e_A2 + 300)})
        | st.fixed_dictionaries({"untilted_e_A2": st.floats(0.1, 10)})
    )
    each = st.lists(st.floats(0.1, 20), min_size=tilts, max_size=tilts).map(tuple)
    return draw(
        st.one_of(
            st.just(ConstantExposure(**amount)),
            st.floats(1, 8).map(lambda times: InverseCosineExposure(**amount, times_at_60=times)),
            st.just(ThicknessExposure(**amount)),
            st.just(EqualCountsExposure(**amount)),
            st.builds(ExplicitExposure, each_e_A2=each),
        )
    )


frames: st.SearchStrategy[FramePolicy] = st.one_of(
    st.builds(FrameCount, frames=st.integers(1, 40)),
    st.builds(FrameExposure, each_e_A2=st.floats(0.05, 5), rounding=st.just("nearest")),
)


@st.composite
def staggered(draw: st.DrawFn) -> StaggeredDefocus:
    """Give a series of a session with a range of defocus."""
    low_A, series = draw(st.floats(-20_000, 60_000)), draw(st.integers(2, 12))
    return StaggeredDefocus(
        spacing=draw(st.sampled_from(["geometric", "even"])),
        low_A=low_A,
        high_A=low_A + draw(st.floats(100, 40_000)),
        series=series,
        index=draw(st.integers(0, series - 1)),
    )


defoci: st.SearchStrategy[DefocusPolicy] = st.one_of(
    st.builds(ConstantDefocus, defocus_A=st.floats(-50_000, 100_000)), staggered()
)

specimens = st.builds(
    Specimen,
    thickness_A=st.floats(200, 4000),
    pre_tilt_deg=st.one_of(st.just(0.0), st.sampled_from([-12.0, -9.0, 10.0]), st.floats(-20, 20)),
    mean_free_path_A=st.floats(2110, 3950),
    particle_kDa=st.floats(50, 5000),
    diameter_A=st.none() | st.floats(50, 2000),
)

lenses = st.builds(
    Lens, voltage_kV=st.sampled_from([100.0, 200.0, 300.0]), phase_shift_deg=st.sampled_from([0.0, 90.0])
)
cameras = st.builds(
    Camera, pixel_A=st.floats(0.8, 6), dqe_nyquist=st.floats(0.1, 0.7), readout_e=st.sampled_from([0, 2])
)


@st.composite
def designs(draw: st.DrawFn) -> Design:
    """Give whole designs, each of which can be carried out on the default stage."""
    specimen = draw(specimens)
    pre_tilt = specimen.pre_tilt_deg
    # Angles of a scheme are the slab's: the stage goes to them plus the pre-tilt. Kept a little inside of the
    # limits, so that rounding takes none beyond, and where a slab still has a face.
    within = (max(STAGE_DEG[0] - pre_tilt, -80.0) + 1e-6, min(STAGE_DEG[1] - pre_tilt, 80.0) - 1e-6)
    scheme = draw(schemes(within))
    tilts, spent = len(scheme.angles_deg()), 0.0
    if isinstance(scheme, Hybrid):
        tilts, spent = tilts - 1, scheme.untilted_e_A2
    parts: dict[str, Any] = {
        "exposure": draw(exposures(tilts, spent)),
        "frames": draw(frames),
        "defocus": draw(defoci),
        "lens": draw(lenses),
        "camera": draw(cameras),
    }
    try:
        return Design(scheme=scheme, specimen=specimen, **parts)
    except ValidationError as error:
        # Steep slabs of thick ice with equal counts: an untilted image may get less than any image can.
        if "which gives the tilt of" not in str(error):
            raise
        return reject()
