"""Commands of the lenses: image shift, focus, beam, magnification and low-dose areas; valves."""

import numpy as np

from eucentric.twin.serialem.bench import Bench, area_letter
from eucentric.twin.serialem.errors import NotSimulatedError, SEMerror
from eucentric.twin.serialem.geometry import UM, Array, ours_A
from eucentric.twin.serialem.placing import stage_um, tilted
from eucentric.twin.serialem.registry import command
from eucentric.twin.serialem.setting_up import AREA_ORDER

_SETTLE_S = 0.3  # of image shift, where a script asks for the usual settling: chosen


class LensCommands:
    """Shifts in image shift units, µm on the specimen or camera pixels; focus in µm, underfocus negative."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._beam_zero: tuple[float, float] | None = None
        self._saved_focus: float | None = None

    # --- image shift

    def _shift_to(self, specimen: Array, settle: float | None, adjust: int) -> float:
        """Shift the image if SerialEM would; return 0 if it did and 1 if it is too far.

        `adjust` asks for beam tilt against the coma that this change of image shift brings.
        """
        bench = self._bench
        if not bench.can_shift_to(specimen):
            return 1.0
        before = np.array(bench.scope.image_shift_A())
        bench.set_specimen_um(specimen)
        if adjust:
            if self._beam_zero is None:
                self.save_beam_tilt()
            change_um = (np.array(bench.scope.image_shift_A()) - before) / UM
            y, x = (bench.scope.beam_tilt_mrad() - bench.twin.settings.coma_mrad_per_um * change_um).tolist()
            bench.scope.set_beam_tilt_mrad((y, x))
        if settle:
            bench.wait(settle * _SETTLE_S)
        return 0.0

    @command("SetImageShift")
    def set_shift(self, x: float, y: float, settle: float | None = None, adjust: int = 0) -> float:
        """Set the image shift, in its units."""
        return self._shift_to(self._bench.geometry.is2specimen @ (x, y), settle, adjust)

    @command("ImageShiftByUnits")
    def shift_by_units(self, x: float, y: float, settle: float | None = None, adjust: int = 0) -> float:
        """Change the image shift, in its units."""
        return self._shift_to(self._bench.specimen_um() + self._bench.geometry.is2specimen @ (x, y), settle, adjust)

    @command("ImageShiftByMicrons")
    def shift_by_um(self, x: float, y: float, settle: float | None = None, adjust: int = 0) -> float:
        """Change the image shift, in specimen coordinates."""
        return self._shift_to(self._bench.specimen_um() + np.array([x, y]), settle, adjust)

    @command("ImageShiftByPixels")
    def shift_by_pixels(self, x: float, y: float, settle: float | None = None, adjust: int = 0) -> float:
        """Change the image shift, in unbinned pixels of the camera."""
        return self._shift_to(
            self._bench.specimen_um() + np.linalg.solve(self._bench.camera_matrix(), (x, y)), settle, adjust
        )

    @command("ImageShiftByStageDiff")
    def shift_by_stage(self, x_um: float, y_um: float, settle: float | None = None, adjust: int = 0) -> float:
        """Change the image shift by what a move of the stage would do."""
        tilt = tilted(self._bench.scope.stage().tilt_deg)
        seen = tilt @ self._bench.geometry.stage2specimen @ (x_um, y_um)
        return self._shift_to(self._bench.specimen_um() + seen, settle, adjust)

    @command("ReportImageShift")
    def shift(self) -> tuple[float, ...]:
        """Return the image shift in its units, in pixels, and as the stage would have to move."""
        specimen, geometry = self._bench.specimen_um(), self._bench.geometry
        units = np.linalg.solve(geometry.is2specimen, specimen)
        stage = stage_um(self._bench, specimen, self._bench.scope.stage().tilt_deg)
        return (*units.tolist(), *(self._bench.camera_matrix() @ specimen).tolist(), *stage.tolist())

    @command("ReportSpecimenShift")
    def specimen_shift(self) -> tuple[float, float]:
        """Return the image shift in specimen coordinates."""
        x, y = self._bench.specimen_um().tolist()
        return x, y

    @command("ResetImageShift")
    def reset_shift(self, *_: float) -> None:
        """Move the stage to what the image shift shows, and set that to 0."""
        bench = self._bench
        here = bench.scope.stage()
        y_A, x_A = ours_A(np.asarray(np.linalg.solve(tilted(here.tilt_deg), bench.specimen_um()), dtype=float))
        bench.scope.move_stage(y_A=here.y_A + y_A, x_A=here.x_A + x_A)
        bench.set_specimen_um(np.zeros(2))

    # --- focus

    @command("SetDefocus")
    def set_focus(self, to_um: float) -> None:
        """Set the focus."""
        self._bench.set_focus_um(to_um)

    @command("ChangeFocus")
    def change_focus(self, by_um: float) -> None:
        """Change the focus."""
        self._bench.set_focus_um(self._bench.focus_um() + by_um)

    @command("ReportDefocus")
    def focus(self) -> float:
        """Return the focus."""
        return self._bench.focus_um()

    @command("SetTargetDefocus")
    def set_target(self, to_um: float) -> None:
        """Set what autofocus is to reach."""
        self._bench.target_defocus_um = to_um

    @command("ReportTargetDefocus")
    def target(self) -> float:
        """Return what autofocus is to reach."""
        return self._bench.target_defocus_um or 0.0

    @command("IncTargetDefocus")
    def change_target(self, by_um: float) -> None:
        """Change what autofocus is to reach."""
        self._bench.target_defocus_um = self.target() + by_um

    @command("ResetDefocus")
    def reset_focus(self) -> None:
        """Call the focus that is now 0."""
        self._bench.focus_zero_um += self._bench.focus_um()

    @command("ReportAbsoluteFocus", "ReportFocus")
    def absolute(self) -> float:
        """Return the lens's focus from where it was calibrated, in µm here, whatever the readout calls 0."""
        return self._bench.focus_um() + self._bench.focus_zero_um

    @command("SetAbsoluteFocus", "SetStandardFocus")
    def set_absolute(self, to_um: float) -> None:
        """Set the lens's focus from where it was calibrated."""
        self._bench.set_focus_um(to_um - self._bench.focus_zero_um)

    @command("SaveFocus")
    def save_focus(self) -> None:
        """Remember the focus."""
        self._saved_focus = self.absolute()

    @command("RestoreFocus")
    def restore_focus(self) -> None:
        """Set the focus that was remembered."""
        if self._saved_focus is None:
            raise SEMerror("RestoreFocus: no focus was saved")
        self.set_absolute(self._saved_focus)
        self._saved_focus = None

    @command("ReportAutofocusOffset")
    def autofocus_offset(self) -> float:
        """Return that autofocus works without a defocus of its own."""
        return 0.0

    # --- beam

    @command("ReportBeamShift")
    def beam_shift(self) -> tuple[float, float]:
        """Return the beam shift; its units are µm here, its axes the specimen's."""
        x, y = self._bench.beam_um.tolist()
        return x, y

    @command("SetBeamShift")
    def set_beam_shift(self, x: float, y: float) -> None:
        """Set the beam shift."""
        self._bench.beam_um = np.array([x, y])
        self._bench.put_beam()

    @command("MoveBeamByMicrons")
    def move_beam(self, x: float, y: float) -> None:
        """Move the beam, along the camera's axes."""
        turned = np.linalg.solve(self._bench.camera_matrix() * self._bench.pixel_A() / UM, (x, y))
        self._bench.beam_um = self._bench.beam_um + turned
        self._bench.put_beam()

    @command("ReportBeamTilt")
    def beam_tilt(self) -> tuple[float, float]:
        """Return the beam tilt in mrad, X along the tilt axis."""
        y, x = self._bench.scope.beam_tilt_mrad()
        return y, -x

    @command("SetBeamTilt")
    def set_beam_tilt(self, x: float, y: float) -> None:
        """Set the beam tilt."""
        self._bench.scope.set_beam_tilt_mrad((x, -y))

    @command("SaveBeamTilt")
    def save_beam_tilt(self) -> None:
        """Remember the beam tilt."""
        self._beam_zero = self._bench.scope.beam_tilt_mrad()

    @command("AdjustBeamTiltforIS")
    def correct_coma(self) -> None:
        """Tilt the beam against the coma that the image shift brings."""
        if self._beam_zero is None:
            self.save_beam_tilt()
        y, x = self._beam_zero or (0.0, 0.0)
        coma = self._bench.twin.settings.coma_mrad_per_um
        shift = self._bench.scope.image_shift_A()
        self._bench.scope.set_beam_tilt_mrad((y - coma * shift[0] / UM, x - coma * shift[1] / UM))

    @command("RestoreBeamTilt")
    def restore_beam_tilt(self) -> None:
        """Tilt the beam as it was before it was corrected."""
        if self._beam_zero is not None:
            self._bench.scope.set_beam_tilt_mrad(self._beam_zero)
            self._beam_zero = None

    @command("ReportComaVsISmatrix")
    def coma_matrix(self) -> tuple[float, ...]:
        """Return beam tilt over image shift, as calibrated: X from X and Y, Y from X and Y."""
        matrix = -self._bench.twin.settings.coma_mrad_per_um * self._bench.geometry.is2specimen
        return tuple(matrix.ravel().tolist())

    @command("ReportColumnOrGunValve")
    def valve(self) -> float:
        """Return whether the valves are open."""
        return float(self._bench.scope.beam_on())

    @command("SetColumnOrGunValve")
    def set_valve(self, opened: int, *_: float) -> None:
        """Open or close the valves."""
        self._bench.scope.set_beam_on(bool(opened))

    # --- magnification and low dose

    @command("ReportMag")
    def magnification(self) -> tuple[float, float, float]:
        """Return the magnification, and whether it is low or of an energy filter."""
        return float(self._bench.now_area().magnification), 0.0, 1.0

    @command("SetMag")
    def set_magnification(self, to: float, *_: float) -> None:
        """Change the magnification; the twin has one in each area."""
        if round(to) != self._bench.now_area().magnification:
            raise NotSimulatedError(
                f"SetMag: the twin's {self._bench.area} area has magnification {self._bench.now_area().magnification} "
                "only"
            )

    @command("GoToLowDoseArea")
    def go_to(self, area: str) -> None:
        """Bring the lenses to an area."""
        self._bench.go_to(area_letter(area))

    @command("ReportLowDose")
    def low_dose(self) -> tuple[float, float]:
        """Return that low dose is on, and the number of the area."""
        return 1.0, float(AREA_ORDER.index(self._bench.area))

    @command("SetLowDoseMode")
    def set_low_dose(self, on: int, *_: float) -> float:
        """Leave low dose on; without it nothing is simulated."""
        if not on:
            raise NotSimulatedError("SetLowDoseMode 0: the twin is in low dose always")
        return 1.0

    @command("ReportLDDefocusOffset")
    def defocus_offset(self, area: str) -> float:
        """Return an area's defocus offset."""
        return self._bench.areas[area_letter(area)].defocus_offset_um

    @command("SetLDDefocusOffset")
    def set_defocus_offset(self, area: str, to_um: float, *_: float) -> None:
        """Set an area's defocus offset."""
        letter = area_letter(area)
        if letter == self._bench.area:
            raise SEMerror("SetLDDefocusOffset: go to another low-dose area first")
        self._bench.areas[letter] = self._bench.areas[letter].replace(defocus_offset_um=to_um)

    @command("ReportAxisPosition")
    def axis_position(self, area: str) -> tuple[float, ...]:
        """Return where Focus or Trial lies along the axis (µm), its rotation, and where its part of the camera does."""
        letter = area_letter(area)
        if letter not in ("F", "T"):
            raise SEMerror("ReportAxisPosition needs F or T")
        return self._bench.areas[letter].axis_um, 0.0, 0.0, 0.0

    @command("SetAxisPosition")
    def set_axis_position(self, area: str, to_um: float, *_: float) -> None:
        """Set where Focus or Trial lies along the axis."""
        letter = area_letter(area)
        if letter not in ("F", "T") or letter == self._bench.area:
            raise SEMerror("SetAxisPosition needs F or T, and the lenses in another area")
        self._bench.areas[letter] = self._bench.areas[letter].replace(axis_um=to_um)

    @command("UpdateLowDoseParams", "RestoreLowDoseParams")
    def low_dose_parameters(self, *_: object) -> None:
        """Keep or restore an area's parameters, none of which a script can change here."""
        return

    @command("ReportScreen")
    def screen(self) -> float:
        """Return whether the screen is down."""
        return 0.0

    @command("ScreenUp", "ScreenDown")
    def set_screen(self, *_: float) -> None:
        """Move the screen, which is not there."""
        return
