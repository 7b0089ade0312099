"""The same slices by multislice: waves that scatter again and again, to see what the weak-phase sum leaves out."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, ifft2, rfft2

from eucentric.optics import Aberrations, Lens, envelope, even_phase_rad, wavelength_A
from eucentric.twin.field import Field
from eucentric.twin.formation import Forming, Spectra
from eucentric.twin.scene import Scene, View

Complex = NDArray[np.complex64]

_WORKERS = -1


def form_multislice(
    scene: Scene,
    view: View,
    field: Field,
    lens: Lens,
    aberrations: Aberrations,
    *,
    solvent: bool = True,
    seed: int = 0,
    names: tuple[str | int, ...] = (),
    finest_A: float = 3.0,
) -> Spectra:
    """Return the contrast of a view with multiple scattering: the parameters of `formation.form`, five times its time.

    The wave goes through the slices one by one, ``exp(i sigma V exp(i asin(amplitude contrast)))`` each, and on to the
    next; then through the lens. All of it is in `Spectra.lasting`, as waves that scattered twice cannot be told apart
    by what they scattered from: for undamaged images, to check with. Coma and gold are left out.
    """
    forming = Forming(scene, view, field, lens, aberrations, finest_A)
    ky, kx = field.frequencies(half=False)
    per_A = math.pi * wavelength_A(lens.voltage_kV) * (ky**2 + kx**2)
    onward: Complex = np.exp(-1j * per_A * forming.slice_A).astype(np.complex64)
    wave: Complex = np.ones(field.padded_yx, np.complex64)
    turned = 1j * forming.sigma * np.exp(1j * math.asin(lens.amplitude_contrast))
    # With the hand +1 the beam goes up z: what it meets last is the most underfocused.
    order = range(forming.count) if view.hand > 0 else range(forming.count - 1, -1, -1)
    for index in order:
        potential = forming.potential(index, solvent=solvent, seed=seed, names=names)
        wave *= np.exp(turned * potential).astype(np.complex64)
        wave = ifft2(fft2(wave, workers=_WORKERS) * onward, workers=_WORKERS)
    # The wave has gone on by one slice from the middle of the last.
    last_A = (forming.edges_A[order[-1]] + forming.edges_A[order[-1] + 1]) / 2 + view.hand * forming.slice_A
    chi = even_phase_rad(ky, kx, aberrations, lens) - math.asin(lens.amplitude_contrast)
    left = np.exp(1j * (chi + view.hand * per_A * last_A))
    wave = ifft2(fft2(wave, workers=_WORKERS) * left.astype(np.complex64), workers=_WORKERS)
    contrast = np.square(wave.real) + np.square(wave.imag) - 1
    lasting = rfft2(contrast, workers=_WORKERS) * envelope(field.k, aberrations, lens).astype(np.float32)
    nothing = np.zeros_like(lasting)
    return Spectra(molecules=nothing, ice=(nothing, nothing), lasting=lasting, path_A=forming.path_A())
