"""A look at one tilt as soon as its movie has closed: movement, sum, defocus, counts, a picture, a small image.

What is seen of a tilt alone steers the microscope; what a series tells of its tilts together is found when it has
ended, by the same stages that `eucentric process` runs.
"""

import math
import time
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from eucentric.core import InputError, whole_or_nothing, write_text
from eucentric.core.devices import resolve_device
from eucentric.io import write_mrc
from eucentric.io.mdoc import MdocSeries
from eucentric.io.mdoc_exposures import exposures_of
from eucentric.io.movie_series import open_exposed
from eucentric.optics import CTFFit
from eucentric.processing.ctf.fit import fit_image
from eucentric.processing.ctf.records import CTFSettings
from eucentric.processing.dose_weighting import accumulated_e_A2
from eucentric.processing.motion import MotionTrack, MovieSums, estimate_movie, sum_movie
from eucentric.processing.operators import bin_images
from eucentric.report.style import grey, shrunk, smoothed
from eucentric.session import Session, StagePlan, StageRun
from eucentric.workflow.lens import lens_of
from eucentric.workflow.live.records import LOOKS, Look, LookRequest, LookStage, SectionStage, Source
from eucentric.workflow.movie_frames import MovieFrames
from eucentric.workflow.movie_gain import corrector_of_one
from eucentric.workflow.records import ProcessSettings

LOOK_VERSION = 2

_COARSEST_A = 12.0  # Nyquist, beyond which too few rings are seen to trust a fit of one image
_PICTURE_PX = 320
_SMALL_PX = 384  # longest side of the image that previews are made of: what they can show, in the time that they have
_KV = 300.0


def look_stage(source: Source, facts: MdocSeries, section: int, settings: ProcessSettings) -> LookStage:
    """Return what a look depends on, from the .mdoc and the settings alone."""
    exposures, priors = exposures_of(source.mdoc, facts, source.exposure_e_A2)
    return LookStage(
        tilt_deg=facts.sections[section].tilt_deg,
        pixel_A=source.pixel_A or facts.pixel_A,
        exposure_e_A2=exposures[section],
        pre_exposure_e_A2=priors[section],
        gain=settings.gain,
        motion=settings.motion,
        dose_weighting=settings.dose_weighting,
        lens=lens_of(settings.lens.voltage_kV or facts.voltage_kV, settings.lens),
        min_defocus_A=settings.ctf.min_defocus_A,
        max_defocus_A=settings.ctf.max_defocus_A,
    )


def look_plan(series: str, section: int, stage: LookStage, movie: Path, gain: Path | None) -> StagePlan:
    """Return the stage as the journal is asked for it."""
    inputs = (movie,) if gain is None else (gain, movie)
    return StagePlan(series=series, stage=f"look-{section:03d}", version=LOOK_VERSION, settings=stage, inputs=inputs)


def small_image(folder: Path, section: int) -> Path:
    """Return the file of a tilt's weighted sum, binned (1, y, x), below the folder of its series."""
    return folder / LOOKS / f"{section:03d}.mrc"


def run_look(session: Session, request: LookRequest) -> None:
    """Take a look, unless it was taken at this movie with these settings.

    Raises
    ------
    InputError, FormatError
        If the movie cannot be read, or nothing says its pixel size.
    OutputError
        If it cannot be written.
    """
    plan = look_plan(request.series, request.section, request.stage, request.movie, request.gain)
    if session.state(plan).done:
        return
    with session.run(plan) as run:
        look, sums = look_at_movie(request)
        write_look(run, look, sums.weighted)


def look_at_movie(request: LookRequest) -> tuple[Look, MovieSums]:
    """Return what is seen of a tilt, and the sums of its movie."""
    begun = time.perf_counter()
    stage = request.stage
    movie = open_exposed(request.movie, stage.exposure_e_A2)
    pixel_A = stage.pixel_A or movie.pixel_A
    if pixel_A is None:
        raise InputError(f"{request.movie}: neither it nor its .mdoc gives a pixel size.", "Give it with --pixel.")
    corrector = corrector_of_one(movie, request.gain, stage.gain)
    frames = MovieFrames((movie,), lambda: corrector, resolve_device(request.device))
    transforms = frames.transforms(0)
    found = estimate_movie(transforms(), pixel_A, stage.motion)
    readable = frames.readable[0]
    track = found.replace(frames=tuple(readable[frame] for frame in found.frames))
    sums = sum_movie(
        transforms(),
        track,
        pixel_A,
        accumulated_e_A2=_received(stage, track, movie.shape[0]),
        voltage_kV=stage.lens.voltage_kV if stage.lens else _KV,
    )
    ctf, why = ctf_of_one(sums.unweighted, pixel_A, stage)
    look = Look(
        section=request.section,
        tilt_deg=stage.tilt_deg,
        exposure_e_A2=stage.exposure_e_A2,
        movie=request.movie.name,
        frames=len(track.frames),
        counts=float(sums.unweighted.double().mean()),
        pixel_A=pixel_A,
        track=track,
        ctf=ctf,
        ctf_reason=why,
        target_defocus_A=request.target_defocus_A,
        seconds=time.perf_counter() - begun,
    )
    return look, sums


def _received(stage: LookStage, track: MotionTrack, frames: int) -> list[float] | None:
    if not stage.dose_weighting or stage.exposure_e_A2 is None or stage.pre_exposure_e_A2 is None:
        return None
    each = accumulated_e_A2(stage.pre_exposure_e_A2, stage.exposure_e_A2, frames)
    return [each[frame] for frame in track.frames]


def ctf_of_one(image: Tensor, pixel_A: float, stage: LookStage | SectionStage) -> tuple[CTFFit | None, str]:
    """Return the CTF that is fitted to one image (y, x), or None and why not."""
    if stage.lens is None:
        return None, "nothing says the voltage of the microscope"
    if 2 * pixel_A > _COARSEST_A:
        return None, f"pixels of {pixel_A:g} Å are too coarse for rings"
    settings = CTFSettings(min_defocus_A=stage.min_defocus_A, max_defocus_A=stage.max_defocus_A)
    try:
        fit = fit_image(image, pixel_A, stage.lens, settings)
    except InputError as error:
        return None, error.what
    if fit.fit_resolution_A is None:
        return None, "no rings stand out of the noise"
    return fit, ""


def write_look(run: StageRun, look: Look, image: Tensor) -> None:
    """Write what was seen, and a picture of the image (y, x); note both, and what is asked for most."""
    stem = f"{look.section:03d}"
    record, picture = run.folder / LOOKS / f"{stem}.json", run.folder / LOOKS / f"{stem}.jpg"
    write_text(record, look.model_dump_json(indent=1))
    shown = shrunk(grey(smoothed(image.cpu().numpy(), look.pixel_A)), _PICTURE_PX)
    with whole_or_nothing(picture) as partial:
        Image.fromarray(np.ascontiguousarray(shown[::-1])).save(partial, format="JPEG", quality=80)
    small = small_image(run.folder, look.section)
    binning = math.ceil(max(image.shape) / _SMALL_PX)
    binned = bin_images(image, binning).cpu().numpy()
    write_mrc(small, binned[None], look.pixel_A * binning, kind="stack", label="One tilt, binned, for previews")
    for path in (record, picture, small):
        run.output(path)
    run.metric("section", look.section)
    run.metric("tilt_deg", look.tilt_deg)
    run.metric("counts", round(look.counts, 3))
    run.metric("motion_A", None if look.track is None else round(look.track.total_A, 2))
    run.metric("defocus_A", None if look.ctf is None else round(look.ctf.mean_A))
    run.metric("fit_resolution_A", None if look.ctf is None else look.ctf.fit_resolution_A)
