"""Commands of the stage."""

import numpy as np

from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.errors import NotSimulatedError
from eucentric.twin.serialem.geometry import UM, Array, ours_A, specimen_um
from eucentric.twin.serialem.placing import stage_um
from eucentric.twin.serialem.registry import command


class StageCommands:
    """Tilts and moves; positions in µm of the stage's own axes."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._increment_deg = 3.0  # SerialEM's own

    # --- tilt

    @command("TiltTo")
    def tilt_to(self, to_deg: float, *_: float) -> None:
        """Tilt; the optional rest asks to restore X and Y, which do not change here."""
        self._bench.scope.tilt_to(to_deg)
        self._bench.check_time()

    @command("TiltBy")
    def tilt_by(self, by_deg: float, *_: float) -> None:
        """Tilt by so much."""
        self.tilt_to(self.tilt() + by_deg)

    @command("TiltUp", "U")
    def tilt_up(self, *_: float) -> None:
        """Tilt up by the increment."""
        self.tilt_by(self._increment_deg)

    @command("TiltDown", "D")
    def tilt_down(self, *_: float) -> None:
        """Tilt down by the increment."""
        self.tilt_by(-self._increment_deg)

    @command("ReportTiltAngle")
    def tilt(self) -> float:
        """Return the tilt."""
        return self._bench.scope.stage().tilt_deg

    @command("ReportStageBAxis")
    def b_axis(self) -> float:
        """Return the other tilt, which this holder has not."""
        return 0.0

    @command("ReportStageBusy")
    def busy(self) -> float:
        """Return whether the stage moves; every move is done when its command returns."""
        return 0.0

    @command("ReportTiltAxisOffset")
    def axis_offset(self) -> tuple[float, ...]:
        """Return the offset of the tilt axis: specimen Y, stage X and Y, image shift X and Y, and whether it is on."""
        offset = np.array([0.0, self._bench.tilt_axis_offset_um])
        stage = np.linalg.solve(self._bench.geometry.stage2specimen, offset)
        units = np.linalg.solve(self._bench.geometry.is2specimen, offset)
        on = float(self._bench.settings.user.get("shifttotiltaxis", 0.0) != 0)
        return (float(offset[1]), *stage.tolist(), *units.tolist(), on)

    @command("SetTiltAxisOffset")
    def set_axis_offset(self, offset_um: float, *_: float) -> None:
        """Set the calibrated offset of the tilt axis."""
        here = self._bench.specimen_um()
        self._bench.tilt_axis_offset_um = offset_um
        self._bench.set_specimen_um(here)

    @command("SetTiltIncrement")
    def set_increment(self, to_deg: float, cosine: int = 0) -> None:
        """Set the increment."""
        if cosine:
            raise NotSimulatedError("SetTiltIncrement: the twin's increment is the same at all tilts")
        self._increment_deg = to_deg

    # --- place

    @command("ReportStageXYZ")
    def place(self) -> tuple[float, float, float]:
        """Return where the stage is."""
        x, y = self.xy_um().tolist()
        return x, y, self._bench.scope.stage().z_A / UM

    def xy_um(self) -> Array:
        """Return where the stage is in X and Y."""
        stage = self._bench.scope.stage()
        seen = specimen_um((stage.y_A, stage.x_A))
        return np.asarray(np.linalg.solve(self._bench.geometry.stage2specimen, seen))

    @command("MoveStageTo")
    def move_to(self, x_um: float, y_um: float, z_um: float | None = None) -> None:
        """Move to a place."""
        y_A, x_A = ours_A(self._bench.geometry.stage2specimen @ (x_um, y_um))
        self._bench.scope.move_stage(y_A=y_A, x_A=x_A, z_A=None if z_um is None else z_um * UM)
        self._bench.check_time()

    @command("MoveStage")
    def move_by(self, x_um: float, y_um: float, z_um: float = 0.0) -> None:
        """Move by so much."""
        x, y, z = self.place()
        self.move_to(x + x_um, y + y_um, z + z_um if z_um else None)

    @command("StageShiftByPixels")
    def move_by_pixels(self, x: float, y: float) -> None:
        """Move by so many unbinned pixels of the camera."""
        bench = self._bench
        seen = np.asarray(np.linalg.solve(bench.geometry.specimen2camera(bench.pixel_A()), (x, y)), dtype=float)
        self.move_by(*stage_um(bench, seen, self.tilt()).tolist())

    @command("MoveStageWithSpeed")
    def move_slowly(self, x_um: float, y_um: float, speed: float) -> None:
        """Move by so much; the twin's stage has one speed."""
        self.move_by(x_um, y_um)
