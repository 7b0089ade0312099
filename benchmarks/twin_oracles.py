"""The twin's images beside those of other programs: abTEM, torch-ctf, torch-calculate-electrostatic-potential, cryojax.

In an environment of its own (abTEM is GPL), where a program that is missing is named and left out:
pip install -e . torch abtem ase torch-ctf torch-calculate-electrostatic-potential cryojax
python benchmarks/twin_oracles.py [--molecule protein-32kDa] [--pixel 1] [--size 256] [--finer 4] [--deep]

One protein in vacuum, tilted, without noise: free atoms on both sides, so that the water that the twin's atoms displace
and the hydrogens that its heavy atoms stand for are left out. Everything is compared on one periodic grid, in bands of
resolution: the correlation of two images, and the slope of ours on theirs. "own" is what abTEM's choices (atoms'
potentials, slices) are worth by themselves. `--deep` has two copies of the molecule far apart along the beam too.
"""

import argparse
import importlib
import importlib.metadata
import math
import time
from dataclasses import dataclass
from types import ModuleType
from unittest.mock import patch

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import fft2, irfft2, rfft2

from eucentric.core import TiltAlignment
from eucentric.optics import Aberrations, Lens, coma_phase_rad, even_phase_rad, plane_frequencies
from eucentric.specimen import scattering
from eucentric.specimen.library import molecule
from eucentric.specimen.matrix import Matrix
from eucentric.specimen.sample import Placed, Sample
from eucentric.twin.field import Field
from eucentric.twin.formation import Forming, form
from eucentric.twin.multislice import form_multislice
from eucentric.twin.scene import Scene, View

BANDS_A = ((40, 3), (40, 10), (10, 5), (5, 3))
LENS = Lens(energy_spread_eV=0.0, amplitude_contrast=0.0)  # 300 kV and 2.7 mm; no envelope
TILT_DEG, AXIS_DEG = 35.0, 84.0
APART_A = 800.0  # along the beam, of the two copies
SLICE_A = 4.0
WEAK = 0.01  # of the potential
# A standard deviation in each direction: exp(-B k²/4) = exp(-2 pi² u² k²).
DISPLACED_A = math.sqrt(scattering.B_FACTOR_A2 / (8 * math.pi**2))

Array = NDArray[np.float64]
Spectrum = NDArray[np.complexfloating]


def free_atom_VA3(atomic_number: int, k: ArrayLike, *, hydrogens: bool = True) -> Array:
    """Stand in for `potential_in_ice_VA3` where there is no ice; hydrogens that are not in the model are left out."""
    del hydrogens
    return scattering.POTENTIAL_V_A2 * scattering.scattering_factor_A(atomic_number, k)


@dataclass(frozen=True)
class Case:
    """What is imaged: a scene of free atoms, and the same atoms in the image frame."""

    scene: Scene
    view: View
    field: Field
    places_A: Array
    elements: NDArray[np.uint8]
    defocus_A: float

    @classmethod
    def of(cls, name: str, field: Field, defocus_A: float, heights_A: tuple[float, ...], hand: int = 1) -> "Case":
        """Return copies of a molecule of the library, one behind another along the beam, off the middle."""
        model = molecule(name)
        tilt = TiltAlignment(section=0, tilt_deg=TILT_DEG, axis_deg=AXIS_DEG)
        view = View.of(tilt, 0.0, hand)
        aside = [(height, 4.3 * index, 11.7 - 9.1 * index) for index, height in enumerate(heights_A)]
        centres = (np.array(aside) - view.origin_zyx_A) @ view.rotation
        part = Placed(model, centres, np.repeat(np.eye(3)[None], len(centres), axis=0))
        with patch.object(scattering, "potential_in_ice_VA3", free_atom_VA3):
            scene = Scene.of(Sample("in vacuum", Matrix.none(), (part,)), field.pixel_A)
        places = [view.places_A(model.positions_A.astype(float) + centre) for centre in centres]
        return cls(scene, view, field, np.concatenate(places), np.tile(model.elements, len(centres)), defocus_A)

    @property
    def middle_A(self) -> Array:
        """Where the image's origin is from the first pixel of the grid, y and x."""
        return np.array([n // 2 * self.field.pixel_A for n in self.field.padded_yx])

    def ours(self, *, multislice: bool = False) -> Spectrum:
        """Return the twin's contrast, as it forms images or with multiple scattering."""
        formed = form_multislice if multislice else form
        aberrations = Aberrations(defocus_A=self.defocus_A)
        spectra = formed(self.scene, self.view, self.field, LENS, aberrations, solvent=False)
        return np.asarray(spectra.molecules + spectra.lasting)

    def our_potential(self) -> Spectrum:
        """Return the twin's projected potential (V·Å)."""
        forming = Forming(self.scene, self.view, self.field, LENS, Aberrations(defocus_A=0.0), 3.0)
        slices = [forming.potential(index, solvent=False, seed=0, names=()) for index in range(forming.count)]
        return np.asarray(rfft2(np.sum(slices, axis=0, dtype=float)))


def abtem_contrast(
    abtem: ModuleType,
    case: Case,
    atoms_of: str,
    *,
    finer: int,
    projection: str = "infinite",
    one_slice: bool = False,
    share: float = 1.0,
) -> Spectrum:
    """Return the contrast of abTEM's multislice, of a parametrisation of atoms, on a grid `finer` times as fine.

    Of a share of the potential, and over that share: of a small one it is what scattering once, and weakly, gives. Its
    beam goes towards greater z; each slice acts where the beam enters it, and defocus is that of the exit face.
    """
    ase = importlib.import_module("ase")
    rows, columns = case.field.padded_yx
    along = case.view.hand * case.places_A[:, 0]
    room_A = 8.0  # for the outermost atoms' potentials
    depth_A = SLICE_A * math.ceil((np.ptp(along) + 2 * room_A) / SLICE_A)
    slice_A = depth_A if one_slice else SLICE_A
    y, x = (case.places_A[:, 1:] + case.middle_A).T
    places_xyz = np.stack([x, y, along - along.min() + room_A], axis=1)
    side_xyz = (columns * case.field.pixel_A, rows * case.field.pixel_A, depth_A)
    atoms = ase.Atoms(numbers=case.elements, positions=places_xyz, cell=side_xyz)
    parametrisations = {
        "lobato": abtem.parametrizations.LobatoParametrization,
        "kirkland": abtem.parametrizations.KirklandParametrization,
        "peng": abtem.parametrizations.PengParametrization,
    }
    potential = abtem.Potential(
        atoms,
        gpts=(finer * columns, finer * rows),
        slice_thickness=slice_A,
        parametrization=parametrisations[atoms_of](sigmas=DISPLACED_A),
        projection=projection,
    ).build()
    potential.array[:] *= share
    exit_z_A = float(along.min()) - room_A + depth_A
    lens = abtem.CTF(energy=LENS.voltage_kV * 1e3, defocus=case.defocus_A + exit_z_A + slice_A / 2, Cs=LENS.cs_mm * 1e7)
    wave = abtem.PlaneWave(energy=LENS.voltage_kV * 1e3).multislice(potential)
    image = np.asarray(wave.apply_ctf(lens).intensity().array, dtype=float).T
    low = np.r_[0 : rows // 2, finer * rows - rows // 2 : finer * rows]
    return np.asarray(fft2(image - 1)[low][:, : columns // 2 + 1] / finer**2 / share)


def torch_potential(package: ModuleType, case: Case) -> Spectrum:
    """Return the projected potential (V·Å) of torch-calculate-electrostatic-potential, its mean over each pixel."""
    torch = importlib.import_module("torch")
    rows, columns = case.field.padded_yx
    stack = package.AtomStack.from_coords_and_atomic_numbers(
        torch.as_tensor(case.places_A + np.array([0.0, *case.middle_A]), dtype=torch.float64),
        torch.as_tensor(case.elements.astype(np.int64)),
        scattering.B_FACTOR_A2,
    )
    grid = package.GridConfig((rows, columns), (case.field.pixel_A,) * 2, dtype=torch.float64)
    return without_pixels(stack.to_scattering_potential_2d(grid).numpy(), case.field)


def cryojax_potential(cryojax: ModuleType, case: Case) -> Spectrum:
    """Return the projected potential of cryojax, which is a scattering length, times ours for 1 Å."""
    constants = importlib.import_module("cryojax.constants")
    volume = cryojax.GaussianMixtureVolume.from_tabulated_parameters(
        case.places_A[:, ::-1],
        constants.PengScatteringFactorParameters(case.elements.astype(int)),
        extra_b_factors=scattering.B_FACTOR_A2,
    )
    grid = cryojax.BasicImageConfig(case.field.padded_yx, case.field.pixel_A, LENS.voltage_kV)
    projected = cryojax.GaussianMixtureProjection().integrate(volume, grid, outputs_real_space=True)
    return without_pixels(scattering.POTENTIAL_V_A2 * np.asarray(projected, dtype=float), case.field)


def without_pixels(image: Array, field: Field) -> Spectrum:
    """Return the half transform of means over pixels, as that of values at their middles."""
    ky, kx = field.frequencies(half=True)
    return np.asarray(rfft2(image) / (np.sinc(ky * field.pixel_A) * np.sinc(kx * field.pixel_A)))


def compared(ours: Spectrum, theirs: Spectrum, field: Field) -> str:
    """Return, for each band, the correlation of two images and the slope of ours on theirs."""
    cells = []
    for coarse_A, fine_A in BANDS_A:
        band = (field.k >= 1 / coarse_A) & (field.k < 1 / fine_A)
        one, other = (irfft2(np.where(band, part, 0), field.padded_yx) for part in (ours, theirs))
        across = float((one * other).sum())
        like = across / math.sqrt(float(np.square(one).sum() * np.square(other).sum()))
        cells.append(f"{like:.5f} {across / float(np.square(other).sum()):6.4f}")
    return " | ".join(cells)


def largest_ctf_difference(torch_ctf: ModuleType) -> tuple[float, float]:
    """Return the largest difference from torch-ctf's planes: with astigmatism, and with beam tilt as well."""
    torch = importlib.import_module("torch")
    worst = [0.0, 0.0]
    for defocus_A, astigmatism_A, angle_deg, tilt_yx_mrad in (
        (25_000.0, 0.0, 0.0, (0.0, 0.5)),
        (25_000.0, 1000.0, 25.0, (0.3, -0.2)),
        (40_000.0, 3000.0, -70.0, (-0.4, 0.1)),
        (-8000.0, 500.0, 130.0, (0.2, 0.2)),
    ):
        double = {"dtype": torch.float64}
        theirs_of = {
            "defocus": torch.tensor(defocus_A / 1e4, **double),
            "astigmatism": torch.tensor(astigmatism_A / 2e4, **double),  # half the difference of the two, in µm
            "astigmatism_angle": torch.tensor(angle_deg, **double),
            "voltage": 300.0,
            "spherical_aberration": 2.7,
            "amplitude_contrast": 0.1,
            "phase_shift": 0.0,
            "pixel_size": 1.5,
            "image_shape": (96, 128),
            "rfft": True,
            "fftshift": False,
        }
        ky, kx = plane_frequencies((96, 128), 1.5, half=True)
        tilted = Aberrations(
            defocus_A=defocus_A,
            astigmatism_A=astigmatism_A,
            astigmatism_deg=angle_deg,
            beam_tilt_yx_mrad=tilt_yx_mrad,
        )
        ours = np.sin(even_phase_rad(ky, kx, tilted, Lens()))
        theirs = torch_ctf.calculate_ctf_2d(**theirs_of).squeeze().numpy()
        worst[0] = max(worst[0], float(np.abs(ours - theirs).max()))
        tilt_xy = torch.tensor(tilt_yx_mrad[::-1], **double)
        theirs = torch_ctf.calculate_ctf_2d(**theirs_of, beam_tilt_mrad=tilt_xy).squeeze().numpy()
        ours = ours * np.exp(1j * coma_phase_rad(ky, kx, tilted, Lens()))
        worst[1] = max(worst[1], float(np.abs(ours - theirs).max()))
    return worst[0], worst[1]


def found(name: str, package: str) -> ModuleType | None:
    """Return an oracle's module with its version printed, or nothing if it is not installed."""
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        print(f"\n{package}: left out ({error})")
        return None
    print(f"\n{package} {importlib.metadata.version(package)}")
    return module


def beside_abtem(abtem: ModuleType, case: Case, finer: int, *, every: bool) -> None:
    """Print the twin's image beside abTEM's: all of its parametrisations and ways, or multislice with one."""
    abtem.config.set({"dask.lazy": False, "local_diagnostics.progress_bar": False})
    field = case.field
    ours = case.ours()
    begun = time.perf_counter()
    lobato = abtem_contrast(abtem, case, "lobato", finer=finer)
    print(f"  {'lobato, multislice':34s} {compared(ours, lobato, field)}   ({time.perf_counter() - begun:.0f} s)")
    single = abtem_contrast(abtem, case, "lobato", finer=finer, one_slice=True)
    print(f"  {'lobato, one slice':34s} {compared(ours, single, field)}")
    weak = abtem_contrast(abtem, case, "lobato", finer=finer, share=WEAK)
    print(f"  {'lobato, multislice, 1 % of it':34s} {compared(ours, weak, field)}")
    print(f"  {'own: 1 % of it on all of it':34s} {compared(weak, lobato, field)}")
    print(f"  {'own: one slice on multislice':34s} {compared(single, lobato, field)}")
    print(f"  {'twin.multislice on multislice':34s} {compared(case.ours(multislice=True), lobato, field)}")
    if every:
        for atoms_of in ("kirkland", "peng"):
            theirs = abtem_contrast(abtem, case, atoms_of, finer=finer)
            print(f"  {atoms_of + ', multislice':34s} {compared(ours, theirs, field)}")
            print(f"  {f'own: {atoms_of} on lobato':34s} {compared(theirs, lobato, field)}")
        theirs = abtem_contrast(abtem, case, "lobato", finer=finer, projection="finite")
        print(f"  {'lobato, multislice, finite':34s} {compared(ours, theirs, field)}")


def main() -> None:
    """Print all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecule", default="protein-32kDa")
    parser.add_argument("--pixel", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--defocus", type=float, default=25_000.0)
    parser.add_argument("--finer", type=int, default=4, help="abTEM's grid is so much finer: it blurs by a pixel of it")
    parser.add_argument("--deep", action="store_true")
    given = parser.parse_args()
    field = Field((given.size, given.size), given.pixel)
    case = Case.of(given.molecule, field, given.defocus, (0.0,))
    print(f"{given.molecule}: {len(case.elements)} atoms, {np.ptp(case.places_A[:, 0]):.0f} Å along the beam")
    print(f"grid {field.padded_yx}, {given.pixel} Å, defocus {given.defocus:.0f} Å, B {scattering.B_FACTOR_A2:.0f} Å²")
    print("correlation and slope in " + " | ".join(f"{coarse}-{fine} Å" for coarse, fine in BANDS_A))
    if abtem := found("abtem", "abtem"):
        beside_abtem(abtem, case, given.finer, every=True)
        if given.deep:
            apart = (-APART_A / 2, APART_A / 2)
            two = {hand: Case.of(given.molecule, field, given.defocus, apart, hand) for hand in (1, -1)}
            for hand, case_of_two in two.items():
                print(f"  two, {APART_A:.0f} Å apart along the beam, hand {hand:+d}:")
                beside_abtem(abtem, case_of_two, given.finer, every=False)
                theirs = abtem_contrast(abtem, two[-hand], "lobato", finer=given.finer)
                print(f"  {'lobato, the other hand':34s} {compared(case_of_two.ours(), theirs, field)}")
    if torch_ctf := found("torch_ctf", "torch-ctf"):
        plain, tilted = largest_ctf_difference(torch_ctf)
        print(f"  largest difference {plain:.1e} with astigmatism, {tilted:.1e} with beam tilt as well")
    ours = case.our_potential()
    if package := found("torch_calculate_electrostatic_potential", "torch-calculate-electrostatic-potential"):
        print(f"  {'projected potential':34s} {compared(ours, torch_potential(package, case), field)}")
    if cryojax := found("cryojax.simulator", "cryojax"):
        print(f"  {'projected potential':34s} {compared(ours, cryojax_potential(cryojax, case), field)}")


if __name__ == "__main__":
    main()
