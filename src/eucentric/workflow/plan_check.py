"""A series from movies beside the plan that it was acquired by: exposures that disagree, and what the plan adds."""

from collections.abc import Sequence

import numpy as np

from eucentric.core import Tilt, TiltSeries
from eucentric.design import Exposure, Plan

_SAME_TILT_DEG = 1.5  # a stage comes within some 0.1°, and a pre-tilt may have been corrected; steps are 2 or 3°
_APART = 0.10


def planned(series: TiltSeries, plan: Plan) -> tuple[Exposure | None, ...]:
    """Return the plan's exposure of each tilt of a series, by section; None where the plan has no such tilt.

    Each is taken once, in the order of acquisition: tilts that were skipped leave gaps.
    """
    left = list(plan)
    found: list[Exposure | None] = [None] * len(series.tilts)
    for tilt in series.by_order():
        apart = [abs(exposure.tilt_deg - tilt.tilt_deg) for exposure in left]
        if apart and min(apart) <= _SAME_TILT_DEG:
            found[tilt.section] = left.pop(int(np.argmin(apart)))
    return tuple(found)


def compared_with_plan(series: TiltSeries, plan: Plan, where: str) -> tuple[TiltSeries, tuple[str, ...]]:
    """Return a series whose missing exposures are those of the plan, and warnings where the two disagree.

    Exposures that the series has stay as they are: the .mdoc tells what was done, the plan what was meant.
    """
    by_section, said = planned(series, plan), []
    apart = [
        (tilt.section, tilt.exposure_e_A2, exposure.exposure_e_A2)
        for tilt, exposure in zip(series.tilts, by_section, strict=True)
        if exposure is not None
        and tilt.exposure_e_A2 is not None
        and abs(tilt.exposure_e_A2 / exposure.exposure_e_A2 - 1) > _APART
    ]
    if apart:
        section, had, meant = max(apart, key=lambda one: abs(one[1] / one[2] - 1))
        said.append(
            f"{where}: the exposures of {len(apart)} of {len(series.tilts)} tilts differ by more than 10 % from those "
            f"of the plan; that of section {section} is {had:.2f} e/Å², and {meant:.2f} were planned. Those of the "
            ".mdoc were believed. [exposure-plan]"
        )
    unknown = [tilt.section for tilt in series.tilts if tilt.exposure_e_A2 is None]
    if unknown and None not in by_section:
        series = series.replace(tilts=_completed(series, [one for one in by_section if one is not None]))
        said.append(
            f"{where}: it does not give the exposures of {len(unknown)} tilts; those of the plan were taken. "
            "[exposure-missing]"
        )
    return series, tuple(said)


def _completed(series: TiltSeries, by_section: Sequence[Exposure]) -> tuple[Tilt, ...]:
    completed: dict[int, Tilt] = {}
    before_e_A2 = 0.0
    for tilt in series.by_order():
        own = tilt.exposure_e_A2 or by_section[tilt.section].exposure_e_A2
        before = before_e_A2 if tilt.pre_exposure_e_A2 is None else tilt.pre_exposure_e_A2
        completed[tilt.section] = tilt.replace(exposure_e_A2=own, pre_exposure_e_A2=before)
        before_e_A2 = before + own
    return tuple(completed[section] for section in range(len(series.tilts)))
