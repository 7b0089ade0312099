"""Reconstruct one series of projections by weighted back-projection, and write the volume for scoring.

Run: python benchmarks/reconstruct.py PROJECTIONS.npy TILTS.txt DEPTH OUT.npy [--repeat 5] [--whole]

Projections are (n, y, x) float32 with the tilt axis along y. The seconds printed hold reading the array, filtering,
back-projection and (in the process's time) writing; those of the repeats hold filtering and back-projection alone.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from eucentric.core import Alignment, TiltAlignment
from eucentric.processing.operators import backproject, ramp_filter
from eucentric.processing.reconstruction import ReconstructSettings, reconstruct


def main() -> None:
    """Time the bare operation and the whole reconstruction from unaligned images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("projections", type=Path)
    parser.add_argument("tilts", type=Path)
    parser.add_argument("depth", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--whole", action="store_true", help="resample, halves and border weights too")
    parser.add_argument(
        "--axis", type=float, default=0.0, help="tilt axis (degrees) told to the whole: views are turned"
    )
    parser.add_argument("--method", choices=("wbp", "sirt", "cgls"), default="wbp", help="of the whole")
    parser.add_argument("--weighting", choices=("uniform", "cosine", "exact", "radial-sirt"), default="uniform")
    parser.add_argument("--iterations", type=int, default=20)
    arguments = parser.parse_args()
    images = torch.from_numpy(np.load(arguments.projections))
    tilts_deg = np.loadtxt(arguments.tilts)
    tilts_rad = torch.deg2rad(torch.from_numpy(tilts_deg))
    seconds = []
    for _ in range(arguments.repeat):
        begun = time.perf_counter()
        if arguments.whole:
            n, rows, columns = images.shape
            views = tuple(TiltAlignment(section=i, tilt_deg=tilts_deg[i], axis_deg=arguments.axis) for i in range(n))
            alignment = Alignment(pixel_A=1.0, shape_yx=(rows, columns), tilts=views)
            settings = ReconstructSettings(
                thickness_A=float(arguments.depth),
                size_yx=(rows, columns),
                cutoff=1.0,
                method=arguments.method,
                weighting=arguments.weighting,
                iterations=arguments.iterations,
                least_gain=0.0,
            )
            volume = reconstruct(images, alignment, settings).full()
        else:
            volume = backproject(ramp_filter(images), tilts_rad, (arguments.depth, images.shape[2]))
        seconds.append(time.perf_counter() - begun)
    np.save(arguments.out, volume.numpy())
    print(f"seconds: first {seconds[0]:.2f}, best {min(seconds):.3f}, median {np.median(seconds):.3f}")


if __name__ == "__main__":
    main()
