"""A look at one section of a stack that grows: defocus, counts, a picture; of movement a stack tells nothing."""

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eucentric.core import InputError
from eucentric.core.devices import resolve_device
from eucentric.io.growing_stack import read_section
from eucentric.io.mdoc import MdocSeries
from eucentric.io.mdoc_exposures import exposures_of
from eucentric.session import Session, StagePlan
from eucentric.workflow.lens import lens_of
from eucentric.workflow.live.look import ctf_of_one, write_look
from eucentric.workflow.live.records import Look, SectionRequest, SectionStage, Source
from eucentric.workflow.records import ProcessSettings

SECTION_LOOK_VERSION = 1


def section_stage(
    source: Source, facts: MdocSeries, section: int, stack: Path, settings: ProcessSettings
) -> SectionStage:
    """Return what a look depends on; the section is read, and nothing else of the stack.

    Raises
    ------
    InputError, FormatError
        If the section cannot be read.
    """
    pixels, header = read_section(stack, section)
    exposures, _ = exposures_of(source.mdoc, facts, source.exposure_e_A2)
    return SectionStage(
        tilt_deg=facts.sections[section].tilt_deg,
        pixel_A=source.pixel_A or header.pixel_A or facts.pixel_A,  # as `load_series` chooses
        exposure_e_A2=exposures[section],
        section_sha256=_sha256(pixels),
        lens=lens_of(settings.lens.voltage_kV or facts.voltage_kV, settings.lens),
        min_defocus_A=settings.ctf.min_defocus_A,
        max_defocus_A=settings.ctf.max_defocus_A,
    )


def section_plan(series: str, section: int, stage: SectionStage) -> StagePlan:
    """Return the stage as the journal is asked for it."""
    return StagePlan(series=series, stage=f"look-{section:03d}", version=SECTION_LOOK_VERSION, settings=stage)


def run_section_look(session: Session, request: SectionRequest) -> None:
    """Take a look, unless it was taken at these pixels with these settings.

    Raises
    ------
    InputError, FormatError
        If the section cannot be read, is not what was to be looked at, or nothing says its pixel size.
    OutputError
        If it cannot be written.
    """
    plan = section_plan(request.series, request.section, request.stage)
    if session.state(plan).done:
        return
    with session.run(plan) as run:
        pixels, _ = read_section(request.stack, request.section)
        if _sha256(pixels) != request.stage.section_sha256:
            raise InputError(
                f"{request.stack}: section {request.section} was changed while it was looked at.",
                "Leave written sections as they are; the series is processed as it is when it has ended.",
            )
        look, image = look_at_pixels(request, pixels)
        write_look(run, look, image)


def look_at_pixels(request: SectionRequest, pixels: NDArray[Any]) -> tuple[Look, torch.Tensor]:
    """Return what is seen of a section with these pixels (y, x), and the image.

    Raises
    ------
    InputError
        If nothing says the pixel size, or pixels are not finite.
    """
    begun = time.perf_counter()
    stage = request.stage
    if stage.pixel_A is None:
        raise InputError(f"{request.stack}: neither it nor its .mdoc gives a pixel size.", "Give it with --pixel.")
    counts = float(pixels.mean(dtype=np.float64))
    if not np.isfinite(counts):
        raise InputError(f"{request.stack}: section {request.section} holds pixels that are not finite numbers.")
    image = torch.from_numpy(pixels.astype(np.float32)).to(resolve_device(request.device))
    ctf, why = ctf_of_one(image, stage.pixel_A, stage)
    look = Look(
        section=request.section,
        tilt_deg=stage.tilt_deg,
        exposure_e_A2=stage.exposure_e_A2,
        movie=request.stack.name,
        frames=1,
        counts=counts,
        pixel_A=stage.pixel_A,
        ctf=ctf,
        ctf_reason=why,
        target_defocus_A=request.target_defocus_A,
        seconds=time.perf_counter() - begun,
    )
    return look, image


def _sha256(pixels: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
