"""`SerialEM`: the driver of a real microscope through SerialEM's own Python module.

Commands, their units and what they return are those of SerialEM 4.1 and newer, as its help "Script commands" and
"Scripting with Python" (https://bio3d.colorado.edu/SerialEM) describe them.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Required, Self, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from eucentric.core import InputError
from eucentric.microscope._serialem_commands import Array, Commands, connected_module, refuse_singular
from eucentric.microscope._serialem_images import averaged, buffer_image, whole_counts, with_counts
from eucentric.microscope.errors import BeamLostError, MicroscopeError, MicroscopeTimeoutError, MoveRefusedError
from eucentric.microscope.records import (
    ExposureRequest,
    Image,
    Movie,
    Purpose,
    Readback,
    ShiftYX,
    StageLimits,
    StagePosition,
)

Rows = tuple[tuple[float, float], tuple[float, float]]

_UM = 1e4  # Å in a µm
_NM = 10.0  # Å in a nm
_SHOTS: dict[Purpose, tuple[str, str]] = {  # the command that exposes, and the letter of its camera parameter set
    "record": ("Record", "R"),
    "view": ("View", "V"),
    "track": ("Trial", "T"),
    "focus": ("Focus", "F"),
    "search": ("Search", "S"),
    "preview": ("Preview", "L"),
}
_AREAS = "VFTRS"  # as ReportLowDose counts them, from 0
_FOCUS_LIMIT_A = 5e7  # SetDefocus refuses more than 5000 µm
_BEAM_STEP_UM = 0.5  # far more than a deflector's finest step, and within the beam of a tomogram, 1 µm or more wide
_IMAGE_WAIT_S = 30.0  # ten times what 8k by 8k pixels take over a network of 1 Gbit/s


class Settings(TypedDict, total=False):
    """What `SerialEM.connect` hands on; `SerialEM` says what each is."""

    dose_rate_e_A2_per_s: Required[float]
    view_dose_rate_e_A2_per_s: float | None
    limits: StageLimits | None
    beam_tilt_matrix: Rows
    beam_tilt_zero: tuple[float, float] | None


class SerialEM:
    """A microscope that SerialEM controls; this holds to the `Microscope` protocol, but for the frames of a movie.

    **Frames.** SerialEM saves movies itself, where its camera parameters say so. The `Movie` returned holds one frame
    always, their sum as SerialEM shows it in buffer A: in whole counts, turned so that row 0 is at the bottom
    (SerialEM has it at the top), and halved where SerialEM divides by 2. Where more than one frame is asked for, the
    frame time is set to give so many in the saved movie.

    **Exposure.** Times are set from the dose rate that is given here, and the exposure told is the camera's real time
    by the same rate: it is as good as that rate. Focus and Trial count with Record's. `Readback.began` is when
    SerialEM was told to expose; settling and readout are not in `seconds`.

    **Frame.** SerialEM's specimen coordinates have X along the tilt axis and Y across it, right-handed with the image
    upright: ours are ``y = X``, ``x = -Y``, so that the axis angle is that of its .mdoc. Where SerialEM turns
    that angle by 180° (RotateHeaderAngleBy180), both change sign. Stage places go through its
    stage-to-specimen matrix, which as a rule turns by 180°.

    **Beam.** In SerialEM the beam goes along with the image shift; here it is put back each time. Its shift has units
    of the microscope's own, so that at the first shift, and at another magnification, the beam is moved by 0.5 µm
    twice and back to find them. It counts as centred in the image when the driver is made. Let SerialEM blank the
    beam between exposures, and let nobody else shift image or beam.

    **Low dose.** Lenses are read and set in the Record area where low dose is on; Focus and Trial images lie off the
    image shift that is told by SerialEM's own axis position.

    **Waiting.** SerialEM's module does not return, nor let other threads run, before a command is done, and has no
    time limit but for images (30 s, since SerialEM 4.2): a SerialEM that hangs makes this hang. The clock is that of
    SerialEM's computer, to about 0.02 s. Settling after a tilt is SerialEM's own delay, before its next image.

    Parameters
    ----------
    module
        The module `serialem`, connected, or another that answers as it does.
    dose_rate_e_A2_per_s
        On the specimen, in the Record, Focus and Trial areas (e/Å²/s).
    view_dose_rate_e_A2_per_s
        The same for View and Search; None counts them with Record's rate, which is too much rather than too little.
    limits
        Of stage, shifts and beam tilt; `StageLimits()` where none are given. SerialEM's own limits of tilt and image
        shift narrow them further.
    beam_tilt_matrix
        SerialEM's beam tilt, rows X and Y, for one mrad in the microscope's frame, columns y and x. The default
        is right where its axes are those of SerialEM's specimen coordinates and its unit is the mrad (Thermo Fisher;
        JEOL has per cent of full scale). SerialEM does not report the axes: measure them by how images move.
    beam_tilt_zero
        SerialEM's beam tilt that counts as none: the operator's alignment. By default what it is at first; a run that
        goes on after a crash, which may have left the beam tilted, gives the `beam_tilt_zero` that it had before.

    Attributes
    ----------
    gives_sums
        Movies hold one frame, the sum of all: SerialEM writes the others itself.

    Raises
    ------
    InputError
        If a dose rate is not above 0, or the matrix cannot be inverted.
    MicroscopeError
        If SerialEM does not answer.
    """

    gives_sums = True

    def __init__(
        self,
        module: Any,
        *,
        dose_rate_e_A2_per_s: float,
        view_dose_rate_e_A2_per_s: float | None = None,
        limits: StageLimits | None = None,
        beam_tilt_matrix: Rows = ((1.0, 0.0), (0.0, -1.0)),
        beam_tilt_zero: tuple[float, float] | None = None,
    ) -> None:
        self._rate = dose_rate_e_A2_per_s
        self._view_rate = dose_rate_e_A2_per_s if view_dose_rate_e_A2_per_s is None else view_dose_rate_e_A2_per_s
        if not all(rate > 0 and math.isfinite(rate) for rate in (self._rate, self._view_rate)):
            raise InputError("A dose rate that is not above 0 gives no exposure times.", "Give the measured rates.")
        self._tilt_matrix = np.array(beam_tilt_matrix, dtype=float)
        if self._tilt_matrix.shape != (2, 2) or not abs(np.linalg.det(self._tilt_matrix)) > 0:
            raise InputError("The beam tilt's matrix cannot be inverted.", "Give two independent directions.")
        self._sem = Commands(module)
        self._sem.run("NoMessageBoxOnError")  # a box would hold SerialEM until somebody comes and closes it
        if hasattr(module, "SetBufferImageTimeout"):  # since SerialEM 4.2
            self._sem.run("SetBufferImageTimeout", _IMAGE_WAIT_S)
        self._sem.run("ResetClock")
        self._began = self._latest = datetime.now(UTC)
        self._limits = self._narrowed(limits or StageLimits())
        turned = self._sem.ask_one("ReportProperty", "RotateHeaderAngleBy180")
        if turned < 0:  # not set: it then follows the other property
            turned = self._sem.ask_one("ReportProperty", "InvertStageXAxis")
        self._turned = turned > 0
        # From SerialEM's specimen coordinates (X, Y) to ours (y, x), and back: it is its own inverse.
        self._ours = np.diag((-1.0, 1.0) if self._turned else (1.0, -1.0))
        self._stage2ours = self._ours @ self._sem.matrix("StageToSpecimenMatrix")
        self._centred = np.array(self._sem.ask(2, "ReportBeamShift"))  # beam shift with the beam in the image's centre
        self._tilt_zero = beam_tilt_zero
        self._beam_units: tuple[Array, Array] | None = None  # how the camera lay, and beam shift per µm along y and x

    @classmethod
    def connect(cls, host: str = "127.0.0.1", port: int = 48888, **settings: Unpack[Settings]) -> Self:
        """Connect to a running SerialEM from outside, and take control; `settings` are the class's parameters.

        Raises
        ------
        MicroscopeError
            If the module `serialem` is not installed, or SerialEM cannot be reached or is busy; nothing was done.
        """
        return cls(connected_module(host, port), **settings)

    def close(self) -> None:
        """Give control back; SerialEM then restores the camera parameters that were changed."""
        self._sem.run("Exit", 1)  # 1: as an end that raises nothing

    def limits(self) -> StageLimits:
        """Return how far the stage and the shifts can go."""
        return self._limits

    def now(self) -> datetime:
        """Return the time by the clock of SerialEM's computer, in UTC."""
        return self._time(self._sem.ask_one("ReportClock"))

    def wait(self, seconds: float) -> None:
        """Let SerialEM wait."""
        if seconds > 0:
            self._sem.run("Delay", float(seconds), "s")

    # --- stage

    def stage(self) -> StagePosition:
        """Return where the stage is."""
        x_um, y_um, z_um = self._sem.ask(3, "ReportStageXYZ")
        y_A, x_A = self._stage2ours @ (x_um, y_um) * _UM
        return StagePosition(y_A=y_A, x_A=x_A, z_A=z_um * _UM, tilt_deg=self._sem.ask_one("ReportTiltAngle"))

    def tilt_to(self, tilt_deg: float) -> StagePosition:
        """Tilt, and return where the stage is."""
        self._limits.check(tilt_deg=tilt_deg)
        self._sem.run("TiltTo", float(tilt_deg))
        return self.stage()

    def move_stage(
        self, *, y_A: float | None = None, x_A: float | None = None, z_A: float | None = None
    ) -> StagePosition:
        """Move the axes that are given, and return where the stage is."""
        self._limits.check(y_A=y_A, x_A=x_A, z_A=z_A)
        here = self.stage()
        if y_A is None and x_A is None and z_A is None:
            return here
        yx_A = (here.y_A if y_A is None else y_A, here.x_A if x_A is None else x_A)
        xy_um = np.linalg.solve(self._stage2ours, yx_A) / _UM
        height_um = () if z_A is None else (z_A / _UM,)
        self._sem.run("MoveStageTo", *xy_um.tolist(), *height_um)
        return self.stage()

    # --- lenses

    def image_shift_A(self) -> ShiftYX:
        """Return the place (y, x), seen from the optical axis, that lies in the centre of the image."""
        self._go_to("R")
        return _pair(self._ours @ self._sem.ask(2, "ReportSpecimenShift") * _UM)

    def set_image_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        """Bring a place (y, x), seen from the optical axis, into the centre of the image; the beam stays."""
        self._limits.check_shift(yx_A)
        here, beam = np.array(self.image_shift_A()), self.beam_shift_A()
        self._units_of_beam()  # known before anything moves, or refused
        before = np.array(self._sem.ask(2, "ReportBeamShift"))
        step_um = self._ours @ (np.array(yx_A) - here) / _UM
        reply = self._sem.run("ImageShiftByMicrons", *step_um.tolist(), 1.0)  # 1: the usual settling before an image
        if reply and float(reply[0]) != 0:
            raise MoveRefusedError(
                f"SerialEM refused image shift {yx_A} Å: it is beyond its limit; nothing moved.",
                "Move the stage instead, or see SerialEM's property ImageShiftLimit.",
            )
        # The beam went along with the image: by the lens itself, which the beam shift does not show, or by SerialEM,
        # which adds to the beam shift (JEOL, Hitachi). What it added is the beam shift of a centred beam from now on.
        self._centred = self._centred + self._sem.ask(2, "ReportBeamShift") - before
        self._put_beam(beam)
        return self.image_shift_A()

    def beam_shift_A(self) -> ShiftYX:
        """Return the place (y, x), seen from the optical axis, that lies in the centre of the beam."""
        image = np.array(self.image_shift_A())
        off = np.array(self._sem.ask(2, "ReportBeamShift")) - self._centred
        if not np.any(off):  # centred in the image, for which no units are needed
            return _pair(image)
        return _pair(image + np.linalg.solve(self._units_of_beam(), off) * _UM)

    def set_beam_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        """Bring the beam's centre to a place (y, x), seen from the optical axis; the image stays."""
        self._limits.check_shift(yx_A, "beam shift")
        self._put_beam(yx_A)
        return self.beam_shift_A()

    def defocus_A(self) -> float:
        """Return the objective lens's defocus, underfocus positive."""
        self._go_to("R")
        return -self._sem.ask_one("ReportDefocus") * _UM

    def set_defocus_A(self, defocus_A: float) -> float:
        """Set the objective lens's defocus, underfocus positive."""
        if not abs(defocus_A) <= _FOCUS_LIMIT_A:
            raise MoveRefusedError(
                f"SerialEM cannot set {defocus_A:g} Å of defocus: its limit is {_FOCUS_LIMIT_A:g} Å; nothing changed.",
                "Ask for less.",
            )
        self._go_to("R")
        self._sem.run("SetDefocus", -float(defocus_A) / _UM)
        return self.defocus_A()

    def beam_tilt_mrad(self) -> ShiftYX:
        """Return how far the illumination is tilted from its alignment, (y, x) in mrad."""
        zero = np.array(self.beam_tilt_zero())
        return _pair(np.linalg.solve(self._tilt_matrix, np.array(self._sem.ask(2, "ReportBeamTilt")) - zero))

    def set_beam_tilt_mrad(self, yx_mrad: ShiftYX) -> ShiftYX:
        """Tilt the illumination from its alignment."""
        self._limits.check_beam_tilt(yx_mrad)
        zero = np.array(self.beam_tilt_zero())
        self._sem.run("SetBeamTilt", *(zero + self._tilt_matrix @ yx_mrad).tolist())
        return self.beam_tilt_mrad()

    def beam_tilt_zero(self) -> tuple[float, float]:
        """Return SerialEM's beam tilt in the Record area that counts as none."""
        self._go_to("R")
        if self._tilt_zero is None:
            self._tilt_zero = _pair(np.array(self._sem.ask(2, "ReportBeamTilt")))
        return self._tilt_zero

    # --- beam and camera

    def beam_on(self) -> bool:
        """Return whether the column's valves are open."""
        return self._sem.ask_one("ReportColumnOrGunValve") == 1  # -1: neither open nor closed

    def set_beam_on(self, on: bool) -> bool:
        """Open or close the column's valves."""
        self._sem.run("SetColumnOrGunValve", int(on))
        return self.beam_on()

    def expose(self, request: ExposureRequest) -> Movie:
        """Expose once with the parameter set of this purpose; return the sum of the frames as a movie of one.

        Raises
        ------
        BeamLostError
            If the valves are closed before (nothing delivered) or after (what was delivered is not known).
        MicroscopeError, MicroscopeTimeoutError
            If SerialEM fails or does not answer; what was delivered is not known once it was told to expose.
        """
        before = self._ready(request.purpose)
        _, area = _SHOTS[request.purpose]
        if not self._sem.ask_one("ReportCurrentPixelSize", area) > 0:
            raise MicroscopeError("SerialEM has no pixel size; nothing was exposed.", "Calibrate it in SerialEM.")
        seconds = request.exposure_e_A2 / self._rate_in(area)
        self._sem.run("SetExposure", area, seconds)
        if request.frames > 1:
            self._sem.run("SetFrameTime", area, seconds / request.frames)
        image, pixel_A, readback = self._shot(before)
        frames = whole_counts(image)[None]
        return Movie(frames, pixel_A, with_counts(readback, frames))

    def view(self, field_A: float, pixels: int) -> Image:
        """Take a View with the whole camera, by its own exposure time, and cut out and average the field asked for.

        Raises
        ------
        InputError
            If the field or the number of pixels is not above 0; nothing was exposed.
        MicroscopeError
            As for `expose`, and if the View area is smaller than the field: then nothing was exposed.
        """
        if not (field_A > 0 and math.isfinite(field_A) and pixels >= 1):
            raise InputError(f"There is no view of {pixels} pixels of {field_A:g} Å; nothing was exposed.")
        before = self._ready("view")
        columns, rows, _, _, pixel_nm = self._sem.ask(5, "CameraProperties")
        span_A = min(columns, rows) * pixel_nm * _NM
        if not field_A <= span_A:
            raise MicroscopeError(
                f"A View spans {span_A:g} Å, less than the {field_A:g} Å asked for; nothing was exposed.",
                "Give SerialEM's View area a lower magnification, or ask for a smaller field.",
            )
        self._sem.run("SetCameraArea", "V", "F")
        image, pixel_A, readback = self._shot(before)
        mean = averaged(image, pixel_A, field_A, pixels)
        return Image(mean, field_A / pixels, with_counts(readback, mean))

    def _ready(self, purpose: Purpose) -> Readback:
        """Return what is so before an exposure, with the microscope in its area; nothing is exposed."""
        self._require_beam()
        stage, defocus_A = self.stage(), self.defocus_A()
        image_shift, beam_shift = self.image_shift_A(), self.beam_shift_A()
        self._go_to(_SHOTS[purpose][1])
        (cos, _), (sin, _) = self._camera()
        axis_deg = math.degrees(math.atan2(sin, cos)) - 90 + 180 * self._turned  # SerialEM's is from the x axis
        return Readback(
            purpose=purpose,
            stage=stage,
            axis_deg=(axis_deg + 180) % 360 - 180,
            image_shift_yx_A=image_shift,
            beam_shift_yx_A=beam_shift,
            defocus_A=defocus_A,
            exposure_e_A2=0.0,
            dose_rate_e_px_s=0.0,
            began=self.now(),
            seconds=0.0,
        )

    def _shot(self, before: Readback) -> tuple[NDArray[Any], float, Readback]:
        """Expose; return the image, row 0 at the bottom, its pixel size, and the readback still without counts.

        From the command on, every error leaves it unknown what the specimen received.
        """
        command, area = _SHOTS[before.purpose]
        began = self.now()
        try:
            self._sem.run(command, delivered=None)
        except MicroscopeTimeoutError:
            raise
        except MicroscopeError as error:
            self._require_beam(None, error)
            raise
        self._require_beam(None)
        properties = self._sem.ask(5, "ImageProperties", "A", delivered=None)
        binning, seconds, pixel_A = properties[2], properties[3], properties[4] * _NM
        if not (binning > 0 and seconds > 0 and pixel_A > 0):
            raise MicroscopeError(
                f"SerialEM says of its image {properties}: without binning, time or pixel size.",
                "See what is in its buffer A; what was exposed is not known.",
                delivered_e_A2=None,
            )
        rate = self._rate_in(area)
        try:
            seen = self._sem.ask(5, "ElectronStats", "A", delivered=None)[4]
        except MicroscopeError as error:
            if not self._sem.refused(error):
                raise
            seen = rate * (pixel_A / binning) ** 2  # no CountsPerElectron: as if no electron were scattered away
        told = {"exposure_e_A2": rate * seconds, "dose_rate_e_px_s": max(0.0, seen), "began": began, "seconds": seconds}
        return buffer_image(self._sem), pixel_A, before.replace(**told)

    def _require_beam(self, delivered: float | None = 0.0, cause: Exception | None = None) -> None:
        if self._sem.ask_one("ReportColumnOrGunValve", delivered=delivered) != 1:
            fate = "nothing was exposed" if delivered == 0 else "how much was exposed before is not known"
            raise BeamLostError(
                f"The column valves are not open; {fate}.",
                "Open them, and see why they closed.",
                delivered_e_A2=delivered,
            ) from cause

    # --- SerialEM's frames

    def _camera(self) -> Array:
        """Return the matrix from SerialEM's specimen (µm) to the camera's pixels, at the magnification of now."""
        return self._sem.matrix("SpecimenToCameraMatrix")

    def _units_of_beam(self) -> Array:
        """Return SerialEM's beam shift for a µm along y (first column) and along x, measured where it is not known."""
        camera = self._camera()
        if self._beam_units is not None and np.allclose(self._beam_units[0], camera, rtol=1e-4, atol=0.0):
            return self._beam_units[1]
        steps = camera / math.sqrt(abs(np.linalg.det(camera))) @ self._ours * _BEAM_STEP_UM  # along the camera's X, Y
        start = self._sem.ask(2, "ReportBeamShift")
        places = [np.array(start)]
        try:
            for step in steps.T:
                self._sem.run("MoveBeamByMicrons", *step.tolist())
                places.append(np.array(self._sem.ask(2, "ReportBeamShift")))
        finally:
            self._sem.run("SetBeamShift", *start)
        units = np.diff(places, axis=0).T / _BEAM_STEP_UM
        refuse_singular(units, "beam shift")
        self._beam_units = (camera, units)
        return units

    def _put_beam(self, yx_A: ShiftYX) -> None:
        from_image_um = (np.array(yx_A) - self.image_shift_A()) / _UM
        self._sem.run("SetBeamShift", *(self._centred + self._units_of_beam() @ from_image_um).tolist())

    def _go_to(self, area: str) -> None:
        """Bring the lenses to a low-dose area, if low dose is on and they are in another."""
        area = "R" if area == "L" else area  # Preview looks at the Record area
        low_dose, now_in = self._sem.ask(2, "ReportLowDose")
        if low_dose and now_in != _AREAS.index(area):
            self._sem.run("GoToLowDoseArea", area)

    def _rate_in(self, area: str) -> float:
        return self._view_rate if area in "VS" else self._rate

    def _time(self, seconds: float) -> datetime:
        self._latest = max(self._latest, self._began + timedelta(seconds=seconds))
        return self._latest

    def _narrowed(self, limits: StageLimits) -> StageLimits:
        tilt_deg, shift_um = (
            self._sem.ask_one("ReportProperty", name) for name in ("MaximumTiltAngle", "ImageShiftLimit")
        )
        low, high = limits.tilt_deg
        return limits.replace(
            tilt_deg=(max(low, -tilt_deg), min(high, tilt_deg)), shift_A=min(limits.shift_A, shift_um * _UM)
        )


def _pair(values: Array) -> ShiftYX:
    return float(values[0]), float(values[1])
