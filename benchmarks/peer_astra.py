"""The same reconstruction with ASTRA, slice by slice; run it in an environment of its own (ASTRA is GPL).

Run: python benchmarks/peer_astra.py PROJECTIONS.npy TILTS.txt DEPTH OUT.npy
"""

import argparse
import time
from pathlib import Path

import astra
import numpy as np


def main() -> None:
    """Filter and back-project each slice across the tilt axis with ASTRA's FBP on the CPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("projections", type=Path)
    parser.add_argument("tilts", type=Path)
    parser.add_argument("depth", type=int)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    projections = np.load(arguments.projections)
    tilts = np.deg2rad(np.loadtxt(arguments.tilts))
    begun = time.perf_counter()
    n, rows, columns = projections.shape
    volume = np.empty((arguments.depth, rows, columns), np.float32)
    slice_geometry = astra.create_vol_geom(arguments.depth, columns)
    # Its detector angle turns the other way, and its rows count downwards: u = x cos a - y sin a, y = -z.
    rays = astra.create_proj_geom("parallel", 1.0, columns, tilts)
    projector = astra.create_projector("linear", rays, slice_geometry)
    sinogram_id = astra.data2d.create("-sino", rays)
    slice_id = astra.data2d.create("-vol", slice_geometry)
    configuration = astra.astra_dict("FBP")
    configuration.update(
        ProjectorId=projector, ProjectionDataId=sinogram_id, ReconstructionDataId=slice_id, FilterType="ram-lak"
    )
    algorithm = astra.algorithm.create(configuration)
    for row in range(rows):
        astra.data2d.store(sinogram_id, np.ascontiguousarray(projections[:, row]))
        astra.algorithm.run(algorithm)
        volume[:, row] = astra.data2d.get(slice_id)
    print(f"seconds: {time.perf_counter() - begun:.2f} for {n} projections")
    np.save(arguments.out, volume)


if __name__ == "__main__":
    main()
