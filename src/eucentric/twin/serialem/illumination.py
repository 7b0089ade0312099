"""Commands of what the twin has one of, or one setting of: told as it is, and refused where a script wants another."""

from eucentric.twin.serialem.bench import Bench, set_letter
from eucentric.twin.serialem.errors import NotSimulatedError, SEMerror
from eucentric.twin.serialem.geometry import UM
from eucentric.twin.serialem.registry import command
from eucentric.twin.serialem.setting_up import AREA_OF, INTENSITY_PERCENT, SLIT_EV, SPOT

_TITAN = 0.01  # ReportIlluminatedArea's unit is a hundred micrometres
_PROBES = ("nano", "micro")
_COUNTING = 1  # of a K2, as ReportReadMode tells it
_NORMALIZE_S = 2.0  # of time that normalizing takes: chosen


class IlluminationCommands:
    """Beam, energy filter, camera and vacuum."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def _only(self, name: str, asked: float | str, has: float | str) -> None:
        if asked != has and not (
            isinstance(asked, float | int) and isinstance(has, float | int) and abs(asked - has) < 1e-3 * abs(has)
        ):
            raise NotSimulatedError(f"{name} {asked}: the twin has {has} only")

    # --- beam

    @command("ReportSpotSize")
    def spot(self) -> float:
        """Return the spot size."""
        return float(SPOT)

    @command("SetSpotSize")
    def set_spot(self, to: int) -> None:
        """Leave the spot size; the twin has one."""
        self._only("SetSpotSize", to, SPOT)

    @command("ReportPercentC2")
    def intensity(self) -> tuple[float, float]:
        """Return the illumination, per cent and in SerialEM's units; it does not change."""
        return INTENSITY_PERCENT, INTENSITY_PERCENT / 100

    @command("SetPercentC2")
    def set_intensity(self, to: float) -> None:
        """Leave the illumination; the twin has one."""
        self._only("SetPercentC2", to, INTENSITY_PERCENT)

    @command("ReportIlluminatedArea")
    def illuminated(self) -> float:
        """Return the beam's diameter on the specimen in hundreds of µm."""
        return 2 * self._bench.twin.beam_radius_A / UM * _TITAN

    @command("SetIlluminatedArea")
    def set_illuminated(self, to: float) -> None:
        """Leave the beam's diameter; the twin has one."""
        self._only("SetIlluminatedArea", to, self.illuminated())

    @command("ReportProbeMode")
    def probe(self) -> float:
        """Return that the beam is in microprobe mode."""
        return float(_PROBES.index("micro"))

    @command("SetProbeMode")
    def set_probe(self, mode: str) -> None:
        """Leave the probe mode; the twin has one."""
        word = mode.strip().lower()
        self._only("SetProbeMode", _PROBES[int(word)] if word in ("0", "1") else word, "micro")

    @command("SetBeamBlank")
    def blank(self, on: int) -> None:
        """Leave it to the camera to blank the beam, as it does between all images here."""
        return

    @command("NormalizeLenses", "NormalizeAllLenses")
    def normalize(self, which: int = 0) -> None:
        """Normalize lenses, which have no hysteresis here; it takes its time."""
        self._bench.wait(_NORMALIZE_S)

    @command("ReportHighVoltage")
    def voltage(self) -> float:
        """Return the high tension in kV."""
        return self._bench.twin.lens.voltage_kV

    # --- magnification

    @command("ReportMagIndex")
    def mag_index(self) -> tuple[float, float]:
        """Return the index of the magnification, and that it is not a low one."""
        return float(self._bench.mag_index(self._bench.area)), 0.0

    @command("SetMagIndex")
    def set_mag_index(self, to: int) -> None:
        """Leave the magnification; the twin has one in each area."""
        self._only(f"SetMagIndex in area {self._bench.area}:", to, self._bench.mag_index(self._bench.area))

    @command("ReportMaxImageShift")
    def farthest(self, mag_index: int) -> tuple[float, float]:
        """Return how far SerialEM shifts the image (µm)."""
        self._bench.area_at(mag_index)
        return self._bench.settings.properties["imageshiftlimit"], 0.0

    @command("ReportLDShiftOffset")
    def shift_offset(self, which: int) -> tuple[float, float]:
        """Return the shift of View or Search against Record, which have none."""
        return 0.0, 0.0

    @command("SetLowDoseShiftOffset")
    def set_shift_offset(self, which: int, x: float, y: float) -> None:
        """Leave the shift of View or Search against Record."""
        if x or y:
            raise NotSimulatedError("SetLowDoseShiftOffset: View and Search of the twin have no shift against Record")

    # --- energy filter

    @command("ReportEnergyFilter")
    def energy_filter(self) -> tuple[float, float, float]:
        """Return the slit's width and energy loss (eV), and whether it is in."""
        return SLIT_EV, 0.0, float(self._bench.twin.effects.energy_filter)

    @command("SetSlitIn")
    def set_slit(self, inside: int = 1) -> None:
        """Leave the slit as the twin has it."""
        self._only("SetSlitIn", int(bool(inside)), int(self._bench.twin.effects.energy_filter))

    @command("SetSlitWidth")
    def set_width(self, to: float) -> None:
        """Leave the slit's width; the twin has one."""
        self._only("SetSlitWidth", to, SLIT_EV)

    @command("SetEnergyLoss")
    def set_loss(self, to: float) -> None:
        """Leave the energy loss at 0."""
        self._only("SetEnergyLoss", to, 0.0)

    # --- camera

    @command("SelectCamera")
    def select_camera(self, number: int) -> None:
        """Use the camera, the only one."""
        self._only("SelectCamera", number, 1)

    @command("ReportCameraName")
    def camera_name(self, number: int) -> str:
        """Return the camera's name; NOCAM for another number."""
        return "Twin" if number <= 1 else "NOCAM"

    @command("ReportCameraInserted")
    def is_inserted(self, number: int) -> float:
        """Return that the camera is inserted."""
        self._only("ReportCameraInserted", max(number, 1), 1)
        return 1.0

    @command("ReportReadMode")
    def read_mode(self, name: str) -> float:
        """Return that the camera counts."""
        set_letter(name)
        return float(_COUNTING)

    @command("SetK2ReadMode")
    def set_read_mode(self, name: str, mode: int) -> None:
        """Leave the camera counting."""
        set_letter(name)
        self._only("SetK2ReadMode", mode, _COUNTING)

    @command("SetProcessing")
    def set_processing(self, name: str, how: int) -> None:
        """Leave images corrected for the gain (2)."""
        set_letter(name)
        self._only("SetProcessing", how, 2)

    @command("SetContinuous")
    def set_continuous(self, name: str, on: int) -> None:
        """Leave the camera taking one image at a time."""
        set_letter(name)
        self._only("SetContinuous", int(bool(on)), 0)

    @command("ReportCameraSetArea")
    def camera_area(self, name: str) -> tuple[float, ...]:
        """Return an image's size (binned), and where its left, right, top and bottom lie on the camera (unbinned)."""
        chosen = self._bench.now_sets[set_letter(name)]
        columns, rows = self._bench.camera_xy()
        wide, high = (
            min(size, full // chosen.binning)
            for size, full in zip(chosen.size_xy or (columns, rows), (columns, rows), strict=True)
        )
        left, top = (columns - wide * chosen.binning) // 2, (rows - high * chosen.binning) // 2
        edges = (left, left + wide * chosen.binning, top, top + high * chosen.binning)
        return float(wide), float(high), *(float(edge) for edge in edges)

    @command("KeepCameraSetChanges")
    def keep_changes(self, name: str = "") -> None:
        """Keep the camera sets as they are now: RestoreCameraSet gives them so."""
        for letter in [set_letter(name)] if name else list(AREA_OF):
            self._bench.sets[letter] = self._bench.now_sets[letter]

    @command("ReportNumFramesSaved")
    def frames_saved(self) -> float:
        """Return how many frames the last movie has."""
        return float(self._bench.last_frames)

    # --- the rest

    @command("ReportVacuumStatus")
    def vacuum(self) -> float:
        """Return that the vacuum is ready."""
        return 0.0

    @command("ManageDewarsAndPumps")
    def manage(self, which: int = 0) -> None:
        """Look after dewars and pumps, which need nothing here."""
        return

    @command("ReportSlotStatus")
    def slot(self, number: int) -> float:
        """Return -1: this microscope has no loader to ask."""
        return -1.0

    @command("GoToImagingState")
    def go_to_state(self, name: str) -> float:
        """Return 1, for there is no imaging state of this name, and say so in the log."""
        self._bench.log.add(f"There is no imaging state {name}: none is set up")
        return 1.0

    @command("ImagingStateProperties")
    def state(self, name: str) -> float:
        """Return 1, for there is no imaging state of this name."""
        return 1.0

    @command("RestoreState")
    def restore_state(self, must: int = 0) -> None:
        """Restore a state that was left for another, as none is here: fail if one must be."""
        if must:
            raise SEMerror("RestoreState: there is no saved state to go back to")
