"""`process_series`: a stack with its angles to a tomogram and a report, stage by stage, through the journal."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, Field

from eucentric.assessment import (
    FSC,
    Sharpness,
    ThicknessFit,
    fourier_shell_correlation,
    sharpness,
    thickness_from_counts,
)
from eucentric.core import SILENT, Angstrom, FormatError, Record, Reporter, TiltSeries, write_text
from eucentric.io import LoadedSeries, open_mrc, write_alignment, write_mrc, write_tlt, write_xf
from eucentric.io.ome_zarr import write_ome_zarr
from eucentric.processing.alignment import (
    AlignmentResult,
    AlignSettings,
    PreparedImages,
    align_series,
    prepare_images,
)
from eucentric.processing.reconstruction import ReconstructSettings, reconstruct
from eucentric.report import ReportInput, summarise_alignment, write_report
from eucentric.session import Session, StagePlan, StageRun

R = TypeVar("R", bound=BaseModel)

# Raised whenever a stage's code gives other results, so that sessions made before are outdated.
_VERSIONS = {"align": 1, "reconstruct": 1, "assess": 1, "report": 1}


class ProcessSettings(Record):
    """Settings of all stages; `mean_free_path_A` turns counts into thickness (disputed: 2110 to 3950 Å at 300 kV)."""

    align: AlignSettings = AlignSettings()
    reconstruct: ReconstructSettings = ReconstructSettings()
    mean_free_path_A: Annotated[Angstrom, Field(gt=0)] = 3150.0


class StageOutcome(Record):
    """Whether a stage ran now (and why it had to) or was already done, and the seconds it took when it ran."""

    stage: str
    ran: bool
    reason: str
    seconds: float


class ProcessOutcome(Record):
    """What became of a series: its folder, its figures, its stages, and what the user should look at."""

    series: str
    folder: Path
    report: Path
    tomogram: Path
    shape_zyx: tuple[int, int, int]
    voxel_A: float
    tilt_axis_deg: float
    tilt_axis_uncertainty_deg: float | None
    tilts_used: int
    tilts_left_out: dict[int, str]
    median_residual_A: float
    resolution_A: float | None
    thickness_A: float | None
    stages: tuple[StageOutcome, ...]
    warnings: tuple[str, ...]


class _AlignStage(Record):
    """All that an alignment depends on besides the pixels."""

    series: TiltSeries
    align: AlignSettings


class _AssessStage(Record):
    """All that the assessment depends on besides the volumes and the alignment."""

    mean_free_path_A: float


class _Evidence(Record):
    """What the alignment stage leaves for those after it."""

    result: AlignmentResult
    mean_counts: tuple[float, ...]
    mended_pixels: tuple[int, ...]


class _Assessment(Record):
    """What the assessment stage leaves for the report."""

    fsc: FSC
    thickness: ThicknessFit
    sharpness: Sharpness


def process_series(
    session: Session,
    loaded: LoadedSeries,
    settings: ProcessSettings,
    *,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
    warnings: tuple[str, ...] = (),
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
    warnings
        What was noticed while loading, for the report.

    Raises
    ------
    InputError
        If the series cannot be processed.
    OutputError
        If results cannot be written; finished stages are kept.
    """
    return _Run(session, loaded, settings, device or torch.device("cpu"), reporter, warnings).all_stages()


class _Run:
    """One pass over the stages of one series."""

    def __init__(
        self,
        session: Session,
        loaded: LoadedSeries,
        settings: ProcessSettings,
        device: torch.device,
        reporter: Reporter,
        warnings: tuple[str, ...],
    ) -> None:
        self._session = session
        self._loaded = loaded
        self._series = loaded.series
        self._settings = settings
        self._device = device
        self._reporter = reporter
        self._warnings = warnings
        self._folder = session.series_folder(self._series.name)
        self._stages: list[StageOutcome] = []

    def all_stages(self) -> ProcessOutcome:
        stack = self._loaded.sources[0]
        evidence_path, alignment_path = self._folder / "evidence.json", self._folder / "alignment.json"
        volumes = [self._folder / f"tomogram{half}.mrc" for half in ("", "_even", "_odd")]
        assessment_path = self._folder / "assessment.json"
        report_path = self._folder / "report.html"

        align = _AlignStage(series=self._series, align=self._settings.align)
        self._stage("align", align, (stack,), self._align)
        evidence = _read(evidence_path, _Evidence)
        self._stage(
            "reconstruct",
            self._reconstruct_settings(evidence.result),
            (stack, alignment_path),
            lambda run: self._reconstruct(run, evidence.result),
        )
        assess = _AssessStage(mean_free_path_A=self._settings.mean_free_path_A)
        self._stage("assess", assess, (evidence_path, *volumes), lambda run: self._assess(run, evidence, volumes))
        assessment = _read(assessment_path, _Assessment)
        self._stage(
            "report",
            self._settings,
            (stack, evidence_path, volumes[0], assessment_path),
            lambda run: self._report(run, evidence, assessment, volumes[0]),
        )
        return self._outcome(evidence.result, assessment, volumes[0], report_path)

    def _stage(self, name: str, settings: Record, inputs: tuple[Path, ...], work: Callable[[StageRun], None]) -> None:
        plan = StagePlan(
            series=self._series.name, stage=name, version=_VERSIONS[name], settings=settings, inputs=inputs
        )
        state = self._session.state(plan)
        if not state.done:
            self._reporter.say(f"{self._series.name}: {name} ({state.reason})")
            with self._session.run(plan) as run:
                work(run)
        last = self._session.last(self._series.name, name)
        seconds = last.seconds if last is not None and last.seconds is not None else 0.0
        self._stages.append(StageOutcome(stage=name, ran=not state.done, reason=state.reason, seconds=seconds))

    @cached_property
    def _prepared(self) -> PreparedImages:
        return prepare_images(self._loaded.images, self._series.tilts_deg, reporter=self._reporter)

    def _align(self, run: StageRun) -> None:
        result = align_series(
            self._prepared,
            self._series.tilts_deg,
            self._series.pixel_A,
            self._settings.align,
            nominal_axis_deg=self._series.tilt_axis_deg,
            device=self._device,
            reporter=self._reporter,
        )
        evidence = _Evidence(
            result=result,
            mean_counts=tuple(self._prepared.mean_counts.tolist()),
            mended_pixels=tuple(self._prepared.mended_pixels.tolist()),
        )
        write_alignment(run.folder / "alignment.json", result.alignment)
        write_xf(run.folder / f"{self._series.name}.xf", result.alignment)
        write_tlt(run.folder / f"{self._series.name}.tlt", result.alignment)
        for name in ("alignment.json", f"{self._series.name}.xf", f"{self._series.name}.tlt"):
            run.output(run.folder / name)
        evidence_path = run.folder / "evidence.json"
        write_text(evidence_path, evidence.model_dump_json(indent=1))
        run.output(evidence_path)
        summary = summarise_alignment(result)
        run.metric("tilt_axis_deg", summary.axis_deg)
        run.metric("median_residual_A", summary.median_residual_A)
        run.metric("left_out", {tilt.section: tilt.reason for tilt in result.alignment.tilts if not tilt.used})

    def _reconstruct_settings(self, result: AlignmentResult) -> ReconstructSettings:
        """Return the settings with the depth of the specimen in place of an unknown thickness."""
        settings = self._settings.reconstruct
        return settings if settings.thickness_A else settings.replace(thickness_A=round(result.specimen_depth_A, 1))

    def _reconstruct(self, run: StageRun, result: AlignmentResult) -> None:
        settings = self._reconstruct_settings(result)
        halves = reconstruct(
            self._prepared.images, result.alignment, settings, device=self._device, reporter=self._reporter
        )
        name = self._series.name
        with self._reporter.task("Writing volumes", 4) as step:
            for half, volume in (("_even", halves.even), ("_odd", halves.odd)):
                path = run.folder / f"tomogram{half}.mrc"
                write_mrc(path, volume.cpu().numpy(), halves.voxel_A, kind="volume", label=f"{name}{half}")
                run.output(path)
                step()
            full = halves.full().cpu().numpy()
            path = run.folder / "tomogram.mrc"
            write_mrc(path, full, halves.voxel_A, kind="volume", label=name)
            run.output(path)
            step()
            path = run.folder / "tomogram.zarr"
            write_ome_zarr(path, full, halves.voxel_A, name=name)
            run.output(path)
            step()
        run.metric("shape_zyx", list(full.shape))

    def _assess(self, run: StageRun, evidence: _Evidence, volumes: list[Path]) -> None:
        tomogram, even, odd = (open_mrc(path) for path in volumes)
        alignment = evidence.result.alignment
        tilts = [view.tilt_deg for view in alignment.used]
        voxel_A = _voxel_A(volumes[0], tomogram.pixel_A)
        with self._reporter.task("Assessing", 3) as step:
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
        assessment = _Assessment(fsc=fsc, thickness=thickness, sharpness=sharp)
        write_text(path, assessment.model_dump_json(indent=1))
        run.output(path)
        run.metric("resolution_A", fsc.resolution_A())
        run.metric("thickness_A", thickness.thickness_A)

    def _report(self, run: StageRun, evidence: _Evidence, assessment: _Assessment, tomogram_path: Path) -> None:
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
                warnings=self._warnings + _mended(evidence),
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

    def _outcome(
        self, result: AlignmentResult, assessment: _Assessment, tomogram: Path, report: Path
    ) -> ProcessOutcome:
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
            warnings=self._warnings,
        )


def _mended(evidence: _Evidence) -> tuple[str, ...]:
    total = sum(evidence.mended_pixels)
    return (f"{total} defective pixels were replaced by the median around them.",) if total else ()


def _voxel_A(path: Path, pixel_A: float | None) -> float:
    if pixel_A is None:
        raise FormatError(f"{path}: its header has lost the voxel size.", "Remove the file and run again.")
    return pixel_A


def _read(path: Path, record: type[R]) -> R:
    return record.model_validate_json(path.read_text(encoding="utf-8"))
