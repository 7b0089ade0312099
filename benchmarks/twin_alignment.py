"""Align series of the twin's cells, with the axis anywhere and unknown, and score each against the truth.

Run: python benchmarks/twin_alignment.py [--seeds 5] [--size 320]
"""

import argparse
import time

import numpy as np

from eucentric.assessment import score_alignment
from eucentric.core import Alignment, stream
from eucentric.design import ConstantExposure, Design, DoseSymmetric, Specimen
from eucentric.microscope import ExposureRequest
from eucentric.processing.alignment import AlignSettings, align_series, prepare_images
from eucentric.specimen.samples import build
from eucentric.twin import Twin, TwinSettings

FIELD_A = 5120.0
THICKNESS_A = 1500.0


def main() -> None:
    """Print a row for each seed: true axis, errors, seconds; 41 tilts, 3 e/Å² each, all effects of the twin on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--size", type=int, default=320, help="pixels a side, over a field of 512 nm")
    arguments = parser.parse_args()
    pixel_A, size = FIELD_A / arguments.size, arguments.size
    specimen = Specimen(thickness_A=THICKNESS_A)
    design = Design(scheme=DoseSymmetric(), exposure=ConstantExposure(total_e_A2=123), specimen=specimen)
    print("seed  axis (°)  found (°)  axis error (°)  shift rms (px)  worst (px)  depth (Å)  seconds")
    for seed in range(arguments.seeds):
        axis_deg = float(stream(seed, "axis").uniform(-90, 90))
        sample = build("cell", seed=seed, field_A=FIELD_A, thickness_A=THICKNESS_A)
        settings = TwinSettings(axis_deg=axis_deg)
        twin = Twin(sample, pixel_A=pixel_A, shape_yx=(size, size), settings=settings, seed=seed)
        images, views = [], []
        for exposure in design.plan():
            twin.tilt_to(exposure.tilt_deg)
            twin.wait(20)
            place, height_A = twin.true_offset_A()
            # Tracked to 8 % of the field, as coarsely as alignment should bear.
            missed = stream(seed, "missed", exposure.order).uniform(-1, 1, 2) * 0.08 * FIELD_A * (exposure.order > 0)
            twin.set_image_shift_A((place[0] + float(missed[0]), place[1] + float(missed[1])))
            twin.set_beam_shift_A(twin.image_shift_A())
            twin.set_defocus_A(exposure.defocus_A - twin.settings.hand * height_A)
            exposed = twin.expose_and_tell(ExposureRequest(exposure_e_A2=exposure.exposure_e_A2, frames=4))
            images.append(exposed.movie.frames.sum(axis=0, dtype=np.float32) * twin.sensor.gain_reference)
            views.append(exposed.truth.view.replace(section=exposure.order))
        truth = Alignment(pixel_A=pixel_A, shape_yx=(size, size), tilts=tuple(views))
        tilts_deg = [exposure.tilt_deg for exposure in design.plan()]
        begun = time.perf_counter()
        result = align_series(prepare_images(np.array(images), tilts_deg), tilts_deg, pixel_A, AlignSettings())
        seconds = time.perf_counter() - begun
        score = score_alignment(result.alignment, truth)
        found = result.alignment.tilts[0].axis_deg
        print(
            f"{seed:4d}  {axis_deg:8.2f}  {found:9.2f}  {score.axis_error_deg:14.3f}  {score.shift_rms_px:14.3f}"
            f"  {score.worst_px:10.2f}  {result.specimen_depth_A:9.0f}  {seconds:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
