"""`Twin`: a simulated microscope with a specimen in it, a `Microscope` like any other, and the truth about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eucentric.core import TiltAlignment, stream
from eucentric.core.frames import rotation_about_z
from eucentric.design import Camera, Routine, Stage
from eucentric.detector import Detector, Sensor, as_movie, design_camera
from eucentric.microscope import (
    BeamLostError,
    ExposureRequest,
    Image,
    MoveRefusedError,
    Movie,
    Purpose,
    Readback,
    ShiftYX,
    StageLimits,
    StagePosition,
)
from eucentric.optics import Aberrations, Lens, elastic_mean_free_path_A, mean_free_path_A, wavelength_A
from eucentric.specimen.motion import MotionField
from eucentric.specimen.sample import Sample
from eucentric.twin.delivered import Delivered
from eucentric.twin.field import Field
from eucentric.twin.formation import Spectra, form
from eucentric.twin.frames import WARP_PX, FrameConditions, FrameMotion, expected_frames
from eucentric.twin.mechanics import Mechanics
from eucentric.twin.scene import Displacement, Scene, View
from eucentric.twin.settings import Effects, TwinSettings
from eucentric.twin.truth import ExposureTruth, FrameTruth

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

_FOCUS_LIMIT_A = 5e6
_CAMERA_PIXEL_A = 1.7
_BEAM_OVER_FIELD = 1.3  # radius of the beam over half the field's diagonal
_MARGIN_AT_A = 6.0  # detail coarser than this reaches into the image from where its defocus spreads it


@dataclass(frozen=True, eq=False)
class Exposed:
    """A movie with all that is true of it.

    Attributes
    ----------
    movie
        What the camera gives.
    truth
        What is true of the exposure.
    expected_e_px
        Electrons that arrive at each pixel, (y, x) float32, the frames summed, without noise or detector; empty where
        no pixels are made.
    """

    movie: Movie
    truth: ExposureTruth
    expected_e_px: Floats


class Twin:
    """A microscope with a specimen in it.

    Time is the twin's own: nothing waits. The same calls with the same seed give the same bytes.

    Parameters
    ----------
    sample
        What is in the microscope.
    pixel_A, shape_yx
        Of the camera's images.
    lens
        Beam and objective lens.
    settings
        The microscope, with its errors.
    effects
        What is on.
    seed
        Of everything random but the sample.
    stage, routine
        How fast the stage is; dose rate.
    pixels
        Whether images are made at all; without, geometry, exposure and time are the same.
    limits
        Of the moves, in place of the stage's and the usual ones.
    binning
        Pixels of the camera along each side of an image's pixel: its blur and its coincidence are those of its own,
        smaller pixels. By default what makes them 1 to 2 Å, as they are when such images are recorded.
    """

    def __init__(
        self,
        sample: Sample,
        *,
        pixel_A: float,
        shape_yx: tuple[int, int],
        lens: Lens | None = None,
        settings: TwinSettings | None = None,
        effects: Effects | None = None,
        seed: int = 0,
        stage: Stage | None = None,
        routine: Routine | None = None,
        pixels: bool = True,
        limits: StageLimits | None = None,
        binning: int | None = None,
    ) -> None:
        self.binning = binning or max(1, round(pixel_A / _CAMERA_PIXEL_A))
        self.sample, self.pixel_A, self.shape_yx, self.seed, self.pixels = sample, pixel_A, shape_yx, seed, pixels
        self.lens = lens or Lens()
        self.effects = effects or Effects()
        self.settings = (settings or TwinSettings()).with_effects(self.effects)
        if not self.effects.incoherence:
            self.lens = self.lens.replace(energy_spread_eV=0.0)
        self.routine = routine or Routine()
        self._mechanics = Mechanics(self.settings.stage, seed, stage=stage or Stage(), limits=limits)
        self._field_A = max(shape_yx) * pixel_A
        self._motion = MotionField(self.settings.motion, seed, self._field_A)
        self._delivered = Delivered()
        self._elapsed_s = 0.0
        self._image_shift: ShiftYX = (0.0, 0.0)
        self._beam_shift: ShiftYX = (0.0, 0.0)
        self._defocus_A = 30_000.0
        self._beam_on = True
        self._exposures = 0
        self._scenes: dict[float, Scene] = {}

    # What the specimen and the camera are

    @cached_property
    def sensor(self) -> Sensor:
        """The camera, with its own pixels."""
        return Sensor(self._binned(self.settings.detector), self.shape_yx, self.seed)

    def camera(self) -> Camera:
        """Return the camera that predictions of `design` should be made for."""
        binned = self._binned(self.settings.detector)
        return design_camera(binned, self.pixel_A, self.shape_yx, binning=self.binning)

    @property
    def detection(self) -> float:
        """Share of the arriving electrons that the camera counts, where no specimen is in the way."""
        rate = self.routine.dose_rate_e_A2_per_s * self.pixel_A**2
        return self.sensor.detector.counted_share(rate) if self.effects.noise else 1.0

    def _binned(self, detector: Detector) -> Detector:
        """Return the detector with what its own pixels lose to coincidence, in the mean, as electrons not detected."""
        if self.binning == 1 or not detector.coincidence:
            return detector
        own_A2 = (self.pixel_A / self.binning) ** 2
        share = detector.counted_share(self.routine.dose_rate_e_A2_per_s * own_A2)
        return detector.replace(detection=share, coincidence=False)

    @property
    def exposures(self) -> int:
        """How often the specimen has been exposed."""
        return self._exposures

    @property
    def beam_radius_A(self) -> float:
        """Radius of the beam on the specimen."""
        half_diagonal = math.hypot(*self.shape_yx) * self.pixel_A / 2
        return self.settings.beam_radius_A or _BEAM_OVER_FIELD * half_diagonal

    # The protocol `Microscope`

    def limits(self) -> StageLimits:
        """Return how far the stage and the shifts can go."""
        return self._mechanics.limits

    def now(self) -> datetime:
        """Return the twin's own time."""
        return self.settings.began + timedelta(seconds=self._elapsed_s)

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

    def beam_on(self) -> bool:
        """Return whether there is a beam."""
        return self._beam_on

    def set_beam_on(self, on: bool) -> bool:
        """Open or close the valves."""
        self._beam_on = bool(on)
        return self._beam_on

    def expose(
        self,
        request: ExposureRequest | None = None,
        *,
        tilt_deg: float | None = None,
        exposure_e_A2: float = 3.0,
        frames: int = 8,
    ) -> Movie:
        """Expose once and return the frames: as requested, or by hand, ``expose(tilt_deg=30, exposure_e_A2=3)``."""
        if tilt_deg is not None:
            self.tilt_to(tilt_deg)
        return self.expose_and_tell(request or ExposureRequest(exposure_e_A2=exposure_e_A2, frames=frames)).movie

    def view(self, field_A: float, pixels: int) -> Image:
        """Take an image at low magnification; its exposure, small, is booked to all that it shows."""
        field = Field((pixels, pixels), field_A / pixels)
        request = ExposureRequest(exposure_e_A2=self.settings.view_exposure_e_A2, purpose="view")
        exposed = self._expose(request, field, radius_A=field_A, low_magnification=True)
        counts = exposed.expected_e_px
        if self.effects.noise:
            counts = stream(self.seed, "view", exposed.truth.number).poisson(counts).astype(np.float32)
        return Image(counts, field.pixel_A, exposed.movie.readback)

    # And what only the twin can do

    def expose_and_tell(self, request: ExposureRequest) -> Exposed:
        """Expose once; return the movie with the truth about it.

        Raises
        ------
        BeamLostError
            If there is no beam.
        """
        field = Field(self.shape_yx, self.pixel_A, self._margin_A())
        return self._expose(request, field, radius_A=self.beam_radius_A)

    def true_offset_A(self) -> tuple[ShiftYX, float]:
        """Return where the specimen's origin is now, from the optical axis, (y, x), and how high above focus (Å)."""
        z, y, x = self._mechanics.offset_zyx_A(self._elapsed_s)
        return (float(y), float(x)), float(z)

    def deformation(self, exposures: Sequence[ExposureTruth]) -> tuple[Array, Array]:
        """Return how far the slab's places had moved by the middle of each exposure.

        Returns
        -------
        tuple of numpy.ndarray
            Places in the slab's plane, yx in Å, (rows, columns, 2), and displacements zyx in the slab's frame in Å,
            (n, rows, columns, 3).
        """
        sides = np.linspace(-0.75, 0.75, 13) * self._field_A
        places = np.stack(np.meshgrid(sides, sides, indexing="ij"), axis=-1)
        moved = [
            self._motion.displacement_zyx_A(places.reshape(-1, 2), one.pre_exposure_e_A2 + one.exposure_e_A2 / 2)
            for one in exposures
        ]
        return places, np.array(moved).reshape(len(moved), *places.shape[:2], 3)

    def _expose(
        self, request: ExposureRequest, field: Field, *, radius_A: float, low_magnification: bool = False
    ) -> Exposed:
        if not self._beam_on:
            raise BeamLostError("There is no beam: its valves are closed; the specimen was not exposed.", "Open them.")
        number, began = self._exposures, self.now()
        seconds = request.exposure_e_A2 / self.routine.dose_rate_e_A2_per_s
        starts = self._elapsed_s
        tilt = self._view(starts + seconds / 2, number)
        height_A = float(self._mechanics.offset_zyx_A(starts + seconds / 2)[0])
        seen = View.of(tilt, height_A, self.settings.hand)
        centre_A = self._on_specimen(seen, np.zeros(2))
        before = self._delivered.at(centre_A)
        displacement = self._displacement(before + request.exposure_e_A2 / 2)
        view = View.of(tilt, height_A, self.settings.hand, displacement)
        aberrations = self._aberrations()
        frame_e_A2 = request.exposure_e_A2 / request.frames
        motions = self._motions(request, field, view, number, starts, seconds, before)
        frames: NDArray[np.uint8] | NDArray[np.uint16] = np.zeros((request.frames, 0, 0), np.uint8)
        expected, passed = np.zeros((0, 0), np.float32), self._even_transmission(view)
        if self.pixels:
            spectra = form(
                self._scene(field.pixel_A),
                view,
                field,
                self.lens,
                aberrations,
                solvent=self.effects.solvent,
                seed=self.seed,
                names=("exposure", number),
            )
            conditions = self._conditions(field, (frame_e_A2,) * request.frames, before, low_magnification)
            passed = float(np.exp(-spectra.path_A / conditions.mean_free_path_A).mean())
            frames, expected = self._record(spectra, field, motions, conditions, seconds, number, low_magnification)
        self._elapsed_s += seconds
        self._exposures += 1
        beam_A = self._on_specimen(seen, self._beam_centre_in_image())
        self._delivered.book(beam_A, view.rotation[0], radius_A, request.exposure_e_A2)
        arriving = float(expected.mean()) if expected.size else passed * request.exposure_e_A2 * field.pixel_A**2
        truth = ExposureTruth(
            number=number,
            purpose=request.purpose,
            target=request.target,
            order=request.order,
            view=tilt,
            height_A=height_A,
            defocus_A=self._defocus_A + self.settings.hand * float((view.rotation @ centre_A + view.origin_zyx_A)[0]),
            astigmatism_A=aberrations.astigmatism_A,
            astigmatism_deg=aberrations.astigmatism_deg,
            beam_tilt_yx_mrad=aberrations.beam_tilt_yx_mrad,
            exposure_e_A2=request.exposure_e_A2,
            pre_exposure_e_A2=before,
            transmission=passed,
            expected_e_px=arriving,
            frames=tuple(FrameTruth(exposure_e_A2=frame_e_A2, shift_yx_A=motion.shift_yx_A) for motion in motions),
            began=began,
            seconds=seconds,
        )
        readback = self._readback(request, field, frames, arriving, began, seconds)
        return Exposed(Movie(frames, field.pixel_A, readback), truth, expected)

    # Geometry

    def _in_image(self, yx_A: Array) -> Array:
        """Turn a vector along and across the tilt axis into the image frame."""
        turned: Array = (rotation_about_z(self.settings.axis_deg) @ np.array([0.0, *yx_A]))[1:]
        return turned

    def _view(self, at_s: float, number: int) -> TiltAlignment:
        offset = self._mechanics.offset_zyx_A(at_s)[1:] - np.array(self._image_shift)
        y, x = self._in_image(offset)
        return TiltAlignment(
            section=number,
            tilt_deg=self._mechanics.true_tilt_deg,
            axis_deg=self.settings.axis_deg,
            shift_yx_A=(float(y), float(x)),
        )

    def _on_specimen(self, view: View, yx_A: Array) -> Array:
        """Return the place (sample frame) of the specimen's middle plane that is seen at a place of the image."""
        normal = self.sample.matrix.frame.T @ np.array([1.0, 0.0, 0.0])
        start = view.rotation.T @ (np.array([0.0, *yx_A]) - view.origin_zyx_A)
        along = view.rotation[0]
        slope = float(along @ normal)
        if abs(slope) < 1e-6:
            return np.asarray(start)
        return np.asarray(start - (start @ normal) / slope * along)

    def _beam_centre_in_image(self) -> Array:
        offset = np.array(self._beam_shift) - np.array(self._image_shift)
        if self.effects.beam:
            offset = offset + np.array(self.settings.beam_offset_yx_A)
        return self._in_image(offset)

    def _displacement(self, exposure_e_A2: float) -> Displacement | None:
        """Return how far the specimen's contents have moved by the time they have received an exposure."""
        if not (self.settings.motion.local_A or self.settings.motion.doming_A):
            return None
        frame = self.sample.matrix.frame

        def moved(places_A: Array) -> Array:
            own = places_A @ frame.T
            return self._motion.displacement_zyx_A(own[:, 1:], exposure_e_A2) @ frame

        return moved

    def _motions(
        self,
        request: ExposureRequest,
        field: Field,
        view: View,
        number: int,
        starts_s: float,
        seconds: float,
        before_e_A2: float,
    ) -> list[FrameMotion]:
        """Return how each frame lies against the view, which is that of the exposure's middle."""
        each, n = request.exposure_e_A2 / request.frames, request.frames
        edges = np.linspace(0, 1, n + 1)
        drift = self._mechanics.drift_yx_A(np.concatenate([[starts_s + seconds / 2], starts_s + seconds * edges]))[1:]
        burst = np.array([self._motion.burst_yx_A(number, request.exposure_e_A2 * edge) for edge in edges])
        places = np.array([self._in_image(one) for one in drift + burst - burst[-1] / 2])
        grid = self._local_grid(field) if self.settings.motion.local_A or self.settings.motion.doming_A else None
        motions = []
        for frame in range(n):
            middle, during = (places[frame] + places[frame + 1]) / 2, places[frame + 1] - places[frame]
            local = None
            if grid is not None:
                then = before_e_A2 + each * (frame + 0.5)
                local = self._local(view, grid, before_e_A2 + request.exposure_e_A2 / 2, then)
            motions.append(
                FrameMotion((float(middle[0]), float(middle[1])), (float(during[0]), float(during[1])), local)
            )
        return motions

    def _local_grid(self, field: Field) -> Array:
        """Return the places (rows, columns, 2) of the image at which local motion is given."""
        sides = [(np.arange(-(-n // WARP_PX) + 2) * WARP_PX - n // 2) * field.pixel_A for n in field.shape_yx]
        return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)

    def _local(self, view: View, grid: Array, at_view_e_A2: float, then_e_A2: float) -> Array:
        frame = self.sample.matrix.frame
        flat = grid.reshape(-1, 2)
        # The middle plane is a plane: places on it follow from three of them.
        corner, down, right = (self._on_specimen(view, np.array(yx)) for yx in ((0, 0), (1, 0), (0, 1)))
        places = corner + flat[:, :1] * (down - corner) + flat[:, 1:] * (right - corner)
        own = places @ frame.T
        moved = self._motion.displacement_zyx_A(own[:, 1:], then_e_A2)
        moved -= self._motion.displacement_zyx_A(own[:, 1:], at_view_e_A2)
        seen = (moved @ frame) @ view.rotation.T
        return np.asarray(seen[:, 1:].reshape(grid.shape))

    # Optics and camera

    def _aberrations(self) -> Aberrations:
        y, x = (self.settings.coma_mrad_per_um * 1e-4 * self._in_image(np.array(self._image_shift))).tolist()
        return Aberrations(
            defocus_A=self._defocus_A,
            astigmatism_A=self.settings.astigmatism_A,
            astigmatism_deg=self.settings.astigmatism_deg,
            beam_tilt_yx_mrad=(y, x),
            illumination_mrad=self.settings.illumination_mrad,
        )

    def _margin_A(self) -> float:
        """Return how far outside the image things are seen in it, in steps, so that few fields come up."""
        spread_A = wavelength_A(self.lens.voltage_kV) * abs(self._defocus_A) / _MARGIN_AT_A
        return 25.0 * math.ceil(min(spread_A, 0.1 * self._field_A) / 25.0)

    def _scene(self, pixel_A: float) -> Scene:
        grown_A = self.settings.ice_growth_A_per_h * self._elapsed_s / 3600
        if pixel_A not in self._scenes:
            self._scenes[pixel_A] = Scene.of(self.sample, pixel_A)
        scene = self._scenes[pixel_A]
        return scene.grown(grown_A) if grown_A else scene

    def _loss_A(self) -> float:
        if not self.effects.inelastic:
            return math.inf
        return mean_free_path_A(self.lens.voltage_kV, self.settings.mean_free_path_A)

    def _even_transmission(self, view: View) -> float:
        """Return the share of the beam that passes ice of the mean thickness."""
        slope = abs(float((self.sample.matrix.frame @ view.rotation.T)[0, 0]))
        return math.exp(-self.sample.matrix.thickness_A / max(slope, 1e-3) / self._loss_A())

    def _conditions(
        self, field: Field, exposures_e_A2: tuple[float, ...], before_e_A2: float, low_magnification: bool
    ) -> FrameConditions:
        mtf = (
            np.ones_like(field.k)
            if low_magnification
            else self.settings.detector.mtf_at(field.k * field.pixel_A / self.binning)
        )
        return FrameConditions(
            exposures_e_A2=exposures_e_A2,
            pre_exposure_e_A2=before_e_A2,
            voltage_kV=self.lens.voltage_kV,
            mean_free_path_A=self._loss_A(),
            elastic_A=elastic_mean_free_path_A(self.lens.voltage_kV) if self.effects.plural_scattering else math.inf,
            filtered=self.effects.energy_filter,
            damage=self.effects.damage,
            ice_motion=self.effects.ice_motion,
            beam=None if low_magnification or not self.effects.beam else self._beam_profile(field),
            mtf=mtf,
        )

    def _beam_profile(self, field: Field) -> Floats:
        rows, columns = field.shape_yx
        centre = self._beam_centre_in_image()
        y = (np.arange(rows) - rows // 2)[:, None] * field.pixel_A - centre[0]
        x = (np.arange(columns) - columns // 2)[None] * field.pixel_A - centre[1]
        outside = np.clip((np.hypot(y, x) - self.beam_radius_A) / self.settings.beam_edge_A, -50, 50)
        return np.asarray(1 / (1 + np.exp(outside)), dtype=np.float32)

    def _record(
        self,
        spectra: Spectra,
        field: Field,
        motions: list[FrameMotion],
        conditions: FrameConditions,
        seconds: float,
        number: int,
        low_magnification: bool,
    ) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], Floats]:
        total = np.zeros(field.shape_yx, np.float32)
        counts = []
        for frame, expected in enumerate(expected_frames(spectra, field, motions, conditions)):
            total += expected
            if low_magnification:
                counts.append(np.zeros((0, 0), np.uint16))
            elif self.effects.noise:
                counts.append(self.sensor.read(expected, seconds / len(motions), "exposure", number, "frame", frame))
            else:
                counts.append(np.rint(np.clip(expected, 0, 65535)).astype(np.uint16))
        if low_magnification:
            return np.zeros((len(motions), 0, 0), np.uint8), total
        return as_movie(counts, conditions.exposures_e_A2[0] * field.pixel_A**2), total

    def _readback(
        self,
        request: ExposureRequest,
        field: Field,
        frames: NDArray[np.uint8] | NDArray[np.uint16],
        arriving_e_px: float,
        began: datetime,
        seconds: float,
    ) -> Readback:
        summed = frames.sum(axis=0, dtype=np.uint32)
        purpose: Purpose = request.purpose
        return Readback(
            purpose=purpose,
            stage=self.stage(),
            axis_deg=self.settings.axis_deg - self.settings.axis_error_deg,
            image_shift_yx_A=self._image_shift,
            beam_shift_yx_A=self._beam_shift,
            defocus_A=self._defocus_A,
            exposure_e_A2=request.exposure_e_A2,
            dose_rate_e_px_s=arriving_e_px / seconds,
            began=began,
            seconds=seconds,
            counts_min=float(summed.min()) if summed.size else 0.0,
            counts_max=float(summed.max()) if summed.size else 0.0,
            counts_mean=float(summed.mean()) if summed.size else 0.0,
        )
