"""`Microscope`: all that acquisition asks of a microscope, real or simulated."""

from datetime import datetime
from typing import Protocol, runtime_checkable

from eucentric.microscope.records import ExposureRequest, Image, Movie, ShiftYX, StageLimits, StagePosition


@runtime_checkable
class Microscope(Protocol):
    """A transmission microscope with a tilting stage and a camera.

    Every call returns when it is done, and returns what was read back, never what was asked for. The beam reaches
    the specimen in `expose` and `view` only. A move beyond the limits raises `MoveRefusedError` and moves nothing, on
    any axis. `MicroscopeContract` holds all this to a driver.
    """

    def limits(self) -> StageLimits:
        """Return how far the stage and the shifts can go."""
        ...

    def now(self) -> datetime:
        """Return the time of the microscope's own clock; it never goes back. All its times have a zone, or none."""
        ...

    def wait(self, seconds: float) -> None:
        """Let so much time pass, with the specimen unexposed."""
        ...

    def stage(self) -> StagePosition:
        """Return where the stage is."""
        ...

    def tilt_to(self, tilt_deg: float) -> StagePosition:
        """Tilt, wait until it has settled, and return where the stage is."""
        ...

    def move_stage(
        self, *, y_A: float | None = None, x_A: float | None = None, z_A: float | None = None
    ) -> StagePosition:
        """Move the axes that are given, and return where the stage is."""
        ...

    def image_shift_A(self) -> ShiftYX:
        """Return the place (y, x), seen from the optical axis, that lies in the centre of the image."""
        ...

    def set_image_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        """Bring a place (y, x), seen from the optical axis, into the centre of the image; the beam stays."""
        ...

    def beam_shift_A(self) -> ShiftYX:
        """Return the place (y, x), seen from the optical axis, that lies in the centre of the beam."""
        ...

    def set_beam_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        """Bring the beam's centre to a place (y, x), seen from the optical axis; the image stays."""
        ...

    def defocus_A(self) -> float:
        """Return the objective lens's defocus, underfocus positive."""
        ...

    def set_defocus_A(self, defocus_A: float) -> float:
        """Set the objective lens's defocus, underfocus positive."""
        ...

    def beam_tilt_mrad(self) -> ShiftYX:
        """Return how far the illumination is tilted, (y, x) in mrad."""
        ...

    def set_beam_tilt_mrad(self, yx_mrad: ShiftYX) -> ShiftYX:
        """Tilt the illumination; what lies d under focus appears moved by ``d yx_mrad / 1000``, in its direction."""
        ...

    def beam_on(self) -> bool:
        """Return whether there is a beam to expose with."""
        ...

    def set_beam_on(self, on: bool) -> bool:
        """Open or close the column's valves."""
        ...

    def expose(self, request: ExposureRequest) -> Movie:
        """Expose once and return the frames.

        Raises
        ------
        BeamLostError
            If there is no beam, or it goes away; `delivered_e_A2` says what the specimen received before.
        MicroscopeTimeoutError
            If no answer comes; what was delivered is then unknown.
        """
        ...

    def view(self, field_A: float, pixels: int) -> Image:
        """Take an image of `pixels` a side of a field `field_A` wide, at low magnification.

        Its exposure is small and in its readback, purpose "view". The errors are those of `expose`.
        """
        ...
