"""Predicted beside measured beside true: what a design said, what processing found, and what the twin knows."""

import numpy as np

from eucentric.assessment import AlignmentScore, score_alignment
from eucentric.core import Record
from eucentric.design import predict
from eucentric.io import open_mrc, read_alignment, read_plan
from eucentric.workflow.records import ProcessOutcome
from eucentric.workflow.simulate import SimulateOutcome, read_tilts


class Comparison(Record):
    """One series three times over; lists are in the order of acquisition.

    Attributes
    ----------
    tilts_deg
        As the stage read them.
    counts_predicted, counts_measured, counts_true
        Electrons counted in a pixel: what the design says of ice of its thickness, the mean of the stack, and what
        arrived at the camera in the mean, counted without noise.
    shift_errors_A
        How far the alignment's shifts are from the truth, a translation of the specimen taken out; None for views left
        out.
    defocus_predicted_A, defocus_true_A
        What was asked for, and what it was in the image's centre.
    thickness_predicted_A, thickness_measured_A, thickness_true_A
        Of the plan; from the counts; of the sample.
    axis_predicted_deg, axis_measured_deg, axis_true_deg
        The tilt axis by the microscope's word, by the alignment, and as it is.
    score
        Of the alignment.
    """

    tilts_deg: tuple[float, ...]
    counts_predicted: tuple[float, ...]
    counts_measured: tuple[float, ...]
    counts_true: tuple[float, ...]
    shift_errors_A: tuple[float | None, ...]
    defocus_predicted_A: tuple[float, ...]
    defocus_true_A: tuple[float, ...]
    thickness_predicted_A: float
    thickness_measured_A: float | None
    thickness_true_A: float
    axis_predicted_deg: float
    axis_measured_deg: float
    axis_true_deg: float
    score: AlignmentScore

    def counts_off(self, which: str) -> float:
        """Return the largest relative difference of ``"predicted"`` or ``"measured"`` counts from the true ones."""
        found: tuple[float, ...] = getattr(self, f"counts_{which}")
        return float(np.abs(np.array(found) / np.array(self.counts_true) - 1).max())


def compare(simulated: SimulateOutcome, processed: ProcessOutcome) -> Comparison:
    """Compare what was predicted of a simulated series, what processing found in it, and what is true."""
    plan = read_plan(simulated.folder / "plan.yaml")
    tilts = read_tilts(simulated.truth)
    stack = open_mrc(simulated.stack)
    truth = read_alignment(simulated.truth / "alignment.json")
    score = score_alignment(read_alignment(processed.folder / "alignment.json"), truth)
    per_plan_pixel = simulated.detection * (truth.pixel_A / plan.design.camera.pixel_A) ** 2
    off = score.errors_px
    return Comparison(
        tilts_deg=tuple(exposure.tilt_deg for exposure in plan),
        counts_predicted=tuple(float(counts * per_plan_pixel) for counts in predict(plan).counts_per_px),
        counts_measured=tuple(float(i.mean(dtype=np.float64)) / simulated.counts_per_electron for i in stack.data),
        counts_true=tuple(tilt.truth.expected_e_px * simulated.detection for tilt in tilts),
        shift_errors_A=tuple(off[s] * truth.pixel_A if s in off else None for s in range(len(tilts))),
        defocus_predicted_A=tuple(exposure.defocus_A for exposure in plan),
        defocus_true_A=tuple(tilt.truth.defocus_A for tilt in tilts),
        thickness_predicted_A=plan.design.specimen.thickness_A,
        thickness_measured_A=processed.thickness_A,
        thickness_true_A=simulated.thickness_A,
        axis_predicted_deg=tilts[0].nominal.axis_deg,
        axis_measured_deg=processed.tilt_axis_deg,
        axis_true_deg=simulated.axis_deg,
        score=score,
    )
