"""`Imaging`: from how the specimen is seen to the camera's counts: losses, the beam's profile, the frames."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eucentric.design import Camera
from eucentric.detector import Detector, Sensor, as_movie, design_camera
from eucentric.optics import Aberrations, Lens, elastic_mean_free_path_A, mean_free_path_A
from eucentric.specimen.sample import Sample
from eucentric.twin.field import Field
from eucentric.twin.formation import form
from eucentric.twin.frames import FrameConditions, FrameMotion, expected_frames
from eucentric.twin.scene import Scene, View
from eucentric.twin.settings import Effects, TwinSettings

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Counts = NDArray[np.uint8] | NDArray[np.uint16]

_BEAM_OVER_FIELD = 1.3  # radius of the beam over half the field's diagonal


@dataclass(frozen=True, eq=False)
class Shot:
    """An exposure, as it is to be imaged.

    Attributes
    ----------
    number
        Of all exposures of the twin: names its random streams.
    field, view, aberrations
        The grid, how it sees the specimen, and through which lens.
    motions
        Of the frames, one each.
    exposure_e_A2, pre_exposure_e_A2
        What the place in the image's centre receives now, and had received before.
    starts_s, seconds
        Since the session began, and for how long.
    beam_yx_A
        Where the beam's centre is in the image, from the image's.
    low_magnification
        Whether it is taken at low magnification: no beam's edge, no camera's blur, no frames but their expected sum.
    """

    number: int
    field: Field
    view: View
    aberrations: Aberrations
    motions: list[FrameMotion]
    exposure_e_A2: float
    pre_exposure_e_A2: float
    starts_s: float
    seconds: float
    beam_yx_A: Array
    low_magnification: bool = False

    @property
    def frame_e_A2(self) -> float:
        """What each frame is given."""
        return self.exposure_e_A2 / len(self.motions)


@dataclass(frozen=True, eq=False)
class Imaged:
    """What came of a shot.

    Attributes
    ----------
    frames
        Counts (frame, y, x); (frame, 0, 0) where the camera gives none.
    expected_e_px
        Electrons that arrive at each pixel, (y, x), the frames summed; empty where no pixels are made.
    transmission
        Share of the electrons that pass, in the mean over the image.
    arriving_e_px
        Electrons that arrive at a pixel, in the mean over the image.
    """

    frames: Counts
    expected_e_px: Floats
    transmission: float
    arriving_e_px: float


@dataclass(frozen=True, eq=False)
class Imaging:
    """Beam, losses and camera of a twin.

    Attributes
    ----------
    settings, effects, lens
        The microscope, what is on, and its objective lens.
    dose_rate_e_A2_per_s
        On the specimen.
    pixel_A, shape_yx, binning
        Of the camera's images; `binning` of its own pixels lie along each side of theirs.
    seed
        Of the camera, and of the grain of the ice.
    """

    settings: TwinSettings
    effects: Effects
    lens: Lens
    dose_rate_e_A2_per_s: float
    pixel_A: float
    shape_yx: tuple[int, int]
    binning: int
    seed: int
    _scenes: dict[tuple[Sample, float], Scene] = field(init=False, default_factory=dict)

    # The camera

    @cached_property
    def sensor(self) -> Sensor:
        """The camera, with its own pixels."""
        return Sensor(self._binned(self.settings.detector), self.shape_yx, self.seed)

    @property
    def camera(self) -> Camera:
        """The camera that predictions of `design` should be made for."""
        binned = self._binned(self.settings.detector)
        return design_camera(binned, self.pixel_A, self.shape_yx, binning=self.binning)

    @property
    def detection(self) -> float:
        """Share of the arriving electrons that the camera counts, where no specimen is in the way."""
        rate = self.dose_rate_e_A2_per_s * self.pixel_A**2
        return self.sensor.detector.counted_share(rate) if self.effects.noise else 1.0

    def _binned(self, detector: Detector) -> Detector:
        """Return the detector with what its own pixels lose to coincidence, in the mean, as electrons not detected."""
        if self.binning == 1 or not detector.coincidence:
            return detector
        own_A2 = (self.pixel_A / self.binning) ** 2
        share = detector.counted_share(self.dose_rate_e_A2_per_s * own_A2)
        return detector.replace(detection=share, coincidence=False)

    # From a shot to its image

    @property
    def beam_radius_A(self) -> float:
        """Radius of the beam on the specimen."""
        half_diagonal = math.hypot(*self.shape_yx) * self.pixel_A / 2
        return self.settings.beam_radius_A or _BEAM_OVER_FIELD * half_diagonal

    def image(self, sample: Sample, shot: Shot) -> Imaged:
        """Return what a shot of a sample gives."""
        spectra = form(
            self._scene(sample, shot.field.pixel_A, shot.starts_s),
            shot.view,
            shot.field,
            self.lens,
            shot.aberrations,
            solvent=self.effects.solvent,
            seed=self.seed,
            names=("exposure", shot.number),
        )
        conditions = self._conditions(shot)
        passed = float(np.exp(-spectra.path_A / conditions.mean_free_path_A).mean())
        frames, total = self._recorded(shot, expected_frames(spectra, shot.field, shot.motions, conditions))
        return Imaged(frames, total, passed, float(total.mean()))

    def without_pixels(self, sample: Sample, shot: Shot) -> Imaged:
        """Return what is known of a shot where no pixels are made: what passes ice of the mean thickness."""
        slope = abs(float((sample.matrix.frame @ shot.view.rotation.T)[0, 0]))
        passed = math.exp(-sample.matrix.thickness_A / max(slope, 1e-3) / self._loss_A())
        arriving_e_px = passed * shot.exposure_e_A2 * shot.field.pixel_A**2
        frames = np.zeros((len(shot.motions), 0, 0), np.uint8)
        return Imaged(frames, np.zeros((0, 0), np.float32), passed, arriving_e_px)

    def _scene(self, sample: Sample, pixel_A: float, at_s: float) -> Scene:
        grown_A = self.settings.ice_growth_A_per_h * at_s / 3600
        key = (sample, pixel_A)
        if key not in self._scenes:
            self._scenes[key] = Scene.of(sample, pixel_A)
        return self._scenes[key].grown(grown_A) if grown_A else self._scenes[key]

    def _loss_A(self) -> float:
        """Return the inelastic mean free path; infinite where no loss is counted."""
        if not self.effects.inelastic:
            return math.inf
        return mean_free_path_A(self.lens.voltage_kV, self.settings.mean_free_path_A)

    def _conditions(self, shot: Shot) -> FrameConditions:
        k = shot.field.k
        mtf = (
            np.ones_like(k)
            if shot.low_magnification
            else self.settings.detector.mtf_at(k * shot.field.pixel_A / self.binning)
        )
        return FrameConditions(
            exposures_e_A2=(shot.frame_e_A2,) * len(shot.motions),
            pre_exposure_e_A2=shot.pre_exposure_e_A2,
            voltage_kV=self.lens.voltage_kV,
            mean_free_path_A=self._loss_A(),
            elastic_A=elastic_mean_free_path_A(self.lens.voltage_kV) if self.effects.plural_scattering else math.inf,
            filtered=self.effects.energy_filter,
            damage=self.effects.damage,
            ice_motion=self.effects.ice_motion,
            beam=None if shot.low_magnification or not self.effects.beam else self._beam_profile(shot),
            mtf=mtf,
        )

    def _beam_profile(self, shot: Shot) -> Floats:
        """Return the share of the beam's intensity in each pixel (y, x)."""
        rows, columns = shot.field.shape_yx
        y = (np.arange(rows) - rows // 2)[:, None] * shot.field.pixel_A - shot.beam_yx_A[0]
        x = (np.arange(columns) - columns // 2)[None] * shot.field.pixel_A - shot.beam_yx_A[1]
        outside = np.clip((np.hypot(y, x) - self.beam_radius_A) / self.settings.beam_edge_A, -50, 50)
        return np.asarray(1 / (1 + np.exp(outside)), dtype=np.float32)

    def _recorded(self, shot: Shot, expected: Iterable[Floats]) -> tuple[Counts, Floats]:
        """Return what the camera makes of the expected frames, and their sum."""
        total = np.zeros(shot.field.shape_yx, np.float32)
        counts = []
        for frame, arriving in enumerate(expected):
            total += arriving
            if shot.low_magnification:
                continue
            if self.effects.noise:
                frame_s = shot.seconds / len(shot.motions)
                counts.append(self.sensor.read(arriving, frame_s, "exposure", shot.number, "frame", frame))
            else:
                counts.append(np.rint(np.clip(arriving, 0, 65535)).astype(np.uint16))
        if shot.low_magnification:
            return np.zeros((len(shot.motions), 0, 0), np.uint8), total
        return as_movie(counts, shot.frame_e_A2 * shot.field.pixel_A**2), total
