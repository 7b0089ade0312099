"""`Bench`: the simulated SerialEM, its state and its hold on the microscope underneath.

Groups of commands share one bench. All that reaches the specimen goes through here to the `Microscope`, so that faults
strike, and is told beside the truth, which no command but `Bench.true_shift_A` sees.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.io.movies import write_movie
from eucentric.microscope import ExposureRequest, Readback, ShiftYX
from eucentric.twin.serialem.buffers import Buffer, TruePlace
from eucentric.twin.serialem.controls import BenchControls
from eucentric.twin.serialem.doings import Taken
from eucentric.twin.serialem.errors import SEMerror
from eucentric.twin.serialem.geometry import UM
from eucentric.twin.serialem.setting_up import AREA_OF, AREA_ORDER, PURPOSES, CameraSet, Letter

_NOMINAL_PX = 16  # a side of the images that stand for those that a twin without pixels does not make
_SEEN_ERROR_A = 15.0  # of an alignment that is told from the truth, rms along each axis: that of `workflow.TwinEyes`
_NEAR_FIELDS = 1.0  # farther than so many of its fields from the nearest target, an image is of none


@dataclass(eq=False)
class Bench(BenchControls):
    """SerialEM as it stands, with its camera, and what is true of each image."""

    def shoot(self, letter: Letter, *, beam_tilt_mrad: float | None = None) -> Buffer:
        """Expose with a camera set, in its low-dose area; return the image, which is not in a buffer yet.

        Parameters
        ----------
        letter
            The camera set.
        beam_tilt_mrad
            The beam's tilt along the tilt axis during it, where other than it is.
        """
        self.go_to(AREA_OF[letter])
        chosen = self.now_sets[letter]
        if chosen.settling_s:
            self.wait(chosen.settling_s)
        if not self.scope.beam_on():
            raise SEMerror("The column valves are closed: there is no beam to take an image with")
        if beam_tilt_mrad is not None:
            before = self.scope.beam_tilt_mrad()
            self.scope.set_beam_tilt_mrad((before[0] + beam_tilt_mrad, before[1]))
            try:
                return self._shot(letter, chosen)
            finally:
                self.scope.set_beam_tilt_mrad(before)
        return self._shot(letter, chosen)

    def _shot(self, letter: Letter, chosen: CameraSet) -> Buffer:
        pixel_A, (columns, rows) = self.pixel_A(), self.camera_xy()
        began_s, number = self.elapsed_s(), self.twin.exposures
        movie: Path | None = None
        frames = 1
        try:
            if letter in "VS":
                readback, pixels = self._viewed(pixel_A, max(rows, columns), chosen)
            else:
                frames = max(1, round(chosen.exposure_s / chosen.frame_s)) if chosen.frame_s else 1
                dose = chosen.exposure_s * self.twin.routine.dose_rate_e_A2_per_s
                request = ExposureRequest(exposure_e_A2=dose, frames=frames, purpose=PURPOSES[letter])
                taken = self.scope.expose(request)
                readback, pixels = taken.readback, self._summed(taken.frames)
                frames = len(taken.frames)
                if chosen.saves_frames:
                    movie = self._save_movie(taken.frames, pixel_A)
        finally:
            # Whatever became of the image, the specimen may have been exposed.
            for made in range(number, self.twin.exposures):
                self._tell(letter, made, began_s)
        return self._buffer(letter, chosen, readback, pixels, movie, frames)

    def _viewed(self, pixel_A: float, side: int, chosen: CameraSet) -> tuple[Readback, NDArray[np.float32]]:
        """View at low magnification, where the beam is spread: the twin's exposure of a view is that of a second."""
        self.twin.settings = self.twin.settings.replace(view_exposure_e_A2=self.view_e_A2_per_s * chosen.exposure_s)
        image = self.scope.view(pixel_A * side, side)
        readback = image.readback
        left_s = chosen.exposure_s - readback.seconds
        self.scope.wait(left_s)
        rate = readback.dose_rate_e_px_s * readback.seconds / chosen.exposure_s
        told = readback.replace(seconds=chosen.exposure_s, dose_rate_e_px_s=rate)
        return told, image.pixels * np.float32(self.counts_per_electron)

    def _buffer(
        self,
        letter: Letter,
        chosen: CameraSet,
        readback: Readback,
        pixels: NDArray[np.float32],
        movie: Path | None,
        frames: int,
    ) -> Buffer:
        columns, rows = (n // chosen.binning for n in self.camera_xy())
        if not self.twin.pixels:
            mean = self.counts_per_electron * readback.dose_rate_e_px_s * readback.seconds
            pixels = np.full((_NOMINAL_PX, _NOMINAL_PX), mean, np.float32)
        elif chosen.binning > 1:
            n = chosen.binning
            pixels = pixels[: rows * n, : columns * n].reshape(rows, n, columns, n).sum((1, 3))
        whole = np.clip(np.rint(pixels), -32768, 32767).astype(np.int16)
        last = self.twin.last
        image = Buffer(
            pixels=whole,
            pixel_A=self.pixel_A() * chosen.binning,
            shown_xy=(columns, rows),
            camera_set=letter,
            binning=chosen.binning,
            exposure_s=chosen.exposure_s,
            exposure_e_A2=readback.exposure_e_A2,
            tilt_deg=readback.tilt_deg,
            axis_deg=readback.axis_deg,
            magnification=self.now_area().magnification,
            readback=readback,
            truth=TruePlace(last, self.twin.centre_zyx_A(last)) if last is not None else None,
            counts=(float(whole.min()), float(whole.max()), float(whole.mean())),
            movie=movie,
            frames=frames if movie is not None else 0,
            taken=self.twin.exposures - 1,
            prior_e_A2=self.prior_dose() if letter == "R" else None,
        )
        return image.cropped(*chosen.size_xy) if chosen.size_xy else image

    def _summed(self, frames: NDArray[np.unsignedinteger]) -> NDArray[np.float32]:
        """Return the sum of frames as SerialEM shows it: corrected for the gain, in counts; dead pixels are even."""
        if frames.shape[1:] == (0, 0):
            return np.zeros((0, 0), np.float32)
        gain = self.twin.sensor.gain_reference
        total = frames.sum(axis=0, dtype=np.float32)
        alive = gain > 0
        corrected = total * gain * np.float32(self.counts_per_electron)
        return np.asarray(np.where(alive, corrected, corrected[alive].mean()), dtype=np.float32)

    def _save_movie(self, frames: NDArray[np.unsignedinteger], pixel_A: float) -> Path:
        name = self.frame_name() or f"frames_{self.twin.exposures:04d}"
        path, more = self.frames_folder / f"{name}.tif", 0
        while path.exists():  # a camera never overwrites a movie
            more += 1
            path = self.frames_folder / f"{name}_{more}.tif"
        if frames.shape[1:] != (0, 0):
            write_movie(path, frames, pixel_A)
        self.last_movie, self.last_frames = path, len(frames)
        return path

    # --- the truth

    def _tell(self, letter: Letter, number: int, began_s: float) -> None:
        truth = self.twin.last
        if truth is None or truth.number != number:
            return
        away_A = self.twin.seen_yx_A(truth, truth.site)
        near_A = max(self.twin.shape_yx) * self.pixel_A() * _NEAR_FIELDS
        is_aimed = letter == "R" or float(np.hypot(*away_A)) <= near_A
        received = {site.name: self.twin.received_e_A2(site.name) for site in self.twin.sites}
        hit = {name: now - self._received.get(name, 0.0) for name, now in received.items()}
        self._received = received
        self.taken.append(
            Taken(
                number=number,
                camera_set=letter,
                before=self.started is None,
                place=truth.site if is_aimed else "",
                hit={name: dose for name, dose in hit.items() if dose > 0},
                tilt_deg=self.scope.stage().tilt_deg,
                exposure_e_A2=truth.exposure_e_A2,
                received_e_A2=truth.pre_exposure_e_A2 + truth.exposure_e_A2,
                off_yx_A=away_A if is_aimed else None,
                defocus_A=truth.defocus_A,
                wanted_defocus_A=None if self.target_defocus_um is None else -self.target_defocus_um * UM,
                began_s=began_s,
                line=self.line(),
            )
        )

    def saved(self, image: Buffer, file: str, section: int) -> None:
        """Note where an image was saved."""
        for at in range(len(self.taken) - 1, -1, -1):
            if self.taken[at].number == image.taken:
                self.taken[at] = self.taken[at].replace(file=file, section=section)
                return

    def true_shift_A(self, reference: Buffer, image: Buffer) -> ShiftYX:
        """Return where the centre of a reference lies in an image, along and across the axis, but for an error.

        This stands for a correlation where the twin makes no pixels.
        """
        if reference.truth is None or image.truth is None:
            raise SEMerror("An image of a twin without pixels cannot be aligned to one that it did not take")
        before, now = reference.truth, image.truth
        y, x = self.twin.seen_yx_A(now.exposure, before.exposure.site, before.centre_zyx_A)
        sigma_A = _SEEN_ERROR_A / max(np.cos(np.deg2rad(image.tilt_deg)), 0.2)
        off = sigma_A * stream(self.seed, "serialem", "align", sum(self.calls.values())).standard_normal(2)
        return y + float(off[0]), x + float(off[1])


def area_letter(text: str) -> Letter:
    """Return a low-dose area by the letter that scripts use.

    Raises
    ------
    SEMerror
        If there is none.
    """
    letter = text.strip().upper()[:1]
    for known in AREA_ORDER:
        if letter == known:
            return known  # type: ignore[return-value]
    raise SEMerror(f"{text!r} is no low-dose area: they are V, F, T, R and S")


def set_letter(text: str) -> Letter:
    """Return a camera set by the letter that scripts use; Preview is L or P.

    Raises
    ------
    SEMerror
        If there is none.
    """
    letter = text.strip().upper()[:1]
    letter = "L" if letter == "P" else letter
    for known in AREA_OF:
        if letter == known:
            return known
    raise SEMerror(f"{text!r} is no camera parameter set: they are V, F, T, R, L (Preview) and S")
