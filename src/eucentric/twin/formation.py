"""How an image comes about: the sample in thin slices along the beam, each with its own defocus, summed in the lens.

In the weak-phase picture an image is ``1 - 2 sigma sum over slices of V_s ⊗ sin(chi_s)``: each slice's projected
potential V_s passes the lens at the defocus of its own height, so that the ramp of a tilted field and the depth of the
specimen are both there without being put in. Gold is no weak phase: its whole wave ``exp(i sigma V - absorption) - 1``
passes, and its image is ``|1 + u|² - 1``. What the exposure will damage (molecules), move (ice) and leave alone (gold,
carbon) is kept apart.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, ifft2, irfft2, rfft2

from eucentric.core.counter import stream_key
from eucentric.core.jit import compiled, parallel_range
from eucentric.optics import (
    Aberrations,
    Lens,
    coma_phase_rad,
    depth_of_field_A,
    envelope,
    even_phase_rad,
    interaction_rad_per_VA,
    wavelength_A,
)
from eucentric.specimen.deposit import deposit, spline_transfer
from eucentric.specimen.scattering import Basis
from eucentric.specimen.solvent import (
    CARBON_V,
    carbon_amplitude,
    draw_layer,
    ice_amplitude,
)
from eucentric.twin.beads import bead_waves
from eucentric.twin.field import Field
from eucentric.twin.scene import Scene, Seen, View

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Complex = NDArray[np.complex64]

COARSE_PX = 8  # the ice's thickness is worked out at every eighth pixel: faces and edges are smoother than that
_FINEST_A = 3.0  # no slice is made thinner for frequencies beyond this
_MEMORY_BYTES = 600e6  # of slices at once
_WORKERS = -1  # as many as there are processors


@dataclass(frozen=True, eq=False)
class Spectra:
    """The contrast of an image, in Fourier space (half transforms of the padded field, complex64), by what it is of.

    Attributes
    ----------
    molecules
        Damaged by the exposure.
    ice
        The grain of the ice as the exposure finds it, and another, as it is once all its molecules have moved.
    lasting
        Gold and carbon: neither damaged nor moved.
    path_A
        Length of the beam's way through ice and carbon in each pixel of the image, (y, x) float32.
    """

    molecules: Complex
    ice: tuple[Complex, Complex]
    lasting: Complex
    path_A: Floats


def slice_edges_A(
    scene: Scene, view: View, field: Field, voltage_kV: float, finest_A: float = _FINEST_A, seen: Seen | None = None
) -> Array:
    """Return the edges of slices along the beam that hold all that is in view, each within the depth of field.

    `seen` is what is in view (`Scene.in_view`), where it is known already.
    """
    lows, highs = [], []
    for _, cloud, places in scene.in_view(view, field.half_size_A) if seen is None else seen:
        lows.append(float(places[:, 0].min()) - cloud.radius_A)
        highs.append(float(places[:, 0].max()) + cloud.radius_A)
    beads, radii_A = view.places_A(scene.sample.beads.centres_A), scene.sample.beads.radii_A
    near: NDArray[np.bool_] = np.all(np.abs(beads[:, 1:]) < np.array(field.half_size_A) + radii_A[:, None], axis=1)
    if near.any():
        lows.append(float((beads[near, 0] - radii_A[near]).min()))
        highs.append(float((beads[near, 0] + radii_A[near]).max()))
    matrix = scene.sample.matrix
    own = matrix.frame @ view.rotation.T
    corners = np.array([(y, x) for y in (-1, 1) for x in (-1, 1)]) * np.array(field.half_size_A)
    if matrix.reach_A[1] > matrix.reach_A[0] and abs(own[0, 0]) > 1e-3:
        aside = own[0, 1:] @ (corners - view.origin_zyx_A[1:]).T
        z = view.origin_zyx_A[0] + (np.array(matrix.reach_A)[:, None] - aside) / own[0, 0]
        lows.append(float(z.min()))
        highs.append(float(z.max()))
    if not lows:
        lows, highs = [0.0], [0.0]
    thick = depth_of_field_A(max(2 * field.pixel_A, finest_A), voltage_kV)
    count = max(1, math.ceil((max(highs) - min(lows)) / thick + 1e-9))
    middle = (max(highs) + min(lows)) / 2
    return np.array(middle + (np.arange(count + 1) - count / 2) * thick, dtype=float)


def form(
    scene: Scene,
    view: View,
    field: Field,
    lens: Lens,
    aberrations: Aberrations,
    *,
    solvent: bool = True,
    seed: int = 0,
    names: tuple[str | int, ...] = (),
    finest_A: float = _FINEST_A,
) -> Spectra:
    """Return the contrast that a view of a scene gives, before damage, motion and detector.

    Parameters
    ----------
    scene, view, field
        What is imaged, how it is seen, and the grid.
    lens, aberrations
        The optics; the defocus is that at z = 0 of the image frame.
    solvent
        Whether ice and carbon have grain.
    seed, names
        Of the grain.
    finest_A
        Resolution at which a slice may hold no more than one defocus.
    """
    return Forming(scene, view, field, lens, aberrations, finest_A).run(solvent, seed, names)


class Forming:
    """The work of `form`: slices are filled, transformed and added up one after another."""

    def __init__(
        self, scene: Scene, view: View, field: Field, lens: Lens, aberrations: Aberrations, finest_A: float
    ) -> None:
        self.scene, self.view, self.field, self.lens, self.aberrations = scene, view, field, lens, aberrations
        self.seen = scene.in_view(view, field.half_size_A)
        self.edges_A = slice_edges_A(scene, view, field, lens.voltage_kV, finest_A, self.seen)
        self.slice_A = float(self.edges_A[1] - self.edges_A[0])
        self.count = len(self.edges_A) - 1
        self.sigma = interaction_rad_per_VA(lens.voltage_kV)
        ky, kx = field.frequencies(half=False)
        per_A = math.pi * wavelength_A(lens.voltage_kV) * view.hand * (ky**2 + kx**2)
        first_A = float(self.edges_A[0] + self.slice_A / 2)
        chi = even_phase_rad(ky, kx, aberrations, lens) + per_A * first_A
        self.phasor: Complex = np.exp(1j * chi).astype(np.complex64)
        self.step: Complex = np.exp(1j * per_A * self.slice_A).astype(np.complex64)
        # Gold and carbon absorb by themselves: without the amplitude contrast that stands for it in molecules.
        self.bare = np.complex64(np.exp(-1j * math.asin(lens.amplitude_contrast)))

    def run(self, solvent: bool, seed: int, names: tuple[str | int, ...]) -> Spectra:
        """Go through all slices, a few in memory at a time."""
        shape = self.field.padded_yx
        ice_A, carbon_A = self.ice_and_carbon_A
        has_carbon, has_ice = bool(carbon_A.any()), bool(ice_A.any())
        molecules, ice, carbon, gold = (np.zeros(shape, np.complex64) for _ in range(4))
        noise = np.zeros((2, *shape), np.float32)
        at_once = max(1, int(_MEMORY_BYTES / (8 * shape[0] * shape[1])))
        beads = self._beads()
        through = np.ones(shape, np.complex64)  # the beads met so far: one behind another sees what the first lets pass
        for first in range(0, self.count, at_once):
            grid = np.zeros((min(at_once, self.count - first), *shape), np.complex64)
            self._deposit(grid, first)
            for index in range(first, first + len(grid)):
                if self.seen:
                    _add_sine(fft2(grid[index - first], overwrite_x=True, workers=_WORKERS), self.phasor, molecules)
                if solvent and has_ice and ice_A[index].any():
                    both = self._grain("solvent", ice_A[index], noise, seed, names, index)
                    _add_sine(fft2(both, overwrite_x=True, workers=_WORKERS), self.phasor, ice)
                if solvent and has_carbon and carbon_A[index].any():
                    both = self._grain("carbon", carbon_A[index], noise, seed, names, index)
                    _add_sine(fft2(both, overwrite_x=True, workers=_WORKERS), self.phasor, carbon)
                if index in beads:
                    gold += fft2(beads[index] * through, workers=_WORKERS) * (self.phasor * self.bare)
                    through *= 1 + beads[index]
                self.phasor *= self.step
        return self._spectra(molecules, ice, carbon, gold, carbon_A, bool(beads))

    def potential(self, index: int, *, solvent: bool, seed: int, names: tuple[str | int, ...]) -> Floats:
        """Return the projected potential of one slice, with the grain of its ice, on the whole grid, in V·Å."""
        shape = self.field.padded_yx
        columns = self.field.k.shape[1]
        curves, grain, _ = _filters(self.scene.basis, self.field)
        grid = np.zeros((1, *shape), np.complex64)
        self._deposit(grid, index)
        parts = _separated(fft2(grid[0], workers=_WORKERS), columns)
        spectrum = curves[0] * parts[0] + curves[1] * parts[1]
        ice_A = self.ice_and_carbon_A[0][index]
        if solvent and ice_A.any():
            noise = np.zeros((2, *shape), np.float32)
            both = self._grain("solvent", ice_A, noise, seed, names, index)
            spectrum = spectrum + grain * _separated(fft2(both, workers=_WORKERS), columns)[0]
        return np.asarray(irfft2(spectrum, shape, workers=_WORKERS), dtype=np.float32)

    def path_A(self) -> Floats:
        """Return the length of the beam's way through ice and carbon in each pixel of the image."""
        total = sum(one.sum(axis=0) for one in self.ice_and_carbon_A)
        return np.ascontiguousarray(resized(np.asarray(total), COARSE_PX, self.field.padded_yx)[self.field.crop])

    @cached_property
    def ice_and_carbon_A(self) -> tuple[Floats, Floats]:
        """Return the ways through ice and carbon in every slice, on the coarse grid, which has a margin of one."""
        rows, columns = self.field.padded_yx
        shape = (-(-rows // COARSE_PX) + 2, -(-columns // COARSE_PX) + 2)
        step_A = COARSE_PX * self.field.pixel_A
        # Place 0 of the coarse grid is pixel 0 of the fine one.
        aside = [(n // 2) * step_A - (m // 2) * self.field.pixel_A for n, m in zip(shape, (rows, columns), strict=True)]
        origin = self.view.origin_zyx_A - np.array([0.0, *aside])
        return self.scene.sample.matrix.paths(self.view.rotation.T, origin, shape, step_A, self.edges_A)

    def _deposit(self, grid: Complex, first: int) -> None:
        pixel_A = self.field.pixel_A
        scale = 1 / np.array([self.slice_A, pixel_A, pixel_A])
        offset = np.array([self.edges_A[0] / self.slice_A + first, *(-(n // 2) for n in self.field.padded_yx)])
        for part, cloud, places in self.seen:
            near = (places[:, 0] + cloud.radius_A > self.edges_A[first]) & (
                places[:, 0] - cloud.radius_A < self.edges_A[first + len(grid)]
            )
            if near.any():
                turns = scale[:, None] * (self.view.rotation @ part.rotations[near])
                centres = places[near] * scale - offset
                radius = cloud.radius_A / pixel_A
                deposit(cloud.positions_A, cloud.weights, centres, np.ascontiguousarray(turns), radius, grid)

    def _grain(
        self, what: str, path_A: Floats, noise: Floats, seed: int, names: tuple[str | int, ...], index: int
    ) -> Complex:
        """Return two independent grains of a slice as real and imaginary part."""
        for which in range(2):
            draw_layer(stream_key(seed, what, *names, which, index), path_A, COARSE_PX, noise[which])
        both = np.empty(noise.shape[1:], np.complex64)
        both.real, both.imag = noise[0], noise[1]
        return both

    def _beads(self) -> dict[int, Complex]:
        beads = self.scene.sample.beads
        places = self.view.places_A(beads.centres_A)
        return bead_waves(places, beads.radii_A, self.edges_A, self.field, self.sigma)

    def _spectra(
        self,
        molecules: Complex,
        ice: Complex,
        carbon: Complex,
        gold: Complex,
        carbon_A: Floats,
        has_gold: bool,
    ) -> Spectra:
        field, lens = self.field, self.lens
        ky, kx = field.frequencies(half=True)
        k, columns = field.k, kx.shape[1]
        coma = np.exp(1j * coma_phase_rad(ky, kx, self.aberrations, lens))
        passed = (-2 * self.sigma * envelope(k, self.aberrations, lens) * coma).astype(np.complex64)
        curves, grain, carbon_grain = _filters(self.scene.basis, field)
        parts = _separated(molecules, columns)
        deposited = curves[0] * parts[0] + curves[1] * parts[1]
        grains = _separated(ice, columns)
        lasting = passed * carbon_grain * _separated(carbon, columns)[0]
        lasting += passed * self._edges_of_carbon(carbon_A)
        if has_gold:
            every_y, every_x = field.frequencies(half=False)
            gold *= np.exp(1j * coma_phase_rad(every_y, every_x, self.aberrations, lens)).astype(np.complex64)
            wave = ifft2(gold, overwrite_x=True, workers=_WORKERS)
            intensity = np.square(1 + wave.real) + np.square(wave.imag) - 1
            lasting += rfft2(intensity, workers=_WORKERS) * envelope(k, self.aberrations, lens).astype(np.float32)
        return Spectra(
            molecules=deposited * passed,
            ice=(grains[0] * grain * passed, grains[1] * grain * passed),
            lasting=lasting.astype(np.complex64),
            path_A=self.path_A(),
        )

    def _edges_of_carbon(self, carbon_A: Floats) -> Complex:
        """Return what the edge of the film does: its mean potential, at the defocus of the field's centre."""
        if not carbon_A.any():
            return np.zeros(self.field.k.shape, np.complex64)
        potential = CARBON_V * resized(carbon_A.sum(axis=0), COARSE_PX, self.field.padded_yx)
        potential = (potential - potential.mean()) * _window(self.field)
        ky, kx = self.field.frequencies(half=True)
        chi = even_phase_rad(ky, kx, self.aberrations, self.lens) - math.asin(self.lens.amplitude_contrast)
        return np.asarray(rfft2(potential, workers=_WORKERS) * np.sin(chi).astype(np.float32))


@lru_cache(maxsize=4)
def _filters(basis: Basis, field: Field) -> tuple[Floats, Floats, Floats]:
    """Return what deposited points, and white noise of ice and of carbon, are multiplied by, on the half transform.

    Frequencies beyond Nyquist's circle are cut: the spline's aliases rule there.
    """
    ky, kx = field.frequencies(half=True)
    pixel_A = field.pixel_A
    inside = field.k * 2 * pixel_A <= 1
    spread = spline_transfer(ky * pixel_A) * spline_transfer(kx * pixel_A) * pixel_A**2
    curves = np.where(inside, basis.at(field.k) / spread, 0).astype(np.float32)
    radial = np.linspace(0, float(field.k.max()), 2048)
    grains = (
        np.interp(field.k, radial, amplitude(radial) / pixel_A).astype(np.float32)
        for amplitude in (ice_amplitude, carbon_amplitude)
    )
    ice, carbon = grains
    return curves, ice, carbon


def resized(coarse: Floats, by: int, shape_yx: tuple[int, int]) -> Floats:
    """Return a coarse image on the fine grid, place 0 on place 0, with straight lines between places."""
    along = []
    for n, size in zip(shape_yx, coarse.shape, strict=True):
        at = np.arange(n) / by
        low = np.minimum(at.astype(int), size - 2)
        along.append((low, (at - low).astype(np.float32)))
    (j, v), (i, u) = along
    rows = coarse[j] * (1 - v)[:, None] + coarse[j + 1] * v[:, None]
    fine: Floats = rows[:, i] * (1 - u) + rows[:, i + 1] * u
    return fine


def _window(field: Field) -> Floats:
    """Return 1 over the image, falling to 0 at the border of the grid."""
    sides = []
    for n, inside in zip(field.padded_yx, field.shape_yx, strict=True):
        margin = (n - inside) / 2
        near = np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / margin
        sides.append(np.sin(np.pi / 2 * np.clip(near, 0, 1)) ** 2)
    return np.asarray(np.outer(*sides), dtype=np.float32)


def _separated(both: Complex, columns: int) -> tuple[Complex, Complex]:
    """Return the half transforms of the two real images whose transform, one as imaginary part, is `both`."""
    rows, width = both.shape
    mirrored = np.conj(both[-np.arange(rows) % rows][:, -np.arange(columns) % width])
    half = both[:, :columns]
    return (half + mirrored) / 2, (half - mirrored) / np.complex64(2j)


@compiled(parallel=True)
def _add_sine(spectrum: Complex, phasor: Complex, into: Complex) -> None:
    """Add ``spectrum * sin(chi)`` to `into`, chi being the phasor's angle."""
    rows, columns = spectrum.shape
    for row in parallel_range(rows):
        for column in range(columns):
            into[row, column] += spectrum[row, column] * phasor[row, column].imag


def image_of(spectrum: Complex, field: Field) -> Floats:
    """Return the image (y, x) of a half transform of the padded field."""
    whole = irfft2(spectrum, field.padded_yx, workers=_WORKERS)
    return np.asarray(whole[field.crop], dtype=np.float32)
