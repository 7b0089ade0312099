"""The designs that the optimiser tries: a coarse grid over all that may be chosen, and a fine one about the best."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import Annotated

from pydantic import Field, ValidationError

from eucentric.core import Record
from eucentric.design.increments import ConstantIncrement
from eucentric.design.plan import STEEPEST_SLAB_DEG, Design
from eucentric.design.policies import ConstantExposure, ExposurePolicy, FrameCount, FramePolicy, InverseCosineExposure
from eucentric.design.schemes import Bidirectional, DoseSymmetric, Unidirectional

Values = Annotated[tuple[float, ...], Field(min_length=1)]

_LARGEST_TILTS = 400  # more images than any series that was ever taken


class SearchSpace(Record):
    """What is tried: every combination of these, as far as the stage allows.

    Ranges are half of them, about the slab's own plane; `starts` of bidirectional series are shares of the negative
    half; `times_at_60` is the weighting of the exposure over tilt.
    """

    half_ranges_deg: Values = (40.0, 45.0, 50.0, 55.0, 60.0, 65.0, 70.0)
    steps_deg: Values = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
    groups: tuple[int, ...] = (1, 2, 3, 4)
    starts: tuple[float, ...] = (0.0, 1 / 6, 1 / 3)
    times_at_60: Values = (1.0, 1.4, 2.0, 2.8)
    unidirectional: bool = True
    frames: tuple[int, ...] = ()


def candidates(base: Design, total_e_A2: float, space: SearchSpace) -> Iterator[Design]:
    """Give the designs of a space that `base`, with its specimen, stage and camera, can be made into."""
    policies = [weighting(times, total_e_A2) for times in space.times_at_60]
    frames: list[FramePolicy] = [FrameCount(frames=count) for count in space.frames]
    frames = frames or [base.frames]
    seen = set()
    for half, step in product(space.half_ranges_deg, space.steps_deg):
        for scheme in _schemes(base, half, step, space):
            if (key := scheme.model_dump_json()) not in seen:  # whole steps can make two ranges one
                seen.add(key)
                for policy, frame in product(policies, frames):
                    with suppress(ValidationError):  # exposures too small for so many tilts
                        yield base.replace(scheme=scheme, exposure=policy, frames=frame)


def neighbours(best: Design, total_e_A2: float, space: SearchSpace) -> Iterator[Design]:
    """Give finer variations about a design, in all schemes of the space: what limits one must not flatter another."""
    scheme = best.scheme
    if not isinstance(scheme, Unidirectional | Bidirectional | DoseSymmetric):
        return
    half, step = max(-scheme.min_deg, scheme.max_deg), scheme.increment.step_deg
    times = best.exposure.times_at_60 if isinstance(best.exposure, InverseCosineExposure) else 1.0
    around = space.replace(
        half_ranges_deg=tuple(half + by for by in (-2, -1, 0, 1, 2)),
        steps_deg=tuple(sorted({max(0.5, round(step + by, 2)) for by in (-0.4, -0.2, -0.1, 0, 0.1, 0.2, 0.4)})),
        times_at_60=tuple(sorted({min(8.0, max(1.0, round(times + by, 2))) for by in (-0.3, 0, 0.3)})),
    )
    yield from candidates(best, total_e_A2, around)


def frame_counts(best: Design) -> Iterator[Design]:
    """Give the same design with other numbers of frames."""
    for count in (1, 2, 4, 6, 8, 10, 12, 16):
        yield best.replace(frames=FrameCount(frames=count))


def with_tilts(design: Design, tilts: int) -> Design | None:
    """Return the design with about so many tilts over the same range; none where the stage or the step forbid it."""
    scheme = design.scheme
    if not isinstance(scheme, Unidirectional | Bidirectional | DoseSymmetric) or tilts < 2:
        return None
    extent = scheme.max_deg - scheme.min_deg
    step = extent / (tilts - 1)
    middle = scheme.min_deg + step * round((0 - scheme.min_deg) / step)  # the tilts stay on the range's own grid
    changes = {"increment": ConstantIncrement(step_deg=step), "min_deg": scheme.min_deg, "max_deg": scheme.max_deg}
    if isinstance(scheme, Unidirectional):
        return design.replace(scheme=scheme.replace(**changes))
    start = middle + step * round((scheme.start_deg - middle) / step)
    start = min(max(start, scheme.min_deg), scheme.max_deg)
    return design.replace(scheme=scheme.replace(**changes, start_deg=start))


def weighting(times_at_60: float, total_e_A2: float) -> ExposurePolicy:
    """Return the policy that gives a tilt of 60° so many times the exposure of an untilted one."""
    if times_at_60 == 1:
        return ConstantExposure(total_e_A2=total_e_A2)
    return InverseCosineExposure(total_e_A2=total_e_A2, times_at_60=times_at_60)


def _schemes(
    base: Design, half_deg: float, step_deg: float, space: SearchSpace
) -> Iterator[Unidirectional | Bidirectional | DoseSymmetric]:
    """Give the schemes of one range and step, cut to whole steps within the reach of the stage."""
    pre_tilt, stage = base.specimen.pre_tilt_deg, base.stage
    reach = (min(half_deg, pre_tilt - stage.min_deg), min(half_deg, stage.max_deg - pre_tilt))
    below, above = (int((min(side, STEEPEST_SLAB_DEG) + 1e-9) / step_deg) for side in reach)
    if reach[0] < 0 or reach[1] < 0 or not 3 <= below + above + 1 <= _LARGEST_TILTS or max(reach) < half_deg - step_deg:
        return
    ranged = {
        "min_deg": round(-below * step_deg, 6),
        "max_deg": round(above * step_deg, 6),
        "increment": ConstantIncrement(step_deg=step_deg),
    }
    if space.unidirectional:
        yield Unidirectional(**ranged)
    starts = {round(-round(below * share) * step_deg, 6) for share in space.starts}
    for start in sorted(starts, reverse=True):
        yield Bidirectional(**ranged, start_deg=start)
    for group in space.groups:
        if group == 1 or group < max(below, above):
            yield DoseSymmetric(**ranged, group=group)
