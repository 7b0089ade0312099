"""Our own part of the bench."""

import time
from collections.abc import Callable

import torch

from eucentric.core import Alignment
from eucentric.processing.alignment import AlignSettings, align_series, prepare_images
from eucentric.processing.reconstruction import Method, ReconstructSettings, reconstruct
from eucentric.workflow.bench.programs import Floats, Program, Run, forget_memory_peak, memory_peak_MB
from eucentric.workflow.bench.workloads import AXIS_DEG, Work

NAME = "eucentric"


def our_reconstruction(work: Work, method: Method, iterations: int) -> Program:
    """Reconstruct both halves and the whole from the views and how they were seen."""
    settings = ReconstructSettings(
        thickness_A=work.depth * work.truth.pixel_A,
        method=method,
        iterations=iterations or 1,
        cutoff=1.0,
        least_gain=0.0,
    )
    images = torch.from_numpy(work.images)
    return _timed(lambda: reconstruct(images, work.truth, settings).full().numpy())


def our_alignment(work: Work, *, axis_given: bool) -> Program:
    """Align the views as they were counted."""
    settings = AlignSettings(axis_deg=AXIS_DEG if axis_given else None)
    tilts_deg = [tilt.tilt_deg for tilt in work.truth.tilts]

    def align() -> Alignment:
        prepared = prepare_images(work.images, tilts_deg)
        return align_series(prepared, tilts_deg, work.truth.pixel_A, settings).alignment

    return _timed(align)


def _timed(task: Callable[[], Floats | Alignment]) -> Program:
    def run() -> Run:
        forget_memory_peak()
        begun = time.perf_counter()
        result = task()
        seconds = time.perf_counter() - begun
        return Run(seconds, result, memory_peak_MB())

    return Program(NAME, run, ours=True)
