"""The twin set up like a real recording, held against it: counts over tilt, radial spectra, gold beads; and a picture.

python benchmarks/twin_vs_recording.py ts01.mrc ts01.csv picture.png

The recording is EMPIAR-10499 TS_01, 10 Å a pixel. Its thickness, and the tilt at which it lies flat, are fitted to its
own counts; its unit of counts is one free factor. Everything else is the twin's, with what is said below.
"""

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, minimum_filter
from scipy.optimize import curve_fit

from eucentric.core import stream
from eucentric.detector import DETECTORS
from eucentric.io import open_mrc
from eucentric.microscope import ExposureRequest
from eucentric.optics import MEAN_FREE_PATH_A
from eucentric.specimen.samples import slab_for
from eucentric.specimen.samples.cells import CROWDING_mg_mL, cell_edge
from eucentric.twin import Effects, Twin, TwinSettings

PIXEL_A, EXPOSURE_E_A2 = 10.0, 3.0
DEFOCUS_A = 24_300.0  # of the recording: its spectra fall to their first zero at 22 Å
CROWDING_MG_ML = CROWDING_mg_mL
BANDS_A = (200, 150, 120, 100, 80, 70, 60, 50, 40, 35, 30, 27, 24, 22, 20.5)

Array = NDArray[np.float64]


def spectrum(image: Array) -> tuple[Array, Array]:
    """Return frequencies (1/Å) and the radial mean power of an image over its mean, per pixel."""
    n = min(image.shape)
    relative = image[:n, :n] / image[:n, :n].mean() - 1
    window = np.outer(np.hanning(n), np.hanning(n))
    power = np.abs(np.fft.rfft2(relative * window)) ** 2 / (window**2).sum()
    k = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None])
    ring = (k * n).astype(int).ravel()
    return np.arange(ring.max() + 1) / n / PIXEL_A, np.bincount(ring, power.ravel()) / np.bincount(ring)


def in_bands(image: Array) -> Array:
    """Return the power in bands about `BANDS_A`, a tenth wide."""
    k, power = spectrum(image)
    return np.array([power[(k > 0.95 / d) & (k < 1.05 / d)].mean() for d in BANDS_A])


def bead_profile(image: Array, count: int = 12) -> Array:
    """Return the mean brightness of the darkest round spots over what is around them, at radii of 0, 1, 2... pixels."""
    relative = image / np.median(image)
    dark = gaussian_filter(relative, 2) - gaussian_filter(relative, 8)
    rows, columns = np.where(minimum_filter(dark, 12) == dark)
    y, x = np.mgrid[-14:15, -14:15]
    profiles = []
    for i in np.argsort(dark[rows, columns]):
        row, column = rows[i], columns[i]
        if min(row, column) < 14 or row > image.shape[0] - 15 or column > image.shape[1] - 15:
            continue
        patch = relative[row - 14 : row + 15, column - 14 : column + 15]
        around = np.median(patch[np.hypot(y, x) > 9])
        weight = np.where(np.hypot(y, x) < 6, np.clip(around - patch, 0, None), 0)
        away = np.hypot(y - (weight * y).sum() / weight.sum(), x - (weight * x).sum() / weight.sum())
        profiles.append([(patch / around)[(away >= r) & (away < r + 1)].mean() for r in range(12)])
        if len(profiles) == count:
            break
    return np.asarray(np.array(profiles).mean(axis=0))


def thickness_from(tilts_deg: Array, counts: Array) -> tuple[float, float]:
    """Return thickness (Å) and the tilt at which the slab lies flat, from counts over tilt."""

    def model(tilt_deg: Array, start: float, thickness: float, flat_deg: float) -> Array:
        return np.asarray(start - thickness / MEAN_FREE_PATH_A / np.cos(np.deg2rad(tilt_deg - flat_deg)))

    found, _ = curve_fit(model, tilts_deg, np.log(counts), p0=(4.0, 2000.0, 0.0))
    return float(found[1]), float(found[2])


def main() -> None:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--crowding", type=float, default=CROWDING_MG_ML)
    parser.add_argument("--effects", default="default", help="as in eucentric simulate")
    parser.add_argument("--defocus", type=float, default=DEFOCUS_A)
    options = parser.parse_args()
    with options.table.open() as file:
        rows = list(csv.DictReader(file))
    tilts = np.array([float(row["stage_tilt_deg"]) for row in rows])
    order = np.argsort([int(row["acquisition_order"]) for row in rows])
    real = open_mrc(options.stack).data
    size = min(real.shape[1:])
    counts = np.array([image.mean(dtype=float) for image in real])
    thickness_A, flat_deg = thickness_from(tilts, counts)
    print(f"thickness {thickness_A:.0f} Å, flat at {flat_deg:.1f}°")
    begun = time.perf_counter()
    steepest = float(np.abs(tilts - flat_deg).max())
    slab = slab_for(seed=options.seed, field_A=size * PIXEL_A, thickness_A=thickness_A, max_tilt_deg=steepest)
    sample = cell_edge(slab, crowding_mg_mL=options.crowding).turned(flat_deg)
    twin = Twin(
        sample,
        pixel_A=PIXEL_A,
        shape_yx=(size, size),
        settings=TwinSettings(detector=DETECTORS["k2"], axis_deg=-4.3),
        effects=Effects.parse(options.effects),
        seed=options.seed,
    )
    made = np.zeros((len(tilts), size, size))
    for section in order:
        twin.tilt_to(float(tilts[section]))
        place, height_A = twin.true_offset_A()
        missed = stream(options.seed, "routine", int(section)).normal(size=2) * 80
        place = (place[0] + float(missed[0]), place[1] + float(missed[1]))
        twin.set_image_shift_A(place)
        twin.set_beam_shift_A(place)
        twin.set_defocus_A(options.defocus - height_A)
        movie = twin.expose(ExposureRequest(exposure_e_A2=EXPOSURE_E_A2, frames=8))
        made[section] = movie.frames.sum(axis=0) * twin.sensor.gain_reference
    print(f"{len(tilts)} tilts of {size}² in {time.perf_counter() - begun:.0f} s, {sample.molecules} molecules")
    twin_counts = made.mean(axis=(1, 2))
    factor = float(np.exp(np.log(twin_counts / counts).mean()))
    apart = twin_counts / (factor * counts) - 1
    print(f"counts, twin over recording: {100 * apart.min():+.1f} to {100 * apart.max():+.1f} % (one free factor)")
    at = [int(np.abs(tilts - tilt).argmin()) for tilt in (-60, -30, 0, 30, 60)]
    for section in at:
        ratio = in_bands(made[section]) / in_bands(real[section].astype(float))
        shown = " ".join(f"{d:g}:{r:.2f}" for d, r in zip(BANDS_A, ratio, strict=True))
        print(f"spectrum at {tilts[section]:+.0f}°, twin over recording (Å:ratio): {shown}")
    beads = [bead_profile(images[at[2]].astype(float)) for images in (real, made)]
    for name, profile in zip(("recording", "twin"), beads, strict=True):
        print(f"bead, {name}: " + " ".join(f"{value:.2f}" for value in profile))
    contrast = [1 - profile[:3].mean() for profile in beads]
    print(f"bead contrast {contrast[1]:.3f} against {contrast[0]:.3f}: {100 * (contrast[1] / contrast[0] - 1):+.0f} %")
    draw(options.picture, tilts, counts * factor, twin_counts, real, made, at, beads)


def draw(
    path: Path,
    tilts: Array,
    counts: Array,
    twin_counts: Array,
    real: NDArray[np.int16],
    made: Array,
    at: list[int],
    beads: list[Array],
) -> None:
    """Draw both side by side."""
    figure, axes = plt.subplots(2, 4, figsize=(15, 7.6), layout="constrained")
    stacks: tuple[tuple[NDArray[Any], str], ...] = ((real, "EMPIAR-10499 TS_01"), (made, "twin"))
    for row, (images, name) in enumerate(stacks):
        for column, section in enumerate((at[2], at[4])):
            image = images[section].astype(float)
            low, high = np.percentile(image, (0.5, 99.5))
            axes[row, column].imshow(image, cmap="gray", vmin=low, vmax=high, origin="lower")
            axes[row, column].set(title=f"{name}, {round(tilts[section])}°", xticks=[], yticks=[])
    axes[0, 2].plot(tilts, counts, "k.", label="recording, in one unit")
    axes[0, 2].plot(tilts, twin_counts, label="twin")
    axes[0, 2].set(xlabel="stage tilt (°)", ylabel="counts per pixel")
    axes[0, 2].legend()
    for column, section in ((3, at[2]), (2, at[4])):
        panel = axes[0, 3] if column == 3 else axes[1, 2]
        for images, style, name in ((real, "k-", "recording"), (made, "-", "twin")):
            k, power = spectrum(images[section].astype(float))
            panel.semilogy(k, power, style, label=name, alpha=0.8)
        panel.set(xlabel="frequency (1/Å)", ylabel="power over mean²", xlim=(0, 0.05))
        panel.set_title(f"{round(tilts[section])}°")
        panel.legend()
    for profile, style, name in zip(beads, ("k.-", ".-"), ("recording", "twin"), strict=True):
        axes[1, 3].plot(np.arange(len(profile)) + 0.5, profile, style, label=name)
    axes[1, 3].set(xlabel="from the bead's centre (10 Å pixels)", ylabel="brightness over what is around")
    axes[1, 3].legend()
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
