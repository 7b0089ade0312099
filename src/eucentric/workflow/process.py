"""`process_series`: a stack with its angles to a tomogram and a report, stage by stage, through the journal."""

import json
import warnings
from pathlib import Path

import torch
from torch import Tensor

from eucentric.assessment import HalvesOf
from eucentric.core import SILENT, DataWarning, Record, Reporter, write_text
from eucentric.io import LoadedSeries, open_mrc, write_alignment, write_tlt, write_xf
from eucentric.optics import SeriesCTF
from eucentric.processing.alignment import AlignmentResult, PreparedImages, align_series, prepare_images
from eucentric.processing.reconstruction import Halves, ReconstructSettings, reconstruct
from eucentric.report import summarise_alignment, write_report
from eucentric.session import Session, StageRun
from eucentric.workflow.about import about_file
from eucentric.workflow.assessing import assess_volumes
from eucentric.workflow.certifying import certify
from eucentric.workflow.convention_checks import check_conventions
from eucentric.workflow.ctf_stage import fit_ctf
from eucentric.workflow.excluded import of_stack, read_excluded
from eucentric.workflow.records import (
    AlignStage,
    Assessment,
    AssessStage,
    Evidence,
    ImageChecks,
    ProcessOutcome,
    ProcessSettings,
    ReconstructStage,
    ReportStage,
)
from eucentric.workflow.reporting import report_input
from eucentric.workflow.stages import Stages, read_record
from eucentric.workflow.summed_movies import CTFFound, SummedMovies
from eucentric.workflow.volumes import VOLUMES, halves_of_counts, reconstruct_sums, voxel_A, write_volumes

# Raised whenever a stage's code gives other results, so that sessions made before are outdated.
VERSIONS = {
    "gain": 1,
    "motion": 2,
    "sums": 1,
    "align": 7,
    "ctf": 1,
    "reconstruct": 2,
    "assess": 1,
    "check": 1,
    "report": 5,
}


def process_series(
    session: Session,
    loaded: LoadedSeries,
    settings: ProcessSettings,
    *,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
    noticed: tuple[str, ...] = (),
) -> ProcessOutcome:
    """Process one series within a session; stages that are done as planned are not run again.

    Parameters
    ----------
    session
        Where results and the journal go.
    loaded
        The series; its stack is only read.
    settings
        Settings of all stages; those of movies are not used.
    device
        Where to compute; the CPU if absent. It does not outdate results.
    reporter
        Where progress goes.
    noticed
        Warnings of the loading, for the report.

    Raises
    ------
    InputError
        If the series cannot be processed.
    OutputError
        If results cannot be written; finished stages are kept.

    Warns
    -----
    DataWarning
        `mended-pixels`: defective pixels were replaced; also when this had been done before.
    """
    stages = Stages(session, loaded.series.name, VERSIONS, reporter)
    outcome = SeriesRun(stages, loaded, settings, device or torch.device("cpu"), reporter, noticed).all_stages()
    for message in outcome.warnings[len(noticed) :]:
        warnings.warn(message, DataWarning, stacklevel=2)
    return outcome


def _halves_of_stack(settings: ProcessSettings) -> HalvesOf:
    """Return what halves a stack is reconstructed in: of its frames nothing is left."""
    return "counts" if settings.halves == "counts" else "tilts"


class SeriesRun:
    """One pass over the stages from the alignment on, of a stack or of the sums of movies."""

    def __init__(
        self,
        stages: Stages,
        loaded: LoadedSeries,
        settings: ProcessSettings,
        device: torch.device,
        reporter: Reporter,
        noticed: tuple[str, ...],
        movies: SummedMovies | None = None,
    ) -> None:
        self._stages = stages
        self._loaded = loaded
        self._series = loaded.series
        self._stack = loaded.sources[0]
        self._settings = settings
        self._device = device
        self._reporter = reporter
        self._noticed = noticed
        self._movies = movies
        self._halves = movies.halves if movies else _halves_of_stack(settings)
        self._folder = stages.folder
        self._ready: PreparedImages | None = None
        sections = movies.sums.sections if movies else range(len(self._series.tilts))
        self._excluded = of_stack(read_excluded(self._folder), sections)

    def all_stages(self) -> ProcessOutcome:
        """Run what is not done, and return what became of the series."""
        evidence_path, alignment_path = self._folder / "evidence.json", self._folder / "alignment.json"
        volumes = [self._folder / f"tomogram{half}.mrc" for half in VOLUMES]
        assessment_path = self._folder / "assessment.json"

        align = AlignStage(series=self._series, align=self._settings.align, excluded=self._excluded)
        self._stages.run("align", align, (self._stack,), self._align)
        evidence = read_record(evidence_path, Evidence)
        ctf = CTFFound()
        if self._movies is None:
            self._reconstruct(evidence.result, alignment_path)
        else:
            self._ready = None  # from here on other stacks are read, and two need not be in memory
            ctf = fit_ctf(self._stages, self._movies, alignment_path, self._settings.ctf, self._device, self._reporter)
            self._reconstruct_movies(self._movies, evidence.result, alignment_path, ctf.series)
        assess = AssessStage(mean_free_path_A=self._settings.mean_free_path_A)
        self._stages.run(
            "assess",
            assess,
            (evidence_path, *volumes),
            lambda run: assess_volumes(run, assess, evidence, volumes, self._reporter),
        )
        assessment = read_record(assessment_path, Assessment)
        said = self._warnings(evidence, ctf)
        checks = self._checks(alignment_path)
        self._stages.run(
            "report",
            ReportStage(
                series=self._series,
                settings=self._settings,
                ctf_reason=ctf.reason,
                target_defocus_A=self._movies.target_defocus_A if self._movies else (),
            ),
            (self._stack, evidence_path, volumes[0], assessment_path, *self._shown_of_movies(ctf.series)),
            lambda run: self._report(run, evidence, assessment, volumes[0], ctf, said, checks),
        )
        return self._outcome(evidence, assessment, volumes[0], ctf, said)

    def _prepared(self) -> PreparedImages:
        if self._ready is None:
            left_out = {section: f"excluded: {reason}" for section, reason in self._excluded.items()}
            with about_file(self._stack):
                self._ready = prepare_images(
                    self._loaded.images, self._series.tilts_deg, left_out=left_out, reporter=self._reporter
                )
        return self._ready

    def _align(self, run: StageRun) -> None:
        prepared = self._prepared()
        with about_file(self._stack):
            result = align_series(
                prepared,
                self._series.tilts_deg,
                self._series.pixel_A,
                self._settings.align,
                nominal_axis_deg=self._series.tilt_axis_deg,
                exposures_e_A2=self._series.mid_exposures_e_A2,
                device=self._device,
                reporter=self._reporter,
            )
        evidence = Evidence(
            result=result,
            mean_counts=tuple(prepared.mean_counts.tolist()),
            mended_pixels=tuple(prepared.mended_pixels.tolist()),
        )
        name = self._series.name
        paths = [run.folder / file for file in ("alignment.json", f"{name}.xf", f"{name}.tlt", "evidence.json")]
        write_alignment(paths[0], result.alignment)
        write_xf(paths[1], result.alignment)
        write_tlt(paths[2], result.alignment)
        write_text(paths[3], evidence.model_dump_json(indent=1))
        for path in paths:
            run.output(path)
        summary = summarise_alignment(result)
        run.metric("tilt_axis_deg", summary.axis_deg)
        run.metric("median_residual_A", summary.median_residual_A)
        run.metric("left_out", {tilt.section: tilt.reason for tilt in result.alignment.tilts if not tilt.used})

    def _reconstruct_settings(self, result: AlignmentResult) -> ReconstructSettings:
        """Return the settings with the depth of the specimen in place of an unknown thickness."""
        settings = self._settings.reconstruct
        depth_A = max(0.1, round(result.specimen_depth_A, 1))
        return settings if settings.thickness_A else settings.replace(thickness_A=depth_A)

    def _reconstruct(self, result: AlignmentResult, alignment_path: Path) -> None:
        settings = self._reconstruct_settings(result)

        def one(images: Tensor) -> Halves:
            return reconstruct(images, result.alignment, settings, device=self._device, reporter=self._reporter)

        def work(run: StageRun) -> None:
            images = self._prepared().images
            with about_file(self._stack):
                halves = halves_of_counts(images, one, self._reporter) if self._halves == "counts" else one(images)
            write_volumes(run, halves, self._series.name, self._halves, self._reporter)

        known_by: Record = settings
        if self._halves == "counts":
            known_by = ReconstructStage(reconstruct=settings, ctf_correction="none", halves="counts")
        self._stages.run("reconstruct", known_by, (self._stack, alignment_path), work)

    def _reconstruct_movies(
        self, movies: SummedMovies, result: AlignmentResult, alignment_path: Path, ctf: SeriesCTF | None
    ) -> None:
        settings = ReconstructStage(
            reconstruct=self._reconstruct_settings(result),
            ctf_correction=self._settings.ctf_correction if ctf else "none",
            halves=self._halves,
        )
        stacks = (movies.even, movies.odd) if self._halves == "frames" else (self._stack,)
        corrected = (self._folder / "ctf.json",) if settings.ctf_correction != "none" else ()

        def work(run: StageRun) -> None:
            halves = reconstruct_sums(
                stacks, result.alignment, ctf, settings, device=self._device, reporter=self._reporter
            )
            write_volumes(run, halves, self._series.name, self._halves, self._reporter)

        self._stages.run("reconstruct", settings, (*stacks, alignment_path, *corrected), work)

    def _checks(self, alignment: Path) -> ImageChecks:
        """Return what images say of what files claim: nothing, where there are no movies."""
        if self._movies is None:
            return ImageChecks()
        weighted = self._settings.dose_weighting
        return check_conventions(self._stages, self._movies, alignment, dose_weighting=weighted)

    def _shown_of_movies(self, ctf: SeriesCTF | None) -> tuple[Path, ...]:
        """Return what the report shows of movies, as files."""
        if self._movies is None:
            return ()
        names = ("gain.json", "motion.json", "sums.json", "spectra.npz", "checks.json", *(("ctf.json",) if ctf else ()))
        return tuple(self._folder / name for name in names)

    def _report(
        self,
        run: StageRun,
        evidence: Evidence,
        assessment: Assessment,
        tomogram: Path,
        ctf: CTFFound,
        said: tuple[str, ...],
        checks: ImageChecks,
    ) -> None:
        path, certificate = run.folder / "report.html", run.folder / "certificate.json"
        conventions = certify(
            self._loaded,
            evidence.result,
            ctf.series,
            axis_given_deg=self._settings.align.axis_deg,
            noticed=said,
            checks=checks,
        )
        shown = report_input(
            self._loaded,
            evidence,
            assessment,
            tomogram,
            settings=self._settings,
            reconstruct=self._reconstruct_settings(evidence.result),
            halves=self._halves,
            stages=self._stages,
            warnings=said,
            movies=self._movies,
            ctf=ctf,
            conventions=conventions,
        )
        write_report(path, shown, self._reporter)
        write_text(certificate, json.dumps([one.model_dump() for one in conventions], indent=1) + "\n")
        run.output(path)
        run.output(certificate)

    def _outcome(
        self,
        evidence: Evidence,
        assessment: Assessment,
        tomogram: Path,
        ctf: CTFFound,
        said: tuple[str, ...],
    ) -> ProcessOutcome:
        result = evidence.result
        summary = summarise_alignment(result)
        depth, rows, columns = open_mrc(tomogram).data.shape
        return ProcessOutcome(
            series=self._series.name,
            folder=self._folder,
            report=self._folder / "report.html",
            tomogram=tomogram,
            shape_zyx=(depth, rows, columns),
            voxel_A=voxel_A(tomogram),
            tilt_axis_deg=summary.axis_deg,
            tilt_axis_uncertainty_deg=summary.axis_uncertainty_deg,
            tilts_used=summary.used,
            tilts_left_out={tilt.section: tilt.reason for tilt in result.alignment.tilts if not tilt.used},
            median_residual_A=summary.median_residual_A,
            resolution_A=assessment.fsc.resolution_A(),
            thickness_A=assessment.thickness.thickness_A,
            stages=tuple(self._stages.outcomes),
            warnings=said,
            halves=self._halves,
            movies=self._movies.outcome(self._stack, ctf) if self._movies else None,
        )

    def _warnings(self, evidence: Evidence, ctf: CTFFound) -> tuple[str, ...]:
        """Return what was noticed before, what the alignment stage had to mend, and what the CTF leaves open."""
        said = list(self._noticed)
        mended = [n for n in evidence.mended_pixels if n]
        if mended:
            said.append(
                f"{self._stack}: {sum(mended)} defective pixels, in {len(mended)} of {len(evidence.mended_pixels)} "
                "views, were replaced by the median around them; the file is as it was. [mended-pixels]"
            )
        if self._movies:
            said += self._movies.doubts(ctf)
        return tuple(said)
