"""`process_series`: a stack with its angles to a tomogram and a report, stage by stage, through the journal."""

import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel

from eucentric.assessment import fourier_shell_correlation, sharpness, thickness_from_counts
from eucentric.core import SILENT, DataWarning, FormatError, Record, Reporter, write_text
from eucentric.io import LoadedSeries, open_mrc, write_alignment, write_mrc, write_tlt, write_xf
from eucentric.io.ome_zarr import write_ome_zarr
from eucentric.processing.alignment import AlignmentResult, PreparedImages, align_series, prepare_images
from eucentric.processing.reconstruction import ReconstructSettings, reconstruct
from eucentric.report import ReportInput, summarise_alignment, write_report
from eucentric.session import Session, StagePlan, StageRun
from eucentric.workflow.about import VOLUME_LABELS, about_file
from eucentric.workflow.records import (
    AlignStage,
    Assessment,
    AssessStage,
    Evidence,
    ProcessOutcome,
    ProcessSettings,
    ReportStage,
    StageOutcome,
)

R = TypeVar("R", bound=BaseModel)

# Raised whenever a stage's code gives other results, so that sessions made before are outdated.
_VERSIONS = {"align": 1, "reconstruct": 1, "assess": 1, "report": 1}


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
        Settings of all stages.
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
    outcome = _Run(session, loaded, settings, device or torch.device("cpu"), reporter, noticed).all_stages()
    for message in outcome.warnings[len(noticed) :]:
        warnings.warn(message, DataWarning, stacklevel=2)
    return outcome


class _Run:
    """One pass over the stages of one series."""

    def __init__(
        self,
        session: Session,
        loaded: LoadedSeries,
        settings: ProcessSettings,
        device: torch.device,
        reporter: Reporter,
        noticed: tuple[str, ...],
    ) -> None:
        self._session = session
        self._loaded = loaded
        self._series = loaded.series
        self._stack = loaded.sources[0]
        self._settings = settings
        self._device = device
        self._reporter = reporter
        self._noticed = noticed
        self._folder = session.series_folder(self._series.name)
        self._stages: list[StageOutcome] = []

    def all_stages(self) -> ProcessOutcome:
        evidence_path, alignment_path = self._folder / "evidence.json", self._folder / "alignment.json"
        volumes = [self._folder / f"tomogram{half}.mrc" for half in ("", "_even", "_odd")]
        assessment_path = self._folder / "assessment.json"
        report_path = self._folder / "report.html"

        align = AlignStage(series=self._series, align=self._settings.align)
        self._stage("align", align, (self._stack,), self._align)
        evidence = _read(evidence_path, Evidence)
        self._stage(
            "reconstruct",
            self._reconstruct_settings(evidence.result),
            (self._stack, alignment_path),
            lambda run: self._reconstruct(run, evidence.result),
        )
        assess = AssessStage(mean_free_path_A=self._settings.mean_free_path_A)
        self._stage("assess", assess, (evidence_path, *volumes), lambda run: self._assess(run, evidence, volumes))
        assessment = _read(assessment_path, Assessment)
        self._stage(
            "report",
            ReportStage(series=self._series, settings=self._settings),
            (self._stack, evidence_path, volumes[0], assessment_path),
            lambda run: self._report(run, evidence, assessment, volumes[0]),
        )
        return self._outcome(evidence, assessment, volumes[0], report_path)

    def _stage(self, name: str, settings: Record, inputs: tuple[Path, ...], work: Callable[[StageRun], None]) -> None:
        plan = StagePlan(
            series=self._series.name, stage=name, version=_VERSIONS[name], settings=settings, inputs=inputs
        )
        state = self._session.state(plan)
        if not state.done:
            again = self._session.last(self._series.name, name) is not None
            self._reporter.say(f"{self._series.name}: {name}" + (f" again, for {state.reason}" if again else ""))
            with self._session.run(plan) as run:
                work(run)
        last = self._session.last(self._series.name, name)
        seconds = last.seconds if last is not None and last.seconds is not None else 0.0
        self._stages.append(StageOutcome(stage=name, ran=not state.done, reason=state.reason, seconds=seconds))

    @cached_property
    def _prepared(self) -> PreparedImages:
        with about_file(self._stack):
            return prepare_images(self._loaded.images, self._series.tilts_deg, reporter=self._reporter)

    def _align(self, run: StageRun) -> None:
        prepared = self._prepared
        with about_file(self._stack):
            result = align_series(
                prepared,
                self._series.tilts_deg,
                self._series.pixel_A,
                self._settings.align,
                nominal_axis_deg=self._series.tilt_axis_deg,
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

    def _reconstruct(self, run: StageRun, result: AlignmentResult) -> None:
        settings, images = self._reconstruct_settings(result), self._prepared.images
        with about_file(self._stack):
            halves = reconstruct(images, result.alignment, settings, device=self._device, reporter=self._reporter)
        with self._reporter.task("Writing volumes", 4) as step:
            for half, volume in (("_even", halves.even), ("_odd", halves.odd), ("", halves.full())):
                path = run.folder / f"tomogram{half}.mrc"
                full = volume.cpu().numpy()
                write_mrc(path, full, halves.voxel_A, kind="volume", label=VOLUME_LABELS[half])
                run.output(path)
                step()
            path = run.folder / "tomogram.zarr"
            write_ome_zarr(path, full, halves.voxel_A, name=self._series.name)
            run.output(path)
            step()
        run.metric("shape_zyx", list(full.shape))

    def _assess(self, run: StageRun, evidence: Evidence, volumes: list[Path]) -> None:
        tomogram, even, odd = (open_mrc(path) for path in volumes)
        alignment = evidence.result.alignment
        tilts = [view.tilt_deg for view in alignment.used]
        voxel_A = _voxel_A(volumes[0], tomogram.pixel_A)
        with about_file(volumes[0]), self._reporter.task("Assessing", 3) as step:
            fsc = fourier_shell_correlation(even.data, odd.data, voxel_A, tilt_range_deg=(min(tilts), max(tilts)))
            step()
            thickness = thickness_from_counts(
                np.array([view.tilt_deg for view in alignment.tilts]),
                np.array(evidence.mean_counts),
                used=np.array([view.used for view in alignment.tilts]),
                mean_free_path_A=self._settings.mean_free_path_A,
            )
            step()
            sharp = sharpness(tomogram.data, voxel_A)
            step()
        path = run.folder / "assessment.json"
        assessment = Assessment(fsc=fsc, thickness=thickness, sharpness=sharp)
        write_text(path, assessment.model_dump_json(indent=1))
        run.output(path)
        run.metric("resolution_A", fsc.resolution_A())
        run.metric("thickness_A", thickness.thickness_A)

    def _report(self, run: StageRun, evidence: Evidence, assessment: Assessment, tomogram_path: Path) -> None:
        tomogram = open_mrc(tomogram_path)
        aligned = self._session.last(self._series.name, "align")
        path = run.folder / "report.html"
        write_report(
            path,
            ReportInput(
                series=self._series,
                images=self._loaded.images,
                mean_counts=np.array(evidence.mean_counts),
                result=evidence.result,
                tomogram=tomogram.data,
                pixel_A=_voxel_A(tomogram_path, tomogram.pixel_A),
                fsc=assessment.fsc,
                thickness=assessment.thickness,
                sharpness=assessment.sharpness,
                settings=self._settings_shown(evidence.result),
                timings={stage.stage: stage.seconds for stage in self._stages},
                warnings=self._warnings(evidence),
                inputs=tuple((i.path, i.sha256) for i in aligned.inputs) if aligned else (),
            ),
            self._reporter,
        )
        run.output(path)

    def _settings_shown(self, result: AlignmentResult) -> dict[str, dict[str, Any]]:
        return {
            "align": self._settings.align.model_dump(mode="json"),
            "reconstruct": self._reconstruct_settings(result).model_dump(mode="json"),
            "assess": {"mean_free_path_A": self._settings.mean_free_path_A},
        }

    def _outcome(self, evidence: Evidence, assessment: Assessment, tomogram: Path, report: Path) -> ProcessOutcome:
        result = evidence.result
        summary = summarise_alignment(result)
        volume = open_mrc(tomogram)
        depth, rows, columns = volume.data.shape
        left_out = {tilt.section: tilt.reason for tilt in result.alignment.tilts if not tilt.used}
        return ProcessOutcome(
            series=self._series.name,
            folder=self._folder,
            report=report,
            tomogram=tomogram,
            shape_zyx=(depth, rows, columns),
            voxel_A=_voxel_A(tomogram, volume.pixel_A),
            tilt_axis_deg=summary.axis_deg,
            tilt_axis_uncertainty_deg=summary.axis_uncertainty_deg,
            tilts_used=summary.used,
            tilts_left_out=left_out,
            median_residual_A=summary.median_residual_A,
            resolution_A=assessment.fsc.resolution_A(),
            thickness_A=assessment.thickness.thickness_A,
            stages=tuple(self._stages),
            warnings=self._warnings(evidence),
        )

    def _warnings(self, evidence: Evidence) -> tuple[str, ...]:
        """Return what was noticed before, and what the alignment stage had to mend."""
        mended = [n for n in evidence.mended_pixels if n]
        if not mended:
            return self._noticed
        return (
            *self._noticed,
            f"{self._stack}: {sum(mended)} defective pixels, in {len(mended)} of {len(evidence.mended_pixels)} views, "
            "were replaced by the median around them; the file is as it was. [mended-pixels]",
        )


def _voxel_A(path: Path, pixel_A: float | None) -> float:
    if pixel_A is None:
        raise FormatError(f"{path}: its header has lost the voxel size.", "Remove the file and run again.")
    return pixel_A


def _read(path: Path, record: type[R]) -> R:
    return record.model_validate_json(path.read_text(encoding="utf-8"))
