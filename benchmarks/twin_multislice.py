"""What plural scattering takes: multislice through the twin's own slices against the weak-phase sum, in thicker ice.

python benchmarks/twin_multislice.py [--pixel 1.0] [--size 512]

For each thickness, the slope of the multislice contrast on that of the molecules (with the ice's grain as a second
regressor), in bands; beside it what the phase variance of these slices, and the atoms' whole cross-section, let expect.
"""

import argparse
import math

import numpy as np

from eucentric.core import TiltAlignment
from eucentric.optics import Aberrations, Lens, elastic_mean_free_path_A
from eucentric.specimen import Matrix, Placed, Sample, random_rotations
from eucentric.specimen.library import molecule
from eucentric.twin.field import Field
from eucentric.twin.formation import Forming, form
from eucentric.twin.multislice import form_multislice
from eucentric.twin.scene import Scene, View

BANDS_A = ((60, 30), (30, 15), (15, 8), (8, 5))
COPIES = 16


def main() -> None:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixel", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    lens, aberrations = Lens(), Aberrations(defocus_A=25_000.0)
    field = Field((options.size, options.size), options.pixel, 100.0)
    view = View.of(TiltAlignment(section=0, tilt_deg=0.0, axis_deg=0.0))
    header = "  ".join(f"{low}-{high} Å" for low, high in BANDS_A)
    print(f"ice (Å)  slopes: {header}  exp(-phase variance)  exp(-t/mean free path)")
    for thickness_A in (0.0, 1000.0, 2000.0, 4000.0):
        draw = np.random.default_rng(1)
        reach_A = np.array([max(thickness_A - 200, 100), *(2 * [0.8 * options.size * options.pixel])])
        placed = Placed(
            molecule("apoferritin"), draw.uniform(-0.5, 0.5, (COPIES, 3)) * reach_A, random_rotations(COPIES, draw)
        )
        matrix = Matrix.slab(thickness_A) if thickness_A else Matrix.none()
        scene = Scene.of(Sample("apoferritin", matrix, (placed,)), options.pixel)
        weak = form(scene, view, field, lens, aberrations)
        full = form_multislice(scene, view, field, lens, aberrations).lasting
        slopes = []
        for low, high in BANDS_A:
            band = (field.k >= 1 / low) & (field.k < 1 / high)
            columns = np.stack([weak.molecules[band], weak.ice[0][band]], axis=1)
            parts = np.concatenate([columns.real, columns.imag])
            found = np.linalg.lstsq(parts, np.concatenate([full[band].real, full[band].imag]), rcond=None)[0]
            slopes.append(float(found[0]))
        forming = Forming(scene, view, field, lens, aberrations, 3.0)
        slices = (forming.potential(i, solvent=bool(thickness_A), seed=0, names=()) for i in range(forming.count))
        variance = sum(float((forming.sigma * one).var()) for one in slices) if thickness_A else 0.0
        shown = "  ".join(f"{slope:7.3f}" for slope in slopes)
        free = math.exp(-thickness_A / elastic_mean_free_path_A(300.0))
        print(f"{thickness_A:7.0f}  {'':7}{shown}  {math.exp(-variance):20.3f}  {free:22.3f}", flush=True)


if __name__ == "__main__":
    main()
