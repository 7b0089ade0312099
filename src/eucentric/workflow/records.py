"""What the stages of `process_series` take, leave for each other, and give."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from eucentric.assessment import FSC, Sharpness, ThicknessFit
from eucentric.core import Angstrom, Record, TiltSeries
from eucentric.optics import MEAN_FREE_PATH_A
from eucentric.processing.alignment import AlignmentResult, AlignSettings
from eucentric.processing.reconstruction import ReconstructSettings


class ProcessSettings(Record):
    """Settings of all stages; `mean_free_path_A` turns counts into thickness (disputed: 2110 to 3950 Å at 300 kV)."""

    align: AlignSettings = AlignSettings()
    reconstruct: ReconstructSettings = ReconstructSettings()
    mean_free_path_A: Annotated[Angstrom, Field(gt=0)] = MEAN_FREE_PATH_A


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


class AlignStage(Record):
    """All that an alignment depends on besides the pixels."""

    series: TiltSeries
    align: AlignSettings


class AssessStage(Record):
    """All that the assessment depends on besides the volumes and the alignment."""

    mean_free_path_A: float


class ReportStage(Record):
    """All that the report shows besides results: an order of acquisition that is mended changes nothing else."""

    series: TiltSeries
    settings: ProcessSettings


class Evidence(Record):
    """What the alignment stage leaves for those after it."""

    result: AlignmentResult
    mean_counts: tuple[float, ...]
    mended_pixels: tuple[int, ...]


class Assessment(Record):
    """What the assessment stage leaves for the report."""

    fsc: FSC
    thickness: ThicknessFit
    sharpness: Sharpness
