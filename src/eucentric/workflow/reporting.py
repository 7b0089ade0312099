"""What the stages have found, gathered for the report."""

from pathlib import Path
from typing import Any

import numpy as np

from eucentric.assessment import HalvesOf
from eucentric.io import LoadedSeries, open_mrc
from eucentric.optics import SeriesCTF
from eucentric.processing.reconstruction import ReconstructSettings
from eucentric.report import ReportInput
from eucentric.report.certificate import Convention
from eucentric.report.movies import MoviesShown
from eucentric.workflow.records import Assessment, Evidence, ProcessSettings
from eucentric.workflow.spectra import read_spectra
from eucentric.workflow.stages import Stages
from eucentric.workflow.summed_movies import CTFFound, SummedMovies
from eucentric.workflow.volumes import voxel_A


def report_input(
    loaded: LoadedSeries,
    evidence: Evidence,
    assessment: Assessment,
    tomogram: Path,
    *,
    settings: ProcessSettings,
    reconstruct: ReconstructSettings,
    halves: HalvesOf,
    stages: Stages,
    warnings: tuple[str, ...],
    movies: SummedMovies | None,
    ctf: CTFFound,
    conventions: tuple[Convention, ...],
) -> ReportInput:
    """Return what the report of a series shows; without `movies` nothing of them is in it."""
    aligned = stages.last("motion" if movies else "align")
    return ReportInput(
        series=loaded.series,
        images=loaded.images,
        mean_counts=np.array(evidence.mean_counts),
        result=evidence.result,
        tomogram=open_mrc(tomogram).data,
        pixel_A=voxel_A(tomogram),
        fsc=assessment.fsc,
        halves=halves,
        thickness=assessment.thickness,
        sharpness=assessment.sharpness,
        settings=_settings_shown(settings, reconstruct, halves, movies, ctf.series),
        timings={stage.stage: stage.seconds for stage in stages.outcomes},
        warnings=warnings,
        inputs=tuple((i.path, i.sha256) for i in aligned.inputs) if aligned else (),
        movies=_movies_shown(movies, stages.folder, ctf) if movies else None,
        conventions=conventions,
    )


def _movies_shown(movies: SummedMovies, folder: Path, ctf: CTFFound) -> MoviesShown:
    return MoviesShown(
        tilts=movies.tilts,
        tracks=movies.tracks,
        gain=movies.gain.words(),
        defects=movies.gain.defects,
        ctf=ctf.series,
        ctf_reason=ctf.reason,
        target_defocus_A=movies.target_defocus_A,
        spectra=read_spectra(folder / "spectra.npz", movies.sums.series.pixel_A),
    )


def _settings_shown(
    settings: ProcessSettings,
    reconstruct: ReconstructSettings,
    halves: HalvesOf,
    movies: SummedMovies | None,
    ctf: SeriesCTF | None,
) -> dict[str, dict[str, Any]]:
    shown: dict[str, dict[str, Any]] = {}
    if movies:
        shown["gain"] = settings.gain.model_dump(mode="json")
        shown["motion"] = settings.motion.model_dump(mode="json")
        shown["sums"] = {"dose_weighting": settings.dose_weighting}
        if ctf:
            shown["ctf"] = {**settings.ctf.model_dump(mode="json"), "lens": ctf.lens.model_dump(mode="json")}
    shown["align"] = settings.align.model_dump(mode="json")
    shown["reconstruct"] = {**reconstruct.model_dump(mode="json"), "halves": halves}
    if movies:
        shown["reconstruct"]["ctf_correction"] = settings.ctf_correction if ctf else "none"
    shown["assess"] = {"mean_free_path_A": settings.mean_free_path_A}
    return shown
