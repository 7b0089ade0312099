"""`Twin`: a simulated microscope with a specimen in it, a `Microscope` like any other, and the truth about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.core.frames import rotation_about_y, rotation_about_z
from eucentric.design import Camera, Routine, Stage
from eucentric.detector import Sensor
from eucentric.microscope import BeamLostError, ExposureRequest, Image, Movie, ShiftYX, StageLimits
from eucentric.optics import Aberrations, Lens, wavelength_A
from eucentric.specimen.motion import MotionField
from eucentric.specimen.sample import Sample
from eucentric.twin.controls import Controls
from eucentric.twin.delivered import Delivered, Spot
from eucentric.twin.field import Field
from eucentric.twin.imaging import Imaging, Shot
from eucentric.twin.log import TwinLog
from eucentric.twin.mechanics import Mechanics
from eucentric.twin.moving import Moving
from eucentric.twin.scene import View
from eucentric.twin.settings import Effects, TwinSettings
from eucentric.twin.sighting import sighted
from eucentric.twin.sites import Site, nearest
from eucentric.twin.truth import ExposureTruth, FrameTruth

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

_CAMERA_PIXEL_A = 1.7  # in the middle of the 1 to 2 Å at which tilt series are recorded
_NEXT_SITE = 7919  # between the seeds of two sites, whose ice moves each in its own way
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


class Twin(Controls):
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
    sites
        What is in the microscope where it is furnished in several places; `sample` then tells the ice's thickness.
    log
        Where it keeps its own record of what hits the specimen; one that has been kept before is taken up, as if no
        time had passed.
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
        sites: Sequence[Site] = (),
        log: TwinLog | None = None,
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
        self._imaging = Imaging(
            settings=self.settings,
            effects=self.effects,
            lens=self.lens,
            dose_rate_e_A2_per_s=self.routine.dose_rate_e_A2_per_s,
            pixel_A=pixel_A,
            shape_yx=shape_yx,
            binning=self.binning,
            seed=seed,
        )
        mechanics = Mechanics(self.settings.stage, seed, stage=stage or Stage(), limits=limits)
        super().__init__(mechanics, self.settings.began, self.settings.axis_deg - self.settings.axis_error_deg)
        self._field_A = max(shape_yx) * pixel_A
        self.sites = tuple(sites) or (Site("", np.zeros(3), sample),)
        self._movings = [
            Moving(
                MotionField(self.settings.motion, seed + _NEXT_SITE * at, self._field_A),
                site.sample.matrix.frame,
                self.settings.axis_deg,
            )
            for at, site in enumerate(self.sites)
        ]
        self._log = log
        self.last: ExposureTruth | None = None
        spots, state = log.history() if log else ([], None)
        self._delivered = Delivered(spots)
        if state is not None:
            self.restore(state)

    # What the specimen and the camera are

    @property
    def sensor(self) -> Sensor:
        """The camera, with its own pixels."""
        return self._imaging.sensor

    def camera(self) -> Camera:
        """Return the camera that predictions of `design` should be made for."""
        return self._imaging.camera

    @property
    def detection(self) -> float:
        """Share of the arriving electrons that the camera counts, where no specimen is in the way."""
        return self._imaging.detection

    @property
    def exposures(self) -> int:
        """How often the specimen has been exposed."""
        return self._exposures

    @property
    def beam_radius_A(self) -> float:
        """Radius of the beam on the specimen."""
        return self._imaging.beam_radius_A

    # The rest of the protocol `Microscope`

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

    def site_place_A(self, name: str) -> Array:
        """Return where a site is on the specimen, (3,)."""
        return self.sites[self._site_index(name)].place_zyx_A

    def _site_index(self, name: str) -> int:
        return next(at for at, site in enumerate(self.sites) if site.name == name)

    def received_e_A2(self, site: str) -> float:
        """Return what the origin of a site has received so far."""
        return self._delivered.at(self.site_place_A(site))

    def centre_zyx_A(self, truth: ExposureTruth) -> Array:
        """Return the place of an exposure's site, in the middle plane, that lay in the centre of its image, (3,)."""
        moving = self._movings[self._site_index(truth.site)]
        return moving.on_specimen(View.of(truth.view, truth.height_A, self.settings.hand), np.zeros(2))

    def seen_yx_A(self, truth: ExposureTruth, site: str, place_zyx_A: Array | None = None) -> ShiftYX:
        """Return where a place of a site, its origin by default, lay in an exposure's image.

        From the image's centre, along the tilt axis and across it.
        """
        place = self.site_place_A(site) - self.site_place_A(truth.site)
        if place_zyx_A is not None:
            place = place + place_zyx_A
        seen = truth.view.sample2image()(place)
        y, x = (rotation_about_z(-truth.view.axis_deg) @ np.array([0.0, *seen[1:]]))[1:]
        return float(y), float(x)

    def deformation(self, exposures: Sequence[ExposureTruth]) -> tuple[Array, Array]:
        """Return how far the slab's places had moved by the middle of each exposure.

        Returns
        -------
        tuple of numpy.ndarray
            Places in the slab's plane, yx in Å, (rows, columns, 2), and displacements zyx in the slab's frame in Å,
            (n, rows, columns, 3).
        """
        received = [one.pre_exposure_e_A2 + one.exposure_e_A2 / 2 for one in exposures]
        return self._movings[0].deformation(self._field_A, received)

    def _expose(
        self, request: ExposureRequest, field: Field, *, radius_A: float, low_magnification: bool = False
    ) -> Exposed:
        if not self._beam_on:
            raise BeamLostError("There is no beam: its valves are closed; the specimen was not exposed.", "Open them.")
        number, began, starts = self._exposures, self.now(), self._elapsed_s
        seconds = request.exposure_e_A2 / self.routine.dose_rate_e_A2_per_s
        site, moving = self._in_view(starts + seconds / 2)
        sighting = sighted(
            self.state(),
            self._mechanics,
            site,
            moving,
            at_s=starts + seconds / 2,
            hand=self.settings.hand,
            beam_offset_yx_A=self.settings.beam_offset_yx_A if self.effects.beam else (0.0, 0.0),
        )
        before = self._delivered.at(site.place_zyx_A + sighting.centre_zyx_A)
        spot = Spot.of(sighting.beam_zyx_A, sighting.view.rotation[0], radius_A, request.exposure_e_A2)
        # From here on the specimen has been exposed, whatever becomes of the image.
        self._elapsed_s += seconds + self.settings.readout_s
        self._exposures += 1
        if self._log is not None:
            self._log.hit(spot, self.state(), request)
        self._delivered.book(spot)
        view = replace(sighting.view, displacement=moving.displacement(before + request.exposure_e_A2 / 2))
        motions = moving.frame_motions(
            field,
            view,
            self._mechanics,
            number=number,
            starts_s=starts,
            seconds=seconds,
            before_e_A2=before,
            exposure_e_A2=request.exposure_e_A2,
            frames=request.frames,
            local=self.pixels,
        )
        shot = Shot(
            number=number,
            field=field,
            view=view,
            aberrations=self._aberrations(),
            motions=motions,
            exposure_e_A2=request.exposure_e_A2,
            pre_exposure_e_A2=before,
            starts_s=starts,
            seconds=seconds,
            beam_yx_A=sighting.beam_yx_A,
            low_magnification=low_magnification,
        )
        image = self._imaging.image if self.pixels else self._imaging.without_pixels
        imaged = image(site.sample, shot)
        truth = ExposureTruth(
            number=number,
            purpose=request.purpose,
            target=request.target,
            order=request.order,
            site=site.name,
            view=sighting.alignment,
            height_A=sighting.height_A,
            defocus_A=self._defocus_A + view.adds_defocus_A(sighting.centre_zyx_A),
            astigmatism_A=shot.aberrations.astigmatism_A,
            astigmatism_deg=shot.aberrations.astigmatism_deg,
            beam_tilt_yx_mrad=shot.aberrations.beam_tilt_yx_mrad,
            exposure_e_A2=request.exposure_e_A2,
            pre_exposure_e_A2=before,
            transmission=imaged.transmission,
            expected_e_px=imaged.arriving_e_px,
            frames=tuple(FrameTruth(exposure_e_A2=shot.frame_e_A2, shift_yx_A=motion.shift_yx_A) for motion in motions),
            began=began,
            seconds=seconds,
        )
        self.last = truth
        if self._log is not None:
            self._log.tell(truth)
        readback = self._readback(request, imaged.frames, imaged.arriving_e_px / seconds, began, seconds)
        return Exposed(Movie(imaged.frames, field.pixel_A, readback), truth, imaged.expected_e_px)

    def _in_view(self, at_s: float) -> tuple[Site, Moving]:
        """Return the site that lies nearest to the image's centre, and how it moves."""
        centre = np.array(self._image_shift) - self._mechanics.offset_zyx_A(at_s)[1:]
        at = nearest(self.sites, rotation_about_y(self._mechanics.true_tilt_deg), centre)
        return self.sites[at], self._movings[at]

    # Optics

    def _aberrations(self) -> Aberrations:
        tilted_by = self.settings.coma_mrad_per_um * 1e-4 * np.array(self._image_shift) + np.array(self._beam_tilt)
        y, x = self._movings[0].in_image(tilted_by).tolist()
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
