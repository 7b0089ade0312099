"""What a plan will yield: every image, and the volume made of them.

One tilt j of exposure e after pre-exposure E gives, at frequency k,
``I_j = S T_j DQE CTF² Ne [exp(-E/Ne) - exp(-(E+e)/Ne)] exp(-4 pi² sigma_j² k²)``, times what motion within a frame,
the spread of energy and readout noise leave; sigma_j is the error of its placement along each axis.
"""

import math
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from eucentric.core import Record
from eucentric.design.geometry import crowther_A, elongation, missing_wedge_fraction
from eucentric.design.instrument import Alignability, Camera, Specimen
from eucentric.design.plan import Plan
from eucentric.design.signal import signal_A2
from eucentric.design.timing import Clock, clock
from eucentric.design.transfer import asymmetry, signal_transfer
from eucentric.design.volume import VolumeSSNR, ssnr_map, volume_ssnr
from eucentric.optics import (
    Lens,
    ctf,
    elastic_mean_free_path_A,
    mean_ctf2,
    mean_free_path_A,
    temporal_envelope,
    transmission,
    useful_exposure_e_A2,
)

Array = NDArray[np.float64]

REFERENCE_E_A2 = 3.0
"""The exposure that `Alignability.error_A` is for."""

PUBLISHED_A = 10.0
"""Resolution at which transfer and asymmetry are summed up."""

TRANSFERS_A = (40.0, 20.0, 10.0, 5.0, 3.0)
"""Resolutions at which the summary gives the transfer."""

ISOTROPY = 0.5
"""How much gaps and the wedge count, from 0 (bits alone, which hardly feel gaps where each cell holds little) to 1."""

_FREQUENCIES = 96  # bins from 0 to Nyquist; twice as many change the bits of a usual design by under 0.1 %
_EYE_A = 20.0  # to where an image is low-passed for its SNR, and to where alignment uses it
_LOST = 1e12  # times the variance of the reference: an image that cannot be placed
_FIELD_A2 = 1e8  # a square micrometre of specimen, for which bits are given


class Terms(Record):
    """Which of the things that cost information are counted; all but for asking what one of them costs."""

    sampling: bool = True
    alignment: bool = True
    motion: bool = True
    transmission: bool = True
    damage: bool = True


EVERYTHING = Terms()


class Summary(Record):
    """A plan in a few numbers.

    Parameters
    ----------
    tilts, exposure_e_A2
        How many, and their sum.
    missing_wedge_fraction, elongation
        Share of Fourier space beyond the range, and how much longer along the beam a point appears (none where a
        single tilt says nothing of it).
    crowther_A
        Resolution to which the object, or the slab where no diameter is given, is sampled without gaps; none for a
        single tilt.
    reversals, stage_travel_deg, duration_s
        What the stage does, and how long it all takes.
    information_bits
        Bits that the volume holds for each square micrometre of specimen: the integral of ``log2(1 + SSNR)`` over
        the cells of Fourier space that were measured, of the slab or of one layer of objects where a diameter is
        given; `information_bits_range` is that over the published range of the mean free path.
    worth
        The same bits, each frequency's times the share of directions that are measured there, to the power `ISOTROPY`:
        what is seen from few sides, or with gaps between them, is worth less.
    particles
        Particles to be averaged for a resolution of `PUBLISHED_A` by FSC 0.143, if that were all (no crowding, no
        wrong orientation); none where it cannot be reached.
    asymmetry, transfer, transfers
        Hagen's figures at `PUBLISHED_A` (see `transfer`), and the transfer at `TRANSFERS_A`; of the plan's exposures
        alone, without what tracking in place may add.
    largest_alignment_error_A
        Of the worst placed image, rms along each axis.
    lowest_session_ctf2
        Least CTF², averaged over the series of the session, between 40 Å and 10 Å, for a point of the untilted slab.
    """

    tilts: int
    exposure_e_A2: float
    missing_wedge_fraction: float
    elongation: float | None
    crowther_A: float | None
    reversals: int
    stage_travel_deg: float
    duration_s: float
    information_bits: float
    information_bits_range: tuple[float, float]
    worth: float
    particles: float | None
    asymmetry: float
    transfer: float
    transfers: dict[str, float]
    largest_alignment_error_A: float
    lowest_session_ctf2: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a plan will yield; arrays over tilts, (n,), are in the order of acquisition, those over k are (m,).

    `snr` is that of the image low-passed to 20 Å, within a particle; `information` is the SSNR of each image, (n, m).
    """

    plan: Plan
    terms: Terms
    k: Array
    thickness_A: Array
    transmission: Array
    transmission_range: tuple[Array, Array]
    counts_per_px: Array
    snr: Array
    alignment_error_A: Array
    information: Array
    clock: Clock

    @cached_property
    def volume(self) -> VolumeSSNR:
        """The volume's SSNR, averaged over directions."""
        return self._volume(self.information)

    @property
    def bits_per_A(self) -> Array:
        """Bits of the volume at each frequency, for each 1/Å of it and square micrometre of specimen, (m,)."""
        # Half the cells: the other half are their complex conjugates.
        specimen = self.plan.design.specimen
        depth_A = specimen.diameter_A or specimen.thickness_A  # as deep as what is sampled
        cells_per_A = 0.5 * _FIELD_A2 * depth_A * 4 * math.pi * self.k**2
        return np.asarray(cells_per_A * self.volume.bits)

    @property
    def information_bits(self) -> float:
        """Bits of the volume for each square micrometre of specimen."""
        return float(self.bits_per_A.sum() * self._width)

    def worth(self, isotropy: float = ISOTROPY) -> float:
        """Return the same, each frequency's bits times the share of directions measured to the power `isotropy`."""
        return float((self.bits_per_A * self.volume.measured**isotropy).sum() * self._width)

    def particles(self, resolution_A: float) -> float | None:
        """Return the number of particles that, averaged, reach a resolution by FSC 0.143; none if no number does."""
        specimen, slab = self.plan.design.specimen, self.plan.design.slab
        diameter_A = specimen.particle_diameter_A
        one = volume_ssnr(self.k, self.information, slab.slab_deg, specimen.thickness_A, diameter_A)
        ssnr = float(np.interp(1 / resolution_A, self.k, one.ssnr, right=0.0))
        # Half the particles have SSNR s with s/(1+s) = 0.143, so s = 1/6.
        return 1 / (3 * ssnr) if ssnr > 1e-12 else None

    def ssnr(self, directions_deg: Array) -> Array:
        """Return the SSNR in the plane across the tilt axis, (directions, m)."""
        slab, specimen = self.plan.design.slab, self.plan.design.specimen
        return ssnr_map(
            self.k, directions_deg, self.information, slab.slab_deg, specimen.thickness_A, specimen.diameter_A
        )

    def session_ctf2(self, k: Array) -> Array:
        """Return CTF² at `k`, averaged over the series of the session, for a point of the untilted slab; as `k`."""
        design = self.plan.design
        each = [ctf(k, defocus_A, design.lens) ** 2 for defocus_A in design.defocus.session_A()]
        return np.asarray(np.mean(each, axis=0))

    @cached_property
    def summary(self) -> Summary:
        """The plan in a few numbers."""
        plan, slab = self.plan, self.plan.design.slab
        specimen = plan.design.specimen
        low, high = float(slab.slab_deg.min()), float(slab.slab_deg.max())
        extent_A = specimen.diameter_A or float(slab.path_A.max())
        gap_deg = float(np.diff(np.sort(slab.slab_deg)).max()) if len(plan) > 1 else None
        return Summary(
            tilts=len(plan),
            exposure_e_A2=float(sum(exposure.exposure_e_A2 for exposure in plan)),
            missing_wedge_fraction=missing_wedge_fraction(low, high),
            elongation=elongation((high - low) / 2) if high > low else None,
            crowther_A=None if gap_deg is None else crowther_A(extent_A, gap_deg),
            reversals=self.clock.reversals,
            stage_travel_deg=self.clock.stage_travel_deg,
            duration_s=self.clock.duration_s,
            information_bits=self.information_bits,
            information_bits_range=self._bits_over_range(),
            worth=self.worth(),
            particles=self.particles(PUBLISHED_A),
            asymmetry=float(asymmetry(plan, 1 / PUBLISHED_A)),
            transfer=float(signal_transfer(plan, 1 / PUBLISHED_A)),
            transfers={
                f"{d:g} A": float(value)
                for d, value in zip(TRANSFERS_A, signal_transfer(plan, 1 / np.array(TRANSFERS_A)), strict=True)
            },
            largest_alignment_error_A=float(self.alignment_error_A.max()),
            lowest_session_ctf2=float(self.session_ctf2(np.linspace(1 / 40, 1 / 10, 2000)).min()),
        )

    @property
    def _width(self) -> float:
        return float(2 * self.k[0])  # bins are centred

    def _volume(self, information: Array) -> VolumeSSNR:
        slab, specimen = self.plan.design.slab, self.plan.design.specimen
        gapless = not self.terms.sampling
        return volume_ssnr(
            self.k, information, slab.slab_deg, specimen.thickness_A, specimen.diameter_A, gapless=gapless
        )

    def _bits_over_range(self) -> tuple[float, float]:
        low, high = (
            replace(self, information=_images(self.plan, self.k, share, self.terms).information)
            for share in self.transmission_range
        )
        return low.information_bits, high.information_bits


@dataclass(frozen=True, eq=False)
class _Images:
    """What each image holds, (n, m), before its placement is known any worse and after; and that error, (n,)."""

    recorded: Array
    information: Array
    alignment_error_A: Array


def predict(plan: Plan, terms: Terms = EVERYTHING) -> Prediction:
    """Return what a plan will yield.

    Parameters
    ----------
    plan
        What is to be acquired.
    terms
        What to count; everything, but for asking what one of the costs amounts to.
    """
    slab, specimen, camera = plan.design.slab, plan.design.specimen, plan.design.camera
    exposures = np.array([exposure.exposure_e_A2 for exposure in plan])
    k: Array = (np.arange(_FREQUENCIES, dtype=float) + 0.5) / (2 * camera.pixel_A * _FREQUENCIES)
    images = _images(plan, k, slab.transmission, terms)
    eye = k < 1 / _EYE_A
    ranges = tuple(
        transmission(slab.path_A, mean_free_path_A(plan.design.lens.voltage_kV, at_300))
        for at_300 in specimen.mean_free_path_range_A
    )
    return Prediction(
        plan=plan,
        terms=terms,
        k=k,
        thickness_A=slab.path_A,
        transmission=slab.transmission,
        transmission_range=(ranges[0], ranges[1]),
        counts_per_px=exposures * slab.transmission * camera.pixel_A**2,
        snr=(images.recorded * k)[:, eye].sum(axis=1) / k[eye].sum() if eye.any() else np.zeros(len(plan)),
        alignment_error_A=images.alignment_error_A,
        information=images.information,
        clock=clock(plan),
    )


def _images(plan: Plan, k: Array, passed: Array, terms: Terms) -> _Images:
    """Return what each image holds at the frequencies `k` (bins from 0 to Nyquist) if such shares of the beam pass."""
    design, slab = plan.design, plan.design.slab
    camera, lens = design.camera, design.lens
    exposures = np.array([exposure.exposure_e_A2 for exposure in plan])
    before = np.array([exposure.pre_exposure_e_A2 for exposure in plan])
    before = before + design.routine.moves_e_A2 * np.arange(1, len(plan) + 1)
    frames = np.array([exposure.frames for exposure in plan])
    seen = passed if terms.transmission else np.ones_like(passed)
    # What each electron would tell of an undamaged specimen, of points at every height and place of the field.
    tilt = np.deg2rad(slab.slab_deg)
    field_A = camera.pixel_A * camera.columns
    contrast = mean_ctf2(
        k,
        design.defocus.this_A(),
        lens,
        spread_A=slab.path_A[:, None],
        other_spread_A=(field_A * np.abs(np.tan(tilt)))[:, None],
        width_per_A=2 * float(k[0]),
    )
    if terms.damage:
        useful = useful_exposure_e_A2(k, before[:, None], exposures[:, None], lens.voltage_kV)
    else:
        useful = np.broadcast_to(exposures[:, None], contrast.shape)
    read = np.ones_like(seen)
    if camera.readout_e:
        counts = exposures * seen * camera.pixel_A**2
        read = counts / (counts + frames * camera.readout_e**2)
    kept = _coherent(plan, slab.path_A) ** 2 if terms.transmission else np.ones_like(passed)
    recorded = _strength(k, design.specimen, camera, lens) * contrast * useful * (seen * read * kept)[:, None]
    error_A = _alignment_error_A(design.alignability, k, recorded)
    information = recorded
    if terms.alignment:
        information = information * np.exp(-4 * math.pi**2 * (error_A[:, None] * k) ** 2)
    if terms.motion:
        moved_A = design.alignability.motion_A_per_e_A2 * exposures / frames
        # A frame smeared over a length L along one axis; the mean over directions of sinc²(k L cos) is near this.
        information = information * np.exp(-(math.pi**2) / 6 * (moved_A[:, None] * k) ** 2)
    return _Images(recorded, information, error_A)


def _coherent(plan: Plan, path_A: Array) -> Array:
    """Return the share of a contrast that plural elastic scattering leaves after a path through ice."""
    at_300_A, voltage_kV = plan.design.specimen.elastic_mean_free_path_A, plan.design.lens.voltage_kV
    if at_300_A is None:
        return np.ones_like(path_A)
    length_A = at_300_A * elastic_mean_free_path_A(voltage_kV) / elastic_mean_free_path_A(300.0)
    return np.asarray(np.exp(-path_A / length_A))


def _strength(k: Array, specimen: Specimen, camera: Camera, lens: Lens) -> Array:
    """Return the SSNR that each e/Å² gives at `k`, for full contrast."""
    dqe = camera.dqe_zero + (camera.dqe_nyquist - camera.dqe_zero) * k * 2 * camera.pixel_A
    return np.asarray(signal_A2(k, specimen, lens.voltage_kV) * dqe * temporal_envelope(k, lens) ** 2)


@cache
def _reference() -> float:
    """Return the information about a shift that `Alignability.error_A` is for, as `_alignment_error_A` sums it up."""
    camera = Camera()
    width = 1 / (2 * camera.pixel_A * _FREQUENCIES)
    k: Array = (np.arange(_FREQUENCIES, dtype=float) + 0.5) * width
    # CTF² is a half in the mean.
    strength = 0.5 * REFERENCE_E_A2 * _strength(k, Specimen(), camera, Lens())
    return float((strength * k**3)[k < 1 / _EYE_A].sum() * width)


def _alignment_error_A(known: Alignability, k: Array, recorded: Array) -> Array:
    """Return the error of each image's placement, rms along one axis.

    The information about a shift goes as the integral of ``k³ SSNR`` (the Cramér-Rao bound of matching an image to
    its prediction); the variance is that of the reference over what the image has of it.
    """
    own = (recorded * k**3)[:, k < 1 / _EYE_A].sum(axis=1) * 2 * k[0]
    reference = _reference()
    ratio = np.divide(reference, own, out=np.full_like(own, _LOST), where=own > reference / _LOST)
    return np.asarray(np.sqrt(known.floor_A**2 + known.error_A**2 * ratio))
