"""`Judge`: holds exposures that were made against the policies that look at images; none of them repeats one."""

import math
from typing import Any

from eucentric.acquisition.eyes import Seen
from eucentric.acquisition.program import Step
from eucentric.acquisition.reacting import GiveUpError, Reactions
from eucentric.design import Plan
from eucentric.microscope import Movie


class Judge:
    """Looks at what came of each exposure.

    Parameters
    ----------
    plan
        With its policies.
    reactions
        That decide by them.
    sums
        Whether the microscope gives the sums of movies that it writes itself.
    """

    def __init__(self, plan: Plan, reactions: Reactions, *, sums: bool) -> None:
        self._design = plan.design
        self._policies = plan.acquisition.policies
        self._reactions = reactions
        self._sums = sums
        self._failures = 0  # of the camera, in a row

    def counts_share(self, movie: Movie, step: Step) -> float:
        """Return the counts of an image over those that beam and path give it."""
        passed = float(self._design.slab.transmission[step.order])
        expected = self._design.routine.dose_rate_e_A2_per_s * movie.pixel_A**2 * passed
        return movie.readback.dose_rate_e_px_s / expected

    def image(self, target: str, step: Step, movie: Movie, seen: Seen | None) -> None:
        """Judge an image: its frames, its counts, where its target lies in it.

        Raises
        ------
        GiveUpError
            If a policy says so.
        """
        policies, where = self._policies, _where(target, step)
        missing = 0.0 if self._sums else 100 * (1 - len(movie.frames) / step.exposure.frames)
        if missing > policies.camera_failed.most_percent:
            self.no_image(f"{missing:.0f} % of the frames are missing", target, step)
        else:
            self._failures = 0
        share = self.counts_share(movie, step)
        if share < policies.lost_counts.least_share:
            self._reactions.final("lost_counts", f"counts are {100 * share:.0f} % of those predicted", **where)
        field_A = field_of(movie)
        if seen is not None and field_A:
            lost = 100 * math.hypot(*seen.yx_A) / field_A
            if lost > policies.field_lost.most_percent:
                self._reactions.final("field_lost", f"{lost:.0f} % of the field were missed", **where)

    def no_image(self, reason: str, target: str, step: Step) -> None:
        """Go on without an image, unless that happens again and again.

        Raises
        ------
        GiveUpError
            If it does, or the policy says so.
        """
        self._failures += 1
        last = self._failures >= self._policies.camera_failed.tries
        self._reactions.final("camera_failed", reason, last=last, **_where(target, step))
        if last:  # and nothing more is asked of such a camera here
            raise GiveUpError("skip", reason)


def field_of(movie: Movie) -> float:
    """Return the shorter side of what an image shows (Å), 0 for one without pixels."""
    return float(min(movie.frames.shape[1:])) * movie.pixel_A


def _where(target: str, step: Step) -> dict[str, Any]:
    return {"target": target, "order": step.order, "tilt_deg": step.tilt_deg}
