"""Small specimens and views, and exact contrast to hold the twin's against: sums over points, one by one."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.core import TiltAlignment
from eucentric.core.frames import rotation_about_y
from eucentric.detector import DETECTORS
from eucentric.optics import (
    Aberrations,
    Lens,
    coma_phase_rad,
    envelope,
    even_phase_rad,
    interaction_rad_per_VA,
    wavelength_A,
)
from eucentric.specimen.matrix import Matrix
from eucentric.specimen.molecule import Molecule
from eucentric.specimen.sample import Beads, Placed, Sample
from eucentric.twin.field import Field
from eucentric.twin.formation import Spectra, form
from eucentric.twin.scene import Scene, View
from eucentric.twin.settings import Effects, TwinSettings
from eucentric.twin.twin import Twin

Array = NDArray[np.float64]

PLAIN = Lens(energy_spread_eV=0.0)
"""A lens of 300 kV and 2.7 mm without an envelope."""

PHASE_PLATE = Lens(energy_spread_eV=0.0, cs_mm=0.0, amplitude_contrast=0.0, phase_shift_deg=90.0)
"""In focus its transfer is 1 at every frequency: what it shows is the projection."""


def ball(atoms: int, radius_A: float, seed: int) -> Molecule:
    """Give atoms spread evenly over a ball, of protein's elements."""
    draw = np.random.default_rng(seed)
    inside = draw.normal(size=(atoms, 3))
    inside *= radius_A * draw.random((atoms, 1)) ** (1 / 3) / np.linalg.norm(inside, axis=1, keepdims=True)
    return Molecule("ball", inside, draw.choice([6, 7, 8, 16], size=atoms, p=[0.63, 0.17, 0.19, 0.01]))


def at(molecule: Molecule, *centres_A: tuple[float, float, float], label: str = "") -> Placed:
    """Give copies of a molecule at places of the sample frame, none turned."""
    return Placed(molecule, np.array(centres_A), np.repeat(np.eye(3)[None], len(centres_A), axis=0), label)


def atom_at(*centres_A: tuple[float, float, float]) -> Placed:
    """Give single carbon atoms."""
    return at(Molecule("atom", [[0, 0, 0]], [6]), *centres_A)


def gold(centre_A: tuple[float, float, float], diameter_A: float) -> Beads:
    return Beads(np.array([centre_A]), diameter_A)


def in_vacuum(*parts: Placed, **more: Any) -> Sample:
    return Sample("in vacuum", Matrix.none(), parts, **more)


def in_ice(thickness_A: float, *parts: Placed, **more: Any) -> Sample:
    return Sample("in ice", Matrix.slab(thickness_A), parts, **more)


def tilted(tilt_deg: float, *, hand: int = 1, height_A: float = 0.0, **more: Any) -> View:
    """Give a view; the axis is that of y unless `axis_deg` says otherwise."""
    alignment = TiltAlignment(section=0, tilt_deg=tilt_deg, **{"axis_deg": 0.0, **more})
    return View.of(alignment, height_A, hand)


def bare_spectra(sample: Sample, view: View, field: Field, lens: Lens, aberrations: Aberrations) -> Spectra:
    """Give the contrast of a sample as the twin forms it, without grain."""
    return form(Scene.of(sample, field.pixel_A), view, field, lens, aberrations, solvent=False)


def molecules_of(
    sample: Sample, view: View, field: Field, lens: Lens, aberrations: Aberrations
) -> NDArray[np.complex64]:
    """Give that of its molecules: a half transform of the padded field."""
    return bare_spectra(sample, view, field, lens, aberrations).molecules


def exact_contrast(
    sample: Sample, view: View, field: Field, lens: Lens, aberrations: Aberrations
) -> NDArray[np.complex128]:
    """Give the same as a sum over the scene's points, each at its own place and with the defocus of its own height."""
    scene = Scene.of(sample, field.pixel_A)
    ky, kx = field.frequencies(half=True)
    curves = scene.basis.at(field.k)
    chi = even_phase_rad(ky, kx, aberrations, lens)
    per_A = math.pi * wavelength_A(lens.voltage_kV) * view.hand * field.k**2
    middle = [n // 2 * field.pixel_A for n in field.padded_yx]
    total = np.zeros(field.k.shape, complex)
    for part, cloud in zip(scene.sample.parts, scene.clouds, strict=True):
        for centre, turn in zip(part.centres_A, part.rotations, strict=True):
            places = view.places_A(centre + cloud.positions_A.astype(float) @ turn.T)
            for (z, y, x), weights in zip(places, cloud.weights, strict=True):
                there = np.exp(-2j * np.pi * (ky * (y + middle[0]) + kx * (x + middle[1])))
                total += np.tensordot(weights, curves, axes=1) * np.sin(chi + per_A * z) * there
    coma = np.exp(1j * coma_phase_rad(ky, kx, aberrations, lens))
    scale = -2 * interaction_rad_per_VA(lens.voltage_kV) / field.pixel_A**2
    return np.asarray(scale * total * coma * envelope(field.k, aberrations, lens))


def below(field: Field, share_of_nyquist: float) -> NDArray[np.bool_]:
    """Tell which places of the half transform are below a share of the Nyquist frequency."""
    return np.asarray(field.k * 2 * field.pixel_A < share_of_nyquist)


def relative_error(ours: NDArray[Any], exact: NDArray[Any], where: NDArray[np.bool_] | None = None) -> float:
    """Give the rms of the difference over the rms of what is right."""
    if where is not None:
        ours, exact = ours[where], exact[where]
    return float(np.linalg.norm(ours - exact) / np.linalg.norm(exact))


def flat_lamella(thickness_A: float, pre_tilt_deg: float) -> Sample:
    """Give a slab that lies flat at a tilt of the stage."""
    return in_ice(thickness_A).turned(pre_tilt_deg)


def quiet_twin(sample: Sample, *, on: tuple[str, ...] = (), **more: Any) -> Twin:
    """Give a twin on which nothing happens but what is named, with an ideal camera of 96 x 96 pixels of 4 Å."""
    settings = more.pop("settings", TwinSettings(detector=DETECTORS["ideal"]))
    effects = Effects.none().replace(**dict.fromkeys(on, True))
    given: dict[str, Any] = {"pixel_A": 4.0, "shape_yx": (96, 96), "settings": settings, "effects": effects}
    return Twin(sample, **{**given, **more})


def turned_about_y(place_A: tuple[float, float, float], tilt_deg: float) -> Array:
    return np.asarray(rotation_about_y(tilt_deg) @ np.array(place_A))
