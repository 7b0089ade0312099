"""Adjust the tracks of IMOD's tutorial series with IMOD's degrees of freedom and others; print figures and seconds.

Run: python benchmarks/bundle_bba.py FOLDER [--repeats 5]

FOLDER is `alignments/imod-BBa` of the recorded data. IMOD's mean residual is 0.313 px, its rotation between -10.8° and
-12.2°. On a busy machine set OPENBLAS_NUM_THREADS=1: matrices this small gain nothing from threads that wait.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.processing.alignment.beads import BundleSettings, Freedom, Tracks, adjust_bundle, adjust_freely

FREEDOMS = {
    "IMOD's": Freedom(tilt="grouped", axis="free", magnification="free", stretch="grouped", skew="grouped"),
    "without stretch and skew": Freedom(tilt="grouped", axis="free", magnification="free"),
    "x-tilt in their place": Freedom(tilt="grouped", axis="free", magnification="free", x_tilt="grouped"),
    "the least": Freedom(),
}


def off_px(found: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Return the rms distance of the beads (b, 3) from IMOD's after the best similarity."""
    a, b = found - found.mean(axis=0), theirs - theirs.mean(axis=0)
    u, s, v = np.linalg.svd(a.T @ b)
    left = s.sum() / np.square(a).sum() * a @ u @ v - b
    return float(np.sqrt(np.square(left).sum(axis=1).mean()))


def main() -> None:
    """Print one line for each freedom and start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    seen = np.loadtxt(arguments.folder / "BBa.resid", skiprows=1)
    bead = np.cumsum(np.diff(seen[:, 2], prepend=0) < 0)
    tracks = Tracks.of(bead, seen[:, 2].astype(int), seen[:, 1::-1] - 0.5)
    lines = (arguments.folder / "BBafid.xyz").read_text().splitlines()
    theirs = np.array([line.split()[3:0:-1] for line in lines], dtype=float)
    starts = {
        "IMOD's angles": np.loadtxt(arguments.folder / "BBa.tlt").tolist(),
        "2° steps": np.linspace(65, -55, 61).tolist(),
    }
    for start, tilts in starts.items():
        for name, freedom in FREEDOMS.items():
            seconds, busy = [], []
            for _ in range(arguments.repeats):
                begun, begun_cpu = time.perf_counter(), time.process_time()
                found = adjust_bundle(tracks, tilts, (512, 512), BundleSettings(freedom=freedom))
                seconds.append(time.perf_counter() - begun)
                busy.append(time.process_time() - begun_cpu)
            axes = np.rad2deg(found.views[:, 4])
            print(
                f"{start}, {name}: mean residual {found.mean_residual_all_px:.4f} px of all, "
                f"{found.mean_residual_px:.4f} of {found.used.sum()} of {len(tracks)} used; rotation {axes.min():.2f} "
                f"to {axes.max():.2f}°; beads {off_px(found.beads_zyx_px, theirs):.3f} px from IMOD's; "
                f"{np.median(seconds):.2f} s ({np.median(busy):.2f} s of the processor)"
            )
        begun = time.perf_counter()
        _, chosen = adjust_freely(tracks, tilts, (512, 512))
        print(f"{start}, chosen by held-out beads: {chosen.why()}; {time.perf_counter() - begun:.2f} s")


if __name__ == "__main__":
    main()
