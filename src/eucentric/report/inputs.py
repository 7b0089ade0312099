"""What a report is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.assessment import FSC, HalvesOf, Sharpness, ThicknessFit
from eucentric.core import InputError, Record, TiltSeries
from eucentric.processing.alignment import AlignmentResult
from eucentric.report.certificate import Convention
from eucentric.report.movies import MoviesShown


@dataclass(frozen=True)
class ReportInput:
    """Everything that the report shows.

    `images` (n, y, x) and `mean_counts` (n,) follow the sections of `series`, as `result` does; `tomogram` is
    (z, y, x) with voxels of `pixel_A`. Memory maps do: only what is drawn is read. `settings` holds the settings
    of each stage, `timings` its seconds, `inputs` each input file with its digest (empty where not taken).
    `halves` says of what the tomograms are that `fsc` compares.
    What is None was not assessed, and the report says so; but for `movies`: without them nothing is said of them.

    Raises
    ------
    InputError
        If the parts disagree about the number of tilts, or the arrays have the wrong number of axes.
    """

    series: TiltSeries
    images: NDArray[Any]
    mean_counts: NDArray[Any]
    result: AlignmentResult
    tomogram: NDArray[Any]
    pixel_A: float
    fsc: FSC | None = None
    halves: HalvesOf = "tilts"
    thickness: ThicknessFit | None = None
    sharpness: Sharpness | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()
    written: datetime | None = None
    movies: MoviesShown | None = None
    conventions: tuple[Convention, ...] = ()

    def __post_init__(self) -> None:
        """Refuse parts that do not belong together."""
        n = len(self.series.tilts)
        lengths = {
            "images": len(self.images),
            "mean counts": len(self.mean_counts),
            "alignment": len(self.result.alignment.tilts),
            "alignment residuals": len(self.result.tilts),
        }
        if self.movies:
            lengths["tracks of movies"] = len(self.movies.tracks)
            lengths["values of defocus asked for"] = len(self.movies.target_defocus_A)
            if self.movies.ctf:
                lengths["CTFs"] = len(self.movies.ctf.tilts)
        wrong = ", ".join(f"{name} have {length}" for name, length in lengths.items() if length != n)
        if wrong:
            raise InputError(f"Series {self.series.name} has {n} tilts, but its {wrong}; no report was written.")
        if self.images.ndim != 3 or self.tomogram.ndim != 3:
            raise InputError(f"Series {self.series.name}: images and tomogram must be 3D; no report was written.")

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which sections the alignment kept."""
        return np.array([tilt.used for tilt in self.result.alignment.tilts])

    @property
    def tilts_deg(self) -> NDArray[np.float64]:
        """The stage's tilt of each section."""
        return np.array(self.series.tilts_deg)


class AlignmentSummary(Record):
    """An alignment in a few numbers, over the views used.

    `axis_deg` is the middle of the views' tilt-axis angles, and `axis_uncertainty_deg` is absent where the axis
    was given; `worst_section` has the largest residual.
    """

    used: int
    left_out: tuple[int, ...]
    axis_deg: float
    axis_uncertainty_deg: float | None
    median_residual_A: float
    worst_residual_A: float
    worst_section: int
    mean_correlation: float


def summarise_alignment(result: AlignmentResult) -> AlignmentSummary:
    """Summarise an alignment.

    Raises
    ------
    InputError
        If no view is used.
    """
    views = result.alignment.used
    if not views:
        raise InputError("The alignment uses no view at all: there is nothing to report.", "Check the tilts left out.")
    sections = {view.section for view in views}
    kept = [tilt for tilt in result.tilts if tilt.section in sections]
    worst = max(kept, key=lambda tilt: tilt.residual_A)
    return AlignmentSummary(
        used=len(views),
        left_out=tuple(view.section for view in result.alignment.tilts if not view.used),
        axis_deg=float(np.median([view.axis_deg for view in views])),
        axis_uncertainty_deg=result.axis_search.uncertainty_deg if result.axis_search else None,
        median_residual_A=float(np.median([tilt.residual_A for tilt in kept])),
        worst_residual_A=worst.residual_A,
        worst_section=worst.section,
        mean_correlation=float(np.mean([tilt.correlation for tilt in kept])),
    )
