"""A series of movies as large as a real camera's: made once, then timed from movies to stack with CTF.

python benchmarks/movies_speed.py FOLDER [--size 4096] [--tilts 41] [--frames 8]

FOLDER gets frames/ (TIFF, LZW), frames/gain.mrc and mdoc/TS_big.mrc.mdoc, if they are not there; its images are of
points in a slab, with a CTF whose defocus does not vary over the field, drift, and Poisson noise at 3 e/Å² a tilt. Then
`eucentric process` runs on it with voxels of four pixels, and the seconds of each stage and the largest memory are
printed, beside what this machine needs to unpack every frame once and to transform it once.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.core.frames import rotation_about_y, rotation_about_z
from eucentric.io import write_mrc
from eucentric.io.mdoc_writer import MdocHeader, MdocImage, write_mdoc
from eucentric.io.movies import open_movie, write_movie
from eucentric.optics import Lens, ctf

Array = NDArray[np.float64]
PIXEL_A, EXPOSURE_e_A2, DEFOCUS_A, AXIS_deg, THICKNESS_A = 1.35, 3.0, 30_000.0, 84.0, 1500.0
POINTS_PER_A2 = 0.01
LENS = Lens(amplitude_contrast=0.07)


def make(folder: Path, size: int, tilts: int, frames: int) -> None:
    """Write the series."""
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    (folder / "mdoc").mkdir(exist_ok=True)
    random = stream(0, "movies")
    gain = (1 + 0.04 * random.standard_normal((size, size))).astype(np.float32)
    write_mrc(folder / "frames" / "gain.mrc", gain[None], PIXEL_A, kind="stack", label="Gain reference")
    field_A = size * PIXEL_A
    half = 0.5 * field_A * np.array([1.3, 2.6])  # along and across the axis: the field is filled at high tilt too
    n = int(POINTS_PER_A2 * 4 * half[0] * half[1])
    clusters = random.uniform(-1, 1, (n // 40 + 1, 3)) * [THICKNESS_A / 2, half[0], half[1]]
    places = np.repeat(clusters, 40, axis=0) + random.normal(0, 30, (len(clusters) * 40, 3))
    k_y, k_x = np.fft.fftfreq(size, PIXEL_A)[:, None], np.fft.rfftfreq(size, PIXEL_A)
    k = np.hypot(k_y, k_x)
    transfer = (ctf(k, DEFOCUS_A, LENS) * np.exp(-60 * k * k / 4)).astype(np.float32)
    step = 120 / (tilts - 1)
    angles = sorted((round(-60 + step * i, 2) for i in range(tilts)), key=lambda angle: (abs(angle), angle))
    images = []
    for order, angle in enumerate(angles):
        seen = places @ (rotation_about_z(AXIS_deg) @ rotation_about_y(angle)).T
        pixels = np.rint(seen[:, 1:] / PIXEL_A).astype(int) + size // 2
        inside = ((pixels >= 0) & (pixels < size)).all(axis=1)
        flat = np.bincount(pixels[inside] @ [size, 1], minlength=size * size).reshape(size, size)
        spectrum = scipy.fft.rfft2(flat.astype(np.float32) - flat.mean(dtype=np.float32), workers=2) * transfer
        grain = scipy.fft.rfft2(random.standard_normal((size, size), dtype=np.float32), workers=2) * transfer
        spectrum *= 0.07 / scipy.fft.irfft2(spectrum, s=(size, size), workers=2).std()
        spectrum += grain * 0.04 / scipy.fft.irfft2(grain, s=(size, size), workers=2).std()
        drift = np.cumsum(random.normal(0, 1, (frames, 2)), axis=0) + np.outer(
            np.arange(frames), random.normal(0, 1, 2)
        )
        electrons = EXPOSURE_e_A2 * PIXEL_A**2 / frames * np.exp(-THICKNESS_A / 3150 / np.cos(np.deg2rad(angle)))
        movie = np.empty((frames, size, size), np.uint8)
        for frame, (y, x) in enumerate(drift - drift.mean(axis=0)):
            moved = spectrum * np.exp(-2j * np.pi * (k_y * y + k_x * x)).astype(np.complex64)
            expected = electrons * (1 + scipy.fft.irfft2(moved, s=(size, size), workers=2)) / gain
            movie[frame] = random.poisson(np.maximum(expected, 0))
        name = f"TS_big_{order:03d}_{angle:.1f}.tif"
        write_movie(folder / "frames" / name, movie, PIXEL_A)
        images.append(
            MdocImage(
                tilt_deg=angle,
                exposure_e_A2=EXPOSURE_e_A2,
                pre_exposure_e_A2=order * EXPOSURE_e_A2,
                defocus_A=DEFOCUS_A,
                target_defocus_A=DEFOCUS_A,
                exposure_s=1.0,
                recorded=datetime(2026, 11, 24) + timedelta(seconds=20 * order),
                frame_path=f"frames/{name}",
                n_frames=frames,
                pixel_A=PIXEL_A,
                spot_size=5,
            )
        )
        print(f"{name} written", file=sys.stderr)
    header = MdocHeader(
        pixel_A=PIXEL_A, voltage_kV=300, image_file="TS_big.mrc", shape_yx=(size, size), tilt_axis_deg=AXIS_deg
    )
    write_mdoc(folder / "mdoc" / "TS_big.mrc.mdoc", header, images)


def floors(folder: Path) -> tuple[float, float]:
    """Return the seconds to unpack all frames once, and to transform them once."""
    unpacking = transforming = 0.0
    movies = sorted((folder / "frames").glob("*.tif"))
    for path in movies[:4]:
        begun = time.perf_counter()
        movie = open_movie(path).read()
        unpacking += time.perf_counter() - begun
        images = movie.astype(np.float32)
        begun = time.perf_counter()
        for image in images:
            scipy.fft.rfft2(image, workers=2)
        transforming += time.perf_counter() - begun
    scale = len(movies) / min(4, len(movies))
    return unpacking * scale, transforming * scale


def main() -> None:
    """Make what is missing, and time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--tilts", type=int, default=41)
    parser.add_argument("--frames", type=int, default=8)
    options = parser.parse_args()
    folder: Path = options.folder
    mdoc = folder / "mdoc" / "TS_big.mrc.mdoc"
    if not mdoc.exists():
        make(folder, options.size, options.tilts, options.frames)
    output = folder / f"processed-{datetime.now():%H%M%S}"
    program = Path(sys.executable).with_name("eucentric")
    command = [str(program), "process", str(mdoc), "--output", str(output), "--bin", "4", "--json"]
    begun = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    print(f"process, from movies to report: {time.perf_counter() - begun:.0f} s")
    for stage in json.loads(done.stdout)["series"][0]["stages"]:
        print(f"  {stage['stage']:12s} {stage['seconds']:8.1f} s")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    unpacking, transforming = floors(folder)
    print(f"largest memory {most:.1f} GB")
    print(f"floors: unpacking every frame once {unpacking:.0f} s, transforming it once {transforming:.0f} s")


if __name__ == "__main__":
    main()
