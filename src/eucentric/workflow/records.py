"""What the stages of `process_series` and `process_movies` take, leave for each other, and give."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from eucentric.assessment import FSC, HalvesOf, OrderVerdict, Sharpness, ThicknessFit
from eucentric.core import Angstrom, Record, TiltSeries
from eucentric.optics import MEAN_FREE_PATH_A, HandVerdict, Lens
from eucentric.processing.alignment import AlignmentResult, AlignSettings
from eucentric.processing.ctf.records import CTFSettings
from eucentric.processing.gain import GainOrientation
from eucentric.processing.motion.records import MotionSettings
from eucentric.processing.reconstruction import ReconstructSettings

CTFCorrection = Literal["none", "phase-flip", "slabs"]
QuarterTurns = Annotated[int, Field(ge=0, le=3)]


class GainSettings(Record):
    """How the gain reference lies against the frames: found from the data where not said.

    `flipped` turns its rows over (top to bottom) before the `quarter_turns`, clockwise where rows go upward as in MRC.
    """

    quarter_turns: QuarterTurns | None = None
    flipped: bool | None = None


class LensSettings(Record):
    """What is known of the lens; what is absent is the plan's, else the voltage of the .mdoc and usual values."""

    voltage_kV: Annotated[float, Field(ge=60, le=1250)] | None = None
    cs_mm: Annotated[float, Field(ge=0, le=20)] | None = None
    amplitude_contrast: Annotated[float, Field(ge=0, lt=1)] | None = None


class ProcessSettings(Record):
    """Settings of all stages; `mean_free_path_A` turns counts into thickness (disputed: 2110 to 3950 Å at 300 kV).

    `halves` is that of frames where it is absent and every movie has two of them, else that of tilts. From `gain` on
    the others are of series that start from movies.
    """

    align: AlignSettings = AlignSettings()
    reconstruct: ReconstructSettings = ReconstructSettings()
    mean_free_path_A: Annotated[Angstrom, Field(gt=0)] = MEAN_FREE_PATH_A
    gain: GainSettings = GainSettings()
    motion: MotionSettings = MotionSettings()
    dose_weighting: bool = True
    lens: LensSettings = LensSettings()
    ctf: CTFSettings = CTFSettings()
    ctf_correction: CTFCorrection = "phase-flip"
    halves: HalvesOf | None = None


class StageOutcome(Record):
    """Whether a stage ran now (and why it had to) or was already done, and the seconds it took when it ran."""

    stage: str
    ran: bool
    reason: str
    seconds: float


class MoviesOutcome(Record):
    """What the movies of a series told.

    Attributes
    ----------
    tilts
        How many there are; those in `left_out`, by the .mdoc's section and with the reason, are not in the stacks.
    stack, unweighted, even, odd
        The stacks of the others.
    gain
        How the gain reference lies, in words; absent where there is none.
    motion_A
        Median over tilts of the way that the specimen went within an exposure.
    defocus_A
        Median over tilts, where the CTF was fitted; `ctf_reason` says why not.
    hand
        Of the defocus, where it was tested.
    ctf_thickness_A
        Of the specimen, from the rings' node, where one was seen.
    """

    tilts: int
    left_out: dict[int, str]
    stack: Path
    unweighted: Path
    even: Path
    odd: Path
    gain: str | None = None
    motion_A: float | None = None
    defocus_A: float | None = None
    hand: HandVerdict | None = None
    ctf_thickness_A: float | None = None
    ctf_reason: str = ""


class ProcessOutcome(Record):
    """What became of a series: its folder, its figures, its stages, and what the user should look at.

    `halves` says what the two tomograms are made of that `resolution_A` compares; `movies` is absent where
    processing started from a stack.
    """

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
    halves: HalvesOf = "tilts"
    movies: MoviesOutcome | None = None


class GainStage(Record):
    """All that the gain's orientation and the camera's defects depend on besides the pixels."""

    gain: GainSettings


class GainFound(Record):
    """How the gain reference lies, and how sure that is.

    Attributes
    ----------
    lies
        Absent without a gain reference.
    given
        Whether the user said it.
    margin
        By how many standard deviations it is better than the next, where it was looked for.
    unsure
        Why it should not be relied on, in words; empty where it can be.
    scores
        Of each orientation that fits, standard deviations from no likeness: `processing.gain.GainVerdict`.
    defects
        How many pixels are replaced by their neighbours; `defects.npz` says which.
    movies
        How many were read for it.
    """

    lies: GainOrientation | None = None
    given: bool = False
    margin: float | None = None
    unsure: str = ""
    scores: dict[str, float] = Field(default_factory=dict)
    defects: int
    movies: int

    def words(self) -> str | None:
        """Say it in a few words."""
        if self.lies is None:
            return None
        turned = f"turned by {90 * self.lies.quarter_turns}°" if self.lies.quarter_turns else ""
        over = "rows turned over" if self.lies.flipped else ""
        how = " and ".join(filter(None, (over, turned))) or "as it is in its file"
        how += ", dividing" if self.lies.divides else ""
        found = "given" if self.given else "found from the data"
        margin = "" if self.margin is None else f", {self.margin:.0f} sigma better than the next"
        return f"{how} ({found}{margin})"


class MotionStage(Record):
    """All that the tracks depend on besides the pixels; `sections` are those whose movies are there."""

    pixel_A: float
    sections: tuple[int, ...]
    gain: GainOrientation | None
    motion: MotionSettings


class SumsStage(Record):
    """All that the sums depend on besides the pixels and the tracks; `frames` is how many each section's movie has."""

    series: TiltSeries
    frames: tuple[int, ...]
    gain: GainOrientation | None
    dose_weighting: bool
    voltage_kV: float


class Sums(Record):
    """What the stage of the sums leaves: the series of the stacks, and what each of its sections is.

    `sections` are those of the .mdoc, `frames` how many were summed of each movie; `left_out` says by the .mdoc's
    section why there is no sum.
    """

    series: TiltSeries
    sections: tuple[int, ...]
    frames: tuple[int, ...]
    left_out: dict[int, str]


class AlignStage(Record):
    """All that an alignment depends on besides the pixels; `excluded` says why views are not used, by section."""

    series: TiltSeries
    align: AlignSettings
    excluded: dict[int, str] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _as_ever(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Say nothing of views where none is excluded: what was aligned before that could be said is not outdated."""
        written: dict[str, Any] = write(self)
        if not self.excluded:
            del written["excluded"]
        return written


class CTFStage(Record):
    """All that the CTF depends on besides the pixels; of the alignment, the tilt axis alone."""

    lens: Lens
    axis_deg: float
    ctf: CTFSettings
    target_defocus_A: tuple[float | None, ...]


class ReconstructStage(Record):
    """All that a tomogram depends on besides the pixels, the alignment and the CTF.

    Not of stacks with halves of tilts: of these, `reconstruct` is all.
    """

    reconstruct: ReconstructSettings
    ctf_correction: CTFCorrection
    halves: HalvesOf


class CheckStage(Record):
    """All that the checks of conventions depend on besides the pixels; of the alignment, how the specimen lies."""

    series: TiltSeries
    lens: Lens | None
    target_defocus_A: tuple[float | None, ...]
    tilts_deg: tuple[float, ...]
    dose_weighting: bool


class ImageChecks(Record):
    """What images say of conventions that files claim.

    Attributes
    ----------
    order
        Of the order of exposure; absent where they could not be asked, and `order_reason` says why.
    defocus_ratios
        Of hardly tilted images, each fitted by itself, over the defocus that was asked for.
    """

    order: OrderVerdict | None = None
    order_reason: str = ""
    defocus_ratios: tuple[float, ...] = ()


class AssessStage(Record):
    """All that the assessment depends on besides the volumes and the alignment."""

    mean_free_path_A: float


class ReportStage(Record):
    """All that the report shows besides results: an order of acquisition that is mended changes nothing else."""

    series: TiltSeries
    settings: ProcessSettings
    ctf_reason: str = ""
    target_defocus_A: tuple[float | None, ...] = ()


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
