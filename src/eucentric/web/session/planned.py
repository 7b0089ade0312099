"""What the plan of a series says of each of its tilts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eucentric.core import Tilt, TiltSeries
from eucentric.design import Plan, Prediction, predict
from eucentric.io import read_plan
from eucentric.web.session.following import Told
from eucentric.web.session.records import Predicted, TiltView
from eucentric.workflow.plan_check import planned
from eucentric.workflow.session_series import PLAN


@dataclass(frozen=True)
class Planned:
    """A plan and its prediction."""

    plan: Plan
    prediction: Prediction

    @classmethod
    def read(cls, path: Path) -> "Planned":
        """Read a plan.

        Raises
        ------
        InputError, FormatError
            If there is none that can be read.
        """
        plan = read_plan(path)
        return cls(plan, predict(plan))

    @property
    def total_e_A2(self) -> float:
        """Exposure in all."""
        return sum(exposure.exposure_e_A2 for exposure in self.plan)

    def predicted(self) -> tuple[Predicted, ...]:
        """Return what is said of each exposure, in their order; counts are those of a camera's pixel, electrons."""
        by_motion = self.plan.design.alignability.motion_A_per_e_A2
        return tuple(
            Predicted(
                tilt_deg=exposure.tilt_deg,
                exposure_e_A2=exposure.exposure_e_A2,
                defocus_A=exposure.defocus_A,
                path_A=float(self.prediction.thickness_A[i]),
                motion_A=by_motion * exposure.exposure_e_A2,
                alignment_error_A=float(self.prediction.alignment_error_A[i]),
                counts=float(self.prediction.counts_per_px[i]),
            )
            for i, exposure in enumerate(self.plan)
        )


def find_plan(folder: Path, told: Told) -> Path | None:
    """Return the plan that a series was acquired by: the session's, or that of the session where its movies lie."""
    own = folder / PLAN
    if own.is_file():
        return own
    runs = [*told.looks.values(), *(told.runs[stage] for stage in ("motion", "gain") if stage in told.runs)]
    for run in runs[:1]:
        movie = folder / run.inputs[-1].path if run.inputs else None
        beside = movie.parent.with_name(PLAN) if movie is not None else None
        if beside is not None and beside.is_file():
            return beside
    return None


def beside_plan(tilts: Sequence[TiltView], plan: Planned | None) -> tuple[tuple[TiltView, ...], tuple[Predicted, ...]]:
    """Return the tilts with what the plan says of them, and what it says of all that it has.

    Counts that the plan predicts, in electrons, are brought to those that were measured by their median ratio: what is
    compared is how they fall with tilt.
    """
    if plan is None or not tilts:
        return tuple(tilts), () if plan is None else tuple(one.replace(counts=None) for one in plan.predicted())
    all_of_it = plan.predicted()
    matched = _matched(tilts, plan.plan)
    ratios = [
        tilt.counts / (all_of_it[order].counts or np.nan)
        for tilt, order in zip(tilts, matched, strict=True)
        if order is not None and tilt.counts
    ]
    if any(tilt.counts_are_share for tilt in tilts):
        scaled = tuple(one.replace(counts=1.0) for one in all_of_it)
    else:
        scale = float(np.median(ratios)) if ratios else None
        scaled = tuple(
            one.replace(counts=None if scale is None or one.counts is None else scale * one.counts) for one in all_of_it
        )
    told = tuple(
        tilt if order is None else _told(tilt, scaled[order]) for tilt, order in zip(tilts, matched, strict=True)
    )
    return told, scaled


def _told(tilt: TiltView, predicted: Predicted) -> TiltView:
    asked = predicted.defocus_A if tilt.target_defocus_A is None else tilt.target_defocus_A
    return tilt.replace(predicted=predicted, target_defocus_A=asked)


def _matched(tilts: Sequence[TiltView], plan: Plan) -> tuple[int | None, ...]:
    """Return the order in the plan of each tilt, in the way in which processing finds it."""
    in_order = sorted(range(len(tilts)), key=lambda i: tilts[i].order)
    rank = {i: place for place, i in enumerate(in_order)}
    series = TiltSeries(
        name="tilts",
        pixel_A=1.0,
        shape_yx=(1, 1),
        tilts=tuple(Tilt(section=i, tilt_deg=tilt.tilt_deg, order=rank[i]) for i, tilt in enumerate(tilts)),
    )
    return tuple(None if exposure is None else exposure.order for exposure in planned(series, plan))
