"""A module `serialem` of the commands that the driver uses: their names, argument types, units and state.

Its geometry is written from SerialEM's own coordinates, apart from the driver's: specimen (µm, X along the tilt axis),
camera (y upward), beam shift in units of the microscope.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

COMMANDS = {
    # Arguments as in SerialEM's master list of commands (MacroMasterList.h): D, S and I are a number, a string and a
    # whole number, small letters optional ones.
    "CameraProperties": "ii",
    "Delay": "Ds",
    "ElectronStats": "s",
    "Exit": "ds",
    "Focus": "",
    "GoToLowDoseArea": "S",
    "ImageProperties": "s",
    "ImageShiftByMicrons": "DDdi",
    "MoveBeamByMicrons": "DD",
    "MoveStageTo": "DDd",
    "NoMessageBoxOnError": "i",
    "Record": "",
    "ReportBeamShift": "",
    "ReportBeamTilt": "",
    "ReportClock": "",
    "ReportColumnOrGunValve": "",
    "ReportCurrentPixelSize": "S",
    "ReportDefocus": "",
    "ReportLowDose": "",
    "ReportProperty": "S",
    "ReportSpecimenShift": "",
    "ReportStageXYZ": "",
    "ReportTiltAngle": "",
    "ResetClock": "",
    "Search": "",
    "SetBeamShift": "DD",
    "SetBeamTilt": "DD",
    "SetCameraArea": "SSiii",
    "SetColumnOrGunValve": "I",
    "SetDefocus": "D",
    "SetExposure": "SDd",
    "SetFrameTime": "SD",
    "SpecimenToCameraMatrix": "I",
    "StageToSpecimenMatrix": "I",
    "TiltTo": "Didd",
    "Trial": "",
    "View": "",
}
KINDS: dict[str, tuple[type, ...]] = {"D": (int, float), "S": (str,), "I": (int,)}
AREAS = "VFTRS"
CAMERA = (96, 64)  # pixels in X and Y


class SEMerror(Exception):  # noqa: N818 - SerialEM's name
    """A command failed."""


class SEMmoduleError(Exception):
    """The module itself failed."""


class SEMexited(Exception):  # noqa: N818 - SerialEM's name
    """The script was ended, from here or by the user's STOP."""


class FakeSerialEM:
    """SerialEM and its microscope; `rotation_deg` is the tilt axis in the camera, counter-clockwise from its X."""

    SEMerror, SEMmoduleError, SEMexited = SEMerror, SEMmoduleError, SEMexited

    def __init__(self, rotation_deg: float = 83.0, *, adds_to_beam_shift: bool = False, low_dose: bool = True) -> None:
        self.rotation_deg, self.adds_to_beam_shift, self.low_dose = rotation_deg, adds_to_beam_shift, low_dose
        self.area = "R"
        self.properties = {
            "MaximumTiltAngle": 69.9,
            "ImageShiftLimit": 15.0,
            "RotateHeaderAngleBy180": -1.0,
            "InvertStageXAxis": 0.0,
        }
        self.pixel_nm = {"R": 0.15, "F": 0.15, "T": 0.15, "V": 100.0, "S": 200.0}
        self.stage_um, self.tilt_deg = np.zeros(3), 0.0
        self.stage2specimen = np.array([[-1.0, 0.03], [0.02, -1.0]])  # 180 degrees, and an axis a little off
        self.image_um, self.defocus_um, self.view_offset_um = np.zeros(2), -3.0, -200.0
        self.beam_units = np.array([[0.8, -0.5], [0.4, 0.9]])  # beam shift per µm along the camera's X and Y
        self.beam_shift = np.array([0.7, -1.1])
        self.beam_zero = self.beam_shift.copy()
        self.beam_tilt = np.array([0.2, 0.1])
        self.valve, self.clock_s, self.zero_s = 1.0, 1000.0, 0.0
        self.exposure_s = {"R": 1.0, "F": 0.4, "T": 0.3, "V": 0.5, "S": 0.5}
        self.frame_s: dict[str, float] = {}
        self.camera_step_s, self.binning = 0.01, 1.0
        self.counts_per_electron, self.electrons_px_s = 16.0, 12.0
        self.shots: list[tuple[str, float]] = []
        self.image: Any = None
        self.image_area = ""
        self.next_image: Callable[[int], Any] = lambda number: (
            np.random.default_rng(number).poisson(20.0, CAMERA[::-1]).astype(np.uint16)
        )
        self.log: list[tuple[Any, ...]] = []
        self.failing: dict[str, list[Exception]] = {}
        self.instead: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in COMMANDS:
            raise AttributeError(f"SerialEM has no command {name} that the driver is known to use")

        def command(*given: Any) -> Any:
            keys = COMMANDS[name]
            assert sum(key.isupper() for key in keys) <= len(given) <= len(keys), (name, given)
            for key, value in zip(keys, given, strict=False):
                assert isinstance(value, KINDS[key.upper()]), (name, given)
                assert not isinstance(value, bool)
            self.log.append((name, *given))
            self.clock_s += 0.001
            if self.failing.get(name):
                raise self.failing[name].pop(0)
            if name in self.instead:
                return self.instead[name]
            return getattr(self, f"do_{name}")(*given)

        return command

    # --- what is true of the microscope, for tests to look at

    def camera_from_specimen(self) -> NDArray[Any]:
        angle = math.radians(self.rotation_deg)
        return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def beam_um(self) -> NDArray[Any]:
        """Return where the beam is, in specimen coordinates from the optical axis."""
        moved = np.linalg.solve(self.beam_units, self.beam_shift - self.beam_zero)
        deflected = self.camera_from_specimen().T @ moved
        return deflected if self.adds_to_beam_shift else deflected + self.image_um

    def exposed_s(self) -> float:
        return sum(seconds for _, seconds in self.shots)

    # --- commands, as they are in SerialEM: several values come as a tuple, one alone as it is, and none as None

    def do_NoMessageBoxOnError(self, on: int = 1) -> None: ...

    def do_Exit(self, code: float = 0, text: str = "") -> None:
        if not code:
            raise SEMexited("Normal exit")

    def do_ResetClock(self) -> None:
        self.zero_s = self.clock_s

    def do_ReportClock(self) -> float:
        return self.clock_s - self.zero_s

    def do_Delay(self, time: float, unit: str = "") -> None:
        assert unit == "s"
        self.clock_s += time

    def do_ReportProperty(self, name: str) -> float:
        if name not in self.properties:
            raise SEMerror(f"{name} is not a recognized property")
        return self.properties[name]

    def do_ReportStageXYZ(self) -> tuple[float, ...]:
        return tuple(self.stage_um.tolist())

    def do_ReportTiltAngle(self) -> float:
        return self.tilt_deg

    def do_TiltTo(self, angle: float, restore: int = 0, x: float = 0.0, y: float = 0.0) -> None:
        if abs(angle) > self.properties["MaximumTiltAngle"] + 0.05:
            raise SEMerror(f"Attempt to tilt too high in script, to {angle:.1f} degrees, in line:")
        self.clock_s += abs(angle - self.tilt_deg)
        self.tilt_deg = angle

    def do_MoveStageTo(self, x: float, y: float, *z: float) -> None:
        self.stage_um[:2] = x, y
        if z:
            self.stage_um[2] = z[0]

    def do_StageToSpecimenMatrix(self, mag: int) -> tuple[float, ...]:
        return tuple(self.stage2specimen.ravel().tolist())

    def do_SpecimenToCameraMatrix(self, mag: int) -> tuple[float, ...]:
        assert mag == 0
        return tuple((self.camera_from_specimen() * 1000 / self.pixel_nm[self.area]).ravel().tolist())

    def do_ReportLowDose(self) -> tuple[float, float]:
        return float(self.low_dose), float(AREAS.index(self.area)) if self.low_dose else -1.0

    def do_GoToLowDoseArea(self, area: str) -> None:
        assert self.low_dose
        self.area = area

    def do_ReportSpecimenShift(self) -> tuple[float, ...]:
        return tuple(self.image_um.tolist())

    def do_ImageShiftByMicrons(self, x: float, y: float, settle: float = 0.0, adjust: int = 0) -> float:
        wanted_um = self.image_um + np.array([x, y])
        if math.hypot(*wanted_um) > self.properties["ImageShiftLimit"]:
            return 1.0
        self.image_um = wanted_um
        if self.adds_to_beam_shift:  # JEOL: the program keeps the beam in the image
            self.beam_shift = self.beam_shift + self.beam_units @ self.camera_from_specimen() @ (x, y)
        return 0.0

    def do_ReportBeamShift(self) -> tuple[float, ...]:
        return tuple(self.beam_shift.tolist())

    def do_SetBeamShift(self, x: float, y: float) -> None:
        self.beam_shift = np.array([x, y])

    def do_MoveBeamByMicrons(self, x: float, y: float) -> None:
        self.beam_shift = self.beam_shift + self.beam_units @ (x, y)

    def do_ReportBeamTilt(self) -> tuple[float, ...]:
        return tuple(self.beam_tilt.tolist())

    def do_SetBeamTilt(self, x: float, y: float) -> None:
        self.beam_tilt = np.array([x, y])

    def do_ReportDefocus(self) -> float:
        return self.defocus_um + (self.view_offset_um if self.area == "V" else 0.0)

    def do_SetDefocus(self, um: float) -> None:
        self.defocus_um = um - (self.view_offset_um if self.area == "V" else 0.0)

    def do_ReportColumnOrGunValve(self) -> float:
        return self.valve

    def do_SetColumnOrGunValve(self, opened: int) -> None:
        self.valve = float(opened)

    def do_CameraProperties(self, camera: int = 1, mag: int = 0) -> tuple[float, ...]:
        return float(CAMERA[0]), float(CAMERA[1]), 0.0, 5.0, self.pixel_nm[self.area], 1.0

    def do_SetCameraArea(self, area: str, size: str, *more: int) -> None:
        assert size in ("F", "H", "Q", "WH", "WQ") or len(more) == 3

    def do_ReportCurrentPixelSize(self, area: str) -> float:
        return self.pixel_nm[area] * self.binning

    def do_SetExposure(self, area: str, seconds: float, drift: float = 0.0) -> None:
        assert area in AREAS
        assert seconds > 0
        self.exposure_s[area] = seconds

    def do_SetFrameTime(self, area: str, seconds: float) -> float:
        self.frame_s[area] = seconds
        return seconds

    def expose(self, area: str) -> None:
        if self.low_dose:
            self.area = area
        steps = max(1, round(self.exposure_s[area] / self.camera_step_s))
        self.clock_s += 2.0 + steps * self.camera_step_s
        self.shots.append((area, steps * self.camera_step_s))
        shown = self.next_image(len(self.shots))
        if self.image is not None and (self.image.shape, self.image.dtype) == (shown.shape, shown.dtype):
            self.image[:] = shown  # the same memory again, as a module may well have it
        else:
            self.image = shown.copy()
        self.image_area = area

    def do_View(self) -> None:
        self.expose("V")

    def do_Focus(self) -> None:
        self.expose("F")

    def do_Trial(self) -> None:
        self.expose("T")

    def do_Record(self) -> None:
        self.expose("R")

    def do_Search(self) -> None:
        self.expose("S")

    def do_ImageProperties(self, buffer: str = "A") -> tuple[float, ...]:
        rows, columns = self.image.shape
        pixel_nm = self.pixel_nm[self.image_area] * self.binning
        return (
            float(columns),
            float(rows),
            self.binning,
            self.shots[-1][1],
            pixel_nm,
            float("VFTR S".index(self.image_area)),
        )

    def do_ElectronStats(self, buffer: str = "A") -> tuple[float, ...]:
        if not self.counts_per_electron:
            raise SEMerror("Camera does not have a CountsPerElectron property for:")
        return 0.0, 2.0, 1.0, 0.5, self.electrons_px_s

    def bufferImage(self, buffer: str) -> memoryview:
        """Return something with the buffer protocol, as SerialEM does, row 0 at the top."""
        assert buffer == "A"
        self.log.append(("bufferImage", buffer))
        if self.failing.get("bufferImage"):
            raise self.failing["bufferImage"].pop(0)
        return memoryview(self.image)

    def SetBufferImageTimeout(self, seconds: float) -> None:
        self.log.append(("SetBufferImageTimeout", seconds))

    def ConnectToSEM(self, port: int = 48888, ip: str = "127.0.0.1") -> None:
        assert isinstance(port, int)
        assert isinstance(ip, str)
        self.log.append(("ConnectToSEM", port, ip))
        if self.failing.get("ConnectToSEM"):
            raise self.failing["ConnectToSEM"].pop(0)
