"""What is wanted of a design, and within what."""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from eucentric.core import Angstrom, Record
from eucentric.design.geometry import crowther_A, elongation
from eucentric.design.plan import Design
from eucentric.design.prediction import EVERYTHING, ISOTROPY, Prediction, Terms

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

COSTS: dict[str, Terms] = {
    "sampling": EVERYTHING.replace(sampling=False),
    "alignability": EVERYTHING.replace(alignment=False),
    "motion": EVERYTHING.replace(motion=False),
    "transmission": EVERYTHING.replace(transmission=False),
    "damage": EVERYTHING.replace(damage=False),
}
"""What a design loses information to, each as a prediction in which it costs nothing."""


class Objective(Record):
    """What is wanted, and within what.

    Parameters
    ----------
    goal
        `bits`: the most information about one volume, each frequency's times the share of directions that were
        measured, to the power `isotropy`. `resolution`: the fewest particles to be averaged for `target_A`.
    max_minutes, max_alignment_error_A, max_crowther_A, max_elongation
        What a design must keep to; none where absent. Averaging by itself asks for few tilts of a narrow range;
        but particles must be found first. So `resolution` has limits of its own where none are given: the slab
        sampled to the particle's diameter, and an elongation up to 1.9 (±50°).
    """

    goal: Literal["bits", "resolution"] = "bits"
    target_A: Annotated[Angstrom, Field(gt=0)] = 10.0
    isotropy: Annotated[float, Field(ge=0, le=10)] = ISOTROPY
    max_minutes: Positive | None = None
    max_alignment_error_A: Positive | None = 20.0
    max_crowther_A: Positive | None = None
    max_elongation: Positive | None = None

    def for_specimen(self, design: Design) -> "Objective":
        """Return the objective with the limits that its goal has by itself."""
        if self.goal == "bits":
            return self
        specimen = design.specimen
        return self.replace(
            max_crowther_A=self.max_crowther_A or specimen.diameter_A or specimen.particle_diameter_A,
            max_elongation=self.max_elongation or 1.9,
        )

    def score(self, prediction: Prediction) -> float:
        """Return how good a design is; more is better."""
        if self.goal == "bits":
            return prediction.worth(self.isotropy)
        particles = prediction.particles(self.target_A)
        return 1 / particles if particles else 0.0

    def broken_by(self, prediction: Prediction) -> tuple[str, ...]:
        """Return the names of the limits that a design does not keep to."""
        slab_deg = np.sort(prediction.plan.design.slab.slab_deg)
        limits: tuple[tuple[str, float | None, Callable[[], float]], ...] = (
            ("time", self.max_minutes, lambda: prediction.clock.duration_s / 60),
            ("alignability", self.max_alignment_error_A, lambda: float(prediction.alignment_error_A.max())),
            ("sampling", self.max_crowther_A, lambda: _slab_crowther_A(prediction)),
            ("missing wedge", self.max_elongation, lambda: elongation(float(slab_deg[-1] - slab_deg[0]) / 2)),
        )
        return tuple(name for name, most, value in limits if most is not None and value() > most)


def _slab_crowther_A(prediction: Prediction) -> float:
    gap_deg = float(np.diff(np.sort(prediction.plan.design.slab.slab_deg)).max())
    return crowther_A(float(prediction.thickness_A.max()), gap_deg)
