"""Align the stack of a workload with known shifts, with the axis given and without, and score both.

Run: python benchmarks/align_workload.py STACK.npy TRUTH.json [--pixel 6]

TRUTH.json holds `angles`, `shifts_yx` (pixels, of each image's content) and `axis_deg` (from the image's x axis).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from eucentric.assessment import score_alignment
from eucentric.core import Alignment, TiltAlignment
from eucentric.processing.alignment import AlignSettings, align_series, prepare_images


def main() -> None:
    """Print errors and seconds for both cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--pixel", type=float, default=6.0)
    arguments = parser.parse_args()
    images = np.load(arguments.stack)
    told = json.loads(arguments.truth.read_text())
    axis_deg = told["axis_deg"] - 90  # from y, as IMOD has it
    tilts = tuple(
        TiltAlignment(
            section=i, tilt_deg=tilt, axis_deg=axis_deg, shift_yx_A=(y * arguments.pixel, x * arguments.pixel)
        )
        for i, (tilt, (y, x)) in enumerate(zip(told["angles"], told["shifts_yx"], strict=True))
    )
    rows, columns = images.shape[1:]
    truth = Alignment(pixel_A=arguments.pixel, shape_yx=(rows, columns), tilts=tilts)
    for case, settings in (("axis given", AlignSettings(axis_deg=axis_deg)), ("nothing given", AlignSettings())):
        begun = time.perf_counter()
        result = align_series(prepare_images(images, told["angles"]), told["angles"], arguments.pixel, settings)
        seconds = time.perf_counter() - begun
        score = score_alignment(result.alignment, truth)
        print(
            f"{case}: rms {score.shift_rms_px:.3f} px, worst {score.worst_px:.2f} px, "
            f"axis error {score.axis_error_deg:.3f}°, {seconds:.1f} s"
        )


if __name__ == "__main__":
    main()
