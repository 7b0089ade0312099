"""`Controls`: the twin's clock, stage, shifts, focus and valves: all of a microscope but its images."""

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from eucentric.microscope import ExposureRequest, MoveRefusedError, Readback, ShiftYX, StageLimits, StagePosition
from eucentric.twin.mechanics import Mechanics
from eucentric.twin.states import TwinState

_FOCUS_LIMIT_A = 5e6
_FOCUS_AT_FIRST_A = 30_000.0


class Controls:
    """What is set and read back; time is its own, and passes only when something is done.

    Parameters
    ----------
    mechanics
        The stage.
    began
        The time at first.
    axis_deg
        Tilt-axis angle in the images, as the microscope tells it.
    """

    def __init__(self, mechanics: Mechanics, began: datetime, axis_deg: float) -> None:
        self._mechanics = mechanics
        self._began = began
        self._told_axis_deg = axis_deg
        self._elapsed_s = 0.0
        self._image_shift: ShiftYX = (0.0, 0.0)
        self._beam_shift: ShiftYX = (0.0, 0.0)
        self._beam_tilt: ShiftYX = (0.0, 0.0)
        self._defocus_A = _FOCUS_AT_FIRST_A
        self._beam_on = True
        self._exposures = 0

    @property
    def told_axis_deg(self) -> float:
        """Tilt-axis angle in the images, as the microscope tells it."""
        return self._told_axis_deg

    def state(self) -> TwinState:
        """Return all that is set, and how the stage stands."""
        return TwinState(
            elapsed_s=self._elapsed_s,
            exposures=self._exposures,
            stage=self._mechanics.state(),
            image_shift_yx_A=self._image_shift,
            beam_shift_yx_A=self._beam_shift,
            beam_tilt_yx_mrad=self._beam_tilt,
            defocus_A=self._defocus_A,
            beam_on=self._beam_on,
        )

    def restore(self, state: TwinState) -> None:
        """Be as a twin was, as if no time had passed."""
        self._elapsed_s, self._exposures = state.elapsed_s, state.exposures
        self._mechanics.restore(state.stage)
        self._image_shift, self._beam_shift = state.image_shift_yx_A, state.beam_shift_yx_A
        self._beam_tilt, self._defocus_A, self._beam_on = state.beam_tilt_yx_mrad, state.defocus_A, state.beam_on

    def limits(self) -> StageLimits:
        """Return how far the stage and the shifts can go."""
        return self._mechanics.limits

    def now(self) -> datetime:
        """Return the twin's own time."""
        return self._began + timedelta(seconds=self._elapsed_s)

    def wait(self, seconds: float) -> None:
        """Let time pass: the specimen drifts, nothing else happens."""
        self._elapsed_s += max(0.0, seconds)

    def stage(self) -> StagePosition:
        """Return where the stage says it is."""
        return self._mechanics.position

    def tilt_to(self, tilt_deg: float) -> StagePosition:
        """Tilt, and return where the stage says it is."""
        self._elapsed_s += self._mechanics.tilt_to(tilt_deg, self._elapsed_s)
        return self.stage()

    def move_stage(
        self, *, y_A: float | None = None, x_A: float | None = None, z_A: float | None = None
    ) -> StagePosition:
        """Move the axes that are given, and return where the stage says it is."""
        self._elapsed_s += self._mechanics.move_to(self._elapsed_s, y_A=y_A, x_A=x_A, z_A=z_A)
        return self.stage()

    def image_shift_A(self) -> ShiftYX:
        """Return the place, from the optical axis, that is in the image's centre."""
        return self._image_shift

    def set_image_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        """Bring a place, seen from the optical axis, into the image's centre."""
        self.limits().check_shift(yx_A)
        self._image_shift = (float(yx_A[0]), float(yx_A[1]))
        return self._image_shift

    def beam_shift_A(self) -> ShiftYX:
        """Return the place, from the optical axis, that is in the beam's centre, as the beam shift says."""
        return self._beam_shift

    def set_beam_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        """Bring the beam's centre to a place, seen from the optical axis."""
        self.limits().check_shift(yx_A, "beam shift")
        self._beam_shift = (float(yx_A[0]), float(yx_A[1]))
        return self._beam_shift

    def defocus_A(self) -> float:
        """Return the objective lens's defocus, underfocus positive."""
        return self._defocus_A

    def set_defocus_A(self, defocus_A: float) -> float:
        """Set the objective lens's defocus."""
        if not abs(defocus_A) <= _FOCUS_LIMIT_A:
            raise MoveRefusedError(
                f"The lens cannot be {defocus_A:g} Å out of focus: its limit is {_FOCUS_LIMIT_A:g} Å; nothing changed."
            )
        self._defocus_A = float(defocus_A)
        return self._defocus_A

    def beam_tilt_mrad(self) -> ShiftYX:
        """Return how far the illumination is tilted."""
        return self._beam_tilt

    def set_beam_tilt_mrad(self, yx_mrad: ShiftYX) -> ShiftYX:
        """Tilt the illumination."""
        self.limits().check_beam_tilt(yx_mrad)
        self._beam_tilt = (float(yx_mrad[0]), float(yx_mrad[1]))
        return self._beam_tilt

    def beam_on(self) -> bool:
        """Return whether there is a beam."""
        return self._beam_on

    def set_beam_on(self, on: bool) -> bool:
        """Open or close the valves."""
        self._beam_on = bool(on)
        return self._beam_on

    def true_offset_A(self, place_zyx_A: NDArray[np.float64] | None = None) -> tuple[ShiftYX, float]:
        """Return where a place of the specimen is now, from the optical axis, (y, x), and how high above focus (Å).

        The specimen's origin, where no place is given.
        """
        z, y, x = self._mechanics.offset_zyx_A(self._elapsed_s, place_zyx_A)
        return (float(y), float(x)), float(z)

    def _readback(
        self,
        request: ExposureRequest,
        frames: NDArray[np.unsignedinteger],
        dose_rate_e_px_s: float,
        began: datetime,
        seconds: float,
    ) -> Readback:
        """Return what the microscope says of an exposure and its frames (frame, y, x), which may have no pixels."""
        summed = frames.sum(axis=0, dtype=np.uint32)
        return Readback(
            purpose=request.purpose,
            stage=self.stage(),
            axis_deg=self._told_axis_deg,
            image_shift_yx_A=self._image_shift,
            beam_shift_yx_A=self._beam_shift,
            defocus_A=self._defocus_A,
            exposure_e_A2=request.exposure_e_A2,
            dose_rate_e_px_s=dose_rate_e_px_s,
            began=began,
            seconds=seconds,
            counts_min=float(summed.min()) if summed.size else 0.0,
            counts_max=float(summed.max()) if summed.size else 0.0,
            counts_mean=float(summed.mean()) if summed.size else 0.0,
        )
