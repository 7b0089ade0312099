"""A small series with everything that a report shows."""

import numpy as np
from scipy import ndimage

from eucentric.assessment import fourier_shell_correlation, sharpness, thickness_from_counts
from eucentric.core import Alignment, Tilt, TiltAlignment, TiltSeries, stream
from eucentric.processing.alignment import AlignmentResult, AxisSearch, TiltResidual
from eucentric.report import ReportInput

TILTS_DEG = (-60.0, -40.0, -20.0, 0.0, 20.0, 40.0, 60.0)
ORDERS = (6, 4, 2, 0, 1, 3, 5)


def small_report() -> ReportInput:
    """Seven views of 90 x 110 pixels and a tomogram of 30 x 90 x 110, bright near the first row and column."""
    draw = stream(0, "report")
    images = draw.normal(50, 5, (7, 90, 110)).astype(np.float32)
    images[:, 5:25, 5:25] += 100
    tomogram = draw.normal(0, 1, (30, 90, 110)).astype(np.float32)
    tomogram[:, 12:25, 12:25] += np.linspace(2, 8, 30, dtype=np.float32)[:, None, None]
    signal = ndimage.gaussian_filter(tomogram, 1.5)
    halves = [signal + 0.3 * draw.normal(0, 1, tomogram.shape) for _ in range(2)]
    counts = 90 * np.exp(-2000 / 3150 / np.cos(np.deg2rad(np.array(TILTS_DEG) - 4)))
    series = TiltSeries(
        name="TS_07",
        pixel_A=10.0,
        shape_yx=(90, 110),
        tilts=tuple(
            Tilt(section=i, tilt_deg=tilt, order=order)
            for i, (tilt, order) in enumerate(zip(TILTS_DEG, ORDERS, strict=True))
        ),
        order_known=True,
    )
    alignment = Alignment(
        pixel_A=10.0,
        shape_yx=(90, 110),
        tilts=tuple(
            TiltAlignment(
                section=i,
                tilt_deg=tilt,
                axis_deg=-86.3,
                shift_yx_A=(3.0 * i, -tilt),
                used=i != 6,
                reason="" if i != 6 else "grid bar over most of the view",
            )
            for i, tilt in enumerate(TILTS_DEG)
        ),
    )
    result = AlignmentResult(
        alignment=alignment,
        axis_search=AxisSearch(
            axes_deg=tuple(np.arange(-100.0, -70, 2)),
            scores=tuple(0.4 - 0.001 * (np.arange(-100.0, -70, 2) + 86.3) ** 2),
            best_deg=-86.3,
            uncertainty_deg=0.7,
        ),
        specimen_depth_A=1700.0,
        tilts=tuple(
            TiltResidual(section=i, correlation=0.5 - 0.02 * i, residual_A=2.0 + i, coarse_shift_yx_A=(0.0, -tilt + 9))
            for i, tilt in enumerate(TILTS_DEG)
        ),
        rounds_rms_A=(30.0, 6.0, 1.5),
    )
    return ReportInput(
        series=series,
        images=images,
        mean_counts=counts,
        result=result,
        tomogram=tomogram,
        pixel_A=10.0,
        fsc=fourier_shell_correlation(halves[0], halves[1], 10.0, tilt_range_deg=(-60, 60)),
        thickness=thickness_from_counts(TILTS_DEG, counts),
        sharpness=sharpness(tomogram, 10.0),
        settings={"alignment": {"rounds": 3, "axis": None, "patches": {"size_px": 128}}},
        timings={"align": 61.0, "reconstruct": 42.5},
        warnings=("the header's pixel size was not believed",),
        inputs=(("ts07.mrc", "sha256:0123abcd"), ("ts07.rawtlt", "")),
    )
