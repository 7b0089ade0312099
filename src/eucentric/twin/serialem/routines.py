"""Commands that are whole procedures: focus, eucentricity, CTF, the energy filter and what a gun and its dewars do."""

import numpy as np
from pydantic import ValidationError

from eucentric.core import EucentricError, stream
from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.buffers import Buffer
from eucentric.twin.serialem.errors import NotSimulatedError, SEMerror
from eucentric.twin.serialem.geometry import UM, specimen_um
from eucentric.twin.serialem.images import ImageCommands
from eucentric.twin.serialem.registry import command
from eucentric.twin.serialem.setting_up import Letter
from eucentric.twin.serialem.stage import StageCommands

_BEAM_TILT_MRAD = 5.0  # each way: SerialEM's usual, for 300 kV
_FOCUS_ERROR_UM = 0.04  # of a focus that is told from the truth, rms: that of `workflow.TwinEyes`
_CTF_ERROR_UM = 0.05
_ROUGH_DEG, _FINE_DEG = (0.0, 1.0, 3.0, 8.0), (-24.0, -16.0, -8.0, 0.0, 8.0, 16.0, 24.0)
_ROUGH_A, _ROUGH_TIMES = 10_000.0, 3  # the rough way is gone again until it moves the stage by less
_FOCUS_SETS: dict[int, Letter] = {0: "F", 1: "V", 2: "V", 3: "S", 4: "S", -1: "R", -2: "L"}


class RoutineCommands:
    """What SerialEM does by itself, with images of its own."""

    def __init__(self, bench: Bench, stage: StageCommands, images: ImageCommands) -> None:
        self._bench, self._stage, self._images = bench, stage, images
        self._measured: tuple[float, float] | None = None
        self._drift_nm_s: tuple[float, float] | None = None

    # --- focus

    @command("AutoFocus", "G")
    def autofocus(self, how: int = 1, where: int = 0) -> None:
        """Measure the defocus by beam tilts and, unless told to measure only, go to the target."""
        if where not in _FOCUS_SETS:
            raise SEMerror(f"AutoFocus: {where} is no area to focus in")
        letter = _FOCUS_SETS[where]
        if letter in "VS":
            raise NotSimulatedError("AutoFocus in View or Search: the twin tilts the beam in Focus and Record only")
        defocus_um = self._measure_um(letter)
        self._measured = (defocus_um, 0.0)
        self._bench.log.add(f"Measured defocus = {defocus_um:.2f} microns")
        if how >= 0:
            wanted_um = self._bench.target_defocus_um or 0.0
            self._bench.set_focus_um(self._bench.focus_um() + wanted_um - defocus_um)

    def _measure_um(self, letter: Letter) -> float:
        """Return the defocus from images with the beam tilted up and down, and, against drift, up once more."""
        bench = self._bench
        protected = bench.settings.user.get("driftprotection", 0.0) != 0
        images, at_s = [], []
        for sign in (1, -1, 1) if protected else (1, -1):
            at_s.append(bench.elapsed_s())
            images.append(bench.shoot(letter, beam_tilt_mrad=sign * _BEAM_TILT_MRAD))
            bench.arrive(images[-1])
        up, down = images[:2]
        drifted_A, self._drift_nm_s = np.zeros(2), None
        if protected:
            drifted_A = np.array(self._images.displaced_A(up, images[2]))
            x, y = (specimen_um(drifted_A) * 1000 / max(at_s[2] - at_s[0], 1e-9)).tolist()
            self._drift_nm_s = (x, y)
        if not bench.twin.pixels:
            return self._told_um(down, _FOCUS_ERROR_UM)
        # From down to up the beam's tilt moves the image; by half of the drift it had moved on from up to down.
        tilted_A = np.array(self._images.displaced_A(down, up)) + drifted_A / 2
        return -float(tilted_A[0]) / (2e-3 * _BEAM_TILT_MRAD) / UM

    def _told_um(self, image: Buffer, error_um: float) -> float:
        """Return an image's defocus from the truth, but for an error: for a twin without pixels."""
        if image.truth is None:
            raise SEMerror("This image's defocus cannot be measured without pixels")
        drawn = stream(self._bench.seed, "serialem", "focus", sum(self._bench.calls.values())).standard_normal()
        return -image.truth.exposure.defocus_A / UM + error_um * float(drawn)

    @command("ReportAutoFocus")
    def measured(self) -> tuple[float, float]:
        """Return the defocus that was measured last, and 0 if it was."""
        if self._measured is None:
            raise SEMerror("There is no autofocus to report")
        return self._measured

    @command("ReportFocusDrift")
    def drift(self) -> tuple[float, float]:
        """Return the drift that was measured last, nm/s in specimen X and Y."""
        if self._drift_nm_s is None:
            raise SEMerror("There is no drift: no autofocus took three images (user setting DriftProtection)")
        return self._drift_nm_s

    # --- eucentricity

    @command("Eucentricity")
    def eucentricity(self, how: int = 2, *_: int) -> None:
        """Raise the stage until what is seen stays in place as it tilts: roughly (1), finely (2), or both (3)."""
        if how not in (1, 2, 3, 6):
            raise NotSimulatedError(f"Eucentricity {how}: the twin finds it by tilting only")
        if how & 1:
            for _time in range(_ROUGH_TIMES):
                if abs(self._raise_by(_ROUGH_DEG)) < _ROUGH_A:
                    break
        if how & 2:
            self._raise_by(_FINE_DEG)

    def _raise_by(self, tilts_deg: tuple[float, ...]) -> float:
        """Follow the image over tilts, raise the stage by what its way across the axis tells; return by how much."""
        bench, start_deg = self._bench, self._stage.tilt()
        across_A: list[float] = []
        seen_A, before = 0.0, None
        self._stage.tilt_to(tilts_deg[0] - 3.0)  # each tilt from below, as the play of the stage wants it
        for tilt_deg in tilts_deg:
            self._stage.tilt_to(tilt_deg)
            image = bench.shoot("V")
            bench.arrive(image)
            if before is not None:
                seen_A += self._images.displaced_A(before, image)[1]
            across_A.append(seen_A)
            before = image
        # A place z above the tilt axis and x beside it is seen at x cos a + z sin a; few tilts cannot tell x.
        tilt = np.radians(tilts_deg)
        terms = [np.sin(tilt), np.ones_like(tilt), np.cos(tilt)][: 3 if len(tilt) > len(_ROUGH_DEG) else 2]
        height_A = float(np.linalg.lstsq(np.stack(terms, axis=1), np.array(across_A), rcond=None)[0][0])
        here = bench.scope.stage()
        bench.scope.move_stage(z_A=here.z_A - height_A)
        self._stage.tilt_to(start_deg - 3.0)
        self._stage.tilt_to(start_deg)
        bench.log.add(f"Eucentricity: stage moved by {-height_A / UM:.2f} microns in Z")
        return -height_A

    # --- CTF

    @command("CtfFind")
    def ctffind(self, buffer: str, low_um: float, high_um: float, *_: float) -> tuple[float, ...]:
        """Fit the rings of an image: defocus, astigmatism (µm), its angle, phase shift (°), score, resolution (Å)."""
        image = self._bench.buffer(buffer)
        if not self._bench.twin.pixels:
            # Of a fit there would be, no more is told than its defocus.
            return self._told_um(image, _CTF_ERROR_UM), 0.0, 0.0, 0.0, 0.0, 0.0
        return self._fitted(image, low_um, high_um)

    @command("Ctfplotter")
    def ctfplotter(self, buffer: str, low_um: float, high_um: float, *_: float) -> tuple[float, ...]:
        """Fit the rings of an image: defocus, astigmatism (µm), its angle, phase shift (°), score, resolution (Å)."""
        try:
            return self.ctffind(buffer, low_um, high_um)
        except SEMerror as error:  # of the program that fits, which SerialEM reports and does not raise
            self._bench.log.add(f"Ctfplotter: {error}")
            return 1.0, 1.0

    def _fitted(self, image: Buffer, low_um: float, high_um: float) -> tuple[float, ...]:
        near, far = sorted((abs(low_um), abs(high_um)))
        if not near < far:
            raise SEMerror(f"The range of defocus, {low_um:g} to {high_um:g} microns, is none")
        import torch  # as the fit does: only scripts that ask for a CTF wait for it

        from eucentric.processing.ctf import CTFSettings, fit_image

        try:
            settings = CTFSettings(
                low_resolution_A=max(30.0, 8 * image.pixel_A),
                high_resolution_A=max(4.0, 2.1 * image.pixel_A),
                min_defocus_A=max(near * UM, 1000.0),
                max_defocus_A=far * UM,
            )
            pixels = torch.from_numpy(np.asarray(image.pixels, dtype=np.float32))
            fit = fit_image(pixels, image.pixel_A, self._bench.twin.lens, settings)
        except (EucentricError, ValidationError) as error:
            raise SEMerror(f"The CTF could not be fitted: {error}") from error
        astigmatism_um = (fit.defocus_u_A - fit.defocus_v_A) / UM
        return -fit.mean_A / UM, astigmatism_um, fit.azimuth_deg, 0.0, fit.score, fit.fit_resolution_A or 0.0

    # --- the rest of a microscope

    @command("RefineZLP")
    def refine_slit(self, *_: float) -> None:
        """Centre the slit, which in the twin does not move; it takes its time."""
        self._bench.wait(20.0)

    @command("AreDewarsFilling")
    def filling(self) -> float:
        """Return whether dewars are being filled."""
        return 0.0

    @command("IsFEGFlashingAdvised")
    def flashing(self, high: int) -> float:
        """Return whether the gun should be flashed."""
        return 0.0

    @command("NextFEGFlashHighTemp")
    def next_flash(self, high: int = 1) -> None:
        """Choose how the gun is flashed next."""
        return

    @command("LongOperation")
    def long_operation(self, *_: str) -> None:
        """Fill dewars or flash the gun, which is not needed here; it takes its time."""
        self._bench.wait(60.0)
