"""Correction of the CTF by height against correction for one plane, on the twin: correlation with the truth by shell.

python benchmarks/ctf3d_twin.py [--seeds 2] [--exposure 3 30] [--thickness 3000] [--rows 128]

Series of 41 tilts to 60 degrees of ribosomes throughout ice 3000 Å thick, without gold, in place and in focus as
recorded; the field is as wide as all of it needs to be seen at every tilt. True CTF and geometry; what is judged is the
middle of the field, through all of the thickness, in box after box from bottom to top (Hann windows, half overlapping),
in what tilts have seen. Beyond 3 e/Å² a tilt the specimen is spared damage, so that fine detail can be told.
"""

import argparse
import dataclasses
import time
from itertools import pairwise

import numpy as np
import torch
from dose_weighting import true_ctf
from numpy.typing import NDArray

from eucentric.core import Alignment, TiltAlignment
from eucentric.design import ConstantExposure, Design, DoseSymmetric
from eucentric.microscope import ExposureRequest
from eucentric.optics import HandVerdict, SeriesCTF, TiltCTF
from eucentric.processing.ctf.correct import correct_tilt
from eucentric.processing.reconstruction import ReconstructSettings, reconstruct, reconstruct_ctf3d
from eucentric.specimen.sample import Beads
from eucentric.specimen.samples import build
from eucentric.twin import Effects, Twin
from eucentric.twin.volume import true_volume

PIXEL_A, DEFOCUS_A, FINEST_A = 2.7, 25_000.0, 6.0
MAX_TILT_DEG = 60.0
USUAL_E_A2 = 3.0
EFFECTS = "no-drift,no-burst,no-local-motion,no-doming,no-gain,no-defects"
SHELLS_A = (60, 40, 30, 20, 15, 12, 10, 9, 8, 7, 6)
BOX = 64  # voxels

Floats = NDArray[np.float32]


def main() -> None:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--exposure", type=float, nargs="+", default=[USUAL_E_A2, 30.0], help="e/Å² a tilt")
    parser.add_argument("--thickness", type=float, default=3000.0, help="Å")
    parser.add_argument("--rows", type=int, default=128)
    options = parser.parse_args()
    print("e/Å² seed        " + "".join(f"{low:>4}-{high:<4}" for low, high in pairwise(SHELLS_A)))
    for exposure_e_A2 in options.exposure:
        for seed in range(options.seeds):
            began = time.process_time()
            plane, slabs = compared(exposure_e_A2, seed, options.thickness, options.rows)
            for name, values in (("plane", plane), ("slabs", slabs), ("gain", slabs - plane)):
                print(f"{exposure_e_A2:4.0f} {seed:4d} {name:<6} " + "".join(f"{value:9.4f}" for value in values))
            print(f"  {time.process_time() - began:.0f} s of CPU", flush=True)


def compared(exposure_e_A2: float, seed: int, thickness_A: float, rows: int) -> tuple[Floats, Floats]:
    """Record a series; return the correlation with the truth by shell, corrected for a plane and by height."""
    reach_A = thickness_A * np.sin(np.deg2rad(MAX_TILT_DEG)) + rows * PIXEL_A
    columns = 64 * int(np.ceil(reach_A / PIXEL_A / 64))
    effects = EFFECTS if exposure_e_A2 <= USUAL_E_A2 else f"{EFFECTS},no-damage"
    sample = build(
        "ribosomes",
        seed=seed,
        field_A=columns * PIXEL_A,
        thickness_A=thickness_A,
        max_tilt_deg=MAX_TILT_DEG,
        pre_tilt_deg=0,
    )
    sample = dataclasses.replace(sample, beads=Beads())  # gold would hold most of the fine detail
    twin = Twin(sample, pixel_A=PIXEL_A, shape_yx=(rows, columns), effects=Effects.parse(effects), seed=seed)
    scheme = DoseSymmetric(min_deg=-MAX_TILT_DEG, max_deg=MAX_TILT_DEG)
    images: list[torch.Tensor] = []
    views: list[TiltAlignment] = []
    fits: list[TiltCTF] = []
    for exposure in Design(scheme=scheme, exposure=ConstantExposure(total_e_A2=41 * USUAL_E_A2)).plan():
        twin.tilt_to(exposure.tilt_deg)
        twin.wait(5)
        (y, x), height_A = twin.true_offset_A()
        twin.set_image_shift_A((y, x))
        twin.set_beam_shift_A((y, x))
        twin.set_defocus_A(DEFOCUS_A - twin.settings.hand * height_A)
        request = ExposureRequest(exposure_e_A2=exposure_e_A2, frames=1, purpose="record", order=exposure.order)
        exposed = twin.expose_and_tell(request)
        image = torch.from_numpy(np.asarray(exposed.movie.frames, dtype=np.float32).sum(0))
        images.append((image - image.mean()) / image.mean())
        views.append(exposed.truth.view.replace(section=len(views)))
        fits.append(true_ctf(exposed, len(fits)))
    alignment = Alignment(pixel_A=PIXEL_A, shape_yx=(rows, columns), tilts=tuple(views))
    settings = ReconstructSettings(thickness_A=thickness_A, size_yx=(rows, rows), cutoff=1.0)
    verdict = HandVerdict.model_validate({"hand": twin.settings.hand, "log_odds": 9.0})
    axis_deg = twin.settings.axis_deg
    ctf = SeriesCTF(lens=twin.lens, pixel_A=PIXEL_A, axis_deg=axis_deg, tilts=tuple(fits), hand=verdict)
    flat = [
        correct_tilt(image, PIXEL_A, fit, axis_deg, twin.settings.hand, twin.lens, local=True)
        for image, fit in zip(images, fits, strict=True)
    ]
    by_plane = -reconstruct(torch.stack(flat), alignment, settings).full().numpy()
    truth = true_volume(sample, (by_plane.shape[0], rows, rows), PIXEL_A)
    by_height = reconstruct_ctf3d(torch.stack(images), alignment, settings, ctf, finest_A=FINEST_A)
    return shells(by_plane, truth), shells(-by_height.full().numpy(), truth)


def shells(volume: Floats, truth: Floats) -> Floats:
    """Return the correlation in each shell, of the cells that tilts have seen, over boxes through the thickness."""
    window = np.hanning(BOX + 1)[:BOX].astype(np.float32)
    taper = window[:, None, None] * window[None, :, None] * window[None, None, :]
    k_z, k_y = (np.fft.fftfreq(BOX, PIXEL_A)[:, None, None], np.fft.fftfreq(BOX, PIXEL_A)[None, :, None])
    k_x = np.fft.rfftfreq(BOX, PIXEL_A)[None, None, :]
    k = np.sqrt(k_z**2 + k_y**2 + k_x**2)
    seen = np.abs(k_z) <= np.abs(k_x) * np.tan(np.deg2rad(MAX_TILT_DEG))
    bands = [seen & (k >= 1 / low) & (k < 1 / high) for low, high in pairwise(SHELLS_A)]
    sums = np.zeros((3, len(bands)))
    starts = [range(0, n - BOX + 1, BOX // 2) for n in volume.shape]
    for corner in np.array(np.meshgrid(*starts, indexing="ij")).reshape(3, -1).T:
        box = tuple(slice(c, c + BOX) for c in corner)
        a, b = (np.fft.rfftn((v[box] - v[box].mean()) * taper) for v in (volume, truth))
        for i, band in enumerate(bands):
            one, other = a[band], b[band]
            sums[:, i] += np.vdot(other, one).real, np.vdot(one, one).real, np.vdot(other, other).real
    correlation: Floats = (sums[0] / np.sqrt(sums[1] * sums[2])).astype(np.float32)
    return correlation


if __name__ == "__main__":
    main()
