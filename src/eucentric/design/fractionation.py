"""How the exposure is best divided: the score over the number of tilts, and from which costs its peak comes."""

from collections.abc import Sequence

import numpy as np

from eucentric.core import Record
from eucentric.design.candidates import with_tilts
from eucentric.design.objective import COSTS, Objective
from eucentric.design.plan import Design
from eucentric.design.prediction import EVERYTHING, predict

_SWEEP = (5, 7, 9, 11, 13, 17, 21, 25, 31, 35, 41, 49, 61, 71, 81, 101, 121, 151, 181, 241)


class SweetSpot(Record):
    """The score over the number of tilts, at the best design's range and order.

    `curves` holds it with everything counted, with perfect alignment, with gapless sampling, and with neither (and
    no motion): by the dose fractionation theorem, the last is all but flat. `allowed` says which numbers keep to the
    limits; `best_tilts` is the best of these, and `best_without_limits` the best of all.
    """

    tilts: tuple[int, ...]
    curves: dict[str, tuple[float, ...]]
    allowed: tuple[bool, ...]
    best_tilts: int
    best_without_limits: int


def sweet_spot(design: Design, objective: Objective, tilts: Sequence[int] = _SWEEP) -> SweetSpot:
    """Return the score over the number of tilts of a design, with and without what each tilt costs and gives."""
    apart = {
        "everything": EVERYTHING,
        "perfect alignment": COSTS["alignability"],
        "gapless sampling": COSTS["sampling"],
        "neither": EVERYTHING.replace(sampling=False, alignment=False, motion=False),
    }
    wanted = sorted({*tilts, len(design.plan())})
    made = {count: with_tilts(design, count) for count in wanted}
    plans = {count: one.plan() for count, one in made.items() if one is not None}
    curves = {
        name: tuple(objective.score(predict(plan, terms)) for plan in plans.values()) for name, terms in apart.items()
    }
    counts, scores = tuple(plans), np.array(curves["everything"])
    allowed = tuple(not objective.broken_by(predict(plan)) for plan in plans.values())
    return SweetSpot(
        tilts=counts,
        curves=curves,
        allowed=allowed,
        best_tilts=counts[int(np.argmax(np.where(allowed, scores, -1.0)))],
        best_without_limits=counts[int(np.argmax(scores))],
    )
